"""Behind a passage a protocol finds the transport that it would find without it."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IProtocolNegotiationFactory,
    ISSLTransport,
    ITCPTransport,
    ITLSTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import FileSender
from twisted.protocols.policies import WrappingFactory
from zope.interface import directlyProvides, implementer

from tests.guard.support import Echo, GuardCase, TLSClient


@implementer(IHandshakeListener)
class Listening(Echo):
    """Wants to hear of handshakes."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def connectionMade(self) -> None:
        self.heard.append("made")

    def handshakeCompleted(self) -> None:
        self.heard.append(f"shaken, {ISSLTransport.providedBy(self.transport)}")

    def lineReceived(self, line: bytes) -> None:
        self.heard.append(line.decode())


@implementer(IHalfCloseableProtocol)
class Lasting(Echo):
    """Serves clients that say nothing more."""

    def readConnectionLost(self) -> None:
        self.sendLine(b"I still hear you")

    def writeConnectionLost(self) -> None:
        self.reasons.append("nothing more to say")  # type: ignore[arg-type]


class TransportTests(GuardCase):
    def test_its_interfaces_are_those_of_the_real_one_also_those_to_come(self) -> None:
        socket = self.connect(self.guard())
        transport = Echo.made[0].transport
        for interface, provided in ((ITCPTransport, True), (IUNIXTransport, False)):
            self.assertEqual(interface.providedBy(transport), provided)
        self.assertIs(ITCPTransport(transport), transport)
        self.assertFalse(ISSLTransport.providedBy(transport))
        self.assertIsNone(ITLSTransport(transport, None))
        # As startTLS does it.
        directlyProvides(socket, ISSLTransport)
        self.assertTrue(ISSLTransport.providedBy(transport))

    def test_what_only_the_real_one_has_is_there_and_what_it_lacks_is_not(self) -> None:
        self.connect(self.guard())
        transport = Echo.made[0].transport
        transport.setTcpNoDelay(True)
        self.assertFalse(transport.disconnecting)
        self.assertFalse(hasattr(transport, "startTLS"))
        self.assertFalse(hasattr(transport, "getPeerCertificate"))

    def test_addresses(self) -> None:
        socket = self.connect(self.guard())
        transport = Echo.made[0].transport
        self.assertEqual(
            (transport.getPeer(), transport.getHost()), (socket.peer, socket.getHost())
        )

    def test_everything_that_is_said_is_counted(self) -> None:
        socket = self.connect(self.guard())
        transport = Echo.made[0].transport
        transport.write(b"123")
        transport.writeSequence([b"4", b"56"])
        transport.writeSequence(iter([b"7"]))
        self.assertEqual(socket.heard(), b"hello\r\n1234567")
        self.assertEqual(self.hooks.connected[0].bytesOut, 14)

    def test_what_is_no_bytes_is_not_taken(self) -> None:
        self.connect(self.guard())
        with self.assertRaises(AssertionError):
            Echo.made[0].transport.write("text")
        self.assertEqual(self.hooks.connected[0].bytesOut, 7)

    def test_producers(self) -> None:
        from io import BytesIO

        socket = self.connect(self.guard())
        done = FileSender().beginFileTransfer(BytesIO(b"a file"), Echo.made[0].transport)
        while socket.producer is not None:
            socket.producer.resumeProducing()
        self.successResultOf(done)
        self.assertEqual(socket.heard(), b"hello\r\na file")

    def test_pausing_and_resuming(self) -> None:
        socket = self.connect(self.guard())
        protocol = Echo.made[0]
        protocol.pauseProducing()
        self.assertTrue(socket.paused)
        protocol.resumeProducing()
        self.assertFalse(socket.paused)

    def test_abort(self) -> None:
        socket = self.connect(self.guard())
        socket.send(b"abort\r\n")
        self.clock.advance(0)
        self.assertTrue(socket.aborted)
        self.assertEqual(self.hooks.closed[0].closeReason, "the server closed it")

    def test_a_protocol_may_give_its_connection_to_another(self) -> None:
        class Other(Protocol):
            received = b""

            def dataReceived(self, data: bytes) -> None:
                self.received += data

        socket = self.connect(self.guard())
        transport, other = Echo.made[0].transport, Other()
        self.assertIs(transport.protocol, Echo.made[0])
        transport.protocol = other
        socket.send(b"one\r\n")
        self.assertEqual(other.received, b"one\r\n")


class HandshakeTests(GuardCase):
    def test_one_before_the_protocol_was_made(self) -> None:
        client = TLSClient(self.connect(self.in_tls(self.guard(Listening))))
        waiting = self.wait()
        client.shake_hands()
        client.send(b"one\r\n")
        self.assertEqual(Echo.made, [])
        waiting.callback(None)
        self.assertEqual(Echo.made[0].heard, ["made", "shaken, True", "one"])  # type: ignore[attr-defined]

    def test_one_that_the_protocol_started(self) -> None:
        socket = self.connect(self.guard(Listening))
        [session] = self.hooks.connected
        self.assertFalse(session.secure)
        directlyProvides(socket, ISSLTransport)
        socket.protocol.handshakeCompleted()
        self.assertEqual(Echo.made[0].heard, ["made", "shaken, True"])  # type: ignore[attr-defined]
        self.assertTrue(session.secure)
        self.assertEqual(len(self.hooks.connected), 1)

    def test_a_protocol_that_does_not_want_to_hear_of_it(self) -> None:
        socket = self.connect(self.guard())
        socket.protocol.handshakeCompleted()
        self.assertTrue(self.hooks.connected[0].secure)


class HalfCloseTests(GuardCase):
    def test_a_protocol_that_can_do_with_it(self) -> None:
        socket = self.connect(self.guard(Lasting))
        socket.hang_up()
        self.assertEqual(socket.heard(), b"hello\r\nI still hear you\r\n")
        self.assertEqual((socket.lost, self.hooks.closed), (0, []))
        socket.protocol.writeConnectionLost()
        self.assertEqual(Echo.made[0].reasons, ["nothing more to say"])

    def test_before_it_is_let_in(self) -> None:
        waiting = self.wait()
        socket = self.connect(self.guard(Lasting))
        socket.send(b"one\r\n")
        socket.hang_up()
        self.assertFalse(waiting.called)
        waiting.callback(None)
        self.assertEqual(socket.heard(), b"hello\r\none\r\nI still hear you\r\n")

    def test_one_whose_class_is_not_known_before(self) -> None:
        class Secret(Factory[Any]):
            def buildProtocol(self, addr: Any) -> Any:
                return Lasting()

        socket = self.connect(self.guard(Secret()))
        socket.hang_up()
        self.assertEqual(socket.heard(), b"hello\r\nI still hear you\r\n")

    def test_a_factory_that_makes_something_else(self) -> None:
        class Fickle(Factory[Any]):
            protocol = Lasting

            def buildProtocol(self, addr: Any) -> Any:
                return Echo()

        socket = self.connect(self.guard(Fickle()))
        socket.hang_up()
        self.assertTrue(socket.disconnecting)

    def test_a_protocol_that_cannot(self) -> None:
        socket = self.connect(self.guard())
        socket.hang_up()
        self.assertEqual((socket.lost, len(self.hooks.closed)), (1, 1))


class FactoryTests(GuardCase):
    def test_starting_and_stopping_reach_the_factory(self) -> None:
        calls: list[str] = []

        class Counting(Factory[Any]):
            protocol = Echo
            noisy = False

            def startFactory(self) -> None:
                calls.append("start")

            def stopFactory(self) -> None:
                calls.append("stop")

        factory = self.guard(Counting())
        for call in (factory.doStart, factory.doStart, factory.doStop):
            call()
        self.assertEqual(calls, ["start"])
        factory.doStop()
        self.assertEqual(calls, ["start", "stop"])

    def test_negotiation_is_the_factorys(self) -> None:
        @implementer(IProtocolNegotiationFactory)
        class Negotiating(Factory[Any]):
            def acceptableProtocols(self) -> list[bytes]:
                return [b"imap"]

        self.assertFalse(IProtocolNegotiationFactory.providedBy(self.guard()))
        factory = IProtocolNegotiationFactory(self.guard(Negotiating()))
        self.assertEqual(factory.acceptableProtocols(), [b"imap"])

    def test_the_protocol_is_known_through_wrappers(self) -> None:
        from twisted.mail.imap4 import IMAP4Server

        class Subclass(IMAP4Server):
            """As applications write them."""

        wrapped = WrappingFactory(Factory.forProtocol(Subclass))
        self.assertEqual(self.guard(wrapped).name, "IMAP")

    def test_the_log_says_whose_connection_it_is(self) -> None:
        socket = self.connect(self.guard())
        [session] = self.hooks.connected
        self.assertEqual(socket.protocol.logPrefix(), f"Echo {session.id}")
