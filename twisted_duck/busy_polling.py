"""Keeping the reactor awake for a moment, where a client is likely to go on at once.

A process that sleeps in `epoll_wait` is woken by whoever sends to it: on a virtual machine that takes longer, on both sides,
than all that is done for a short command.  So the reactor looks again a few times before it sleeps, as network drivers
and hypervisors do (busy polling), but only behind an answer to what came at once, too: not between the pieces of a message,
nor behind news.  Nobody waits for that: whatever else there is for the reactor to do is done in the same turns.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Seconds in which a client that has its answer has to go on, to be one that is waited for in this way.
QUICK = 0.0002
#: Turns of the reactor without a sleep, of four to eight microseconds each where there is nothing to do: as long as that, about.
_TURNS = 32


class BusyPolling:
    """What the connections of a factory share: of several that go on at once, the last one counts."""

    __slots__ = ("_call", "_clock", "_left")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._left = 0
        self._call: IDelayedCall | None = None

    def begin(self) -> None:
        """A client that is quick has its answer."""
        self._left = _TURNS
        if self._call is None:
            self._turn()

    def end(self) -> None:
        """It has gone on: what is waited for now may not be the client."""
        self._left = 0

    def stop(self) -> None:
        """A connection is over, and leaves nothing behind.  Others begin anew with their next answers."""
        self._left = 0
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _turn(self) -> None:
        self._call = None
        if self._left:
            self._left -= 1
            # A call that is due keeps the reactor from sleeping, whichever reactor it is.
            self._call = self._clock.callLater(0, self._turn)
