"""Tests of a protocol that read like the examples of its RFC.

    self.transcript('''
        C: STAT
        S: +OK 2 320
        C: LIST
        S: +OK ...
        S: 1 120
        S: 2 200
        S: .
    ''')

`C:` is what a client says, `S:` what it must hear, line by line, with nothing before, between or after.  `...` inside a
line stands for anything, and a line `S: ...` for any number of lines.  `C2:` and `S2:` belong to a second session, and
so on.  `C+ text` is sent without a line end.  Lines that begin with `#` are remarks.  `S: (closed)` says that the
server has ended the connection.

The server's store is in memory and its clock stands still; the transports are strings.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.spool import Spool
from twisted_duck.values import AppendMessage

USER, PASSWORD = "alice", "wonderland"
_LINE = re.compile(r"([CS])(\d*)([:+]) ?(.*)")


class Transport(StringTransport):
    """A transport in memory that knows what was done to it."""

    startedTLS: object = None
    aborted = False
    #: Whether the client was let go in whatever way.
    closed = False
    #: Whether the client reads only when `Client.take` says so: each write fills the transport.
    slow = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.slow and self.producer is not None:
            self.producer.pauseProducing()

    def startTLS(self, context: object) -> None:
        self.startedTLS = context

    def loseConnection(self) -> None:
        self.closed = True

    def abortConnection(self) -> None:
        self.aborted = self.closed = True


class Held:
    """Calls of a store's method that wait until they are let go."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []
        #: All there have been.
        self.begun = 0

    @property
    def count(self) -> int:
        """Those that wait."""
        return len(self._waiting)

    async def wait(self) -> None:
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self.begun += 1
        await waiting

    def let_go(self) -> None:
        """The call that has waited longest goes on."""
        self._waiting.pop(0).callback(None)


class Client:
    """One session: what it was told, and has not been looked at yet."""

    def __init__(
        self,
        factory: IProtocolFactory,
        host: str = "192.0.2.1",
        transport: type[Transport] = Transport,
    ) -> None:
        self.protocol: Any = factory.buildProtocol(None)
        self.transport = transport(
            hostAddress=IPv4Address("TCP", "192.0.2.143", 143),
            peerAddress=IPv4Address("TCP", host, 50000),
        )
        self.connected = True
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def heard(self) -> bytes:
        data = self.transport.value()
        self.transport.clear()
        return data

    def take(self) -> bytes:
        """What a slow client reads when it reads at all."""
        data = self.heard()
        if self.transport.producer is not None:
            self.transport.producer.resumeProducing()
        return data

    def say(self, line: str) -> list[str]:
        """Send a line; the lines that come back."""
        self.send(line.encode("utf-8") + b"\r\n")
        return self.heard().decode("utf-8", "surrogateescape").split("\r\n")[:-1]

    def disconnect(self) -> None:
        if self.connected:
            self.connected = False
            self.protocol.connectionLost(Failure(ConnectionDone()))


class TranscriptCase(SynchronousTestCase):
    """A module for each protocol says how its factory is made, and how a client enters."""

    limits = Limits()
    #: Whether `enter` has been done before the transcript begins.
    log_in = True

    def make_factory(self, portal: Portal) -> Any:
        raise AssertionError("a protocol's tests say how its factory is made")

    def enter(self, client: Client) -> None:
        """Log in."""
        raise AssertionError("a protocol's tests say how a client logs in")

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(limits=self.limits)
        self.store.add_user(USER, PASSWORD)
        self.portal = Portal(self.store, [self.store])
        self.factory = self.make_factory(self.portal)
        self.clients: dict[str, Client] = {}
        #: Sessions that may now say any number of lines.
        self.skipping: set[str] = set()

    def tearDown(self) -> None:
        for client in self.clients.values():
            client.disconnect()
        # Who was at work gives back what it has in its next turn; whatever call is left then belongs to nobody.
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def client(self, name: str = "") -> Client:
        """The session of that name; made when it is first asked for."""
        if name not in self.clients:
            client = self.clients[name] = Client(self.factory)
            if self.log_in:
                self.enter(client)
            client.heard()
        return self.clients[name]

    def deliver(
        self,
        mailbox: str,
        *messages: bytes,
        flags: Sequence[str] = (),
        date: datetime = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
    ) -> None:
        """Put messages into a mailbox, without any session."""
        arriving = [AppendMessage(Spool.of(each), frozenset(flags), date) for each in messages]
        self.do("append", mailbox, arriving)

    def do(self, method: str, *arguments: object) -> Any:
        """What a method of the user's account answers, in a session that is nobody's."""
        done = getattr(self.store.account(USER), method)(*arguments)
        return self.successResultOf(Deferred.fromCoroutine(done))

    def hold(self, owner: type, method: str) -> Held:
        """From now on every call of a store's method waits."""
        held, original = Held(), getattr(owner, method)

        async def wait(*arguments: Any, **options: Any) -> Any:
            await held.wait()
            return await original(*arguments, **options)

        self.patch(owner, method, wait)
        return held

    def break_(self, owner: type, method: str, error: Exception) -> Callable[[], None]:
        """From now on every call of a store's method fails; what is answered mends it."""

        async def fail(*arguments: Any, **options: Any) -> Any:
            raise error

        return self.patch(owner, method, fail).restore

    def transcript(self, script: str) -> None:
        heard: dict[str, list[str]] = {}
        for line in textwrap.dedent(script).strip("\n").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            found = _LINE.fullmatch(line)
            if found is None:
                raise ValueError(f"not a line of a transcript: {line!r}")
            who, name, kind, text = found.groups()
            if who == "C":
                self.expect_silence(heard, name)
                end = b"\r\n" if kind == ":" else b""
                self.client(name).send(text.encode("utf-8", "surrogateescape") + end)
            elif text == "(closed)":
                self.expect_silence(heard, name)
                self.assertTrue(self.client(name).transport.closed, "the connection is open")
            else:
                self.expect(heard, name, text)
        for name in self.clients:
            self.expect_silence(heard, name)

    def pull(self, heard: dict[str, list[str]], name: str) -> list[str]:
        lines = heard.setdefault(name, [])
        # Long work gives others a turn now and then.
        self.clock.advance(0)
        data = self.client(name).heard().decode("utf-8", "surrogateescape")
        lines.extend(data.split("\r\n") if data else [])
        if data and lines and lines[-1] == "":
            lines.pop()
        return lines

    def expect(self, heard: dict[str, list[str]], name: str, text: str) -> None:
        lines = self.pull(heard, name)
        if text == "...":
            self.skipping.add(name)
            return
        pattern = re.compile(re.escape(text).replace(re.escape("..."), ".*"))
        said = "\n".join(lines) or "nothing"
        if name in self.skipping:
            self.skipping.remove(name)
            while lines and not pattern.fullmatch(lines[0]):
                del lines[0]
        if not lines or not pattern.fullmatch(lines[0]):
            self.fail(f"S{name}: {text}\nwas expected, and this was said:\n{said}")
        del lines[0]

    def expect_silence(self, heard: dict[str, list[str]], name: str) -> None:
        lines = self.pull(heard, name)
        if name in self.skipping:
            self.skipping.remove(name)
            lines.clear()
        if lines:
            self.fail(f"S{name} said, and nothing was expected:\n" + "\n".join(lines))
