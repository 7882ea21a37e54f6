"""Work that many want done at the same time, and that is done piece by piece."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime


class Turns:
    """One piece in each turn of the reactor: who waits for the database, or is somebody else's client, need not wait until all of
    them are done.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[Deferred[None]] = deque()
        #: Whether there was a piece in this turn.
        self._taken = False

    def mine(self) -> Deferred[None]:
        """Fires when it is the caller's turn: at once for the first one, then in the order of their asking."""
        if not self._taken:
            self._take()
            return succeed(None)
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        return turn

    def _take(self) -> None:
        self._taken = True
        self._clock.callLater(0, self._next)

    def _next(self) -> None:
        self._taken = False
        if self._waiting:
            self._take()
            self._waiting.popleft().callback(None)
