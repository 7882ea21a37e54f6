"""SORT: what each criterion compares, and messages in that order (RFC 5256 §3, RFC 5957).

Messages come in batches; each batch is sorted by itself, and then they are merged one message after another, so that
nobody else has to wait while a large mailbox is sorted.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from sys import getsizeof
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from twisted_duck.collation import descending
from twisted_duck.imap.grammar import Criterion
from twisted_duck.values import FetchWant, MessageData, Order

#: Bytes that a message takes besides what is compared.
OVERHEAD: Final = 150
Key: TypeAlias = tuple[int | str | bytes, ...]
#: Lets others be served.
Pause: TypeAlias = Callable[[], Awaitable[None]]
T = TypeVar("T")

#: What is put in order between two pauses: a millisecond.
_AT_ONCE: Final = 500


async def in_order(items: Sequence[T], key: Callable[[T], Any], pause: Pause) -> list[T]:
    """As `sorted` has it, a piece at a time."""
    runs: list[list[T]] = []
    for at in range(0, len(items), _AT_ONCE):
        runs.append(sorted(items[at : at + _AT_ONCE], key=key))
        await pause()
    found: list[T] = []
    for item in heapq.merge(*runs, key=key):
        found.append(item)
        if not len(found) % _AT_ONCE:
            await pause()
    return found


def _order(data: MessageData) -> Order:
    assert data.order is not None
    return data.order


def arrival(data: MessageData) -> int:
    """INTERNALDATE in seconds since 1970."""
    assert data.internal_date is not None
    return int(data.internal_date.timestamp())


def sent(data: MessageData) -> int:
    """The sent date (RFC 5256 §2.2): INTERNALDATE stands in for one that is not there."""
    moment = _order(data).sent
    return arrival(data) if moment is None else moment


def _size(data: MessageData) -> int:
    assert data.size is not None
    return data.size


_WANTS_ORDER: Final[frozenset[FetchWant]] = frozenset({"order"})

#: What each criterion needs of the store, and what it compares.
CRITERIA: Final[dict[str, tuple[frozenset[FetchWant], Callable[[MessageData], int | str]]]] = {
    "ARRIVAL": (frozenset({"date"}), arrival),
    "CC": (_WANTS_ORDER, lambda data: _order(data).cc),
    "DATE": (_WANTS_ORDER | {"date"}, sent),
    "DISPLAYFROM": (_WANTS_ORDER, lambda data: _order(data).sender_name),
    "DISPLAYTO": (_WANTS_ORDER, lambda data: _order(data).to_name),
    "FROM": (_WANTS_ORDER, lambda data: _order(data).sender),
    "SIZE": (frozenset({"size"}), _size),
    "SUBJECT": (_WANTS_ORDER, lambda data: _order(data).subject),
    "TO": (_WANTS_ORDER, lambda data: _order(data).to),
}


@attrs.define
class Sorting:
    """Messages that are being sorted."""

    criteria: Sequence[Criterion]
    #: Bytes that are held, roughly.
    held: int = attrs.field(default=0, init=False)
    _runs: list[list[Key]] = attrs.field(factory=list, init=False)

    @property
    def wants(self) -> frozenset[FetchWant]:
        """What has to be known of each message."""
        return frozenset().union(*(CRITERIA[each.name][0] for each in self.criteria))

    def add(self, batch: Iterable[MessageData]) -> None:
        self._runs.append(sorted(map(self._key, batch)))

    def _key(self, data: MessageData) -> Key:
        values: list[int | str | bytes] = []
        for criterion in self.criteria:
            value: int | str | bytes = CRITERIA[criterion.name][1](data)
            if criterion.reverse:
                value = -value if isinstance(value, int) else descending(str(value))
            values.append(value)
            self.held += getsizeof(value)
        self.held += OVERHEAD
        # Numbers of messages ascend as their UIDs do, REVERSE or not.
        return (*values, data.uid)

    def uids(self) -> Iterator[int]:
        """All that were added, in order."""
        for *_, uid in heapq.merge(*self._runs):
            assert isinstance(uid, int)
            yield uid
