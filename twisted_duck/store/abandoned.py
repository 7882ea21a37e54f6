"""Transactions that nobody will end: their process was killed, or its machine went away, in the middle.

MongoDB keeps such a transaction, and with it everything the user's other changes need, for a minute
(`transactionLifetimeLimitSeconds`).  Whoever has met nothing but conflicts for a while looks here for what is in the way.

How it is known: each entry of `$currentOp` says for how many microseconds a transaction has been active and inactive, in
all.  If between two looks the active ones stayed as they were and the inactive ones grew by the bound, then its process
has sent nothing for as long, by the server's clock.  One look would not tell: a transaction of many commands is inactive
for seconds in all, without ever having stood still.

What is ended: only sessions with the mark of this database, which `session_id` puts into them, so that other programs with
the same credentials are left alone.  `$currentOp` without `allUsers`, and `killSessions` of one's own sessions, need no
privilege beyond having logged in.

What if its process lives after all (it was suspended, or is on a very slow line): its next command, or its commit, fails
with NoSuchTransaction, and it runs its transaction again, as after any conflict.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
from bson.binary import UUID_SUBTYPE, Binary
from twisted.logger import Logger

from twisted_duck.store.driver import Document

log = Logger()

#: Seconds from one look to the next, however many transactions of this process wait.
_PACE: Final = 1.0
#: Transactions that are looked at: more can't be in one user's way, and the answer stays below 1 MiB.
_MOST: Final = 1_000
#: Bytes of a session's id that say which database it is for; ten random ones remain.
_MARK: Final = 6


def session_id(database: str) -> Binary:
    """A new session's id: a UUID that says which database it is for."""
    return Binary(_mark(database) + uuid.uuid4().bytes[_MARK:], UUID_SUBTYPE)


def _mark(database: str) -> bytes:
    return hashlib.sha256(b"twisted duck\0" + database.encode()).digest()[:_MARK]


@attrs.frozen
class _Standing:
    """How far a transaction was at a look."""

    number: int
    active: int
    inactive: int

    def with_shard(self, other: _Standing) -> _Standing:
        """The same transaction on two shards: it stands still if it does on both."""
        return _Standing(
            max(self.number, other.number),
            self.active + other.active,
            min(self.inactive, other.inactive),
        )


class Abandoned:
    """Looks for abandoned transactions on a database, and ends them."""

    def __init__(
        self,
        send: Callable[[Document], Awaitable[Document]],
        refusals: tuple[type[Exception], ...],
        seconds: Callable[[], float],
        database: str,
        idle: float,
    ) -> None:
        """
        @param send: sends a command to the database `admin`, once and in bounded time
        @param refusals: what that may fail with
        @param idle: seconds without a command, after which a transaction is abandoned
        """
        self._send = send
        self._refusals = refusals
        self._seconds = seconds
        self._idle = int(idle * 1e6)
        mark = _mark(database)
        rest = 16 - _MARK
        ours = {
            "$gte": Binary(mark + b"\x00" * rest, UUID_SUBTYPE),
            "$lte": Binary(mark + b"\xff" * rest, UUID_SUBTYPE),
        }
        self._pipeline: list[Document] = [
            {"$currentOp": {"allUsers": False, "idleConnections": False, "idleSessions": True}},
            {"$match": {"transaction": {"$exists": True}, "lsid.id": ours}},
            {"$project": {"lsid.id": 1, "transaction": 1}},
            {"$limit": _MOST},
        ]
        #: By session, where each transaction was first seen to stand as it does.
        self._standing: dict[Binary, _Standing] = {}
        self._next_look = 0.0
        self._complained = False

    async def end(self) -> None:
        """Look, unless that was just done, and end what stood still for too long.  Never fails."""
        now = self._seconds()
        if now < self._next_look:
            return
        self._next_look = now + _PACE
        try:
            if sessions := await self._look():
                await self._send({"killSessions": [{"id": each} for each in sessions]})
                log.warn(
                    "{count} transactions in the database stood still, were in the way, and were ended:"
                    " a server process was killed or suspended",
                    count=len(sessions),
                )
        except self._refusals as error:
            if not self._complained:
                self._complained = True
                log.info("can't look for abandoned transactions: {error}", error=str(error))

    async def _look(self) -> list[Binary]:
        command = {
            "aggregate": 1,
            "pipeline": self._pipeline,
            "cursor": {"batchSize": _MOST},
        }
        found: dict[Binary, _Standing] = {}
        for entry in (await self._send(command))["cursor"]["firstBatch"]:
            session, transaction = entry["lsid"]["id"], entry["transaction"]
            standing = _Standing(
                int(transaction.get("parameters", {}).get("txnNumber", 0)),
                int(transaction.get("timeActiveMicros", 0)),
                int(transaction.get("timeInactiveMicros", 0)),
            )
            other = found.get(session)
            found[session] = standing.with_shard(other) if other else standing
        abandoned = []
        for session, now in found.items():
            before = self._standing.get(session)
            if before is None or (before.number, before.active) != (now.number, now.active):
                continue
            if now.inactive - before.inactive >= self._idle:
                abandoned.append(session)
            found[session] = before
        self._standing = found
        return abandoned
