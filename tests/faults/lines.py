"""A client over a real connection: it waits for lines, and for octets, and may stop reading."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

#: Seconds after which nobody can be said to have been answered: far more than `world.SHORT` allows for anything.
PATIENCE = 60.0


class Ended(Exception):
    """The server has ended the connection."""


class Lines(Protocol):
    def __init__(self) -> None:
        self._received = bytearray()
        self._waiting: Deferred[None] | None = None
        self.is_over = False
        self._over: list[Deferred[None]] = []

    @classmethod
    async def to(cls, case: TestCase, port: int) -> Lines:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        connecting: Deferred[Lines] = connectProtocol(endpoint, cls())
        self = await connecting
        case.addCleanup(self.cut)
        return self

    def cut(self) -> Deferred[None]:
        if self.is_over:
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._over.append(over)
        self._transport.resumeProducing()
        self._transport.abortConnection()
        return over

    @property
    def _transport(self) -> Any:
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        self._wake()

    def connectionLost(self, reason: Failure | None = None) -> None:  # type: ignore[override]
        self.is_over = True
        self._wake()
        for over in self._over:
            over.callback(None)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def _more(self) -> None:
        if self.is_over:
            raise Ended
        self._waiting = Deferred()
        try:
            await self._waiting.addTimeout(PATIENCE, reactor)  # type: ignore[arg-type]
        except OutOfTime:
            raise AssertionError(f"no answer; heard so far: {bytes(self._received)!r}") from None

    def pause(self) -> None:
        self._transport.pauseProducing()

    def go_on(self) -> None:
        self._transport.resumeProducing()

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    async def line(self) -> str:
        while (end := self._received.find(b"\r\n")) < 0:
            await self._more()
        line = bytes(self._received[:end]).decode()
        del self._received[: end + 2]
        return line

    async def octets(self, count: int) -> bytes:
        while len(self._received) < count:
            await self._more()
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    async def rest(self) -> bytes:
        """All up to the end of the connection."""
        try:
            while True:
                await self._more()
        except Ended:
            return bytes(self._received)

    async def hear(self, is_last: Callable[[str], bool]) -> list[str]:
        lines: list[str] = []
        while not lines or not is_last(lines[-1]):
            lines.append(await self.line())
        return lines

    async def imap(self, command: str) -> list[str]:
        """What is answered, the tag left out."""
        self.send(f"t {command}\r\n".encode())
        return await self.tagged()

    async def tagged(self) -> list[str]:
        lines = await self.hear(lambda line: line.startswith("t "))
        return [*lines[:-1], lines[-1][2:]]

    async def ask(self, text: str) -> str:
        """What POP3 or LMTP answers to a line, the last line of it."""
        self.send(text.encode() + b"\r\n")
        return await self.reply()

    async def reply(self) -> str:
        return (await self.hear(lambda line: line[3:4] != "-" or line.startswith("-ERR")))[-1]


def plain(name: str, password: str) -> str:
    return b64encode(f"\0{name}\0{password}".encode()).decode()
