"""Three server processes on a replica set of three, all of them on the loopback, and what can happen to them.

Every process dies with the one that started it, however that ends (`service/launch`).
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from signal import SIGKILL
from typing import Any

import attrs
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.clients.server import environment, program, sweeping
from tests.history.client import HOST, Address
from twisted_duck.service import launch
from twisted_duck.service.mongod import REPLICA_SET, MongodOptions, find_mongod, free_port, new_key
from twisted_duck.store.direct import Direct, DirectError, connect

reactor: Any = _reactor

#: Seconds for anything that has to start, on a machine with much else to do.
_START = 120.0
_PAUSE = 0.1

_USER = "history"


class Process(ProcessProtocol):
    """A program that is started, killed, and started again; what it says is added to a file."""

    def __init__(self, name: str, command: list[str], directory: Path) -> None:
        self.name = name
        self._command = command
        self._directory = directory
        self.log = directory / f"{name}.log"
        self._ended: Deferred[None] | None = None

    def start(self) -> None:
        self._ended = Deferred()
        command = [
            *(sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(SIGKILL))),
            *self._command,
        ]
        with open(self.log, "ab") as log:
            descriptors = {0: "w", 1: log.fileno(), 2: log.fileno()}
            reactor.spawnProcess(
                self, command[0], command, environment(), str(self._directory), childFDs=descriptors
            )

    def processEnded(self, reason: Failure) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.callback(None)

    @property
    def runs(self) -> bool:
        return self._ended is not None

    async def kill(self) -> None:
        ended, transport = self._ended, self.transport
        if ended is not None and transport is not None:
            transport.signalProcess("KILL")
            await ended


class Member(Process):
    """A `mongod` of the replica set."""

    def __init__(self, options: MongodOptions, name: str, directory: Path) -> None:
        super().__init__(name, options.command(), directory)
        self.port = options.port

    async def hello(self) -> dict[str, Any]:
        """What it says of itself; nothing, where it says nothing."""
        try:
            server = await connect(reactor, HOST, self.port, 2.0)
        except DirectError:
            return {}
        try:
            return await server.command("admin", {"hello": 1})
        except DirectError:
            return {}
        finally:
            server.close()

    async def is_primary(self) -> bool:
        return bool((await self.hello()).get("isWritablePrimary"))

    async def is_well(self) -> bool:
        said = await self.hello()
        return bool(said.get("isWritablePrimary") or said.get("secondary"))


class Server(Process):
    """A `twistd duckmail`."""

    def __init__(self, name: str, uri: str, directory: Path) -> None:
        self.address = Address(name, free_port(), free_port())
        command = [
            *(program("twistd"), "-n", "--pidfile=", "duckmail", "--mongo", uri),
            *sweeping(directory),
            *("--data-dir", str(directory / "data"), "--allow-cleartext-auth"),
            *("--imap", f"tcp:{self.address.imap}:interface={HOST}"),
            *("--lmtp", f"tcp:{self.address.lmtp}:interface={HOST}"),
        ]
        super().__init__(name, command, directory)

    async def is_well(self) -> bool:
        for port in (self.address.imap, self.address.lmtp):
            try:
                connection: Any = await TCP4ClientEndpoint(reactor, HOST, port, 2.0).connect(
                    Factory.forProtocol(Protocol)
                )
            except ConnectError:
                return False
            connection.transport.abortConnection()
        return True


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    end = reactor.seconds() + _START
    while not await condition():
        if reactor.seconds() > end:
            raise AssertionError(f"{what}: not within {_START:g} s")
        await deferLater(reactor, _PAUSE)


@attrs.define
class Cluster:
    directory: Path
    members: list[Member]
    servers: list[Server]
    uri: str
    _key: str = attrs.field(repr=False)
    _password: str = attrs.field(repr=False)

    @classmethod
    def make(cls) -> Cluster:
        directory = Path(tempfile.mkdtemp(prefix="duckmail-history-"))
        key, password = new_key(), secrets.token_hex(16)
        key_file = directory / "key"
        key_file.write_text(key)
        key_file.chmod(0o600)
        mongod = find_mongod(os.environ.get("DUCKMAIL_TEST_MONGOD"))
        members = []
        for name in ("mongod-1", "mongod-2", "mongod-3"):
            (directory / name).mkdir()
            options = MongodOptions(
                mongod,
                directory / name,
                free_port(),
                key_file,
                directory / f"{name}.mongodb.log",
                oplog=990,
                more=("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"),
            )
            members.append(Member(options, name, directory))
        hosts = ",".join(f"{HOST}:{member.port}" for member in members)
        uri = (
            f"mongodb://{_USER}:{password}@{hosts}/history"
            f"?replicaSet={REPLICA_SET}&authSource=admin"
        )
        servers = [Server(name, uri, directory) for name in ("server-1", "server-2", "server-3")]
        return cls(directory, members, servers, uri, key, password)

    async def start_database(self, election: int) -> None:
        """@param election: milliseconds without a word from the primary after which another one is elected"""
        for member in self.members:
            member.start()
        config = {
            "_id": REPLICA_SET,
            "members": [
                {"_id": number, "host": f"{HOST}:{member.port}"}
                for number, member in enumerate(self.members)
            ],
            "settings": {
                "electionTimeoutMillis": election,
                "heartbeatIntervalMillis": min(2_000, election // 2),
            },
        }
        for member in self.members:
            await until(lambda member=member: _answers(member), f"{member.name} answers")  # type: ignore[misc]
        await self._command(self.members[0], {"replSetInitiate": config})
        await until(self.are_well, "all members are there")
        user = {
            "createUser": _USER,
            "pwd": self._password,
            "roles": [{"role": "root", "db": "admin"}],
        }
        primary = await self.primary()
        assert primary is not None
        await self._command(primary, user)

    async def _command(self, member: Member, command: dict[str, Any]) -> dict[str, Any]:
        server: Direct = await connect(reactor, HOST, member.port, 30.0)
        try:
            await server.authenticate("local", "__system", self._key)
            return await server.command("admin", command)
        finally:
            server.close()

    async def start_server(self, server: Server) -> None:
        server.start()

        async def listens() -> bool:
            if not server.runs:
                # There was no primary for longer than it waits for one: whoever looks after it starts it again.
                server.start()
            return await server.is_well()

        await until(listens, f"{server.name} listens")

    async def primary(self) -> Member | None:
        for member in self.members:
            if await member.is_primary():
                return member
        return None

    async def has_primary(self) -> bool:
        return await self.primary() is not None

    async def are_well(self) -> bool:
        """Whether all members are there, and one of them is the primary."""
        for member in self.members:
            if not await member.is_well():
                return False
        return await self.has_primary()

    async def end(self) -> None:
        for process in (*self.servers, *self.members):
            await process.kill()

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- faults: each says what was done, or nothing where it could not be done now -----------------------------------

    async def kill_server(self, chance: random.Random) -> str:
        server = chance.choice(self.servers)
        await server.kill()
        await deferLater(reactor, chance.uniform(0, 1.0))
        await self.start_server(server)
        return server.name

    async def step_down(self, chance: random.Random) -> str:
        primary = await self.primary()
        if primary is None:
            return ""
        try:
            # For so long it is not elected again.
            await self._command(primary, {"replSetStepDown": 5, "secondaryCatchUpPeriodSecs": 3})
        except DirectError:
            return ""
        return primary.name

    async def kill_primary(self, chance: random.Random) -> str:
        primary = await self.primary()
        # With another one away there would be no majority.
        if primary is None or not await self.are_well():
            return ""
        await primary.kill()
        await deferLater(reactor, chance.uniform(0, 3.0))
        primary.start()
        return primary.name


async def _answers(member: Member) -> bool:
    return bool(await member.hello())
