"""Ropes give back exactly the bytes they were made of."""

from __future__ import annotations

import base64
import hashlib
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.message import analyse
from twisted_duck.store import rope
from twisted_duck.store.rope import BlobRef, Inline, Layout, Rope


def cut_base64(content: bytes, line: int, end: bytes) -> bytes:
    text = base64.b64encode(content)
    return end.join(text[i : i + line] for i in range(0, len(text), line)) if line else text


def attachment(body: bytes, encoding: bytes = b"base64") -> bytes:
    return (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nbefore\r\n--b\r\n\r\ntext\r\n--b\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: "
        + encoding
        + b"\r\n\r\n"
        + body
        + b"\r\n--b--\r\nafter"
    )


def blobs(data: bytes, made: Rope) -> dict[bytes, bytes]:
    return {source.ref.hash: b"".join(source.blocks(data)) for source in made.sources}


def read(made: Rope, kept: dict[bytes, bytes], start: int, stop: int) -> bytes:
    out = b""
    for segment, first, last in Layout(made.segments).span(start, stop):
        if isinstance(segment, Inline):
            out += segment.data[first:last]
        else:
            low, high = segment.decoded(first, last)
            out += segment.encoded(first, last, kept[segment.hash][low:high])
    return out


small = [
    patch.object(rope, "BLOB_FROM", 8),
    patch.object(rope, "PLAIN_BLOB_FROM", 40),
    patch.object(rope, "INLINE", 200),
    patch.object(rope, "BLOCK", 64),
]

base64_bodies = st.builds(
    lambda content, line, end, tail: cut_base64(content, line, end) + tail,
    st.binary(max_size=600),
    st.sampled_from([0, 4, 8, 60, 64, 72, 76, 75, 3]),
    st.sampled_from([b"\r\n", b"\n", b"\r\n\r\n", b" \n", b"\n\r"]),
    st.sampled_from([b"", b"\r\n", b"\n", b"\r\n\r\n", b"=", b"\nnot base64", b"\nQUJD"]),
)


class RopeTests(SynchronousTestCase):
    def setUp(self) -> None:
        for each in small:
            each.start()
            self.addCleanup(each.stop)

    def check(self, data: bytes, ranges: list[tuple[int, int]]) -> Rope:
        made = rope.twist(data, analyse(data))
        self.assertEqual(rope.load(rope.dump(made.segments)), made.segments)
        kept = blobs(data, made)
        for segment in made.segments:
            if isinstance(segment, BlobRef):
                content = kept[segment.hash]
                self.assertEqual(hashlib.sha256(content).digest(), segment.hash)
                self.assertEqual(len(content), segment.size)
        self.assertEqual(read(made, kept, 0, len(data)), data)
        for a, b in ranges:
            start, stop = sorted((a % (len(data) + 1), b % (len(data) + 1)))
            self.assertEqual(read(made, kept, start, stop), data[start:stop], (start, stop))
        return made

    ranges = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), max_size=30)

    @settings(max_examples=300)
    @given(base64_bodies, ranges)
    def test_any_range_of_base64_is_exact(self, body: bytes, ranges: list[tuple[int, int]]) -> None:
        self.check(attachment(body), ranges)

    @settings(max_examples=150)
    @given(st.binary(max_size=1500), ranges)
    def test_any_range_of_anything_is_exact(
        self, data: bytes, ranges: list[tuple[int, int]]
    ) -> None:
        self.check(data, ranges)
        self.check(attachment(data, b"8bit"), ranges)
        self.check(attachment(data), ranges)

    def test_every_range_of_a_folded_base64_part(self) -> None:
        for line, end in ((76, b"\r\n"), (76, b"\n"), (4, b"\r\n"), (0, b"")):
            data = attachment(cut_base64(bytes(range(200)), line, end) + b"\r\n")
            every = [(a, b) for a in range(len(data)) for b in (a + 1, a + 3, a + 79, len(data))]
            made = self.check(data, every)
            refs = [s for s in made.segments if isinstance(s, BlobRef)]
            self.assertEqual([(r.line, r.size) for r in refs], [(line, 200)])


class RopeShapeTests(SynchronousTestCase):
    """What becomes a blob."""

    def twist(self, data: bytes) -> Rope:
        made = rope.twist(data, analyse(data))
        self.assertEqual(read(made, blobs(data, made), 0, len(data)), data)
        return made

    def test_the_first_segment_is_the_header(self) -> None:
        for data in (
            b"Subject: x\r\n\r\nbody",
            b"Subject: x\r\n\r\n",
            b"no header at all",
            b"\r\nbody",
            attachment(cut_base64(b"x" * 100_000, 76, b"\r\n")),
        ):
            made = self.twist(data)
            self.assertEqual(made.segments[0], Inline(data[: analyse(data).tree.parts[0].body]))
        self.assertEqual(self.twist(b"").segments, (Inline(b""),))

    def test_base64_is_kept_decoded(self) -> None:
        content = bytes(range(256)) * 400
        made = self.twist(attachment(cut_base64(content, 76, b"\r\n")))
        self.assertEqual([len(made.segments), len(made.sources)], [4, 1])
        self.assertEqual(made.sources[0].ref.hash, hashlib.sha256(content).digest())

    def test_the_same_content_in_other_lines_is_the_same_blob(self) -> None:
        content = b"content " * 10_000
        hashes = {
            self.twist(attachment(cut_base64(content, line, end))).sources[0].ref.hash
            for line, end in ((76, b"\r\n"), (60, b"\n"), (0, b""))
        }
        self.assertEqual(hashes, {hashlib.sha256(content).digest()})

    def test_base64_that_is_not_canonical_is_kept_as_it_is(self) -> None:
        for body in (
            cut_base64(b"x" * 30_000, 76, b"\r\n").replace(b"e", b"e ", 1),
            cut_base64(b"x" * 30_000, 75, b"\r\n"),
            b"QUJD\r\nQQ==\r\n" * 3_000,
        ):
            [source] = self.twist(attachment(body)).sources
            self.assertIsNone(source.ref.line)

    def test_small_parts_stay_inline(self) -> None:
        self.assertEqual(self.twist(attachment(cut_base64(b"x" * 9_000, 76, b"\r\n"))).sources, ())
        self.assertEqual(self.twist(b"Subject: x\r\n\r\n" + b"text\r\n" * 9_000).sources, ())

    def test_what_is_inline_is_bounded(self) -> None:
        header = b"X: " + b"y" * 10_000_000 + b"\r\n\r\n"
        made = self.twist(header + b"body")
        self.assertLessEqual(made.inline, rope.INLINE)
        self.assertEqual(made.segments[0].length, len(header))
        parts = b"".join(b"--b\r\n\r\n%d" % n + b"z" * 20_000 for n in range(100))
        made = self.twist(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--")
        self.assertLessEqual(made.inline, rope.INLINE)

    def test_blobs_are_bounded(self) -> None:
        part = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        parts = b"".join(
            part + cut_base64(b"%09d" % n * 2_000, 76, b"\r\n") + b"\r\n" for n in range(260)
        )
        made = self.twist(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--")
        self.assertEqual(len(made.sources), rope.BLOBS + 1)
