"""i;unicode-casemap, RFC 5051."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.collation import casemap, descending
from twisted_duck.mime.text import fold


class CasemapTests(SynchronousTestCase):
    def test_the_example_of_the_rfc(self) -> None:
        self.assertEqual(casemap("\u01c4"), "Dz\u030c")

    def test_case_and_composition_make_no_difference(self) -> None:
        for one, other in (
            ("duck", "DUCK"),
            ("über", "U\u0308BER"),
            ("ДУРАК", "дурак"),
            ("Å", "\u212b"),
        ):
            self.assertEqual(casemap(one), casemap(other))
        self.assertNotEqual(casemap("u"), casemap("ü"))

    def test_the_order_is_that_of_title_case(self) -> None:
        self.assertLess(casemap("z"), casemap("_"))
        self.assertLess(casemap("a"), casemap("B"))

    def test_ascii_is_mapped_like_everything_else(self) -> None:
        every = "".join(map(chr, range(128)))
        self.assertEqual(casemap(every), casemap(every + "é")[: len(every)])

    def test_search_finds_whatever_is_equal(self) -> None:
        # `fold` depends on nothing else: equal strings stay equal.
        every = "".join(chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000)
        self.assertEqual(fold(casemap(every)), fold(every))

    @given(st.text(), st.text())
    def test_descending_is_the_opposite(self, one: str, other: str) -> None:
        one, other = one.replace("\0", ""), other.replace("\0", "")
        self.assertEqual(one < other, descending(one) > descending(other))
        self.assertEqual(one == other, descending(one) == descending(other))
