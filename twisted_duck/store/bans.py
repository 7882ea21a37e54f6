"""Bans of all processes, and the failed logins that lead to them: what `twisted_duck.policies.SharedBans` asks.

The clock is the database's alone, so that processes whose clocks differ mean the same by a ban.  Nothing here is lost by a
command that is sent twice.

    bans        _id: the network, reason, until
    attempts    _id: the network, tried: [hash, ...], until

**How much that can be.**  A network is in `attempts` for as long as the window of its policy, and got there by a password
that was hashed: 40 a second in one process at the default (`limits.hashing_threads`), so some 150,000 networks an hour for
each process, of up to 400 octets, whatever an attacker has of addresses.  Proofs of SCRAM cost the server less: there it is
as many networks as can do a TLS handshake, some hundred a second, of 150 octets.  In `bans` there is one for every twenty
attempts of those, or whatever the policy's mask says.  MongoDB removes what is over within a minute or two.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.interfaces import IBans
from twisted_duck.limits import Limits
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import ATTEMPTS, BANS, SECRETS
from twisted_duck.store.transaction import MAJORITY
from twisted_duck.values import Ban

_SECRET = 16
#: Bans that are read at a time.
_AT_ONCE = 1_000

#: Seconds of the longest ban: a hundred years, which is a time that Python still has a date for.
_LONGEST = 100 * 365 * 86_400

_IN_FORCE: Final[Document] = {"$gt": ["$until", "$$NOW"]}


def _later(seconds: float) -> Document:
    return {"$add": ["$$NOW", round(min(seconds, _LONGEST) * 1000)]}


@implementer(IBans)
class StoreBans:
    def __init__(self, mongo: Mongo, limits: Limits) -> None:
        self._mongo = mongo
        self._answer = limits.policy_answer
        self._secret: bytes | None = None

    async def secret(self) -> bytes:
        if self._secret is None:
            new = {"$setOnInsert": {"key": secrets.token_bytes(_SECRET)}}
            found = await self._set(SECRETS, "attempts", new, writeConcern=MAJORITY)
            self._secret = bytes(found["key"])
        return self._secret

    async def failed(self, network: str, attempt: bytes, window: float) -> int:
        count = [
            {"$set": {"tried": {"$cond": [_IN_FORCE, "$tried", []]}}},
            {
                "$set": {
                    "tried": {"$setUnion": ["$tried", [attempt]]},
                    "until": {"$cond": [_IN_FORCE, "$until", _later(window)]},
                }
            },
        ]
        # What a fail-over loses of them are some attempts.
        return len((await self._set(ATTEMPTS, network, count, writeConcern={"w": 1}))["tried"])

    async def ban(self, network: str, reason: str, seconds: float) -> Ban:
        new = [{"$set": {"reason": {"$literal": reason}, "until": _later(seconds)}}]
        ban = _ban(await self._set(BANS, network, new, writeConcern=MAJORITY))
        await self._delete(ATTEMPTS, [network])
        return ban

    async def find(self, network: str) -> Ban | None:
        reply = await self._mongo.run(
            {
                "find": BANS,
                "filter": {"_id": network, "$expr": _IN_FORCE},
                "limit": 1,
                "singleBatch": True,
            },
            time=self._answer,
        )
        found = reply["cursor"]["firstBatch"]
        return _ban(found[0]) if found else None

    async def all(self) -> AsyncIterator[Ban]:
        async for batch in self._mongo.batches(
            BANS, {"$expr": _IN_FORCE}, sort={"until": 1}, batchSize=_AT_ONCE
        ):
            for each in batch:
                yield _ban(each)

    async def lift(self, network: IPv4Network | IPv6Network) -> list[Ban]:
        # As many as an administrator reads to find the one that is to be lifted.
        lifted = [ban async for ban in self.all() if _overlap(network, ban.network)]
        for at in range(0, len(lifted), _AT_ONCE):
            names = [ban.network for ban in lifted[at : at + _AT_ONCE]]
            await self._delete(ATTEMPTS, names)
            await self._delete(BANS, names)
        return lifted

    async def _set(self, collection: str, name: str, update: Any, **options: Any) -> Document:
        command = {
            "findAndModify": collection,
            "query": {"_id": name},
            "update": update,
            "upsert": True,
            "new": True,
            **options,
        }
        try:
            reply = await self._mongo.run(command)
        except errors.AlreadyExists:
            # Another process made it between our looking and our making it: now it is there.
            reply = await self._mongo.run(command)
        value: Document = reply["value"]
        return value

    async def _delete(self, collection: str, names: list[str]) -> None:
        await self._mongo.run(
            {
                "delete": collection,
                "deletes": [{"q": {"_id": {"$in": names}}, "limit": 0}],
                "writeConcern": MAJORITY,
            }
        )


def _ban(document: Document) -> Ban:
    return Ban(document["_id"], document["reason"], document["until"].timestamp())


def _overlap(one: IPv4Network | IPv6Network, other: str) -> bool:
    network: Any = ip_network(other)
    return network.version == one.version and bool(network.overlaps(one))
