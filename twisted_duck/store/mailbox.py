"""IMailbox: one session's view of a mailbox that it has open."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from itertools import chain
from typing import TypeVar

from bson.objectid import ObjectId
from twisted.internet.task import deferLater
from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.index import MailboxIndex, living, runs
from twisted_duck.interfaces import (
    IMoveMailbox,
    IQResyncMailbox,
    IRecallingMailbox,
    IReplaceMailbox,
)
from twisted_duck.limits import Limits
from twisted_duck.matching import match
from twisted_duck.search import SearchKey
from twisted_duck.store import changes, copying
from twisted_duck.store.blobs import BlobsLost
from twisted_duck.store.changes import Done, Moved
from twisted_duck.store.connection import Mongo
from twisted_duck.store.fetch import fetch
from twisted_duck.store.flagging import Plan, joined
from twisted_duck.store.folding import Folder
from twisted_duck.store.incoming import allowed, check_flags, check_keywords, needed
from twisted_duck.store.opened import Opened, Registry
from twisted_duck.store.recall import Recall
from twisted_duck.store.schema import MAILBOXES, SWEEPS
from twisted_duck.store.searching import StoreLeaves
from twisted_duck.store.status import told_id
from twisted_duck.store.transaction import MAJORITY
from twisted_duck.store.writers import Writer
from twisted_duck.values import (
    DELETED,
    SEEN,
    AppendMessage,
    AppendResult,
    CopyResult,
    FetchWant,
    FlagChange,
    MessageData,
    StoreResult,
    UIDSet,
)

T = TypeVar("T")

#: How often a change is computed again because others changed the mailbox meanwhile.
_ATTEMPTS = 20


@implementer(IMoveMailbox, IQResyncMailbox, IRecallingMailbox, IReplaceMailbox)
class StoreMailbox:
    """See L{twisted_duck.interfaces.IMailbox}; it fails with MailboxGone, Unavailable and Contention, too.

    @param opened: which was entered for this session; `close` leaves it
    @param discard: called with the user and the box of messages that are garbage now
    @param folder: told of sweeps
    """

    def __init__(
        self,
        mongo: Mongo,
        registry: Registry,
        writer: Writer,
        opened: Opened,
        readonly: bool,
        limits: Limits,
        discard: Callable[[ObjectId, ObjectId], None],
        folder: Folder,
    ) -> None:
        self._mongo = mongo
        self._registry = registry
        self._writer = writer
        self._opened = opened
        self._limits = limits
        self._discard = discard
        self._folder = folder
        self.readonly = readonly
        self._watching: list[Callable[[], None]] = []
        self._closed = False

    @property
    def name(self) -> str:
        return self._opened.name

    @property
    def mailbox_id(self) -> str:
        return told_id(self._opened.id)

    @property
    def index(self) -> MailboxIndex:
        return self._opened.index

    @property
    def new_keywords(self) -> bool:
        return len(self.index.keywords()) < self._limits.keywords_per_mailbox

    # --- watching -----------------------------------------------------------------------------------------------------

    async def refresh(self, *, exact: bool = True) -> None:
        if exact or not self._registry.is_current(self._opened):
            await self._opened.refresh()

    def watch(self, callback: Callable[[], None]) -> None:
        self._watching.append(callback)
        self._opened.watch(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        if callback in self._watching:
            self._watching.remove(callback)
            self._opened.unwatch(callback)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            for callback in list(self._watching):
                self.unwatch(callback)
            self._registry.leave(self._opened)

    async def claim_recent(self) -> tuple[int, int]:
        opened = self._opened
        stop = opened.index.uidnext
        first = opened.index.first_recent
        if first >= stop or self.readonly:
            return min(first, stop), stop
        reply = await self._mongo.run(
            {
                "findAndModify": MAILBOXES,
                "query": opened.place.filter,
                "update": {"$max": {"recent": stop}},
                "fields": {"recent": 1},
                "writeConcern": MAJORITY,
            }
        )
        before = reply["value"]
        if before is None:
            return stop, stop
        opened.claimed(stop)
        return min(before["recent"], stop), stop

    # --- reading ------------------------------------------------------------------------------------------------------

    def fetch(
        self, uids: Sequence[int], wanted: frozenset[FetchWant]
    ) -> AsyncIterator[list[MessageData]]:
        index = self.index
        return fetch(self._mongo, self._opened.place, index.uids, living(index, uids), wanted)

    def recall(
        self, uids: Sequence[int], wanted: frozenset[FetchWant], what: Hashable
    ) -> AsyncIterator[list[MessageData]]:
        def read(some: Sequence[int]) -> AsyncIterator[list[MessageData]]:
            return self.fetch(some, wanted)

        def alive(some: Sequence[int]) -> Sequence[int]:
            return living(self.index, some)

        return Recall(self._opened.remembered, what, read, self._is_sure, alive).messages(uids)

    async def _is_sure(self) -> bool:
        """Whether all messages of the index are there, but for what happened elsewhere a moment ago, and can be read."""
        try:
            await self.refresh(exact=False)
        except errors.MailboxGone:
            return False
        # Right after a fail-over the new primary may not show all that the one before has told.
        return not self._opened.is_behind

    async def search(self, key: SearchKey) -> list[int]:
        opened = self._opened
        leaves = StoreLeaves(
            self._mongo,
            opened.place,
            self.index.uids,
            len(self.index),
            self._limits,
            opened.remembered,
            self._is_sure,
        )
        reactor = self._mongo.reactor
        return await match(key, self.index, leaves, pause=lambda: deferLater(reactor, 0))

    async def vanished_since(self, modseq: int) -> UIDSet | None:
        return await self._opened.vanished_since(modseq)

    # --- changing -----------------------------------------------------------------------------------------------------

    async def store(self, uids: Sequence[int], change: FlagChange) -> StoreResult:
        self._writable()
        results: list[StoreResult] = []
        left = uids

        async def attempt() -> None:
            nonlocal left
            # What other processes did meanwhile counts: a STORE that changes nothing must be sure of it.
            await self._opened.refresh()
            result, count = await self._store(left, change)
            results.append(result)
            left = left[count:]

        while left or not results:
            if self._is_worth_folding(left, change):
                await self._folder.folded(self._writer.user, self._opened.id)
            await self._change(attempt)
        return results[0] if len(results) == 1 else joined(results)

    async def _store(self, uids: Sequence[int], change: FlagChange) -> tuple[StoreResult, int]:
        """One change, of all of the messages or as many as there may be in one: what it did, and of how many."""
        if self._opened.sweeps >= self._limits.sweeps:
            # There is no room for another, and whoever made these may have ended.
            self._folder.soon(self._writer.user, self._opened.id, self._opened.sweeps)
        most = self._limits.messages_per_change
        uids = uids[: self._limits.sweep_most]
        # What a condition leaves of a range may be very many.
        if len(uids) > most and (self._fails(change) or self._ranges(uids) is None):
            uids = uids[:most]
        plan = Plan.of(self.index, uids, change)
        if not plan.changed:
            return plan.result(0), len(uids)
        check_flags(plan.groups, self._limits)
        check_keywords(self.index, plan.groups, self._limits)
        mongo, place = self._mongo, self._opened.place
        many = len(plan.changed) >= self._limits.sweep_from
        swept = self._ranges(plan.meant) if many else None
        if swept is None and len(plan.changed) > most:
            return await self._store(uids[:most], change)
        if swept is None:
            groups = {flags: sorted(some) for flags, some in plan.groups.items()}
            done = await changes.store(mongo, place, self.index.uids, groups, plan.sums)
        else:
            done = await changes.sweep(mongo, place, swept, change, plan.sums)
            self._opened.sweeps += 1
            self._folder.soon(self._writer.user, self._opened.id, self._opened.sweeps)
        await self._learn(done)
        return plan.result(done.modseq), len(uids)

    def _is_worth_folding(self, uids: Sequence[int], change: FlagChange) -> bool:
        """Whether there is no room for what could be a sweep, and to write what it changes takes about as long as to fold all there
        are: then there is room for those to come, too.
        """
        limits = self._limits
        least = max(limits.sweep_from, len(self.index) // 2)
        if not 0 < limits.sweeps <= self._opened.sweeps or len(uids) < least:
            return False
        # As far as is known here: what others have done the change looks at.
        plan = Plan.of(self.index, uids[: limits.sweep_most], change)
        return len(plan.changed) >= least and self._few_ranges(plan.meant) is not None

    def _fails(self, change: FlagChange) -> bool:
        """Whether the change's condition may fail for some message."""
        bound = change.unchanged_since
        return bound is not None and bool(self.index.latest_since(bound))

    def _ranges(self, uids: Sequence[int]) -> UIDSet | None:
        """Ranges that have these of all living messages, None where a sweep can't be made of them."""
        if self._mongo.schema < SWEEPS or self._opened.sweeps >= self._limits.sweeps:
            return None
        return self._few_ranges(uids)

    def _few_ranges(self, uids: Sequence[int]) -> UIDSet | None:
        index = self.index
        uids = living(index, uids)
        ranges: list[tuple[int, int]] = []
        for at, _, length in runs(index.uids, uids):
            if len(ranges) == self._limits.sweep_ranges:
                return None
            ranges.append((uids[at], uids[at + length - 1]))
        return UIDSet(tuple(ranges))

    async def expunge(self, uids: UIDSet | None = None) -> UIDSet:
        def choose() -> list[int]:
            deleted = self.index.with_flag(DELETED)
            return deleted if uids is None else [uid for uid in deleted if uid in uids]

        return await self._remove(choose)

    async def remove(self, uids: Sequence[int]) -> UIDSet:
        return await self._remove(lambda: living(self.index, uids))

    async def _remove(self, choose: Callable[[], list[int]]) -> UIDSet:
        """`choose` says which, of those that the index has.  Where they are very many, it is several changes."""
        self._writable()
        most = self._limits.messages_per_change
        removed: list[UIDSet] = []
        left = True

        async def attempt() -> None:
            nonlocal left
            gone = choose()
            if not gone:
                # Others may have found something to be removed.  If there is, the change finds out whether it is all.
                await self._opened.refresh()
                gone = choose()
            index = self.index
            left = most < len(gone) < len(index)
            if left:
                gone = gone[:most]
            elif not gone:
                return
            flags = {flags: len(some) for flags, some in index.by_flags(gone).items()}
            unseen = sum(count for each, count in flags.items() if SEEN not in each)
            deleted = sum(count for each, count in flags.items() if DELETED in each)
            done = await changes.expunge(
                self._mongo, self._opened.place, index.uids, gone, unseen, deleted
            )
            removed.append(done.expunged)
            await self._learn(done)

        while left:
            await self._change(attempt)
        return UIDSet.of_ranges(chain.from_iterable(each.ranges for each in removed))

    async def copy(self, uids: Sequence[int], destination: str) -> CopyResult:
        return await self._copy(uids, destination, move=False)

    async def move(self, uids: Sequence[int], destination: str) -> CopyResult:
        self._writable()
        return await self._copy(uids, destination, move=True)

    async def _copy(self, uids: Sequence[int], destination: str, *, move: bool) -> CopyResult:
        if not uids:
            return await self._copy_of_nothing(destination)

        async def attempt() -> CopyResult:
            index = self.index
            if len(living(index, uids)) != len(uids):
                await self._opened.refresh()
                if len(living(index, uids)) != len(uids):
                    raise errors.ExpungeIssued("some of the messages are not there any more")
            source, target = await copying.copy(
                self._mongo, self._opened.place, index.uids, uids, destination, move=move
            )
            await self._learn_of(source, target)
            new = [change.uid for change in target.changed]
            return CopyResult(target.mailbox["uidvalidity"], list(uids), new)

        return await self._change(attempt)

    async def replace(self, uid: int, destination: str, message: AppendMessage) -> AppendResult:
        self._writable()
        async with self._writer.room(needed([message], self._limits)):
            return await self._replace(uid, destination, message)

    async def _replace(self, uid: int, destination: str, message: AppendMessage) -> AppendResult:
        coming = await allowed(
            self._mongo, self._registry, self._writer.user, destination, [message], self._limits
        )
        [arrival] = await coming.arrivals()

        async def attempt() -> AppendResult:
            source, target = await copying.replace(
                self._mongo, self._opened.place, uid, destination, arrival
            )
            await self._learn_of(source, target)
            return AppendResult(target.mailbox["uidvalidity"], [target.changed[0].uid])

        try:
            return await self._change(attempt)
        except BlobsLost:
            await arrival.keep_blobs(self._mongo)
        try:
            return await self._change(attempt)
        except BlobsLost:
            raise errors.Unavailable(
                "the attachment could not be stored, try again later"
            ) from None

    async def _copy_of_nothing(self, destination: str) -> CopyResult:
        there = {"user": self._writer.user, "path": destination}
        found = await self._mongo.find_one(MAILBOXES, there, projection={"uidvalidity": 1})
        if found is None:
            raise errors.TryCreate("there is no such mailbox")
        return CopyResult(found["uidvalidity"], (), ())

    def _writable(self) -> None:
        if self.readonly:
            raise errors.ReadOnly("the mailbox is open read-only")

    async def _change(self, attempt: Callable[[], Awaitable[T]]) -> T:
        async def once() -> T:
            try:
                return await attempt()
            except Moved:
                # Fails if the mailbox is gone.
                await self._opened.refresh()
                raise

        return await retried(self._mongo, self._writer, once)

    async def _learn_of(self, source: Done | None, target: Done) -> None:
        """What became of this mailbox, if anything, and of one that got messages, which may be the same."""
        if source is not None:
            await self._learn(source)
        if target.mailbox["_id"] == self._opened.id:
            await self._learn(target)
        else:
            self._writer.learn(target)

    async def _learn(self, done: Done) -> None:
        if done.emptied is not None:
            self._discard(self._writer.user, done.emptied)
        if not self._opened.advance(done):
            await self._opened.follow()


async def retried(mongo: Mongo, writer: Writer, attempt: Callable[[], Awaitable[T]]) -> T:
    """Make a change of a user, one at a time; again, after a pause, where other processes were quicker."""
    for number in range(_ATTEMPTS):
        try:
            async with writer.turn():
                return await attempt()
        except Moved:
            pass
        await deferLater(mongo.reactor, random.uniform(0, 0.002 * number))
    raise errors.Contention("others keep changing the mailbox, try again")
