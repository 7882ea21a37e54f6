"""STATUS of any number of mailboxes: a handful of commands, however many there are and whatever is in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bson.objectid import ObjectId

from twisted_duck.store import sweeps
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import MAILBOXES, MESSAGES
from twisted_duck.values import DELETED, MailboxStatus, StatusWant

#: Mailboxes whose messages are counted at a time: each is a condition of its own.
_AT_ONCE = 500


def told_id(mailbox: ObjectId) -> str:
    """What clients call a mailbox.  It begins with a letter, so that nobody takes it for a number (RFC 8474 §8.1)."""
    return f"F{mailbox}"


async def statuses(
    mongo: Mongo, user: ObjectId, names: Sequence[str], wanted: frozenset[StatusWant]
) -> dict[str, MailboxStatus]:
    """See L{twisted_duck.interfaces.IAccount.statuses}; all names are text."""
    if not names:
        return {}
    mailboxes = await mongo.find(MAILBOXES, {"user": user, "path": {"$in": list(names)}})
    recent: dict[ObjectId, int] = {}
    sizes: dict[ObjectId, int] = {}
    if "recent" in wanted:
        # A mailbox that nobody has opened yet has nothing else, and need not be counted.
        recent = {m["box"]: m["messages"] for m in mailboxes if m["recent"] == 1}
        new = [m for m in mailboxes if m["messages"] and 1 < m["recent"] < m["uidnext"]]
        for some in _groups(new):
            # Each condition names the user, so that each is found by its index.
            conditions = [
                {"user": user, "box": m["box"], "uid": {"$gte": m["recent"]}} for m in some
            ]
            recent.update(await _sums(mongo, {"user": user, "$or": conditions}, 1))
    if "deleted_size" in wanted:
        by_index: list[Document] = []
        for mailbox in mailboxes:
            if mailbox["deleted"] and (of_it := sweeps.concerning(DELETED, sweeps.load(mailbox))):
                within = {"user": user, "box": mailbox["box"]}
                size = {"$cond": [sweeps.has(DELETED, of_it), "$size", 0]}
                sizes.update(await _sums(mongo, within, size))
            elif mailbox["deleted"]:
                by_index.append(mailbox)
        for some in _groups(by_index):
            boxes = [m["box"] for m in some]
            within = {"user": user, "box": {"$in": boxes}, "flags": DELETED}
            sizes.update(await _sums(mongo, within, "$size"))
    return {
        mailbox["path"]: MailboxStatus(
            messages=mailbox["messages"],
            recent=recent.get(mailbox["box"], 0),
            uidnext=mailbox["uidnext"],
            uidvalidity=mailbox["uidvalidity"],
            unseen=mailbox["unseen"],
            deleted=mailbox["deleted"],
            size=mailbox["bytes"],
            highest_modseq=mailbox["modseq"],
            mailbox_id=told_id(mailbox["_id"]),
            deleted_size=sizes.get(mailbox["box"], 0),
        )
        for mailbox in mailboxes
    }


def _groups(mailboxes: Sequence[Document]) -> Iterable[Sequence[Document]]:
    return (mailboxes[at : at + _AT_ONCE] for at in range(0, len(mailboxes), _AT_ONCE))


async def _sums(
    mongo: Mongo, condition: Document, what: int | str | Document
) -> dict[ObjectId, int]:
    found = await mongo.aggregate(
        MESSAGES, [{"$match": condition}, {"$group": {"_id": "$box", "n": {"$sum": what}}}]
    )
    return {each["_id"]: int(each["n"]) for each in found}
