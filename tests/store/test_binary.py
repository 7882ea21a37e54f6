"""BINARY of messages as they are stored: what is kept decoded is not encoded first (RFC 3516)."""

from __future__ import annotations

import base64
import random
import tracemalloc
from typing import Any

from tests.store.base import StoreTestCase
from tests.store.recorder import Recorder
from twisted_duck.held import BytesContent
from twisted_duck.imap.commands.binary import say_binary, say_binary_size
from twisted_duck.imap.grammar import BinarySize, FetchBinary, Partial
from twisted_duck.mime.scan import scan
from twisted_duck.store.rope import BLOB_FROM

_DATA = random.Random(7).randbytes(700_000)


def message(body: bytes, encoding: bytes = b"base64", type_: bytes = b"image/x") -> bytes:
    return (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
        b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b\r\n--b--\r\n"
        % (type_, encoding, body)
    )


def lines(data: bytes, width: int, end: bytes) -> bytes:
    text = base64.b64encode(data)
    return end.join(text[at : at + width] for at in range(0, len(text), width))


async def no_pause() -> None:
    pass


async def said(item: FetchBinary | BinarySize, content: Any) -> bytes:
    if isinstance(item, BinarySize):
        return b"".join([piece async for piece in say_binary_size(item, content, no_pause)])
    return b"".join([piece async for piece in say_binary(item, content, no_pause)])


class StoredBinaryTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        self.account = await self.make_user(self.store)

    async def stored(self, data: bytes) -> Any:
        [uid] = await self.put(self.account, "INBOX", data)
        mailbox = await self.account.select("INBOX", True)
        [[found]] = [batch async for batch in mailbox.fetch([uid], frozenset({"content"}))]
        return found.content

    async def test_it_is_what_the_same_bytes_say(self) -> None:
        text = b"caf=C3=A9 =41\n" * 20_000
        for written in (
            message(lines(_DATA, 76, b"\r\n")),
            message(lines(_DATA, 76, b"\r\n") + b"\r\n\r\n"),
            message(lines(_DATA, 64, b"\n")),
            message(base64.b64encode(_DATA)),
            message(lines(_DATA[: BLOB_FROM + 1], 76, b"\r\n")),
            message(lines(_DATA[:1000], 76, b"\r\n")),
            # Not canonical: kept as it is.
            message(lines(_DATA, 75, b"\r\n")),
            message(lines(_DATA, 76, b"\r\n") + b"\r\nand more"),
            message(lines(_DATA, 76, b"\r\n"), type_=b"text/plain"),
            message(text, b"quoted-printable", b"text/plain"),
            message(text, b"8bit", b"text/plain"),
            message(text, b"8bit"),
        ):
            stored = await self.stored(written)
            held = BytesContent(written, scan(written))
            for item in (
                BinarySize((2,)),
                FetchBinary((2,)),
                FetchBinary((2,), Partial(0, 10)),
                FetchBinary((2,), Partial(190_000, 300_000)),
                FetchBinary((2,), Partial(300_001, 5)),
                FetchBinary((2,), Partial(10**9, 5)),
                FetchBinary((1,)),
                FetchBinary(()),
            ):
                self.assertEqual(await said(item, stored), await said(item, held))

    async def test_size_of_what_is_kept_decoded_reads_nothing_and_a_slice_its_chunks(self) -> None:
        stored = await self.stored(message(lines(_DATA, 76, b"\r\n")))
        before = len(self.recorder.names)
        self.assertEqual(await said(BinarySize((2,)), stored), b"BINARY.SIZE[2] 700000")
        self.assertEqual(len(self.recorder.names), before)
        found = await said(FetchBinary((2,), Partial(699_000, 5000)), stored)
        self.assertEqual(found, b"BINARY[2]<699000> ~{1000}\r\n" + _DATA[699_000:])
        self.assertEqual(self.recorder.names[before:], ["find blobs"])

    async def test_memory_does_not_grow_with_the_message(self) -> None:
        for body, encoding in (
            (lines(_DATA * 12, 76, b"\r\n"), b"base64"),
            (lines(_DATA * 12, 75, b"\r\n"), b"base64"),
            (b"=41=42 text\r\n" * 900_000, b"quoted-printable"),
        ):
            stored = await self.stored(message(body, encoding))
            await said(FetchBinary((2,), Partial(0, 1)), stored)
            tracemalloc.start()
            try:
                octets = 0
                async for piece in say_binary(FetchBinary((2,)), stored, no_pause):
                    octets += len(piece)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            self.assertGreater(octets, 5_000_000)
            self.assertLess(peak, 4_000_000)
