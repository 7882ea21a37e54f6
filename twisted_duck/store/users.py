"""All users, for what takes its time with each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from bson.objectid import ObjectId

from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import USERS

#: Users that are asked for at a time.
_AT_ONCE = 500
#: Seconds that such a question may take.
_TIME = 60.0


async def every_user(mongo: Mongo, above: ObjectId | None = None) -> AsyncIterator[ObjectId]:
    """The IDs of all users, or of those above one, ascending.  Fails with Unavailable.

    What is done for some may take hours, and the server forgets a cursor after ten minutes: each question is a new one.
    """
    filter: Document = {} if above is None else {"_id": {"$gt": above}}
    while found := await mongo.find(
        USERS, filter, projection={"_id": 1}, sort={"_id": 1}, limit=_AT_ONCE, time=_TIME
    ):
        for document in found:
            yield document["_id"]
        filter = {"_id": {"$gt": found[-1]["_id"]}}
