"""Tests that read like the examples of an RFC.

    self.transcript('''
        C: a1 SELECT INBOX
        S: * 3 EXISTS
        S: ...
        S: a1 OK [READ-WRITE] ...
    ''')

`C:` is what a client says, `S:` what it must hear, line by line, with nothing before, between or after.  `...` inside a
line stands for anything, and a line `S: ...` for any number of lines.  `C2:` and `S2:` belong to a second session, and
so on.  `C+ text` is sent without a line end (a literal).  Lines that begin with `#` are remarks.
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
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.imap.protocol import IMAP4Protocol
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.spool import Spool
from twisted_duck.values import AppendMessage

USER, PASSWORD = "alice", "wonderland"
_LINE = re.compile(r"([CS])(\d*)([:+]) ?(.*)")


class Transport(StringTransport):
    """A transport in memory that knows what was done to it, and whose client may stop reading."""

    startedTLS: object = None
    aborted = False
    #: Whether the client takes nothing by itself: a producer is paused as a real transport pauses it.
    slow = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.slow and self.producer is not None and len(self.value()) > 2**16:
            self.producer.pauseProducing()

    def startTLS(self, context: object) -> None:
        self.startedTLS = context

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class Held:
    """Calls of a store's method that wait until they are let go."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    @property
    def count(self) -> int:
        return len(self._waiting)

    async def wait(self) -> None:
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        await waiting

    def let_go(self) -> None:
        """The call that has waited longest goes on."""
        self._waiting.pop(0).callback(None)

    def fail(self, error: Exception) -> None:
        """The call that has waited longest fails."""
        self._waiting.pop(0).errback(error)


class Client:
    """One session: what it was told, and has not been looked at yet."""

    def __init__(self, factory: IMAP4Factory, host: str = "192.0.2.1") -> None:
        protocol = factory.buildProtocol(None)
        assert isinstance(protocol, IMAP4Protocol)
        self.protocol = protocol
        self.transport = Transport(
            hostAddress=IPv4Address("TCP", "192.0.2.143", 143),
            peerAddress=IPv4Address("TCP", host, 50000),
        )
        protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def heard(self) -> bytes:
        data = self.transport.value()
        self.transport.clear()
        return data

    def say(self, line: str) -> list[str]:
        """Send a line; the lines that come back."""
        self.send(line.encode("utf-8") + b"\r\n")
        return self.heard().decode("utf-8", "surrogateescape").split("\r\n")[:-1]

    def disconnect(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class TranscriptTestCase(SynchronousTestCase):
    limits = Limits()
    #: Sessions are logged in before the transcript begins.
    log_in = True
    #: This mailbox is selected before the transcript begins, or none.
    selected: str | None = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(limits=self.limits)
        self.store.add_user(USER, PASSWORD)
        self.factory = self.make_factory(Portal(self.store, [self.store]))
        self.clients: dict[str, Client] = {}
        #: Sessions that may now say any number of lines.
        self.skipping: set[str] = set()

    def make_factory(self, portal: Portal) -> IMAP4Factory:
        return IMAP4Factory(
            portal, limits=self.limits, clock=self.clock, cleartextAuth="always", tls=object()
        )

    def tearDown(self) -> None:
        for client in self.clients.values():
            if not client.protocol._lost:
                client.disconnect()

    def client(self, name: str = "") -> Client:
        """The session of that name; made when it is first asked for."""
        if name not in self.clients:
            client = self.clients[name] = Client(self.factory)
            if self.log_in:
                client.say(f"x1 LOGIN {USER} {PASSWORD}")
                if self.selected is not None:
                    client.say(f"x2 SELECT {self.selected}")
            else:
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

        async def wait(*arguments: Any) -> Any:
            await held.wait()
            return await original(*arguments)

        self.patch(owner, method, wait)
        return held

    def break_(self, owner: type, method: str, error: Exception) -> Callable[[], None]:
        """From now on every call of a store's method fails; what is answered mends it."""

        async def fail(*arguments: Any) -> Any:
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
            else:
                self.expect(heard, name, text)
        for name in self.clients:
            self.expect_silence(heard, name)

    def pull(self, heard: dict[str, list[str]], name: str) -> list[str]:
        lines = heard.setdefault(name, [])
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
