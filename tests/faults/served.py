"""A server in this process, as `twistd duckmail` has it, over a database that goes away, and its clients."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from tests.faults.lines import Lines
from tests.faults.world import PATIENT, message
from twisted_duck import errors
from twisted_duck.limits import Limits
from twisted_duck.service.config import load
from twisted_duck.service.server import Server
from twisted_duck.spool import Spool
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.connection import Times
from twisted_duck.store.store import MailStore
from twisted_duck.values import AppendMessage

PASSWORD = "secret"
JOE = "joe@example.org"

#: Two wrong passwords are too many: were one that could not be looked at counted, somebody would be kept out.
_CONFIGURATION = """
[listen]
imap = ["tcp:0:interface=127.0.0.1"]
pop3 = ["tcp:0:interface=127.0.0.1"]
lmtp = ["tcp:0:interface=127.0.0.1"]
[auth]
cleartext = "always"
cache = 0
scram = true
[limits]
throttle_failures = 2
policy_answer = 1
[[policy]]
kind = "bans"
shared = true
trusted = []
mask = { most = 2 }
"""


class ServedCase(TestCase):
    timeout = 300
    #: One of `tests.faults.outage`.
    kind: ClassVar[Any]

    async def setUp(self) -> None:
        self.turn = DeferredLock()
        self.logs = self.enterContext(capturedLogs())
        self.outage = await self.kind.of(self)
        directory = Path(tempfile.mkdtemp(prefix="duckmail-test-"))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        file = directory / "duckmail.toml"
        file.write_text(_CONFIGURATION)
        settings = load(file, {"data_dir": str(directory / "data"), "mongo.uri": self.outage.uri})
        self.server = Server(reactor, settings, self._open, self._failed, lambda: settings)
        self.server.startService()
        self.addCleanup(self.server.stopService)
        assert self.server._starting is not None
        await self.server._starting
        self.ports = [port.getHost().port for port in self.server.ports]
        await self.store.users.add(JOE, None)

    async def _open(self, reactor: Any, uri: str, limits: Limits) -> MailStore:
        self.store = MailStore(uri, limits=limits, times=PATIENT)
        await self.store.open()
        return self.store

    def _failed(self, fault: Exception) -> None:
        self.fail(str(fault))

    async def put(self, user: str, mailbox: str, *messages: bytes) -> None:
        account = await self.store.account(user)
        await account.append(mailbox, [AppendMessage(Spool.of(each)) for each in messages])

    def times(self, times: Times) -> None:
        for mongo in (self.store.mongo, self.store._stream.mongo):
            mongo.times = times

    async def recovered(self) -> None:
        """Until the store has found its database again."""
        for _ in range(3000):
            try:
                await self.store.mongo.run({"find": "users", "filter": {}, "limit": 1})
                break
            except errors.Unavailable:
                await deferLater(reactor, 0.02)  # type: ignore[arg-type]
        else:
            self.fail("the store does not find its database again")
        self.times(PATIENT)

    async def findings(self) -> list[Finding]:
        """What `duckmail check` finds, but for what will be collected."""
        found = [each async for each in check(self.store.mongo) if isinstance(each, Finding)]
        return [each for each in found if not each.garbage]

    # --- what clients hear --------------------------------------------------------------------------------------------

    def unavailable(self, lines: list[str]) -> None:
        self.assertTrue(lines[-1].startswith("NO [UNAVAILABLE] "), lines)

    def done(self, lines: list[str]) -> list[str]:
        self.assertTrue(lines[-1].startswith("OK"), lines)
        return lines

    def begins(self, line: str, *words: str) -> None:
        self.assertTrue(line.startswith(words), line)

    async def _to(self, at: int, words: str) -> Lines:
        client = await Lines.to(self, self.ports[at])
        self.begins(await client.line(), words)
        return client

    async def imap(self, *commands: str) -> Lines:
        client = await self._to(0, "* OK")
        # Logins of one user at the same time could all be wrong.
        await self.turn.acquire()
        try:
            for command in commands:
                self.done(await client.imap(command))
        finally:
            self.turn.release()
        return client

    async def pop3(self, user: str | None = None) -> Lines:
        client = await self._to(1, "+OK")
        if user is not None:
            for line in (f"USER {user}", f"PASS {PASSWORD}"):
                self.begins(await client.ask(line), "+OK")
        return client

    async def lmtp(self) -> Lines:
        client = await self._to(2, "220")
        self.begins(await client.ask("LHLO client.example.org"), "250")
        return client

    async def envelope(self, client: Lines) -> None:
        self.begins(await client.ask("MAIL FROM:<eve@example.net>"), "250")
        self.begins(await client.ask(f"RCPT TO:<{JOE}>"), "250")

    async def data(self, client: Lines) -> str:
        self.begins(await client.ask("DATA"), "354")
        client.send(message(11) + b".\r\n")
        return await client.reply()
