"""Mail of all kinds for an archive, and what a store tells of it.

`fill` uses only what the store could do from its first state on, so that it can be run in each.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from twisted_duck.spool import Spool
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.store import MailStore
from twisted_duck.values import AppendMessage, FlagChange

MESSAGES = Path(__file__).parent.parent / "messages"
PASSWORD = "a difficult one"

_HEADER = b"From: Ada <ada@example.com>\r\nTo: bob@example.com\r\nMIME-Version: 1.0\r\n"
_FLAGS: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset({"\\Seen"}),
    frozenset({"\\Seen", "\\Flagged", "$Forwarded"}),
    frozenset({"work", "\\Answered"}),
)


def _attachment(size: int) -> bytes:
    """A message with an attachment that is kept apart, in several chunks if it is large."""
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    return (
        _HEADER
        + b"Subject: attached %d\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" % size
    ) + b"".join(
        [
            b"--b\r\n\r\nsee there\r\n--b\r\nContent-Type: application/octet-stream\r\n",
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            base64.encodebytes(content).replace(b"\n", b"\r\n"),
            b"--b--\r\n",
        ]
    )


def _long() -> bytes:
    """More text than is kept for SEARCH, and a word behind it."""
    return (
        _HEADER
        + b"Subject: long\r\n\r\n"
        + b"a line of text, as good as any\r\n" * 40_000
        + b"needle\r\n"
    )


def _many_recipients() -> bytes:
    """An ENVELOPE that is too large for the message's own document."""
    many = b",\r\n ".join(b"Recipient %d <r%d@example.com>" % (i, i) for i in range(1_000))
    return b"From: ada@example.com\r\nTo: " + many + b"\r\nSubject: to all\r\n\r\nhello\r\n"


def _answer(number: int, to: int | None) -> bytes:
    links = b"In-Reply-To: <m%d@example.com>\r\n" % to if to is not None else b""
    prefix = b"Re: " if to is not None else b""
    return (
        _HEADER
        + b"Message-ID: <m%d@example.com>\r\n" % number
        + links
        + b"Subject: %sa talk\r\nDate: Mon, 1 Jun 2026 10:%02d:00 +0200\r\n\r\nwell\r\n"
        % (prefix, number)
    )


async def _append(account: StoreAccount, mailbox: str, *contents: bytes) -> list[int]:
    start = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    messages = [
        AppendMessage(Spool.of(content), _FLAGS[i % len(_FLAGS)], start + timedelta(days=i))
        for i, content in enumerate(contents)
    ]
    result = await account.append(mailbox, messages)
    return list(result.uids)


async def fill(store: MailStore) -> None:
    """Users and their mail, in every shape that documents have."""
    await store.users.add("ada", PASSWORD, 50_000_000)
    await store.users.add("bob", PASSWORD)
    await store.users.set_disabled("bob", True)
    await store.users.add("cy@example.com", None)
    await store.addresses.add("ada", "first.last@example.com")
    await store.addresses.add_alias("example.net", "example.com")

    ada = await store.account("ada")
    corpus = [path.read_bytes() for path in sorted(MESSAGES.glob("*.eml"))]
    await _append(ada, "INBOX", *corpus)
    for name in ("Work", "Work/2026", "Work/2026/März", "Gone/Child", "Old"):
        await ada.create(name)
    await ada.subscribe("Work")
    await ada.subscribe("Not there")
    large = [_attachment(20_000), _attachment(600_000), _long(), _many_recipients()]
    await _append(ada, "Work", *large, *(_answer(i, i - 1 if i else None) for i in range(5)))
    await _append(ada, "Old", *(_answer(10 + i, None) for i in range(6)))

    work = await ada.select("Work", False)
    await work.claim_recent()
    await work.store([5, 6], FlagChange("add", frozenset({"\\Deleted"})))
    await work.expunge()
    await work.store([1, 2], FlagChange("replace", frozenset({"\\Seen", "a-keyword"})))
    await work.copy([1, 2, 7], "Work/2026")
    await work.copy([3], "INBOX")
    await work.move([4], "Work/2026/März")
    await work.close()
    await ada.rename("Work/2026", "Records")
    await ada.rename("INBOX", "From the inbox")
    await _append(ada, "INBOX", _attachment(20_000), _answer(20, None))
    await ada.delete("Old")

    bob = await store.account("bob")
    await _append(bob, "INBOX", _attachment(600_000), *corpus[:5])
    again = AppendMessage(Spool.of(_answer(30, None)), key=b"the key of an import")
    await bob.append("Drafts", [again])


async def told(store: MailStore) -> dict[str, Any]:
    """What a store tells that was filled so: nothing in here may ever be another in a later state."""
    return {user.name: await _told_of(store, user) async for user in store.users.all()}


async def _told_of(store: MailStore, user: Any) -> dict[str, Any]:
    account = await store.account(user.name)
    mailboxes = {}
    for info in await account.mailboxes():
        if info.selectable:
            mailboxes[info.name] = await _mailbox(account, info.name)
    return {
        "disabled": user.disabled,
        "used": user.used,
        "quota": user.quota,
        "subscriptions": sorted(await account.subscriptions()),
        "mailboxes": mailboxes,
    }


async def _mailbox(account: StoreAccount, name: str) -> dict[str, Any]:
    status = await account.status(name)
    mailbox = await account.select(name, True)
    messages = []
    wanted = frozenset({"date", "size", "envelope", "bodystructure", "body", "content"})
    async for batch in mailbox.fetch(list(mailbox.index.uids), wanted):  # type: ignore[arg-type]
        for message in batch:
            [(_, modseq, flags)] = mailbox.index.rows([message.uid])
            content: Any = message.content
            whole = b"".join([piece async for piece in content.chunks(0, content.size)])
            shown = b"".join(
                each or b"" for each in (message.envelope, message.bodystructure, message.body)
            )
            date = message.internal_date
            assert date is not None
            messages.append(
                {
                    "uid": message.uid,
                    "modseq": modseq,
                    "flags": sorted(flags),
                    "date": [date.astimezone(UTC).isoformat(), str(date.utcoffset())],
                    "size": message.size,
                    "content": hashlib.sha256(whole).hexdigest(),
                    "shown": hashlib.sha256(shown).hexdigest(),
                }
            )
    await mailbox.close()
    return {
        "uidvalidity": status.uidvalidity,
        "uidnext": status.uidnext,
        "modseq": status.highest_modseq,
        "messages": status.messages,
        "unseen": status.unseen,
        "recent": status.recent,
        "size": status.size,
        "list": messages,
    }
