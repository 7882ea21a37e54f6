"""What a client that comes back has missed: sets against sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.imap.resync import agreed, among, vanished
from twisted_duck.imap.view import View
from twisted_duck.index import MailboxIndex
from twisted_duck.sequence import STAR, SequenceSet
from twisted_duck.values import Change, Changes, Expunged, UIDSet

uids = st.sets(st.integers(1, 40))


def filled(living: set[int], uidnext: int = 50) -> MailboxIndex:
    index = MailboxIndex(1)
    changed = [Change(uid, uid, frozenset()) for uid in living]
    index.apply(Changes(max(living, default=1), uidnext, 1, changed))
    return index


class AgreedTests(SynchronousTestCase):
    @given(uids, uids, st.sets(st.integers(1, 50)))
    def test_up_to_where_no_message_is_missing(
        self, known: set[int], gone: set[int], chosen: set[int]
    ) -> None:
        """The client knew `known`, of which `gone` went; it shows some of its numbers."""
        before = sorted(known)
        numbers = [number for number in sorted(chosen) if number <= len(before)]
        view = View(filled(known - gone))
        found = agreed(
            view, UIDSet.of(numbers), UIDSet.of(before[number - 1] for number in numbers)
        )
        still = [
            before[number - 1]
            for number in numbers
            if number <= len(view) and view.uid(number) == before[number - 1]
        ]
        self.assertEqual(found, max(still, default=0))
        self.assertEqual({uid for uid in gone & known if uid <= found}, set())

    def test_whatever_a_client_says(self) -> None:
        view = View(filled({3, 4, 9}))
        everything = UIDSet(((1, 2**32 - 1),))
        self.assertEqual(agreed(view, everything, everything), 0)
        self.assertEqual(agreed(view, UIDSet(((1, 2**31),)), UIDSet(((3, 2**31 + 2),))), 4)
        self.assertEqual(agreed(view, UIDSet.of([1000]), UIDSet.of([3])), 0)
        self.assertEqual(agreed(View(filled(set())), UIDSet.of([1]), UIDSet.of([1])), 0)


class VanishedTests(SynchronousTestCase):
    @given(uids, uids, uids)
    def test_what_is_remembered(self, living: set[int], gone: set[int], asked: set[int]) -> None:
        index = filled(living)
        found = vanished(View(index), index, UIDSet.of(asked), UIDSet.of(gone))
        self.assertEqual(set(found), (gone & asked) - living)

    @given(uids, uids)
    def test_what_is_not(self, living: set[int], asked: set[int]) -> None:
        index = filled(living, 45)
        found = vanished(View(index), index, UIDSet.of({*asked, *range(44, 60)}), None)
        self.assertEqual(set(found), ({*asked, 44}) - living)

    def test_what_has_a_number_is_not_told(self) -> None:
        index = filled({1, 2, 3})
        view = View(index)
        index.apply(Changes(9, 50, 1, (), [Expunged(9, UIDSet.of([2]))]))
        for gone in (None, UIDSet.of([2, 7])):
            self.assertNotIn(2, vanished(view, index, UIDSet(((1, 9),)), gone))
        self.assertIn(2, vanished(View(index), index, UIDSet(((1, 9),)), None))


class ChangedTests(SynchronousTestCase):
    def test_by_uid_and_by_number(self) -> None:
        index = filled({2, 4, 6, 8})
        view = View(index)

        def found(numbers: SequenceSet, modseq: int, *, uid: bool) -> list[int]:
            return among(view, numbers, index.latest_since(modseq), uid=uid)

        everything = SequenceSet(((1, STAR),))
        self.assertEqual(found(everything, 4, uid=True), [6, 8])
        self.assertEqual(found(everything, 0, uid=False), [2, 4, 6, 8])
        self.assertEqual(found(SequenceSet(((2, 3),)), 4, uid=False), [6])
        self.assertEqual(found(SequenceSet(((2, 6),)), 1, uid=True), [2, 4, 6])
        self.assertEqual(found(SequenceSet(((9, STAR),)), 1, uid=True), [8])
        self.assertEqual(found(everything, 8, uid=True), [])
