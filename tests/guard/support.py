"""Connections in memory, with a clock that stands still: a socket, a TLS client, and protocols to be guarded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions, PrivateCertificate, TLSVersion
from twisted.internet.task import Clock
from twisted.protocols.basic import LineReceiver
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_duck.guard import GuardedFactory, ProxyFactory
from twisted_duck.limits import Limits
from twisted_duck.session import Session


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Socket:
    """The server's end of a TCP connection, which is lost as the reactor has it: later, and once."""

    disconnecting = False

    def __init__(self, factory: Any, clock: Clock, host: str = "192.0.2.1") -> None:
        self.clock = clock
        self.peer = IPv4Address("TCP", host, 50000)
        self.host = IPv4Address("TCP", "192.0.2.143", 143)
        self.said = b""
        self.aborted = False
        self.paused = False
        self.producer: Any = None
        #: What was sent and has not been read.
        self.waiting: list[bytes] = []
        self.hung_up = False
        #: Whether the connection is gone, and how often that was told.
        self.lost = 0
        self.protocol = factory.buildProtocol(self.peer)
        self.protocol.makeConnection(self)

    # --- what a client does -------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.waiting.append(data)
        self._read()

    def hang_up(self) -> None:
        """Say that nothing more will be said (FIN)."""
        self.hung_up = True
        self._read()

    def reset(self) -> None:
        self._lose(ConnectionLost())

    def heard(self) -> bytes:
        said, self.said = self.said, b""
        return said

    def _read(self) -> None:
        while self.waiting and not (self.paused or self.disconnecting or self.lost):
            self.protocol.dataReceived(self.waiting.pop(0))
        if self.hung_up and not (self.waiting or self.paused or self.lost):
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self.protocol.readConnectionLost()
            else:
                self._lose(ConnectionDone())

    def _lose(self, reason: Exception) -> None:
        if not self.lost:
            self.lost += 1
            if self.producer is not None:
                self.producer.stopProducing()
            self.protocol.connectionLost(Failure(reason))

    # --- ITCPTransport, IConsumer, IPushProducer ----------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if not (self.lost or self.disconnecting):
            self.said += data

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            self.clock.callLater(0, self._lose, ConnectionDone())

    def abortConnection(self) -> None:
        if not self.aborted:
            self.aborted = self.disconnecting = True
            self.clock.callLater(0, self._lose, ConnectionAborted())

    def getPeer(self) -> Any:
        return self.peer

    def getHost(self) -> Any:
        return self.host

    def setTcpNoDelay(self, enabled: bool) -> None:
        """It has no delay."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        if not self.disconnecting:
            self.paused = False
            self.clock.callLater(0, self._read)


@cache
def certificate() -> PrivateCertificate:
    """Good for a test's TLS and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "duck.example")])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("duck.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    pem = made.public_bytes(encoding) + key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return PrivateCertificate.loadPEM(pem)


@cache
def server_tls(wants_certificate: bool = False) -> CertificateOptions:
    own = certificate()
    return CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        raiseMinimumTo=TLSVersion.TLSv1_2,
        **({"verify": True, "caCerts": [own.original]} if wants_certificate else {}),
    )


class TLSClient:
    """A client's TLS, spoken by hand over a `Socket`."""

    def __init__(self, socket: Socket, name: bytes | None = None, *, shows: bool = False) -> None:
        self.socket = socket
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if shows:
            own = certificate()
            context.use_privatekey(own.privateKey.original)
            context.use_certificate(own.original)
        self._tls = SSL.Connection(context, None)
        if name is not None:
            self._tls.set_tlsext_host_name(name)
        self._tls.set_connect_state()

    def hello(self) -> bytes:
        """The first flight."""
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            pass
        return self._outgoing()

    def shake_hands(self, before: bytes = b"") -> None:
        """The whole handshake, with something before it in the same piece."""
        flight = before + self.hello()
        while flight:
            self.socket.send(flight)
            self._take()
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                pass
            flight = self._outgoing()

    def send(self, data: bytes) -> None:
        self._tls.send(data)
        self.socket.send(self._outgoing())

    def heard(self) -> bytes:
        self.socket.clock.advance(0)
        self._take()
        said = b""
        while True:
            try:
                said += self._tls.recv(65536)
            except (SSL.WantReadError, SSL.ZeroReturnError):
                return said

    def say_goodbye(self) -> None:
        self._tls.shutdown()
        self.socket.send(self._outgoing())

    def _take(self) -> None:
        data = self.socket.heard()
        if data:
            self._tls.bio_write(data)

    def _outgoing(self) -> bytes:
        try:
            return self._tls.bio_read(65536)
        except SSL.WantReadError:
            return b""


class Echo(LineReceiver):
    """A plain protocol of nobody's: greets, repeats lines, and says goodbye at `quit`."""

    made: ClassVar[list[Echo]] = []

    def __init__(self) -> None:
        self.reasons: list[Failure] = []
        self.made.append(self)

    def connectionMade(self) -> None:
        self.sendLine(b"hello")

    def lineReceived(self, line: bytes) -> None:
        if line == b"quit":
            self.transport.loseConnection()
        elif line == b"abort":
            self.transport.abortConnection()
        elif line == b"break":
            raise ValueError("a bug")
        else:
            self.sendLine(line)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.reasons.append(reason)


class Hooks:
    """What was asked and told, in order; `answer` and `close_answer` are what the hooks answer with."""

    def __init__(self) -> None:
        self.connected: list[Session] = []
        self.closed: list[Session] = []
        self.answer: Callable[[Session], Any] = lambda session: None
        self.close_answer: Callable[[Session], Any] = lambda session: None

    def onConnect(self, session: Session) -> Any:
        self.connected.append(session)
        return self.answer(session)

    def onClose(self, session: Session) -> Any:
        self.closed.append(session)
        return self.close_answer(session)


class GuardCase(SynchronousTestCase):
    limits = Limits()

    def setUp(self) -> None:
        self.clock = Clock()
        self.hooks = Hooks()
        self.sockets: list[Socket] = []
        self.patch(Echo, "made", [])

    def tearDown(self) -> None:
        for socket in self.sockets:
            socket.reset()
        self.clock.advance(0)
        self.assertEqual(
            [
                call
                for call in self.clock.getDelayedCalls()
                if call.getTime() > self.clock.seconds()
            ],
            [],
        )

    def guard(self, guarded: Any = Echo, /, **options: Any) -> GuardedFactory:
        """Around a factory, or one of a protocol class."""
        factory = guarded if hasattr(guarded, "buildProtocol") else Factory.forProtocol(guarded)
        options = {"limits": self.limits, "clock": self.clock} | options
        return GuardedFactory(factory, self.hooks.onConnect, self.hooks.onClose, **options)

    def connect(self, factory: Any, host: str = "192.0.2.1") -> Socket:
        socket = Socket(factory, self.clock, host)
        self.sockets.append(socket)
        return socket

    def in_tls(self, factory: Any, **options: Any) -> TLSMemoryBIOFactory:
        return TLSMemoryBIOFactory(server_tls(**options), False, factory, self.clock)

    def proxied(self, factory: Any, *networks: str) -> ProxyFactory:
        return ProxyFactory(
            factory, networks or ["192.0.2.0/24"], limits=self.limits, clock=self.clock
        )

    def wait(self) -> Deferred[Any]:
        """From now on `onConnect` answers when this does."""
        waiting: Deferred[Any] = Deferred()
        self.hooks.answer = lambda session: waiting
        return waiting
