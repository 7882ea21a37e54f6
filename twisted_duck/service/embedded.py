"""The embedded MongoDB: a `mongod` that lives and dies with the service, its files in the data directory.

While it runs, the data directory is locked; other programs of the project on the same directory
(`duckmail user add`, while the server runs) find the server through it: see `opened`.

A `mongod` that ends by itself is started again on the same port, since whoever was connected comes
back by itself.  One that keeps ending is a matter for an administrator, and ends the service.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_duck.service import mongod
from twisted_duck.service.datadir import DataDir, DataDirError, is_locked
from twisted_duck.service.mongod import MongodError, MongodOptions
from twisted_duck.service.replica import User, move, reach, set_up
from twisted_duck.store.direct import Direct, DirectError

DATABASE = "duckmail"

#: A server that ended this often within so many seconds is not started again.
RESTARTS = 3
RESTART_WINDOW = 300.0

#: Ports that are tried where each is taken between our look and the server's.
_PORTS = 5

#: Bytes of the server's log at which a start puts it aside, over the one put aside before.
_LOG_BOUND = 16 * 1024 * 1024

#: Bytes that are kept of what the server says before it has opened its log.
_OUTPUT_BOUND = 16 * 1024

#: Seconds that its last port may be taken before the server is moved to another.
_PORT_WAIT = 2.0

_PAUSE = 0.05

log = Logger()


class _Mongod(ProcessProtocol):
    """One run of the program."""

    def __init__(self, options: MongodOptions) -> None:
        self.options = options
        self.output = b""
        self.ended: Deferred[None] = Deferred()
        #: Why it ended, once it has.
        self.fault: MongodError | None = None
        self.status: int | None = None
        self.ready = False

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.output = (self.output + data)[-_OUTPUT_BOUND:]

    def processEnded(self, reason: Failure) -> None:
        self.ready = False
        end: Any = reason.value
        self.status = end.exitCode
        self.fault = MongodError(
            mongod.explain(
                self.options.binary,
                self.status,
                end.signal,
                self.output.decode("utf-8", "replace"),
                self.options.log,
            )
        )
        self.ended.callback(None)

    def signal(self, number: int) -> None:
        if self.fault is None:
            self.transport.signalProcess(number)  # type: ignore[union-attr]

    def check(self) -> None:
        if self.fault is not None:
            raise self.fault


class EmbeddedMongo:
    """The server of one data directory.

    @param named: the program, if the administrator named one
    @param on_end: told why when the server is gone for good, after `start` and before `stop`
    """

    def __init__(
        self,
        reactor: Any,
        data_dir: Path,
        named: str | None = None,
        on_end: Callable[[MongodError], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._path = data_dir
        self._named = named
        self._on_end = on_end
        self._dir: DataDir
        self._locked = False
        self._process: _Mongod | None = None
        self._stopping = False
        self._starts: deque[float] = deque(maxlen=RESTARTS)

    async def start(self) -> str:
        """Start the server and return its URI when it takes commands.

        @raise MongodError: there is no program, or it does not run
        @raise DataDirError: the data directory is in use, or not usable
        """
        binary = mongod.find_mongod(self._named)
        self._dir = DataDir(self._path)
        self._dir.lock()
        self._locked = True
        try:
            secret = _Secrets.of(self._dir)
            await self._clear()
            port = await self._start_on_some_port(self._options(binary, 0), secret)
            self._dir.announce(port)
        except BaseException:
            await self.stop()
            raise
        return secret.user.uri(port)

    @property
    def ready(self) -> bool:
        """Whether the server is up and takes commands."""
        return self._process is not None and self._process.ready

    async def stop(self) -> None:
        """Stop the server cleanly, and wait until it has ended."""
        self._stopping = True
        if not self._locked:
            return
        self.withdraw()
        process = self._process
        if process is not None and process.fault is None:
            process.signal(signal.SIGTERM)
            killer = self._reactor.callLater(mongod.STOP_TIMEOUT, process.signal, signal.SIGKILL)
            await process.ended
            if killer.active():
                killer.cancel()
        self._dir.unlock()
        self._locked = False

    def withdraw(self) -> None:
        """Let no more processes find the server."""
        self._dir.announce(None)

    async def guests_gone(self) -> None:
        """Wait until no other process uses the server."""
        while self._dir.has_guests():
            await deferLater(self._reactor, _PAUSE)

    # --- start --------------------------------------------------------------------------------------------------------

    def _options(self, binary: Path, port: int) -> MongodOptions:
        folder = self._dir.folder("mongo")
        journal = folder / "log"
        if journal.exists() and journal.stat().st_size > _LOG_BOUND:
            journal.replace(folder / "log.old")
        return MongodOptions(binary, self._dir.folder("mongo/db"), port, folder / "key", journal)

    async def _clear(self) -> None:
        """End a server that outlived its service.

        @raise MongodError: the data are in use by something that is not ours to end, or that does not end
        """
        lock = self._dir.path / "mongo/db/mongod.lock"
        deadline = self._reactor.seconds() + mongod.STOP_TIMEOUT
        told = 0
        while is_locked(lock):
            # It writes its id after it has the lock.
            pid = int(lock.read_text().strip() or 0)
            if pid and pid != told:
                if not _is_ours(pid, lock.parent):
                    raise MongodError(
                        f"the data in {lock.parent} are in use by another program; stop it first"
                    )
                log.warn("ending MongoDB, process {pid}, of a service that was killed", pid=pid)
                _kill(pid, signal.SIGTERM)
                told = pid
            if self._reactor.seconds() >= deadline:
                raise MongodError(
                    f"MongoDB, process {pid}, of a service that was killed, does not end;"
                    " end it, then try again"
                )
            await deferLater(self._reactor, _PAUSE)

    async def _start_on_some_port(self, options: MongodOptions, secret: _Secrets) -> int:
        for _ in range(_PORTS):
            port = _port(self._dir.kept("mongo/port", lambda: "0"))
            try:
                if not port or not await self._gets_free(port):
                    port = mongod.free_port()
                    await self._move(attrs.evolve(options, port=port), secret)
                await self._run(attrs.evolve(options, port=port), secret)
            except MongodError:
                if self._process is None or self._process.status != mongod.ADDRESS_IN_USE:
                    raise
            else:
                return port
        raise MongodError(f"no port of {mongod.HOST} could be had for the embedded MongoDB")

    async def _gets_free(self, port: int) -> bool:
        """A server that is ending gives up its lock a moment before its port."""
        deadline = self._reactor.seconds() + _PORT_WAIT
        while not mongod.port_is_free(port):
            if self._reactor.seconds() >= deadline:
                return False
            await deferLater(self._reactor, _PAUSE)
        return True

    async def _move(self, options: MongodOptions, secret: _Secrets) -> None:
        """Give the server another address: the file `port` is what its set is configured with, 0 if that is open."""
        if (options.directory / "WiredTiger").exists():
            self._dir.write("mongo/port", b"0")
            async with self._reached(attrs.evolve(options, member=False)) as server:
                await move(server, options.port, secret.key)
            assert self._process is not None
            self._process.signal(signal.SIGTERM)
            await self._process.ended
        self._dir.write("mongo/port", str(options.port).encode())

    async def _run(self, options: MongodOptions, secret: _Secrets) -> None:
        """One start: the program runs, is a primary, and knows our user."""
        self._starts.append(self._reactor.seconds())
        async with self._reached(options) as server:
            await set_up(
                self._reactor, server, options.port, secret.key, secret.user, mongod.START_TIMEOUT
            )
        process = self._process
        assert process is not None
        process.check()
        process.ready = True
        process.ended.addCallback(lambda _: self._ended(process, secret))

    @asynccontextmanager
    async def _reached(self, options: MongodOptions) -> AsyncIterator[Direct]:
        """Start the program, and connect to it for the block.

        @raise MongodError: it does not start, or the block's commands fail
        """
        command = options.launch(signal.SIGTERM)
        process = _Mongod(options)
        try:
            self._reactor.spawnProcess(process, command[0], command, env=None)
        except OSError as error:
            raise MongodError(f"the embedded MongoDB can't be started: {error}") from error
        self._process = process
        try:
            server = await reach(self._reactor, options.port, mongod.START_TIMEOUT, process.check)
            try:
                yield server
            finally:
                server.close()
        except DirectError as error:
            # If it lost a race for the port, somebody else answered us, and it is about to say so.
            await deferLater(self._reactor, _PAUSE)
            process.check()
            raise MongodError(
                f"the embedded MongoDB does not work: {error}; its log is {options.log}"
            ) from error

    # --- an end that nobody asked for ---------------------------------------------------------------------------------

    def _ended(self, process: _Mongod, secret: _Secrets) -> None:
        if not self._stopping:
            Deferred.fromCoroutine(self._again(process, secret)).addErrback(
                lambda failure: log.failure("the embedded MongoDB", failure)
            )

    async def _again(self, process: _Mongod, secret: _Secrets) -> None:
        assert process.fault is not None
        often = len(self._starts) == RESTARTS
        if often and self._reactor.seconds() - self._starts[0] < RESTART_WINDOW:
            self._give_up(MongodError(f"{process.fault} (it keeps ending, {RESTARTS} times now)"))
            return
        log.error("{fault}; starting it again", fault=process.fault)
        try:
            await self._run(process.options, secret)
        except MongodError as error:
            if not self._stopping:
                self._give_up(error)
        else:
            log.info("the embedded MongoDB is back")

    def _give_up(self, fault: MongodError) -> None:
        if self._on_end is None:
            log.error("{fault}", fault=fault)
        else:
            self._on_end(fault)


@attrs.frozen
class _Secrets:
    """What the server and we know and nobody else."""

    key: str = attrs.field(repr=False)
    user: User

    @classmethod
    def of(cls, directory: DataDir) -> _Secrets:
        directory.folder("mongo")
        key = directory.kept("mongo/key", mongod.new_key)
        password = directory.kept("mongo/password", lambda: secrets.token_hex(32))
        return cls(key, User("duckmail", password, DATABASE))


# --- for other programs -----------------------------------------------------------------------------------------------


def embedded_uri(data_dir: Path) -> str | None:
    """The URI of the embedded server that runs on a data directory now, or None if none does."""
    if not (data_dir / "lock").exists():
        return None
    directory = DataDir(data_dir)
    match directory.holder():
        case (_, port):
            return _Secrets.of(directory).user.uri(port)
        case _:
            return None


@asynccontextmanager
async def opened(reactor: Any, data_dir: Path, named: str | None = None) -> AsyncIterator[str]:
    """The URI of the embedded server of a data directory, for as long as the block runs.

    The server of a running service is used and left alone; if there is none, it is started for the block, and for
    those that come to use it meanwhile.

    @raise MongodError: it does not run
    @raise DataDirError: the data directory is not usable, or whoever has it does not get its server up
    """
    deadline = reactor.seconds() + mongod.START_TIMEOUT
    directory = DataDir(data_dir)
    while True:
        # Announced first, looked second: an owner that is about to end does it the other way round.
        with directory.guest():
            if uri := embedded_uri(data_dir):
                yield uri
                return
        server = EmbeddedMongo(reactor, data_dir, named)
        try:
            uri = await server.start()
        except DataDirError:
            # Somebody has it, and is starting or stopping.
            if reactor.seconds() >= deadline or not directory.holder():
                raise
            await deferLater(reactor, _PAUSE)
            continue
        try:
            yield uri
        finally:
            server.withdraw()
            await server.guests_gone()
            await server.stop()
        return


def _port(text: str) -> int:
    """Of a file that may be broken; 0 if it says none."""
    number = int(text) if text.isdecimal() else 0
    return number if number < 65536 else 0


def _is_ours(pid: int, data: Path) -> bool:
    """Whether a process is a `mongod` on these data: a number in a file may by now be anybody's."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return bytes(data) in command and b"--dbpath" in command


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
