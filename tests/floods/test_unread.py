"""Answers that nobody reads: what is sent ahead waits in the sockets, and what waits to be read takes 2 MiB of a connection."""

from __future__ import annotations

import re
import time
from typing import ClassVar

from tests.clients.server import PASSWORD, USER
from tests.floods.support import FULL, GIB, LOGIN, MIB, FloodCase, Growth, crowd, log_in
from tests.floods.unread import UnreadCase

#: Bytes of a message, and how often it is there.
_SIZE = 4 * MIB
_TIMES = GIB // _SIZE if FULL else 16


class UnreadTests(UnreadCase):
    counts: ClassVar = (5, 50)

    async def test_10000_commands_sent_ahead_take_2_MiB_of_each(self) -> None:
        await self.blocking(self.one_message)
        data = b"s SELECT INBOX\r\n" + b"a FETCH 1 BODY.PEEK[]\r\n" * 10_000
        what = "imap: 10,000 commands, and no answer is read"
        await self.blocking(self.unread, "imap", (LOGIN, b"l OK"), data, what)
        begin = f"USER {USER}\r\nPASS {PASSWORD}\r\n".encode(), b"+OK 1 messages"
        data = b"RETR 1\r\n" * 10_000
        what = "pop3: 10,000 commands, and no answer is read"
        await self.blocking(self.unread, "pop3", begin, data, what)

    def one_message(self) -> None:
        with crowd(self.server.ports["imap"], 1) as one:
            log_in(one)
            one.ask(
                b"a APPEND INBOX {32018+}\r\nSubject: middle\r\n\r\n" + b"x" * 31_999 + b"\r\n",
                b"a OK",
            )

    async def test_a_FETCH_of_a_GiB_that_is_not_read_takes_2_MiB_of_each(self) -> None:
        await self.blocking(self.fill)
        what = f"imap: FETCH of {_SIZE * _TIMES // MIB} MiB unread"
        data = b"s SELECT Big\r\na FETCH 1:* BODY.PEEK[]\r\n"
        await self.blocking(self.unread, "imap", (LOGIN, b"l OK"), data, what)

    async def test_a_FETCH_at_1_KiB_a_second_takes_2_MiB_of_each(self) -> None:
        await self.blocking(self.fill)
        await self.blocking(self.trickle)

    def fill(self) -> None:
        """A mailbox of a GiB, all of it one message."""
        with crowd(self.server.ports["imap"], 1) as one:
            log_in(one)
            one.ask(b"a CREATE Big\r\n", b"a OK")
            message = b"Subject: big\r\n\r\n" + b"0123456789abcdef" * (_SIZE // 16)
            one.ask(b"a APPEND Big {%d+}\r\n" % len(message) + message + b"\r\n", b"a OK")
            one.ask(b"a SELECT Big\r\n", b"a OK")
            have = 1
            while have < _TIMES:
                one.ask(b"a COPY 1:%d Big\r\n" % min(have, _TIMES - have), b"a OK")
                have *= 2
            one.ask(b"a STATUS Big (MESSAGES)\r\n", b"a OK")
            [count] = re.findall(rb"MESSAGES (\d+)", one.clients[0].heard)
            self.assertEqual(int(count), _TIMES)

    def trickle(self) -> None:
        with crowd(self.server.ports["imap"], self.count) as everybody:
            log_in(everybody)
            growth = self.growth()
            everybody.say(b"s SELECT Big\r\na FETCH 1:* BODY.PEEK[]\r\n")
            everybody.until(lambda client: not client.unsent)
            for _ in range(120 if FULL else 5):
                for client in everybody.clients:
                    try:
                        client.socket.recv(1024)
                    except BlockingIOError:
                        pass
                time.sleep(1)
            self.look(growth, f"imap: FETCH of {_SIZE * _TIMES // MIB} MiB at 1 KiB a second")


class CompressedTests(FloodCase):
    counts: ClassVar = (1, 1)

    async def test_1_MiB_that_stands_for_a_GiB_takes_1_MiB_more(self) -> None:
        """The bound on what is dropped, `limits.message`, is passed at 64 MiB of it."""
        import zlib

        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        first = deflate.compress(b"a" * MIB) + deflate.flush(zlib.Z_FULL_FLUSH)
        # What stands behind a full flush refers to nothing before it.
        bomb = first * (GIB // MIB)
        self.assertLess(len(bomb), 1.2 * MIB)

        def run() -> Growth:
            with crowd(self.server.ports["imap"], 1) as one:
                log_in(one)
                one.ask(b"c COMPRESS DEFLATE\r\n", b"c OK")
                growth = self.growth()
                one.forget()
                one.say(bomb)
                self.assertTrue(one.until(lambda client: client.over))
                inflate = zlib.decompressobj(-15)
                said = inflate.decompress(bytes(one.clients[0].heard))
                self.assertIn(b"* BAD too long: the limit of the line was reached\r\n", said)
                self.assertIn(b"* BYE ", said)
                return growth

        # Each connection that compresses has 110 KiB of zlib's, and they are measured as well.
        for _ in range(3):
            await self.blocking(run)
        growth = await self.blocking(run)
        self.figure("imap: 1 MiB that inflates to 1 GiB", growth.peak, 1, "MiB")
