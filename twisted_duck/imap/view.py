"""What one client has been told of the mailbox it has selected: sequence numbers, and the news it has yet to hear.

A mailbox's index is shared and moves on whenever somebody changes something.  A client's picture of it moves only when
the protocol lets it be told (RFC 3501 §7.4.1: never an EXPUNGE during FETCH, STORE or SEARCH).  A view is that picture:

    uids[0:count]        the client's messages in order; message number n is uids[n - 1]
    _flags_at            the modseq up to which the client knows flags
    _expunges_at         the modseq up to which it knows expunges

`uids` is the index's own array as long as the two agree, so that a view of a million messages costs nothing; see the
promises in `twisted_duck.index`.

`news()` is the only thing that moves the picture, and everything it moves it also tells.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

import attrs

from twisted_duck.index import MailboxIndex, same_before
from twisted_duck.search import (
    All,
    And,
    Recent,
    SearchKey,
    SequenceNumbers,
    UIDs,
    replace_leaves,
)
from twisted_duck.sequence import SequenceSet
from twisted_duck.values import Flags, UIDSet


class ExpungeNews(NamedTuple):
    """`* n EXPUNGE`, each number counted after the ones before it were taken away.

    There may be as many as there were messages, and all are made at once: it is not an attrs class, which takes twice as long.
    """

    number: int
    uid: int


@attrs.frozen
class ExistsNews:
    """`* exists EXISTS` and `* recent RECENT`."""

    exists: int
    recent: int


@attrs.frozen
class FlagsNews:
    """`* n FETCH (FLAGS (...))`: the flags as they are now, \\Recent not among them."""

    number: int
    uid: int
    modseq: int
    flags: Flags


#: Messages still there that are passed by one by one, before it is looked how many more of them there are: that costs as much
#: as some steps.
_WALK = 8
#: Messages whose flags are looked up together.
_AT_ONCE = 500

News: TypeAlias = ExpungeNews | ExistsNews | FlagsNews


class View:
    """One client's picture of a mailbox."""

    def __init__(self, index: MailboxIndex) -> None:
        self._index = index
        self.uids: array[int] = index.uids
        self.count = len(index.uids)
        self._flags_at = index.highest_modseq
        self._expunges_at = index.highest_modseq
        #: Modseqs of changes whose outcome this client knows: its own STOREs.
        self._known: set[int] = set()
        #: UIDs that a search has saved (RFC 5182): what `$` stands for.  Those that are not there any more do no harm.
        self._saved = SequenceSet(())
        #: Ranges of UIDs that are \Recent in this session, ascending: (first, stop).
        self._recent: list[tuple[int, int]] = []

    # --- numbers ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.count

    @property
    def last_uid(self) -> int:
        """The largest UID the client knows; 0 in an empty mailbox.  What `*` stands for."""
        return self.uids[self.count - 1] if self.count else 0

    def uid(self, number: int) -> int:
        """The UID of a message number, 1 <= number <= len(self)."""
        return self.uids[number - 1]

    def number(self, uid: int) -> int | None:
        """The message number of a UID, None where the client knows no such message."""
        at = bisect_left(self.uids, uid, 0, self.count)
        return at + 1 if at < self.count and self.uids[at] == uid else None

    def positions(self, numbers: SequenceSet, *, uid: bool) -> list[range]:
        """Where the messages of a set stand in `uids`: ascending ranges of indexes that have none in common.

        Sequence numbers above `len(self)` name nothing; callers who must refuse them compare `numbers.largest`.
        """
        if not self.count:
            return []
        numbers, uid = self.meant(numbers, uid=uid)
        found: list[range] = []
        for first, last in numbers.against(self.last_uid if uid else self.count).ranges:
            if uid:
                start, stop = (
                    bisect_left(self.uids, first, 0, self.count),
                    bisect_right(self.uids, last, 0, self.count),
                )
            else:
                start, stop = first - 1, min(last, self.count)
            if start < stop:
                found.append(range(start, stop))
        return found

    def meant(self, numbers: SequenceSet, *, uid: bool) -> tuple[SequenceSet, bool]:
        """A set without `$`, and whether it is one of UIDs."""
        return (self._saved, True) if numbers.saved else (numbers, uid)

    def save(self, uids: Iterable[int]) -> None:
        """From now on `$` stands for these messages (RFC 5182 §2.1)."""
        self._saved = SequenceSet(self._ranges(uids))

    def save_more(self, uids: Iterable[int]) -> None:
        """`$` stands for these messages as well, whose UIDs are above those that it stands for already."""
        self._saved = SequenceSet((*self._saved.ranges, *self._ranges(uids)))

    def _ranges(self, uids: Iterable[int]) -> tuple[tuple[int, int], ...]:
        # Between two neighbours there is no other UID, and there will be none.
        places = UIDSet.of(number for number, _ in self.numbered(sorted(uids)))
        return tuple((self.uids[first - 1], self.uids[last - 1]) for first, last in places.ranges)

    def select(self, numbers: SequenceSet, *, uid: bool) -> list[int]:
        """The UIDs of a set's messages, ascending."""
        found: list[int] = []
        for positions in self.positions(numbers, uid=uid):
            found.extend(self.uids[positions.start : positions.stop])
        return found

    def numbered(self, uids: Iterable[int]) -> Iterator[tuple[int, int]]:
        """`(number, uid)` of those of the ascending `uids` that the client knows."""
        return _numbered(self.uids, self.count, uids)

    # --- \Recent ------------------------------------------------------------------------------------------------------

    def add_recent(self, first: int, stop: int) -> None:
        """UIDs `first <= uid < stop` are \\Recent in this session (RFC 3501 §2.3.2)."""
        if first >= stop:
            return
        if self._recent and self._recent[-1][1] == first:
            first = self._recent.pop()[0]
        self._recent.append((first, stop))

    def is_recent(self, uid: int) -> bool:
        at = bisect_right(self._recent, (uid, 0xFFFFFFFFFF)) - 1
        return at >= 0 and uid < self._recent[at][1]

    @property
    def has_recent(self) -> bool:
        return bool(self._recent)

    def recent_uids(self) -> list[int]:
        """The client's messages that are \\Recent, ascending."""
        found: list[int] = []
        for first, stop in self._recent:
            start = bisect_left(self.uids, first, 0, self.count)
            end = bisect_left(self.uids, stop, 0, self.count)
            found.extend(self.uids[start:end])
        return found

    def count_recent(self) -> int:
        return sum(
            bisect_left(self.uids, stop, 0, self.count)
            - bisect_left(self.uids, first, 0, self.count)
            for first, stop in self._recent
        )

    # --- searching ----------------------------------------------------------------------------------------------------

    def resolve(self, key: SearchKey) -> SearchKey:
        """A search without what only this session knows: sequence numbers, `*`, \\Recent, and messages that the client
        has not been told of.  All of these become UIDs.
        """

        def leaf(key: SearchKey) -> SearchKey:
            match key:
                case SequenceNumbers(numbers):
                    return self._as_uids(self.positions(numbers, uid=False))
                case UIDs(numbers):
                    numbers, _ = self.meant(numbers, uid=True)
                    return UIDs(SequenceSet(numbers.against(self.last_uid).ranges))
                case Recent():
                    return UIDs(SequenceSet.of(*self.recent_uids()))
                case _:
                    return key

        resolved = replace_leaves(key, leaf)
        if self._index.uids is not self.uids or len(self._index.uids) != self.count:
            known = UIDs(SequenceSet(((1, self.last_uid),) if self.count else ()))
            resolved = And((known, resolved))
        return resolved

    def _as_uids(self, positions: list[range]) -> SearchKey:
        """The messages at these places as a set of UIDs, whose gaps are nobody's UIDs."""
        if positions == [range(self.count)]:
            return All()
        ends = ((self.uids[p.start], self.uids[p.stop - 1]) for p in positions)
        return UIDs(SequenceSet(tuple(ends)))

    # --- news ---------------------------------------------------------------------------------------------------------

    def knows(self, modseq: int) -> None:
        """The client was told, or asked not to be told, the outcome of the change `modseq` that it made itself."""
        if modseq > self._flags_at:
            self._known.add(modseq)

    @property
    def flags_at(self) -> int:
        """The modseq up to which the client has heard of flags and arrivals."""
        return self._flags_at

    @property
    def synchronised_at(self) -> int:
        """The modseq up to which the client has heard of everything."""
        return min(self._flags_at, self._expunges_at)

    @property
    def has_news(self) -> bool:
        """Whether `news(expunges=True)` would say anything, cheaply: it may be true when there is nothing to say."""
        return self._index.highest_modseq > min(self._flags_at, self._expunges_at)

    @property
    def has_arrivals(self) -> bool:
        """Whether there are messages the client has not been told of."""
        living = self._index.uids
        return bool(living) and living[-1] > self.last_uid

    def news(self, *, expunges: bool) -> Iterator[News]:
        """What the client does not know yet, in the order in which it must be told; the picture has moved with this call.

        Without `expunges` (during FETCH, STORE and SEARCH) the messages that are gone keep their numbers.  There may be as
        many news as messages: each is made when it is asked for, with the flags that the message has then; what is gone by
        then is left out.
        """
        if not self.has_news:
            return iter(())
        news: list[Iterable[News]] = []
        if self.uids is self._index.uids:
            # An expunge would have put another array there.
            self._expunges_at = self._index.highest_modseq
        elif expunges:
            news.append(self._expunge())
        changed = self._changed()
        known, count = self.uids, self.count
        if self._arrive():
            news.append([ExistsNews(self.count, self.count_recent())])
        news.append(self._flags_of(changed, known, count))
        self._flags_at = self._index.highest_modseq
        self._known.clear()
        return chain.from_iterable(news)

    def _expunge(self) -> Iterator[ExpungeNews]:
        known, count, living = self.uids, self.count, self._index.uids
        left = bisect_right(living, self.last_uid)
        self.uids, self.count = living, left
        self._expunges_at = self._index.highest_modseq
        return _gone(known, count, living, left)

    def _changed(self) -> Sequence[int]:
        """The UIDs of messages whose flags have changed, ascending; of some that are new as well."""
        index, known = self._index, self._known
        if len(known) == index.highest_modseq - self._flags_at:
            return []
        # Where the index does not know every step, a message's latest change may hide one of somebody else's.
        if not index.remembers(self._flags_at):
            return index.latest_since(self._flags_at)
        steps = index.changed_since(self._flags_at)
        return sorted({uid for modseq, uid in steps if modseq not in known})

    def _flags_of(self, uids: Sequence[int], known: array[int], count: int) -> Iterator[FlagsNews]:
        """News of those of the ascending `uids` that are among the first `count` of `known`."""
        for at in range(0, len(uids), _AT_ONCE):
            # The index may move between two of these.
            rows = list(self._index.rows(uids[at : at + _AT_ONCE]))
            numbered = {
                uid: number for number, uid in _numbered(known, count, (r[0] for r in rows))
            }
            for uid, modseq, flags in rows:
                if uid in numbered:
                    yield FlagsNews(numbered[uid], uid, modseq, flags)

    def _arrive(self) -> bool:
        """Take up the messages that are new; whether there were any."""
        living = self._index.uids
        if self.uids is living:
            arrived = len(living) > self.count
            self.count = len(living)
            return arrived
        start = bisect_right(living, self.last_uid)
        if start == len(living):
            return False
        # Messages that are gone keep their numbers for now, so this picture needs an array of its own.
        self.uids = self.uids[: self.count] + living[start:]
        self.count = len(self.uids)
        return True


def _gone(known: array[int], count: int, living: array[int], left: int) -> Iterator[ExpungeNews]:
    """News of those of the first `count` of `known` that are not the first `left` of `living`, which are all known; the last
    one first.
    """
    alike = 0
    while count > left:
        uid = known[count - 1]
        if not left or uid != living[left - 1]:
            yield ExpungeNews(count, uid)
            count, alike = count - 1, 0
        elif alike < _WALK:
            alike += 1
            count, left = count - 1, left - 1
        else:
            length = same_before(known, count, living, left)
            count, left = count - length, left - length


def _numbered(known: array[int], count: int, uids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """`(number, uid)` of those of the ascending `uids` that are among the first `count` of `known`."""
    at = 0
    for uid in uids:
        if at >= count or known[at] != uid:
            at = bisect_left(known, uid, 0, count)
            if at == count:
                return
            if known[at] != uid:
                continue
        at += 1
        yield at, uid
