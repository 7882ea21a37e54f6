"""What comes and goes leaves nothing behind."""

from __future__ import annotations

import os
import random
import socket
import ssl
import struct
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import attrs

from tests.clients.server import PASSWORD, USER, Server
from tests.floods.census import ask, prepare
from tests.floods.crowd import HOST, PATIENCE
from tests.floods.support import FULL, MIB, FloodCase, Growth, crowd, log_in

#: Users who log in, again and again: their passwords are hashed once in a minute (`auth.cache`).
_USERS = (USER, *(f"{USER}{number}" for number in range(1, 8 if FULL else 3)))
_ADDRESS = f"{USER}@example.org"
#: Connections that are there at the same time.
_SIDE_BY_SIDE = 8
#: Seconds of the first connections, which are not measured: passwords are hashed a second time, timers have come and gone.
_WARM = 75 if FULL else 0
#: How many connections are begun before it is looked at the time again.
_BLOCK = 500
_ABORT = struct.pack("ii", 1, 0)
#: Seconds until the server has certainly heard of the end of all of them.
_SETTLED = 30
#: Of a client, until it is gone.
_SOCKET = "twisted.internet.tcp.Server"
#: Objects of a class that may be there beyond those before: timers that were cancelled, and what is kept of users.
_LEFT = 50
_HELLO = bytes.fromhex("16030100a5010000a10303")


@attrs.frozen
class Way:
    """A kind of conversation: what is said, step by step, and how each answer ends; `{user}` and `{password}` are filled in."""

    port: str
    steps: tuple[tuple[str, str], ...]
    tls: bool = False


_IMAP = (
    ("", "\r\n"),
    ('l LOGIN {user} "{password}"\r\n', "l OK"),
    ("a SELECT INBOX\r\n", "a OK"),
    ("b SEARCH ALL\r\n", "b OK"),
    ("c LOGOUT\r\n", "c OK"),
)
_POP3 = (
    ("", "\r\n"),
    ("USER {user}\r\n", "+OK"),
    ("PASS {password}\r\n", "+OK"),
    ("UIDL\r\n", "\r\n.\r\n"),
    ("QUIT\r\n", "+OK"),
)
_LMTP = (
    ("", "\r\n"),
    ("LHLO x\r\n", "250 "),
    ("MAIL FROM:<>\r\n", "250 "),
    (f"RCPT TO:<{_ADDRESS}>\r\n", "250 "),
    ("QUIT\r\n", "221"),
)
_CAPABILITIES = (("", "\r\n"), ("CAPA\r\n", "\r\n.\r\n"), ("QUIT\r\n", "+OK"))
#: In turn: one of six is TLS from the first byte, three of six log in.
_WAYS = (
    Way("imap", _IMAP),
    Way("pop3", _CAPABILITIES),
    Way("lmtp", _LMTP),
    Way("imaps", _IMAP, tls=True),
    Way("pop3", _POP3),
    Way("lmtp", _LMTP),
)


class TurnTests(FloodCase):
    """100,000 connections that come and go, a third of which is broken off somewhere: within 10 % of what was before."""

    timeout = 2 * 3600 if FULL else 180
    counts: ClassVar = (600, 100_000)

    async def setUp(self) -> None:
        await super().setUp()
        for user in _USERS[1:]:
            await self.duckmail("user", "add", user, "--password", PASSWORD)
        await self.duckmail("address", "add", USER, _ADDRESS)
        self.context = ssl.create_default_context(cafile=str(self.certificate))
        self.context.check_hostname = False

    async def test_connections_in_turn_leave_10_percent_at_most(self) -> None:
        await self.blocking(self.warm_up)
        growth, files, objects = await self.blocking(self.settled)
        began, before = time.monotonic(), self.connected
        await self.blocking(self.turns, self.count)
        seconds = time.monotonic() - began
        after, files_after, objects_after = await self.blocking(self.settled)
        turns = self.connected - before
        # Of TLS some are broken off before anybody can be told from a stranger.
        self.assertGreater(turns, self.count * 0.8)
        if FULL:
            print(
                f"\n    {turns:,} connections in {seconds:.0f} s; before and after: "
                f"{growth.before:.1f} and {after.before:.1f} MiB, {files} and {files_after} open files"
            )
        left = {kind: count for kind, count in (objects_after - objects).items() if count > _LEFT}
        self.assertEqual(left, {}, f"objects that {turns} connections left behind")
        percent = 100 * (after.before / growth.before - 1)
        self.figure("resident memory after connections in turn", percent, 10, "% more than before")
        more = 100 * (files_after / files - 1)
        self.figure("open files after connections in turn", more, 10, "% more than before")

    def environment(self) -> dict[str, str]:
        usual = super().environment()
        return {
            **usual,
            "PYTHONPATH": f"{self.directory}{os.pathsep}{usual['PYTHONPATH']}",
            # What a password's hash took is given back at once (glibc): how much of that is kept depends on who came together.
            "MALLOC_MMAP_THRESHOLD_": str(MIB),
        }

    async def start(self, *more: str) -> Server:
        prepare(self.directory)
        return await super().start(*more)

    @property
    def connected(self) -> int:
        """How many connections the server has had."""
        return self.server.log.count(" connected from ")

    def settled(self) -> tuple[Growth, int, Counter[str]]:
        """What the process has when the last connections are over, which it hears of a moment later than we."""
        until = time.monotonic() + _SETTLED
        pid: Any = self.server.transport.pid
        while (objects := ask(pid, self.directory))[_SOCKET] and time.monotonic() < until:
            time.sleep(0.5)
        growth = self.growth()
        return growth, growth.files, objects

    def warm_up(self) -> None:
        """Every kind of connection; as many passwords are hashed at once as ever will be."""
        until = time.monotonic() + _WARM
        with crowd(self.server.ports["imap"], len(_USERS)) as everybody:
            for client, user in zip(everybody.clients, _USERS, strict=True):
                client.unsent = memoryview(f'l LOGIN {user} "{PASSWORD}"\r\n'.encode())
            self.assertTrue(everybody.until(lambda client: b"l OK" in client.heard))
        self.turns(self.count // 10 if FULL else self.count // 3)
        while time.monotonic() < until:
            self.turns(_BLOCK)

    def turns(self, count: int) -> None:
        """Make so many connections."""
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
            deque(threads.map(self.turn, range(count)), 0)

    def turn(self, number: int) -> None:
        """One connection, to its end, or to where it is broken off."""
        way = _WAYS[number % len(_WAYS)]
        user = random.choice(_USERS)
        steps = [
            (said.format(user=user, password=PASSWORD).encode(), answer.encode())
            for said, answer in way.steps
        ]
        until = random.randrange(len(steps)) if not random.randrange(3) else len(steps)
        with socket.create_connection((HOST, self.server.ports[way.port]), PATIENCE) as plain:
            if until < len(steps):
                # RST, and what was sent is lost.
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            if not way.tls:
                self.converse(plain, steps, until)
            elif until or random.randrange(2):
                with self.context.wrap_socket(plain) as secure:
                    self.converse(secure, steps, until)
            else:
                # In the middle of the handshake.
                plain.sendall(_HELLO)

    def converse(self, client: socket.socket, steps: list[tuple[bytes, bytes]], until: int) -> None:
        """The first steps; then a bit of the next."""
        for said, answer in steps[:until]:
            client.sendall(said)
            heard = b""
            while answer not in heard:
                data = client.recv(4096)
                self.assertTrue(data, (said, heard))
                heard += data
        if until < len(steps):
            client.sendall(steps[until][0][: random.randrange(8)])


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
