"""The index of one open mailbox: UIDs, modseqs and flags in arrays, shared by all sessions of a process.

Sixteen bytes a message: the UID (4), its modseq (8), and the number of its flag set (4), flag sets being interned.  The
arrays are parallel and ascend by UID.

Two promises make it safe to share `uids` with any number of views without copying it:

* messages are only ever added at its end, so that a view that knows the first `n` entries still finds them there;
* messages are never removed from it in place: an expunge puts a **new** array in its stead.

The index moves only by `apply`, from one modseq to a later one, by exactly what the change log holds between the two.
It remembers the latest steps, so that a view can ask what it has missed without a walk through the arrays.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from twisted_duck.values import DELETED, SEEN, Changes, Flags

#: Steps remembered; a view that has missed more gets the answer from the arrays.
HISTORY = 10_000
#: Binary digits of the UIDs that are passed by together when old changes are looked for.
_BLOCK = 8


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
        self._first_unseen: tuple[int, int | None] = (-1, None)

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

    def with_flag(self, flag: str) -> list[int]:
        """The UIDs that have a flag (compared without regard to case), ascending."""
        key = flag.lower()
        numbers = {n for n, s in enumerate(self._flag_sets) if any(f.lower() == key for f in s)}
        if not any(self._flag_counts[n] for n in numbers):
            return []
        return [
            uid for uid, number in zip(self.uids, self._flags, strict=True) if number in numbers
        ]

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
        unseen = {n for n, flags in enumerate(self._flag_sets) if SEEN not in flags}
        for uid, number in zip(self.uids, self._flags, strict=True):
            if number in unseen:
                return uid
        return None

    def keywords(self) -> list[str]:
        """The keywords that messages have now, sorted."""
        found: dict[str, str] = {}
        for flags, count in zip(self._flag_sets, self._flag_counts, strict=True):
            if count:
                for flag in flags:
                    if not flag.startswith("\\"):
                        found.setdefault(flag.lower(), flag)
        return sorted(found.values())

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
        gone = {uid for step in changes.expunged for uid in step.uids}
        steps: list[tuple[int, int]] = []
        for change in sorted(changes.changed, key=lambda change: change.uid):
            if change.uid not in gone:
                self._put(change.uid, change.modseq, change.flags)
                steps.append((change.modseq, change.uid))
        steps.sort()
        if gone:
            self._remove(gone)
        self._expunges.extend(
            sorted((step.modseq, uid) for step in changes.expunged for uid in step.uids)
        )
        self._changes.extend(steps)
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

    def _forget(self, steps: list[tuple[int, int]], floor: int) -> int:
        """Drop the older half of what is too long; the new floor."""
        if len(steps) <= self._history:
            return floor
        keep = self._history // 2
        floor = steps[-keep - 1][0]
        del steps[: bisect_right(steps, (floor, 0xFFFFFFFF))]
        return floor

    def _put(self, uid: int, modseq: int, flags: Flags) -> None:
        if modseq > self._peaks.get(uid >> _BLOCK, 0):
            self._peaks[uid >> _BLOCK] = modseq
        if not self.uids or uid > self.uids[-1]:
            self.uids.append(uid)
            self._modseqs.append(modseq)
            self._flags.append(self._intern(flags))
        else:
            at = bisect_left(self.uids, uid)
            if self.uids[at] != uid:
                # A change of a message this index never had: its expunge is in a later batch of the log.
                raise ValueError(f"UID {uid} is new and not above {self.uids[-1]}")
            number = self._intern(flags)
            self._release(self._flags[at])
            self._modseqs[at] = modseq
            self._flags[at] = number

    def _intern(self, flags: Flags) -> int:
        """The number of a flag set that one more message has."""
        number = self._flag_numbers.get(flags)
        if number is None and self._free_numbers:
            number = self._flag_numbers[flags] = self._free_numbers.pop()
            self._flag_sets[number] = flags
        elif number is None:
            number = self._flag_numbers[flags] = len(self._flag_sets)
            self._flag_sets.append(flags)
            self._flag_counts.append(0)
        self._flag_counts[number] += 1
        return number

    def _release(self, number: int) -> None:
        """One message less has this flag set."""
        self._flag_counts[number] -= 1
        if not self._flag_counts[number]:
            del self._flag_numbers[self._flag_sets[number]]
            self._free_numbers.append(number)

    def _remove(self, gone: set[int]) -> None:
        uids, modseqs, numbers = self.uids, self._modseqs, self._flags
        new_uids: array[int] = array("I")
        new_modseqs: array[int] = array("Q")
        new_numbers: array[int] = array("I")
        start = 0
        for uid in sorted(gone):
            at = bisect_left(uids, uid)
            if at == len(uids):
                break
            if uids[at] != uid:
                continue
            self._release(numbers[at])
            new_uids.extend(uids[start:at])
            new_modseqs.extend(modseqs[start:at])
            new_numbers.extend(numbers[start:at])
            start = at + 1
        if start == 0:
            return
        new_uids.extend(uids[start:])
        new_modseqs.extend(modseqs[start:])
        new_numbers.extend(numbers[start:])
        self.uids, self._modseqs, self._flags = new_uids, new_modseqs, new_numbers


def living(index: MailboxIndex, uids: Sequence[int]) -> list[int]:
    """Those of the ascending `uids` that live."""
    return [uid for uid, _, _ in index.rows(uids)]
