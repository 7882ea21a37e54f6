"""Run as a program by `workers`: one of several processes that serve the same ports.

    stdin       a line of JSON that says what to do; its end is the end of whoever has started us, and ours
    stdout      lines of JSON: `ready` once it listens, `level` and `text` of what is logged, `fault` as the last words
    stderr      what is written there by others

It ends with status 0 when it was told to, by SIGTERM, and with 1 when it could not start or go on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    globalLogBeginner,
)
from zope.interface import provider

from twisted_duck.service.config import Settings
from twisted_duck.service.fault import Fault
from twisted_duck.service.options import Options
from twisted_duck.service.server import Server
from twisted_duck.service.sharing import SharingReactor, of_worker


class _Parent(Protocol):
    """Whoever has started us: when it is gone, so are we."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone

    def connectionLost(self, reason: object = None) -> None:
        self._gone()


class Worker:
    """
    @param number: from 1
    @param uri: the MongoDB of all workers
    """

    def __init__(self, reactor: Any, options: Options, number: int, uri: str) -> None:
        self._reactor = reactor
        self._options = options
        self._number = number
        self._uri = uri
        self.status = 0

    def settings(self) -> Settings:
        return of_worker(self._options.settings(), self._number, self._uri)

    def first_settings(self) -> Settings:
        return of_worker(self._options.first_settings(), self._number, self._uri)

    def run(self) -> None:
        try:
            # Here, for what is imported takes time, and the parent waits for nobody else.
            from twisted_duck.service.maker import open_store, spare_collector

            def ready() -> None:
                spare_collector()
                say(ready=True)

            server = Server(
                self._reactor,
                self.first_settings(),
                open_store,
                self.end,
                self.settings,
                listening=SharingReactor(self._reactor),
                ready=ready,
            )
        except Fault as fault:
            self.end(fault)
            return
        reactor = self._reactor
        reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
        reactor.callWhenRunning(server.startService)
        reactor.callWhenRunning(StandardIO, _Parent(self._stop))
        # Later than the reactor, which has a handler of its own.
        reactor.callWhenRunning(signal.signal, signal.SIGTERM, self._terminated)
        # Ctrl-C in a terminal is for all processes: the parent ends us when it is time.
        reactor.callWhenRunning(signal.signal, signal.SIGINT, signal.SIG_IGN)
        reactor.run()

    def end(self, fault: Exception) -> None:
        if not self.status:
            self.status = 1
            say(fault=str(fault))
            self._stop()

    def _terminated(self, number: int, frame: object) -> None:
        # Where all of a group are told, the parent tells us once more.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Between any two instructions: the reactor has to find its own time.
        self._reactor.callFromThread(self._stop)

    def _stop(self) -> None:
        """It may be stopping already, or not have begun."""
        with suppress(ReactorNotRunning):
            self._reactor.stop()


def say(**what: object) -> None:
    """Tell the parent; if there is none any more, that will be noticed elsewhere."""
    line = json.dumps(what).encode() + b"\n"
    with suppress(OSError):
        while line:
            line = line[os.write(_OUT, line) :]


#: A copy of stdout, that only `say` has.
_OUT = 1


@provider(ILogObserver)
def _log(event: LogEvent) -> None:
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    level: Any = event.get("log_level", LogLevel.info)
    if text:
        say(level=level.name, text=text)


def _first_line() -> bytes:
    """Of stdin, and not a byte more: the rest is for the reactor."""
    line = b""
    while not line.endswith(b"\n"):
        some = os.read(0, 1)
        if not some:
            raise SystemExit(1)
        line += some
    return line


def main() -> None:
    global _OUT
    task = json.loads(_first_line())
    # StandardIO takes 0 and 1, and what is printed must not look like ours.
    _OUT = os.dup(1)
    os.dup2(2, 1)
    if "LISTEN_FDS" in os.environ:
        # They were meant for the parent, which has given them on.
        os.environ["LISTEN_PID"] = str(os.getpid())
    observer = FilteringLogObserver(_log, [LogLevelFilterPredicate(LogLevel.info)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    from twisted.internet import reactor

    worker = Worker(reactor, Options.unpacked(task["options"]), task["number"], task["uri"])
    worker.run()
    sys.stderr.flush()
    raise SystemExit(worker.status)


if __name__ == "__main__":
    main()
