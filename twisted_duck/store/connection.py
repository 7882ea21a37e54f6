"""Commands: how the rest of the store speaks to MongoDB.

`Mongo.run` sends one command, `Mongo.find` reads documents, `Mongo.transaction` runs a coroutine inside a transaction
(`transaction`).  All of them end in bounded time and fail with `twisted_duck.errors` alone (`failures`).

A command outside a transaction is sent again when its connection was lost, until its time is over.  Everything the store
does outside transactions is idempotent, and has to stay so.

Commands are plain documents; the first key is the command's name, the value the collection.  Reads are from the primary.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import attrs
from bson.timestamp import Timestamp
from pymongo.errors import ConnectionFailure
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from twisted_duck import errors
from twisted_duck.store import cursors
from twisted_duck.store.driver import Document, Pool, Wire
from twisted_duck.store.failures import FAILURES, IN_A_MOMENT, CommandFailed, pauses, translate
from twisted_duck.store.transaction import Transaction, Transactions
from twisted_duck.store.uri import X509, Target, parse

T = TypeVar("T")

#: MongoDB 6.0: `$lookup` from sharded collections (5.1), snapshot reads outside transactions (5.0).
_OLDEST_WIRE_VERSION = 17

#: Seconds in which a name must be found, to be said of it that it is not known.
_RESOLVING = 2.0

#: Where the URI says nothing (`maxPoolSize`).
_CONNECTIONS = 8


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
    #: For the changes under way when the store is closed: some commands' time, and short of what a service is given to stop.
    closing: float = 5.0
    #: From a transaction's first attempt, while it meets conflicts only, until it looks whether what is in its way
    #: was abandoned.
    patience: float = 1.0
    #: Without a command, after which a transaction in the way is abandoned: more than 8 MiB take on a fair line, and
    #: with `patience` and a look a second, less than `transaction`.
    idle: float = 5.0


@attrs.frozen
class Snapshot:
    """The documents of a find, and the moment they were read at."""

    documents: list[Document]
    time: Timestamp


def _advice(target: Target) -> str:
    if target.mechanism == X509:
        return "there has to be one in $external whose name is the certificate's subject"
    where = f"check that it is of the database {target.auth_database!r} (authSource)"
    return f"{where}, the password, and that SCRAM-SHA-1 is allowed"


class Mongo:
    """A database on a replica set (or a sharded cluster)."""

    def __init__(
        self,
        target: Target | str,
        reactor: Any,
        *,
        connections: int | None = None,
        times: Times = Times(),
        on_command: Callable[[str, Document], None] | None = None,
        tells: bool = True,
    ) -> None:
        self.target = parse(target) if isinstance(target, str) else target
        self.reactor = reactor
        self.times = times
        #: Called with the database and each command just before it is sent (and sent again).
        self.on_command = on_command
        #: Whether it logs that the database is away, and back.
        self._tells = tells
        self._connections = connections or self.target.connections or _CONNECTIONS
        self._pool: Pool | None = None
        #: Whether it is a sharded cluster; known once it is open.
        self.is_sharded = False
        #: The version of the schema that the database has at least; 0 where nobody has looked.
        self.schema = 0
        self._transactions = Transactions(self)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and look whether this is a server that mail can be kept on.

        Fails with Unavailable, whose message is one line that says what to do.
        """
        self._pool = Pool(self.target, self._connections, self.reactor, tells=self._tells)
        self._transactions.open()
        try:
            await self._check()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """What is being changed has `times.closing` to be made; all else that is under way fails with Unavailable."""
        await self._transactions.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @property
    def is_open(self) -> bool:
        return self._pool is not None

    def sibling(self) -> Mongo:
        """The same database over one connection of its own, to be opened: for what keeps a connection busy.  That the database is away
        is told by this one.
        """
        return Mongo(
            self.target,
            self.reactor,
            connections=1,
            times=self.times,
            on_command=self.on_command,
            tells=False,
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
                    f"MongoDB at {where} refuses {self.target.who} ({known}): {_advice(self.target)}"
                ) from None
            if pool is not None and pool.tls_failure is not None:
                raise errors.Unavailable(
                    f"there is no TLS with MongoDB at {where} ({pool.tls_failure}): its certificate has to be valid, to name the"
                    " host, and to be by an authority that is in tlsCAFile"
                ) from None
            if unknown := [host for host, _ in self.target.hosts if not await self._resolves(host)]:
                known = f"the name {unknown[0]!r} is not known"
            raise errors.Unavailable(
                f"MongoDB at {where} can't be reached, or has no primary"
                + (f" ({known})" if known else "")
                + "; start it, or give the right address with --mongo or mongo.uri"
            ) from None
        self.is_sharded = hello.get("msg") == "isdbgrid"
        if not (hello.get("setName") or self.is_sharded):
            raise errors.Unavailable(
                f"MongoDB at {where} is a standalone server, and transactions need a replica set: start mongod with"
                " --replSet rs0 and run rs.initiate() once, or leave --mongo and"
                " mongo.uri out to use the embedded one"
            )
        if int(hello.get("maxWireVersion", 0)) < _OLDEST_WIRE_VERSION:
            raise errors.Unavailable(f"MongoDB at {where} is older than 6.0; upgrade it")

    async def _resolves(self, host: str) -> bool:
        """Whether a host's name is known, or it takes too long to tell; the driver keeps to itself why it can't connect."""
        asked = deferToThreadPool(
            self.reactor, self.reactor.getThreadPool(), socket.getaddrinfo, host, None
        )
        try:
            await asked.addTimeout(_RESOLVING, self.reactor)
        except socket.gaierror as error:
            return error.errno == socket.EAI_AGAIN
        except OutOfTime:
            pass
        return True

    # --- commands -----------------------------------------------------------------------------------------------------

    async def wire(self) -> Wire:
        """A connection: commands over the same one are done one after another.  Fails with what `FAILURES` lists."""
        if self._pool is None:
            raise ConnectionFailure("the store is closed")
        return await self._pool.wire(self.times.command)

    async def send(
        self,
        command: Document,
        database: str | None = None,
        time: float | None = None,
        wire: Wire | None = None,
    ) -> Document:
        """One command, once; fails with what `FAILURES` lists."""
        pool = self._pool
        if pool is None:
            raise ConnectionFailure("the store is closed")
        name = next(iter(command))
        command["$db"] = database or self.target.database
        if self.on_command is not None:
            self.on_command(command["$db"], command)
        reply = await pool.send(command, time or self.times.command, wire)
        if not reply.get("ok"):
            raise CommandFailed(name, reply, self.target)
        if wrong := reply.get("writeErrors"):
            labels = reply.get("errorLabels")
            raise CommandFailed(name, {**wrong[-1], "errorLabels": labels}, self.target)
        if unmet := reply.get("writeConcernError"):
            raise CommandFailed(name, {**reply, **unmet}, self.target)
        return reply

    async def run(
        self, command: Document, *, database: str | None = None, time: float | None = None
    ) -> Document:
        """One command that may be sent again if its connection is lost; fails with DuckError.

        `time`: seconds it may take, for what is slow by nature.
        """
        end = self.reactor.seconds() + (time or self.times.command)
        waits = pauses()
        while True:
            try:
                return await self.send(
                    dict(command), database, max(end - self.reactor.seconds(), 0.01)
                )
            except FAILURES as error:
                passing = isinstance(error, ConnectionFailure) or (
                    isinstance(error, CommandFailed) and error.code in IN_A_MOMENT
                )
                pause = next(waits)
                late = self._pool is None or self.reactor.seconds() + pause >= end
                if late or not passing:
                    raise translate(error) from None
            await deferLater(self.reactor, pause)

    async def find(
        self, collection: str, filter: Document, *, time: float | None = None, **options: Any
    ) -> list[Document]:
        """All documents of a find: for answers that are known to be small."""
        cursor, run, more = await self._find(collection, filter, time, options)
        return await cursors.documents(cursor, collection, run, **more)

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
        found = await cursors.documents(cursor, collection, self.run)
        return Snapshot(found, cursor["atClusterTime"])

    async def batches(
        self, collection: str, filter: Document, *, time: float | None = None, **options: Any
    ) -> AsyncIterator[list[Document]]:
        """Documents as they come, in batches of at most `batchSize`."""
        cursor, run, more = await self._find(collection, filter, time, options)
        async for batch in cursors.batches(cursor, collection, run, **more):
            yield batch

    async def _find(
        self, collection: str, filter: Document, time: float | None, options: Document
    ) -> tuple[Document, Callable[[Document], Awaitable[Document]], Document]:
        """The cursor, what sends getMore, and what each of these asks for besides."""
        command = {"find": collection, "filter": filter, **options}
        command.setdefault("readConcern", {"level": "majority"})
        more = {"batchSize": options["batchSize"]} if "batchSize" in options else {}
        run = partial(self.run, time=time)
        return (await run(command))["cursor"], run, more

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
        run = partial(self.run, time=time)
        return await cursors.documents((await run(command))["cursor"], collection, run)

    async def transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """See L{Transactions.run}."""
        return await self._transactions.run(work)
