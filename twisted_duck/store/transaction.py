"""Transactions: what takes effect together or not at all.

They read from a majority-committed snapshot, and are committed to a journaled majority.  What is sent again, and when:

* A transaction that the server gave up (`TransientTransactionError`: a write conflict with another process, a fail-over)
  is run again from its beginning, after a pause that grows and is random, until a bound; then `Contention`, or
  `Unavailable` if it was the connection that failed.
* What the other process has locked is not waited for without end: a transaction that nothing was heard of for `idle`
  seconds, because its process was killed or suspended, is ended by whoever it is in the way of (`abandoned`).
* A commit whose reply was lost is sent again until the server says which it was: the server remembers.  Only if it
  stays away longer than `settle` is the outcome unknown: `Unsettled`, after which a client is told nothing more.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bson.int64 import Int64
from pymongo.errors import ConnectionFailure
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_duck import errors
from twisted_duck.store import cursors
from twisted_duck.store.abandoned import Abandoned
from twisted_duck.store.driver import Document, Wire
from twisted_duck.store.failures import (
    FAILURES,
    UNKNOWN_COMMIT,
    CommandFailed,
    is_transient,
    pauses,
    translate,
)
from twisted_duck.store.leases import Lease, Leases

if TYPE_CHECKING:
    from twisted_duck.store.connection import Mongo

T = TypeVar("T")

log = Logger()

#: What every change is committed with.
MAJORITY: Final = {"w": "majority", "j": True}

#: Seconds for a look at the transactions of others, and for ending them.
_LOOK = 2.0

#: Bytes of documents in one insert; the server takes 16 MiB.
_LARGEST_COMMAND = 8 << 20


class _Over(Exception):
    """Something else of the transaction has failed, which is what it fails of."""


class Transaction:
    """What the coroutine given to `Transactions.run` sends its commands through."""

    def __init__(self, mongo: Mongo, lease: Lease) -> None:
        self._mongo = mongo
        self.lease = lease
        self.began = False
        #: What all its commands go over, one behind the other; and what ends it, so that nothing comes behind that.
        self.wire: Wire | None = None
        #: What failed first of that which was done at once, or that it is not wanted any more.
        self._failed: Exception | None = None

    async def run(self, command: Document) -> Document:
        """One command, in the transaction.  Its failures are for `Transactions.run`: don't catch them."""
        if self._failed is not None:
            raise _Over
        if self.wire is None:
            self.wire = await self._mongo.wire()
        command["lsid"] = self.lease.id
        command["txnNumber"] = Int64(self.lease.number)
        command["autocommit"] = False
        if not self.began:
            self.began = self.lease.began = True
            command["startTransaction"] = True
            command["readConcern"] = {"level": "snapshot"}
        reply = await self._mongo.send(command, wire=self.wire)
        # Whoever was at work beside what has failed goes no further.
        if self._failed is not None:
            raise _Over
        return reply

    async def at_once(self, *works: Coroutine[Any, Any, Any]) -> list[Any]:
        """Do several things whose first commands need nothing of each other's answers: these are sent in one piece, and answered
        in their order.  A work that waits for something else before its first command comes behind them, over the same connection;
        one that has something else to do before it calls `hand_on`.

        What each returned.  Where some fail, it is as the first that did, when all have ended: what the server says to the
        commands behind one that failed is only that there is no such transaction.  Who cancels one of them cancels all.
        """
        try:
            if self.wire is None:
                # Over one connection the server does them in their order, and the first begins the transaction.
                self.wire = await self._mongo.wire()
        except BaseException:
            for work in works:
                work.close()
            raise
        with self.wire.together():
            done = [Deferred.fromCoroutine(self._beside_others(work)) for work in works]
        results = []
        # When the last one is over, so are the others, as a rule.
        for each in reversed(done):
            results.append(await each)
            if isinstance(self._failed, CancelledError):
                for other in done:
                    other.cancel()
        if self._failed is not None:
            raise self._failed
        return results[::-1]

    def hand_on(self) -> None:
        """In a work of `at_once`: have the commands of those before it sent now, since this one takes its time before it has any."""
        if self.wire is not None:
            self.wire.hand_on()

    async def _beside_others(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What it returned, if it did."""
        try:
            return await work
        except Exception as error:  # noqa: BLE001 - whoever does several things at once is told
            if self._failed is None or isinstance(error, CancelledError):
                self._failed = error
            return None

    async def batches(
        self, collection: str, filter: Document, **options: Any
    ) -> AsyncIterator[list[Document]]:
        """Documents as they come: in one reply's worth, at most 16 MiB, where they are few.

        What came in one reply can be written with one command.
        """
        cursor = await self._find(collection, filter, options)
        async for batch in cursors.batches(cursor, collection, self.run):
            yield batch

    async def find(self, collection: str, filter: Document, **options: Any) -> list[Document]:
        """All of them, where they are few."""
        cursor = await self._find(collection, filter, options)
        return await cursors.documents(cursor, collection, self.run)

    async def _find(self, collection: str, filter: Document, options: Document) -> Document:
        command = {"find": collection, "filter": filter, **options}
        command.setdefault("batchSize", 100_000)
        cursor: Document = (await self.run(command))["cursor"]
        return cursor

    async def find_one(self, collection: str, filter: Document, **options: Any) -> Document | None:
        found = await self.find(collection, filter, limit=1, singleBatch=True, **options)
        return found[0] if found else None

    async def aggregate(self, collection: str, pipeline: list[Document]) -> list[Document]:
        """Documents of a pipeline that are few: one batch's worth."""
        command = {"aggregate": collection, "pipeline": pipeline, "cursor": {}}
        found: list[Document] = (await self.run(command))["cursor"]["firstBatch"]
        return found

    async def change(
        self, collection: str, filter: Document, update: Document | list[Document], **options: Any
    ) -> Document | None:
        """findAndModify; the document as it is afterwards, None if none matches."""
        command = {
            "findAndModify": collection,
            "query": filter,
            "update": update,
            "new": True,
            **options,
        }
        return (await self.run(command)).get("value")

    async def take_out(self, collection: str, filter: Document) -> Document | None:
        """Remove one document, and return it as it was; None if none matches."""
        command = {"findAndModify": collection, "query": filter, "remove": True}
        return (await self.run(command)).get("value")

    async def insert(
        self, collection: str, documents: Iterable[Document], weigh: Callable[[Document], int] = len
    ) -> None:
        """`weigh` tells about how many bytes a document has, where that is more than a few KiB."""
        for batch in _batches(documents, weigh):
            await self.run({"insert": collection, "documents": batch})

    async def delete(self, collection: str, filters: Sequence[Document], limit: int = 0) -> int:
        """Remove what matches any of the filters; how many documents that were."""
        removed = 0
        for at in range(0, len(filters), 1000):
            some = [{"q": each, "limit": limit} for each in filters[at : at + 1000]]
            removed += int((await self.run({"delete": collection, "deletes": some}))["n"])
        return removed

    async def update(self, collection: str, updates: Sequence[Document]) -> int:
        """`updates` as in the `update` command (`q`, `u`, `multi` ...); how many documents matched."""
        matched = 0
        for at in range(0, len(updates), 1000):
            some = list(updates[at : at + 1000])
            matched += int((await self.run({"update": collection, "updates": some}))["n"])
        return matched


def _batches(
    documents: Iterable[Document], weigh: Callable[[Document], int]
) -> Iterator[list[Document]]:
    """Documents by the thousand, or fewer where they are large: a command may have 16 MiB."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        weight = weigh(document)
        if batch and (len(batch) >= 1000 or size + weight > _LARGEST_COMMAND):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += weight
    if batch:
        yield batch


class Transactions:
    """Those of one L{Mongo}."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._leases = Leases(mongo)
        #: Transactions that somebody waits for, and who waits until there are none.
        self._running = 0
        self._closing: list[Deferred[None]] | None = None
        self._abandoned = Abandoned(
            lambda command: mongo.send(command, "admin", _LOOK),
            FAILURES,
            mongo.reactor.seconds,
            mongo.target.database,
            mongo.times.idle,
        )

    @property
    def leaving(self) -> int:
        """How many are being ended in the background."""
        return self._leases.leaving

    def open(self) -> None:
        """They may begin (again)."""
        self._closing = None

    async def close(self) -> None:
        """None begins any more, nor is tried again.  What is under way has a few seconds to be made, and to be told."""
        closing = self._closing = self._closing or []
        if self._running:
            none: Deferred[None] = Deferred()
            closing.append(none)
            try:
                await none.addTimeout(self._mongo.times.closing, self._mongo.reactor)
            except OutOfTime:
                closing.remove(none)
            # Whoever was told goes on first.
            await deferLater(self._mongo.reactor, 0)
        self._leases.close()

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work`, all of whose commands take effect together or not at all; what it returned.

        `work` is run again where the server gave the transaction up, so what it changes beside the database must be what
        may be changed again.
        """
        if self._closing is not None:
            raise errors.Unavailable("the store is closed")
        self._running += 1
        try:
            return await self._run(work)
        finally:
            self._running -= 1
            while self._closing and not self._running:
                self._closing.pop().callback(None)

    async def _run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        began = self._mongo.reactor.seconds()
        end = began + self._mongo.times.transaction
        waits = pauses()
        lease = self._leases.take()
        while True:
            # The next transaction of a session ends the one before, wherever that got stuck.
            lease.number += 1
            transaction = Transaction(self._mongo, lease)
            try:
                result = await work(transaction)
                if transaction.began:
                    await self._commit(lease)
            except FAILURES as error:
                pause = next(waits)
                late = self._closing is not None or self._mongo.reactor.seconds() + pause >= end
                if not is_transient(error) or late:
                    self._leases.leave(lease, transaction.wire)
                    if late and isinstance(error, CommandFailed) and is_transient(error):
                        raise errors.Contention(
                            "too many changes at the same time, try again"
                        ) from None
                    raise translate(error) from None
                if (
                    isinstance(error, CommandFailed)
                    and self._mongo.reactor.seconds() - began >= self._mongo.times.patience
                ):
                    await self._abandoned.end()
            except errors.Unsettled:
                # The database is away: to wait for it once more would tell nobody anything.
                self._leases.leave(lease, transaction.wire)
                raise
            except Exception:
                # Its locks are given back before anybody is told; nothing has to be waited for if that fails.
                if transaction.began and await self._abort(transaction):
                    self._leases.give_back(lease)
                else:
                    self._leases.leave(lease, transaction.wire)
                raise
            else:
                self._leases.give_back(lease)
                return result
            await deferLater(self._mongo.reactor, pause)

    def _finish(
        self, verb: str, lease: Lease, time: float, wire: Wire | None = None
    ) -> Awaitable[Document]:
        command = {
            verb: 1,
            "lsid": lease.id,
            "txnNumber": Int64(lease.number),
            "autocommit": False,
            "writeConcern": MAJORITY,
        }
        return self._mongo.send(command, "admin", time, wire)

    async def _abort(self, transaction: Transaction) -> bool:
        """Whether the server has ended the transaction, all of whose commands it has looked at by then."""
        time = self._mongo.times.command
        try:
            await self._finish("abortTransaction", transaction.lease, time, transaction.wire)
        except CommandFailed:
            pass  # It had been ended before: that was the failure.
        except (ConnectionFailure, OutOfTime):
            return False
        return True

    async def _commit(self, lease: Lease) -> None:
        end = self._mongo.reactor.seconds() + self._mongo.times.settle
        waits = pauses()
        while True:
            try:
                await self._finish("commitTransaction", lease, self._mongo.times.command)
                return
            except CommandFailed as error:
                # Of a primary that is on its way out, not even that there is no such transaction is final.
                if error.code not in UNKNOWN_COMMIT and not error.unmet:
                    raise
            except (ConnectionFailure, OutOfTime):
                pass
            except CancelledError:
                # Whoever wanted it is told nothing any more.
                raise
            except Exception:  # noqa: BLE001 - whatever broke on our side: it may have been made all the same
                log.failure("a commit broke")
                raise errors.Unsettled(
                    "something broke in the middle of the change; it is not known whether it was made"
                ) from None
            pause = next(waits)
            if not self._mongo.is_open or self._mongo.reactor.seconds() + pause >= end:
                raise errors.Unsettled(
                    "the database went away in the middle of the change; it is not known whether it was made"
                )
            await deferLater(self._mongo.reactor, pause)
