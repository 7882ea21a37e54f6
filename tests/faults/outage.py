"""Ways in which MongoDB goes away and comes back."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests import mongo
from tests.faults.proxy import Proxy
from tests.store.server import USER, OwnServer
from twisted_duck.store.direct import Direct, DirectError, connect


class Refused:
    """Connections are cut, and refused."""

    def __init__(self, proxy: Proxy, home: str) -> None:
        self._proxy = proxy
        #: Where the server looks for it.
        self.uri = proxy.uri
        #: Where others find it while it is away, and afterwards: what they do is done once.
        self.at_night: str | None = home
        self.by_day: str | None = None

    @classmethod
    async def of(cls, case: TestCase) -> Refused:
        home = await mongo.database(case)
        return cls(await Proxy.before(case, home), home)

    async def begin(self) -> None:
        await self._proxy.shut()

    async def end(self) -> None:
        self._proxy.reopen()


class Silent(Refused):
    """Connections are there, and accepted, and nothing is answered on them."""

    async def begin(self) -> None:
        self._proxy.is_silent = True

    async def end(self) -> None:
        self._proxy.is_silent = False


class _Own:
    def __init__(self, server: OwnServer) -> None:
        self.server = server
        self.uri = server.uri
        self.at_night: str | None = None
        self.by_day: str | None = server.uri

    @classmethod
    async def of(cls, case: TestCase) -> _Own:
        return cls(await OwnServer.start(case))


class Stopped(_Own):
    """mongod is suspended."""

    async def begin(self) -> None:
        self.server.signal(signal.SIGSTOP)

    async def end(self) -> None:
        self.server.signal(signal.SIGCONT)


class Killed(_Own):
    """mongod is killed, and started again."""

    async def begin(self) -> None:
        self.server.kill()

    async def end(self) -> None:
        await self.server.restart()


class NoPrimary(_Own):
    """mongod steps down, and does not stand for election."""

    #: Longer than any test.
    _SECONDS: ClassVar = 600

    async def begin(self) -> None:
        await self._tell({"replSetStepDown": self._SECONDS, "force": True})

    async def end(self) -> None:
        await self._tell({"replSetFreeze": 0})

    async def _tell(self, command: dict[str, object]) -> None:
        server: Direct = await connect(reactor, "127.0.0.1", self.server.port)
        try:
            await server.authenticate(USER.database, USER.name, USER.password)
            await server.command("admin", command)
        except DirectError as error:
            raise AssertionError(f"{command}: {error}") from error
        finally:
            server.close()


class FilesFull(_Own):
    """No file may be larger; for mongod's journal that is no different from a disk that is full."""

    _BYTES: ClassVar = 8 << 20

    async def begin(self) -> None:
        resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (self._BYTES, self._BYTES))

    async def end(self) -> None:
        await self.server.restart()


def may_mount() -> bool:
    """Whether this process has CAP_SYS_ADMIN (21)."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> 21 & 1)


class DiskFull(_Own):
    """A file system of its own that has no room left; for who `may_mount`."""

    #: Bytes that are left when mongod has started, and what there is in the end.
    _LEFT: ClassVar = 12 << 20
    _ROOM: ClassVar = 1 << 30

    def __init__(self, server: OwnServer, directory: Path) -> None:
        super().__init__(server)
        self._directory = directory

    @classmethod
    async def of(cls, case: TestCase) -> DiskFull:
        directory = Path(tempfile.mkdtemp(prefix="duckmail-test-"))
        case.addCleanup(directory.rmdir)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={cls._ROOM}", "none", directory], check=True
        )
        case.addCleanup(subprocess.run, ["umount", directory], check=True)
        return cls(await OwnServer.start(case, parent=directory), directory)

    async def begin(self) -> None:
        self._resize(shutil.disk_usage(self._directory).used + self._LEFT)

    async def end(self) -> None:
        self._resize(self._ROOM)
        await self.server.restart()

    def _resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", "none", self._directory], check=True)
