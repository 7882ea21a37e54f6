"""Answers that nobody reads: what is sent ahead waits in the sockets, and what waits to be read takes 2 MiB of a connection.

Five minutes without progress, `limits.reading`, are 3 seconds here in short.
"""

from __future__ import annotations

import re
import time
from typing import Any, ClassVar

from tests.clients.server import PASSWORD, USER
from tests.floods.crowd import Client
from tests.floods.support import FULL, GIB, LOGIN, MIB, FloodCase, Growth, crowd, log_in

#: Bytes of a message, and how often it is there.
_SIZE = 4 * MIB
#: How the log has it.
_UNREAD = "closed: the client does not read"
_TIMES = GIB // _SIZE if FULL else 16


class UnreadTests(FloodCase):
    counts: ClassVar = (5, 50)
    limits: ClassVar = {"reading": 3, "farewell": 2}
    #: Seconds after which whoever has not moved is certainly gone: it is looked at twice.
    gone = 2 * 300 + 30 if FULL else 2 * 3 + 20

    def look(self, growth: Growth, what: str) -> None:
        self.figure(f"{what}, of each of {self.count}", growth.peak / self.count, 2, "MiB")

    def unread(self, name: str, begin: tuple[bytes, bytes], data: bytes, what: str) -> None:
        for count in (1, self.count):
            with crowd(self.server.ports[name], count) as everybody:
                everybody.ask(*begin)
                growth, before = self.growth(), self.server.log.count(_UNREAD)
                for client in everybody.clients:
                    client.reads = False
                everybody.say(data)
                # Until nobody can send any more.
                moved: Any = None
                while moved != (now := sum(client.sent for client in everybody.clients)):
                    moved = now
                    everybody.until(lambda client: False, patience=1)
                if count == self.count:
                    self.look(growth, what)
                    self.all_are_ended(everybody.clients, before)

    def all_are_ended(self, clients: list[Client], before: int) -> None:
        began = time.monotonic()
        while self.server.log.count(_UNREAD) - before < len(clients):
            self.assertLess(time.monotonic() - began, self.gone, "they are still there")
            time.sleep(0.2)
        if FULL:
            print(f"    ended after {time.monotonic() - began:.0f} s")

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
