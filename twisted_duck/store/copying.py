"""The changes that put messages of one mailbox into another, or the same: COPY, MOVE and REPLACE.  Each is one transaction.

Messages are read in it, so that the modseq of the mailbox they are in does not matter.
"""

from __future__ import annotations

from array import array
from collections.abc import Coroutine, Iterator, Sequence
from operator import attrgetter
from typing import Any

from bson.objectid import ObjectId

from twisted_duck import errors
from twisted_duck.store import sweeps
from twisted_duck.store.arrival import Arrival
from twisted_duck.store.changes import (
    Done,
    Moved,
    Place,
    bury,
    charge,
    empty,
    remove_rows,
    taken,
    target_at,
    threads_of,
    uid_filter,
    write_arrivals,
)
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import MAILBOXES, MESSAGES
from twisted_duck.store.sums import Sums
from twisted_duck.store.transaction import Transaction
from twisted_duck.values import Change, Sweep, UIDSet

#: What `_sum` needs of a message, and what says what sweeps have made of it.
_COUNTED = {"_id": 0, "uid": 1, "modseq": 1, "flags": 1, "size": 1}

#: Messages that are read with one command and written with another, and how many times as many are under way: while some are
#: made ready here, the database reads or writes others.  More than these are not held.  An answer with so many fits, of most
#: mail, between the database and us, so that it need not wait until we come to read it.
_PIECE = 64
_PIECES = 8


# --- COPY and MOVE ----------------------------------------------------------------------------------------------------


async def copy(
    mongo: Mongo,
    place: Place,
    living: array[int],
    uids: Sequence[int],
    path: str,
    *,
    move: bool,
) -> tuple[Done | None, Done]:
    """Put the messages into the mailbox at `path`, too, or (`move`) instead: what became of the source, if anything,
    and of the destination.  The bodies are shared.

    Fails with TryCreate, OverQuota, and ExpungeIssued where one of the messages is not there; raises Moved where the source is
    not what `place` says.
    """

    async def work(transaction: Transaction) -> tuple[Done | None, Done]:
        return await _Carriage(transaction, place, living, uids, move).carry(path)

    return await mongo.transaction(work)


class _Carriage:
    """Messages on their way, in one transaction.

    What is asked of both mailboxes is in front of the first messages, and so is answered before them.
    """

    #: The mailbox they go to, and the sweeps of the one they come from: there with the first answers.
    _target: Document
    _swept_by: Sequence[Sweep]
    #: Whether that gets another box, for they are all that there is, and leave.
    _empties = False
    #: Its document, where they leave it: it may be the same mailbox.
    _source: Document | None = None

    def __init__(
        self,
        transaction: Transaction,
        place: Place,
        living: array[int],
        uids: Sequence[int],
        move: bool,
    ) -> None:
        self._transaction = transaction
        self._place = place
        self._living = living
        self._uids = uids
        self._leaving = UIDSet.of(uids) if move else UIDSet()
        #: Where the pieces begin that nobody is at.
        self._starts = iter(range(0, len(uids), _PIECE))
        self._new: list[Change] = []
        #: Of those that have been read.
        self._sums = Sums()

    async def carry(self, path: str) -> tuple[Done | None, Done]:
        await self._transaction.at_once(
            self._begin(path), *(self._carry_pieces() for _ in range(_PIECES))
        )
        # A piece that took several answers came behind others.
        self._new.sort(key=attrgetter("uid"))
        source, target = self._source, self._target
        if source is None or source is target:
            return None, Done(target, self._new, self._leaving)
        box = self._place.box if self._empties else None
        return Done(source, (), self._leaving, emptied=box), Done(target, self._new)

    async def _begin(self, path: str) -> None:
        """Take part in what is changed: whoever else changes that has to wait from now on."""
        transaction, place = self._transaction, self._place
        here, self._target, *_ = await transaction.at_once(
            transaction.find_one(MAILBOXES, place.filter, projection={"messages": 1, "sweeps": 1}),
            target_at(transaction, place.user, path, len(self._uids)),
            *([] if self._leaving else [charge(transaction, place.user, 0)]),
        )
        if here is None:
            raise Moved
        self._swept_by = sweeps.load(here)
        if self._leaving:
            elsewhere = self._target["_id"] != place.mailbox
            self._empties = elsewhere and here["messages"] == len(self._uids)
            if self._empties:
                self._source, _ = await empty(transaction, place.filter)
            else:
                self._source = await _left(transaction, place, self._target)
            await bury(transaction, place, self._source["modseq"], self._leaving)

    async def _carry_pieces(self) -> None:
        """One after another, as long as there are any."""
        transaction, place = self._transaction, self._place
        for at in self._starts:
            uids = self._uids[at : at + _PIECE]
            carried = 0
            async for rows in transaction.batches(
                MESSAGES, _which(place, uid_filter(self._living, uids)), sort={"uid": 1}
            ):
                await self._put(rows, at + carried)
                carried += len(rows)
            if carried != len(uids):
                raise errors.ExpungeIssued("some of the messages are not there any more")

    async def _put(self, read: Sequence[Document], at: int) -> None:
        """Messages that have been read: those from `at` on."""
        rows = list(sweeps.swept(read, self._swept_by))
        self._sums += _sum(rows)
        box, modseq = self._target["box"], self._target["modseq"]
        new = self._target["uidnext"] - len(self._uids) + at
        for uid, row in enumerate(rows, new):
            # Not to send it would take the database nearly as long again as to read the message.
            del row["_id"]
            row["box"] = box
            row["uid"] = uid
            row["modseq"] = modseq
            self._new.append(Change(uid, modseq, frozenset(row["flags"])))
        await self._transaction.at_once(
            *(self._accounts() if self._sums.messages == len(self._uids) else ()),
            self._transaction.insert(MESSAGES, rows),
        )

    def _accounts(self) -> Iterator[Coroutine[Any, Any, Any]]:
        """What all of them come to."""
        transaction, place, sums = self._transaction, self._place, self._sums
        yield _count(transaction, place.user, self._target["_id"], sums)
        if not self._leaving:
            yield charge(transaction, place.user, sums.bytes)
        elif not self._empties:
            yield _count(transaction, place.user, place.mailbox, -sums)
            yield remove_rows(transaction, place, self._living, self._uids)


# --- REPLACE ----------------------------------------------------------------------------------------------------------


async def replace(
    mongo: Mongo, place: Place, uid: int, path: str, arrival: Arrival
) -> tuple[Done | None, Done]:
    """Put a message into the mailbox at `path`, and take the one of `uid` out of this one: what became of this mailbox,
    if it is another, and of that.

    Fails with TryCreate, OverQuota (of what it takes more than the other), and ExpungeIssued where the other is not there;
    raises BlobsLost, and Moved where the mailbox is not what `place` says.
    """
    new = Sums.of([(arrival.flags, arrival.size)])
    gone = UIDSet.of([uid])

    async def work(transaction: Transaction) -> tuple[Done | None, Done]:
        here, rows = await transaction.at_once(
            transaction.find_one(MAILBOXES, place.filter, projection={"sweeps": 1}),
            transaction.find(MESSAGES, _which(place, {"uid": uid}), projection=_COUNTED),
        )
        if here is None:
            raise Moved
        if not rows:
            raise errors.ExpungeIssued("the message is not there any more")
        old = _sum(list(sweeps.swept(rows, sweeps.load(here))))
        target = await target_at(transaction, place.user, path, 1, new)
        source = await _left(transaction, place, target)
        *_, threads = await transaction.at_once(
            _count(transaction, place.user, place.mailbox, -old),
            charge(transaction, place.user, new.bytes - old.bytes),
            threads_of(transaction, place.user, [arrival]),
        )
        arrived = await write_arrivals(transaction, place.user, target, [arrival], threads)
        await remove_rows(transaction, place, array("I", [uid]), [uid])
        await bury(transaction, place, source["modseq"], gone)
        if target["_id"] == place.mailbox:
            return None, Done(target, arrived, gone)
        return Done(source, (), gone), Done(target, arrived)

    return await mongo.transaction(work)


# --- what both need ---------------------------------------------------------------------------------------------------


def _which(place: Place, filter: Document) -> Document:
    return {"user": place.user, "box": place.box, **filter}


def _sum(rows: Sequence[Document]) -> Sums:
    return Sums.of((frozenset(row["flags"]), row["size"]) for row in rows)


async def _left(transaction: Transaction, place: Place, target: Document) -> Document:
    """The document of a mailbox that messages leave for `target`, with the modseq of that.  Raises Moved."""
    # Within one mailbox it is one change, with one modseq.
    within = target["_id"] == place.mailbox
    return target if within else await taken(transaction, place.filter, Sums())


async def _count(transaction: Transaction, user: ObjectId, mailbox: ObjectId, sums: Sums) -> None:
    """Of a mailbox that the transaction has changed already."""
    there = {"user": user, "_id": mailbox}
    await transaction.update(MAILBOXES, [{"q": there, "u": {"$inc": sums.increments()}}])
