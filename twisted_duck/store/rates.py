"""Token buckets of all processes: what `twisted_duck.policies.SharedRate` asks.

    rates       _id: the bucket, full: milliseconds since 1970, until

`full` is when the bucket will be full again, by the database's clock; each token that is taken moves it on by the time in
which one comes.  A bucket that is full is not there.

**How much that can be.**  A bucket is there from a connection until it is full again, and for the minute or two that MongoDB
takes to notice: for the default of three masks and 60 seconds three buckets of 200 octets for each connection of the last
three minutes, which is 10 MiB for every hundred connections a second, whatever an attacker has of addresses.  From one
network they are fewer, because it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from zope.interface import implementer

from twisted_duck.interfaces import IRates
from twisted_duck.limits import Limits
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.failures import DUPLICATE_KEY, FAILURES, CommandFailed, translate
from twisted_duck.store.schema import RATES
from twisted_duck.values import Bucket

#: Seconds of connections may be lost in a fail-over.
_CONCERN: Final[Document] = {"w": 1}
_NOW: Final[Document] = {"$toLong": "$$NOW"}
#: When the bucket will be full, if nothing is taken; one that is not there has been full for ever.
_FULL: Final[Document] = {"$max": ["$full", _NOW]}


@implementer(IRates)
class StoreRates:
    def __init__(self, mongo: Mongo, limits: Limits) -> None:
        self._mongo = mongo
        self._answer = limits.policy_answer

    async def take(self, buckets: Sequence[Bucket]) -> int | None:
        end = self._mongo.reactor.seconds() + self._answer
        for index, bucket in enumerate(buckets):
            if not await self._take(bucket, end):
                for other in buckets[:index]:
                    await self._give_back(other, end)
                return index
        return None

    async def _take(self, bucket: Bucket, end: float) -> bool:
        interval = _interval(bucket)
        # A little more than there is room for, for what was lost in adding up.
        room = (bucket.size - 0.999) * interval
        update: list[Document] = [
            {"$set": {"took": {"$lte": [{"$subtract": [_FULL, _NOW]}, room]}}},
            {"$set": {"full": {"$cond": ["$took", {"$add": [_FULL, interval]}, "$full"]}}},
            {"$set": {"until": {"$toDate": {"$ceil": "$full"}}}},
        ]
        return bool((await self._change(bucket, update, end))["took"])

    async def _give_back(self, bucket: Bucket, end: float) -> None:
        less = [{"$set": {"full": {"$subtract": ["$full", _interval(bucket)]}}}]
        await self._change(bucket, less, end, upsert=False)

    async def _change(
        self, bucket: Bucket, update: list[Document], end: float, upsert: bool = True
    ) -> Document:
        """Sent once: a second one would take a second token."""
        command = {
            "findAndModify": RATES,
            "query": {"_id": f"{bucket.key} {bucket.size}/{bucket.seconds:g}"},
            "update": update,
            "upsert": upsert,
            "new": True,
            "fields": {"_id": 0, "took": 1},
            "writeConcern": _CONCERN,
        }
        while True:
            try:
                reply = await self._mongo.send(
                    command, time=max(end - self._mongo.reactor.seconds(), 0.01)
                )
            except FAILURES as error:
                # Another process made it between our looking and our making it; nothing was changed, and now it is there.
                if isinstance(error, CommandFailed) and error.code == DUPLICATE_KEY:
                    continue
                raise translate(error) from None
            return reply.get("value") or {}


def _interval(bucket: Bucket) -> float:
    """Milliseconds in which a token comes."""
    return bucket.seconds * 1000 / bucket.size
