"""Compressed streams: there and back, in any pieces, never more than was asked for."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import BrokenStream
from twisted_duck.wire.deflate import Deflater, Inflater


def deflated(data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush(flush)


class DeflaterTests(SynchronousTestCase):
    def test_each_piece_can_be_read_to_its_end_as_soon_as_it_is_there(self) -> None:
        deflate, client = Deflater(), zlib.decompressobj(-15)
        for piece in (b"* OK hello\r\n", b"* 1 FETCH (FLAGS ())\r\n", b"x" * 100_000, b"\r\n"):
            self.assertEqual(client.decompress(deflate(piece)), piece)

    def test_what_was_said_before_makes_it_small(self) -> None:
        deflate = Deflater()
        lines = [b"* %d FETCH (UID %d FLAGS (\\Seen))\r\n" % (n, n) for n in range(1, 500)]
        deflate(lines[0])
        self.assertLess(len(deflate(b"".join(lines[1:]))), len(b"".join(lines)) / 4)


class InflaterTests(SynchronousTestCase):
    @given(st.lists(st.binary(min_size=1)), st.integers(1, 30), st.integers(1, 50))
    def test_in_any_pieces(self, data: list[bytes], size: int, limit: int) -> None:
        deflate, inflater = Deflater(), Inflater()
        sent = b"".join(map(deflate, data))
        got = bytearray()
        for at in range(0, len(sent), size):
            inflater.feed(sent[at : at + size])
            while inflater.buffered:
                some = inflater.take(limit)
                self.assertLessEqual(len(some), limit)
                got += some
        self.assertEqual(bytes(got), b"".join(data))

    def test_one_octet_that_stands_for_many(self) -> None:
        """Nothing is left to be fed, and there is still something to take."""
        inflater = Inflater()
        inflater.feed(deflated(b"\0" * 1000))
        self.assertEqual([len(inflater.take(300)) for _ in range(4)], [300, 300, 300, 100])
        self.assertEqual((inflater.take(300), inflater.buffered), (b"", 0))

    def test_a_flush_alone_is_nothing(self) -> None:
        inflater = Inflater()
        inflater.feed(deflated(b""))
        self.assertEqual((inflater.take(10), inflater.buffered), (b"", 0))

    def test_what_is_not_compressed(self) -> None:
        inflater = Inflater()
        inflater.feed(b"a1 NOOP\r\n" * 10)
        for _ in range(2):
            self.assertRaises(BrokenStream, inflater.take, 100)
            self.assertNotEqual(inflater.buffered, 0)

    def test_what_was_read_before_the_fault_is_not_lost(self) -> None:
        inflater = Inflater()
        inflater.feed(deflated(b"good" * 5_000))
        self.assertEqual(len(inflater.take(10_000)), 10_000)
        inflater.feed(b"\xff" * 100)
        self.assertEqual(len(inflater.take(9_999)), 9_999)
        self.assertRaises(BrokenStream, inflater.take, 10_000)

    def test_the_end_of_the_stream_is_one(self) -> None:
        inflater = Inflater()
        inflater.feed(deflated(b"last words", zlib.Z_FINISH))
        self.assertEqual(inflater.take(100), b"last words")
        self.assertRaises(BrokenStream, inflater.take, 100)

    @given(st.binary(max_size=2000))
    def test_any_octets_are_inflated_or_refused(self, data: bytes) -> None:
        inflater = Inflater()
        inflater.feed(data)
        try:
            while inflater.buffered:
                self.assertLessEqual(len(inflater.take(1000)), 1000)
        except BrokenStream:
            pass
