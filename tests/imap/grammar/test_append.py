"""RFC 3501 §6.3.11."""

import datetime

from tests.imap.grammar.support import GrammarCase, parts_of
from twisted_duck.errors import BadSyntax, Cannot, DuckError, TooMany
from twisted_duck.imap.grammar import (
    Announced,
    Append,
    AppendArgument,
    Literal,
    Replace,
    announced,
    parse,
)
from twisted_duck.imap.grammar.append import announced_whole
from twisted_duck.sequence import STAR, SequenceSet

MESSAGE = Literal.of(b"Subject: x\r\n\r\n")


def moment(*numbers: int, zone: float) -> datetime.datetime:
    offset = datetime.timezone(datetime.timedelta(hours=zone))
    return datetime.datetime(*numbers, tzinfo=offset)  # type: ignore[arg-type]


class Appends(GrammarCase):
    def test_append(self) -> None:
        literal = "{14}\r\nSubject: x\r\n\r\n"
        flags = frozenset({"\\Seen", "$Forwarded"})
        date = moment(1994, 2, 7, 21, 52, 25, zone=-8)
        self.check_values(
            {
                f"APPEND saved-messages {literal}": Append(
                    "saved-messages", (AppendArgument(MESSAGE),)
                ),
                f"APPEND inbox (\\SEEN $Forwarded) {literal}": Append(
                    "INBOX", (AppendArgument(MESSAGE, flags),)
                ),
                f'APPEND inbox " 7-Feb-1994 21:52:25 -0800" {literal}': Append(
                    "INBOX", (AppendArgument(MESSAGE, date=date),)
                ),
                f'APPEND {{5}}\r\ninbox () "07-feb-1994 21:52:25 -0800" {literal}': Append(
                    "INBOX", (AppendArgument(MESSAGE, date=date),)
                ),
                b"APPEND x {3}\r\na\0b": Append("x", (AppendArgument(Literal.of(b"a\0b")),)),
            }
        )

    def test_several_messages(self) -> None:
        date = moment(1994, 2, 7, 21, 52, 25, zone=-8)
        seen = frozenset({"\\Seen"})
        self.check_values(
            {
                'APPEND x (\\Seen) {1}\r\na "07-Feb-1994 21:52:25 -0800" {2}\r\nbb {3}\r\nccc': Append(
                    "x",
                    (
                        AppendArgument(Literal.of(b"a"), seen),
                        AppendArgument(Literal.of(b"bb"), date=date),
                        AppendArgument(Literal.of(b"ccc")),
                    ),
                )
            }
        )

    def test_replace(self) -> None:
        self.check_values(
            {
                "REPLACE 4 drafts (\\Draft) {1}\r\nx": Replace(
                    SequenceSet(((4, 4),)),
                    "drafts",
                    AppendArgument(Literal.of(b"x"), frozenset({"\\Draft"})),
                ),
                "uid replace * {5}\r\ninbox {1}\r\nx": Replace(
                    SequenceSet(((STAR, STAR),)),
                    "INBOX",
                    AppendArgument(Literal.of(b"x")),
                    uid=True,
                ),
            }
        )
        self.check_refused(
            {
                "REPLACE": "a message number",
                "REPLACE 0 x {1}\r\nx": "a message number has to be from 1",
                "REPLACE 1:2 x {1}\r\nx": "a mailbox name",
                "REPLACE 1 x": "flags, a date, or a message",
                "REPLACE 1 x {1}\r\nx {1}\r\ny": "end of the command",
            }
        )

    def test_utf8_item(self) -> None:
        literal = Literal.of("é".encode(), binary=True)
        line = b"a1 APPEND x () utf8 (~{2}\r\n\xc3\xa9) UTF8 (~{2}\r\n\xc3\xa9)"
        expected = Append("x", (AppendArgument(literal, utf8=True),) * 2)
        self.assertEqual(parse(parts_of(line), utf8=True).value, expected)
        self.assertRaises(BadSyntax, parse, parts_of(line))
        for broken in (
            b"a1 APPEND x UTF8 ({1}\r\nx)",
            b"a1 APPEND x UTF8 (~{1}\r\nx",
            b"a1 APPEND x UTF8 (x)",
            b"a1 APPEND x UTF8(~{1}\r\nx)",
        ):
            error = self.assertRaises(BadSyntax, parse, parts_of(broken), utf8=True)
            self.assertEqual(error.tag, b"a1")
        earlier = announced(parts_of(b"a1 APPEND x UTF8 (~{2}\r\nxx) UTF8 ("), utf8=True)
        self.assertEqual(earlier, Announced("x", 2))

    def test_refused(self) -> None:
        self.check_refused(
            {
                "APPEND": "a mailbox name",
                "APPEND x": "flags, a date, or a message",
                "APPEND x ": "a message as a literal",
                "APPEND x hello": "a message as a literal",
                "APPEND x (\\Seen)": "a date or a message",
                "APPEND x (\\Seen){1}\r\nx": "a date or a message",
                "APPEND x (\\Recent) {1}\r\nx": "\\Recent is no flag that can be set",
                "APPEND x {1}\r\nx ": "a message as a literal",
                "APPEND x {1}\r\nx{1}\r\ny": "flags, a date, or a message",
                "APPEND x {1}\r\nx x {1}\r\ny": "a message as a literal",
                'APPEND x "hello" {1}\r\nx': "a date and time",
            }
        )

    def test_dates(self) -> None:
        table = {
            "17-Jul-1996 02:44:25 -0700": moment(1996, 7, 17, 2, 44, 25, zone=-7),
            " 1-JAN-2000 00:00:00 +0000": moment(2000, 1, 1, zone=0),
            "29-Feb-2024 23:59:60 +0530": moment(2024, 2, 29, 23, 59, 59, zone=5.5),
            "31-Dec-9999 23:59:59 +0000": moment(9999, 12, 31, 23, 59, 59, zone=0),
        }
        for text, expected in table.items():
            found = self.parse(f'a APPEND x "{text}" {{1}}\r\nx').value
            assert isinstance(found, Append)
            self.assertEqual(found.messages[0].date, expected)
            assert expected.tzinfo and found.messages[0].date
            self.assertEqual(found.messages[0].date.utcoffset(), expected.utcoffset())
        for text, why in {
            "30-Feb-2024 00:00:00 +0000": "no such moment",
            "00-Jan-2024 00:00:00 +0000": "no such moment",
            "01-Foo-2024 00:00:00 +0000": "no such moment",
            "01-Jan-0000 00:00:00 +0000": "no such moment",
            "01-Jan-2024 24:00:00 +0000": "no such moment",
            "01-Jan-2024 00:60:00 +0000": "no such moment",
            "01-Jan-2024 00:00:61 +0000": "no such moment",
            "01-Jan-2024 00:00:00 +2400": "no such moment",
            "01-Jan-2024 00:00:00 +0060": "no such moment",
            "01-Jan-0001 00:00:00 +0100": "no such moment",
            "31-Dec-9999 23:59:59 -0100": "no such moment",
            "1-Jan-2024 00:00:00 +0000": "a date and time",
            "01-Jan-24 00:00:00 +0000": "a date and time",
            "01-Jan-2024 00:00:00": "a date and time",
            "01-Jan-2024 00:00:00 GMT": "a date and time",
        }.items():
            self.check_refused({f'APPEND x "{text}" {{1}}\r\nx': why})

    def test_a_streamed_message_is_handed_through(self) -> None:
        spool = object()
        value = self.parse([b"a APPEND x ", Literal(10**9, spool=spool), b""]).value
        assert isinstance(value, Append)
        self.assertIs(value.messages[0].literal.spool, spool)
        self.assertRaises(BadSyntax, self.parse, [b"a LOGIN x ", Literal(10**9, spool=spool), b""])


class Target(GrammarCase):
    """Which literals are messages, known before the literal is."""

    def test_for_a_message_its_mailbox(self) -> None:
        for line in (
            "a APPEND inbox ",
            "a append INBOX (\\Seen) ",
            'a APPEND INBOX () "07-Feb-1994 21:52:25 -0800" ',
            'a APPEND "INBOX" "07-Feb-1994 21:52:25 -0800" ',
            "a APPEND {5}\r\nINBOX ",
        ):
            self.assertEqual(announced(parts_of(line)), Announced("INBOX"))

    def test_for_a_later_one_how_much_came_before_it(self) -> None:
        for line, earlier in (
            ("a APPEND x {3}\r\nabc ", 3),
            ("a APPEND x (\\Seen) {3}\r\nabc {4}\r\ndefg (\\Seen) ", 7),
        ):
            self.assertEqual(announced(parts_of(line)), Announced("x", earlier))
        self.assertRaises(TooMany, announced, parts_of("a APPEND x" + " {1}\r\nx" * 64 + " "))

    def test_what_was_said_of_one_is_enough_for_the_next(self) -> None:
        for pieces, utf8 in (
            (
                [
                    "a APPEND x ",
                    "{3}\r\nabc (\\Seen) ",
                    '{4}\r\ndefg () "07-Feb-1994 21:52:25 -0800" ',
                ],
                False,
            ),
            (["a APPEND x UTF8 (", "~{2}\r\nxx) UTF8 (", "~{2}\r\nxx) "], True),
            (["a APPEND x UTF8 (", "~{2}\r\nxx UTF8 ("], True),
            (["a APPEND x ", "{1}\r\nx (\\Seen)x"], False),
            (["a APPEND x" + " {1}\r\nx" * 63 + " ", "{1}\r\nx "], False),
        ):
            whole, before = "", None
            for piece in pieces:
                whole += piece
                parts = parts_of(whole)
                try:
                    alone = announced(parts, utf8=utf8)
                except DuckError as error:
                    found = self.assertRaises(
                        type(error), announced, parts, utf8=utf8, before=before
                    )
                    self.assertEqual(vars(found), vars(error))
                    break
                before = announced(parts, utf8=utf8, before=before)
                self.assertEqual(before, alone)
                assert before is not None and alone is not None
                self.assertEqual(before.fronts, alone.fronts)

    def test_what_was_said_of_the_last_one_is_all_but_its_end(self) -> None:
        for begun, rest, utf8 in (
            ('a APPEND x (\\Seen) {1}\r\na "07-Feb-1994 21:52:25 -0800" ', "{2}\r\nbb", False),
            ("a APPEND {1}\r\nx ", "{2}\r\nbb", False),
            ("a APPEND x UTF8 (~{1}\r\na) () UTF8 (", "~{2}\r\nbb)", True),
        ):
            last = announced(parts_of(begun), utf8=utf8)
            parts = parts_of(begun + rest)
            assert last is not None
            self.assertEqual(announced_whole(parts, last), parse(parts, utf8=utf8).value)
            self.assertEqual(parse(parts, utf8=utf8, last=last), parse(parts, utf8=utf8))
        for begun, rest, utf8 in (
            ("a APPEND x ", "{2}\r\nbb)", False),
            ("a APPEND x ", "{2}\r\nbb ()", False),
            ("a APPEND x UTF8 (", "~{2}\r\nbb", True),
            ("a APPEND x UTF8 (", "{2}\r\nbb)", True),
        ):
            last = announced(parts_of(begun), utf8=utf8)
            parts = parts_of(begun + rest)
            assert last is not None
            self.assertIsNone(announced_whole(parts, last))
            error = self.assertRaises(BadSyntax, parse, parts, utf8=utf8)
            found = self.assertRaises(BadSyntax, parse, parts, utf8=utf8, last=last)
            self.assertEqual(vars(found), vars(error))

    def test_for_a_replacement_what_it_replaces(self) -> None:
        for line, replaced, uid in (
            ("a REPLACE 4 x ", 4, False),
            ("a REPLACE 4 {1}\r\nx () ", 4, False),
            ("a UID REPLACE * x ", STAR, True),
        ):
            expected = Announced("x", 0, SequenceSet(((replaced, replaced),)), uid)
            self.assertEqual(announced(parts_of(line)), expected)
        self.assertIs(announced(parts_of("a REPLACE 4 ")), None)
        self.assertRaises(BadSyntax, announced, parts_of("a REPLACE 4 x {1}\r\nx "))

    def test_for_anything_else_none(self) -> None:
        for line in ("a APPEND ", "a LOGIN ", "a SEARCH TEXT ", "a LOGIN {4}\r\nfred "):
            self.assertIs(announced(parts_of(line)), None)

    def test_a_fault_is_known_before_the_message_is_sent(self) -> None:
        for line in (
            "a APPEND",
            "a APPEND x",
            "a APPEND x (foo",
            "a APPEND x (foo)",
            "a APPEND x (\\Recent) ",
            "a APPEND x y ",
            "a APPEND x {3}\r\nabc",
            "a APPEND x {3}\r\nabc more ",
            "a APPENDIX x ",
            "a",
        ):
            error = self.assertRaises(BadSyntax, announced, parts_of(line))
            self.assertEqual(error.tag, b"a")
        self.assertRaises(BadSyntax, announced, [])
        self.assertRaises(Cannot, announced, parts_of("a APPEND R&D "))
