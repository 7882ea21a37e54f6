"""Framing: where commands, lines and literals begin and end, however the bytes arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.limits import Limits
from twisted_duck.wire.framing import (
    ENDLESS,
    NEED_DATA,
    CommandEvent,
    CommandFramer,
    FrameLimits,
    Line,
    LineFramer,
    LiteralData,
    LiteralHeader,
    Text,
    TooLong,
    announcement,
)

SMALL = FrameLimits(line=40, command=60, literals=3)

Answer = Callable[[CommandFramer, LiteralHeader], None]


def accept(framer: CommandFramer, header: LiteralHeader) -> None:
    framer.accept()


def refuse(framer: CommandFramer, header: LiteralHeader) -> None:
    framer.refuse()


def stream(framer: CommandFramer, header: LiteralHeader) -> None:
    framer.accept(streamed=True)


def by_size(framer: CommandFramer, header: LiteralHeader) -> None:
    """A little of everything, decided by what was announced and nothing else."""
    if header.size % 3 == 0:
        framer.refuse()
    else:
        framer.accept(streamed=header.size % 3 == 1)


def events(
    chunks: Iterable[bytes], answer: Answer = accept, limits: FrameLimits = SMALL
) -> list[CommandEvent]:
    """Every event that the chunks give, the data of each literal joined."""
    framer = CommandFramer(limits)
    found: list[CommandEvent] = []
    for chunk in chunks:
        framer.feed(chunk)
        while (event := framer.next_event()) is not NEED_DATA:
            match event, found[-1:]:
                case LiteralData(more, last), [LiteralData(data, False)]:
                    found[-1] = LiteralData(data + more, last)
                case _:
                    found.append(event)
            if isinstance(event, Text) and event.literal is not None:
                answer(framer, event.literal)
    return found


def each_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


class CountingBuffer(bytearray):
    """A buffer that knows how many octets were looked at in search of a line's end."""

    steps = 0

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        stop = len(self) if end is None else min(end, len(self))
        found = super().find(sub, start, stop)
        self.steps += max(0, (found + 1 if found >= 0 else stop) - start)
        return found


class Commands(SynchronousTestCase):
    def test_a_line_is_a_command(self) -> None:
        self.assertEqual(events([b"a NOOP\r\n"]), [Text(b"a NOOP")])

    def test_pipelined_commands(self) -> None:
        self.assertEqual(
            events([b"a NOOP\r\nb CHECK\r\nc LOG"]), [Text(b"a NOOP"), Text(b"b CHECK")]
        )

    def test_an_empty_line_is_an_empty_command(self) -> None:
        self.assertEqual(events([b"\r\n"]), [Text(b"")])

    def test_a_bare_lf_ends_a_line(self) -> None:
        self.assertEqual(events([b"a NOOP\nb\n"]), [Text(b"a NOOP"), Text(b"b")])

    def test_a_bare_cr_stays_for_the_grammar(self) -> None:
        self.assertEqual(events([b"a\rb\r\r\n"]), [Text(b"a\rb\r")])

    def test_literals_join_lines(self) -> None:
        self.assertEqual(
            events([b"a LOGIN {4}\r\nfred {2+}\r\n\r\n\r\n"]),
            [
                Text(b"a LOGIN ", LiteralHeader(4, synchronising=True)),
                LiteralData(b"fred"),
                Text(b" ", LiteralHeader(2, synchronising=False)),
                LiteralData(b"\r\n"),
                Text(b""),
            ],
        )

    def test_an_empty_literal(self) -> None:
        self.assertEqual(
            events([b"a {0}\r\n x\r\n"]),
            [Text(b"a ", LiteralHeader(0, True)), LiteralData(b""), Text(b" x")],
        )

    def test_a_literal_of_binary(self) -> None:
        self.assertEqual(
            events([b"a ~{1+}\r\n\0\r\n"]),
            [
                Text(b"a ", LiteralHeader(1, synchronising=False, binary=True)),
                LiteralData(b"\0"),
                Text(b""),
            ],
        )

    def test_what_announces_a_literal(self) -> None:
        header = LiteralHeader
        table: list[tuple[bytes, tuple[int, LiteralHeader] | None]] = [
            (b"a {1}", (2, header(1, True))),
            (b"{1}", (0, header(1, True))),
            (b"~{1}", (0, header(1, True, True))),
            (b"a {{1}", (3, header(1, True))),
            (b"a {0007+}", (2, header(7, False))),
            (b"a {%d}" % (10**18 - 1), (2, header(10**18 - 1, True))),
            (b"a {%b}" % (b"9" * 5000), (2, header(ENDLESS, True))),
            (b"a {1} ", None),
            (b"a {}", None),
            (b"a {+}", None),
            (b"a {-1}", None),
            (b"a {1-}", None),
            (b"a {1++}", None),
            (b"a { 1}", None),
            (b"a {1", None),
            (b"a 1}", None),
            (b"}", None),
            ("a {²}".encode(), None),
        ]
        for line, expected in table:
            with self.subTest(line=line[:20]):
                self.assertEqual(announcement(line), expected)

    def test_a_literal_has_to_be_answered_first(self) -> None:
        framer = CommandFramer(SMALL)
        self.assertRaises(RuntimeError, framer.accept)
        framer.feed(b"a {1}\r\n")
        framer.next_event()
        self.assertRaises(RuntimeError, framer.next_event)
        self.assertRaises(RuntimeError, framer.next_line, 10)
        framer.refuse()
        self.assertRaises(RuntimeError, framer.refuse)


class Refusals(SynchronousTestCase):
    """What follows a refused literal is never run."""

    NEXT = (Text(b"b NOOP"),)

    def test_of_a_synchronising_literal_ends_the_command(self) -> None:
        self.assertEqual(
            events([b"a LOGIN {9}\r\nb NOOP\r\n"], refuse),
            [Text(b"a LOGIN ", LiteralHeader(9, True)), *self.NEXT],
        )

    def test_of_a_non_synchronising_literal_drops_it_and_the_rest(self) -> None:
        self.assertEqual(
            events(
                [b"a LOGIN {9+}\r\nx LOGOUT\n {3+}\r\ny\r\n {2+}\r\n\r\n tail\r\nb NOOP\r\n"],
                refuse,
            ),
            [Text(b"a LOGIN ", LiteralHeader(9, False)), *self.NEXT],
        )

    def test_a_synchronising_literal_in_what_is_dropped_ends_it(self) -> None:
        self.assertEqual(
            events([b"a LOGIN {2+}\r\nxy {5}\r\nb NOOP\r\n"], refuse),
            [Text(b"a LOGIN ", LiteralHeader(2, False)), *self.NEXT],
        )

    def test_a_literal_without_end_never_ends(self) -> None:
        sent = b"a {%b+}\r\n" % (b"9" * 30) + b"b LOGOUT\r\n" * 100
        self.assertEqual(events([sent], refuse), [Text(b"a ", LiteralHeader(ENDLESS, False))])


class PutBack(SynchronousTestCase):
    def test_what_was_put_back_comes_first(self) -> None:
        framer = LineFramer()
        framer.feed(b"data.NO")
        self.assertEqual(framer.next_line(100), NEED_DATA)
        taken = framer.next_octets(100)
        framer.feed(b"OP\r\nQ")
        framer.put_back(taken[5:])
        self.assertEqual(framer.next_line(100), Line(b"NOOP"))
        self.assertEqual(framer.next_line(100), NEED_DATA)
        self.assertEqual(framer.buffered, 1)


class LinesAhead(SynchronousTestCase):
    def test_whole_lines_that_stay(self) -> None:
        framer = LineFramer()
        framer.feed(b"NOOP\r\nRSET\n\r\nQU")
        self.assertEqual(list(framer.lines_ahead(4)), [b"NOOP", b"RSET", b""])
        self.assertEqual(framer.next_line(4), Line(b"NOOP"))
        self.assertEqual(list(framer.lines_ahead(4)), [b"RSET", b""])
        framer.feed(b"IT\r\n")
        self.assertEqual(list(framer.lines_ahead(4)), [b"RSET", b"", b"QUIT"])

    def test_none_behind_one_that_is_too_long(self) -> None:
        for end in (b"\r\n", b"\n"):
            framer = LineFramer()
            framer.feed(b"NOOP" + end + b"NOOPS" + end + b"RSET" + end)
            self.assertEqual(list(framer.lines_ahead(4)), [b"NOOP"])
            framer.next_line(4)
            framer.next_line(4)
            self.assertEqual(list(framer.lines_ahead(4)), [])
            self.assertEqual(framer.next_line(4), Line(b"RSET"))


class Bounds(SynchronousTestCase):
    NEXT = (Text(b"b NOOP"),)

    def test_a_line_at_the_limit(self) -> None:
        for end in (b"\r\n", b"\n"):
            line = b"a" * 40
            self.assertEqual(events(each_byte(line + end)), [Text(line)])

    def test_a_line_above_the_limit(self) -> None:
        for end in (b"\r\n", b"\n"):
            for length in (41, 42, 43, 1000):
                with self.subTest(length=length, end=end):
                    line = b"a" * length
                    expected = [TooLong("line", b"a" * 40), *self.NEXT]
                    self.assertEqual(events([line + end + b"b NOOP\r\n"]), expected)
                    self.assertEqual(events(each_byte(line + end + b"b NOOP\r\n")), expected)

    def test_it_is_told_before_the_line_ends_and_once(self) -> None:
        self.assertEqual(
            events([b"a" * 42, b"a" * 9999, b"a" * 9999]), [TooLong("line", b"a" * 40)]
        )

    def test_a_literal_announced_by_a_line_too_long_is_dropped(self) -> None:
        line = b"a" * 100
        table = [
            (line + b" {10+}\r\nx LOGOUT\r\n more\r\nb NOOP\r\n", self.NEXT),
            (line + b" {10}\r\nb NOOP\r\n", self.NEXT),
            (line + b" {3+}\r\nabc" + line + b"{4+}\r\nx\r\n.\r\nb NOOP\r\n", self.NEXT),
            (line + b" {%b+}\r\nb NOOP\r\n" % (b"0" * 100 + b"3"), ()),
        ]
        for sent, following in table:
            with self.subTest(sent=sent):
                expected = [TooLong("line", b"a" * 40), *following]
                self.assertEqual(events([sent]), expected)
                self.assertEqual(events(each_byte(sent)), expected)

    def test_lines_and_literals_together_pass_the_command_limit(self) -> None:
        sent = b"a LOGIN {30+}\r\n" + b"x" * 30 + b" " + b"y" * 30 + b"\r\nb NOOP\r\n"
        self.assertEqual(
            events([sent])[-2:],
            [TooLong("command", b" " + b"y" * 16), *self.NEXT],
        )

    def test_a_literal_that_does_not_fit_the_command(self) -> None:
        for header in (b"{55+}", b"{55}"):
            literal = b"x" * 55 + b"\r\n" if b"+" in header else b""
            self.assertEqual(
                events([b"a LOGIN " + header + b"\r\n" + literal + b"b NOOP\r\n"]),
                [
                    Text(b"a LOGIN ", LiteralHeader(55, b"+" not in header)),
                    TooLong("command", b""),
                    *self.NEXT,
                ],
            )

    def test_accept_tells_whether_the_data_follow(self) -> None:
        framer = CommandFramer(SMALL)
        framer.feed(b"a {100}\r\n")
        framer.next_event()
        self.assertIs(framer.accept(), False)
        framer.next_event()
        framer.feed(b"a {10}\r\n")
        framer.next_event()
        self.assertIs(framer.accept(), True)

    def test_too_many_literals(self) -> None:
        found = events([b"a" + b" {1+}\r\nx" * 4 + b"\r\nb NOOP\r\n"])
        self.assertEqual(
            found[-3:], [Text(b" ", LiteralHeader(1, False)), TooLong("literals", b""), *self.NEXT]
        )

    def test_a_streamed_literal_counts_for_no_limit(self) -> None:
        found = events([b"a" + b" {100+}\r\n" + b"x" * 100 + b"\r\n"], stream)
        self.assertEqual(found[1:], [LiteralData(b"x" * 100), Text(b"")])

    def test_the_limits_are_per_command(self) -> None:
        sent = b"a {1+}\r\nx {1+}\r\nx {1+}\r\nx\r\n" * 20
        self.assertEqual(events([sent]).count(Text(b"")), 20)

    def test_limits_change_between_commands(self) -> None:
        framer = CommandFramer(SMALL)
        framer.feed(b"a LOGIN\r\n" + b"b" * 50 + b"\r\n")
        self.assertEqual(framer.next_event(), Text(b"a LOGIN"))
        framer.limits = FrameLimits(line=50, command=50, literals=1)
        self.assertEqual(framer.next_event(), Text(b"b" * 50))

    def test_the_limits_of_each_state(self) -> None:
        limits = Limits()
        before, after = FrameLimits.before_login(limits), FrameLimits.after_login(limits)
        self.assertEqual((before.line, before.command), (8 * 1024, 8 * 1024))
        self.assertEqual((after.line, after.command), (64 * 1024, 256 * 1024))
        self.assertEqual((before.literals, after.literals), (100, 100))

    def test_what_is_dropped_is_not_kept(self) -> None:
        framer = CommandFramer(SMALL)
        for sent in (b"a" * 1000, b"a {5000+}\r\n", b"x" * 1000):
            framer.feed(sent)
            while (event := framer.next_event()) is not NEED_DATA:
                if isinstance(event, Text) and event.literal is not None:
                    framer.refuse()
            self.assertLess(framer.buffered, 100)


class Lines(SynchronousTestCase):
    def test_a_line_between_commands(self) -> None:
        framer = CommandFramer(SMALL)
        framer.feed(b"a IDLE\r\nDONE\r\nb NOOP\r\n")
        self.assertEqual(framer.next_event(), Text(b"a IDLE"))
        self.assertEqual(framer.next_line(10), Line(b"DONE"))
        self.assertEqual(framer.next_event(), Text(b"b NOOP"))

    def test_a_line_announces_no_literal(self) -> None:
        framer = CommandFramer(SMALL)
        framer.feed(b"{5+}\r\n")
        self.assertEqual(framer.next_line(10), Line(b"{5+}"))

    def test_a_line_has_its_own_limit(self) -> None:
        framer = CommandFramer(SMALL)
        framer.feed(b"x" * 1000)
        self.assertEqual(framer.next_line(2000), NEED_DATA)
        self.assertEqual(framer.next_line(500), TooLong("line", b"x" * 64))
        self.assertEqual(framer.next_line(500), NEED_DATA)
        framer.feed(b"{5+}\r\nb NOOP\r\n")
        self.assertEqual(framer.next_event(), Text(b"b NOOP"))

    def test_a_line_after_a_refused_command(self) -> None:
        framer = CommandFramer(SMALL)
        framer.feed(b"a {5+}\r\n")
        framer.next_event()
        framer.refuse()
        self.assertEqual(framer.next_line(10), NEED_DATA)
        framer.feed(b"12345 rest\r\nDONE\r\n")
        self.assertEqual(framer.next_line(10), Line(b"DONE"))

    def test_lines_and_octets(self) -> None:
        framer = LineFramer()
        framer.feed(b"BDAT 5\r\n\r\n.\r\nQUIT\r\n")
        self.assertEqual(framer.next_line(512), Line(b"BDAT 5"))
        self.assertEqual(framer.next_octets(3), b"\r\n.")
        self.assertEqual(framer.next_octets(2), b"\r\n")
        self.assertEqual(framer.next_line(512), Line(b"QUIT"))
        self.assertEqual(framer.next_octets(10), b"")

    def test_discard_forgets_what_came_ahead(self) -> None:
        for ahead in (b"b LOGIN x y\r\n", b"b LOG", b"b" * 100, b"b {3}\r\n", b"b {9+}\r\nx"):
            framer = CommandFramer(SMALL)
            framer.feed(b"a STARTTLS\r\n" + ahead)
            self.assertEqual(framer.next_event(), Text(b"a STARTTLS"))
            if b"LOGIN" not in ahead:
                framer.next_event()
            framer.discard()
            self.assertEqual(framer.buffered, 0)
            framer.feed(b"c NOOP\r\n")
            self.assertEqual(framer.next_event(), Text(b"c NOOP"))

    def test_buffered_counts_what_was_not_read(self) -> None:
        framer = CommandFramer(SMALL)
        framer.feed(b"a NOOP\r\nb NOOP\r\n")
        self.assertEqual(framer.buffered, 16)
        framer.next_event()
        self.assertEqual(framer.buffered, 8)


COMMANDISH = st.lists(
    st.sampled_from(
        [
            *(b"a", b" ", b"\r\n", b"\n", b"\r", b"}", b"{", b"+", b"~", b"7", b"0", b"xyz" * 9),
            *(b"{3+}\r\n", b"{4+}\r\n", b"{5+}\r\n", b"{99+}\r\n", b"~{5+}\r\n"),
            *(b"{4}\r\n", b"{6}\r\n"),
        ]
    ),
    max_size=60,
).map(b"".join)


class Splits(SynchronousTestCase):
    @given(COMMANDISH, st.lists(st.integers(0, 400), max_size=8))
    def test_events_do_not_depend_on_how_bytes_arrive(self, data: bytes, cuts: list[int]) -> None:
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        pieces = [data[a:b] for a, b in pairwise(edges)]
        for answer in (accept, refuse, stream, by_size):
            whole = events([data], answer)
            self.assertEqual(events(each_byte(data), answer), whole)
            self.assertEqual(events(pieces, answer), whole)

    @given(COMMANDISH)
    def test_a_command_after_a_quiet_line_is_always_found(self, data: bytes) -> None:
        """However broken the input, one can get back to a command: by enough octets and a line."""
        found = events([data, b"\r\n" + b"x" * 200 + b"\r\n\r\nz NOOP\r\n"], refuse)
        self.assertEqual(found[-1:], [Text(b"z NOOP")])


class Cost(SynchronousTestCase):
    def count(self, chunks: list[bytes], limit: int, answer: Answer = accept) -> int:
        framer = CommandFramer(FrameLimits(limit, limit, 10))
        framer._buffer = CountingBuffer()
        for chunk in chunks:
            framer.feed(chunk)
            while (event := framer.next_event()) is not NEED_DATA:
                if isinstance(event, Text) and event.literal is not None:
                    answer(framer, event.literal)
        assert isinstance(framer._buffer, CountingBuffer)
        return framer._buffer.steps

    def test_each_octet_of_a_line_is_searched_once(self) -> None:
        line = b"a" * 9_998 + b"\r\n"
        self.assertEqual(self.count(each_byte(line), 10_000), 10_000)
        self.assertEqual(self.count([line], 10_000), 10_000)

    def test_each_octet_of_a_line_too_long_is_searched_once(self) -> None:
        line = b"a" * 9_998 + b"\r\n"
        self.assertEqual(self.count(each_byte(line), 100), 10_000)

    def test_literals_are_not_searched(self) -> None:
        sent = b"a {9000+}\r\n" + b"\n" * 9_000 + b"\r\n"
        for answer in (stream, refuse):
            self.assertEqual(self.count(each_byte(sent), 100, answer), 13)
