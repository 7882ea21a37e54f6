"""Writing no faster than a client reads."""

from __future__ import annotations

import socket
import ssl
import struct

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IWriteDescriptor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import (
    BufferingTLSTransport,
    TLSMemoryBIOFactory,
    TLSMemoryBIOProtocol,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from tests.guard.support import server_tls
from twisted_duck.outflow import ConnectionOver, Outflow


@implementer(IWriteDescriptor)
class Socket(StringTransport):
    """A transport that can be told to write.

    @ivar sent: what it had each time it was told so
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def fileno(self) -> int:
        return -1

    def doWrite(self) -> None:
        self.sent.append(self.value())
        self.clear()


class OutflowTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = StringTransport()
        self.out = Outflow(self.transport)

    def drain(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.out.drain())

    def test_small_pieces_are_collected(self) -> None:
        self.out.write(b"a")
        self.out.write(b"b")
        self.assertEqual((self.transport.value(), self.out.written), (b"", 0))
        self.out.flush()
        self.assertEqual((self.transport.value(), self.out.written), (b"ab", 2))

    def test_a_large_piece_goes_at_once_behind_what_was_before_it(self) -> None:
        self.out.write(b"a")
        self.out.write(b"b" * Outflow.PIECE)
        self.assertEqual(self.transport.value(), b"a" + b"b" * Outflow.PIECE)

    def test_drain_waits_while_the_transport_is_full(self) -> None:
        self.successResultOf(self.drain())
        self.out.pauseProducing()
        waiting = self.drain()
        self.assertNoResult(waiting)
        self.assertTrue(self.out.blocked)
        self.out.resumeProducing()
        self.successResultOf(waiting)
        self.assertFalse(self.out.blocked)

    def test_what_was_collected_goes_out_before_the_wait(self) -> None:
        self.out.pauseProducing()
        self.out.write(b"a")
        waiting = self.drain()
        self.assertEqual(self.transport.value(), b"a")
        self.out.resumeProducing()
        self.successResultOf(waiting)

    def test_an_answer_is_sent_once_and_at_once(self) -> None:
        socket = Socket()
        out = Outflow(socket)
        out.send()
        self.assertEqual(socket.sent, [])
        out.write(b"a")
        out.flush()
        out.write(b"b")
        self.assertEqual(socket.sent, [])
        out.send()
        out.send()
        self.assertEqual(socket.sent, [b"ab"])

    def test_what_is_below_tls_is_sent_at_once(self) -> None:
        socket = Socket()
        tls = StringTransport()
        tls.transport = socket  # type: ignore[attr-defined]
        tls.write = socket.write  # type: ignore[method-assign]
        out = Outflow(tls)
        out.write(b"a")
        out.send()
        self.assertEqual(socket.sent, [b"a"])

    def test_nothing_is_sent_at_once_that_the_reactor_has_to_see(self) -> None:
        for name in ("disconnecting", "TLS"):
            socket = Socket()
            setattr(socket, name, True)
            out = Outflow(socket)
            out.write(b"a")
            out.send()
            self.assertEqual((socket.sent, socket.value()), ([], b"a"))

    def test_the_end_ends_every_wait(self) -> None:
        self.out.pauseProducing()
        waiting = self.drain()
        self.out.end(lost=False)
        self.failureResultOf(waiting, ConnectionOver)
        self.failureResultOf(self.drain(), ConnectionOver)
        self.assertIsNone(self.transport.producer)

    def test_last_words_go_out_and_later_ones_do_not(self) -> None:
        self.out.write(b"bye")
        self.out.end(lost=False)
        self.out.write(b"too late")
        self.out.flush()
        self.out.end(lost=False)
        self.assertEqual((self.transport.value(), self.out.written), (b"bye", 3))

    def test_nothing_is_written_to_a_lost_connection(self) -> None:
        self.out.write(b"bye")
        self.out.stopProducing()
        self.assertEqual((self.transport.value(), self.out.written), (b"", 0))


@implementer(IHandshakeListener)
class Talker(Protocol):
    """Says more than sockets hold."""

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()
        self.answered: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.out = Outflow(self.transport)

    def handshakeCompleted(self) -> None:
        self.answered = Deferred.fromCoroutine(self.answer())

    async def answer(self) -> None:
        for _ in range(512):
            self.out.write(b"x" * Outflow.PIECE)
            await self.out.drain()

    async def stuck(self) -> None:
        """Comes back when the client has taken nothing for a while."""
        before = -1
        while self.out.written != before or not self.out.blocked:
            before = self.out.written
            await deferLater(reactor, 0.1)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.out.end(lost=True)
        self.lost.callback(None)


class GoodbyeTests(TestCase):
    """A client of TLS that says goodbye in the middle of an answer, as one does whose user has seen enough."""

    timeout = 20

    async def test_the_connection_ends(self) -> None:
        await self._ends(BufferingTLSTransport)

    async def test_the_connection_ends_where_tls_collects_nothing(self) -> None:
        await self._ends(TLSMemoryBIOProtocol)

    async def _ends(self, kind: type[TLSMemoryBIOProtocol]) -> None:
        talker = Talker()
        factory = Factory.forProtocol(lambda: talker)  # type: ignore[arg-type]
        tls = TLSMemoryBIOFactory(server_tls(), False, factory)
        tls.protocol = kind
        port = reactor.listenTCP(0, tls, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        client = Client(port.getHost().port)
        self.addCleanup(client.close)
        await deferToThread(client.shake_hands)
        await talker.stuck()
        await deferToThread(client.say_goodbye)
        await talker.lost
        await self.assertFailure(talker.answered, ConnectionOver)


class Asked(Protocol):
    """Answers each chunk at once."""

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.out = Outflow(self.transport)

    def answer(self) -> None:
        self.out.write(b"answer")
        self.out.send()

    def dataReceived(self, data: bytes) -> None:
        self.answer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.out.end(lost=True)
        self.lost.callback(None)


class AtOnceTests(TestCase):
    """Answers that are sent before the reactor's next turn, over a real socket."""

    timeout = 20

    async def connect(self) -> tuple[Asked, socket.socket]:
        asked = Asked()
        factory = Factory.forProtocol(lambda: asked)  # type: ignore[arg-type]
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        client = socket.create_connection(("127.0.0.1", port.getHost().port), 10)
        self.addCleanup(client.close)
        await deferToThread(lambda: (client.sendall(b"x"), client.recv(100)))
        return asked, client

    async def test_it_is_there_before_the_next_turn(self) -> None:
        asked, client = await self.connect()
        asked.answer()
        # No turn has passed.
        self.assertEqual(client.recv(100), b"answer")

    async def test_a_client_that_has_gone_is_lost(self) -> None:
        asked, client = await self.connect()
        asked.transport.pauseProducing()  # type: ignore[union-attr]
        # Without a goodbye: what is sent to it now fails.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        asked.answer()
        await asked.lost


class Client:
    """A socket that blocks, and a TLS that can say goodbye without hearing anything."""

    def __init__(self, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self.close = self._socket.close

    def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._socket.sendall(self._out.read())
                self._in.write(self._socket.recv(2**16))
        self._socket.sendall(self._out.read())

    def say_goodbye(self) -> None:
        """And take what there is, up to the end."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # What has not been read is not what it wants to hear.
            pass
        self._socket.sendall(self._out.read())
        while self._socket.recv(2**16):
            pass
