"""FETCH of what is remembered (`remembered`), and of the rest from the database."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Iterator,
    Sequence,
)
from operator import attrgetter
from typing import Final

from twisted_duck.store.remembered import Remembered, pages
from twisted_duck.values import MessageData

Batches = AsyncIterator[list[MessageData]]

#: Bytes of what is remembered that are told at a time, about.
_BYTES: Final = 256 * 1024
#: Messages that are looked for in memory at a time: some milliseconds, even if no two of them are on one page.
_MESSAGES: Final = 20_000

_uid = attrgetter("uid")


class Recall:
    """One command's reading of messages; see `IRecallingMailbox.recall`.

    What is remembered is only told where the index has no message that is not there any more, as far as that can be known without
    reading them (`is_sure`); else the database is asked, as if nothing were remembered.
    """

    def __init__(
        self,
        remembered: Remembered,
        what: Hashable,
        read: Callable[[Sequence[int]], Batches],
        is_sure: Callable[[], Awaitable[bool]],
        living: Callable[[Sequence[int]], Collection[int]],
    ) -> None:
        """
        @param read: asks the database
        @param living: those of some UIDs that live
        """
        self._remembered = remembered
        self._what = what
        self._read = read
        self._is_sure = is_sure
        self._living = living
        #: Bytes that it may still have remembered.
        self._room = remembered.share

    async def messages(self, uids: Sequence[int]) -> Batches:
        """Ascending, as `uids` are."""
        for is_known, run in self._runs(uids):
            async for batch in self._known(run) if is_known else self._unknown(run):
                yield batch

    def _runs(self, uids: Sequence[int]) -> Iterator[tuple[bool, list[int]]]:
        """Neighbours of which something is known, some at a time, and those of which nothing is."""
        is_known, size = False, 0
        run: list[int] = []
        for page in pages(uids):
            more = self._remembered.size(self._what, page[0])
            if run and (is_known != bool(more) or size >= _BYTES or len(run) >= _MESSAGES):
                yield is_known, run
                run, size = [], 0
            is_known = bool(more)
            run.extend(page)
            size += more
            self._room -= more
        if run:
            yield is_known, run

    async def _known(self, uids: Sequence[int]) -> Batches:
        known: list[MessageData] = []
        if await self._is_sure():
            for page in pages(uids):
                known.extend(self._remembered.said(self._what, page))
        if len(known) < len(uids):
            there = set(map(_uid, known))
            async for batch in self._unknown([uid for uid in uids if uid not in there]):
                before = bisect_left(known, batch[-1].uid, key=_uid)
                yield sorted([*known[:before], *batch], key=_uid)
                del known[:before]
        if known:
            yield known

    async def _unknown(self, uids: Sequence[int]) -> Batches:
        """From the database; what is said of it is remembered."""
        async for batch in self._read(uids):
            yield batch
            if self._room > 0:
                # They were told since, which may have taken long.
                living = self._living([data.uid for data in batch])
                if len(living) < len(batch):
                    living = set(living)
                    batch = [data for data in batch if data.uid in living]
                self._room -= self._remembered.learn(self._what, batch)
