"""Commands and transactions: how the rest of the store speaks to MongoDB.

`Mongo.run` sends one command, `Mongo.find` reads documents, `Mongo.transaction` runs a coroutine inside a transaction.
All of them end in bounded time and fail with `twisted_duck.errors` alone.

What is sent again, and when:

* A command outside a transaction is sent again when its connection was lost, until its time is over.  Everything the
  store does outside transactions is idempotent, and has to stay so.
* A transaction that the server gave up (`TransientTransactionError`: a write conflict with another process, a fail-over)
  is run again from its beginning, after a pause that grows and is random, until a bound; then `Contention`, or
  `Unavailable` if it was the connection that failed.
* What the other process has locked is not waited for without end: a transaction that nothing was heard of for `idle`
  seconds, because its process was killed or suspended, is ended by whoever it is in the way of (`abandoned`).
* A commit whose reply was lost is sent again until the server says which it was: the server remembers.  Only if it
  stays away longer than `settle` is the outcome unknown: `Unsettled`, after which a client is told nothing more.

Commands are plain documents; the first key is the command's name, the value the collection.  Reads are from the primary.
Transactions read from a majority-committed snapshot and are committed to a journaled majority.
"""

from __future__ import annotations

import random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from typing import Any, Final, TypeVar

import attrs
from bson.errors import BSONError
from bson.int64 import Int64
from bson.timestamp import Timestamp
from pymongo.errors import ConnectionFailure
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_duck import errors
from twisted_duck.store.abandoned import Abandoned, session_id
from twisted_duck.store.driver import Document, Pool
from twisted_duck.store.uri import Target, parse

T = TypeVar("T")

log = Logger()

#: What every change is committed with.
MAJORITY: Final = {"w": "majority", "j": True}

#: MongoDB 6.0: `$lookup` from sharded collections (5.1), snapshot reads outside transactions (5.0).
_OLDEST_WIRE_VERSION = 17

DUPLICATE_KEY = 11000
_UNAUTHORIZED = frozenset({13, 18, 8000})
#: No space left, the server is shutting down, interrupted, memory or time exceeded, a cursor or a snapshot that did not
#: outlive a fail-over: not our doing, and it may pass.
_MAY_PASS = frozenset(
    {14031, 6, 7, 43, 50, 89, 91, 133, 175, 189, 202, 237, 239, 246, 262, 292, 9001}
    | {11600, 11601, 11602, 10107, 13435, 13436}
)
#: A snapshot that is not there yet, right after a start or after an index was made: in a moment it is.
_IN_A_MOMENT = frozenset({246})
#: After these the outcome of a commit is not known (write concern not met, time over, interrupted, primary going away).
_UNKNOWN_COMMIT = frozenset(
    {64, 50, 6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11601, 11602, 13435, 13436}
)
_NO_SUCH_TRANSACTION = 251

#: Attempts, a second apart, to tell the server to end a transaction; after a minute it does so by itself.
_ABORTS = 60

#: Seconds for a look at the transactions of others, and for ending them.
_LOOK = 2.0

#: Bytes of documents in one insert; the server takes 16 MiB.
_LARGEST_COMMAND = 8 << 20


class CommandFailed(Exception):
    """The server refused a command.  Never leaves the storage plane; never carries what was sent."""

    def __init__(self, name: str, reply: Document) -> None:
        self.code = int(reply.get("code") or 0)
        self.labels: Sequence[str] = reply.get("errorLabels") or ()
        #: Whether the server could not say that a majority knows of it, too.
        self.unmet = bool(reply.get("writeConcernError"))
        super().__init__(f"{name}: {reply.get('codeName', self.code)}")
        #: The server's words: for the log only, they may quote mail.
        self.text = str(reply.get("errmsg", ""))


#: What a command may fail with before it is translated.
FAILURES: Final = (CommandFailed, ConnectionFailure, OutOfTime, BSONError)


def translate(error: Exception) -> errors.DuckError:
    """The error of `twisted_duck.errors` that says what the driver's says."""
    if isinstance(error, (ConnectionFailure, OutOfTime)):
        return errors.Unavailable("the database is away, try again later")
    if isinstance(error, CommandFailed):
        if error.code == DUPLICATE_KEY:
            return errors.AlreadyExists("it exists already")
        if error.code in _UNAUTHORIZED:
            log.error("MongoDB refuses us: {text}", text=error.text)
            return errors.Unavailable("the database refuses the server's credentials")
        if error.code in _MAY_PASS:
            log.error("MongoDB: {text}", text=error.text)
            return errors.Unavailable("the database can't do it now, try again later")
        log.error("MongoDB refused {command}: {text}", command=str(error), text=error.text)
    else:
        log.error("BSON: {error!r}", error=error)
    return errors.ServerError("the store could not do it; this is a fault of the server")


@attrs.frozen
class Times:
    """Seconds that the store waits for the database."""

    #: For one command, sending it again included.
    command: float = 10.0
    #: For a transaction, from its first attempt to the beginning of its last.
    transaction: float = 10.0
    #: For the outcome of a commit whose reply was lost; longer than a fail-over takes.
    settle: float = 30.0
    #: For the turn of a change, while others of the same user are being made in this process.
    turn: float = 20.0
    #: From a transaction's first attempt, while it meets conflicts only, until it looks whether what is in its way
    #: was abandoned.
    patience: float = 1.0
    #: Without a command, after which a transaction in the way is abandoned: more than 8 MiB take on a fair line, and
    #: with `patience` and a look a second, less than `transaction`.
    idle: float = 5.0


@attrs.define
class _Lease:
    """A server-side session: what a transaction is known by."""

    id: Document
    number: int = 0
    used: float = 0.0


@attrs.frozen
class Snapshot:
    """The documents of a find, and the moment they were read at."""

    documents: list[Document]
    time: Timestamp


class Transaction:
    """What the coroutine given to `Mongo.transaction` sends its commands through."""

    def __init__(self, mongo: Mongo, lease: _Lease) -> None:
        self._mongo = mongo
        self.lease = lease
        self.began = False

    async def run(self, command: Document) -> Document:
        """One command, in the transaction.  Its failures are for `Mongo.transaction`: don't catch them."""
        command["lsid"] = self.lease.id
        command["txnNumber"] = Int64(self.lease.number)
        command["autocommit"] = False
        if not self.began:
            self.began = True
            command["startTransaction"] = True
            command["readConcern"] = {"level": "snapshot"}
        return await self._mongo.send(command)

    async def find(self, collection: str, filter: Document, **options: Any) -> list[Document]:
        """Documents of a transaction that are few: one reply's worth, at most 16 MiB."""
        command = {"find": collection, "filter": filter, **options}
        command.setdefault("batchSize", 100_000)
        cursor = (await self.run(command))["cursor"]
        found: list[Document] = cursor["firstBatch"]
        while cursor["id"]:
            cursor = (await self.run({"getMore": cursor["id"], "collection": collection}))["cursor"]
            found.extend(cursor["nextBatch"])
        return found

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


class Mongo:
    """A database on a replica set (or a sharded cluster)."""

    def __init__(
        self,
        target: Target | str,
        reactor: Any,
        *,
        connections: int = 8,
        times: Times = Times(),
        on_command: Callable[[str, Document], None] | None = None,
    ) -> None:
        self.target = parse(target) if isinstance(target, str) else target
        self.reactor = reactor
        self.times = times
        #: Called with the database and each command just before it is sent (and sent again).
        self.on_command = on_command
        self._connections = self.target.connections or connections
        self._pool: Pool | None = None
        #: Whether it is a sharded cluster; known once it is open.
        self.is_sharded = False
        self._leases: list[_Lease] = []
        #: Transactions that are being ended in the background.
        self._leaving: set[Deferred[None]] = set()
        self._abandoned = Abandoned(
            lambda command: self.send(command, "admin", _LOOK),
            FAILURES,
            reactor.seconds,
            self.target.database,
            times.idle,
        )

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and look whether this is a server that mail can be kept on.

        Fails with Unavailable, whose message is one line that says what to do.
        """
        self._pool = Pool(self.target, self._connections, self.reactor)
        try:
            await self._check()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        for leaving in list(self._leaving):
            leaving.cancel()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def sibling(self) -> Mongo:
        """The same database over one connection of its own, to be opened: for what keeps a connection busy."""
        return Mongo(
            self.target, self.reactor, connections=1, times=self.times, on_command=self.on_command
        )

    async def _check(self) -> None:
        where = self.target.address
        try:
            hello = await self.send({"hello": 1}, "admin")
        except FAILURES:
            pool = self._pool
            known = pool.last_failure if pool is not None else None
            if pool is not None and pool.is_refused:
                raise errors.Unavailable(
                    f"MongoDB at {where} refuses the user {self.target.username!r} of database"
                    f" {self.target.auth_database!r} ({known}): check name, password, and that SCRAM-SHA-1 is allowed"
                ) from None
            raise errors.Unavailable(
                f"MongoDB at {where} can't be reached, or has no primary"
                + (f" ({known})" if known else "")
                + "; start it, or give the right address with --mongo"
            ) from None
        self.is_sharded = hello.get("msg") == "isdbgrid"
        if not (hello.get("setName") or self.is_sharded):
            raise errors.Unavailable(
                f"MongoDB at {where} is a standalone server, and transactions need a replica set: start mongod with"
                " --replSet rs0 and run rs.initiate() once, or leave --mongo out to use the embedded one"
            )
        if int(hello.get("maxWireVersion", 0)) < _OLDEST_WIRE_VERSION:
            raise errors.Unavailable(f"MongoDB at {where} is older than 6.0; upgrade it")

    # --- commands -----------------------------------------------------------------------------------------------------

    async def send(
        self, command: Document, database: str | None = None, time: float | None = None
    ) -> Document:
        """One command, once; fails with what `FAILURES` lists."""
        pool = self._pool
        if pool is None:
            raise ConnectionFailure("the store is closed")
        name = next(iter(command))
        command["$db"] = database or self.target.database
        if self.on_command is not None:
            self.on_command(command["$db"], command)
        reply = await self._bounded(pool.send(command), time or self.times.command)
        if not reply.get("ok"):
            raise CommandFailed(name, reply)
        if wrong := reply.get("writeErrors"):
            raise CommandFailed(name, {**wrong[-1], "errorLabels": reply.get("errorLabels")})
        if unmet := reply.get("writeConcernError"):
            raise CommandFailed(name, {**reply, **unmet})
        return reply

    async def run(
        self, command: Document, *, database: str | None = None, time: float | None = None
    ) -> Document:
        """One command that may be sent again if its connection is lost; fails with DuckError.

        `time`: seconds it may take, for what is slow by nature.
        """
        end = self.reactor.seconds() + (time or self.times.command)
        pauses = _pauses()
        while True:
            try:
                return await self.send(
                    dict(command), database, max(end - self.reactor.seconds(), 0.01)
                )
            except FAILURES as error:
                passing = isinstance(error, ConnectionFailure) or (
                    isinstance(error, CommandFailed) and error.code in _IN_A_MOMENT
                )
                pause = next(pauses)
                late = self._pool is None or self.reactor.seconds() + pause >= end
                if late or not passing:
                    raise translate(error) from None
            await deferLater(self.reactor, pause)

    async def find(self, collection: str, filter: Document, **options: Any) -> list[Document]:
        """All documents of a find: for answers that are known to be small."""
        found: list[Document] = []
        async for batch in self.batches(collection, filter, **options):
            found.extend(batch)
        return found

    async def find_one(self, collection: str, filter: Document, **options: Any) -> Document | None:
        command = {"find": collection, "filter": filter, "limit": 1, "singleBatch": True, **options}
        command.setdefault("readConcern", {"level": "majority"})
        found = (await self.run(command))["cursor"]["firstBatch"]
        return found[0] if found else None

    async def snapshot(
        self, collection: str, filter: Document, at: Timestamp | None = None, **options: Any
    ) -> Snapshot:
        """A find in the newest majority-committed state, or in that of an earlier such find.

        Finds at the same moment see one state of the database, as in a transaction, without being one.
        """
        concern: Document = {"level": "snapshot"}
        if at is not None:
            concern["atClusterTime"] = at
        command = {"find": collection, "filter": filter, "readConcern": concern, **options}
        cursor = (await self.run(command))["cursor"]
        found = cursor["firstBatch"]
        moment = cursor["atClusterTime"]
        while cursor["id"]:
            cursor = (await self.run({"getMore": cursor["id"], "collection": collection}))["cursor"]
            found.extend(cursor["nextBatch"])
        return Snapshot(found, moment)

    async def batches(
        self, collection: str, filter: Document, *, time: float | None = None, **options: Any
    ) -> AsyncIterator[list[Document]]:
        """Documents as they come, in batches of at most `batchSize`."""
        command = {"find": collection, "filter": filter, **options}
        command.setdefault("readConcern", {"level": "majority"})
        more = {"batchSize": options["batchSize"]} if "batchSize" in options else {}
        cursor = (await self.run(command, time=time))["cursor"]
        batch = cursor["firstBatch"]
        while True:
            if batch:
                yield batch
            if not cursor["id"]:
                return
            following = {"getMore": cursor["id"], "collection": collection, **more}
            cursor = (await self.run(following, time=time))["cursor"]
            batch = cursor["nextBatch"]

    async def aggregate(
        self,
        collection: str,
        pipeline: list[Document],
        *,
        time: float | None = None,
        **options: Any,
    ) -> list[Document]:
        command = {"aggregate": collection, "pipeline": pipeline, "cursor": {}, **options}
        command.setdefault("readConcern", {"level": "majority"})
        cursor = (await self.run(command, time=time))["cursor"]
        found: list[Document] = cursor["firstBatch"]
        while cursor["id"]:
            following = {"getMore": cursor["id"], "collection": collection}
            cursor = (await self.run(following, time=time))["cursor"]
            found.extend(cursor["nextBatch"])
        return found

    def _bounded(self, work: Coroutine[Any, Any, T], seconds: float) -> Deferred[T]:
        return ensureDeferred(work).addTimeout(seconds, self.reactor, _too_late)

    # --- transactions -------------------------------------------------------------------------------------------------

    async def transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work`, all of whose commands take effect together or not at all; what it returned.

        `work` is run again where the server gave the transaction up, so it must not change anything but the database.
        """
        began = self.reactor.seconds()
        end = began + self.times.transaction
        pauses = _pauses()
        lease = self._lease()
        while True:
            # The next transaction of a session ends the one before, wherever that got stuck.
            lease.number += 1
            transaction = Transaction(self, lease)
            try:
                result = await work(transaction)
                if transaction.began:
                    await self._commit(lease)
            except FAILURES as error:
                pause = next(pauses)
                late = self._pool is None or self.reactor.seconds() + pause >= end
                if not _transient(error) or late:
                    self._leave(transaction)
                    if late and isinstance(error, CommandFailed) and _transient(error):
                        raise errors.Contention(
                            "too many changes at the same time, try again"
                        ) from None
                    raise translate(error) from None
                if (
                    isinstance(error, CommandFailed)
                    and self.reactor.seconds() - began >= self.times.patience
                ):
                    await self._abandoned.end()
            except errors.Unsettled:
                # The database is away: to wait for it once more would tell nobody anything.
                self._leave(transaction)
                raise
            except Exception:
                # Its locks are given back before anybody is told; nothing has to be waited for if that fails.
                if transaction.began and not await self._abort(lease):
                    self._leave(transaction)
                raise
            else:
                self._give_back(lease)
                return result
            await deferLater(self.reactor, pause)

    def _lease(self) -> _Lease:
        while self._leases:
            lease = self._leases.pop()
            # The server forgets a session after 30 minutes.
            if self.reactor.seconds() - lease.used < 20 * 60:
                break
        else:
            lease = _Lease({"id": session_id(self.target.database)})
        return lease

    def _give_back(self, lease: _Lease) -> None:
        lease.used = self.reactor.seconds()
        self._leases.append(lease)

    def _finish(self, verb: str, lease: _Lease, time: float) -> Awaitable[Document]:
        command = {
            verb: 1,
            "lsid": lease.id,
            "txnNumber": Int64(lease.number),
            "autocommit": False,
            "writeConcern": MAJORITY,
        }
        return self.send(command, "admin", time)

    async def _abort(self, lease: _Lease) -> bool:
        """Whether the server has ended the transaction."""
        try:
            await self._finish("abortTransaction", lease, self.times.command)
        except CommandFailed:
            pass  # It had been ended before: that was the failure.
        except (ConnectionFailure, OutOfTime):
            return False
        return True

    async def _kill(self, lease: _Lease) -> bool:
        """Whether the server has ended whatever the session has: of the transactions that were tried one after another, it
        may not have heard of the last ones.
        """
        try:
            await self.send({"killSessions": [lease.id]}, "admin")
        except FAILURES:
            return False
        return True

    def _leave(self, transaction: Transaction) -> None:
        """See to it, in the background, that a transaction keeps its locks no longer than it takes to reach the server."""

        async def end() -> None:
            for _ in range(_ABORTS):
                if self._pool is None or await self._kill(transaction.lease):
                    return
                await deferLater(self.reactor, 1.0)

        if transaction.began:
            leaving = Deferred.fromCoroutine(end())
            self._leaving.add(leaving)

            def left(result: object) -> None:
                self._leaving.discard(leaving)
                if isinstance(result, Failure):
                    result.trap(CancelledError)

            leaving.addBoth(left)

    async def _commit(self, lease: _Lease) -> None:
        end = self.reactor.seconds() + self.times.settle
        pauses = _pauses()
        while True:
            try:
                await self._finish("commitTransaction", lease, self.times.command)
                return
            except CommandFailed as error:
                # Of a primary that is on its way out, not even that there is no such transaction is final.
                if error.code not in _UNKNOWN_COMMIT and not error.unmet:
                    raise
            except (ConnectionFailure, OutOfTime):
                pass
            pause = next(pauses)
            if self._pool is None or self.reactor.seconds() + pause >= end:
                raise errors.Unsettled(
                    "the database went away in the middle of the change; it is not known whether it was made"
                )
            await deferLater(self.reactor, pause)


def _too_late(result: T | Failure, seconds: float) -> T:
    if not isinstance(result, Failure):
        return result
    result.trap(CancelledError)
    raise OutOfTime(f"no answer within {seconds:.3g} s")


def _transient(error: Exception) -> bool:
    if isinstance(error, CommandFailed):
        return "TransientTransactionError" in error.labels or error.code == _NO_SUCH_TRANSACTION
    # Before the commit nothing has taken effect, so a lost connection is no different from a conflict.
    return isinstance(error, ConnectionFailure)


def _pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt: growing, and different for everybody."""
    longest = 0.004
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(longest * 1.6, 0.5)
