"""Several processes that serve the same ports, and one, this one, that looks after them.

    parent      the embedded MongoDB, the certificate that it makes, the log; starts workers, and another for one that died
    worker 1    a whole server, with the demo account, and with what listens on anything but TCP
    others      the same without these

TCP ports are shared by SO_REUSEPORT (`sharing`): each worker listens for itself, and whoever connects comes to one of them.
When a worker dies its connections are lost and nobody else's; the next one is started a second later, and later each time
it dies soon again.  The first one has to come up before there are others, so that what the database or the data directory
needs at first is done by one process, and what can't work ends at once.

SIGHUP is passed on, and each worker reads the configuration again; one that takes the place of another begins with what the
first ones have read, and hears of SIGHUP then if they did, so that all serve the same.  At the end all of them are told to stop, then MongoDB.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import (
    Deferred,
    DeferredList,
    FirstError,
    gatherResults,
)
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from twisted_duck.limits import Limits
from twisted_duck.service.certificate import self_signed
from twisted_duck.service.config import Settings
from twisted_duck.service.datadir import DataDir
from twisted_duck.service.fault import Fault
from twisted_duck.service.sharing import check_shared, take_free
from twisted_duck.service.starting import StartingService

log = Logger()

#: Seconds until a worker that died is replaced; twice as many each time, up to the second number.
PAUSE = 1.0
LONGEST_PAUSE = 60.0
#: Seconds that a worker must have lived to be replaced as fast as the first one.
SOUND = 60.0
#: Seconds beyond all that a server waits for at its end, before a worker is killed.
_MARGIN = 5.0
#: Bytes of a line of a worker's log.
_LINE = 64 * 1024
#: The first of the sockets that systemd gives.
_LISTEN_FDS_START = 3


class _Process(ProcessProtocol):
    """One run of one worker."""

    def __init__(self, name: str, task: dict[str, Any], began: float) -> None:
        self.name = name
        self.began = began
        self._task = task
        self._said = b""
        self._hung_up = False
        #: Fires when it listens, fails with Fault if it ends before.
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()
        #: Why it ended.
        self.fault: Fault | None = None

    def connectionMade(self) -> None:
        # Left open: its end would be the worker's.
        self.transport.write(json.dumps(self._task).encode() + b"\n")  # type: ignore[union-attr]

    def signal(self, number: int) -> None:
        # It may be gone although its pipes are not closed yet: those behind it have to hear of it all the same.
        with suppress(ProcessExitedAlready):
            if self.transport is not None and not self.ended.called:
                self.transport.signalProcess(number)

    def hang_up(self) -> None:
        """It may have read the configuration already, and have no handler yet."""
        if self.ready.called:
            self.signal(signal.SIGHUP)
        else:
            self._hung_up = True

    def outReceived(self, data: bytes) -> None:
        *lines, rest = (self._said + data).split(b"\n")
        for line in lines:
            self._heard(line)
        self._said = rest[-16 * _LINE :]

    def errReceived(self, data: bytes) -> None:
        for line in data.decode("utf-8", "replace").splitlines():
            self._log(LogLevel.warn, line)

    def _heard(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            # The end of a line that was too long.
            self._log(LogLevel.warn, line[:_LINE].decode("utf-8", "replace"))
            return
        if "fault" in said:
            self.fault = Fault(f"{self.name}: {said['fault']}")
        elif "ready" in said:
            self.ready.callback(None)
            if self._hung_up:
                self.signal(signal.SIGHUP)
        else:
            self._log(LogLevel.lookupByName(said["level"]), said["text"])

    def _log(self, level: Any, text: str) -> None:
        log.emit(level, "{worker}: {text}", worker=self.name, text=text[:_LINE])

    def processEnded(self, reason: Failure) -> None:
        end: Any = reason.value
        how = f"signal {end.signal}" if end.signal else f"status {end.exitCode}"
        self._end(f"{self.name} ended with {how}")

    def not_started(self, error: OSError) -> None:
        self._end(f"{self.name}: cannot start {sys.executable}: {error.strerror}")

    def _end(self, why: str) -> None:
        self.fault = self.fault or Fault(why)
        if not self.ready.called:
            self.ready.errback(self.fault)
        self.ended.callback(None)


class Workers(StartingService):
    """
    @param task: what a worker is told, besides `number` and `uri`
    @param end: told, once, why it could not start or cannot go on
    @raise ConfigError: there is nothing that several processes could listen on
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        task: dict[str, Any],
        end: Callable[[Exception], None],
    ) -> None:
        check_shared(settings)
        super().__init__(reactor, settings, end)
        self._task = task
        #: By number.
        self._processes: dict[int, _Process] = {}
        self._pauses: dict[int, float] = {}
        self._later: dict[int, IDelayedCall] = {}
        self._stopping = False
        #: Whether those that were here before one that is started have heard SIGHUP.
        self._reloaded = False
        #: Whether it could not start.
        self._gave_up = False

    async def start(self) -> None:
        settings = self._settings
        for held in await take_free(self._reactor, settings):
            self._undo.callback(held.close)
        self._uri = await self.mongo_uri()
        if settings.certificate is None:
            # Made by one, in a directory that is ours by now, and read by all.
            self_signed(DataDir(settings.data_dir))
        self._undo.push_async_callback(self._stop_all)
        await self._spawn(1).ready
        others = [self._spawn(number).ready for number in range(2, settings.workers + 1)]
        try:
            await gatherResults(others, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        log.info("{count} workers serve", count=settings.workers)

    def failed(self, failure: Failure) -> None:
        if not self._stopping:
            self._gave_up = True
            super().failed(failure)

    async def _stop(self) -> None:
        self._stopping = True
        for call in self._later.values():
            call.cancel()
        self._later.clear()
        await super()._stop()

    async def _stop_all(self) -> None:
        """All at once; each has as long as it takes by its own limits."""
        for process in self._processes.values():
            process.signal(signal.SIGTERM)
        killer = self._reactor.callLater(_patience(self._settings.limits), self._kill_all)
        await DeferredList([process.ended for process in self._processes.values()])
        if killer.active():
            killer.cancel()

    def _kill_all(self) -> None:
        for process in self._processes.values():
            if not process.ended.called:
                log.error("{worker} does not end, and is killed", worker=process.name)
                process.signal(signal.SIGKILL)

    # --- one of them --------------------------------------------------------------------------------------------------

    def _spawn(self, number: int) -> _Process:
        self._later.pop(number, None)
        task = {**self._task, "number": number, "uri": self._uri}
        process = _Process(f"worker {number}", task, self._reactor.seconds())
        self._processes[number] = process
        if self._reloaded:
            process.hang_up()
        try:
            self._reactor.spawnProcess(
                process,
                sys.executable,
                [sys.executable, "-P", "-m", "twisted_duck.service.worker"],
                # What this process can import, that one can.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                childFDs={0: "w", 1: "r", 2: "r", **(_systemd() if number == 1 else {})},
            )
        except OSError as error:
            # As for one that ends as soon as it can: whoever waits for it is about to.
            self._reactor.callLater(0, process.not_started, error)
        process.ended.addCallback(lambda _: self._ended(number, process))
        return process

    def _ended(self, number: int, process: _Process) -> None:
        # What fails at the start fails as a whole.
        if self._stopping or self._gave_up:
            return
        lived = self._reactor.seconds() - process.began
        pause = PAUSE if lived >= SOUND else self._pauses.get(number, PAUSE)
        self._pauses[number] = min(2 * pause, LONGEST_PAUSE)
        log.error(
            "{fault}; another one is started in {seconds:g} s",
            fault=process.fault,
            seconds=pause,
        )
        self._later[number] = self._reactor.callLater(pause, self._again, number)

    def _again(self, number: int) -> None:
        # If it does not get ready it ends, and that is where it is told.
        self._spawn(number).ready.addErrback(lambda failure: failure.trap(Fault))

    def hung_up(self) -> None:
        self._reloaded = True
        for process in self._processes.values():
            process.hang_up()


def _patience(limits: Limits) -> float:
    return limits.shut_down + limits.on_close + limits.farewell + _MARGIN


def _systemd() -> dict[int, int]:
    """The sockets that systemd has given us, which have the same numbers there."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return {fd: fd for fd in range(_LISTEN_FDS_START, _LISTEN_FDS_START + count)}
