"""Sequence sets (RFC 3501 §9)."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.sequence import STAR, SequenceSet


class CountingList(Sequence[int]):
    """An ascending sequence that knows how often it was looked at."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.steps = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, at: int) -> int:  # type: ignore[override]
        self.steps += 1
        return range(1, self.size + 1)[at]


class Sets(SynchronousTestCase):
    def test_what_star_stands_for(self) -> None:
        table = [
            (((1, STAR),), 5, "1:5"),
            (((STAR, 1),), 5, "1:5"),
            (((9, STAR),), 5, "5:9"),
            (((STAR, STAR),), 5, "5"),
            (((STAR, STAR),), 0, ""),
            (((1, STAR), (3, 4)), 0, "3:4"),
            (((7, 3), (1, 1), (4, 8)), 5, "1,3:8"),
            (((1, 1), (2, 2)), 5, "1:2"),
        ]
        for ranges, highest, expected in table:
            with self.subTest(ranges=ranges):
                self.assertEqual(str(SequenceSet(ranges).against(highest)), expected)

    def test_which_messages(self) -> None:
        uids = [3, 5, 9]
        table = [
            (((1, STAR),), [3, 5, 9]),
            (((4, 8),), [5]),
            (((STAR, STAR),), [9]),
            (((100, STAR),), [9]),
            (((9, 3), (5, 5)), [3, 5, 9]),
            (((1, 2), (6, 7)), []),
        ]
        for ranges, expected in table:
            self.assertEqual(list(SequenceSet(ranges).resolve(uids)), expected)
        self.assertEqual(SequenceSet(((1, STAR),)).indexes([]), [])
        self.assertEqual(SequenceSet(((5, STAR),)).indexes(uids), [range(1, 3)])

    def test_properties(self) -> None:
        numbers = SequenceSet(((2, 7), (STAR, 3)))
        self.assertTrue(numbers.has_star)
        self.assertEqual(numbers.largest, 7)
        self.assertEqual(numbers.to_bytes(), b"2:7,*:3")
        self.assertEqual(SequenceSet.of(1, STAR).to_bytes(), b"1,*")
        self.assertFalse(SequenceSet.of(1).has_star)
        self.assertEqual(SequenceSet.of(STAR).largest, 0)

    @given(
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6),
        st.sets(st.integers(1, 30)),
    )
    def test_it_names_what_counting_through_names(
        self, ranges: list[tuple[int, int]], members: set[int]
    ) -> None:
        uids = sorted(members)
        expected = set()
        for pair in ranges:
            ends = [number or (uids[-1] if uids else 0) for number in pair]
            expected |= set(range(min(ends), max(ends) + 1)) if 0 not in ends else set()
        self.assertEqual(list(SequenceSet(tuple(ranges)).resolve(uids)), sorted(expected & members))

    def test_a_range_costs_two_binary_searches(self) -> None:
        uids = CountingList(100_000)
        found = SequenceSet(((1, 4_294_967_295),)).indexes(uids)
        self.assertEqual(found, [range(100_000)])
        self.assertLess(uids.steps, 50)
