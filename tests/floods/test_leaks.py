"""What comes and goes leaves nothing behind."""

from __future__ import annotations

import random
import socket
import struct
import time
from typing import ClassVar

from tests.floods.crowd import HOST, PATIENCE
from tests.floods.support import FULL, LOGIN, FloodCase, Growth, crowd, log_in

#: What is said, step by step, and how each answer ends.
_IMAP = (
    (b"", b"\r\n"),
    (LOGIN, b"l OK"),
    (b"a SELECT INBOX\r\n", b"a OK"),
    (b"b SEARCH ALL\r\n", b"b OK"),
    (b"c LOGOUT\r\n", b"c OK"),
)
_POP3 = ((b"", b"\r\n"), (b"CAPA\r\n", b"\r\n.\r\n"), (b"QUIT\r\n", b"+OK"))
_LMTP = (
    (b"", b"\r\n"),
    (b"LHLO x\r\n", b"250 "),
    (b"MAIL FROM:<>\r\n", b"250 "),
    (b"QUIT\r\n", b"221"),
)
_ABORT = struct.pack("ii", 1, 0)
#: Seconds that all of them may take: on a busy machine there are as many as there is time for, and as it says.
_TIME = 15 * 60


def converse(port: int, steps: tuple[tuple[bytes, bytes], ...], until: int, abort: bool) -> None:
    """The first steps of a conversation; then it is broken off, or just left."""
    with socket.create_connection((HOST, port), PATIENCE) as client:
        for said, answer in steps[:until]:
            client.sendall(said)
            heard = b""
            while answer not in heard and (data := client.recv(4096)):
                heard += data
        if abort:
            if until < len(steps):
                client.sendall(steps[until][0][: random.randrange(8)])
            # RST, and what was sent is lost.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)


class TurnTests(FloodCase):
    """100,000 connections, one after the other, a third of which is broken off somewhere: within 10 % of what was before."""

    counts: ClassVar = (1_500, 100_000)

    async def test_connections_in_turn_leave_10_percent_at_most(self) -> None:
        await self.blocking(self.turn, self.count // 3)
        growth = self.growth()
        files = growth.files
        turns = await self.blocking(self.turn, self.count)
        time.sleep(1)
        self.figure("connections in turn", turns, self.count, "connections")
        percent = 100 * growth.now / growth.before
        self.figure(f"resident memory after them, beyond {growth.before:.0f} MiB", percent, 10, "%")
        self.figure(
            "open files after them, beyond those before", growth.files - files, files / 10, ""
        )

    def turn(self, count: int) -> int:
        """How many there were."""
        ports = self.server.ports
        ways = ((ports["imap"], _IMAP), (ports["pop3"], _POP3), (ports["lmtp"], _LMTP))
        deadline = time.monotonic() + _TIME * count / self.count
        for number in range(count):
            if time.monotonic() > deadline:
                return number
            port, steps = ways[number % 3]
            abort = not random.randrange(3)
            converse(port, steps, random.randrange(len(steps)) if abort else len(steps), abort)
        return count


class LoopTests(FloodCase):
    """A day of a client that looks every four seconds, without the seconds."""

    counts: ClassVar = (500, 20_000)

    async def test_a_day_of_SELECT_and_SEARCH_has_no_slope(self) -> None:
        growth, rounds = await self.blocking(self.loop), self.count
        # What a collection of garbage has not come to yet is within the noise.
        most = 1 if FULL else 4
        slope = growth.now * 1024 / (rounds / 1_000)
        if FULL:
            print(f"\n    slope: {slope:.1f} KiB for 1,000 rounds")
        self.figure(f"growth over {rounds:,} rounds of SELECT and SEARCH", growth.now, most, "MiB")

    def loop(self) -> Growth:
        with crowd(self.server.ports["imap"], 1) as one:
            log_in(one)
            one.ask(b"a APPEND INBOX {16+}\r\nSubject: x\r\n\r\nx\r\n\r\n", b"a OK")

            def rounds(count: int) -> None:
                for _ in range(count):
                    one.ask(b"a SELECT INBOX\r\n", b"a OK")
                    one.ask(b"b UID SEARCH OR SUBJECT x BODY y\r\n", b"b OK")

            rounds(self.count // 4)
            growth = self.growth()
            rounds(self.count)
            return growth
