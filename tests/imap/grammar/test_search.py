"""RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 5256, RFC 9394."""

from __future__ import annotations

import datetime
import sys

from attrs import evolve

from tests.imap.grammar.support import GrammarCase, parts_of, wire_of
from twisted_duck import search as keys
from twisted_duck.errors import BadCharset, BadSyntax, TooMany
from twisted_duck.imap import grammar
from twisted_duck.imap.grammar import (
    Criterion,
    Page,
    Returns,
    Search,
    Sort,
    Thread,
    Unsearchable,
)
from twisted_duck.limits import Limits
from twisted_duck.sequence import SAVED, STAR, SequenceSet
from twisted_duck.values import UIDSet

HAS = keys.HasFlag
NOT = keys.Not
FIRST = datetime.date(1994, 2, 1)


class Searches(GrammarCase):
    limits = evolve(Limits(), search_depth=8, search_keys=50)

    def key(self, line: str) -> keys.SearchKey:
        value = self.parse(f"a SEARCH {line}").value
        assert isinstance(value, Search)
        return value.key

    def check_keys(self, table: dict[str, keys.SearchKey]) -> None:
        for line, expected in table.items():
            with self.subTest(line=line):
                self.assertEqual(self.key(line), expected)

    def test_flags(self) -> None:
        self.check_keys(
            {
                "ALL": keys.All(),
                "answered": HAS("\\Answered"),
                "DELETED": HAS("\\Deleted"),
                "DRAFT": HAS("\\Draft"),
                "FLAGGED": HAS("\\Flagged"),
                "SEEN": HAS("\\Seen"),
                "UNANSWERED": NOT(HAS("\\Answered")),
                "UNDELETED": NOT(HAS("\\Deleted")),
                "UNDRAFT": NOT(HAS("\\Draft")),
                "UNFLAGGED": NOT(HAS("\\Flagged")),
                "UNSEEN": NOT(HAS("\\Seen")),
                "KEYWORD $Junk": HAS("$Junk"),
                "UNKEYWORD $Junk": NOT(HAS("$Junk")),
                "RECENT": keys.Recent(),
                "OLD": NOT(keys.Recent()),
                "NEW": keys.And((keys.Recent(), NOT(HAS("\\Seen")))),
            }
        )

    def test_arguments(self) -> None:
        self.check_keys(
            {
                "BCC x": keys.Header("bcc", "x"),
                "CC x": keys.Header("cc", "x"),
                'FROM "Smith"': keys.Header("from", "Smith"),
                "SUBJECT {4}\r\na\r\nb": keys.Header("subject", "a\r\nb"),
                'TO ""': keys.Header("to", ""),
                "HEADER Message-ID <a@b>": keys.Header("message-id", "<a@b>"),
                'HEADER "X-Foo" ""': keys.Header("x-foo", ""),
                "BODY NIL": keys.Body("NIL"),
                'TEXT "é"': keys.Text("é"),
                "BEFORE 1-Feb-1994": keys.InternalDate("before", FIRST),
                "ON 01-FEB-1994": keys.InternalDate("on", FIRST),
                'SINCE "1-Feb-1994"': keys.InternalDate("since", FIRST),
                "SENTBEFORE 1-Feb-1994": keys.SentDate("before", FIRST),
                "SENTON 1-Feb-1994": keys.SentDate("on", FIRST),
                "SENTSINCE 1-Feb-1994": keys.SentDate("since", FIRST),
                "LARGER 0": keys.Size("larger", 0),
                "SMALLER 9223372036854775807": keys.Size("smaller", 2**63 - 1),
                "2,4:7,9,12:*": keys.SequenceNumbers(
                    SequenceSet(((2, 2), (4, 7), (9, 9), (12, STAR)))
                ),
                "*": keys.SequenceNumbers(SequenceSet.of(STAR)),
                "UID *:4,1": keys.UIDs(SequenceSet(((STAR, 4), (1, 1)))),
            }
        )

    def test_trees(self) -> None:
        seen, recent, one = HAS("\\Seen"), keys.Recent(), keys.SequenceNumbers(SequenceSet.of(1))
        self.check_keys(
            {
                "SEEN RECENT": keys.And((seen, recent)),
                "(SEEN)": seen,
                "((SEEN))": seen,
                "(SEEN RECENT)": keys.And((seen, recent)),
                "1 (SEEN RECENT) 1": keys.And((one, keys.And((seen, recent)), one)),
                "NOT SEEN": NOT(seen),
                "NOT NOT SEEN": NOT(NOT(seen)),
                "NOT (SEEN 1)": NOT(keys.And((seen, one))),
                "OR SEEN 1": keys.Or(seen, one),
                "OR SEEN 1 RECENT": keys.And((keys.Or(seen, one), recent)),
                "OR OR SEEN 1 RECENT": keys.Or(keys.Or(seen, one), recent),
                "OR NOT SEEN (NOT 1)": keys.Or(NOT(seen), NOT(one)),
                "OR (OR SEEN 1) RECENT SEEN": keys.And((keys.Or(keys.Or(seen, one), recent), seen)),
            }
        )

    def test_modseq(self) -> None:
        self.check_keys(
            {
                "MODSEQ 620162338": keys.ModSeq(620162338),
                'MODSEQ "/flags/\\\\draft" all 0': keys.ModSeq(0),
                'OR modseq "/Flags/Work" priv 7 SEEN': keys.Or(keys.ModSeq(7), HAS("\\Seen")),
            }
        )

    def test_charsets(self) -> None:
        text = keys.Text("ö")
        self.check_values(
            {
                'SEARCH TEXT "ö"': Search(text),
                b'SEARCH CHARSET utf-8 TEXT "\xc3\xb6"': Search(text, "UTF-8"),
                b'UID SEARCH CHARSET "ISO-8859-1" TEXT "\xf6"': Search(
                    text, "ISO-8859-1", uid=True
                ),
                b"SEARCH CHARSET windows-1252 TEXT {1}\r\n\x80": Search(
                    keys.Text("€"), "WINDOWS-1252"
                ),
                b"SEARCH CHARSET ISO-2022-JP TEXT {8}\r\n\x1b$BF|\x1b(B": Search(
                    keys.Text("日"), "ISO-2022-JP"
                ),
                "SEARCH CHARSET US-ASCII ALL": Search(keys.All(), "US-ASCII"),
            }
        )
        self.check_refused(
            {
                b'SEARCH TEXT "\xf6"': "not in the charset",
                b'SEARCH CHARSET US-ASCII TEXT "\xc3\xb6"': "not in the charset",
                b"SEARCH CHARSET UTF-8 TEXT {3}\r\n\xed\xa0\x80": "not in the charset",
                "SEARCH CHARSET UTF-8": "a search key",
                "SEARCH CHARSET": "a charset",
                "SEARCH ALL CHARSET UTF-8": "CHARSET is no search key",
            }
        )

    def test_a_charset_that_is_not_supported(self) -> None:
        for name in ("KLINGON", "rot13", "unicode_escape", "idna", "utf-16", '"a\\\\b"', '""'):
            error = self.assertRaises(BadCharset, self.parse, f"a SEARCH CHARSET {name} ALL")
            self.assertIn("UTF-8", error.supported)
            self.assertIn("BADCHARSET (US-ASCII UTF-8 ", error.imap)

    def test_every_charset_is_one_that_python_knows(self) -> None:
        error = self.assertRaises(BadCharset, self.parse, "a SEARCH CHARSET x ALL")
        for name in error.supported:
            self.parse(f"a SEARCH CHARSET {name} TEXT abc")

    def test_what_is_returned(self) -> None:
        everything = keys.All()
        self.check_values(
            {
                "SEARCH RETURN () ALL": Search(everything, returns=Returns(all=True)),
                "UID SEARCH return (min SAVE) CHARSET utf-8 ALL": Search(
                    everything, "UTF-8", uid=True, returns=Returns(least=True, save=True)
                ),
                "SEARCH RETURN (PARTIAL 500:400 COUNT MAX MAX) ALL": Search(
                    everything,
                    returns=Returns(greatest=True, count=True, partial=Page(500, 400)),
                ),
                "SEARCH RETURN (PARTIAL -1:-100) ALL": Search(
                    everything, returns=Returns(partial=Page(1, 100, from_end=True))
                ),
            }
        )

    def test_sort_and_thread(self) -> None:
        seen = HAS("\\Seen")
        date, subject = Criterion("DATE", reverse=True), Criterion("SUBJECT")
        for line, value in {
            "SORT (SUBJECT) UTF-8 SEEN": Sort((subject,), seen, "UTF-8"),
            'UID SORT (reverse date subject) "us-ascii" SEEN': Sort(
                (date, subject), seen, "US-ASCII", uid=True
            ),
            "SORT RETURN (COUNT) (SUBJECT) UTF-8 SEEN": Sort(
                (subject,), seen, "UTF-8", returns=Returns(count=True)
            ),
            "THREAD REFERENCES UTF-8 SEEN": Thread("REFERENCES", seen, "UTF-8"),
            "uid thread orderedsubject utf-8 SEEN": Thread(
                "ORDEREDSUBJECT", seen, "UTF-8", uid=True
            ),
        }.items():
            with self.subTest(line=line):
                command = self.parse(f"a1 {line}")
                self.assertEqual(command.value, value)
                self.assertEqual(self.parse(wire_of(command)), command)

    def test_strings_are_in_the_charset_of_the_sort(self) -> None:
        command = self.parse(b'a SORT (DATE) ISO-8859-1 TEXT "\xf6"')
        self.assertEqual(command.value, Sort((Criterion("DATE"),), keys.Text("ö"), "ISO-8859-1"))
        for line in ("SORT (DATE) KLINGON ALL", "THREAD REFERENCES KLINGON ALL"):
            self.assertRaises(BadCharset, self.parse, f"a {line}")

    def test_what_was_saved(self) -> None:
        self.check_keys(
            {
                "$": keys.SequenceNumbers(SAVED),
                "UID $": keys.UIDs(SAVED),
                "OR $ 1": keys.Or(
                    keys.SequenceNumbers(SAVED), keys.SequenceNumbers(SequenceSet.of(1))
                ),
                "KEYWORD $Junk": HAS("$Junk"),
                "OLDER 1": keys.Within("older", 1),
                "YOUNGER 4294967295": keys.Within("younger", 2**32 - 1),
            }
        )

    def test_a_search_that_can_not_be_saved_is_a_value(self) -> None:
        for line, error in {
            "SEARCH RETURN (SAVE) CHARSET KLINGON TEXT {3}\r\nabc (": BadCharset,
            "UID SORT RETURN (COUNT SAVE) (DATE) KLINGON ALL": BadCharset,
            f"SEARCH RETURN (SAVE) KEYWORD {'x' * 200}": TooMany,
        }.items():
            with self.subTest(line=line):
                value = self.parse(f"a {line}").value
                assert isinstance(value, Unsearchable)
                self.assertIsInstance(value.error, error)
                without = line.replace("SAVE", "ALL")
                self.assertRaises(error, self.parse, f"a {without}")

    def test_refused(self) -> None:
        self.check_refused(
            {
                "SEARCH": "a search key",
                "SEARCH ": "a search key",
                "SEARCH ALL ": "a search key",
                "SEARCH FOO": "FOO is no search key",
                "SEARCH ()": "a search key",
                "SEARCH (ALL": "a search key, or ')'",
                "SEARCH ALL)": "a search key",
                "SEARCH (ALL ": "a search key",
                "SEARCH NOT": "a search key",
                "SEARCH NOT )": "a search key",
                "SEARCH OR ALL": "a search key",
                "SEARCH (OR ALL) ALL": "a search key",
                "SEARCH FROM": "the argument of FROM",
                "SEARCH FROM (": "a string to search for",
                "SEARCH HEADER x": "a string to search for",
                "SEARCH SINCE x": "a date like 1-Feb-1994",
                "SEARCH SINCE 31-Feb-1994": "no such day",
                "SEARCH SINCE 1-Foo-1994": "no such day",
                'SEARCH SINCE "1-Feb-1994': "'\"' after the date",
                "SEARCH SINCE 1-Feb-19944": "a search key",
                "SEARCH LARGER x": "a number of octets",
                "SEARCH LARGER 9223372036854775808": "a number of octets has to be from 0",
                "SEARCH KEYWORD \\Seen": "a flag",
                "SEARCH UID x": "a message number",
                "SEARCH 0": "a message number has to be from 1",
                "SEARCH 1ALL": "a search key",
                "SEARCH RETURN": "options in parentheses",
                "SEARCH RETURN COUNT ALL": "'(' and what to return",
                "SEARCH RETURN (COUNTS) ALL": "COUNTS can't be returned",
                "SEARCH RETURN (COUNT)ALL": "a search key",
                "SEARCH RETURN (ALL PARTIAL 1:2) ALL": "exclude each other",
                "SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL": "PARTIAL stands there twice",
                "SEARCH RETURN (PARTIAL 1) ALL": "':'",
                "SEARCH RETURN (PARTIAL 1:-2) ALL": "the last of a range",
                "SEARCH RETURN (PARTIAL -1:2) ALL": "'-'",
                "SEARCH RETURN (PARTIAL 0:2) ALL": "the first of a range has to be from 1",
                "SEARCH NOT RETURN (COUNT) ALL": "RETURN is no search key",
                "SEARCH OLDER 0": "a number of seconds has to be from 1",
                "SEARCH YOUNGER x": "a number of seconds",
                "SEARCH $1": "a search key",
                "SEARCH 1,$": "a message number",
                "SEARCH UID $,1": "a search key",
                "SORT": "sort criteria",
                "SORT DATE UTF-8 ALL": "sort criteria stand in parentheses",
                "SORT () UTF-8 ALL": "a sort criterion",
                "SORT (REVERSE) UTF-8 ALL": "a sort criterion",
                "SORT (REVERSE REVERSE DATE) UTF-8 ALL": "REVERSE is no sort criterion",
                "SORT (BCC) UTF-8 ALL": "BCC is no sort criterion",
                "SORT (DATE)": "a charset",
                "SORT (DATE) UTF-8": "a search key",
                "SORT RETURN (COUNT) UTF-8 ALL": "'(' and a sort criterion",
                "THREAD": "a threading algorithm",
                "THREAD REFS UTF-8 ALL": "REFS is no threading algorithm",
                "THREAD REFERENCES": "a charset",
                "UID THREAD REFERENCES UTF-8": "a search key",
                "SEARCH MODSEQ": "the argument of MODSEQ",
                "SEARCH MODSEQ x": "a modseq",
                "SEARCH MODSEQ 9223372036854775808": "a modseq has to be",
                'SEARCH MODSEQ "/flags/x" 1': "priv, shared or all",
                'SEARCH MODSEQ "/flags/x" none 1': "priv, shared or all",
                'SEARCH MODSEQ "/comment" all 1': "no name of an entry",
            }
        )

    def test_depth_is_bounded(self) -> None:
        self.key("(" * 7 + "ALL" + ")" * 7)
        self.key("NOT " * 7 + "ALL")
        self.check_refused(
            {
                f"SEARCH {'(' * 8}ALL{')' * 8}": "8 levels at most",
                f"SEARCH {'NOT ' * 8}ALL": "8 levels at most",
                f"SEARCH {'(' * 10_000}": "8 levels at most",
                f"SEARCH {'OR ' * 10_000}": "8 levels at most",
            }
        )

    def test_what_is_refused_or_allowed_costs_as_much_as_it_is_long(self) -> None:
        """Calls that Python makes, of a set of so many UIDs and of so many levels."""

        def calls(line: str) -> int:
            made = 0

            def count(frame: object, event: str, argument: object) -> None:
                nonlocal made
                made += event in ("call", "c_call")

            parts = parts_of(f"a UID SEARCH {line}")
            before = sys.getprofile()
            sys.setprofile(count)
            try:
                try:
                    value = grammar.parse(parts, self.limits).value
                    assert isinstance(value, Search)
                    assert isinstance(value.key, keys.UIDs)
                    UIDSet.of_ranges(value.key.set.ranges)
                except BadSyntax:
                    pass
            finally:
                sys.setprofile(before)
            return made

        some, twice = (
            calls("UID " + ",".join(str(2 * uid) for uid in range(count, 0, -1)))
            for count in (50_000, 100_000)
        )
        self.assertGreater(twice, 100_000)
        self.assertLess(twice, 2.5 * some)
        # 10,000 levels are refused at the ninth.
        self.assertEqual(calls("NOT " * 20_000 + "ALL"), calls("NOT " * 10_000 + "ALL"))

    def test_the_number_of_keys_is_bounded(self) -> None:
        self.key(" ".join(["ALL"] * 50))
        self.assertRaises(TooMany, self.key, " ".join(["ALL"] * 51))
