"""Runs `twistd duckmail` as a process of its own, on a database of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests import mongo

T = TypeVar("T")

USER, PASSWORD = "alice", "wonder land"
ROOT = Path(__file__).parents[2]


def program(name: str) -> str:
    """A script of the environment the tests run in."""
    return str(Path(sys.executable).with_name(name))


def environment() -> dict[str, str]:
    """For a child: the checkout is importable, whether or not it is installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class Server(ProcessProtocol):
    """One process that serves; `ports` has them by the names of its options."""

    def __init__(self, listeners: int) -> None:
        self.said = bytearray()
        self.ports: dict[str, int] = {}
        self._listeners = listeners
        self.listening: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.said += data
        if self.listening.called:
            return
        found = re.findall(rb"(IMAP|POP3|LMTP)( with TLS)? on 127\.0\.0\.1:(\d+)", self.said)
        self.ports = {
            name.decode().lower() + ("s" if tls else ""): int(port) for name, tls, port in found
        }
        if len(found) == self._listeners:
            self.listening.callback(None)

    def processEnded(self, reason: Failure) -> None:
        if not self.listening.called:
            self.listening.errback(RuntimeError("it did not start:\n" + self.log))
        self.ended.callback(None)

    @property
    def log(self) -> str:
        return self.said.decode("utf-8", "replace")

    async def stop(self) -> None:
        if self.transport.pid is not None:
            self.transport.signalProcess("TERM")
        await self.ended


def sweeping(directory: Path) -> tuple[str, ...]:
    """What a server process is told where all tests sweep (see `tests`)."""
    rest = os.environ.get("DUCKMAIL_TEST_SWEEPS")
    if rest is None:
        return ()
    config = directory / "sweeps.toml"
    config.write_text(f"[limits]\nsweep_from = 1\nsweep_rest = {max(1, int(rest))}\n")
    return ("--config", str(config))


class ServerTestCase(TestCase):
    """Each test has a database with one user, and one server (or more) on it."""

    timeout = 60
    #: What the server is started with, besides IMAP.
    options: tuple[str, ...] = ()

    async def setUp(self) -> None:
        self.uri = await mongo.database(self)
        self.directory = Path(tempfile.mkdtemp(dir=os.getcwd()))
        await self.duckmail("user", "add", USER, "--password", PASSWORD)
        self.server = await self.start(*self.options)

    @property
    def certificate(self) -> Path:
        """The one that the server made for itself."""
        found = [*(self.directory / "data").rglob("*.pem")]
        certificates = [path for path in found if b"BEGIN CERTIFICATE" in path.read_bytes()]
        self.assertEqual(len(certificates), 1)
        return certificates[0]

    async def start(self, *more: str) -> Server:
        """Another server process on the same database."""
        arguments = (
            program("twistd"),
            *("-n", "--pidfile=", "duckmail", "--mongo", self.uri),
            *("--data-dir", str(self.directory / "data")),
            *("--imap", "tcp:0:interface=127.0.0.1", "--imaps", "tcp:0:interface=127.0.0.1"),
            *more,
            *sweeping(self.directory),
        )
        protocols = ("--imap", "--pop3", "--lmtp")
        server = Server(listeners=sum(each.startswith(protocols) for each in arguments))
        reactor.spawnProcess(  # type: ignore[attr-defined]
            server, arguments[0], arguments, self.environment(), str(self.directory)
        )
        self.addCleanup(server.stop)
        await server.listening
        return server

    def environment(self) -> dict[str, str]:
        """Of the server processes."""
        return environment()

    async def duckmail(self, *arguments: str) -> str:
        """The administrator's command; what it printed."""
        done = await self.run_program(program("duckmail"), *arguments, "--mongo", self.uri)
        return done.stdout

    async def run_program(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """A program to its end, which must be a good one."""

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                arguments,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=self.timeout,
                check=False,
                **more,
            )

        done = await deferToThread(run)
        if done.returncode:
            self.fail(f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    async def blocking(self, client: Callable[..., T], *arguments: Any) -> T:
        """Run a client that blocks, while this process goes on."""
        return await deferToThread(client, *arguments)
