"""What MongoDB alone takes for an APPEND, one after another: the most that any program on it could do.

    python -m benchmarks.floor [--times 1000]

The commands of one APPEND (`store/changes.py`) of a message of 3.8 KB to an embedded MongoDB, by a client that blocks and does
nothing else; no message is looked at, no session is served.  Then a single document, in no transaction, that is as durable.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from bson.objectid import ObjectId
from pymongo import MongoClient, ReturnDocument, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from benchmarks.large import database
from twisted_duck.store.schema import BODIES, MAILBOXES, MESSAGES, USERS

_DURABLE = WriteConcern("majority", j=True)
#: Bytes of a body, and of what stands with the message.
_BODY, _ROW = 3_800, 600


def prepare(there: Database[Any], user: ObjectId) -> None:
    there[USERS].insert_one({"_id": user, "name": "floor", "used": 0})
    there[MAILBOXES].insert_one({"user": user, "path": "INBOX", "modseq": 1, "uidnext": 1})


def append(there: Database[Any], session: ClientSession, user: ObjectId, key: int) -> None:
    """One transaction, as the store makes it."""
    with session.start_transaction(ReadConcern("snapshot"), _DURABLE):
        mailbox = there[MAILBOXES].find_one_and_update(
            {"user": user, "path": "INBOX"},
            {"$inc": {"modseq": 1, "uidnext": 1}},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        there[USERS].find_one_and_update({"_id": user}, {"$inc": {"used": _BODY}}, session=session)
        list(there[BODIES].find({"user": user, "threads": {"$in": [key]}}, session=session))
        body = {"_id": ObjectId(), "user": user, "rope": bytes(_BODY), "threads": [key]}
        there[BODIES].insert_one(body, session=session)
        row = {"user": user, "box": mailbox["_id"], "body": body["_id"], "row": bytes(_ROW)}
        row |= {"uid": mailbox["uidnext"], "modseq": mailbox["modseq"]}
        there[MESSAGES].insert_one(row, session=session)


def single(there: Database[Any], session: ClientSession, user: ObjectId, key: int) -> None:
    bodies = there.get_collection(BODIES, write_concern=_DURABLE)
    bodies.insert_one({"_id": ObjectId(), "user": user, "rope": bytes(_BODY)})


def measured(work: Callable[[int], None], times: int) -> list[float]:
    """Seconds of each."""
    taken = []
    for number in range(times):
        began = time.perf_counter()
        work(number)
        taken.append(time.perf_counter() - began)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1_000, metavar="N")
    given = parser.parse_args()
    user = ObjectId()
    with database() as uri, MongoClient(uri) as client, client.start_session() as session:
        there = client.get_default_database()
        prepare(there, user)
        for name, do in (("a transaction", append), ("one document", single)):
            measured(lambda key, do=do: do(there, session, user, key), 50)
            taken = measured(lambda key, do=do: do(there, session, user, key), given.times)
            print(f"{name:<15}{given.times / sum(taken):>7,.0f}/s {1000 * median(taken):>7.2f} ms")


if __name__ == "__main__":
    main()
