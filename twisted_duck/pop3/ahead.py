"""Reading messages before they are asked for, for a client that takes one after the other.

The first is read alone.  Behind the second in order come twice as many each time, up to a bound in bytes, and while a client
takes these the next ones are read: it waits for the store once more, and then no more.  What is larger than the bound is read
when it is asked for.  Nothing is held for long for a client that does not go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from twisted_duck import errors
from twisted_duck.room import Room


@attrs.frozen
class Bounds:
    """How much may be read before it is asked for, and how long it is held.

    @ivar each: bytes for one connection
    @ivar room: bytes, for all of them
    @ivar held: seconds
    """

    each: int
    room: Room
    held: float
    clock: IReactorTime


class ReadAhead:
    """Messages by their places in a maildrop."""

    def __init__(
        self,
        read: Callable[[range], Awaitable[Mapping[int, Any]]],
        sizes: Sequence[int],
        bounds: Bounds,
    ) -> None:
        """
        @param read: reads the messages at some places; those that are gone are not in what it answers
        """
        self._read = read
        self._sizes = sizes
        self._bounds = bounds
        self._held: dict[int, Any] = {}
        #: What is being read, and the end of that.
        self._coming = range(0)
        self._arrival: Deferred[None] | None = None
        #: The place behind all that was read, and how many were read at once.
        self._next = -1
        self._many = 0
        self._timer: IDelayedCall | None = None
        #: Whether something was taken since the timer was set.
        self._used = False

    async def take(self, place: int) -> Any:
        """The message at a place, None where it is gone; fails as reading it does."""
        self._used = True
        if place in self._coming and self._arrival is not None:
            await self._arrival
        while self._held and (first := next(iter(self._held))) < place:
            self._release(first)
        if place not in self._held:
            if place == self._next and self._arrival is None:
                self._many *= 2
            else:
                self.drop()
                self._many = 1
            await self._bring(self._following(place, self._share - self._sizes[place]))
        found = self._release(place)
        self._go_on()
        return found

    def drop(self) -> None:
        """Nothing is held any more, and nothing comes."""
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.cancel()
        for place in list(self._held):
            self._release(place)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._next, self._many = -1, 0

    @property
    def _share(self) -> int:
        """Bytes that may be read at once: as many are being taken meanwhile."""
        return min(self._bounds.each // 2, self._bounds.room.left)

    def _following(self, place: int, left: int) -> range:
        """The message at a place, and of those behind it what there is room for in so many bytes."""
        stop, last = place + 1, min(place + self._many, len(self._sizes))
        while stop < last and left >= self._sizes[stop]:
            left -= self._sizes[stop]
            stop += 1
        return range(place, stop)

    async def _bring(self, places: range) -> None:
        self._next, self._many = places.stop, len(places)
        size = sum(self._sizes[place] for place in places)
        self._bounds.room.left -= size
        try:
            found = await self._read(places)
        except BaseException:
            self._bounds.room.left += size
            raise
        for place in places:
            # None, where it is gone: that need not be asked again.
            self._held[place] = found.get(place)
        self._watch()

    def _release(self, place: int) -> Any:
        self._bounds.room.left += self._sizes[place]
        return self._held.pop(place)

    def _go_on(self) -> None:
        """Read what comes next, while what there is is taken."""
        start = self._next
        if self._arrival is not None or self._many < 2 or len(self._held) > self._many:
            return
        if start == len(self._sizes) or self._sizes[start] > self._share:
            return
        self._many *= 2
        self._coming = self._following(start, self._share - self._sizes[start])
        arrival = Deferred.fromCoroutine(self._bring(self._coming)).addBoth(self._arrived)
        self._arrival = None if arrival.called else arrival

    def _arrived(self, result: Failure | None) -> None:
        self._arrival = None
        if isinstance(result, Failure):
            # Who asks for it has it read again, and hears what is wrong.
            self._next, self._many = -1, 0
            result.trap(CancelledError, errors.DuckError)

    # --- for so long --------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._bounds.clock.callLater(self._bounds.held, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._used:
            self.drop()
        elif self._held:
            self._used = False
            self._watch()
