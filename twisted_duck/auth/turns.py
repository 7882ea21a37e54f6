"""A few at a time, in the order in which they came."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

#: Turns that are given one after another before the reactor has its own: many may end as soon as they begin.
_AT_ONCE = 20


class Turns:
    """`await turns.take()`, and `turns.give_back()` when it is done.  Who is cancelled while waiting has no turn.

    Whoever gives a turn back at once, as the next one may, makes no call stack deeper.
    """

    def __init__(self, reactor: IReactorFromThreads, count: int) -> None:
        self._reactor = reactor
        self._free = count
        self._waiting: deque[Deferred[None]] = deque()
        self._giving = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(turn)
        self._give()
        return turn

    def give_back(self) -> None:
        self._free += 1
        self._give()

    def _give(self) -> None:
        if self._giving:
            return
        self._giving = True
        try:
            for _ in range(_AT_ONCE):
                if not self._free or not self._waiting:
                    return
                self._free -= 1
                self._waiting.popleft().callback(None)
        finally:
            self._giving = False
        self._reactor.callFromThread(self._give)
