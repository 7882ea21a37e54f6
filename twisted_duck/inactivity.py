"""The one owner of a connection's time-outs.

Three things can be waited for, and each has its own patience:

* **login**: counted from the start of the connection, so that a byte now and then does not extend it;
* **a command**: counted from the end of the last one.  It is held while a command is worked on;
* **the client's reading**: after login, while an answer waits for it, what counts is that it takes something now and then.

`expired(reason)` is called once, with a line for the log and the client.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: How often it is looked at whether a client reads, in the time that it may take without.
_LOOKS = 5


class Inactivity:
    """Ends a connection that nobody uses, and never one whose client is working."""

    __slots__ = (
        "_call",
        "_clock",
        "_command",
        "_expired",
        "_idle_since",
        "_last_progress",
        "_progress",
        "_reading",
        "_stuck",
        "_watch",
    )

    def __init__(
        self,
        clock: IReactorTime,
        expired: Callable[[str], None],
        *,
        login: float,
        command: float,
        reading: float,
        progress: Callable[[], int | None],
    ) -> None:
        """
        @param login, command, reading: seconds
        @param progress: a number that grows whenever the client takes something of an answer that waits for it, or
            None while no answer waits
        """
        self._clock = clock
        self._expired = expired
        self._command = command
        self._reading = reading
        self._progress = progress
        self._last_progress: int | None = None
        #: How often nothing was taken since.
        self._stuck = 0
        self._idle_since: float | None = clock.seconds()
        self._call: IDelayedCall | None = clock.callLater(login, self._login_expired)
        # Before login there is an end in any case, and a timer less for each of those who never get there.
        self._watch: IDelayedCall | None = None

    def logged_in(self) -> None:
        """From now on what counts is the time between commands."""
        if self._call is not None:
            self._call.cancel()
            self._call = self._clock.callLater(self._command, self._command_expired)
            self._look_later()

    def working(self) -> None:
        """A command is being worked on."""
        self._idle_since = None

    @property
    def is_working(self) -> bool:
        return self._idle_since is None

    @property
    def waited(self) -> float:
        """Seconds since `idle` or `received`, whichever was last; infinite while a command is worked on."""
        idle_since = self._idle_since
        return inf if idle_since is None else self._clock.seconds() - idle_since

    def idle(self) -> None:
        """The command is done, or is one that waits for the client."""
        if self._idle_since is None:
            self._idle_since = self._clock.seconds()

    def received(self) -> None:
        """The client has sent something, though not a whole command yet."""
        if self._idle_since is not None:
            self._idle_since = self._clock.seconds()

    def stop(self) -> None:
        for call in (self._call, self._watch):
            if call is not None and call.active():
                call.cancel()
        self._call = self._watch = None

    def _end(self, reason: str) -> None:
        self.stop()
        self._expired(reason)

    def _login_expired(self) -> None:
        self._end("no login in time")

    def _command_expired(self) -> None:
        """Look whether the time is really over: moving a timer at every command would cost more than this."""
        idle_since = self._idle_since
        left = self._command
        if idle_since is not None and self._progress() is None:
            left = idle_since + self._command - self._clock.seconds()
            if left <= 0:
                self._end("idle for too long")
                return
        self._call = self._clock.callLater(left, self._command_expired)

    def _look_later(self) -> None:
        self._watch = self._clock.callLater(self._reading / _LOOKS, self._check_reading)

    def _check_reading(self) -> None:
        progress = self._progress()
        if progress is None or progress != self._last_progress:
            self._last_progress = progress
            self._stuck = 0
        else:
            self._stuck += 1
            if self._stuck == _LOOKS:
                self._end("the client does not read")
                return
        self._look_later()
