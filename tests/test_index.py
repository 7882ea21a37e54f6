"""The index of a mailbox, against a model that is too simple to be wrong."""

from __future__ import annotations

import random
from array import array
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.index import MailboxIndex, common, gone_from, living, runs, same_before
from twisted_duck.values import (
    DELETED,
    FLAGGED,
    SEEN,
    Change,
    Changes,
    Expunged,
    FlagChange,
    Flags,
    Sweep,
    UIDSet,
    Uniform,
)

FLAG_SETS: list[Flags] = [
    frozenset(),
    frozenset({SEEN}),
    frozenset({SEEN, DELETED}),
    frozenset({FLAGGED, "$Label1"}),
    frozenset({"$LABEL1", "Other"}),
]

#: One step: which messages change (by position), to which flags; which go; how many arrive.
steps = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 20), st.sampled_from(FLAG_SETS)), max_size=4),
        st.sets(st.integers(0, 20), max_size=3),
        st.lists(st.sampled_from(FLAG_SETS), max_size=3),
    ),
    max_size=12,
)
Step = tuple[list[tuple[int, Flags]], set[int], list[Flags]]


class Model:
    """A mailbox, and everything that ever happened to it."""

    def __init__(self) -> None:
        self.modseq = 0
        self.uidnext = 1
        self.messages: dict[int, Change] = {}
        self.log: list[Change | tuple[int, int]] = []

    def step(self, step: Step) -> None:
        changes, going, arriving = step
        self.modseq += 1
        uids = sorted(self.messages)
        doomed = {uids[at] for at in going if at < len(uids)}
        for at, flags in changes:
            if at < len(uids) and uids[at] not in doomed:
                self._put(Change(uids[at], self.modseq, flags))
        for flags in arriving:
            self._put(Change(self.uidnext, self.modseq, flags))
            self.uidnext += 1
        for uid in sorted(doomed):
            del self.messages[uid]
            self.log.append((self.modseq, uid))

    def _put(self, change: Change) -> None:
        self.messages[change.uid] = change
        self.log.append(change)

    def expunged(self, since: int) -> list[tuple[int, int]]:
        return [each for each in self.log if isinstance(each, tuple) and each[0] > since]

    def changed(self, since: int) -> set[tuple[int, int]]:
        return {(c.modseq, c.uid) for c in self.log if isinstance(c, Change) and c.modseq > since}

    def changes(self, since: int) -> Changes:
        """What a store's log would give a reader who knows `since`."""
        latest = [change for change in self.messages.values() if change.modseq > since]
        gone = self.expunged(since)
        expunged = [
            Expunged(modseq, UIDSet.of(uid for m, uid in gone if m == modseq))
            for modseq in sorted({modseq for modseq, _ in gone})
        ]
        return Changes(self.modseq, self.uidnext, 1, latest, expunged)


class IndexAgainstModelTests(SynchronousTestCase):
    def alike(self, index: MailboxIndex, model: Model) -> None:
        messages = [model.messages[uid] for uid in sorted(model.messages)]
        uids = [message.uid for message in messages]
        self.assertEqual(list(index.uids), uids)
        self.assertEqual(len(index), len(uids))
        self.assertEqual(index.highest_modseq, model.modseq)
        self.assertEqual(index.uidnext, model.uidnext)
        rows = [(message.uid, message.modseq, message.flags) for message in messages]
        self.assertEqual(list(index.rows(range(1, model.uidnext + 2))), rows)
        self.assertEqual(list(index.rows(uids[1::2])), rows[1::2])
        for uid, modseq, flags in rows:
            self.assertEqual((index.modseq(uid), index.flags(uid)), (modseq, flags))
        for flag in (SEEN, DELETED, FLAGGED, "$label1", "$Nobody"):
            expected = [m.uid for m in messages if flag.lower() in {f.lower() for f in m.flags}]
            self.assertEqual(index.with_flag(flag), expected)
        self.assertEqual(index.unseen, sum(SEEN not in m.flags for m in messages))
        self.assertEqual(index.deleted, sum(DELETED in m.flags for m in messages))
        unseen = [message.uid for message in messages if SEEN not in message.flags]
        self.assertEqual(index.first_unseen(), unseen[0] if unseen else None)
        keywords = {f.lower() for m in messages for f in m.flags if not f.startswith("\\")}
        self.assertEqual({keyword.lower() for keyword in index.keywords()}, keywords)

    @given(steps)
    def test_every_step(self, given: list[Step]) -> None:
        index, model = MailboxIndex(1), Model()
        for step in given:
            known = model.modseq
            model.step(step)
            index.apply(model.changes(known))
            self.alike(index, model)

    @given(steps, st.integers(1, 5))
    def test_several_steps_at_once(self, given: list[Step], every: int) -> None:
        index, model = MailboxIndex(1), Model()
        for number, step in enumerate(given):
            model.step(step)
            if number % every == 0:
                index.apply(model.changes(index.highest_modseq))
                self.alike(index, model)

    @given(
        st.dictionaries(st.integers(1, 3000), st.integers(1, 50), min_size=1),
        st.lists(st.integers(1, 3000), max_size=5),
        st.integers(-1, 60),
    )
    def test_old_changes_far_apart(
        self, messages: dict[int, int], again: list[int], since: int
    ) -> None:
        """Changes that are older than the index, and some that are not, among many UIDs."""
        index = MailboxIndex(1, history=2)
        first = [Change(uid, modseq, frozenset()) for uid, modseq in messages.items()]
        index.apply(Changes(50, 3001, 1, first))
        gone = min(messages)
        index.apply(Changes(51, 3001, 1, (), [Expunged(51, UIDSet.of([gone]))]))
        del messages[gone]
        for modseq, uid in enumerate(sorted(messages.keys() & set(again)), 52):
            messages[uid] = modseq
            index.apply(Changes(modseq, 3001, 1, [Change(uid, modseq, frozenset({SEEN}))]))
        expected = {(modseq, uid) for uid, modseq in messages.items() if modseq > since}
        self.assertEqual(set(index.changed_since(since)), expected)

    @given(steps, st.integers(2, 30))
    def test_what_a_view_has_missed(self, given: list[Step], history: int) -> None:
        index, model = MailboxIndex(1, history), Model()
        for step in given:
            model.step(step)
            index.apply(model.changes(index.highest_modseq))
        for since in range(model.modseq + 1):
            gone = index.expunged_since(since)
            if gone is not None:
                self.assertEqual(sorted(gone), sorted(uid for _, uid in model.expunged(since)))
            changed = index.changed_since(since)
            self.assertEqual(changed, sorted(changed))
            latest = {(c.modseq, c.uid) for c in model.messages.values() if c.modseq > since}
            self.assertTrue(latest <= set(changed))
            self.assertTrue(set(changed) <= model.changed(since))
            if index.remembers(since):
                self.assertEqual(set(changed), model.changed(since))
        self.assertEqual(index.expunged_since(model.modseq), [])
        self.assertEqual(index.changed_since(model.modseq), [])

    @given(steps)
    def test_first_entries_of_an_array_never_change(self, given: list[Step]) -> None:
        index, model = MailboxIndex(1), Model()
        seen: list[tuple[array[int], list[int]]] = []
        for step in given:
            model.step(step)
            index.apply(model.changes(index.highest_modseq))
            seen.append((index.uids, list(index.uids)))
        for uids, expected in seen:
            self.assertEqual(list(uids[: len(expected)]), expected)


class IndexTests(SynchronousTestCase):
    def filled(self, count: int, history: int = 10_000) -> MailboxIndex:
        index = MailboxIndex(7, history)
        messages = [Change(uid, 1, frozenset()) for uid in range(1, count + 1)]
        index.apply(Changes(1, count + 1, 1, messages))
        return index

    def test_new_index_is_empty(self) -> None:
        index = MailboxIndex(7)
        self.assertEqual((index.uidvalidity, len(index), index.highest_modseq), (7, 0, 0))
        self.assertEqual((index.first_unseen(), index.keywords(), index.unseen), (None, (), 0))

    def test_membership(self) -> None:
        index = self.filled(3)
        index.apply(Changes(2, 4, 1, (), [Expunged(2, UIDSet.of([2]))]))
        self.assertEqual([uid in index for uid in range(5)], [False, True, False, True, False])
        for ask in (index.flags, index.modseq):
            self.assertRaises(KeyError, ask, 2)
            self.assertRaises(KeyError, ask, 4)
        self.assertEqual(living(index, [1, 2, 3, 9]), [1, 3])

    def test_changes_from_the_past_are_refused(self) -> None:
        index = self.filled(1)
        index.apply(Changes(5, 2, 1))
        self.assertRaises(ValueError, index.apply, Changes(4, 2, 1))

    def test_message_from_the_past_is_refused(self) -> None:
        index = self.filled(3)
        index.apply(Changes(2, 4, 1, (), [Expunged(2, UIDSet.of([2]))]))
        again = Changes(3, 4, 1, [Change(2, 3, frozenset())])
        self.assertRaises(ValueError, index.apply, again)

    def test_uidnext_and_first_recent_never_fall(self) -> None:
        index = self.filled(3)
        index.apply(Changes(2, 9, 5))
        index.apply(Changes(3, 4, 2))
        self.assertEqual((index.uidnext, index.first_recent), (9, 5))

    def test_message_that_came_and_went_leaves_no_trace_in_the_arrays(self) -> None:
        index = self.filled(1)
        changes = Changes(3, 3, 1, [Change(2, 2, frozenset({"$x"}))], [Expunged(3, UIDSet.of([2]))])
        index.apply(changes)
        self.assertEqual((list(index.uids), index.keywords()), ([1], ()))
        self.assertEqual(index.expunged_since(1), [2])

    def test_first_load_is_nobody_s_news(self) -> None:
        index = self.filled(3)
        self.assertEqual(index.changed_since(1), [])
        self.assertEqual(index.expunged_since(1), [])
        self.assertIsNone(index.expunged_since(0))

    def test_history_is_bounded(self) -> None:
        index = self.filled(10, history=8)
        for modseq in range(2, 40):
            flags = frozenset({SEEN} if modseq % 2 else ())
            index.apply(Changes(modseq, 11, 1, [Change(modseq % 10 + 1, modseq, flags)]))
        self.assertFalse(index.remembers(20))
        self.assertTrue(index.remembers(38))
        small = index.memory()
        for modseq in range(40, 400):
            index.apply(Changes(modseq, 11, 1, [Change(modseq % 10 + 1, modseq, frozenset())]))
        self.assertLessEqual(index.memory(), small + 8 * 100)

    def test_expunges_beyond_the_history_are_not_remembered(self) -> None:
        index = self.filled(100, history=8)
        index.apply(Changes(2, 101, 1, (), [Expunged(2, UIDSet.of(range(1, 51)))]))
        self.assertIsNone(index.expunged_since(1))
        self.assertEqual(index.expunged_since(2), [])

    def test_flag_sets_that_nobody_has_are_forgotten(self) -> None:
        index = self.filled(2)
        for modseq in range(2, 500):
            flags = frozenset({f"keyword-{modseq}"})
            index.apply(Changes(modseq, 3, 1, [Change(1, modseq, flags)]))
        small = index.memory()
        for modseq in range(500, 1_000):
            flags = frozenset({f"keyword-{modseq}"})
            index.apply(Changes(modseq, 3, 1, [Change(1, modseq, flags)]))
        self.assertEqual(index.keywords(), ("keyword-999",))
        self.assertEqual(index.with_flag("keyword-999"), [1])
        self.assertEqual(index.with_flag("keyword-998"), [])
        self.assertEqual(index.flags(2), frozenset())
        # What grew is the history of changes alone.
        self.assertLessEqual(index.memory() - small, 500 * 100)


class RunTests(SynchronousTestCase):
    """Ascending numbers that have much in common."""

    def setUp(self) -> None:
        self.random = random.Random(7)

    def some(self, among: list[int], gaps: int) -> list[int]:
        return sorted(set(among) - set(self.random.sample(among, min(gaps, len(among)))))

    def test_runs_are_of_neighbours_and_together_of_all(self) -> None:
        for gaps in (0, 1, 3, 30, 290, 300):
            living = self.some(list(range(1, 400)), 50)
            uids = self.some(living, gaps)
            found = list(runs(living, uids))
            self.assertEqual([uid for at, _, n in found for uid in uids[at : at + n]], uids)
            for at, place, n in found:
                self.assertEqual(uids[at : at + n], living[place : place + n])
            # They are as long as can be.
            for (_, place, n), (_, following, _) in pairwise(found):
                self.assertLess(place + n, following)

    def test_a_run_of_what_is_not_there(self) -> None:
        with self.assertRaises(ValueError):
            list(runs([1, 2, 4], [1, 2, 3]))

    def test_what_ends_alike(self) -> None:
        for gaps in (0, 1, 3, 30, 290, 350):
            known = self.some(list(range(1, 400)), 50)
            living = self.some(known, gaps)
            gone = sorted(set(known) - set(living))
            alike = len(known) - known.index(gone[-1]) - 1 if gone else len(known)
            self.assertEqual(same_before(known, len(known), living, len(living)), alike)
            # What stands behind is not looked at.
            arrived = [*living, known[-1] + 1]
            self.assertEqual(same_before(known, len(known), arrived, len(living)), alike)
        self.assertEqual(same_before([1, 2], 2, [1, 2], 0), 0)

    def test_long_ends_are_not_walked(self) -> None:
        known = Counting(range(1, 1_000_001))
        self.assertEqual(same_before(known, 1_000_000, range(2, 1_000_001), 999_999), 999_999)
        self.assertLessEqual(known.count, 100)

    def test_what_is_in_both(self) -> None:
        for gaps in (0, 1, 3, 30, 290, 390):
            some = self.some(list(range(1, 400)), 50)
            others = array("I", self.some(list(range(100, 500)), gaps))
            both = sorted(set(some) & set(others))
            self.assertEqual(sorted(common(some, others)), both)
            self.assertEqual(sorted(common(others, some)), both)
            self.assertEqual(list(common(others, others)), list(others))

    def test_what_is_gone(self) -> None:
        for gaps in (0, 1, 3, 30, 290, 300):
            before = self.some(list(range(1, 400)), 50)
            after = self.some(before, gaps)
            arrived = [before[-1] + 1, before[-1] + 5]
            self.assertEqual(gone_from(before, after), sorted(set(before) - set(after)))
            self.assertEqual(gone_from(before, after + arrived), sorted(set(before) - set(after)))

    def test_a_mailbox_that_was_emptied_costs_a_step_a_message(self) -> None:
        looked = Counting(range(1, 5_001))
        self.assertEqual(gone_from(looked, []), list(range(1, 5_001)))
        self.assertLessEqual(looked.count, 2 * 5_000)

    def test_long_runs_are_not_walked(self) -> None:
        living = Counting(range(1, 1_000_001))
        self.assertEqual(list(runs(living, range(1, 1_000_001))), [(0, 0, 1_000_000)])
        self.assertLessEqual(living.count, 100)


class Counting(list[int]):
    """How often one of the numbers is looked at."""

    count = 0

    def __getitem__(self, at: Any) -> Any:
        self.count += 1
        return super().__getitem__(at)


class UniformTests(SynchronousTestCase):
    """What is said of many messages at once is as if it was said of each."""

    def test_they_are_the_same_as_single_changes(self) -> None:
        for seed in range(30):
            chance = random.Random(seed)
            one, other = MailboxIndex(1, history=50), MailboxIndex(1, history=50)
            words = [frozenset({SEEN}), frozenset({DELETED, "a"}), frozenset(), frozenset({"b"})]
            first = [Change(uid, 2, chance.choice(words)) for uid in range(1, 600, 2)]
            one.apply(Changes(2, 600, 1, first))
            other.load(
                array("I", [c.uid for c in first]),
                array("Q", [c.modseq for c in first]),
                [c.flags for c in first],
            )
            other.apply(Changes(2, 600, 1))
            for modseq in range(3, 20):
                some = sorted(chance.sample(list(one.uids), chance.choice((1, 3, 40, 200))))
                groups: dict[Flags, list[int]] = {}
                for uid in some:
                    groups.setdefault(chance.choice(words), []).append(uid)
                changed = [Change(uid, modseq, f) for f, uids in groups.items() for uid in uids]
                one.apply(Changes(modseq, 600, 1, changed))
                uniform = [Uniform(modseq, flags, uids) for flags, uids in groups.items()]
                other.apply(Changes(modseq, 600, 1, uniform=uniform))
                for index in (one, other):
                    self.assertEqual(
                        {
                            uid: flags
                            for flags, uids in index.by_flags(some).items()
                            for uid in uids
                        },
                        {uid: flags for flags, uids in groups.items() for uid in uids},
                    )
                self.assertEqual(list(one.rows(one.uids)), list(other.rows(other.uids)))
                self.assertEqual(one.unseen, other.unseen)
                self.assertEqual(one.keywords(), other.keywords())
                self.assertEqual(one.remembers(modseq - 1), other.remembers(modseq - 1))
                for since in (2, modseq - 3, modseq - 1, modseq):
                    self.assertEqual(set(one.changed_since(since)), set(other.changed_since(since)))

    def test_messages_in_runs_and_scattered_are_removed(self) -> None:
        for kept in (set(range(1, 300, 3)), set(range(1, 100)), set()):
            index = MailboxIndex(1)
            uids = array("I", range(1, 301))
            index.load(uids, array("Q", uids), [frozenset({f"k{uid % 5}"}) for uid in uids])
            index.apply(Changes(300, 301, 1))
            before = index.uids
            gone = UIDSet.of(set(uids) - kept)
            index.apply(Changes(301, 301, 1, (), [Expunged(301, gone)]))
            self.assertEqual(list(before), list(uids), "somebody's picture has changed")
            self.assertEqual(
                list(index.rows(uids)),
                [(uid, uid, frozenset({f"k{uid % 5}"})) for uid in sorted(kept)],
            )
            self.assertEqual(len(index.keywords()), 5 if kept else 0)

    def test_few_among_many_are_found(self) -> None:
        chance = random.Random(3)
        for rare in (0, 1, 5, 30, 200):
            index = MailboxIndex(1)
            uids = array("I", range(1, 301))
            chosen = sorted(chance.sample(range(1, 301), rare))
            flags = {uid: frozenset({DELETED, f"k{uid % 3}"}) for uid in chosen}
            index.load(uids, array("Q", uids), [flags.get(uid, frozenset({SEEN})) for uid in uids])
            index.apply(Changes(300, 301, 1))
            self.assertEqual(index.with_flag(DELETED), chosen)
            self.assertEqual(index.with_flag("K1"), [uid for uid in chosen if uid % 3 == 1])
            self.assertEqual(index.first_unseen(), chosen[0] if chosen else None)


class SweepTests(SynchronousTestCase):
    def test_they_are_the_same_as_single_changes(self) -> None:
        """Whatever of them is in the documents of the messages already, and however many steps come at once."""
        chance = random.Random(11)
        for _ in range(60):
            self._one(chance)

    def _one(self, chance: random.Random) -> None:
        swept, plain = MailboxIndex(1), MailboxIndex(1)
        last = chance.randint(2, 40)
        rows = {uid: (1, chance.choice(FLAG_SETS)) for uid in range(1, last + 1)}
        truth = dict(rows)
        for index in (swept, plain):
            index.apply(Changes(1, last + 1, 1, [Change(u, m, f) for u, (m, f) in rows.items()]))
        sweeps: list[Sweep] = []
        known = 1
        for modseq in range(2, 14):
            first = chance.randint(1, last)
            if chance.random() < 0.7:
                pairs = [(first, chance.randint(first, last)), (1, chance.randint(1, first))]
                mode: Any = chance.choice(["add", "remove", "replace"])
                flags = frozenset(chance.sample([SEEN, DELETED, "$label1", "x"], 2))
                change = FlagChange(mode, flags)
                sweeps.append(
                    Sweep(modseq, UIDSet.of_ranges(pairs[: chance.randint(1, 2)]), change)
                )
                new = {u: change.apply(f) for u, (_, f) in truth.items() if u in sweeps[-1].uids}
                changed = {u: (modseq, f) for u, f in new.items() if f != truth[u][1]}
            else:
                changed = {first: (modseq, chance.choice(FLAG_SETS))}
                rows.update(changed)
            truth.update(changed)
            for uid in chance.sample(range(1, last + 1), chance.randint(0, 2)):
                # Folded.
                rows[uid] = truth[uid]
            if chance.random() < 0.4 or modseq == 13:
                raw = [Change(u, m, f) for u, (m, f) in rows.items() if m > known]
                mine = [sweep for sweep in sweeps if sweep.modseq > known]
                chance.shuffle(mine)
                swept.apply(Changes(modseq, last + 1, 1, raw, sweeps=mine))
                steps = [Change(u, m, f) for u, (m, f) in truth.items() if m > known]
                plain.apply(Changes(modseq, last + 1, 1, steps))
                self.assertEqual(list(swept.rows(swept.uids)), list(plain.rows(plain.uids)))
                self.assertEqual(swept.latest_since(known), plain.latest_since(known))
                self.assertEqual(swept.unseen, plain.unseen)
                spoken = [{word.lower() for word in i.keywords()} for i in (swept, plain)]
                self.assertEqual(spoken[0], spoken[1])
                self.assertEqual(swept.with_flag("$label1"), plain.with_flag("$label1"))
                self.assertLessEqual(
                    set(plain.changed_since(known)), set(swept.changed_since(known))
                )
                self.assertEqual(swept.remembers(known), plain.remembers(known))
                known = modseq
