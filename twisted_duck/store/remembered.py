"""What a process remembers of messages, which never change, so that who asks again asks no database.

    Memory       one for the process: bounded in bytes, what was used longest ago goes first
    Remembered   one mailbox's part of it (`Opened.remembered`), which goes with the mailbox: nobody reaches another's

Remembered is what FETCH said of messages for a list of items, without flags and whatever else changes, and which messages
matched a search key.

Everything goes by UID, which no two messages of a mailbox ever have (RFC 3501 §2.3.1.1), whatever box they are in.  That a
message is remembered does not say that it is there: the index does, where it is current (`recall`, `searching`).

Answers are kept in pages, so that they are forgotten some at a time, and nothing is done for each message to know which were
used last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from sys import getsizeof
from typing import Final

import attrs

from twisted_duck.search import SearchKey
from twisted_duck.values import MessageData, UIDSet

#: Binary digits of the UIDs whose answers are on one page.
_DIGITS: Final = 6
_UIDS: Final = 1 << _DIGITS
#: Bytes of a page without answers: itself, its list, and where both are found.
_PAGE: Final = getsizeof([None] * _UIDS) + 350
#: Bytes of what is kept of a list of items, which the protocol keeps short, beside its answers; and of a search key, beside
#: its strings.
_ITEMS, _KEY = 2_000, 800
#: What an allocation takes beside what it is asked for.
_ALLOCATED: Final = 16
#: Bytes of an answer without its pieces, and of a piece without what it says.
_ANSWER: Final = getsizeof(()) + _ALLOCATED
_PIECE: Final = getsizeof(b"") + 8 + _ALLOCATED
#: Answers of more bytes are few, and not worth what they push out.
_LONGEST: Final = 16 * 1024
#: So much of the memory may be taken by what one command reads, and by what one search finds: the rest stays for others.
_SHARE: Final = 4
#: Looks for a range of UIDs that was expunged in the answers to a list of items, of both of which there may be thousands: some
#: milliseconds.
_LOOKS: Final = 10_000

Said = tuple[bytes, ...]


class _Entry(ABC):
    """What is forgotten as one."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0

    @abstractmethod
    def lose(self) -> None:
        """Take it out of where it is looked for."""


class Memory:
    """All that is remembered.

    @ivar most: bytes
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0
        self._entries: OrderedDict[_Entry, None] = OrderedDict()

    @property
    def share(self) -> int:
        return self.most // _SHARE

    def use(self, entry: _Entry) -> None:
        self._entries.move_to_end(entry)

    def grow(self, entry: _Entry, more: int) -> None:
        """`entry` is used, and takes so many bytes more (or less); it may be forgotten at once."""
        entry.size += more
        self.size += more
        self._entries[entry] = None
        self._entries.move_to_end(entry)
        while self.size > self.most and self._entries:
            self.drop(next(iter(self._entries)))

    def charge(self, more: int) -> None:
        """So many bytes more (or less) are taken by what goes with the last of some entries."""
        self.size += more

    def drop(self, entry: _Entry) -> None:
        del self._entries[entry]
        self.size -= entry.size
        entry.lose()


class _Page(_Entry):
    """Answers about messages whose UIDs are neighbours."""

    __slots__ = ("_column", "_number", "said")

    def __init__(self, column: _Column, number: int) -> None:
        super().__init__()
        self._column = column
        self._number = number
        self.said: list[Said | None] = [None] * _UIDS

    def lose(self) -> None:
        self._column.lose(self._number)


class _Column:
    """The answers for one list of items; among the `others` as long as there are any."""

    def __init__(self, memory: Memory, others: dict[Hashable, _Column], what: Hashable) -> None:
        self.pages: dict[int, _Page] = {}
        self._memory = memory
        self._others = others
        self._what = what

    def put(self, number: int, messages: Iterable[MessageData]) -> int:
        """What was said of messages of one page; how many bytes it takes."""
        page = self.pages.get(number) or _Page(self, number)
        known, last, more = page.said, _UIDS - 1, 0
        for data in messages:
            said, at = data.said, data.uid & last
            # Somebody else may have asked at the same time.
            if said is not None and known[at] is None and (weight := _weight(said)) <= _LONGEST:
                known[at] = said
                more += weight
        if not more:
            return 0
        if not self.pages:
            self._others[self._what] = self
            self._memory.charge(_ITEMS)
        if not page.size:
            self.pages[number] = page
            more += _PAGE
        self._memory.grow(page, more)
        return more

    def lose(self, number: int) -> None:
        del self.pages[number]
        if not self.pages:
            del self._others[self._what]
            self._memory.charge(-_ITEMS)

    def forget(self, first: int, last: int) -> None:
        """The messages of these UIDs."""
        touched = range(first >> _DIGITS, (last >> _DIGITS) + 1)
        few = len(touched) <= len(self.pages)
        for number in touched if few else [each for each in self.pages if each in touched]:
            page = self.pages.get(number)
            if page is not None:
                self._blank(page, number << _DIGITS, first, last)

    def _blank(self, page: _Page, start: int, first: int, last: int) -> None:
        said = page.said
        gone = range(max(first - start, 0), min(last - start + 1, _UIDS))
        freed = sum(_weight(one) for at in gone if (one := said[at]) is not None)
        said[gone.start : gone.stop] = [None] * len(gone)
        if any(said):
            self._memory.grow(page, -freed)
        else:
            self._memory.drop(page)


def _weight(said: Said) -> int:
    """Bytes that an answer takes."""
    return _ANSWER + _PIECE * len(said) + sum(map(len, said))


class _Found(_Entry):
    """Which messages match a key: of those up to the UID `last`, `hits`, ascending."""

    __slots__ = ("_key", "_others", "hits", "last")

    def __init__(
        self, others: dict[SearchKey, _Found], key: SearchKey, last: int, hits: array[int]
    ) -> None:
        super().__init__()
        self._others = others
        self._key = key
        self.last = last
        self.hits = hits

    def lose(self) -> None:
        del self._others[self._key]


class Remembered:
    """Of one mailbox."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._columns: dict[Hashable, _Column] = {}
        self._found: dict[SearchKey, _Found] = {}

    @property
    def share(self) -> int:
        """Bytes that one command may make the memory keep."""
        return self._memory.share

    # --- answers ------------------------------------------------------------------------------------------------------

    def size(self, what: Hashable, uid: int) -> int:
        """Bytes of what is known of messages on the page of that UID."""
        column = self._columns.get(what)
        page = column and column.pages.get(uid >> _DIGITS)
        return page.size if page else 0

    def said(self, what: Hashable, uids: Sequence[int]) -> list[MessageData]:
        """What was said of those of the messages that something is known of; they are on one page."""
        column = self._columns.get(what)
        page = column and column.pages.get(uids[0] >> _DIGITS)
        if not page:
            return []
        self._memory.use(page)
        said, last = page.said, _UIDS - 1
        return [MessageData(uid, said=one) for uid in uids if (one := said[uid & last]) is not None]

    def learn(self, what: Hashable, messages: Iterable[MessageData]) -> int:
        """What was said of messages that are there, and ascend; how many bytes it takes."""
        column = self._columns.get(what) or _Column(self._memory, self._columns, what)
        on_pages = groupby(messages, lambda data: data.uid >> _DIGITS)
        return sum([column.put(number, some) for number, some in on_pages])

    # --- hits ---------------------------------------------------------------------------------------------------------

    def hits(self, key: SearchKey) -> tuple[int, array[int]] | None:
        """Up to which UID the messages are known that match, and which they are, some of which may not be there any more."""
        found = self._found.get(key)
        if found is None:
            return None
        self._memory.use(found)
        return found.last, found.hits

    def learn_hits(self, key: SearchKey, last: int, hits: array[int]) -> None:
        """All messages up to the UID `last` that match."""
        before = self._found.get(key)
        if before is not None:
            self._memory.drop(before)
        strings = [value for value in attrs.astuple(key, recurse=False) if isinstance(value, str)]
        size = _KEY + getsizeof(hits) + sum(map(getsizeof, strings))
        if size <= self.share:
            found = self._found[key] = _Found(self._found, key, last, hits)
            self._memory.grow(found, size)

    # --- forgetting ---------------------------------------------------------------------------------------------------

    def forget(self, gone: UIDSet) -> None:
        """These messages were expunged."""
        if len(gone.ranges) * len(self._columns) > _LOOKS:
            # It takes less to read the others again.
            self._forget_answers()
            return
        for column in list(self._columns.values()):
            for first, last in gone.ranges:
                column.forget(first, last)

    def clear(self) -> None:
        """The mailbox is gone, or nobody will look here again."""
        self._forget_answers()
        for found in list(self._found.values()):
            self._memory.drop(found)

    def _forget_answers(self) -> None:
        for column in list(self._columns.values()):
            for page in list(column.pages.values()):
                self._memory.drop(page)


def pages(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Ascending UIDs, those together that are on one page."""
    at = 0
    while at < len(uids):
        stop = bisect_left(uids, ((uids[at] >> _DIGITS) + 1) << _DIGITS, at)
        yield uids[at:stop]
        at = stop
