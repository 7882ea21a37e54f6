"""The embedded MongoDB, on the real `mongod`."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.service.support import directory
from twisted_duck.service import mongod
from twisted_duck.service.datadir import DataDir, DataDirError, is_locked
from twisted_duck.service.embedded import RESTARTS, EmbeddedMongo, embedded_uri, opened
from twisted_duck.service.mongod import MongodError, explain, find_mongod
from twisted_duck.store.direct import AuthenticationRefused, CommandFailed, Direct, connect


async def logged_in(uri: str) -> Direct:
    parts = urlsplit(uri)
    assert parts.port and parts.username and parts.password
    server = await connect(reactor, "127.0.0.1", parts.port)
    await server.authenticate("duckmail", parts.username, parts.password)
    return server


async def ping(uri: str) -> None:
    """Write something, as our own user."""
    server = await logged_in(uri)
    try:
        await server.command("duckmail", {"insert": "probe", "documents": [{"x": 1}]})
    finally:
        server.close()


async def count(uri: str) -> int:
    server = await logged_in(uri)
    try:
        n: int = (await server.command("duckmail", {"count": "probe"}))["n"]
        return n
    finally:
        server.close()


def pid_of(data_dir: Path) -> int:
    return int((data_dir / "mongo/db/mongod.lock").read_text())


class EmbeddedMongoTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.data_dir = directory(self) / "data"

    def server(self, named: str | None = None, on_end: object = None) -> EmbeddedMongo:
        server = EmbeddedMongo(reactor, self.data_dir, named, on_end)  # type: ignore[arg-type]
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    async def test_life(self) -> None:
        """It is a primary that takes writes, keeps its port and its data, and is private to its owner."""
        first = self.server()
        uri = await first.start()
        await ping(uri)
        self.assertEqual(embedded_uri(self.data_dir), uri)
        await self._nobody_gets_in(uri)
        await first.stop()
        self.assertIsNone(embedded_uri(self.data_dir))
        self.assertFalse(is_locked(self.data_dir / "mongo/db/mongod.lock"))
        for path in [self.data_dir, *self.data_dir.rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            self.assertEqual(mode, 0o700 if path.is_dir() else 0o600, path)

        second = self.server()
        self.assertEqual(await second.start(), uri)
        self.assertEqual(await count(uri), 1)

    async def _nobody_gets_in(self, uri: str) -> None:
        server = await connect(reactor, "127.0.0.1", urlsplit(uri).port or 0)
        try:
            create = {"createUser": "eve", "pwd": "eve", "roles": ["root"]}
            refused = self.assertFailure(
                Deferred.fromCoroutine(server.command("admin", create)), CommandFailed
            )
            self.assertEqual((await refused).code, 13)
            await self.assertFailure(
                Deferred.fromCoroutine(server.authenticate("duckmail", "duckmail", "wrong")),
                AuthenticationRefused,
            )
        finally:
            server.close()

    async def test_another_port(self) -> None:
        """When its port was taken meanwhile it comes back on another, a primary with its data."""
        first = self.server()
        uri = await first.start()
        await ping(uri)
        await first.stop()
        with socket.socket() as squatter:
            squatter.bind(("127.0.0.1", urlsplit(uri).port or 0))
            squatter.listen()
            other = await self.server().start()
            self.assertNotEqual(other, uri)
            self.assertEqual(await count(other), 1)

    async def test_killed(self) -> None:
        """A server that is killed is started again on its port; one that keeps dying is given up."""
        ends: list[MongodError] = []
        server = self.server(on_end=ends.append)
        uri = await server.start()
        for _ in range(RESTARTS - 1):
            victim = pid_of(self.data_dir)
            os.kill(victim, signal.SIGKILL)
            while not (server.ready and pid_of(self.data_dir) != victim):
                await deferLater(reactor, 0.02)
            await ping(uri)
        self.assertEqual(ends, [])
        os.kill(pid_of(self.data_dir), signal.SIGKILL)
        while not ends:
            await deferLater(reactor, 0.02)
        self.assertIn("was killed from outside", str(ends[0]))
        self.assertIn("3 times", str(ends[0]))
        self.flushLoggedErrors()

    async def test_what_can_not_be_started_again(self) -> None:
        """The interpreter that starts it is gone, as in an upgrade."""
        ends: list[MongodError] = []
        server = self.server(on_end=ends.append)
        await server.start()
        self._spawn_nothing()
        os.kill(pid_of(self.data_dir), signal.SIGKILL)
        while not ends:
            await deferLater(reactor, 0.02)
        self.assertIn("can't be started: [Errno 11] not now", str(ends[0]))
        self.flushLoggedErrors()

    async def test_what_can_not_be_started(self) -> None:
        self._spawn_nothing()
        server = self.server()
        error = await self.assertFailure(Deferred.fromCoroutine(server.start()), MongodError)
        self.assertIn("can't be started: [Errno 11] not now", str(error))
        self.assertEqual(DataDir(self.data_dir).holder(), ())

    def _spawn_nothing(self) -> None:
        def spawn(*_: object, **__: object) -> None:
            raise OSError(11, "not now")

        self.patch(reactor, "spawnProcess", spawn)

    async def test_files_that_are_broken(self) -> None:
        """As after a power failure, or a restoration that was cut off: what can be made anew is."""
        first = self.server()
        await ping(await first.start())
        await first.stop()
        for name in ("port", "password"):
            for text in ("", "rubbish\n" if name == "port" else "\n"):
                (self.data_dir / "mongo" / name).write_text(text)
                server = self.server()
                self.assertEqual(await count(await server.start()), 1)
                await server.stop()

    async def test_one_service_per_directory(self) -> None:
        """A second service is told who is there; a program that only needs the server is given its URI."""
        uri = await self.server().start()
        error = await self.assertFailure(
            Deferred.fromCoroutine(self.server().start()), DataDirError
        )
        self.assertIn(f"in use by process {os.getpid()}", str(error))
        async with opened(reactor, self.data_dir) as shared:
            self.assertEqual(shared, uri)
        await ping(uri)

    async def test_opened_for_a_while(self) -> None:
        """Without a service the server is started for the block, and waits for others that came to use it."""
        stopped: list[str] = []

        async def owner(inside: Deferred[None], leave: Deferred[None]) -> None:
            async with opened(reactor, self.data_dir):
                inside.callback(None)
                await leave
            stopped.append("owner")

        inside: Deferred[None] = Deferred()
        leave: Deferred[None] = Deferred()
        done = Deferred.fromCoroutine(owner(inside, leave))
        await inside
        async with opened(reactor, self.data_dir) as uri:
            leave.callback(None)
            await deferLater(reactor, 0.3)
            await ping(uri)
            self.assertEqual(stopped, [])
        await done
        self.assertFalse(is_locked(self.data_dir / "mongo/db/mongod.lock"))

    async def test_service_killed(self) -> None:
        """The server ends with the service, whatever way that ended; the next service does not trip over it."""
        script = (
            "import sys; from pathlib import Path; from twisted.internet import reactor;"
            "from twisted.internet.defer import Deferred;"
            "from twisted_duck.service.embedded import EmbeddedMongo;"
            "Deferred.fromCoroutine(EmbeddedMongo(reactor, Path(sys.argv[1])).start())"
            ".addCallback(lambda uri: print(uri, flush=True)); reactor.run()"
        )
        service = subprocess.Popen(
            [sys.executable, "-c", script, str(self.data_dir)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert service.stdout
        uri = service.stdout.readline().decode().strip()
        service.stdout.close()
        os.kill(service.pid, signal.SIGKILL)
        service.wait()
        while is_locked(self.data_dir / "mongo/db/mongod.lock"):
            await deferLater(reactor, 0.02)
        self.assertEqual(await self.server().start(), uri)
        await ping(uri)

    async def test_stale(self) -> None:
        """A server that did outlive its service is ended first: the data have one server at a time."""
        data = DataDir(self.data_dir)
        data.folder("mongo")
        options = mongod.MongodOptions(
            find_mongod(None),
            data.folder("mongo/db"),
            mongod.free_port(),
            data.write("mongo/key", mongod.new_key().encode()),
            self.data_dir / "mongo/log",
        )
        stale = subprocess.Popen(options.command(), stdout=subprocess.DEVNULL)
        self.addCleanup(stale.kill)
        while not is_locked(options.directory / "mongod.lock"):
            await deferLater(reactor, 0.02)
        started = Deferred.fromCoroutine(self.server().start())
        # It is our child: nobody else can see it off.
        while stale.poll() is None:
            await deferLater(reactor, 0.02)
        await ping(await started)

    async def test_somebody_elses(self) -> None:
        """A process that is no `mongod` on these data is never ended, and is named."""
        data = DataDir(self.data_dir)
        data.folder("mongo")
        lock = data.folder("mongo/db") / "mongod.lock"
        lock.write_text(f"{os.getpid()}\n")
        with open(lock, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            error = await self.assertFailure(
                Deferred.fromCoroutine(self.server().start()), MongodError
            )
        self.assertIn("in use by another program", str(error))

    async def _refusal(self, body: str) -> str:
        program = self.data_dir.parent / "mongod"
        program.write_text(body)
        program.chmod(0o755)
        error = await self.assertFailure(
            Deferred.fromCoroutine(self.server(str(program)).start()), MongodError
        )
        self.assertEqual(DataDir(self.data_dir).holder(), ())
        self.assertNotIn("\n", str(error))
        return str(error)

    async def test_missing_library(self) -> None:
        said = await self._refusal(
            '#!/bin/sh\necho >&2 "$0: error while loading shared libraries: libcurl.so.4: cannot open'
            ' shared object file: No such file or directory"\nexit 127\n'
        )
        self.assertIn(
            "libcurl.so.4 is missing; on Debian and Ubuntu: apt-get install libcurl4", said
        )

    async def test_not_a_program(self) -> None:
        self.assertIn("not a program that runs on this machine", await self._refusal("\x7fnot ELF"))

    async def test_complaint(self) -> None:
        said = await self._refusal("#!/bin/sh\necho out of luck; exit 3")
        self.assertTrue(said.endswith("ended with status 3: out of luck"), said)


class OwnerTests(SynchronousTestCase):
    def test_root_keeps_out_of_what_another_user_runs(self) -> None:
        path = directory(self) / "data"
        DataDir(path).folder("mongo")
        DataDir(path)
        self.patch(os, "geteuid", lambda: os.getuid() + 4_000_000)
        error = self.assertRaises(DataDirError, DataDir, path)
        self.assertIn(f"and this is {os.getuid() + 4_000_000}; run it as ", str(error))
        self.assertNotIn("guests", os.listdir(path))


class FindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tmp = directory(self)

    def program(self, name: str) -> Path:
        file = self.tmp / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
        file.chmod(0o755)
        return file

    def test_order(self) -> None:
        """The one that was named, then the PATH, then the `embedded` extra."""
        packaged = self.program("site/fiftyone/db/bin/mongod")
        site = [str(self.tmp / "site")]
        self.patch(os, "environ", {"PATH": str(self.tmp / "bin")})
        self.assertEqual(find_mongod(None, site), packaged)
        on_path = self.program("bin/mongod")
        self.assertEqual(find_mongod(None, site), on_path)
        named = self.program("elsewhere/mongod")
        self.assertEqual(find_mongod(str(named), site), named)

    def test_package_is_not_imported(self) -> None:
        self.program("site/fiftyone/db/bin/mongod")
        for package in ("fiftyone", "fiftyone/db"):
            (self.tmp / "site" / package / "__init__.py").write_text("raise SystemExit")
        self.patch(os, "environ", {"PATH": ""})
        find_mongod(None, [str(self.tmp / "site")])

    def test_none(self) -> None:
        self.patch(os, "environ", {"PATH": ""})
        error = self.assertRaises(MongodError, find_mongod, None, [str(self.tmp)])
        self.assertIn("pip install 'twisted-duck[embedded]'", str(error))
        error = self.assertRaises(MongodError, find_mongod, "/no/mongod", [str(self.tmp)])
        self.assertIn("--mongod /no/mongod: no such program", str(error))


class ExplainTests(SynchronousTestCase):
    def explain(self, status: int | None, killed: int | None, log: str = "") -> str:
        file = directory(self) / "log"
        file.write_text(log)
        return explain(Path("mongod"), status, killed, "", file)

    def test_old_processor(self) -> None:
        self.assertIn("AVX", self.explain(None, signal.SIGILL))

    def test_newer_data(self) -> None:
        self.assertIn("another version of MongoDB", self.explain(62, None))

    def test_log(self) -> None:
        said = self.explain(
            14,
            None,
            '{"s":"I","msg":"Starting"}\n'
            '{"s":"E","msg":"Failed to set up","attr":{"error":"no space left"}}\n'
            '{"s":"I","msg":"Bye"}\n',
        )
        self.assertIn("ended with status 14: Failed to set up: no space left;", said)

    def test_told_to_end(self) -> None:
        """By a signal to all processes of the service, as systemd sends it if it is not told otherwise."""
        told = '{"s":"I","msg":"Received signal","attr":{"signal":15,"error":"Terminated"}}\n'
        self.assertIn("was told to end by somebody else", self.explain(0, None, told))
        self.assertIn("ended with status 0", self.explain(0, None))

    def test_full_disk(self) -> None:
        full = (
            '{"s":"E","msg":"WiredTiger error message","attr":{"error":28,"message":'
            '{"msg":"pwrite: failed","error_str":"No space left on device","error_code":28}}}\n'
        )
        self.assertIn("there is no room left for", self.explain(1, None, full))
        again = full + '{"s":"I","msg":"***** SERVER RESTARTED *****"}\n{"s":"F","msg":"other"}\n'
        self.assertIn("ended with status 1: other;", self.explain(1, None, again))
