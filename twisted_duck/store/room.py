"""Memory that is given out in the order in which it is asked for."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from twisted_duck import errors


class Room:
    """Bytes for work that others wait behind where there is more of it than fits."""

    __slots__ = ("_free", "_size", "_waiting")

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._waiting: deque[tuple[Deferred[int], int]] = deque()

    def take(self, size: int) -> Deferred[int]:
        """What was taken, which is to be given back: `size`, or all there is, for who wants more has it alone.  Fails with what
        `refuse` was told.  May be cancelled.
        """
        asked: Deferred[int] = Deferred(self._leave)
        self._waiting.append((asked, min(size, self._size)))
        self._hand_out()
        return asked

    def give_back(self, size: int) -> None:
        self._free += size
        self._hand_out()

    def refuse(self, message: str) -> None:
        """Those who wait now wait for what can't be done: they fail with Unavailable."""
        waiting, self._waiting = self._waiting, deque()
        for asked, _ in waiting:
            # One of its own for each: an error keeps whatever it came through.
            asked.errback(errors.Unavailable(message))

    def _hand_out(self) -> None:
        while self._waiting and self._waiting[0][1] <= self._free:
            asked, size = self._waiting.popleft()
            self._free -= size
            asked.callback(size)

    def _leave(self, asked: Deferred[int]) -> None:
        self._waiting = deque(each for each in self._waiting if each[0] is not asked)
        # Perhaps what stood behind it fits.
        self._hand_out()
