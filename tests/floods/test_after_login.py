"""Whoever has logged in has more room, and no more than that."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.floods.crowd import Client
from tests.floods.support import MIB, FloodCase, Growth, crowd, log_in


def answered(client: Client) -> bool:
    return client.over or b"\na " in b"\n" + client.heard


class LineTests(FloodCase):
    """At the peak; a line that may have 64 KiB takes as much while it arrives, of a thousand at once."""

    counts: ClassVar = (50, 1_000)

    async def flood_after_login(self, what: str, data: bytes, done: Any, most: float) -> list[Any]:
        def run(count: int) -> tuple[Growth, list[Any]]:
            with crowd(self.server.ports["imap"], count) as everybody:
                log_in(everybody)
                everybody.ask(b"s SELECT INBOX\r\n", b"s OK")
                growth = self.growth()
                everybody.forget()
                everybody.say(data)
                self.assertTrue(everybody.until(done, patience=self.patience), what)
                return growth, everybody.clients

        await self.blocking(run, 20)
        growth, clients = await self.blocking(run, self.count)
        self.memory(what, growth.peak, most)
        return clients

    async def test_a_line_without_an_end_is_cut_at_64_KiB_and_takes_80_MiB_of_1000(self) -> None:
        def refused(client: Client) -> bool:
            return not client.unsent and client.heard.endswith(b"\r\n")

        what = "after login: 1 MiB without a line end"
        clients = await self.flood_after_login(what, b"a" * MIB, refused, 80)
        for client in clients:
            self.assertEqual(client.lines, [b"* BAD too long: the limit of the line was reached"])

    async def test_4000_parentheses_and_2000_literals_take_16_MiB_of_1000(self) -> None:
        for what, data in (
            ("4,000 open parentheses", b"a SEARCH " + b"(" * 4_000 + b"\r\n"),
            ("2,000 literals in a command", b"a SEARCH" + b" TEXT {1+}\r\nx" * 2_000 + b"\r\n"),
        ):
            clients = await self.flood_after_login(f"after login: {what}", data, answered, 16)
            for client in clients:
                self.assertRegex(bytes(client.heard), rb"\Aa BAD [^\r\n]+\r\n\Z")
