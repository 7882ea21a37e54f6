"""A mongod of a test's own, to be killed, stopped and misconfigured."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from twisted_duck.service.mongod import MongodOptions, find_mongod, free_port, new_key
from twisted_duck.service.replica import User, reach, set_up

USER = User("tests", "secret", "admin", "root")


class OwnServer:
    """`await OwnServer.start(case)`: one server, gone when the test is over."""

    def __init__(self, case: TestCase, member: bool, parent: Path | None) -> None:
        directory = Path(tempfile.mkdtemp(prefix="duckmail-test-", dir=parent))
        case.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        case.addCleanup(self.kill)
        self._key = new_key()
        key_file = directory / "key"
        key_file.write_text(self._key)
        key_file.chmod(0o600)
        (directory / "db").mkdir()
        self.port = free_port()
        self._options = MongodOptions(
            find_mongod(os.environ.get("DUCKMAIL_TEST_MONGOD")),
            directory / "db",
            self.port,
            key_file,
            directory / "log",
            member=member,
            more=("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"),
        )
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    async def start(
        cls, case: TestCase, member: bool = True, parent: Path | None = None
    ) -> OwnServer:
        """
        @param member: of a replica set; else it is a standalone server
        @param parent: the directory that its own is to be in
        """
        self = cls(case, member, parent)
        await self.restart()
        server = await reach(reactor, self.port, 30)
        try:
            if member:
                await set_up(reactor, server, self.port, self._key, USER, 30)
            else:
                await server.authenticate("local", "__system", self._key)
                await server.command(
                    "admin",
                    {"createUser": USER.name, "pwd": USER.password, "roles": [USER.role]},
                )
        finally:
            server.close()
        return self

    @property
    def uri(self) -> str:
        uri = USER.uri(self.port, "mail")
        return uri if self._options.member else uri.replace("replicaSet=duckmail&", "")

    @property
    def directory(self) -> Path:
        return self._options.log.parent

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def restart(self, *more: str) -> None:
        """`more`: added to the command line."""
        self._process = subprocess.Popen(
            [*self._options.launch(signal.SIGKILL), *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number is signal.SIGSTOP:
            # Until then it may answer.
            os.waitpid(self._process.pid, os.WUNTRACED)
