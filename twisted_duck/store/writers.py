"""What serialises the changes of one user in one process, and lets waiting ones go together.

Changes of one user always conflict in the database (they all add to what the user's mail takes), so within a process they
take turns here instead of failing there.  Appends to one mailbox that wait for their turn are made in one transaction, as
one change: ten at a time are eight times as fast as ten times one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

import attrs
from bson.objectid import ObjectId
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_duck import errors
from twisted_duck.light import light
from twisted_duck.limits import Limits
from twisted_duck.store import changes
from twisted_duck.store.blobs import BlobsLost
from twisted_duck.store.changes import Done
from twisted_duck.store.coming import Coming
from twisted_duck.store.connection import Mongo
from twisted_duck.store.opened import Registry
from twisted_duck.store.room import Room

T = TypeVar("T")

#: Messages, and bytes of their bodies, in one transaction of several appends.
_MOST = 100
_BYTES = 4 << 20

#: Messages from which on no more are waited for, half of what one client may send ahead: while they are being made, the other
#: half is looked at.  And seconds, which one that was alone would have taken as well.
_ENOUGH = 32
_GATHERING = 0.02


@light
class Appended:
    """What an append was given: its UIDs are consecutive from `first`."""

    uidvalidity: int
    first: int
    count: int


@attrs.define(eq=False)
class _Append:
    coming: Coming
    result: Deferred[Appended]

    @property
    def messages(self) -> int:
        return self.coming.sums.messages


class Writer:
    """One user's changes in this process."""

    def __init__(self, mongo: Mongo, registry: Registry, user: ObjectId, limits: Limits) -> None:
        self._mongo = mongo
        self._registry = registry
        self.user = user
        self._lock = DeferredLock()
        self._room = Room(limits.appending)
        self._waiting: dict[str, deque[_Append]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether an append would be begun at once, and alone."""
        return not (self._waiting or self._lock.locked)

    def append(self, path: str, coming: Coming) -> Deferred[Appended]:
        """Fails with TryCreate, OverQuota, Unavailable, for this append alone."""
        job = _Append(coming, Deferred())
        queue = self._waiting.get(path)
        if queue is None:
            self._waiting[path] = deque([job])
            Deferred.fromCoroutine(self._work(path))
        else:
            queue.append(job)
        return job.result

    async def _work(self, path: str) -> None:
        """Make the appends that wait for the mailbox at `path`, until there are none."""
        queue = self._waiting[path]
        #: Messages of the last one, since the first one of several.
        made: int | None = None
        while queue:
            # As many as the last time: the database need not wait.
            await self._gather(queue, min(_ENOUGH, made or _ENOUGH))
            try:
                async with self.turn():
                    # Who was answered will be back.  If half of all that are about are made at a time, the other half can be
                    # looked at meanwhile; if all, nobody would have anything to do.
                    about = _messages(queue) + (made or 0)
                    group = _group(queue, _MOST if made is None else min(_MOST, -(-about // 2)))
                    if made is not None or len(group) > 1:
                        made = _messages(group)
                    await self._together(path, group)
            except errors.Unavailable as error:
                # No turn came: nor will it for those who came later.
                while queue:
                    queue.popleft().result.errback(errors.Unavailable(error.message))
        del self._waiting[path]

    async def _gather(self, queue: deque[_Append], enough: int) -> None:
        """Where several wait and each turn brings another, wait until there are enough: they take hardly longer than one of them.

        One that is alone is never waited with.
        """
        clock = self._mongo.reactor
        end = clock.seconds() + _GATHERING
        before, now = queue[0].messages, _messages(queue)
        while before < now < enough and clock.seconds() < end:
            await deferLater(clock, 0)
            before, now = now, _messages(queue)

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Around what is known of messages until they are stored, `size` bytes of it.  Fails with Unavailable if those before
        it do.
        """
        taken = await self._room.take(size)
        try:
            yield
        except errors.Unavailable as error:
            self._room.refuse(error.message)
            raise
        finally:
            self._room.give_back(taken)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Around each change of the user's mail.  Fails with Unavailable if the turn does not come."""
        mine = self._lock.acquire()
        if not mine.called:
            mine.addTimeout(self._mongo.times.turn, self._mongo.reactor)
        try:
            await mine
        except OutOfTime:
            raise errors.Unavailable("the database is too slow, try again later") from None
        try:
            with self._registry.writing(self.user):
                yield
        finally:
            self._lock.release()

    async def _together(self, path: str, group: Sequence[_Append], again: bool = False) -> None:
        try:
            await self._append(path, group)
        except (errors.ClientError, BlobsLost) as error:
            if len(group) > 1:
                # One of them is at fault; the others must not suffer for it.
                for job in group:
                    await self._together(path, [job])
            elif isinstance(error, BlobsLost) and not again:
                await self._blobs_again(path, group[0])
            else:
                group[0].result.errback(
                    errors.Unavailable("the attachment could not be stored, try again later")
                    if isinstance(error, BlobsLost)
                    else error
                )
        except Exception:  # noqa: BLE001 - it is passed on to all who asked
            failure = Failure()
            for job in group:
                job.result.errback(failure)

    async def _blobs_again(self, path: str, job: _Append) -> None:
        try:
            for arrival in await job.coming.arrivals():
                await arrival.keep_blobs(self._mongo)
        except Exception:  # noqa: BLE001 - it is passed on to whoever asked
            job.result.errback(Failure())
        else:
            await self._together(path, [job], again=True)

    async def _append(self, path: str, group: Sequence[_Append]) -> None:
        coming = [job.coming for job in group]
        done = await changes.append(self._mongo, self.user, path, coming)
        self.learn(done)
        first = done.changed[0].uid
        for job in group:
            job.result.callback(Appended(done.mailbox["uidvalidity"], first, job.messages))
            first += job.messages

    def learn(self, done: Done) -> None:
        """Tell the sessions that have the mailbox open of a change that was made here."""
        self._registry.learn(done)


def _messages(appends: Iterable[_Append]) -> int:
    return sum(job.messages for job in appends)


def _group(queue: deque[_Append], most: int) -> list[_Append]:
    """Those that are made next, of so many messages at the most: at least one of them."""
    group = [queue.popleft()]
    count, weight = group[0].messages, group[0].coming.weight
    while queue:
        count += queue[0].messages
        weight += queue[0].coming.weight
        if count > most or weight > _BYTES:
            break
        group.append(queue.popleft())
    return group


class Writers:
    """The writers of the users who are busy, or logged in, in this process."""

    def __init__(self, mongo: Mongo, registry: Registry, limits: Limits) -> None:
        self._mongo = mongo
        self._registry = registry
        self._limits = limits
        self._writers: WeakValueDictionary[ObjectId, Writer] = WeakValueDictionary()

    def of(self, user: ObjectId) -> Writer:
        writer = self._writers.get(user)
        if writer is None:
            writer = Writer(self._mongo, self._registry, user, self._limits)
            self._writers[user] = writer
        return writer
