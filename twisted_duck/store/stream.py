"""News between processes: one change stream a process, on `mailboxes`, wakes the mailboxes that are open here.

It only says that something happened; what, is read from the change log.  So nothing is lost by an event that comes twice,
or late, or not at all while the stream is being opened anew: then every open mailbox is refreshed.

An answer with less than it may hold says that there is no more, and when it was asked for says as of when.  So for some
seconds after that, what was not heard of has not happened, and an index need not be compared with the database
(`hears_all`).  Where the database is away, or is slow, or more happens than can be told, it has to be; so it has on a sharded
cluster, where an answer is of the time of the shard that is furthest behind, and one with nothing to do may be by ten seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_duck.errors import DuckError
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.failures import FAILURES, CommandFailed
from twisted_duck.store.opened import Registry
from twisted_duck.store.schema import MAILBOXES

log = Logger()

#: Milliseconds that the server waits for an event before it answers that there was none.
_WAIT = 1_000
#: Seconds before a stream that failed is opened again.
_PAUSE = 0.5
#: Seconds from one question to the next, where there is news: to hear of a change alone costs this process and the server a tenth
#: of what an APPEND takes.
_APART = 0.02
#: Events in one answer.
_BATCH = 1_000
#: Seconds after a question that was answered, in which the next answer comes if there is nothing wrong: twice the wait, and
#: one more for whatever is busy.
_WHOLE = 2 * _WAIT / 1000 + 1

#: The label of failures behind which a stream can go on where it was.
_RESUMABLE = "ResumableChangeStreamError"

_CHANGED = "updateDescription.updatedFields"

#: Changes that matter to whoever has the mailbox open; a claim of \\Recent is none.
_WANTED: list[Document] = [
    {
        "$match": {
            "$or": [
                {"operationType": "delete"},
                {f"{_CHANGED}.modseq": {"$exists": True}},
                {f"{_CHANGED}.path": {"$exists": True}},
            ]
        }
    },
    {"$project": {"operationType": 1, "documentKey._id": 1, f"{_CHANGED}.modseq": 1}},
]


class ChangeStream:
    def __init__(self, mongo: Mongo, registry: Registry) -> None:
        self._registry = registry
        self._running: Deferred[None] | None = None
        #: Its own connection: waiting for events keeps it busy.
        self.mongo = mongo.sibling()
        #: Where the stream is to go on; None: from now.
        self._token: Document | None = None
        #: Until when it is whole.
        self._whole_until = 0.0
        registry.hears_all = self.hears_all

    def hears_all(self) -> bool:
        """Whether what was committed up to a moment ago has been heard of."""
        return self.mongo.reactor.seconds() < self._whole_until  # type: ignore[no-any-return]

    async def open(self) -> None:
        """Start; from now on every change is heard of."""
        await self.mongo.open()
        try:
            cursor = await self._aggregate()
        except BaseException:
            await self.mongo.close()
            raise
        self._running = Deferred.fromCoroutine(self._run(cursor))

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await running

    async def _run(self, cursor: Document | None) -> None:
        try:
            while True:
                try:
                    if cursor is None:
                        cursor = await self._reopen()
                    await self._listen(cursor)
                except (*FAILURES, DuckError) as error:
                    if cursor is not None:
                        log.warn("news of other processes have stopped: {error}", error=str(error))
                    cursor = None
                    self._whole_until = 0.0
                    await deferLater(self.mongo.reactor, _PAUSE)
        except CancelledError:
            pass
        finally:
            self._whole_until = 0.0
            await self.mongo.close()

    async def _reopen(self) -> Document:
        cursor = await self._aggregate()
        log.info("news of other processes are heard again")
        if self._token is None:
            self._registry.wake_all()
        return cursor

    async def _listen(self, cursor: Document) -> NoReturn:
        """Hear what a cursor tells, until that fails."""
        self._take(cursor, cursor["firstBatch"])
        while True:
            asked = self.mongo.reactor.seconds()
            answer = (await self._more(cursor["id"]))["cursor"]
            events = answer["nextBatch"]
            self._take(answer, events)
            if len(events) < _BATCH and not self.mongo.is_sharded:
                self._whole_until = asked + _WHOLE
            if not events:
                self._registry.wake_behind()
            elif (early := asked + _APART - self.mongo.reactor.seconds()) > 0:
                await deferLater(self.mongo.reactor, early)

    def _take(self, answer: Document, events: Sequence[Any]) -> None:
        self._token = answer.get("postBatchResumeToken", self._token)
        for event in events:
            self._event(event)

    async def _aggregate(self) -> Document:
        stream: Document = {} if self._token is None else {"resumeAfter": self._token}
        command = {
            "aggregate": MAILBOXES,
            "pipeline": [{"$changeStream": stream}, *_WANTED],
            "cursor": {},
        }
        try:
            cursor: Document = (await self.mongo.send(command))["cursor"]
        except CommandFailed:
            # Perhaps the place to go on at is no longer known to the server: from now on, then, and all is looked at.
            self._token = None
            raise
        return cursor

    async def _more(self, cursor: int) -> Document:
        command = {
            "getMore": cursor,
            "collection": MAILBOXES,
            "maxTimeMS": _WAIT,
            "batchSize": _BATCH,
        }
        try:
            return await self.mongo.send(command, time=self.mongo.times.command + _WAIT / 1000)
        except CommandFailed as error:
            if _RESUMABLE not in error.labels:
                # Opened again at the same place, it would come to the same.
                self._token = None
            raise

    def _event(self, event: Any) -> None:
        mailbox = event["documentKey"]["_id"]
        if event["operationType"] == "delete":
            self._registry.lose(mailbox)
        else:
            # Our own changes are in the index already.
            changed = event["updateDescription"]["updatedFields"]
            self._registry.hear(mailbox, changed.get("modseq"))
