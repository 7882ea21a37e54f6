"""The messages: each number has its own, always the same, and what a search must find in them is known."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

#: Who sends mail, one after the other.
SENDERS = 50
#: A word in the subject of the messages that it divides so ...
SUBJECT_WORD, SUBJECT_EVERY = "quarterly", 20
#: ... and in the body.
BODY_WORD, BODY_EVERY = "needle", 40
#: Seconds since the epoch when the first arrived, 2025-01-01 12:00 UTC; two thousand of them come in a year.
FIRST, APART = 1735732800, 15768

_TEXT = (
    "time year people way day man thing woman life child world school state family student group country problem hand"
    " part place case week company system program question work government number night point home water room mother"
    " area money story fact month lot right study book eye job word business issue side kind head house service friend"
)
_WORDS = _TEXT.split()


@dataclass(frozen=True)
class Mail:
    number: int
    data: bytes

    @property
    def arrived(self) -> int:
        """Seconds since the epoch."""
        return FIRST + APART * self.number

    @cached_property
    def literal(self) -> bytes:
        """As APPEND has it, its literal without waiting (RFC 7888)."""
        date = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(self.arrived))
        return b'() "%b" {%d+}\r\n%b' % (date.encode(), len(self.data), self.data)


#: What SEARCH is asked for, and which messages have it.
KEYS: dict[str, tuple[bytes, Callable[[Mail], bool]]] = {
    "from": (b"FROM sender7@sender.example", lambda mail: mail.number % SENDERS == 7),
    "subject": (
        b"SUBJECT " + SUBJECT_WORD.encode(),
        lambda mail: mail.number % SUBJECT_EVERY == 7,
    ),
    "body": (b"BODY " + BODY_WORD.encode(), lambda mail: mail.number % BODY_EVERY == 3),
    "since": (b"SINCE 1-Jul-2025", lambda mail: mail.arrived >= 1751328000),
}
#: The same where a server can't know the answer from the last time: what it is asked for by number, and which messages have it.
OTHERS: dict[str, tuple[Callable[[int], bytes], Callable[[Mail, int], bool]]] = {
    "from": (
        lambda number: b"FROM sender%d@sender.example" % (number % SENDERS),
        lambda mail, number: mail.number % SENDERS == number % SENDERS,
    ),
    "since": (
        lambda number: time.strftime("SINCE %d-%b-%Y", time.gmtime(_day(number))).encode(),
        lambda mail, number: mail.arrived >= _day(number),
    ),
}


def _day(number: int) -> int:
    """Midnight of one of the days on which messages came."""
    return (FIRST // 86400 + 1 + number % 360) * 86400


def mailbox(messages: int, size: int) -> list[Mail]:
    return [Mail(number, message(number, size)) for number in range(messages)]


def message(number: int, size: int) -> bytes:
    """About `size` bytes: of twenty, twelve are plain text, five have HTML too, three an attachment."""
    chance = random.Random(number)
    sender = number % SENDERS
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(FIRST + APART * number))
    subject = " ".join(chance.choices(_WORDS, k=5))
    if number % SUBJECT_EVERY == 7:
        subject += " " + SUBJECT_WORD
    if number % 10 == 0:
        subject = f"=?utf-8?B?{base64.b64encode(('Entwürfe: ' + subject).encode()).decode()}?="
    head = [
        f"Return-Path: <sender{sender}@sender.example>",
        f"Received: from mx{sender}.sender.example (mx{sender}.sender.example [192.0.2.{sender + 1}])",
        f"\tby mx.example.com with ESMTPS id {number:08x}",
        f"\tfor <user@example.com>; {date}",
        f'From: "Sender Number {sender}" <sender{sender}@sender.example>',
        f'To: "User" <user@example.com>, "Other" <other{number % 7}@example.com>',
        *([f"Cc: third{number % 11}@example.org"] if number % 3 == 0 else []),
        f"Subject: {subject}",
        f"Date: {date}",
        f"Message-ID: <{number}@sender.example>",
        *([f"In-Reply-To: <{number - 1}@sender.example>"] if number % 4 == 1 else []),
        "MIME-Version: 1.0",
    ]
    mark = f"a {BODY_WORD} is here\r\n" if number % BODY_EVERY == 3 else ""
    room = max(100, size - sum(map(len, head)) - 2 * len(head))
    kind, body = _body(chance, number, room, mark)
    return "\r\n".join([*head, *kind, "", body]).encode()


def _body(chance: random.Random, number: int, room: int, mark: str) -> tuple[list[str], str]:
    """Lines of the header that say what it is, and itself."""
    plain = ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 7bit"]
    if number % 20 < 12:
        return plain, mark + _text(chance, room - 80)
    boundary = f"b{chance.getrandbits(64):016x}"
    inner = "\r\n".join([*plain, "", mark])
    if number % 20 < 17:
        kind = "alternative"
        text = _text(chance, (room - 350) // 2)
        other = (
            "Content-Type: text/html; charset=utf-8\r\n\r\n"
            f"<html><body>\r\n<p>{text}</p>\r\n</body></html>\r\n"
        )
    else:
        kind = "mixed"
        text = _text(chance, (room - 450) // 2)
        name = f"file{number % 10}.pdf"
        content = base64.encodebytes(chance.randbytes(max(1, (room - 450) * 3 // 8)))
        other = (
            f'Content-Type: application/pdf; name="{name}"\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n'
            f"Content-Transfer-Encoding: base64\r\n\r\n{content.decode()}".replace("\n", "\r\n")
        ).replace("\r\r", "\r")
    head = [f'Content-Type: multipart/{kind}; boundary="{boundary}"']
    return head, f"--{boundary}\r\n{inner}{text}\r\n--{boundary}\r\n{other}--{boundary}--\r\n"


def _text(chance: random.Random, size: int) -> str:
    lines: list[str] = []
    while size > 0:
        line = " ".join(chance.choices(_WORDS, k=12))
        lines.append(line)
        size -= len(line) + 2
    return "\r\n".join([*lines, ""])
