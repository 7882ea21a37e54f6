"""Changes to a user's set of mailboxes: each function is one transaction.

They all write the user's document (`_claim`), so that two of them conflict and are made one after the other; what one has
read of the names is still so when it commits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from bson.objectid import ObjectId

from twisted_duck import errors
from twisted_duck.limits import Limits
from twisted_duck.names import DEFAULT_MAILBOXES, INBOX, ancestors, check_name, is_beneath
from twisted_duck.store.changes import LOG_FIELDS, Moved, Place, bury, charge
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import IMPORTS, MAILBOXES, SUBSCRIPTIONS, USERS
from twisted_duck.store.transaction import MAJORITY, Transaction
from twisted_duck.values import UIDSet

#: Seconds for the keys of all that a user has ever imported: a million of them take a minute.
_IMPORTS_TIME = 600.0


async def _claim(transaction: Transaction, user: ObjectId, mailboxes: int = 0) -> int:
    """Make this the only change to the user's names; the first of `mailboxes` new UIDVALIDITYs.

    A UIDVALIDITY is never given twice to one user, and is no lower than the time in seconds (RFC 3501 §2.3.1.1).
    """
    latest: Document | str = "$uidvalidity"
    if mailboxes:
        latest = {"$max": [{"$add": ["$uidvalidity", mailboxes]}, int(time.time())]}
    changed = await transaction.change(
        USERS,
        {"_id": user},
        [{"$set": {"uidvalidity": latest, "epoch": {"$add": ["$epoch", 1]}}}],
        fields={"uidvalidity": 1},
    )
    if changed is None:
        raise errors.NonExistent("the user does not exist any more")
    return int(changed["uidvalidity"]) - mailboxes + 1


def new_mailbox(user: ObjectId, path: str, uidvalidity: int, use: str | None = None) -> Document:
    return {
        "_id": ObjectId(),
        "user": user,
        "path": path,
        **({"use": use} if use else {}),
        "uidvalidity": uidvalidity,
        "uidnext": 1,
        "modseq": 1,
        "recent": 1,
        "box": ObjectId(),
        "messages": 0,
        "unseen": 0,
        "deleted": 0,
        "bytes": 0,
        "created": datetime.now(UTC),
    }


def default_mailboxes(user: ObjectId, uidvalidity: int) -> list[Document]:
    """What a new user has; the UIDVALIDITYs end at the one given."""
    first = uidvalidity - len(DEFAULT_MAILBOXES) + 1
    return [
        new_mailbox(user, path, first + number, use)
        for number, (path, use) in enumerate(DEFAULT_MAILBOXES.items())
    ]


async def _paths(transaction: Transaction, user: ObjectId) -> set[str]:
    found = await transaction.find(MAILBOXES, {"user": user}, projection={"_id": 0, "path": 1})
    return {mailbox["path"] for mailbox in found}


def levels(paths: Iterable[str]) -> set[str]:
    """The names that have children."""
    return {above for path in paths for above in ancestors(path)}


def _check_room(paths: set[str], more: int, limits: Limits) -> None:
    if len(paths) + more > limits.mailboxes:
        raise errors.TooMany(f"a user may have {limits.mailboxes} mailboxes")


async def create(
    mongo: Mongo, user: ObjectId, name: str, limits: Limits, use: str | None = None
) -> ObjectId:
    """The new mailbox.  Fails with AlreadyExists, Cannot, TooMany, UseConflict."""
    check_name(name, limits)

    async def work(transaction: Transaction) -> ObjectId:
        paths = await _paths(transaction, user)
        if name in paths:
            raise errors.AlreadyExists("the mailbox exists already")
        if use is not None:
            has_it = {"user": user, "use": use}
            other = await transaction.find_one(MAILBOXES, has_it, projection={"path": 1})
            if other is not None:
                raise errors.UseConflict(f"{other['path']} is the mailbox for {use} already")
        missing = [above for above in ancestors(name) if above not in paths]
        _check_room(paths, 1 + len(missing), limits)
        first = await _claim(transaction, user, 1 + len(missing))
        mailbox = new_mailbox(user, name, first, use)
        others = [new_mailbox(user, path, first + 1 + n) for n, path in enumerate(missing)]
        await transaction.insert(MAILBOXES, [mailbox, *others])
        created: ObjectId = mailbox["_id"]
        return created

    return await mongo.transaction(work)


async def add_mailbox(mongo: Mongo, user: ObjectId, name: str) -> None:
    """One mailbox, whatever the limits say, unless it is there: for the checker."""

    async def work(transaction: Transaction) -> None:
        if name not in await _paths(transaction, user):
            first = await _claim(transaction, user, 1)
            await transaction.insert(MAILBOXES, [new_mailbox(user, name, first)])

    await mongo.transaction(work)


async def delete(mongo: Mongo, user: ObjectId, name: str) -> Document:
    """The document that the mailbox had; its messages are garbage now.  Fails with NonExistent, HasChildren, Cannot."""
    if name == INBOX:
        raise errors.Cannot("INBOX can't be deleted")

    async def work(transaction: Transaction) -> Document:
        await _claim(transaction, user)
        mailbox = await transaction.take_out(MAILBOXES, {"user": user, "path": name})
        if mailbox is None:
            # "/" + 1 is "0": everything beneath, and nothing else.
            beneath = {"user": user, "path": {"$gt": name + "/", "$lt": name + "0"}}
            if await transaction.find_one(MAILBOXES, beneath, projection={"_id": 1}):
                raise errors.HasChildren("the mailbox has children")
            raise errors.NonExistent("there is no such mailbox")
        await charge(transaction, user, -mailbox["bytes"])
        return mailbox

    return await mongo.transaction(work)


async def rename(mongo: Mongo, user: ObjectId, name: str, new_name: str, limits: Limits) -> None:
    """Not for INBOX.  Fails with NonExistent, AlreadyExists, Cannot, TooMany."""

    async def work(transaction: Transaction) -> None:
        paths = await _paths(transaction, user)
        moving = {
            path: new_name + path[len(name) :]
            for path in paths
            if path == name or is_beneath(path, name)
        }
        if not moving:
            raise errors.NonExistent("there is no such mailbox")
        if new_name in paths or new_name in levels(paths):
            raise errors.AlreadyExists("there is a mailbox of that name already")
        if is_beneath(new_name, name):
            raise errors.Cannot("a mailbox can't be moved below itself")
        for path in (new_name, *moving.values()):
            check_name(path, limits)
        missing = [above for above in ancestors(new_name) if above not in paths]
        _check_room(paths, len(missing), limits)
        first = await _claim(transaction, user, len(missing))
        await transaction.update(
            MAILBOXES,
            [
                {"q": {"user": user, "path": old}, "u": {"$set": {"path": new}}}
                for old, new in moving.items()
            ],
        )
        await transaction.insert(
            MAILBOXES, [new_mailbox(user, path, first + n) for n, path in enumerate(missing)]
        )

    await mongo.transaction(work)


async def give_away_inbox(
    mongo: Mongo, inbox: Place, uids: Sequence[int], new_name: str, limits: Limits
) -> Document:
    """RENAME of INBOX (RFC 3501 §6.3.5): all its messages, which are `uids`, go to a new mailbox, whose document this returns.

    No message is touched: the new mailbox takes the box they are in, and INBOX gets an empty one.
    Fails with AlreadyExists, Cannot, TooMany; raises Moved.
    """
    check_name(new_name, limits)
    user = inbox.user

    async def work(transaction: Transaction) -> Document:
        paths = await _paths(transaction, user)
        if new_name in paths or new_name in levels(paths):
            raise errors.AlreadyExists("there is a mailbox of that name already")
        missing = [above for above in ancestors(new_name) if above not in paths]
        _check_room(paths, 1 + len(missing), limits)
        first = await _claim(transaction, user, 1 + len(missing))
        old = await transaction.find_one(MAILBOXES, {**inbox.filter, "modseq": inbox.modseq})
        if old is None:
            raise Moved
        emptied = await transaction.change(
            MAILBOXES,
            inbox.filter,
            {
                "$inc": {"modseq": 1},
                "$set": {
                    "box": ObjectId(),
                    "recent": old["uidnext"],
                    **dict.fromkeys(("messages", "unseen", "deleted", "bytes"), 0),
                },
                "$unset": {"sweeps": ""},
            },
            fields=LOG_FIELDS,
        )
        if emptied is None:
            raise Moved
        if uids:
            await bury(transaction, inbox, emptied["modseq"], UIDSet.of(uids))
        heir = {**new_mailbox(user, new_name, first), "box": old["box"]}
        counted = ("uidnext", "modseq", "recent", "messages", "unseen", "deleted", "bytes")
        # What is in the box is what these say of it.
        heir.update({name: old[name] for name in (*counted, "sweeps") if name in old})
        others = [new_mailbox(user, path, first + 1 + n) for n, path in enumerate(missing)]
        await transaction.insert(MAILBOXES, [heir, *others])
        return heir

    return await mongo.transaction(work)


async def renew(mongo: Mongo, user: ObjectId) -> int:
    """Give all the user's mailboxes new UIDVALIDITYs, under which they have the same messages, UIDs and names; how many they are.

    To whoever has one open it is as if it had been deleted: another has its name.  What was imported into them is known as before,
    unless the database goes away behind the change, or the collector comes by just then.
    """

    async def work(transaction: Transaction) -> dict[ObjectId, ObjectId]:
        old = await transaction.find(MAILBOXES, {"user": user})
        first = await _claim(transaction, user, len(old))
        # Tombstones are of the mailboxes that were.
        new = [
            {**each, "_id": ObjectId(), "uidvalidity": first + n, "floor": each["modseq"]}
            for n, each in enumerate(old)
        ]
        await transaction.delete(MAILBOXES, [{"user": user}])
        await transaction.insert(MAILBOXES, new)
        return {was["_id"]: now["_id"] for was, now in zip(old, new, strict=True)}

    renewed = await mongo.transaction(work)
    if not renewed:
        return 0
    # What is imported once more meanwhile is known by that.
    with suppress(errors.AlreadyExists):
        await mongo.run(
            {
                "update": IMPORTS,
                "ordered": False,
                "updates": [
                    {
                        "q": {"user": user, "mailbox": old},
                        "u": {"$set": {"mailbox": new}},
                        "multi": True,
                    }
                    for old, new in renewed.items()
                ],
                "writeConcern": MAJORITY,
            },
            time=_IMPORTS_TIME,
        )
    return len(renewed)


async def subscribe(mongo: Mongo, user: ObjectId, name: str, limits: Limits) -> None:
    """Fails with TooMany."""

    async def work(transaction: Transaction) -> None:
        mine = {"user": user, "path": name}
        if await transaction.find_one(SUBSCRIPTIONS, mine, projection={"_id": 1}):
            return
        await _claim(transaction, user)
        count = await transaction.aggregate(
            SUBSCRIPTIONS, [{"$match": {"user": user}}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
        )
        if count and count[0]["n"] >= limits.subscriptions:
            raise errors.TooMany(f"a user may be subscribed to {limits.subscriptions} mailboxes")
        await transaction.insert(SUBSCRIPTIONS, [mine])

    await mongo.transaction(work)
