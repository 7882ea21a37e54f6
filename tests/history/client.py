"""What both kinds of clients are: a thread, a socket, and the record."""

from __future__ import annotations

import random
import socket
import threading
import time
import traceback
from collections.abc import Callable

import attrs

from tests.history import messages
from tests.history.record import Event, Record

HOST = "127.0.0.1"
PASSWORD = "a secret of all"

#: Seconds for an answer.  A server may need the bounds of all that it waits for (its turn, a transaction and the outcome of
#: its commit), some 70 together; whoever waits longer waits for ever.
PATIENCE = 150.0


class NoAnswer(Exception):
    """The server is there and says nothing: that must not be, whatever has happened to it."""


class Untrue(Exception):
    """The server said what no server should say."""


@attrs.frozen
class Address:
    """A server process."""

    name: str
    imap: int
    lmtp: int


@attrs.define
class World:
    """What the clients share."""

    seed: int
    servers: tuple[Address, ...]
    users: tuple[str, ...]
    record: Record = attrs.field(factory=Record)
    #: Set when nothing new is to be begun.
    over: threading.Event = attrs.field(factory=threading.Event)
    _zero: float = attrs.field(factory=time.monotonic)

    def now(self) -> float:
        return time.monotonic() - self._zero

    def keep(self, *events: Event) -> None:
        self.record.events.extend(events)

    def content(self, name: str) -> bytes:
        return messages.message(self.seed, name)


class Wire:
    """A connection that is read line by line.  Fails with ConnectionError where it is lost."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise NoAnswer(f"nothing was read for {PATIENCE:g} s") from None

    def line(self) -> bytes:
        """The next one, without its end."""
        line = self._read(lambda: self._file.readline())
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was lost")
        return line[:-2]

    def octets(self, count: int) -> bytes:
        found = self._read(lambda: self._file.read(count))
        if len(found) < count:
            raise ConnectionError("the connection was lost")
        return found

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except TimeoutError:
            raise NoAnswer(f"no answer in {PATIENCE:g} s") from None

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Client(threading.Thread):
    """One that works until the world is over.  `failure` is why it ended before."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.world = world
        self.random = random.Random(f"{world.seed} {name}")
        self.failure: str | None = None
        self._made = 0

    def run(self) -> None:
        try:
            self.work()
        except Exception:  # noqa: BLE001 - whatever it is, the test fails with it
            self.failure = f"{self.name} at {self.world.now():.3f}:\n{traceback.format_exc()}"

    def work(self) -> None:
        raise AssertionError("a client says what it does")

    def pause(self, longest: float) -> None:
        time.sleep(self.random.uniform(longest / 4, longest))

    def new_name(self) -> str:
        self._made += 1
        return f"{self.name}.{self._made}"

    def expect(self, user: str, name: str, content: bytes) -> None:
        self.world.record.digests[user, name] = messages.digest(content)
