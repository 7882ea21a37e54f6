"""News between processes: one change stream a process, on `mailboxes`, wakes the mailboxes that are open here.

It only says that something happened; what, is read from the change log.  So nothing is lost by an event that comes twice,
or late, or not at all while the stream is being opened anew: then every open mailbox is refreshed.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_duck.errors import DuckError
from twisted_duck.store.connection import FAILURES, CommandFailed, Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.opened import Registry
from twisted_duck.store.schema import MAILBOXES

log = Logger()

#: Milliseconds that the server waits for an event before it answers that there was none.
_WAIT = 1_000
#: Seconds before a stream that failed is opened again.
_PAUSE = 0.5

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
                        cursor = await self._aggregate()
                        if self._token is None:
                            self._wake_all()
                    self._token = cursor.get("postBatchResumeToken", self._token)
                    for event in cursor.get("firstBatch") or cursor.get("nextBatch") or ():
                        self._event(event)
                    cursor = (await self._more(cursor["id"]))["cursor"]
                except (*FAILURES, DuckError) as error:
                    log.info("change stream: {error}", error=str(error))
                    cursor = None
                    await deferLater(self.mongo.reactor, _PAUSE)
        except CancelledError:
            pass
        finally:
            await self.mongo.close()

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
        command = {"getMore": cursor, "collection": MAILBOXES, "maxTimeMS": _WAIT}
        return await self.mongo.send(command, time=self.mongo.times.command + _WAIT / 1000)

    def _event(self, event: Any) -> None:
        opened = self._registry.get(event["documentKey"]["_id"])
        if opened is None:
            return
        if event["operationType"] == "delete":
            opened.lose()
            self._registry.trim()
            return
        modseq = event["updateDescription"]["updatedFields"].get("modseq")
        # Our own changes are in the index already; where nobody has it open, it is refreshed when somebody opens it.
        if opened.sessions and (modseq is None or modseq > opened.index.highest_modseq):
            opened.wake()

    def _wake_all(self) -> None:
        for opened in self._registry:
            if opened.sessions:
                opened.wake()
