"""Which messages match a search tree: sets of UIDs, combined from the cheapest key to the dearest.

Every key is asked about a *universe*, the messages that can still matter, and answers with a part of it:

    And     each key is asked about what the ones before it left, the cheapest first
    Or      the dearer side is only asked about what the other did not find
    Not     takes away

Keys that the mailbox's index can answer cost nothing but arithmetic.  The others (dates, sizes, headers, text) are a
store's affair: it is asked for one key at a time, about as few messages as possible.

The tree is walked by a stack of generators, not by recursion: each one asks for the keys inside it by yielding them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Sequence
from typing import Protocol, TypeAlias

import attrs

from twisted_duck import search
from twisted_duck.index import MailboxIndex, living
from twisted_duck.search import SearchKey, children, fold

#: A part of the mailbox; None is all of it, which need not be written out.
Part: TypeAlias = set[int] | None
_Walk: TypeAlias = Generator[tuple[SearchKey, Part], Part, Part]


#: Messages that keys are compared to between two pauses: some milliseconds.
_TURN = 50_000


async def _go_on() -> None:
    """For stores of which nobody expects more."""


class Leaves(Protocol):
    """A store's answers to the keys that an index knows nothing of."""

    async def select(self, leaf: SearchKey, uids: Sequence[int]) -> Collection[int]:
        """Those of the ascending `uids` whose message matches `leaf`, in any order.

        `leaf` is one of those that are dear (see `_COSTS`); `uids` is not empty.
        """


@attrs.frozen
class _Mailbox:
    """The mailbox at the moment the search began: what arrives while a store is being asked is not in it."""

    index: MailboxIndex
    #: The index's array then, of which the first `count` entries never change.
    uids: array[int]
    count: int

    @classmethod
    def now(cls, index: MailboxIndex) -> _Mailbox:
        return cls(index, index.uids, len(index.uids))

    def everything(self) -> Sequence[int]:
        return self.uids[: self.count]

    def without(self, part: Part, found: Part) -> set[int]:
        """What of `part` is not in `found`."""
        if found is None:
            return set()
        return (set(self.everything()) if part is None else part) - found


def _all(mailbox: _Mailbox, key: SearchKey, universe: Part) -> Part:
    return universe


def _has_flag(mailbox: _Mailbox, key: SearchKey, universe: Part) -> Part:
    assert isinstance(key, search.HasFlag)
    if universe is None:
        last = mailbox.uids[mailbox.count - 1]
        return {uid for uid in mailbox.index.with_flag(key.flag) if uid <= last}
    if len(universe) > mailbox.count // 8:
        return universe.intersection(mailbox.index.with_flag(key.flag))
    # So few are looked up sooner than all are looked through.
    flag = key.flag.lower()
    rows = mailbox.index.rows(sorted(universe))
    return {uid for uid, _, flags in rows if any(each.lower() == flag for each in flags)}


def _uids(mailbox: _Mailbox, key: SearchKey, universe: Part) -> Part:
    assert isinstance(key, search.UIDs)
    found: set[int] = set()
    for first, last in key.set.against(mailbox.uids[mailbox.count - 1]).ranges:
        start = bisect_left(mailbox.uids, first, 0, mailbox.count)
        stop = bisect_right(mailbox.uids, last, 0, mailbox.count)
        if stop - start == mailbox.count:
            return universe
        found.update(mailbox.uids[start:stop])
    return found if universe is None else universe & found


def _modseq(mailbox: _Mailbox, key: SearchKey, universe: Part) -> Part:
    assert isinstance(key, search.ModSeq)
    index, last = mailbox.index, mailbox.uids[mailbox.count - 1]
    found = {uid for uid in index.latest_since(key.least - 1) if uid <= last}
    return found if universe is None else universe & found


#: The keys that the index answers.
_INDEXED: dict[type, Callable[[_Mailbox, SearchKey, Part], Part]] = {
    search.All: _all,
    search.HasFlag: _has_flag,
    search.UIDs: _uids,
    search.ModSeq: _modseq,
}

#: How dear each key is: 0 is arithmetic, 1 small values a store keeps with each message, then headers, then all text.
_COSTS: dict[type, int] = {
    **dict.fromkeys(_INDEXED, 0),
    search.InternalDate: 1,
    search.SaveDate: 1,
    search.SaveDateSupported: 1,
    search.EmailID: 1,
    search.ThreadID: 1,
    search.Arrived: 1,
    search.Size: 1,
    search.SentDate: 2,
    search.Header: 3,
    search.Body: 4,
    search.Text: 4,
}


def _costs(key: SearchKey) -> dict[int, int]:
    """The cost of each key of a tree, by `id`: that of the dearest key inside it."""
    found: dict[int, int] = {}

    def visit(key: SearchKey, inner: list[int]) -> int:
        found[id(key)] = cost = max(inner) if inner else _COSTS[type(key)]
        return cost

    fold(key, visit)
    return found


def _and(mailbox: _Mailbox, keys: Iterable[SearchKey], universe: Part) -> _Walk:
    for key in keys:
        if universe is not None and not universe:
            break
        universe = yield key, universe
    return universe


def _or(mailbox: _Mailbox, keys: Iterable[SearchKey], universe: Part) -> _Walk:
    found: set[int] = set()
    for key in keys:
        rest = mailbox.without(universe, found) if found else universe
        if rest is not None and not rest:
            break
        more = yield key, rest
        if more is None:
            return universe
        found = found | more
    return found


def _not(mailbox: _Mailbox, keys: Iterable[SearchKey], universe: Part) -> _Walk:
    for key in keys:
        universe = mailbox.without(universe, (yield key, universe))
    return universe


_COMBINED: dict[type, Callable[[_Mailbox, Iterable[SearchKey], Part], _Walk]] = {
    search.And: _and,
    search.Or: _or,
    search.Not: _not,
}


async def match(
    key: SearchKey,
    index: MailboxIndex,
    leaves: Leaves,
    universe: Iterable[int] | None = None,
    pause: Callable[[], Awaitable[object]] = _go_on,
) -> list[int]:
    """The living UIDs that match `key`, ascending; of `universe` only, if that is given.

    `pause` lets others be served: a search may have a thousand keys, each of which goes through the whole mailbox.

    `key` has no sequence numbers, no \\Recent and nothing that is so long ago: only a session knows these (KeyError).  Fails with whatever `leaves`
    fails with.
    """
    costs = _costs(key)
    mailbox = _Mailbox.now(index)
    part: Part = None if universe is None else set(living(index, sorted(universe)))
    if not mailbox.count or (part is not None and not part):
        return []
    walks: list[_Walk] = []
    passed = 0
    while True:
        # Down: to a key that has none inside.
        walk = _COMBINED.get(type(key))
        if walk is not None:
            walks.append(walk(mailbox, sorted(children(key), key=lambda k: costs[id(k)]), part))
            answer = None
        else:
            indexed = _INDEXED.get(type(key))
            if indexed is not None:
                answer = indexed(mailbox, key, part)
            else:
                asked = mailbox.everything() if part is None else sorted(part)
                answer = set(await leaves.select(key, asked))
            passed += mailbox.count
            if passed > _TURN:
                passed = 0
                await pause()
        # Up: whoever waits for this answer may have another key to ask for.
        while walks:
            try:
                key, part = walks[-1].send(answer)
                break
            except StopIteration as done:
                walks.pop()
                answer = done.value
        else:
            break
    found = mailbox.everything() if answer is None else sorted(answer)
    if index.uids is mailbox.uids:
        return list(found)
    # Somebody expunged messages while a store was being asked.
    return living(index, found)
