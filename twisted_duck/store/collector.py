"""Removes what can't be reached: a background job that any process may run, at any time, and be killed in.

Why it never takes what is in use:

* **Messages** in a box that no mailbox has.  A box is made with its mailbox, or for one that is being emptied, and never given
  to another but by RENAME of INBOX, whose transaction hands it over; all mailboxes of the user are read in one snapshot, taken after the messages were
  seen.  A change of a mailbox writes the mailbox's document, so none can add to a mailbox that is gone.
* **Bodies** that no message names.  A body is written in the transaction of its first message; each further message that
  names it is a copy of one that did in the copy's own snapshot.  MOVE takes one away in the same transaction, so no snapshot
  ever lacks both.  COPY adds to the user's `epoch`, and so does the transaction here that looks for messages and removes
  bodies: the two conflict, so one of them sees what the other did.
  Before that a body has been without messages for a day (`orphan`), so that whoever is still reading it can go on.
* **Blobs** that no body names, untouched for a day: see `blobs`.

What was swept and not folded is folded (`folding`).  Users, tombstones, subscriptions and imports go with what they belong to.  Tombstones also go after some time: the mailbox
says how far back they reach before the first one is removed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
from bson.objectid import ObjectId
from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_duck import errors
from twisted_duck.store.accounts import erase
from twisted_duck.store.background import Background, rest
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.folding import fold_all
from twisted_duck.store.schema import (
    BLOBS,
    BODIES,
    IMPORTS,
    MAILBOXES,
    MESSAGES,
    OF_A_USER,
    SCHEMA,
    TOMBSTONES,
    USERS,
)
from twisted_duck.store.transaction import MAJORITY, Transaction
from twisted_duck.store.users import every_user

log = Logger()

#: Documents that are looked at, or removed, at a time.
_AT_ONCE = 500
#: How many times as long as it took to remove some messages it rests until it removes more of them.
_REST = 3
#: Boxes that may wait to be emptied: with more, a box that takes an hour would have all that is emptied in it wait in memory.
_WAITING = 1_000
#: Seconds that one query of the collector may take.
_TIME = 60.0


@attrs.define
class Collected:
    """How much was removed in one run."""

    users: int = 0
    messages: int = 0
    tombstones: int = 0
    bodies: int = 0
    blobs: int = 0


class Collector:
    """
    @param grace: how long garbage is left alone
    @param memory: how long expunges are remembered
    """

    def __init__(
        self,
        mongo: Mongo,
        grace: timedelta = timedelta(days=1),
        memory: timedelta = timedelta(days=30),
    ) -> None:
        self._mongo = mongo
        self._grace = grace
        self._memory = memory
        self._background = Background("the collector")
        #: Boxes are emptied one after another.
        self._one = DeferredLock()

    # --- in the background --------------------------------------------------------------------------------------------

    def start(self, interval: float = 3600.0) -> None:
        """Run every `interval` seconds, if no other process did meanwhile."""
        self._background.spawn(self._forever(interval))

    def discard(self, user: ObjectId, box: ObjectId) -> None:
        """A mailbox was deleted or emptied: remove its messages.  If that fails, or too many wait, the next run does it."""
        if len(self._one.waiting) < _WAITING:
            self._background.spawn(self._purge_alone(user, box))

    def open(self) -> None:
        self._background.open()

    async def close(self) -> None:
        self._background.close()

    async def _forever(self, interval: float) -> None:
        while True:
            await deferLater(self._mongo.reactor, interval)
            try:
                if await self._is_my_turn(interval):
                    log.info("collected: {collected}", collected=await self.run())
            except errors.DuckError as error:
                log.warn("the collector gave up: {error}", error=str(error))

    async def _is_my_turn(self, interval: float) -> bool:
        now = await self._now()
        reply = {
            "update": SCHEMA,
            "updates": [
                {
                    "q": {"_id": "collector", "next": {"$lte": now}},
                    "u": {"$set": {"next": now + timedelta(seconds=interval * 0.9)}},
                    "upsert": True,
                }
            ],
            "writeConcern": MAJORITY,
        }
        try:
            await self._mongo.run(reply)
        except errors.AlreadyExists:
            return False
        return True

    # --- one run ------------------------------------------------------------------------------------------------------

    async def run(self) -> Collected:
        """Remove all that is garbage, and was a day ago.  Fails with Unavailable."""
        collected = Collected()
        started = await self._now()
        for user in await self._users_gone():
            await erase(self._mongo, user)
            collected.users += 1
        async for user in every_user(self._mongo):
            await self._sweeps(user)
            collected.messages += await self._messages(user)
            await self._of_mailboxes(user)
            collected.tombstones += await self._tombstones(user, started - self._memory)
            collected.bodies += await self._bodies(user, started)
        collected.blobs = await self._blobs(started)
        return collected

    async def _now(self) -> datetime:
        """The server's time."""
        hello = await self._mongo.run({"hello": 1}, database="admin")
        now: datetime = hello["localTime"]
        return now

    async def _distinct(self, collection: str, field: str, filter: Document) -> list[Any]:
        groups = await self._mongo.aggregate(
            collection, [{"$match": filter}, {"$group": {"_id": f"${field}"}}], time=_TIME
        )
        return [group["_id"] for group in groups]

    async def _users_gone(self) -> list[ObjectId]:
        """Users who do not exist, and of whom there is something.

        Whoever is made now is made in one transaction with the mailboxes: they are seen after these were.
        """
        seen: set[ObjectId] = set()
        for collection in OF_A_USER:
            seen.update(await self._distinct(collection, "user", {}))
        known: set[ObjectId] = set()
        ids = list(seen)
        for at in range(0, len(ids), 10_000):
            found = await self._mongo.find(
                USERS, {"_id": {"$in": ids[at : at + 10_000]}}, projection={"_id": 1}
            )
            known.update(document["_id"] for document in found)
        return list(seen - known)

    async def _mailboxes(self, user: ObjectId) -> list[Document]:
        found = await self._mongo.snapshot(
            MAILBOXES, {"user": user}, projection={"_id": 1, "box": 1}
        )
        return found.documents

    async def _sweeps(self, user: ObjectId) -> None:
        """Those of processes that ended before they could fold them."""
        try:
            await fold_all(self._mongo, user)
        except errors.Contention as error:
            # A mailbox in which so much happens is somebody's who will fold it.
            log.info("sweeps are left for later: {error}", error=str(error))

    async def _messages(self, user: ObjectId) -> int:
        boxes = set(await self._distinct(MESSAGES, "box", {"user": user}))
        boxes.difference_update([mailbox["box"] for mailbox in await self._mailboxes(user)])
        return sum([await self._purge(user, box) for box in boxes])

    async def _of_mailboxes(self, user: ObjectId) -> None:
        """Tombstones and keys of imports of mailboxes that are not there."""
        for collection in (TOMBSTONES, IMPORTS):
            gone = set(await self._distinct(collection, "mailbox", {"user": user}))
            gone.difference_update([mailbox["_id"] for mailbox in await self._mailboxes(user)])
            for mailbox in gone:
                await self._delete(collection, {"user": user, "mailbox": mailbox})

    async def _tombstones(self, user: ObjectId, before: datetime) -> int:
        """Forget expunges that were made before."""
        oldest = await self._mongo.aggregate(
            TOMBSTONES,
            [
                {"$match": {"user": user, "date": {"$lt": before}}},
                {"$group": {"_id": "$mailbox", "modseq": {"$max": "$modseq"}}},
            ],
            time=_TIME,
        )
        removed = 0
        for each in oldest:
            mailbox, modseq = each["_id"], each["modseq"]
            await self._mongo.run(
                {
                    "update": MAILBOXES,
                    "updates": [
                        {"q": {"user": user, "_id": mailbox}, "u": {"$max": {"floor": modseq}}}
                    ],
                    "writeConcern": MAJORITY,
                }
            )
            removed += await self._delete(
                TOMBSTONES, {"user": user, "mailbox": mailbox, "modseq": {"$lte": modseq}}
            )
        return removed

    async def _purge_alone(self, user: ObjectId, box: ObjectId) -> None:
        async with self._one:
            await self._purge(user, box)

    async def _purge(self, user: ObjectId, box: ObjectId) -> int:
        """Remove the messages of a box, some at a time."""
        within = {"user": user, "box": box}
        removed = 0
        while True:
            began = self._mongo.reactor.seconds()
            rows = await self._mongo.find(
                MESSAGES,
                within,
                projection={"_id": 0, "uid": 1},
                sort={"uid": 1},
                limit=_AT_ONCE,
            )
            if not rows:
                return removed
            removed += await self._delete(MESSAGES, {**within, "uid": {"$lte": rows[-1]["uid"]}})
            if len(rows) < _AT_ONCE:
                return removed
            # Nobody waits for it, and somebody may for what else the database has to do.
            await rest(self._mongo.reactor, _REST * (self._mongo.reactor.seconds() - began))

    async def _delete(self, collection: str, filter: Document) -> int:
        reply = await self._mongo.run(
            {
                "delete": collection,
                "deletes": [{"q": filter, "limit": 0}],
                "writeConcern": MAJORITY,
            },
            time=_TIME,
        )
        return int(reply["n"])

    # --- bodies -------------------------------------------------------------------------------------------------------

    async def _bodies(self, user: ObjectId, started: datetime) -> int:
        removed = 0
        async for batch in self._by_id(user):
            ids = [body["_id"] for body in batch]
            named = set(
                await self._distinct(MESSAGES, "body", {"user": user, "body": {"$in": ids}})
            )
            marked = {body["_id"]: body["orphan"] for body in batch if "orphan" in body}
            await self._mark(user, [id for id in ids if id not in named and id not in marked], True)
            await self._mark(user, [id for id in marked if id in named], False)
            old = [
                id
                for id, since in marked.items()
                if id not in named and since <= started - self._grace
            ]
            if old:
                removed += await self._remove_bodies(user, old)
        return removed

    async def _by_id(self, user: ObjectId) -> AsyncIterator[list[Document]]:
        last: ObjectId | None = None
        while True:
            above = {} if last is None else {"_id": {"$gt": last}}
            batch = await self._mongo.find(
                BODIES,
                {"user": user, **above},
                projection={"_id": 1, "orphan": 1},
                sort={"_id": 1},
                limit=_AT_ONCE,
            )
            if not batch:
                return
            yield batch
            last = batch[-1]["_id"]

    async def _mark(self, user: ObjectId, ids: Sequence[ObjectId], orphan: bool) -> None:
        if not ids:
            return
        mark = {"$currentDate": {"orphan": True}} if orphan else {"$unset": {"orphan": ""}}
        await self._mongo.run(
            {
                "update": BODIES,
                "updates": [
                    {"q": {"user": user, "_id": {"$in": list(ids)}}, "u": mark, "multi": True}
                ],
                "writeConcern": MAJORITY,
            }
        )

    async def _remove_bodies(self, user: ObjectId, ids: Sequence[ObjectId]) -> int:
        async def work(transaction: Transaction) -> int:
            # Conflicts with every COPY of this user that is under way.
            await transaction.update(USERS, [{"q": {"_id": user}, "u": {"$inc": {"epoch": 1}}}])
            rows = await transaction.aggregate(
                MESSAGES,
                [
                    {"$match": {"user": user, "body": {"$in": list(ids)}}},
                    {"$group": {"_id": "$body"}},
                ],
            )
            named = {row["_id"] for row in rows}
            dead = [id for id in ids if id not in named]
            if not dead:
                return 0
            return await transaction.delete(BODIES, [{"user": user, "_id": {"$in": dead}}])

        return await self._mongo.transaction(work)

    # --- blobs --------------------------------------------------------------------------------------------------------

    async def _blobs(self, started: datetime) -> int:
        """`started` is the R of `blobs`."""
        removed = 0
        async for hashes in self._old_blobs(started - self._grace):
            named = set(await self._blobs_named(hashes))
            dead = [hash for hash in hashes if hash not in named]
            for hash in dead:
                # On the condition that nobody has wanted it since.
                filter = {"hash": hash, "touched": {"$lt": started - self._grace}}
                if await self._delete(BLOBS, filter):
                    removed += 1
        return removed

    async def _old_blobs(self, before: datetime) -> AsyncIterator[list[bytes]]:
        """Hashes of blobs with a chunk that was not touched since `before`, some at a time."""
        last = b""
        while True:
            rows = await self._mongo.find(
                BLOBS,
                {"hash": {"$gt": last}},
                projection={"_id": 0, "hash": 1, "touched": 1},
                sort={"hash": 1, "touched": 1},
                limit=_AT_ONCE,
            )
            if not rows:
                return
            # The rest of the last one's chunks, if it has been cut off, says nothing that the first does not.
            last = rows[-1]["hash"]
            hashes = {row["hash"] for row in rows if row["touched"] < before}
            if hashes:
                yield sorted(hashes)

    async def _blobs_named(self, hashes: Sequence[bytes]) -> list[bytes]:
        found = await self._mongo.find(
            BODIES, {"blobs": {"$in": list(hashes)}}, projection={"_id": 0, "blobs": 1}, time=_TIME
        )
        return [hash for body in found for hash in body["blobs"]]
