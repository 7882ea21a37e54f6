"""The index of one open mailbox: UIDs, modseqs and flags in arrays, shared by all sessions of a process.

Sixteen bytes a message: the UID (4), its modseq (8), and the number of its flag set (4), flag sets being interned.  The
arrays are parallel and ascend by UID.

Two promises make it safe to share `uids` with any number of views without copying it:

* messages are only ever added at its end, so that a view that knows the first `n` entries still finds them there;
* messages are never removed from it in place: an expunge puts a **new** array in its stead.

The index moves only by `apply`, from one modseq to a later one, by exactly what the change log holds between the two.
It remembers the latest steps, so that a view can ask what it has missed without a walk through the arrays.

A step of very many messages costs little for each: runs of neighbours are slices of the arrays, and where a run ends is
found by bisection (`same`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import compress, repeat
from operator import not_

from twisted_duck.values import DELETED, SEEN, Change, Changes, Flags, Sweep, UIDSet, Uniform

#: Steps remembered; a view that has missed more gets the answer from the arrays.
HISTORY = 10_000
#: Binary digits of the UIDs that are passed by together when old changes are looked for.
_BLOCK = 8
#: Ranges that are cut out of an array in place, each at the cost of moving what is behind it; for more it is made anew, at
#: that of a walk through all of it.
_CUT = 16
#: Among how many messages there must be more than one of those that are looked for, for a walk to be better than a search.
_SPARSE = 8
#: Sets of flags among some messages up to which each set's messages are found by a pass of their own.
_PASSES = 8


class MailboxIndex:
    """Messages of one mailbox at one modseq.  Nothing here waits, and nothing here knows a database."""

    def __init__(self, uidvalidity: int, history: int = HISTORY) -> None:
        self.uidvalidity = uidvalidity
        self.uidnext = 1
        self.highest_modseq = 0
        #: The lowest UID no session has been told of as \Recent.
        self.first_recent = 1
        #: Living UIDs, ascending.  See the module's promises; read it, never write it.
        self.uids: array[int] = array("I")
        self._modseqs: array[int] = array("Q")
        #: The highest modseq among each `1 << _BLOCK` UIDs, or one that was: who looks for later ones passes by.
        self._peaks: dict[int, int] = {}
        self._flags: array[int] = array("I")
        self._flag_sets: list[Flags] = []
        self._flag_numbers: dict[Flags, int] = {}
        self._flag_counts: list[int] = []
        #: Numbers whose flag set nobody has any more: the next new one takes its place.
        self._free_numbers: list[int] = []
        self._history = history
        #: (modseq, uid) of each new or changed message, ascending by modseq, complete above `_changes_floor`.
        self._changes: list[tuple[int, int]] = []
        self._changes_floor = 0
        #: Where the last step of more than one modseq ended.  The log keeps a message's latest change only, so that of
        #: what such a step holds an earlier change of the same message may be missing.
        self._jumped_to = 0
        #: (modseq, uid) of each expunged message, likewise.
        self._expunges: list[tuple[int, int]] = []
        self._expunges_floor = 0
        #: What was found out last, and at which modseq.
        self._first_unseen: tuple[int, int | None] = (-1, None)
        self._keywords: tuple[int, tuple[str, ...]] = (-1, ())

    # --- reading ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.uids)

    def __contains__(self, uid: int) -> bool:
        at = bisect_left(self.uids, uid)
        return at < len(self.uids) and self.uids[at] == uid

    def _position(self, uid: int) -> int:
        at = bisect_left(self.uids, uid)
        if at == len(self.uids) or self.uids[at] != uid:
            raise KeyError(uid)
        return at

    def flags(self, uid: int) -> Flags:
        """Raises KeyError for a UID that lives no more."""
        return self._flag_sets[self._flags[self._position(uid)]]

    def modseq(self, uid: int) -> int:
        """Raises KeyError for a UID that lives no more."""
        return self._modseqs[self._position(uid)]

    def rows(self, uids: Iterable[int]) -> Iterator[tuple[int, int, Flags]]:
        """`(uid, modseq, flags)` of those of the ascending `uids` that live."""
        mine, modseqs, numbers, sets = self.uids, self._modseqs, self._flags, self._flag_sets
        count, at = len(mine), 0
        for uid in uids:
            # Neighbours in `uids` are mostly neighbours here: look there before searching.
            if at >= count or mine[at] != uid:
                at = bisect_left(mine, uid)
                if at == count:
                    return
                if mine[at] != uid:
                    continue
            yield uid, modseqs[at], sets[numbers[at]]
            at += 1

    def by_flags(self, uids: Sequence[int]) -> dict[Flags, list[int]]:
        """Those of the ascending `uids` that live, ascending, by the flags that they have."""
        uids = living(self, uids)
        found: dict[int, list[int]] = {}
        for at, place, length in runs(self.uids, uids):
            some, numbers = uids[at : at + length], self._flags[place : place + length]
            distinct = set(numbers)
            if len(distinct) > _PASSES:
                for uid, number in zip(some, numbers, strict=True):
                    found.setdefault(number, []).append(uid)
            elif len(distinct) > 1:
                for number in distinct:
                    found.setdefault(number, []).extend(compress(some, map(number.__eq__, numbers)))
            else:
                found.setdefault(distinct.pop(), []).extend(some)
        return {self._flag_sets[number]: uids for number, uids in found.items()}

    def with_flag(self, flag: str) -> list[int]:
        """The UIDs that have a flag (compared without regard to case), ascending."""
        key = flag.lower()
        numbers = {
            number
            for number, flags in enumerate(self._flag_sets)
            if self._flag_counts[number] and any(flag.lower() == key for flag in flags)
        }
        count = sum(self._flag_counts[number] for number in numbers)
        if len(numbers) <= _PASSES and count * _SPARSE <= len(self.uids):
            # Few among many: found without a look at each.
            return sorted(self.uids[at] for number in numbers for at in self._with_number(number))
        return [
            uid for uid, number in zip(self.uids, self._flags, strict=True) if number in numbers
        ]

    def _with_number(self, number: int) -> Iterator[int]:
        """Where the messages stand that have this flag set."""
        at = -1
        for _ in range(self._flag_counts[number]):
            at = self._flags.index(number, at + 1)
            yield at

    def count_with(self, flag: str) -> int:
        """How many messages have a system flag."""
        counts = zip(self._flag_sets, self._flag_counts, strict=True)
        return sum(count for flags, count in counts if flag in flags)

    @property
    def unseen(self) -> int:
        return len(self.uids) - self.count_with(SEEN)

    @property
    def deleted(self) -> int:
        return self.count_with(DELETED)

    def first_unseen(self) -> int | None:
        """The lowest UID without \\Seen (RFC 3501 §7.1, UNSEEN), or None."""
        known_at, answer = self._first_unseen
        if known_at != self.highest_modseq:
            answer = self._find_first_unseen() if self.unseen else None
            self._first_unseen = self.highest_modseq, answer
        return answer

    def _find_first_unseen(self) -> int | None:
        unseen = {
            number
            for number, flags in enumerate(self._flag_sets)
            if self._flag_counts[number] and SEEN not in flags
        }
        if len(unseen) <= _PASSES:
            return self.uids[min(map(self._flags.index, unseen))]
        for uid, number in zip(self.uids, self._flags, strict=True):
            if number in unseen:
                return uid
        return None

    def keywords(self) -> tuple[str, ...]:
        """The keywords that messages have now, sorted."""
        known_at, answer = self._keywords
        if known_at != self.highest_modseq:
            answer = self._find_keywords()
            self._keywords = self.highest_modseq, answer
        return answer

    def _find_keywords(self) -> tuple[str, ...]:
        found: dict[str, str] = {}
        for flags, count in zip(self._flag_sets, self._flag_counts, strict=True):
            if count:
                for flag in flags:
                    if not flag.startswith("\\"):
                        found.setdefault(flag.lower(), flag)
        return tuple(sorted(found.values()))

    def memory(self) -> int:
        """Bytes this index takes, roughly: for the owner's budget."""
        steps = len(self._changes) + len(self._expunges) + len(self._peaks)
        return 16 * len(self.uids) + 100 * steps + 400 * len(self._flag_sets)

    # --- what a view has missed ---------------------------------------------------------------------------------------

    def remembers(self, modseq: int) -> bool:
        """Whether `changed_since(modseq)` knows every single step."""
        return modseq >= max(self._changes_floor, self._jumped_to)

    def changed_since(self, modseq: int) -> list[tuple[int, int]]:
        """`(modseq, uid)` of every message that is new or was changed after `modseq`, ascending by modseq.

        A message that was changed more than once stands there more than once, as far as the steps are remembered;
        beyond that it stands there once, with its latest modseq.  UIDs may have been expunged since.
        """
        if modseq >= self.highest_modseq:
            return []
        if modseq >= self._changes_floor:
            return self._changes[bisect_right(self._changes, (modseq, 0xFFFFFFFF)) :]
        found: list[tuple[int, int]] = []
        for block, peak in self._peaks.items():
            if peak > modseq:
                start = bisect_left(self.uids, block << _BLOCK)
                stop = bisect_left(self.uids, (block + 1) << _BLOCK, start)
                there = zip(self._modseqs[start:stop], self.uids[start:stop], strict=True)
                found.extend(each for each in there if each[0] > modseq)
        return sorted(found)

    def latest_since(self, modseq: int) -> list[int]:
        """The UIDs of the messages that live and whose modseq is above `modseq`, ascending."""
        if modseq >= self._changes_floor:
            return living(self, sorted({uid for _, uid in self.changed_since(modseq)}))
        found: list[int] = []
        for block in sorted(block for block, peak in self._peaks.items() if peak > modseq):
            start = bisect_left(self.uids, block << _BLOCK)
            stop = bisect_left(self.uids, (block + 1) << _BLOCK, start)
            there = zip(self.uids[start:stop], self._modseqs[start:stop], strict=True)
            found.extend([uid for uid, latest in there if latest > modseq])
        return found

    def expunged_since(self, modseq: int) -> list[int] | None:
        """The UIDs expunged after `modseq`, in order of their going, or None when that is not remembered any more."""
        if modseq >= self.highest_modseq:
            return []
        if modseq < self._expunges_floor:
            return None
        return [
            uid for _, uid in self._expunges[bisect_right(self._expunges, (modseq, 0xFFFFFFFF)) :]
        ]

    # --- moving -------------------------------------------------------------------------------------------------------

    def apply(self, changes: Changes) -> None:
        """Move to `changes.highest_modseq`.  The changes are all that happened since `highest_modseq`."""
        if changes.highest_modseq < self.highest_modseq:
            raise ValueError(
                f"changes up to {changes.highest_modseq} are older than {self.highest_modseq}"
            )
        floor = self.highest_modseq
        if len(changes.expunged) == 1:
            gone = changes.expunged[0].uids
        else:
            gone = UIDSet.of_ranges(pair for step in changes.expunged for pair in step.uids.ranges)
        ordered = sorted(changes.changed, key=lambda change: change.uid)
        if gone:
            ordered = [change for change in ordered if change.uid not in gone]
        self._put(ordered)
        steps = [(change.modseq, change.uid) for change in ordered]
        for uniform in changes.uniform:
            self._put_uniform(uniform)
            self._step(steps, uniform.modseq, uniform.uids)
        for sweep in sorted(changes.sweeps, key=lambda sweep: sweep.modseq):
            self._step(steps, sweep.modseq, self._put_sweep(sweep))
        if gone:
            self._remove(gone)
        for step in sorted(changes.expunged, key=lambda step: step.modseq):
            self._expunges_floor = self._too_many(
                self._expunges, step.modseq, len(step.uids), self._expunges_floor
            )
            if step.modseq > self._expunges_floor:
                self._expunges.extend((step.modseq, uid) for uid in step.uids)
        self._changes.extend(sorted(step for step in steps if step[0] > self._changes_floor))
        if floor == 0:
            # The first load: nobody can have missed anything.
            self._changes.clear()
            self._changes_floor = changes.highest_modseq
            self._expunges.clear()
            self._expunges_floor = changes.highest_modseq
        self._changes_floor = self._forget(self._changes, self._changes_floor)
        self._expunges_floor = self._forget(self._expunges, self._expunges_floor)
        if changes.highest_modseq > floor + 1:
            self._jumped_to = changes.highest_modseq
        self.highest_modseq = changes.highest_modseq
        self.uidnext = max(self.uidnext, changes.uidnext)
        self.first_recent = max(self.first_recent, changes.first_recent)

    def _step(self, steps: list[tuple[int, int]], modseq: int, uids: Sequence[int]) -> None:
        """Add that a change of these messages was made."""
        self._changes_floor = self._too_many(self._changes, modseq, len(uids), self._changes_floor)
        if modseq > self._changes_floor:
            steps.extend((modseq, uid) for uid in uids)

    def _too_many(self, steps: list[tuple[int, int]], modseq: int, count: int, floor: int) -> int:
        """Whether what a change did to `count` messages is more than is remembered: the floor afterwards."""
        if count <= self._history:
            return floor
        steps.clear()
        return max(floor, modseq)

    def _forget(self, steps: list[tuple[int, int]], floor: int) -> int:
        """Drop the older half of what is too long; the new floor."""
        if len(steps) <= self._history:
            return floor
        keep = self._history // 2
        floor = steps[-keep - 1][0]
        del steps[: bisect_right(steps, (floor, 0xFFFFFFFF))]
        return floor

    def load(self, uids: array[int], modseqs: array[int], flag_sets: Sequence[Flags]) -> None:
        """Messages that follow on those that are there, before the first `apply` that says at which modseq all this is."""
        self._arrive(uids, modseqs, flag_sets)

    def _put(self, changes: Sequence[Change]) -> None:
        """Changes with ascending UIDs."""
        last = self.uids[-1] if self.uids else 0
        new = bisect_right(changes, last, key=lambda change: change.uid)
        for change in changes[:new]:
            self._put_one(change)
        arrived = changes[new:]
        self._arrive(
            array("I", [change.uid for change in arrived]),
            array("Q", [change.modseq for change in arrived]),
            [change.flags for change in arrived],
        )

    def _arrive(self, uids: array[int], modseqs: array[int], flag_sets: Sequence[Flags]) -> None:
        numbers = {flags: self._intern(flags, count) for flags, count in Counter(flag_sets).items()}
        self.uids.extend(uids)
        self._modseqs.extend(modseqs)
        self._flags.extend(array("I", map(numbers.__getitem__, flag_sets)))
        peaks = self._peaks
        for uid, modseq in zip(uids, modseqs, strict=True):
            if modseq > peaks.get(uid >> _BLOCK, 0):
                peaks[uid >> _BLOCK] = modseq

    def _put_one(self, change: Change) -> None:
        at = bisect_left(self.uids, change.uid)
        if self.uids[at] != change.uid:
            # A change of a message this index never had: its expunge is in a later batch of the log.
            raise ValueError(f"UID {change.uid} is new and not above {self.uids[-1]}")
        self._put_run(at, [change.uid], change.modseq, change.flags)

    def _put_uniform(self, uniform: Uniform) -> None:
        uids, modseq, flags = uniform.uids, uniform.modseq, uniform.flags
        if not uids:
            return
        place = bisect_left(self.uids, uids[0])
        if same(uids, 0, self.uids, place) == len(uids):
            self._put_run(place, uids, modseq, flags)
            return
        found = places(self.uids, uids)
        if len(found) != len(uids):
            raise ValueError("one of the UIDs is not there")
        number = self._intern(flags, len(uids))
        modseqs, numbers = self._modseqs, self._flags
        for old, many in Counter(map(numbers.__getitem__, found)).items():
            self._release(old, many)
        for place in found:
            modseqs[place] = modseq
            numbers[place] = number
        self._peak(uids, modseq)

    def _put_sweep(self, sweep: Sweep) -> list[int]:
        """The UIDs of the messages that it changed, ascending."""
        changed: list[int] = []
        for first, last in sweep.uids.ranges:
            start = bisect_left(self.uids, first)
            changed.extend(self._put_range(start, bisect_right(self.uids, last, start), sweep))
        self._peak(changed, sweep.modseq)
        return changed

    def _put_range(self, start: int, stop: int, sweep: Sweep) -> Iterable[int]:
        """What a sweep makes of the messages that stand between: a flag set's number for another."""
        numbers, modseqs = self._flags[start:stop], self._modseqs[start:stop]
        older: Iterable[bool] = repeat(True)
        counts = Counter(numbers)
        if modseqs and max(modseqs) >= sweep.modseq:
            older = [modseq < sweep.modseq for modseq in modseqs]
            counts = Counter(compress(numbers, older))
        afters = {number: sweep.change.apply(self._flag_sets[number]) for number in counts}
        afters = {n: after for n, after in afters.items() if after != self._flag_sets[n]}
        if not afters:
            return ()
        # A number that nobody has any more is given to another set: not before all of these have theirs.
        news = {number: self._intern(after, counts[number]) for number, after in afters.items()}
        for number in news:
            self._release(number, counts[number])
        if sum(counts[number] for number in news) == len(numbers):
            self._flags[start:stop] = array("I", map(news.__getitem__, numbers))
            self._modseqs[start:stop] = array("Q", [sweep.modseq]) * len(numbers)
            return self.uids[start:stop]
        places = [number in news and old for number, old in zip(numbers, older, strict=False)]
        self._flags[start:stop] = array(
            "I", [news[n] if c else n for n, c in zip(numbers, places, strict=True)]
        )
        self._modseqs[start:stop] = array(
            "Q", [sweep.modseq if c else m for m, c in zip(modseqs, places, strict=True)]
        )
        return compress(self.uids[start:stop], places)

    def _put_run(self, place: int, uids: Sequence[int], modseq: int, flags: Flags) -> None:
        """`uids` are there from `place` on."""
        count = len(uids)
        stop = place + count
        number = self._intern(flags, count)
        for old, many in Counter(self._flags[place:stop]).items():
            self._release(old, many)
        self._modseqs[place:stop] = array("Q", [modseq]) * count
        self._flags[place:stop] = array("I", [number]) * count
        self._peak(uids, modseq)

    def _peak(self, uids: Sequence[int], modseq: int) -> None:
        peaks = self._peaks
        for block in {uid >> _BLOCK for uid in uids}:
            peaks[block] = max(peaks.get(block, 0), modseq)

    def _intern(self, flags: Flags, count: int) -> int:
        """The number of a flag set that so many more messages have."""
        number = self._flag_numbers.get(flags)
        if number is None and self._free_numbers:
            number = self._flag_numbers[flags] = self._free_numbers.pop()
            self._flag_sets[number] = flags
        elif number is None:
            number = self._flag_numbers[flags] = len(self._flag_sets)
            self._flag_sets.append(flags)
            self._flag_counts.append(0)
        self._flag_counts[number] += count
        return number

    def _release(self, number: int, count: int) -> None:
        """So many messages less have this flag set."""
        self._flag_counts[number] -= count
        if not self._flag_counts[number]:
            del self._flag_numbers[self._flag_sets[number]]
            self._free_numbers.append(number)

    def _remove(self, gone: UIDSet) -> None:
        uids = self.uids
        if len(gone.ranges) > _CUT:
            dead = set(gone)
            kept = [uid not in dead for uid in uids]
            for number, count in Counter(compress(self._flags, map(not_, kept))).items():
                self._release(number, count)
            self.uids = array("I", compress(uids, kept))
            self._modseqs = array("Q", compress(self._modseqs, kept))
            self._flags = array("I", compress(self._flags, kept))
            return
        cuts = [
            (start, stop)
            for first, last in gone.ranges
            if (start := bisect_left(uids, first)) < (stop := bisect_right(uids, last))
        ]
        if not cuts:
            return
        for start, stop in cuts:
            for number, count in Counter(self._flags[start:stop]).items():
                self._release(number, count)
        self.uids = left = array("I", uids)
        for start, stop in reversed(cuts):
            del left[start:stop]
            # Nobody shares these.
            del self._modseqs[start:stop]
            del self._flags[start:stop]


def same(some: Sequence[int], at: int, others: Sequence[int], there: int) -> int:
    """How many of `some` from `at` on are, one by one, those of `others` from `there` on.

    Both ascend, and one of them has all of the other from there on: so where they differ once they go on differing.
    """
    most = min(len(some) - at, len(others) - there)
    return _agreeing(most, lambda n: some[at + n] == others[there + n])


def same_before(some: Sequence[int], at: int, others: Sequence[int], there: int) -> int:
    """How many of `some` before `at` are, one by one and backwards, those of `others` before `there`.

    Both ascend, and one of them has all of the other up to there.
    """
    return _agreeing(min(at, there), lambda n: some[at - 1 - n] == others[there - 1 - n])


def _agreeing(most: int, agree: Callable[[int], bool]) -> int:
    """How many of 0, 1, ... `most` agree before the first that does not, behind which none does."""
    if most <= 0 or not agree(0):
        return 0
    step = 1
    while step < most and agree(step):
        step *= 2
    known = step // 2 + 1
    if step <= 2:
        # There is nothing between, as mostly where the runs are short.
        return known
    return known + bisect_left(range(known, min(step, most)), True, key=lambda n: not agree(n))


def runs(living: Sequence[int], uids: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """`uids` (ascending, all of them in `living`) as runs of neighbours in `living`: where a run begins in `uids`, where in
    `living`, and how long it is.  Raises ValueError for a UID that does not live.
    """
    at = 0
    while at < len(uids):
        place = bisect_left(living, uids[at])
        length = same(uids, at, living, place)
        if not length:
            raise ValueError(f"UID {uids[at]} is not there")
        yield at, place, length
        at += length


def places(numbers: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Where those of the ascending `wanted` stand that are among the ascending `numbers`."""
    if len(wanted) * _SPARSE < len(numbers):
        found = ((bisect_left(numbers, each), each) for each in wanted)
        return [at for at, each in found if at < len(numbers) and numbers[at] == each]
    chosen = set(wanted)
    return [at for at, each in enumerate(numbers) if each in chosen]


def common(some: Sequence[int], others: Sequence[int]) -> Collection[int]:
    """What is in both, which ascend."""
    if some == others:
        return some
    if len(others) < len(some):
        some, others = others, some
    if len(some) * _SPARSE < len(others):
        found = ((bisect_left(others, each), each) for each in some)
        return [each for at, each in found if at < len(others) and others[at] == each]
    return set(some).intersection(others)


def gone_from(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Those of `before` that `after` has not.  Both ascend; what `after` has beside them is above them all."""
    found: list[int] = []
    at = there = 0
    while at < len(before) and len(found) * _SPARSE <= at:
        length = same(before, at, after, there)
        at, there = at + length, there + length
        if at < len(before):
            found.append(before[at])
            at += 1
    # Where very many are gone, it is quicker to walk.
    rest = iter(after[there:])
    alive = next(rest, None)
    for uid in before[at:]:
        if uid == alive:
            alive = next(rest, None)
        else:
            found.append(uid)
    return found


def living(index: MailboxIndex, uids: Sequence[int]) -> list[int]:
    """Those of the ascending `uids` that live."""
    if uids:
        # Mostly they all live, and are neighbours.
        start = bisect_left(index.uids, uids[0])
        if index.uids[start : start + len(uids)] == array("I", uids):
            return list(uids)
    return [uid for uid, _, _ in index.rows(uids)]
