"""Writing to a client no faster than it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITransport, IWriteDescriptor
from zope.interface import implementer


class ConnectionOver(Exception):
    """The connection ended while somebody waited for it; whoever serves it has nothing left to do."""


@implementer(IPushProducer)
class Outflow:
    """Collects what is to be said and hands it to the transport in large pieces.

    `write` never waits.  `drain`, awaited between pieces of a long answer, waits while the transport's buffer is full,
    so that what waits for a slow client is bounded by one piece and that buffer.
    """

    #: Bytes collected before they are handed on.
    PIECE = 64 * 1024

    def __init__(self, transport: ITransport) -> None:
        self._transport = transport
        self._pieces: list[bytes] = []
        self._size = 0
        self._full = False
        self._over = False
        self._waiting: Deferred[None] | None = None
        #: What becomes of each piece before it is handed on, as it is compressed.
        self.encode: Callable[[bytes], bytes] | None = None
        #: Bytes handed to the transport.
        self.written = 0
        self._socket = _socket(transport)
        #: Whether the transport was given something since it was last told to send.
        self._unsent = False
        transport.registerProducer(self, True)  # type: ignore[attr-defined]

    @property
    def blocked(self) -> bool:
        """Whether an answer waits for the client to read."""
        return self._waiting is not None

    @property
    def full(self) -> bool:
        """Whether the transport has more than it wants to keep."""
        return self._full

    def write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= self.PIECE:
            self.flush()

    def flush(self) -> None:
        if self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            if not self._over:
                if self.encode is not None:
                    data = self.encode(data)
                self.written += len(data)
                self._unsent = True
                self._transport.write(data)

    def send(self) -> None:
        """Hand on what was collected, and have it sent now: for an answer's end, behind which there is nothing to come.

        A transport sends in its reactor's next turn; to go through that for each answer is a tenth of what a short one
        takes.  What can't be sent now stays with the transport.
        """
        self.flush()
        if self._unsent:
            self._unsent = False
            if self._socket is not None:
                _send_now(self._socket)

    async def drain(self) -> None:
        """Come back when there is room.  Raises ConnectionOver if the connection ends before."""
        if self._over:
            raise ConnectionOver
        if self._full:
            self.flush()
            self._waiting = Deferred()
            await self._waiting

    def end(self, *, lost: bool) -> None:
        """Nothing more will be said: what was collected goes out, unless the connection is `lost`."""
        if self._over:
            return
        if lost:
            self._pieces.clear()
        self.flush()
        self._over = True
        self._transport.unregisterProducer()  # type: ignore[attr-defined]
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(ConnectionOver())

    # --- IPushProducer: called by the transport -----------------------------------------------------------------------

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        # Twisted's TLS does not tell a producer that the client has said goodbye, nor a transport that waits for one that
        # there will be nothing more: it would take all that is to come, and the connection would stay.  Who registers is
        # told, by `stopProducing`.
        self._transport.unregisterProducer()  # type: ignore[attr-defined]
        self._transport.registerProducer(self, True)  # type: ignore[attr-defined]
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:
        self.end(lost=True)


def _socket(transport: Any) -> Any:
    """The transport itself, or what is below its TLS, if it can be told to write; else None."""
    if not IWriteDescriptor.providedBy(transport):
        transport = getattr(transport, "transport", None)
    return transport if IWriteDescriptor.providedBy(transport) else None


def _send_now(socket: Any) -> None:
    # Where the connection is to be closed behind this, its reactor has to do it.  TLS that came later, by STARTTLS, gives it
    # what it has encrypted in the next turn only.
    if not (socket.disconnecting or getattr(socket, "TLS", False)):
        # If this fails, so does the reactor's next attempt, which ends the connection.
        socket.doWrite()
