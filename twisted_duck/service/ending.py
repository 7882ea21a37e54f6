"""The end of the process: what it says last, and its exit status."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

log = Logger()


class Ending:
    """Ends the process with one line and exit status 1, whenever it is called, and with status 0 at SIGTERM.

    `twistd` ends with status 0 once the reactor has run, and has no means to say otherwise.  What is left is the
    interpreter's own end, after `twistd` has cleaned up behind itself; to be made early, so that it comes last there.

    At SIGTERM the reactor notes the signal, and `twistd` ends by it once more when everything is put away, which looks to
    whoever has sent it as if nothing had been.  So it is heard here, after the reactor's own handler is there.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._failed = False
        atexit.register(self._leave)
        reactor.callWhenRunning(self._hear)

    def __call__(self, fault: Exception) -> None:
        if not self._failed:
            self._failed = True
            log.critical("duckmail: {fault}", fault=fault)
            # Services are started before the reactor runs.
            self._reactor.callWhenRunning(self._stop)

    def _hear(self) -> None:
        with suppress(ValueError):
            # In a thread that hears of no signals somebody else sees to them.
            signal.signal(signal.SIGTERM, self._terminated)

    def _terminated(self, number: int, frame: object) -> None:
        # Between any two instructions: the reactor has to find its own time.
        self._reactor.callFromThread(self._end)

    def _end(self) -> None:
        log.info("ended by SIGTERM")
        self._stop()

    def _stop(self) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            # It is stopping already.
            pass

    def _leave(self) -> None:
        if self._failed:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
