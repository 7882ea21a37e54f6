"""The summary that is made when a message arrives."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.mime.corpus import OWN
from twisted_duck.limits import Limits
from twisted_duck.mime.message import Leaf, analyse, behind
from twisted_duck.mime.scan import scan
from twisted_duck.mime.structure import body, bodystructure, envelope
from twisted_duck.mime.text import searchable


class AnalysisTests(SynchronousTestCase):
    def test_it_is_what_each_function_says_alone(self) -> None:
        for path in sorted(OWN.glob("*.eml")):
            data = path.read_bytes()
            one = analyse(data)
            tree = scan(data)
            self.assertEqual(one.tree, tree)
            self.assertEqual(one.envelope, envelope(data, tree))
            self.assertEqual(one.bodystructure, bodystructure(data, tree))
            self.assertEqual(one.body, body(data, tree))
            self.assertEqual(one.searchable, searchable(data, tree))

    def test_leaves_and_date(self) -> None:
        data = (OWN / "attachment.eml").read_bytes()
        one = analyse(data)
        self.assertEqual(one.sent_date, datetime.date(2020, 3, 3))
        text, paper = one.leaves
        self.assertEqual(data[text.start : text.end], b"see http://example.org/")
        self.assertEqual(paper, Leaf(paper.start, paper.end, True))
        self.assertEqual(data[paper.start : paper.end], b"JVBERi0x")


TRACE = "Return-Path: <>\r\nDelivered-To: =?utf-8?q?=C3=A9?=.é@example.org\r\n".encode()
PIECES = (
    *(b"\r\n", b"\n", b"\r", b" ", b":", b"x", b"--b", b"--b--", b"Subject: s", b"\xff"),
    *(b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"text"),
)


class BehindTests(SynchronousTestCase):
    """A message with fields in front of it is not read again, and yet known."""

    def check(self, data: bytes, limits: Limits) -> None:
        self.assertEqual(
            behind(TRACE, analyse(data, limits), limits), analyse(TRACE + data, limits)
        )

    def test_the_corpus(self) -> None:
        for path in sorted(OWN.glob("*.eml")):
            data = path.read_bytes()
            for limits in (Limits(), Limits(mime_search=len(TRACE) - 10), Limits(mime_search=200)):
                if not data.startswith(b" "):
                    self.check(data, limits)

    @given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
    def test_anything_that_does_not_begin_with_a_continuation(self, data: bytes) -> None:
        if not data.startswith((b" ", b"\t")):
            self.check(data, Limits())

    def test_a_continuation_is_a_line_of_its_own(self) -> None:
        data = b" folded\r\nSubject: s\r\n\r\ntext"
        one, whole = behind(TRACE, analyse(data)), analyse(TRACE + data)
        self.assertEqual((one.tree, one.envelope), (whole.tree, whole.envelope))
        self.assertIn("\n:folded\n", one.searchable.header)
