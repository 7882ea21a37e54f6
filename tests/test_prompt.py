"""What is written goes out at once where it can, all of it, in its order."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from twisted_duck import prompt
from twisted_duck.guard.passage import View


class Reactor:
    """Counts how often a transport asks for a turn to write in.

    @ivar writers: those that wait for one
    """

    def __init__(self) -> None:
        self.asked = 0
        self.writers: list[Any] = []

    def addWriter(self, writer: Any) -> None:
        self.asked += 1
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)


class Line:
    """A socket that takes so many octets at a time.

    @ivar room: for each `send` that is to come; None: it fails
    """

    def __init__(self, room: list[int | None]) -> None:
        self.room = room
        self.taken = b""
        self.sends = 0

    def setblocking(self, blocking: bool) -> None:
        """It never blocks."""

    def fileno(self) -> int:
        return -1

    def send(self, data: memoryview) -> int:
        self.sends += 1
        room = self.room.pop(0) if self.room else len(data)
        if room is None:
            raise ConnectionResetError(104, "gone")
        if room == 0:
            raise BlockingIOError(11, "full")
        self.taken += bytes(data[:room])
        return min(room, len(data))


def transport(line: Line) -> tuple[Any, Reactor]:
    turns = Reactor()
    made = Connection(line, None, reactor=turns)  # type: ignore[arg-type]
    made.connected = 1
    return made, turns


class WriteTests(SynchronousTestCase):
    def test_it_is_one_send_and_no_turn(self) -> None:
        line = Line([])
        made, turns = transport(line)
        prompt.write(made, b"one")
        prompt.write(made, b"two")
        self.assertEqual((line.taken, line.sends, turns.asked), (b"onetwo", 2, 0))

    def test_what_is_not_taken_stays_and_what_comes_later_is_behind_it(self) -> None:
        line = Line([2, 0, 0, 0])
        made, turns = transport(line)
        prompt.write(made, b"abcdef")
        prompt.write(made, b"ghi")
        self.assertEqual((line.taken, turns.writers), (b"ab", [made]))
        made.write(b"jkl")
        made.doWrite()
        made.doWrite()
        self.assertEqual((line.taken, turns.writers), (b"abcdefghijkl", []))
        prompt.write(made, b"m")
        self.assertEqual((line.taken, turns.writers), (b"abcdefghijklm", []))

    def test_what_fails_is_left_to_the_reactor_to_find(self) -> None:
        line = Line([None, None, None])
        made, turns = transport(line)
        prompt.write(made, b"abc")
        self.assertEqual(turns.writers, [made])
        self.assertIsInstance(made.doWrite(), ConnectionLost)

    def test_what_the_reactor_has_to_see_goes_through_it(self) -> None:
        for name in ("disconnecting", "TLS"):
            line = Line([])
            made, _ = transport(line)
            setattr(made, name, True)
            written: list[bytes] = []
            made.write = written.append
            prompt.write(made, b"abc")
            self.assertEqual((written, line.taken), ([b"abc"], b""))

    def test_a_transport_of_another_kind_is_written_to(self) -> None:
        other = StringTransport()
        prompt.write(other, b"abc")
        self.assertEqual(other.value(), b"abc")

    def test_what_wraps_a_transport_is_asked_and_what_encrypts_is_not_passed_by(self) -> None:
        line = Line([])
        made, _ = transport(line)
        view = View(None, made)  # type: ignore[arg-type]
        prompt.write(view, b"abc")
        self.assertEqual(line.taken, b"abc")

        class Cipher:
            """As Twisted's TLS: what it does not have, what is below it has."""

            transport = view

            def write(self, data: bytes) -> None:
                self.transport.write(data[::-1])

            def __getattr__(self, name: str) -> Any:
                return getattr(self.transport, name)

        prompt.write(Cipher(), b"def")
        made.doWrite()
        self.assertEqual(line.taken, b"abcfed")


class Talker(Protocol):
    def connectionMade(self) -> None:
        self.factory.made.callback(self.transport)  # type: ignore[union-attr]


class RealTests(TestCase):
    async def test_a_reader_that_is_slow_gets_all_in_order(self) -> None:
        made: Deferred[Any] = Deferred()
        factory = Factory.forProtocol(Talker)
        factory.made = made  # type: ignore[attr-defined]
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(client.close)
        transport = await made
        pieces = [b"%07d\n" % number * 1000 for number in range(1000)]
        for piece in pieces:
            prompt.write(transport, piece)
        self.assertTrue(transport.dataBuffer)

        def read() -> bytes:
            said = b""
            while len(said) < 8_000_000:
                said += client.recv(1 << 20)
            return said

        said = await deferToThread(read)
        self.assertEqual(said, b"".join(pieces))
        await deferLater(reactor, 0)
        self.assertFalse(transport.dataBuffer)
        transport.abortConnection()
