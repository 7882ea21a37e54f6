"""Dot-stuffing, wherever the pieces are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.wire.dotstuff import DotReader, DotStuffer

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


def fed(*pieces: bytes) -> tuple[bytes, DotReader]:
    """The text of pieces; those behind the end are added to `rest`."""
    reader = DotReader()
    text = b""
    for piece in pieces:
        if reader.ended:
            reader.rest += piece
        else:
            text += reader.feed(piece)
    return text, reader


def by_lines(wire: bytes) -> tuple[bytes, bytes] | None:
    """The same, slowly: text and rest, or None where the data have no end."""
    *lines, unfinished = wire.split(b"\r\n")
    for number, line in enumerate(lines):
        if line == b".":
            text = b"".join(each.removeprefix(b".") + b"\r\n" for each in lines[:number])
            return text, b"\r\n".join([*lines[number + 1 :], unfinished])
    return None


class DotReaderTests(SynchronousTestCase):
    def test_examples(self) -> None:
        for wire, text, rest in [
            (b".\r\n", b"", b""),
            (b"\r\n.\r\n", b"\r\n", b""),
            (b"a\r\n.\r\nRSET\r\n", b"a\r\n", b"RSET\r\n"),
            (b"..\r\n.\r\n", b".\r\n", b""),
            (b".a\r\n...\r\n.\r\n.\r\n", b"a\r\n..\r\n", b".\r\n"),
        ]:
            got, reader = fed(wire)
            self.assertEqual((got, reader.ended, reader.rest), (text, True, rest))
            self.assertFalse(reader.bare)

    def test_nothing_else_ends_the_data_and_it_is_reported(self) -> None:
        for end in (
            b"\n.\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\r",
            b"\r\n.\r\r\n",
        ):
            text, reader = fed(b"body" + end + b"MAIL FROM:<mallory@example.org>\r\n.\r\nQUIT\r\n")
            self.assertIn(b"mallory", text)
            self.assertTrue(reader.bare, end)
            self.assertEqual(reader.rest, b"QUIT\r\n")

    def test_after_the_end_nothing_is_taken(self) -> None:
        _, reader = fed(b".\r\n")
        with self.assertRaises(ValueError):
            reader.feed(b"RSET\r\n")

    @given(octets)
    def test_says_the_same_as_reading_line_by_line(self, wire: bytes) -> None:
        text, reader = fed(wire)
        expected = by_lines(wire)
        self.assertEqual(reader.ended, expected is not None)
        if expected is not None:
            self.assertEqual((text, reader.rest), expected)
            self.assertEqual(reader.bare, set(b"\r\n") & set(text.replace(b"\r\n", b"")) != set())

    @given(st.lists(octets))
    def test_where_the_pieces_are_cut_makes_no_difference(self, pieces: list[bytes]) -> None:
        wire = b"".join(pieces) + b"\r\n.\r\nQUIT\r\n"
        text, reader = fed(wire)
        for cut in (
            [*pieces, b"\r\n.\r\nQUIT\r\n"],
            [wire[at : at + 1] for at in range(len(wire))],
        ):
            got, other = fed(*cut)
            self.assertEqual((got, other.rest, other.bare), (text, reader.rest, reader.bare))

    @given(octets)
    def test_what_was_stuffed_is_read_as_it_was(self, text: bytes) -> None:
        got, reader = fed(stuffed(text) + b"+OK next\r\n")
        self.assertEqual(reader.rest, b"+OK next\r\n")
        if not reader.bare:
            self.assertEqual(got, text if text.endswith(b"\r\n") or not text else text + b"\r\n")

    def test_octet_by_octet_is_linear(self) -> None:
        reader = DotReader()
        text = b"".join(reader.feed(b"\r") for _ in range(100_000))
        self.assertEqual(len(text), 99_999)
        self.assertEqual(len(reader._held), 1)
