"""Header fields, encoded words and dates."""

from __future__ import annotations

import datetime
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime import header
from twisted_duck.mime.date import sent_date
from twisted_duck.mime.header import (
    blank_line,
    fields,
    first,
    raw_fields,
    select,
    selector,
    unfold,
    unfolded_lines,
)
from twisted_duck.mime.words import codec, decode_words


class HeaderTests(SynchronousTestCase):
    RAW = b"From x y\nSubject: a\r\n\tb\r\nTO : c\n\r\nbody: no\r\n"

    def test_fields_with_offsets(self) -> None:
        self.assertEqual(
            [(one.name, self.RAW[one.value : one.end]) for one in fields(self.RAW)],
            [(b"", b"From x y\n"), (b"subject", b" a\r\n\tb\r\n"), (b"to", b" c\n")],
        )

    def test_selected_fields(self) -> None:
        found = select(b"A: 1\nb: 2\n a: no\na : 3\n", selector([b"a", b"c"]), 10, 10)
        self.assertEqual(found, {b"a": [b" 1", b" 3"]})
        self.assertEqual((first(found, b"a"), first(found, b"c")), (b"1", None))
        self.assertEqual(select(b"a:12\n" * 9, selector([b"a"]), 5, 1), {b"a": [b"1"] * 5})

    def test_unfolding_takes_out_line_ends_only(self) -> None:
        self.assertEqual(unfold(b" a\r\n\t b \n c\r\n"), b"a\t b  c")
        self.assertEqual(unfold(b"a\rb\r\n"), b"a b")

    def test_blank_line(self) -> None:
        for raw, blank in {b"": b"", b"\n": b"\n", b"a:b\n\r\n": b"\r\n", b"a:b\n": b""}.items():
            self.assertEqual(blank_line(raw), blank)

    @given(st.text("ab: \t\r\n").map(str.encode))
    def test_fields_cover_the_header(self, raw: bytes) -> None:
        place = 0
        for one in fields(raw):
            self.assertEqual(one.start, place)
            self.assertTrue(one.start <= one.value <= one.end)
            place = one.end
        self.assertEqual(raw_fields(raw), [raw[one.start : one.end] for one in fields(raw)])

    @given(st.text("ab: \t\r\n", max_size=60).map(str.encode), st.integers(2, 9), st.integers(1, 9))
    def test_in_pieces_of_any_size_it_is_the_same(self, raw: bytes, block: int, piece: int) -> None:
        def read() -> tuple[object, object]:
            return list(unfolded_lines(raw)), select(raw, selector([b"a", b"ab"]), 10, 1_000)

        whole = read()
        with patch.multiple(header, _BLOCK=block, _PIECE=piece):
            self.assertEqual(read(), whole)

    def test_lines_longer_than_a_block_stay_whole(self) -> None:
        raw = b"A: b\r\n" * 20_000 + b"C:" + b"\r\n d" * 50_000 + b"\r\nE: f\r\n\r\n"
        lines = list(unfolded_lines(raw))
        self.assertEqual(lines.count("A: b"), 20_000)
        self.assertEqual(lines[-2:], ["C:" + " d" * 50_000, "E: f"])


class WordTests(SynchronousTestCase):
    def test_examples_of_rfc_2047(self) -> None:
        for raw, text in {
            b"=?ISO-8859-1?Q?a?= b": "a b",
            b"=?ISO-8859-1?Q?a?=   =?ISO-8859-1?Q?b?=": "ab",
            b"=?ISO-8859-1?Q?a_b?=": "a b",
            b"=?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>": "Keith Moore <moore@cs.utk.edu>",
            b"=?utf-8?B?w7w=?= x =?utf-8?q?=C3=BC?=": "ü x ü",
            b"=?utf-8?b?w7?= =?utf-8?b?w=?=": "\ufffd",
            b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=": "ü",
            b"=?x-unknown?q?=FC?=": "ü",
            b"raw \xc3\xbc": "raw ü",
            b"raw \xfc": "raw ü",
            b"=?utf-8?q?open": "=?utf-8?q?open",
            b"x =?utf-8?q?=": "x =?utf-8?q?=",
        }.items():
            self.assertEqual(decode_words(raw), text, raw)

    def test_only_character_sets_are_codecs(self) -> None:
        for name in (
            b"rot13",
            b"zlib",
            b"punycode",
            b"idna",
            b"unicode_escape",
            b"os",
            b"base64",
            b"\xff",
        ):
            self.assertIsNone(codec(name), name)
        for name in (
            b"UTF-8",
            b"iso-8859-15",
            b"windows-1252",
            b"koi8-r",
            b"gb2312",
            b"iso-2022-jp",
            b"Big5",
        ):
            self.assertIsNotNone(codec(name), name)

    @given(st.one_of(st.binary(), st.text("=?qb*_ autf8-\n").map(str.encode)))
    def test_anything_is_text(self, raw: bytes) -> None:
        decode_words(raw)

    def test_hostile_words_end(self) -> None:
        for raw in (
            b"=?" * 400_000,
            b"=?a" * 300_000,
            b"=?*" * 300_000,
            b"=?a?q?" * 200_000,
            b"=" * 500_000,
        ):
            decode_words(raw)


class DateTests(SynchronousTestCase):
    def test_the_day_as_written(self) -> None:
        for raw, day in {
            b" Fri, 21 Nov 1997 23:55:06 -0600": (1997, 11, 21),
            b"21 Nov 97 09:55:06 GMT": (1997, 11, 21),
            b"1 Jan 05 00:00": (2005, 1, 1),
            b"Fri, 21 Nov 103 09:55:06 GMT": (2003, 11, 21),
            b"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32": (1969, 2, 13),
            b"(c) Fri (d) , 21(e) Nov 1997": (1997, 11, 21),
            b"21-NOV-1997": (1997, 11, 21),
        }.items():
            self.assertEqual(sent_date(raw), datetime.date(*day), raw)

    def test_no_day(self) -> None:
        for raw in (
            b"",
            b"yesterday",
            b"31 Feb 2020",
            b"1 Foo 2020",
            b"0 Jan 2020",
            b"1 Jan 20200",
            b"1 Jan",
        ):
            self.assertIsNone(sent_date(raw), raw)

    @given(st.binary())
    def test_anything(self, raw: bytes) -> None:
        sent_date(raw)
