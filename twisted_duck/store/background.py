"""Work that nobody waits for, and that the end of the store ends."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_duck import errors

log = Logger()

#: Seconds between two pieces of it, at the most.
_LONGEST_REST = 10.0


async def rest(reactor: Any, seconds: float) -> None:
    """Between two pieces of it: so long as was found out by the clock, which may have been set, forward or back, meanwhile."""
    await deferLater(reactor, min(max(0.0, seconds), _LONGEST_REST))


class Background:
    """
    @param who: whose work it is, for the log
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._busy: set[Deferred[Any]] = set()
        self._closed = False

    def open(self) -> None:
        """It may begin (again)."""
        self._closed = False

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Start it, unless it is too late.  What fails is done again at another time by somebody else."""
        if self._closed:
            work.close()
            return
        running: Deferred[Any] = Deferred.fromCoroutine(work)
        self._busy.add(running)

        def over(result: object) -> None:
            self._busy.discard(running)
            if not isinstance(result, Failure) or result.check(CancelledError, errors.Unavailable):
                return
            if result.check(errors.DuckError):
                # Why is in the log; the next run finds what is left.
                log.warn("{who} gave up: {error}", who=self._who, error=str(result.value))
            else:
                log.failure("{who} failed", result, who=self._who)

        running.addBoth(over)

    def close(self) -> None:
        self._closed = True
        for each in list(self._busy):
            each.cancel()
