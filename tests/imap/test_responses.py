"""Values into bytes, by the letter of RFC 3501 §9."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck import errors
from twisted_duck.imap import responses
from twisted_duck.imap.grammar.cursor import Cursor, Literal
from twisted_duck.limits import Limits
from twisted_duck.values import DELETED, SEEN


class StringTests(SynchronousTestCase):
    def test_quoted_where_it_can_be(self) -> None:
        for value, said in (
            (b"", b'""'),
            (b"a b", b'"a b"'),
            (b'say "hi" \\o/', rb'"say \"hi\" \\o/"'),
            (b"tab\t", b'"tab\t"'),
            (b"two\r\nlines", b"{10}\r\ntwo\r\nlines"),
            ("ü".encode(), b"{2}\r\n\xc3\xbc"),
            (b"x" * 1000, b'"' + b"x" * 1000 + b'"'),
            (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
        ):
            self.assertEqual(responses.string(value), said)

    def test_nil_is_not_the_atom_nil(self) -> None:
        self.assertEqual(responses.nstring(None), b"NIL")
        self.assertEqual(responses.astring(b"nil"), b'"nil"')
        self.assertEqual(responses.astring(b"INBOX"), b"INBOX")
        self.assertEqual(responses.astring(b"a*b"), b'"a*b"')

    def test_mailbox_names_in_utf7_and_in_utf8(self) -> None:
        for name, utf7, utf8 in (
            ("R&D", b"R&-D", b"R&D"),
            ("Réf", b"R&AOk-f", '"Réf"'.encode()),
            ('é"\\', b'"&AOk-\\"\\\\"', '"é\\"\\\\"'.encode()),
            ("é\nx", b"&AOkACg-x", "{4}\r\né\nx".encode()),
        ):
            self.assertEqual(responses.mailbox(name), utf7)
            self.assertEqual(responses.mailbox(name, utf8=True), utf8)

    @given(st.binary(max_size=40).filter(lambda value: b"\0" not in value))
    def test_what_is_said_can_be_read(self, value: bytes) -> None:
        said = responses.astring(value)
        parts: list[bytes | Literal] = [said]
        if said.startswith(b"{"):
            parts = [b"", Literal.of(said.partition(b"\r\n")[2])]
        cursor = Cursor(parts, Limits())
        self.assertEqual(cursor.astring("a string"), value)
        cursor.end()

    @given(st.text(max_size=400))
    def test_text_is_one_printable_line(self, message: str) -> None:
        self.assertRegex(responses.text(message), rb"\A[\x20-\x7e]{1,300}\Z")


class DateTests(SynchronousTestCase):
    def test_the_day_has_two_places(self) -> None:
        day = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
        self.assertEqual(responses.date_time(day), b'" 3-Feb-2026 04:05:06 +0000"')

    def test_zones(self) -> None:
        for minutes, said in ((330, b"+0530"), (-210, b"-0330"), (-30, b"-0030"), (840, b"+1400")):
            zone = timezone(timedelta(minutes=minutes))
            moment = datetime(800, 12, 31, 23, 59, 59, tzinfo=zone)
            self.assertEqual(responses.date_time(moment), b'"31-Dec-0800 23:59:59 %b"' % said)


class LineTests(SynchronousTestCase):
    def test_flags(self) -> None:
        flags = frozenset({"zebra", SEEN, "$Work", DELETED})
        self.assertEqual(responses.flags_of(flags, False), rb"(\Deleted \Seen $Work zebra)")
        self.assertEqual(responses.flags_of(flags, True), rb"(\Recent \Deleted \Seen $Work zebra)")
        self.assertEqual(responses.flags_of(frozenset(), False), b"()")

    def test_errors(self) -> None:
        for error, said in (
            (errors.BadSyntax("what"), b"a1 BAD what\r\n"),
            (errors.WrongState("not now"), b"a1 BAD not now\r\n"),
            (errors.Refused("no"), b"a1 NO no\r\n"),
            (errors.TryCreate("none"), b"a1 NO [TRYCREATE] none\r\n"),
            (errors.ExpungeIssued("gone"), b"a1 NO [EXPUNGEISSUED] gone\r\n"),
            (errors.Unavailable(""), b"a1 NO [UNAVAILABLE] ?\r\n"),
            (
                errors.BadCharset("X", ("US-ASCII", "UTF-8")),
                b"a1 NO [BADCHARSET (US-ASCII UTF-8)] charset is not supported\r\n",
            ),
        ):
            self.assertEqual(responses.failure(b"a1", error), said)

    def test_sets(self) -> None:
        self.assertEqual(responses.search([]), b"* SEARCH\r\n")
        self.assertEqual(responses.search([responses.numbers([2, 84])]), b"* SEARCH 2 84\r\n")
        self.assertEqual(responses.copyuid(7, "1,3", "5:6"), b"COPYUID 7 1,3 5:6")
        self.assertEqual(responses.appenduid(7, "9"), b"APPENDUID 7 9")
