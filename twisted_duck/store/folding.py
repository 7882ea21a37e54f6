"""Folds sweeps into the messages they are of, and takes them out of the mailbox (see `sweeps`).

A piece of a mailbox's messages is one transaction, which reads the sweeps and the messages and writes what comes of it into the
messages' documents.  That changes nothing: who reads sweeps and documents in one snapshot comes to the same before and
after.  So it takes no modseq and wakes nobody, may be done by any number of processes at once, and may be cut off anywhere.

When it has been through all the UIDs of the sweeps that were there at its beginning, these are taken out.  By then no
message is left that one of them would still change: a piece begins after them (of a state of before there is nothing to be
done), has all of them (or somebody else has found before that they are in the documents), and is with a majority before the
next; a document is only ever written again under a modseq above theirs; what is new has a UID above them; and a mailbox that
has got another box has none of them.

A process folds one piece at a time, whoever it is of: what nobody waits for takes one of its connections at most.  What a STORE waits
for (`Folder.folded`) is not among them: it waits for its own user's turn, as that STORE would.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from functools import partial

import attrs
from bson.objectid import ObjectId
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as OutOfTime

from twisted_duck import errors
from twisted_duck.store.background import Background, rest
from twisted_duck.store.changes import Moved, uid_filters
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import MAILBOXES, MESSAGES
from twisted_duck.store.sweeps import load, swept
from twisted_duck.store.transaction import MAJORITY, Transaction
from twisted_duck.values import UIDSet

#: Messages in a piece: whoever else wants to change the mailbox waits for some 40 ms.
_AT_ONCE = 500
#: Seconds that a STORE waits for it: what 50,000 messages take. Behind that it is quicker to write.
_PATIENCE = 5.0
_ROW = {"_id": 0, "uid": 1, "modseq": 1, "flags": 1}

Turn = Callable[[], AbstractAsyncContextManager[None]]


@attrs.define(eq=False)
class _Swept:
    """A mailbox that this process has swept, or found full of sweeps."""

    #: Whether it has sweeps that no folding has begun with.
    wanted: bool = True
    #: Fires when they are to be folded; None while they are.
    due: Deferred[None] | None = None
    #: Who waits until they have been.
    waiting: list[Deferred[None]] = attrs.field(factory=list)

    def hurry(self) -> None:
        """What is to be folded later is to be folded now."""
        if self.due is not None and not self.due.called:
            self.due.callback(None)

    @property
    def is_waited_for(self) -> bool:
        # Those that have been called have been given up.
        return any(not each.called for each in self.waiting)

    def release(self) -> None:
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            # Else it has been cancelled.
            if not each.called:
                each.callback(None)


class Folder:
    """Folds what this process has swept, some time later.

    @param turn: what a change of a user's mail is made within
    @param rest: seconds from a sweep until it is folded; with it go those that come meanwhile; and until what could not be done is
        tried again
    @param most: so many sweeps of a mailbox are not left for so long, whoever made them
    """

    def __init__(
        self,
        mongo: Mongo,
        turn: Callable[[ObjectId], AbstractAsyncContextManager[None]],
        rest: float,
        most: int,
    ) -> None:
        self._mongo = mongo
        self._turn = turn
        self._rest = rest
        self._most = most
        self._background = Background("folding")
        self._swept: dict[ObjectId, _Swept] = {}
        self._one = DeferredLock()

    def soon(self, user: ObjectId, mailbox: ObjectId, sweeps: int) -> None:
        """The mailbox has so many sweeps now."""
        swept = self._noted(user, mailbox)
        # While it is folded there is no hurry: that makes room.
        if sweeps >= self._most:
            swept.hurry()

    async def folded(self, user: ObjectId, mailbox: ObjectId) -> None:
        """Have the mailbox's sweeps folded at once, or see to the end what has begun to; come back when that is done, can't be
        done now, or takes too long.  Not within a turn of the user.
        """
        swept = self._noted(user, mailbox)
        if self._swept.get(mailbox) is not swept:
            # It is closed.
            return
        folded: Deferred[None] = Deferred()
        swept.waiting.append(folded)
        swept.hurry()
        folded.addTimeout(_PATIENCE, self._mongo.reactor)
        with suppress(OutOfTime):
            await folded

    def _noted(self, user: ObjectId, mailbox: ObjectId) -> _Swept:
        """The mailbox as one that has sweeps."""
        swept = self._swept.get(mailbox)
        if swept is None:
            swept = _Swept()
            self._background.spawn(self._later(user, mailbox, swept))
        swept.wanted = True
        return swept

    def open(self) -> None:
        self._background.open()

    async def close(self) -> None:
        self._background.close()

    async def _later(self, user: ObjectId, mailbox: ObjectId, swept: _Swept) -> None:
        self._swept[mailbox] = swept
        try:
            while swept.wanted:
                await self._due(swept)
                swept.wanted = False
                try:
                    alone = partial(self._alone, user, swept)
                    await fold(self._mongo, user, mailbox, alone, lambda: swept.is_waited_for)
                except errors.Unavailable:
                    # The database is away, or somebody changes the mailbox all the time.
                    swept.wanted = True
                finally:
                    swept.release()
        finally:
            del self._swept[mailbox]
            swept.release()

    async def _due(self, swept: _Swept) -> None:
        if swept.is_waited_for:
            return
        due = swept.due = Deferred()
        alarm = self._mongo.reactor.callLater(self._rest, due.callback, None)
        try:
            await due
        finally:
            swept.due = None
            if alarm.active():
                alarm.cancel()

    @asynccontextmanager
    async def _alone(self, user: ObjectId, swept: _Swept) -> AsyncIterator[None]:
        async with nullcontext() if swept.is_waited_for else self._one, self._turn(user):
            yield


async def fold_all(mongo: Mongo, user: ObjectId) -> None:
    """What is left of a user's sweeps.  Fails as `fold` does."""
    with_sweeps = {"user": user, "sweeps.0": {"$exists": True}}
    for mailbox in await mongo.find(MAILBOXES, with_sweeps, projection={"_id": 1}):
        await fold(mongo, user, mailbox["_id"])


async def fold(
    mongo: Mongo,
    user: ObjectId,
    mailbox: ObjectId,
    turn: Turn = nullcontext,
    is_waited_for: Callable[[], bool] = lambda: False,
) -> None:
    """Fold the sweeps that a mailbox has now.  Fails with Unavailable, Contention."""
    there: Document = {"user": user, "_id": mailbox}
    document = await mongo.find_one(MAILBOXES, there, projection={"box": 1, "sweeps": 1})
    if document is None or not document.get("sweeps"):
        return
    sweeps = load(document)
    # A server that has not heard yet that another is the primary may show what was before them.
    there.update(box=document["box"], modseq={"$gte": sweeps[-1].modseq})
    for first, last in UIDSet.of_ranges(r for each in sweeps for r in each.uids.ranges).ranges:
        above: int | None = first - 1
        while above is not None:
            try:
                async with turn():
                    began = mongo.reactor.seconds()
                    above = await _fold_piece(mongo, there, above, last)
                    took = mongo.reactor.seconds() - began
            except Moved:
                return
            # Half of the time is for others, beside what they have had while the turn was waited for.
            if not is_waited_for():
                await rest(mongo.reactor, took)
    pull = {"$pull": {"sweeps": {"modseq": {"$lte": sweeps[-1].modseq}}}}
    await mongo.run(
        {"update": MAILBOXES, "updates": [{"q": there, "u": pull}], "writeConcern": MAJORITY}
    )


async def _fold_piece(mongo: Mongo, there: Document, above: int, last: int) -> int | None:
    """Fold some of the messages `above < uid <= last`; up to which UID, None where there are no more.  Raises Moved."""

    async def work(transaction: Transaction) -> int | None:
        document = await transaction.find_one(MAILBOXES, there, projection={"sweeps": 1})
        if document is None:
            # It has another box now, or not yet the sweeps.
            raise Moved
        if not document.get("sweeps"):
            # Somebody else was quicker.
            return None
        within = {"user": there["user"], "box": there["box"]}
        rows = await transaction.find(
            MESSAGES,
            {**within, "uid": {"$gt": above, "$lte": last}},
            projection=_ROW,
            sort={"uid": 1},
            limit=_AT_ONCE,
        )
        groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        for old, new in zip(rows, swept(rows, load(document)), strict=True):
            if new is not old:
                groups.setdefault((new["modseq"], tuple(new["flags"])), []).append(new["uid"])
        living = array("I", [row["uid"] for row in rows])
        updates = [
            {
                "q": {**within, **filter},
                "u": {"$set": {"flags": list(flags), "modseq": modseq}},
                "multi": True,
            }
            for (modseq, flags), uids in groups.items()
            for filter in uid_filters(living, uids)
        ]
        if updates:
            await transaction.update(MESSAGES, updates)
        return rows[-1]["uid"] if len(rows) == _AT_ONCE else None

    return await mongo.transaction(work)
