"""A directory, accounts and threads for tests, all in memory and at once."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from attrs import define, evolve, field
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.auth.interfaces import IPasswordUpgrades, IScramDirectory, UserRecord
from twisted_duck.auth.passwords import Argon2Parameters, hash_password
from twisted_duck.auth.verifiers import make_verifiers
from twisted_duck.interfaces import IAccount

#: The least that Argon2 takes: tests of logic need no strong hashes.
WEAK = Argon2Parameters(memory=8, iterations=1, lanes=1)

#: The same for SCRAM.
FEW = {"SCRAM-SHA-256": 10, "SCRAM-SHA-1": 20}


class Threads:
    """A thread pool whose jobs run when the test says so, or at once."""

    def __init__(self, at_once: bool = True) -> None:
        self.at_once = at_once
        self.jobs: list[Callable[[], None]] = []

    def callInThreadWithCallback(
        self, done: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any
    ) -> None:
        def job() -> None:
            try:
                result = function(*args)
            except Exception:  # noqa: BLE001 - as the real one does
                done(False, Failure())
            else:
                done(True, result)

        self.jobs.append(job)
        if self.at_once:
            self.run()

    def run(self, count: int | None = None) -> None:
        jobs = self.jobs[:count]
        del self.jobs[:count]
        for job in jobs:
            job()


class Reactor(Clock):
    """Time stands still and threads are no threads."""

    def __init__(self, threads: Threads | None = None) -> None:
        super().__init__()
        self.threads = threads or Threads()

    def getThreadPool(self) -> Threads:
        return self.threads

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        function(*args)


@implementer(IPasswordUpgrades)
@define
class Directory:
    users: dict[str, UserRecord] = field(factory=dict)
    away: bool = False

    def add(self, name: str, password: str, disabled: bool = False) -> None:
        record = UserRecord(len(self.users), name, hash_password(password, WEAK), disabled)
        self.users[name.casefold()] = record

    async def find(self, name: str) -> UserRecord | None:
        self._check()
        return self.users.get(name.casefold())

    async def replace_hash(self, record: UserRecord, password_hash: str) -> None:
        self._check()
        self.users[record.name.casefold()] = evolve(record, password_hash=password_hash)

    def _check(self) -> None:
        if self.away:
            raise errors.Unavailable("the database is away")


@implementer(IScramDirectory)
class ScramDirectory(Directory):
    def add_verifiers(self, name: str, password: str) -> None:
        record = self.users[name.casefold()]
        self.users[name.casefold()] = evolve(record, verifiers=make_verifiers(password, FEW))

    async def replace_verifiers(self, record: UserRecord, verifiers: tuple[str, ...]) -> None:
        self._check()
        if self.users[record.name.casefold()].password_hash == record.password_hash:
            self.users[record.name.casefold()] = evolve(record, verifiers=verifiers)

    async def seed(self, name: str) -> bytes:
        self._check()
        return sha256(b"secret" + name.casefold().encode()).digest()


@implementer(IAccount)
@define(eq=False)
class Account:
    name: str
    logouts: int = 0

    async def logout(self) -> None:
        self.logouts += 1
