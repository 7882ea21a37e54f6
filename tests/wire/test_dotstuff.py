"""Dot-stuffing, wherever the pieces are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.wire.dotstuff import DotStuffer

#: What the rule is about, and little else.
octets = st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"\r\n.", b"\n."])).map(
    b"".join
)


def stuffed(*pieces: bytes) -> bytes:
    stuffer = DotStuffer()
    return b"".join(map(stuffer.feed, pieces)) + stuffer.finish()


def read(wire: bytes, *, strict: bool) -> tuple[bytes, bytes]:
    """What a client reads whose lines end with CRLF only, or with any LF; and what is left for its next answer."""
    text = b""
    while True:
        end = wire.index(b"\r\n") + 2 if strict else wire.index(b"\n") + 1
        line, wire = wire[:end], wire[end:]
        if line in (b".\r\n", b".\n"):
            return text, wire
        text += line[1:] if line.startswith(b".") else line


class DotStufferTests(SynchronousTestCase):
    def test_examples(self) -> None:
        for text, wire in [
            (b"", b".\r\n"),
            (b"\r\n", b"\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a.b\r\n..c\r\n", b"a.b\r\n...c\r\n.\r\n"),
            (b"no end", b"no end\r\n.\r\n"),
            (b"a bare LF\n", b"a bare LF\n\r\n.\r\n"),
            (b"a\n.\nb\r\n", b"a\n..\nb\r\n.\r\n"),
            (b"a bare CR\r", b"a bare CR\r\r\n.\r\n"),
        ]:
            self.assertEqual(stuffed(text), wire)

    @given(st.lists(octets))
    def test_where_the_pieces_are_cut_makes_no_difference(self, pieces: list[bytes]) -> None:
        self.assertEqual(stuffed(*pieces), stuffed(b"".join(pieces)))

    @given(octets)
    def test_octet_by_octet(self, text: bytes) -> None:
        self.assertEqual(stuffed(*(text[at : at + 1] for at in range(len(text)))), stuffed(text))

    @given(octets)
    def test_whoever_takes_any_lf_for_a_line_end_reads_the_text_and_not_a_byte_further(
        self, text: bytes
    ) -> None:
        got, left = read(stuffed(text) + b"+OK next\r\n", strict=False)
        self.assertEqual(left, b"+OK next\r\n")
        self.assertEqual(got, text if text.endswith(b"\r\n") or not text else text + b"\r\n")

    @given(octets)
    def test_whoever_takes_crlf_only_ends_at_the_same_place(self, text: bytes) -> None:
        _, left = read(stuffed(text) + b"+OK next\r\n", strict=True)
        self.assertEqual(left, b"+OK next\r\n")

    @given(st.lists(st.text(".a", max_size=4)))
    def test_both_read_the_same_where_every_line_ends_with_crlf(self, lines: list[str]) -> None:
        text = b"".join(line.encode() + b"\r\n" for line in lines)
        self.assertEqual(read(stuffed(text), strict=True), (text, b""))
        self.assertEqual(read(stuffed(text), strict=False), (text, b""))
