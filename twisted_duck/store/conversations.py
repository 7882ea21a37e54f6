"""Which thread an arriving message belongs to (THREADID: RFC 8474 §5.2), as Gmail would have it.

A thread is called after the body of the message that began it, and is written down with each message that joined it: in
`messages.thread`, and in `bodies.thread`.  Once given it is never another, and COPY and MOVE keep it.

The index of Message IDs are the bodies themselves: each has the keys (`twisted_duck.mime.conversation`) of the message in
`bodies.threads`, which is indexed by user.  So there is one question for all messages of a change, nothing to be written
beside them, and nothing to be collected: a thread can be joined for as long as one of its messages has a body, which is a
day or so longer than the last one lives.  Then whoever answers begins a new thread.

A key that enough bodies have already is not written down again, so that the answer is bounded, whatever is sent: a program
that refers to the same message ten thousand times would else cost more each time.  What remains is that a message is not found
by such a key when all of those bodies are gone.

Two messages that arrive at the same time are of one user, and each writes the user's document before this is asked
(`changes.charge`): the database makes one of them see the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import attrs
from bson.objectid import ObjectId

from twisted_duck.store.driver import Document
from twisted_duck.store.schema import BODIES
from twisted_duck.store.transaction import Transaction

#: Bodies that have the same key, at most.
_ENOUGH: Final = 4


@attrs.frozen
class Newcomer:
    """A message that arrives."""

    body: ObjectId
    #: Its keys, those first that say most.
    keys: tuple[int, ...]


async def place(
    transaction: Transaction, user: ObjectId, newcomers: Sequence[Newcomer]
) -> list[Document]:
    """What the documents of messages (`thread?`) and of bodies (`thread?` and `threads?`) have of it: of each newcomer, in
    order, since later ones may join what the first ones begin.
    """
    asked = {key for newcomer in newcomers for key in newcomer.keys}
    bodies = await _bodies(transaction, user, asked) if asked else []
    known: dict[int, ObjectId] = {}
    holders: Counter[int] = Counter()
    for body in bodies:
        thread: ObjectId = body["thread"] if "thread" in body else body["_id"]
        for key in asked.intersection(body["threads"]):
            holders[key] += 1
            # There may be two threads that a message refers to which came later than both: the older one has it.
            known[key] = min(thread, known.get(key, thread))
    placed: list[Document] = []
    for newcomer in newcomers:
        thread = next((known[key] for key in newcomer.keys if key in known), newcomer.body)
        kept = [key for key in newcomer.keys if holders[key] < _ENOUGH]
        holders.update(kept)
        known.update({key: thread for key in newcomer.keys if key not in known})
        placed.append(
            {
                **({} if thread == newcomer.body else {"thread": thread}),
                **({"threads": kept} if kept else {}),
            }
        )
    return placed


async def _bodies(transaction: Transaction, user: ObjectId, keys: Iterable[int]) -> list[Document]:
    return await transaction.find(
        BODIES,
        {"user": user, "threads": {"$in": sorted(keys)}},
        projection={"thread": 1, "threads": 1},
    )


def email_id(row: Document) -> str:
    """EMAILID of a message, by its document."""
    return f"M{row['body']}"


def thread_id(row: Document) -> str:
    """THREADID of a message: one that began a thread, or is older than threads are, is called after itself."""
    return f"T{row.get('thread', row['body'])}"


def named(prefix: str, id: str) -> ObjectId | None:
    """What an EMAILID (prefix M) or a THREADID (T) stands for; None if it is none of ours."""
    if len(id) != 25 or id[0] != prefix or id[1:] != id[1:].lower():
        return None
    return ObjectId(id[1:]) if ObjectId.is_valid(id[1:]) else None
