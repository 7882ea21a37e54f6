"""Lines for people, and the first lines of a text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.wire.lines import FirstLines, LineEnds, one_line

octets = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a"])).map(b"".join)


class OneLineTests(SynchronousTestCase):
    @given(st.text())
    def test_is_one_short_line_of_printable_ascii(self, message: str) -> None:
        line = one_line(message)
        self.assertTrue(1 <= len(line) <= 300)
        self.assertTrue(all(0x20 <= octet < 0x7F for octet in line))

    def test_line_ends_and_controls_become_a_space(self) -> None:
        self.assertEqual(one_line("go\r\n+OK away\0\t!"), b"go +OK away !")


class FirstLinesTests(SynchronousTestCase):
    @given(st.lists(octets), st.integers(0, 5))
    def test_are_the_first_lines_wherever_the_pieces_are_cut(
        self, pieces: list[bytes], count: int
    ) -> None:
        lines = FirstLines(count)
        got = b"".join(map(lines.feed, pieces))
        text = b"".join(pieces)
        expected = b"".join(line for line in text.split(b"\n", count)[:count])
        self.assertEqual(got.replace(b"\n", b""), expected)
        self.assertTrue(text.startswith(got))
        self.assertEqual(got.count(b"\n"), min(count, text.count(b"\n")))
        self.assertEqual(lines.done, text.count(b"\n") >= count)


class LineEndsTests(SynchronousTestCase):
    @given(st.lists(octets))
    def test_are_looked_at_wherever_the_pieces_are_cut(self, pieces: list[bytes]) -> None:
        ends = LineEnds()
        for piece in pieces:
            ends.feed(piece)
        others = b"".join(pieces).replace(b"\r\n", b"")
        self.assertEqual(ends.finish(), b"\r" in others or b"\n" in others)

    def test_are_told_as_soon_as_they_are_certain(self) -> None:
        for text, bare in [
            (b"a\r", False),
            (b"a\r\n", False),
            (b"\r\r", True),
            (b"\n", True),
            (b"\ra", True),
        ]:
            ends = LineEnds()
            for octet in text:
                ends.feed(bytes([octet]))
            self.assertEqual(ends.bare, bare, text)
