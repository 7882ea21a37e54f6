"""What the tests of this package share."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.policies.support import MemoryBans, MemoryRates
from twisted_duck.addresses import AddressRules
from twisted_duck.auth.interfaces import UserRecord
from twisted_duck.auth.passwords import hash_password
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.service.config import Settings, load
from twisted_duck.service.server import Server


def directory(case: SynchronousTestCase) -> Path:
    """A temporary directory, gone when the test is over."""
    path = Path(tempfile.mkdtemp(prefix="duckmail-test-"))
    case.addCleanup(shutil.rmtree, path, ignore_errors=True)
    return path


class Memory:
    """A `Store` over the in-memory one."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self._hashes: dict[str, str] = {}
        self.directory = self
        self.bans = MemoryBans(Clock())
        self.rates = MemoryRates(Clock())
        self.open = True

    async def find(self, name: str) -> UserRecord | None:
        hashed = self._hashes.get(name)
        return UserRecord(name, name, hashed) if hashed else None

    def delivery(self, rules: AddressRules) -> Any:
        return self._store.delivery(rules)

    async def account(self, name: str) -> Any:
        return self._store.account(name)

    def account_of(self, record: UserRecord) -> Any:
        return self._store.account(record.name)

    async def add_user(self, name: str, password: str) -> None:
        self._store.add_user(name, password)
        self._hashes[name] = hash_password(password)

    async def close(self) -> None:
        self.open = False


class ServerCase(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.data_dir = directory(self) / "data"
        self.file = self.data_dir.parent / "duckmail.toml"
        self.ends: list[str] = []
        self.store = Memory()

    def settings(self, **options: object) -> Settings:
        return load(
            None,
            {
                "data_dir": str(self.data_dir),
                # Nothing connects to it: the store is not on it.
                "mongo.uri": "mongodb://127.0.0.1:1/",
                "listen.imap": ["tcp:0:interface=127.0.0.1"],
                "listen.imaps": ["tcp:0:interface=127.0.0.1"],
                **options,
            },
        )

    def written(self, text: str | None = None) -> Settings:
        """The settings with a configuration file, which is written first if there is a text."""
        if text is not None:
            self.file.write_text(text)
        options = {"data_dir": str(self.data_dir), "mongo.uri": "mongodb://127.0.0.1:1/"}
        return load(self.file, options)

    def server(self, settings: Settings) -> Server:
        async def open_store(clock: Any, uri: str, limits: Limits) -> Memory:
            await deferLater(clock, 0)
            return self.store

        def end(fault: Exception) -> None:
            self.ends.append(str(fault))

        return Server(reactor, settings, open_store, end, self.written)

    async def running(self, settings: Settings) -> Server:
        server = self.server(settings)
        server.startService()
        self.addCleanup(lambda: server.stopService() if server.running else None)
        assert server._starting
        await server._starting
        return server
