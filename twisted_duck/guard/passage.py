"""A protocol that lets another one in later, and then only passes on what happens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer, providedBy

from twisted_duck import prompt, reads
from twisted_duck.arguments import check_kind
from twisted_duck.clock import reactor_clock
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.prompt import Prompt


class View(Prompt):
    """The transport, as the protocol behind a passage sees it."""

    def __init__(self, passage: Passage, transport: Any) -> None:
        self._passage = passage
        self._transport = transport

    @property
    def __providedBy__(self) -> Any:
        # Asked for each time: startTLS makes a transport provide ISSLTransport.
        return providedBy(self._transport)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def write_now(self, data: bytes) -> None:
        prompt.write(self._transport, data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self._transport.writeSequence(iovec)

    def pauseProducing(self) -> None:
        self._passage.inner_pauses()

    def resumeProducing(self) -> None:
        self._passage.inner_resumes()

    @property
    def bufferSize(self) -> int:
        """Octets that are read at a time, as a transport of Twisted's has them."""
        size: int = self._transport.bufferSize
        return size

    @bufferSize.setter
    def bufferSize(self, octets: int) -> None:
        self._transport.bufferSize = octets

    @property
    def protocol(self) -> Any:
        """Who is behind the passage; a protocol may give its connection to another one by setting it."""
        return self._passage.inner

    @protocol.setter
    def protocol(self, protocol: Any) -> None:
        self._passage.inner = protocol


@implementer(IHandshakeListener)
class Passage(Protocol):
    """One connection.

    @param bound: octets that are read at a time and held; then nothing more is read
    @param half_closeable: whether what may be let in goes on serving a client that says nothing more
    """

    transport: Any

    #: Who is behind it, once there is somebody, until the end of the connection.
    inner: Any = None
    #: Whether what arrives is passed on at once: there is somebody, and has been given what was held.
    _flowing = False
    _held = b""
    #: Whether the transport was paused while nothing flows.
    _stopped = False
    _inner_paused = False
    _end_read = False
    _handshaken = False
    _delivery: IDelayedCall | None = None

    def __init__(self, clock: IReactorTime, bound: int, *, half_closeable: bool = False) -> None:
        self._clock = clock
        self._bound = bound
        if half_closeable:
            alsoProvides(self, IHalfCloseableProtocol)

    # --- what the transport calls -------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        reads.at_once(self.transport, self._bound)

    def dataReceived(self, data: bytes) -> None:
        if self._flowing:
            self.inner.dataReceived(data)
        else:
            self.hold(data)

    def handshakeCompleted(self) -> None:
        self._handshaken = True
        if IHandshakeListener.providedBy(self.inner):
            self.inner.handshakeCompleted()

    def readConnectionLost(self) -> None:
        if not self._flowing:
            self._end_read = True
        elif IHalfCloseableProtocol.providedBy(self.inner):
            self.inner.readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        if IHalfCloseableProtocol.providedBy(self.inner):
            self.inner.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._delivery is not None:
            self._delivery.cancel()
            self._delivery = None
        self._held = b""
        inner, self.inner = self.inner, None
        if inner is not None:
            inner.connectionLost(reason)

    # --- holding ------------------------------------------------------------------------------------------------------

    def hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > self._bound:
            self._stop()

    def drop(self) -> None:
        """Forget what is held, and do not read any slower for it."""
        self._held = b""
        self._go_on()

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self.transport.pauseProducing()

    def _go_on(self) -> None:
        if self._stopped:
            self._stopped = False
            self.transport.resumeProducing()

    # --- letting in ---------------------------------------------------------------------------------------------------

    def let_in(self, protocol: Any, view: View) -> None:
        """Connect the protocol, and give it what was held."""
        self.inner = protocol
        if IHalfCloseableProtocol.providedBy(protocol):
            alsoProvides(self, IHalfCloseableProtocol)
        self._flowing = not (self._held or self._end_read)
        reads.at_once(self.transport, reads.USUAL)
        protocol.makeConnection(view)
        if self._handshaken and IHandshakeListener.providedBy(self.inner):
            self.inner.handshakeCompleted()
        self._deliver()

    def inner_pauses(self) -> None:
        if self._flowing:
            self.transport.pauseProducing()
        else:
            self._inner_paused = True
            self._stop()

    def inner_resumes(self) -> None:
        if self._flowing:
            self.transport.resumeProducing()
        else:
            self._inner_paused = False
            # From the reactor, as a transport that was resumed does it.
            if self._delivery is None:
                self._delivery = self._clock.callLater(0, self._deliver_now)

    def _deliver_now(self) -> None:
        self._delivery = None
        self._deliver()

    def _deliver(self) -> None:
        """Give the protocol what was held, unless it does not want it now, or has ended the connection already."""
        if self.inner is None or self._flowing or self._inner_paused:
            return
        self._flowing = True
        data, self._held = self._held, b""
        if getattr(self.transport, "disconnecting", False):
            return
        # First, so that a protocol that wants no more has the last word.
        self._go_on()
        if data:
            self.inner.dataReceived(data)
        if self._end_read and self.inner is not None:
            self.readConnectionLost()


def cut_off(transport: Any) -> None:
    """End a connection without waiting for anything, where a transport can do that."""
    getattr(transport, "abortConnection", transport.loseConnection)()


class PassageFactory(WrappingFactory[Any]):
    """A factory around a factory, in everything but `buildProtocol`."""

    noisy = False

    def __init__(
        self, factory: IProtocolFactory, limits: Limits | None, clock: IReactorTime | None
    ) -> None:
        check_kind(
            "limits", limits, limits is None or isinstance(limits, Limits), "a Limits or None"
        )
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.limits = limits or DEFAULTS
        self.clock = clock or reactor_clock()
        if IProtocolNegotiationFactory.providedBy(factory):
            alsoProvides(self, IProtocolNegotiationFactory)

    def acceptableProtocols(self) -> list[bytes]:
        """ALPN, where the factory has an opinion on it."""
        protocols: list[bytes] = self.wrappedFactory.acceptableProtocols()
        return protocols
