"""The changes that put messages of one mailbox into another, or the same: COPY, MOVE and REPLACE.  Each is one transaction.

Messages are read in it, so that the modseq of the mailbox they are in does not matter.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from twisted_duck import errors
from twisted_duck.store import sweeps
from twisted_duck.store.arrival import Arrival, counts
from twisted_duck.store.changes import (
    LOG_FIELDS,
    Done,
    Moved,
    Place,
    Sums,
    bury,
    charge,
    empty,
    one_of,
    remove_rows,
    take,
    target_at,
    threads_of,
    uid_filter,
    uid_filters,
    weigh_message,
    write_arrivals,
)
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import MAILBOXES, MESSAGES
from twisted_duck.store.transaction import Transaction
from twisted_duck.values import DELETED, SEEN, Change, Sweep, UIDSet

#: Messages that a COPY reads and writes at a time.
_COPIED_AT_ONCE = 500


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
    head, others = uids[:_COPIED_AT_ONCE], uids[_COPIED_AT_ONCE:]
    gone = UIDSet.of(uids)

    async def work(transaction: Transaction) -> tuple[Done | None, Done]:
        here, rows = await transaction.at_once(
            transaction.find_one(MAILBOXES, place.filter, projection={"messages": 1, "sweeps": 1}),
            _rows(transaction, place, living, head),
        )
        if here is None:
            raise Moved
        swept_by = sweeps.load(here)
        rows = list(sweeps.swept(rows, swept_by))
        sums = _sum(rows)
        if others:
            sums += await _sums(transaction, place, uid_filters(living, others), swept_by)
        if sums.messages != len(uids):
            raise errors.ExpungeIssued("some of the messages are not there any more")
        if not move:
            target, _ = await transaction.at_once(
                target_at(transaction, place.user, path, sums),
                charge(transaction, place.user, sums.bytes),
            )
            copied = await _copy_rows(transaction, place, living, rows, others, swept_by, target)
            return None, Done(target, copied)
        target = await target_at(transaction, place.user, path, sums)
        empties = here["messages"] == len(uids) and target["_id"] != place.mailbox
        if empties:
            source, _ = await empty(transaction, place.filter)
        else:
            source = await _leave(transaction, place, target, -sums)
        new = await _copy_rows(transaction, place, living, rows, others, swept_by, target)
        if not empties:
            await remove_rows(transaction, place, living, uids)
        await bury(transaction, place, source["modseq"], gone)
        if target["_id"] == place.mailbox:
            return None, Done(target, new, gone)
        box = place.box if empties else None
        return Done(source, (), gone, emptied=box), Done(target, new)

    return await mongo.transaction(work)


async def _rows(
    transaction: Transaction, place: Place, living: array[int], uids: Sequence[int]
) -> list[Document]:
    """The documents of messages, to be written once more."""
    return await transaction.find(
        MESSAGES,
        {"user": place.user, "box": place.box, **uid_filter(living, uids)},
        projection={"_id": 0},
        sort={"uid": 1},
    )


def _sum(rows: Sequence[Document]) -> Sums:
    unseen, deleted = counts(frozenset(row["flags"]) for row in rows)
    return Sums(len(rows), unseen, deleted, sum(row["size"] for row in rows))


async def _copy_rows(
    transaction: Transaction,
    place: Place,
    living: array[int],
    rows: list[Document],
    others: Sequence[int],
    swept_by: Sequence[Sweep],
    target: Document,
) -> list[Change]:
    """Write the messages that were read, as they are, and `others`, with the last UIDs of the mailbox."""
    modseq, uid = target["modseq"], target["uidnext"] - len(rows) - len(others)
    new: list[Change] = []
    at = 0
    while rows:
        for row in rows:
            row.update(box=target["box"], uid=uid, modseq=modseq)
            new.append(Change(uid, modseq, frozenset(row["flags"])))
            uid += 1
        await transaction.insert(MESSAGES, rows, weigh_message)
        some = others[at : at + _COPIED_AT_ONCE]
        read = await _rows(transaction, place, living, some) if some else []
        rows = list(sweeps.swept(read, swept_by))
        at += len(some)
    return new


# --- REPLACE ----------------------------------------------------------------------------------------------------------


async def replace(
    mongo: Mongo, place: Place, uid: int, path: str, arrival: Arrival
) -> tuple[Done | None, Done]:
    """Put a message into the mailbox at `path`, and take the one of `uid` out of this one: what became of this mailbox,
    if it is another, and of that.

    Fails with TryCreate, OverQuota (of what it takes more than the other), and ExpungeIssued where the other is not there;
    raises BlobsLost, and Moved where the mailbox is not what `place` says.
    """
    unseen, deleted = counts([arrival.flags])
    new = Sums(1, unseen, deleted, arrival.size)
    filters: list[Document] = [{"uid": uid}]
    gone = UIDSet.of([uid])

    async def work(transaction: Transaction) -> tuple[Done | None, Done]:
        here = await transaction.find_one(MAILBOXES, place.filter, projection={"sweeps": 1})
        if here is None:
            raise Moved
        old = await _sums(transaction, place, filters, sweeps.load(here))
        if not old.messages:
            raise errors.ExpungeIssued("the message is not there any more")
        target = await target_at(transaction, place.user, path, new)
        source = await _leave(transaction, place, target, -old)
        _, threads = await transaction.at_once(
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


async def _leave(transaction: Transaction, place: Place, target: Document, sums: Sums) -> Document:
    """The document of a mailbox that messages leave for `target`, with the modseq of that."""
    if target["_id"] != place.mailbox:
        source = await take(transaction, place.filter, sums)
    else:
        # Within one mailbox it is one change, with one modseq.
        more = {"$inc": sums.increments()}
        source = await transaction.change(MAILBOXES, place.filter, more, fields=LOG_FIELDS)
    if source is None:
        raise Moved
    return source


def _having(flag: str, swept_by: Sequence[Sweep]) -> Document:
    return {"$sum": {"$cond": [sweeps.has(flag, swept_by), 1, 0]}}


async def _sums(
    transaction: Transaction, place: Place, filters: Sequence[Document], swept_by: Sequence[Sweep]
) -> Sums:
    found = await transaction.aggregate(
        MESSAGES,
        [
            {"$match": {"user": place.user, "box": place.box, **one_of(filters)}},
            {
                "$group": {
                    "_id": None,
                    "messages": {"$sum": 1},
                    "seen": _having(SEEN, swept_by),
                    "deleted": _having(DELETED, swept_by),
                    "bytes": {"$sum": "$size"},
                }
            },
        ],
    )
    if not found:
        return Sums()
    [sums] = found
    messages = sums["messages"]
    return Sums(messages, messages - sums["seen"], sums["deleted"], sums["bytes"])
