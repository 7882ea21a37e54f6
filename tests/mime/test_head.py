"""A header that is gone through once says what its two readers say of it, whatever stands there."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.mime.corpus import OWN
from twisted_duck.limits import Limits
from twisted_duck.mime import head
from twisted_duck.mime.head import WANTED, read_head, search_lines
from twisted_duck.mime.header import select
from twisted_duck.mime.scan import heads_of, scan, scan_with_heads
from twisted_duck.mime.text import iter_search_header, searchable

PIECES = (
    *("Subject", "TO", "cc", "Content-Type", "Date", "X-Else", ":", ": ", " : ", "\t:", "value"),
    *(
        "\r\n",
        "\n",
        "\r",
        "\r\r\n",
        " ",
        "\t",
        "\r\n ",
        "\n\t",
        "\n \n ",
        "\x0b",
        "\x1c",
        "\x85",
        "\xa0",
    ),
    *("=?utf-8?q?=C3=BC=0D=0A?=", "=?", "?=", "\xe4", "\xc3\xa4", "\0", "a", "İ"),
)


class OncePassedTests(SynchronousTestCase):
    def check(self, raw: bytes, limits: Limits) -> None:
        one = read_head(raw, limits)
        self.assertEqual(
            one.fields, select(raw, WANTED, limits.mime_fields, limits.mime_field), raw
        )
        if one.lines is not None:
            self.assertEqual(one.lines, "".join(search_lines(raw)), raw)

    @given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join).map(str.encode))
    def test_any_header(self, raw: bytes) -> None:
        for limits in (Limits(), Limits(mime_fields=3), Limits(mime_field=20)):
            self.check(raw, limits)
            self.check(raw + b"\r\n\r\n", limits)

    @given(
        st.lists(st.sampled_from(PIECES), max_size=40)
        .map("".join)
        .map(lambda s: s.encode("latin-1", "ignore"))
    )
    def test_any_octets(self, raw: bytes) -> None:
        self.check(raw + b"\n", Limits())

    def test_the_headers_of_all_messages(self) -> None:
        kept = 0
        for path in sorted(OWN.glob("*.eml")):
            data = path.read_bytes()
            for part in scan(data).parts:
                raw = data[part.start : part.body]
                self.check(raw, Limits())
                kept += read_head(raw, Limits()).lines is not None
        self.assertGreater(kept, 50)

    def test_of_a_long_one_no_lines_are_kept(self) -> None:
        raw = b"Subject: s\r\n" * 10
        self.assertEqual(read_head(raw, Limits()).lines, "Subject:s\n" * 10)
        with patch.object(head, "_SHORT", len(raw) - 1):
            self.assertIsNone(read_head(raw, Limits()).lines)
            self.check(raw, Limits())

    def test_of_names_so_many_are_remembered(self) -> None:
        raw = b"".join(b"X-%d: x\n" % number for number in range(2_000))
        self.check(raw + b"Subject : s\n" + b"x" * 40 + b" : x\n", Limits())
        self.assertLessEqual(len(head._names), head._REMEMBERED)

    def test_of_many_headers_no_more_lines_are_kept_than_search_looks_at(self) -> None:
        """A message of 64 MiB that is all headers is not in memory a second time, as text."""
        header = b"Subject: =?utf-8?q?=F0=9F=98=80?=\r\n" + b"X-Else: some\r\n" * 20 + b"\r\n"
        data = (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            + (b"--b\r\n" + header + b"text\r\n") * 50
            + b"--b--\r\n"
        )
        limits = Limits(mime_search=5 * len(header))
        tree, heads = scan_with_heads(data, limits)
        self.assertEqual(len(heads), 51)
        for each in (heads, heads_of(data, tree, limits)):
            kept = [one.lines for one in each if one.lines is not None]
            self.assertEqual(len(kept), 6)
        whole = "".join(iter_search_header(data, tree))
        self.assertEqual("".join(iter_search_header(data, tree, heads)), whole)
        self.assertEqual(searchable(data, tree, limits, heads).header, whole[: limits.mime_search])
