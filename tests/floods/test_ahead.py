"""APPENDs that are sent ahead by clients that read no answer: begun are a few of them, and those that were answered are there."""

from __future__ import annotations

import re
from typing import ClassVar

from tests.floods.crowd import Client
from tests.floods.support import FULL, KIB, LOGIN, crowd, log_in
from tests.floods.unread import UnreadCase

#: Octets that a tag may have, nearly, so that answers fill what the kernel keeps for who does not read.
_LONG = 60_000
#: One that was done: what its tag begins with, and the UID.
_DONE = re.compile(rb"^(\d+)t* OK \[APPENDUID \d+ (\d+)\]", re.MULTILINE)
_THERE = re.compile(rb"UID (\d+) BODY\[HEADER.FIELDS \(SUBJECT\)\] {\d+}\r\nSubject: (\d+)\r\n")


def append(number: int, size: int, tag: int) -> bytes:
    """A command whose tag and message say `number`; `size` and `tag` are how long they are."""
    message = (b"Subject: %d\r\n\r\n" % number).ljust(size - 2, b"x") + b"\r\n"
    return (b"%d" % number).ljust(tag, b"t") + b" APPEND INBOX {%d+}\r\n%b\r\n" % (size, message)


class AheadTests(UnreadCase):
    counts: ClassVar = (5, 1_000)

    async def test_600_small_ones_take_2_MiB_of_each_of_1000(self) -> None:
        small = [append(number, 200, 1) for number in range(100 if FULL else 40)]
        # What is kept of a command are not only its messages.
        more = [append(number, 200, _LONG) for number in range(len(small), 600)]
        await self.ahead("600 APPENDs of 200 bytes", b"".join(small + more))

    async def test_those_of_60_KiB_take_2_MiB_of_each_of_1000(self) -> None:
        # Five are as many as may be begun.
        data = b"".join(append(number, 60 * KIB, 1) for number in range(8))
        await self.ahead("APPENDs of 60 KiB", data + (b"t" * _LONG + b" NOOP\r\n") * 600)

    async def ahead(self, what: str, data: bytes) -> None:
        clients = await self.blocking(
            self.unread, "imap", (LOGIN, b"l OK"), data, f"imap: {what} sent ahead"
        )
        for client in clients:
            self.assertLess(client.sent, len(data), "reading did not stop")
        await self.blocking(self.are_there, clients)

    def are_there(self, clients: list[Client]) -> None:
        """Everything of which a client has an OK, once for each."""
        done = [found for client in clients for found in _DONE.findall(client.heard)]
        self.assertGreaterEqual(len(done), len(clients))
        uids = [uid for _, uid in done]
        self.assertEqual(len(set(uids)), len(uids))
        with crowd(self.server.ports["imap"], 1) as one:
            log_in(one)
            one.ask(b"a SELECT INBOX\r\n", b"a OK")
            one.ask(b"b UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\n", b"b OK")
            there = dict(_THERE.findall(one.clients[0].heard))
        self.assertEqual([(there.get(uid), uid) for _, uid in done], done)
