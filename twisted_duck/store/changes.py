"""The change log: each function here is one transaction that changes one mailbox; `copying` has those between two.

Every change takes the next modseq of a mailbox, and UIDs where it needs any, from the mailbox's document (`take`), and
writes messages, tombstone and counters under it.  Two changes of one mailbox conflict on that document, so they happen one
after the other, whichever processes they come from.

What depends on the messages there are (STORE, EXPUNGE) was computed from an index at some modseq and is only made if the
mailbox is still there; else `Moved` is raised, and the caller brings its index up to date and computes again.

A mailbox that loses all its messages gets another box (`empty`): that is one document, however many they were.  What is in
the old box is garbage, which `Done.emptied` names for who is to remove it; if nobody does, the collector will.  To remove a
message takes the database as long as to write one, six times as long as a client expects.

The coroutine of a transaction may run more than once: it builds its documents anew each time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import attrs
from bson.objectid import ObjectId

from twisted_duck import errors
from twisted_duck.index import runs
from twisted_duck.store import conversations, sweeps
from twisted_duck.store.arrival import Arrival
from twisted_duck.store.blobs import confirm
from twisted_duck.store.coming import Coming
from twisted_duck.store.connection import Mongo
from twisted_duck.store.conversations import Newcomer
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import BODIES, IMPORTS, MAILBOXES, MESSAGES, TOMBSTONES, USERS
from twisted_duck.store.sums import Sums
from twisted_duck.store.transaction import Transaction
from twisted_duck.values import (
    Change,
    Changes,
    Expunged,
    FlagChange,
    Flags,
    Sweep,
    UIDSet,
    Uniform,
)

K = TypeVar("K")

_NOTHING = Sums()

#: Of a mailbox's document, what its index needs to know.
LOG_FIELDS = dict.fromkeys(
    ("path", "uidvalidity", "uidnext", "modseq", "recent", "box", "floor", "created"), 1
)

#: Messages that one command changes or removes, of as many as there may be in a change: so many take a second where the
#: database is slow, and a command has ten.
_AT_ONCE = 2_000
#: Ranges of UIDs in one tombstone: about 1 MiB.
_TOMBSTONE_RANGES = 25_000
#: Consecutive messages from which a range is better than naming each.
_RANGE_FROM = 4


class Moved(Exception):
    """The mailbox is not at the modseq that a change was computed at, or not there.  Never leaves the storage plane."""


@attrs.frozen
class Place:
    """A mailbox as an index knows it."""

    user: ObjectId
    mailbox: ObjectId
    box: ObjectId
    modseq: int
    #: When the mailbox was made.
    created: datetime

    @property
    def filter(self) -> Document:
        return {"user": self.user, "_id": self.mailbox, "box": self.box}


_NOBODY = UIDSet()


@attrs.frozen
class Done:
    """What a change made of one mailbox: its document's LOG_FIELDS afterwards, and the change."""

    mailbox: Document
    changed: Sequence[Change] = ()
    expunged: UIDSet = _NOBODY
    #: Of those that were there before.
    uniform: Sequence[Uniform] = ()
    sweeps: Sequence[Sweep] = ()
    #: The box that all the messages were in, which is no mailbox's any more.
    emptied: ObjectId | None = None

    @property
    def modseq(self) -> int:
        return int(self.mailbox["modseq"])

    def changes(self) -> Changes:
        gone = (Expunged(self.modseq, self.expunged),) if self.expunged else ()
        return Changes(
            self.modseq,
            self.mailbox["uidnext"],
            self.mailbox["recent"],
            self.changed,
            gone,
            self.uniform,
            self.sweeps,
        )


def uid_filters(living: array[int], uids: Sequence[int]) -> list[Document]:
    """Conditions that together match exactly `uids` (ascending, all of them in `living`) of the messages that live.

    Where they are neighbours among the living, a range says it, however many UIDs died between them.
    """
    filters: list[Document] = []
    single: list[int] = []
    for at, _, length in runs(living, uids):
        if length >= _RANGE_FROM:
            filters.append({"uid": {"$gte": uids[at], "$lte": uids[at + length - 1]}})
        else:
            single.extend(uids[at : at + length])
    for start in range(0, len(single), 10_000):
        filters.append({"uid": {"$in": single[start : start + 10_000]}})
    return filters


def uid_filter(living: array[int], uids: Sequence[int]) -> Document:
    """The same as one condition, which the index on UIDs answers in their order."""
    filters = uid_filters(living, uids)
    return filters[0] if len(filters) == 1 else {"uid": {"$in": list(uids)}}


def in_parts(
    living: array[int], groups: Iterable[tuple[K, Sequence[int]]], most: int
) -> Iterator[list[tuple[K, Document]]]:
    """`uid_filters` of each group of UIDs, a command's worth at a time: those of `most` messages."""
    part: list[tuple[K, Document]] = []
    room = most
    for key, uids in groups:
        at = 0
        while at < len(uids):
            some = uids[at : at + room]
            part.extend((key, filter) for filter in uid_filters(living, some))
            at += len(some)
            room -= len(some)
            if not room:
                yield part
                part, room = [], most
    if part:
        yield part


def one_of(filters: Sequence[Document]) -> Document:
    return dict(filters[0]) if len(filters) == 1 else {"$or": list(filters)}


# --- the parts of a change --------------------------------------------------------------------------------------------


async def take(
    transaction: Transaction, filter: Document, sums: Sums, uids: int = 0
) -> Document | None:
    """The next modseq and `uids` UIDs of a mailbox (those below `uidnext`); None if no mailbox matches."""
    more: Document = {"modseq": 1, **sums.increments()}
    if uids:
        more["uidnext"] = uids
    return await transaction.change(MAILBOXES, filter, {"$inc": more}, fields=LOG_FIELDS)


async def taken(transaction: Transaction, filter: Document, sums: Sums) -> Document:
    """`take`, of a mailbox that has to be there.  Raises Moved."""
    mailbox = await take(transaction, filter, sums)
    if mailbox is None:
        raise Moved
    return mailbox


async def empty(transaction: Transaction, filter: Document) -> tuple[Document, int]:
    """Take all its messages from a mailbox by giving it an empty box: its LOG_FIELDS afterwards, and how many bytes it had.

    Raises Moved if no mailbox matches.  `filter` has to make sure that all of the messages are meant.
    """
    box = ObjectId()
    before = await transaction.change(
        MAILBOXES,
        filter,
        {
            "$inc": {"modseq": 1},
            "$set": {"box": box, **dict.fromkeys(("messages", "unseen", "deleted", "bytes"), 0)},
            "$unset": {"sweeps": ""},
        },
        fields={**LOG_FIELDS, "bytes": 1},
        new=False,
    )
    if before is None:
        raise Moved
    size = before.pop("bytes")
    return {**before, "modseq": before["modseq"] + 1, "box": box}, size


async def charge(transaction: Transaction, user: ObjectId, size: int) -> None:
    """Add to what the user's mail takes.  Fails with OverQuota; giving back never does.

    It is a write in any case: the collector relies on the conflict.
    """
    charged = await transaction.change(
        USERS, {"_id": user}, {"$inc": {"used": size, "epoch": 1}}, fields={"used": 1, "quota": 1}
    )
    # A condition for the database to look at would take it longer than to take this back.
    quota = None if charged is None else charged.get("quota")
    if charged is None or (size > 0 and quota is not None and charged["used"] > quota):
        raise errors.OverQuota("there is not enough room left")


async def bury(transaction: Transaction, place: Place, modseq: int, uids: UIDSet) -> None:
    now = datetime.now(UTC)
    await transaction.insert(
        TOMBSTONES,
        [
            {
                "user": place.user,
                "mailbox": place.mailbox,
                "modseq": modseq,
                "uids": [list(pair) for pair in uids.ranges[at : at + _TOMBSTONE_RANGES]],
                "date": now,
            }
            for at in range(0, len(uids.ranges), _TOMBSTONE_RANGES)
        ],
    )


async def remove_rows(
    transaction: Transaction, place: Place, living: array[int], uids: Sequence[int]
) -> None:
    within = {"user": place.user, "box": place.box}
    removed = 0
    for part in in_parts(living, [(None, uids)], _AT_ONCE):
        removed += await transaction.delete(MESSAGES, [{**within, **each} for _, each in part])
    if removed != len(uids):
        raise errors.Corruption("messages of the mailbox are missing in the store")


# --- APPEND -----------------------------------------------------------------------------------------------------------


async def append(mongo: Mongo, user: ObjectId, path: str, coming: Sequence[Coming]) -> Done:
    """Give the messages the next UIDs of the mailbox at `path`, in this order.

    What nobody has looked at is looked at while the database makes room for it.  Fails with TryCreate, OverQuota, AlreadyExists
    (the key of an import); raises BlobsLost.
    """
    sums = sum((each.sums for each in coming), _NOTHING)

    async def placed(transaction: Transaction) -> tuple[list[Arrival], list[Document]]:
        if not all(each.is_ready for each in coming):
            # The commands that need no look are on their way before it begins.
            transaction.hand_on()
        arrivals = [arrival for each in coming for arrival in await each.arrivals()]
        return arrivals, await threads_of(transaction, user, arrivals)

    async def work(transaction: Transaction) -> Done:
        mailbox, _, (arrivals, threads) = await transaction.at_once(
            target_at(transaction, user, path, sums.messages, sums),
            charge(transaction, user, sums.bytes),
            placed(transaction),
        )
        return Done(mailbox, await write_arrivals(transaction, user, mailbox, arrivals, threads))

    return await mongo.transaction(work)


async def target_at(
    transaction: Transaction, user: ObjectId, path: str, uids: int, sums: Sums = _NOTHING
) -> Document:
    """The mailbox at `path`, with so many UIDs more.  Fails with TryCreate."""
    there = {"user": user, "path": path}
    mailbox = await take(transaction, there, sums, uids)
    if mailbox is None:
        raise errors.TryCreate("there is no such mailbox")
    return mailbox


async def threads_of(
    transaction: Transaction, user: ObjectId, arrivals: Sequence[Arrival]
) -> list[Document]:
    """What `conversations.place` says of messages whose blobs are there.  Raises BlobsLost."""
    await confirm(transaction, [s.ref for arrival in arrivals for s in arrival.sources])
    newcomers = [Newcomer(arrival.body["_id"], arrival.thread_keys) for arrival in arrivals]
    return await conversations.place(transaction, user, newcomers)


async def write_arrivals(
    transaction: Transaction,
    user: ObjectId,
    mailbox: Document,
    arrivals: Sequence[Arrival],
    threads: Sequence[Document],
) -> list[Change]:
    """Write messages that got the last UIDs of the mailbox."""
    first, modseq = mailbox["uidnext"] - len(arrivals), mailbox["modseq"]
    where = {"user": user, "box": mailbox["box"], "modseq": modseq}
    weights = {arrival.body["_id"]: arrival.weight for arrival in arrivals}
    bodies = [
        {"user": user, **arrival.body, **thread}
        for arrival, thread in zip(arrivals, threads, strict=True)
    ]
    rows = [
        {**where, "uid": uid, **arrival.message, **_thread_of(thread)}
        for uid, (arrival, thread) in enumerate(zip(arrivals, threads, strict=True), first)
    ]
    keys = [
        {"user": user, "mailbox": mailbox["_id"], "key": arrival.key}
        for arrival in arrivals
        if arrival.key is not None
    ]
    inserts = [
        transaction.insert(BODIES, bodies, lambda body: weights[body["_id"]]),
        transaction.insert(MESSAGES, rows, _weigh),
    ]
    if keys:
        inserts.insert(0, transaction.insert(IMPORTS, keys))
    await transaction.at_once(*inserts)
    return [Change(uid, modseq, arrival.flags) for uid, arrival in enumerate(arrivals, first)]


def _thread_of(placed: Document) -> Document:
    return {"thread": placed["thread"]} if "thread" in placed else {}


def _weigh(message: Document) -> int:
    """About how many bytes the document of a message has."""
    octets, texts = 0, len(message.get("preview", "")) + len(message.get("fields", ""))
    # Some thirty values, for which generators take ten times as long.
    for value in message.values():
        if type(value) is bytes:
            octets += len(value)
    for value in message.get("order", {}).values():
        if type(value) is str:
            texts += len(value)
    # A character has up to four bytes.
    return 512 + octets + 4 * texts


# --- STORE ------------------------------------------------------------------------------------------------------------


async def store(
    mongo: Mongo,
    place: Place,
    living: array[int],
    groups: Mapping[Flags, Sequence[int]],
    sums: Sums,
) -> Done:
    """Give messages other flags: each of `groups` is a set of flags and the ascending UIDs that get it.

    `sums` says by how many there are more unseen and deleted ones.  Raises Moved.
    """
    modseq = place.modseq + 1

    async def work(transaction: Transaction) -> Done:
        mailbox = await take(transaction, {**place.filter, "modseq": place.modseq}, sums)
        if mailbox is None:
            raise Moved
        matched = 0
        for part in in_parts(living, groups.items(), _AT_ONCE):
            updates = [
                {
                    "q": {"user": place.user, "box": place.box, **filter},
                    "u": {"$set": {"flags": sorted(flags), "modseq": modseq}},
                    "multi": True,
                }
                for flags, filter in part
            ]
            matched += await transaction.update(MESSAGES, updates)
        if matched != sum(map(len, groups.values())):
            raise errors.Corruption("messages of the mailbox are missing in the store")
        uniform = [Uniform(modseq, flags, uids) for flags, uids in groups.items()]
        return Done(mailbox, uniform=uniform)

    return await mongo.transaction(work)


async def sweep(
    mongo: Mongo,
    place: Place,
    uids: UIDSet,
    change: FlagChange,
    sums: Sums,
) -> Done:
    """The same for very many: what becomes of all messages of `uids` is written into the mailbox's document (`sweeps`), and
    into theirs later.  Raises Moved.
    """
    one = Sweep(place.modseq + 1, uids, change)

    async def work(transaction: Transaction) -> Done:
        mailbox = await transaction.change(
            MAILBOXES,
            {**place.filter, "modseq": place.modseq},
            {"$inc": {"modseq": 1, **sums.increments()}, "$push": {"sweeps": sweeps.dump(one)}},
            fields=LOG_FIELDS,
        )
        if mailbox is None:
            raise Moved
        return Done(mailbox, sweeps=[one])

    # Of a transaction whose reply was lost it is found out whether it was made.
    return await mongo.transaction(work)


# --- EXPUNGE ----------------------------------------------------------------------------------------------------------


async def expunge(
    mongo: Mongo,
    place: Place,
    living: array[int],
    uids: Sequence[int],
    unseen: int,
    deleted: int,
) -> Done:
    """Remove messages, `unseen` of which are not \\Seen and `deleted` of which are \\Deleted.  Raises Moved."""
    gone = UIDSet.of(uids)
    there = {**place.filter, "modseq": place.modseq}
    modseq = place.modseq + 1

    async def all_of_them(transaction: Transaction) -> Done:
        (mailbox, size), _ = await transaction.at_once(
            empty(transaction, there), bury(transaction, place, modseq, gone)
        )
        await charge(transaction, place.user, -size)
        return Done(mailbox, (), gone, emptied=place.box)

    async def some(transaction: Transaction) -> Done:
        filters = uid_filters(living, uids)
        [size] = await transaction.aggregate(
            MESSAGES,
            [
                {"$match": {"user": place.user, "box": place.box, **one_of(filters)}},
                {"$group": {"_id": None, "bytes": {"$sum": "$size"}}},
            ],
        ) or [{"bytes": 0}]
        sums = -Sums(len(uids), unseen, deleted, size["bytes"])
        mailbox, *_ = await transaction.at_once(
            taken(transaction, there, sums),
            remove_rows(transaction, place, living, uids),
            bury(transaction, place, modseq, gone),
            charge(transaction, place.user, sums.bytes),
        )
        return Done(mailbox, (), gone)

    return await mongo.transaction(all_of_them if len(uids) == len(living) else some)
