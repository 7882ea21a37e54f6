"""Server-side sessions, each of which has one transaction after the other, whoever's they are.

Of those that nobody ends the server keeps a million, for half an hour, and makes no more: so they are used again, however
a transaction ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_duck.store.abandoned import session_id
from twisted_duck.store.driver import Document, Wire
from twisted_duck.store.failures import FAILURES

if TYPE_CHECKING:
    from twisted_duck.store.connection import Mongo

#: Seconds after which a session is not used again: the server forgets it after 30 minutes.
_KEPT: Final = 20 * 60
#: Attempts, a second apart, to tell the server to end a transaction; after a minute it does so by itself.
_ATTEMPTS: Final = 60


@attrs.define
class Lease:
    """A session for as long as somebody has it: what a transaction is known by."""

    id: Document
    #: Of the last transaction that was tried.
    number: int = 0
    used: float = 0.0
    #: Whether the server may have heard of a transaction since somebody took it.
    began: bool = False


class Leases:
    """Those of one L{Mongo}."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._free: list[Lease] = []
        #: Those whose transactions are being ended in the background.
        self._leaving: set[Deferred[None]] = set()

    @property
    def leaving(self) -> int:
        """How many have a transaction that is being ended."""
        return len(self._leaving)

    def take(self) -> Lease:
        while self._free:
            lease = self._free.pop()
            if self._mongo.reactor.seconds() - lease.used < _KEPT:
                return lease
        return Lease({"id": session_id(self._mongo.target.database)})

    def give_back(self, lease: Lease) -> None:
        """Nothing of it is under way any more."""
        lease.began = False
        lease.used = self._mongo.reactor.seconds()
        self._free.append(lease)

    def leave(self, lease: Lease, wire: Wire | None) -> None:
        """See to it, in the background, that no transaction keeps its locks longer than it takes to reach the server: the last
        one that was tried may never have reached it, and one before may have got stuck.  Then somebody else has the session.

        @param wire: what the commands of the last one went over
        """
        if not lease.began:
            self.give_back(lease)
            return
        leaving = Deferred.fromCoroutine(self._end(lease, wire))
        self._leaving.add(leaving)

        def left(result: object) -> None:
            self._leaving.discard(leaving)
            if isinstance(result, Failure):
                result.trap(CancelledError)

        leaving.addBoth(left)

    def close(self) -> None:
        """What is being ended is left to the server."""
        for leaving in list(self._leaving):
            leaving.cancel()

    async def _end(self, lease: Lease, wire: Wire | None) -> None:
        for _ in range(_ATTEMPTS):
            if not self._mongo.is_open:
                return
            if await self._kill(lease, wire):
                self.give_back(lease)
                return
            await deferLater(self._mongo.reactor, 1.0)

    async def _kill(self, lease: Lease, wire: Wire | None) -> bool:
        """Whether the server has ended whatever the session has: of the transactions that were tried one after another, it
        may not have heard of the last ones.  Now, and behind whatever it has not answered on their own connection, which might
        begin one anew.
        """
        try:
            await self._mongo.send({"killSessions": [lease.id]}, "admin")
            if wire is not None and wire.busy and not wire.is_lost:
                await self._mongo.send({"killSessions": [lease.id]}, "admin", wire=wire)
        except FAILURES:
            return False
        return True
