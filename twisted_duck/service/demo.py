"""`--demo`: an account with a few messages in it, to try things with."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from twisted_duck.errors import AlreadyExists
from twisted_duck.limits import Limits
from twisted_duck.service.datadir import DataDir
from twisted_duck.spool import Spool
from twisted_duck.values import FLAGGED, SEEN, AppendMessage, Flags

NAME = "demo"

#: A yellow dot.
_PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8bfd4010004640206d8baaab10000000049454e44ae426082"
)


async def make_demo(store: Any, directory: DataDir, limits: Limits) -> tuple[str, str]:
    """The name and the password of the demo account, which is made if there is none.

    The password is made once and kept in the data directory: the account outlives this run, and may be
    reachable from elsewhere.
    """
    password = directory.kept("demo-password", lambda: secrets.token_urlsafe(9))
    try:
        await store.add_user(NAME, password)
    except AlreadyExists:
        return NAME, password
    account = await store.account(NAME)
    try:
        for message in _messages(limits):
            await account.append("INBOX", [message])
    finally:
        await account.logout()
    return NAME, password


def _messages(limits: Limits) -> Iterator[AppendMessage]:
    now = datetime.now(UTC).replace(microsecond=0)
    flags: tuple[Flags, ...] = (frozenset({SEEN}), frozenset({FLAGGED}), frozenset(), frozenset())
    for age, (message, flag) in enumerate(zip(_written(), flags, strict=True)):
        date = now - timedelta(days=3 - age)
        message["To"] = "Demo <demo@example.org>"
        message["Date"] = format_datetime(date)
        message["Message-ID"] = f"<demo-{age}@example.org>"
        yield AppendMessage(Spool.of(message.as_bytes(policy=SMTP), limits), flag, date)


def _written() -> Iterator[EmailMessage]:
    welcome = EmailMessage()
    welcome["From"] = "Twisted Duck <duck@example.org>"
    welcome["Subject"] = "Welcome"
    welcome.set_content(
        "This message came out of MongoDB byte for byte as it went in.\n\n"
        "Read it, flag it, move it about: it is yours.\n"
    )
    yield welcome

    html = EmailMessage()
    html["From"] = "Ada Example <ada@example.org>"
    html["Subject"] = "A message in two forms, with a picture"
    html.set_content("The same in plain text, for those who like it better.\n")
    html.add_alternative(
        '<html><body><p>A <b>yellow</b> dot: <img src="cid:dot@example.org" alt="dot"></p>'
        "</body></html>\n",
        subtype="html",
    )
    html.get_payload()[1].add_related(_PICTURE, "image", "png", cid="<dot@example.org>")  # type: ignore[union-attr,index]
    yield html

    attachments = EmailMessage()
    attachments["From"] = "Grace Example <grace@example.org>"
    attachments["Subject"] = "The figures, attached"
    attachments.set_content("Two attachments: a table and a picture.\n")
    attachments.add_attachment(
        "".join(f"{n},{n * n}\n" for n in range(1000)), subtype="csv", filename="squares.csv"
    )
    attachments.add_attachment(_PICTURE, maintype="image", subtype="png", filename="пятно.png")
    yield attachments

    world = EmailMessage()
    world["From"] = "山田 太郎 <taro@example.jp>"
    world["Subject"] = "こんにちは · Привет · مرحبا · γειά · 🦆"
    world.set_content(
        "日本語の本文です。\nРусский текст.\nنص عربي.\nΕλληνικό κείμενο.\nZwölf Boxkämpfer jagen Viktor.\n"
    )
    yield world
