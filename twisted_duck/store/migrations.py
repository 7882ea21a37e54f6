"""From one version of the schema to the next, while mail is served.

Whatever was written by an earlier version is read as it is, and no less right for it: it is only that what a later version
keeps beside it has to be made anew each time.  A migration makes it once, and stores it.  So nobody waits for it, processes
of the version before may go on meanwhile, and it may be cut off at any point.  They may not where they would misread what
there is from then on (`schema.SWEEPS`).

One process at a time does it, as long as it goes on saying so; who comes later goes on behind the last user that was done.
When the last user is done the database is of the next version, and is never looked through again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from bson.objectid import ObjectId
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_duck import errors
from twisted_duck.store import fields
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import BODIES, MESSAGES, SCHEMA, VERSION
from twisted_duck.store.transaction import MAJORITY
from twisted_duck.store.users import every_user

log = Logger()

#: Documents in one command.
_AT_ONCE = 500
#: Seconds that whoever does it may be silent until somebody else takes over; each command is answered or given up before.
_LEASE = 120
#: Seconds until it is looked at again whether somebody else has done it, or the database is back.
_PAUSE = 30.0

#: Goes on as long as nobody else has taken over.
Beat = Callable[[], Awaitable[None]]


class Overtaken(Exception):
    """Another process does it."""


@attrs.frozen
class Migration:
    """Makes of a database of version `to - 1` one of version `to`."""

    to: int
    #: For the log.
    what: str
    #: Does it for one user; answers how many documents it has changed.  None: nothing has to be made, but the database may
    #: have from now on what an earlier version does not know.
    user: Callable[[Mongo, ObjectId, Beat], Awaitable[int]] | None


async def _keep_fields(mongo: Mongo, user: ObjectId, beat: Beat) -> int:
    """`messages.fields`, which SEARCH looks at (see `store.fields`)."""
    changed = 0
    without = {"user": user, "fields": None, "cut": None}
    async for rows in mongo.batches(MESSAGES, without, projection={"body": 1}, batchSize=_AT_ONCE):
        await beat()
        bodies = await mongo.find(
            BODIES,
            {"user": user, "_id": {"$in": [row["body"] for row in rows]}},
            projection={"head": 1},
        )
        kept = {body["_id"]: fields.of(body["head"]) for body in bodies}
        updates = [
            {
                "q": {"user": user, "_id": row["_id"]},
                "u": {"$set": {"fields": kept[row["body"]]}},
            }
            for row in rows
            if kept.get(row["body"]) is not None
        ]
        if updates:
            await mongo.run({"update": MESSAGES, "updates": updates, "writeConcern": MAJORITY})
            changed += len(updates)
    return changed


MIGRATIONS = (
    Migration(2, "the header fields that are searched most, beside messages", _keep_fields),
    Migration(3, "changes of very many messages, with their mailbox", None),
)
assert [each.to for each in MIGRATIONS] == list(range(2, VERSION + 1))


class Migrator:
    """Brings a database to this version in the background."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._me = ObjectId()
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        self._running = Deferred.fromCoroutine(self._until_done())
        self._running.addErrback(lambda failure: failure.trap(CancelledError))
        self._running.addErrback(lambda failure: log.failure("a migration failed", failure))

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()

    async def _until_done(self) -> None:
        while True:
            try:
                await self.run()
                return
            except Overtaken:
                pass
            except errors.ServerError as error:
                log.warn("the migration of the database waits: {error}", error=str(error))
            await deferLater(self._mongo.reactor, _PAUSE)

    async def run(self) -> None:
        """All that is to be done.  Fails with Overtaken, and with ServerError: then it may be run again."""
        found = await self._mongo.find_one(SCHEMA, {"_id": "schema"})
        if found is None:
            return
        self._mongo.schema = found["version"]
        for migration in MIGRATIONS:
            if found["version"] < migration.to:
                await self._migrate(migration)
                self._mongo.schema = migration.to

    async def _migrate(self, migration: Migration) -> None:
        async def beat() -> None:
            await self._claim(migration)

        done = (await self._claim(migration)).get("done")
        log.info(
            "migrating the database to schema {to}: {what}", to=migration.to, what=migration.what
        )
        changed = 0
        if migration.user is not None:
            async for user in every_user(self._mongo, above=done):
                changed += await migration.user(self._mongo, user, beat)
                await self._claim(migration, done=user)
        await self._mongo.run(
            {
                "update": SCHEMA,
                "updates": [
                    {
                        "q": {"_id": "schema", "version": migration.to - 1},
                        "u": {"$set": {"version": migration.to}},
                    }
                ],
                "writeConcern": MAJORITY,
            }
        )
        log.info(
            "the database is of schema {to} now; {changed} documents were changed",
            to=migration.to,
            changed=changed,
        )

    async def _claim(self, migration: Migration, **more: Any) -> Document:
        """What is known of how far it has come.  Fails with Overtaken."""
        until = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": _LEASE}}
        # What is missing is less than any date.
        free = {"$or": [{"$eq": ["$by", self._me]}, {"$lt": ["$until", "$$NOW"]}]}
        claim: Document = {"by": self._me, "until": until, **more}
        command = {
            "findAndModify": SCHEMA,
            "query": {"_id": f"migration to {migration.to}"},
            "update": [
                {"$set": {key: {"$cond": [free, value, f"${key}"]} for key, value in claim.items()}}
            ],
            "upsert": True,
            "new": True,
            "writeConcern": MAJORITY,
        }
        try:
            reply = await self._mongo.run(command)
        except errors.AlreadyExists:
            # Somebody began at the same moment.
            raise Overtaken from None
        value: Document = reply["value"]
        if value["by"] != self._me:
            raise Overtaken
        return value
