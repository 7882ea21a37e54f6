"""LMTP: whoever may deliver can't fill the server's memory, either."""

from __future__ import annotations

from typing import ClassVar

from tests.clients.server import USER
from tests.floods.crowd import Client
from tests.floods.support import GIB, MIB, FloodCase

ADDRESS = f"{USER}@example.org"


class DeliveryTests(FloodCase):
    counts: ClassVar = (100, 1_000)

    async def setUp(self) -> None:
        await super().setUp()
        await self.duckmail("address", "add", USER, ADDRESS)

    async def test_a_chunk_of_a_GiB_announced_takes_32_MiB_of_1000(self) -> None:
        """While a recipient is looked for, which takes 11 KiB: `limits.early`, one read of as many, and the connection."""

        def sent(client: Client) -> bool:
            return not client.unsent and client.heard.count(b"\r\n250 2.1.") >= 2

        begin = b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%b>\r\n" % ADDRESS.encode()
        data = begin + b"BDAT %d\r\n" % GIB + b"NOOP\r\n" * (MIB // 6)
        what = "lmtp: a chunk of 1 GiB announced, 1 MiB of it sent"
        clients = await self.flood("lmtp", what, data, sent, 32)
        for client in clients:
            self.assertNotIn(b"NOOP", client.heard)
            self.assertNotIn(b"\r\n250 2.0.0", client.heard)

    async def test_a_line_without_an_end_takes_16_MiB_of_1000(self) -> None:
        def refused(client: Client) -> bool:
            return not client.unsent and b"too long" in client.heard

        await self.flood("lmtp", "lmtp: 1 MiB without a line end", b"a" * MIB, refused, 16)

    async def test_2000_recipients_take_80_MiB_of_1000_and_a_hundred_are_taken(self) -> None:
        """Each of the hundred is kept with whom it is for, some 450 bytes; the rest is what is sent ahead, as above."""
        count = 2_000

        def done(client: Client) -> bool:
            return client.heard.endswith(b"250 2.0.0 done\r\n") or b"\r\n252 " in client.heard

        recipient = b"RCPT TO:<%b>\r\n" % ADDRESS.encode()
        data = b"LHLO x\r\nMAIL FROM:<>\r\n" + recipient * count + b"VRFY x\r\n"
        clients = await self.flood("lmtp", f"lmtp: {count} recipients", data, done, 80)
        for client in clients:
            self.assertEqual(client.heard.count(b"\r\n452 4.5.3"), count - 100)
