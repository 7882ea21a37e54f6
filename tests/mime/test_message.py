"""The summary that is made when a message arrives."""

from __future__ import annotations

import datetime

from twisted.trial.unittest import SynchronousTestCase

from tests.mime.corpus import OWN
from twisted_duck.mime.message import Leaf, analyse
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
