"""Whoever has not logged in can send what it likes, and the server takes next to nothing of it."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from tests.floods.crowd import Client
from tests.floods.support import FULL, GIB, MIB, FloodCase, crowd


def answered(client: Client) -> bool:
    return client.over or b"\n" in client.heard


def over(client: Client) -> bool:
    return client.over


class LiteralTests(FloodCase):
    async def test_a_literal_of_a_GiB_is_refused_in_a_second_and_takes_8_MiB_of_1000(self) -> None:
        what = "a literal of 1 GiB announced at LOGIN"
        clients = await self.flood("imap", what, b"a LOGIN {%d}\r\n" % GIB, answered, 8)
        for client in clients:
            self.assertRegex(bytes(client.heard), rb"\Aa BAD [^\r\n]+\r\n\Z")
        if FULL:
            slowest = max(client.heard_at for client in clients)
            self.figure("the last of them is refused", slowest, 1, "s")

    async def test_64_KiB_are_read_of_a_literal_sent_unasked_and_none_of_it_is_run(self) -> None:
        # However it is cut, what follows the announcement looks like commands.
        commands = b"x CAPABILITY\r\ny LOGOUT\r\n"
        data = b"a LOGIN {%d+}\r\n" % GIB + commands * (MIB // len(commands))
        what = "a literal of 1 GiB at LOGIN, 1 MiB of it sent unasked"
        clients = await self.flood("imap", what, data, over, 32)
        for client in clients:
            for line in client.lines:
                self.assertRegex(line, rb"\A(a BAD|\* BYE) ")
        read = self.read_by_server()
        self.assertGreaterEqual(len(read), self.count)
        self.figure("octets read of one of them", max(read), 64 * 1024, "bytes")


class LineTests(FloodCase):
    """16 MiB for a thousand."""

    async def test_a_line_without_an_end_is_cut_at_8_KiB_and_takes_16_MiB_of_1000(self) -> None:
        for name in ("imap", "pop3"):
            what = f"{name}: 1 MiB without a line end"
            clients = await self.flood(name, what, b"a" * MIB, over, 16)
            self.assertTrue(all(b"too long" in client.heard for client in clients))
        # One read of a socket.
        self.figure("octets read of one of them", max(self.read_by_server()), 64 * 1024, "bytes")

    async def test_a_response_to_a_challenge_is_cut_as_well(self) -> None:
        for name, begin in (("imap", b"a AUTHENTICATE PLAIN\r\n"), ("pop3", b"AUTH PLAIN\r\n")):
            what = f"{name}: 1 MiB in answer to a challenge"
            clients = await self.flood(name, what, begin + b"A" * MIB, over, 16)
            self.assertTrue(all(b"too long" in client.heard for client in clients))

    async def test_4000_parentheses_take_16_MiB_of_1000(self) -> None:
        data = b"a SEARCH " + b"(" * 4_000 + b"\r\n"
        await self.flood("imap", "4,000 open parentheses", data, answered, 16)

    async def test_2000_literals_in_a_command_take_16_MiB_of_1000(self) -> None:
        data = b"a LOGIN " + b"{1+}\r\nx " * 2_000 + b"\r\n"
        clients = await self.flood("imap", "2,000 literals in a command", data, over, 16)
        for client in clients:
            # A reset overtakes the last words now and then.
            self.assertIn(len(client.lines), (0, 2))


class SlowTests(FloodCase):
    """At `limits.login` it is over, counted from the beginning: 60 seconds, or 3 here in short."""

    counts: ClassVar = (20, 1_000)
    limits: ClassVar = {"login": 3}
    login, pause = (60, 10.0) if FULL else (3, 0.5)

    async def test_a_byte_now_and_then_is_gone_when_the_time_for_login_is(self) -> None:
        def run(name: str) -> tuple[float, float]:
            growth = self.growth()
            with crowd(self.server.ports[name], self.count) as everybody:
                began = time.monotonic()
                while not everybody.until(over, patience=self.pause):
                    everybody.say(b"a")
                    self.assertLess(time.monotonic() - began, self.login + 20)
                return max(each.over_at for each in everybody.clients) - began, growth.peak

        for name in ("imap", "pop3"):
            seconds, mib = await self.blocking(run, name)
            self.memory(f"{name}: a byte every {self.pause:g} s", mib, 16)
            # The clients connect one after the other, and look when they send.
            self.figure("the last of them is gone", seconds, self.login + 2 * self.pause, "s")


class StrangerTests(FloodCase):
    counts: ClassVar = (20, 1_000)

    async def test_HTTP_and_TLS_end_with_one_line(self) -> None:
        hello = bytes.fromhex("16030100a5010000a10303") + bytes(range(0x20, 0xB0))
        http = b"GET / HTTP/1.1\r\nHost: mail.example.org\r\nAccept: */*\r\n\r\n"
        for name in ("imap", "pop3", "lmtp"):
            for what, data in (("TLS", hello), ("HTTP", http)):
                clients: Any = await self.flood(name, f"{name}: {what}", data, over, 16)
                for client in clients:
                    self.assertEqual(len(client.lines), 1, client.lines)
                    self.assertIn(what.encode(), client.heard)
