"""The values that cross the planes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.values import (
    DELETED,
    FLAGGED,
    SEEN,
    FlagChange,
    UIDSet,
    compact,
)

numbers = st.integers(1, 60)
ranges = st.lists(st.tuples(numbers, numbers), max_size=10)


class UIDSetTests(SynchronousTestCase):
    def canonical(self, uids: UIDSet) -> None:
        """Ranges ascend, and a number lies between any two."""
        for first, last in uids.ranges:
            self.assertLessEqual(first, last)
        for (_, last), (first, _) in zip(uids.ranges, uids.ranges[1:], strict=False):
            self.assertGreater(first, last + 1)

    @given(st.lists(numbers))
    def test_of_numbers(self, given: list[int]) -> None:
        uids = UIDSet.of(given)
        self.canonical(uids)
        self.assertEqual(list(uids), sorted(set(given)))

    @given(ranges)
    def test_of_ranges(self, given: list[tuple[int, int]]) -> None:
        uids = UIDSet.of_ranges(given)
        self.canonical(uids)
        expected = {n for a, b in given for n in range(min(a, b), max(a, b) + 1)}
        self.assertEqual(list(uids), sorted(expected))

    @given(ranges, st.integers(-1, 62))
    def test_length_truth_and_membership(self, given: list[tuple[int, int]], number: int) -> None:
        uids = UIDSet.of_ranges(given)
        self.assertEqual(len(uids), len(list(uids)))
        self.assertEqual(bool(uids), bool(list(uids)))
        self.assertEqual(number in uids, number in list(uids))

    @given(ranges, ranges)
    def test_what_two_have_in_common(
        self, one: list[tuple[int, int]], other: list[tuple[int, int]]
    ) -> None:
        mine, theirs = UIDSet.of_ranges(one), UIDSet.of_ranges(other)
        common = mine.common(theirs)
        self.canonical(common)
        self.assertEqual(list(common), sorted(set(mine) & set(theirs)))

    @given(ranges, st.sets(st.integers(1, 62)))
    def test_what_is_left_without_some(self, given: list[tuple[int, int]], taken: set[int]) -> None:
        uids = UIDSet.of_ranges(given)
        left = uids.without(sorted(taken))
        self.canonical(left)
        self.assertEqual(list(left), sorted(set(uids) - taken))

    def test_membership_of_what_is_no_number(self) -> None:
        self.assertNotIn("1", UIDSet.of([1]))

    def test_equal_sets_are_equal_however_they_were_made(self) -> None:
        self.assertEqual(UIDSet.of([3, 1, 2]), UIDSet.of_ranges([(2, 3), (2, 1)]))
        self.assertEqual(UIDSet.of([]), UIDSet())

    def test_huge_range_costs_nothing(self) -> None:
        uids = UIDSet.of_ranges([(1, 2**32 - 1)])
        self.assertEqual(len(uids), 2**32 - 1)
        self.assertIn(2**31, uids)

    def test_as_text(self) -> None:
        self.assertEqual(str(UIDSet.of([1, 2, 3, 5, 8, 7])), "1:3,5,7:8")
        self.assertEqual(str(UIDSet()), "")


class CompactTests(SynchronousTestCase):
    def test_keeps_the_order(self) -> None:
        self.assertEqual(compact([7, 3, 4, 5]), "7,3:5")
        self.assertEqual(compact([5, 4, 3]), "5,4,3")
        self.assertEqual(compact([]), "")

    @given(st.lists(st.integers(1, 9)))
    def test_can_be_read_back(self, given: list[int]) -> None:
        read: list[int] = []
        for piece in filter(None, compact(given).split(",")):
            first, _, last = piece.partition(":")
            read.extend(range(int(first), int(last or first) + 1))
        self.assertEqual(read, given)


class FlagChangeTests(SynchronousTestCase):
    def after(self, mode: str, before: set[str], given: set[str]) -> set[str]:
        return set(FlagChange(mode, frozenset(given)).apply(frozenset(before)))  # type: ignore[arg-type]

    def test_modes(self) -> None:
        before = {SEEN, "$Label1"}
        self.assertEqual(self.after("add", before, {FLAGGED}), {SEEN, FLAGGED, "$Label1"})
        self.assertEqual(self.after("remove", before, {SEEN, DELETED}), {"$Label1"})
        self.assertEqual(self.after("replace", before, {DELETED}), {DELETED})
        self.assertEqual(self.after("replace", before, set()), set())

    def test_keywords_keep_their_first_spelling(self) -> None:
        self.assertEqual(self.after("add", {"$Label1"}, {"$LABEL1"}), {"$Label1"})
        self.assertEqual(self.after("replace", {"$Label1", SEEN}, {"$LABEL1"}), {"$Label1"})
        self.assertEqual(self.after("remove", {"$Label1"}, {"$LABEL1"}), set())

    def test_of_two_spellings_every_process_keeps_the_same(self) -> None:
        # Their order in a set is another in each process.
        before = {each for n in range(32) for each in (f"Label{n}", f"label{n}")}
        kept = {f"label{n}" for n in range(32)}
        self.assertEqual(self.after("add", before, {SEEN}), {SEEN, *kept})
        self.assertEqual(self.after("remove", before, {"label0"}), kept - {"label0"})
        self.assertEqual(self.after("replace", before, before), kept)
