"""Writing to a client no faster than it reads."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITransport
from zope.interface import implementer

from twisted_duck import prompt


class ConnectionOver(Exception):
    """The connection ended while somebody waited for it; whoever serves it has nothing left to do."""


@implementer(IPushProducer)
class Outflow:
    """Collects what is to be said and hands it to the transport in large pieces.

    `write` never waits.  `drain`, awaited between pieces of a long answer, waits while the transport's buffer is full,
    so that what waits for a slow client is bounded by one piece and that buffer.
    """

    __slots__ = (
        "_full",
        "_over",
        "_pieces",
        "_size",
        "_socket",
        "_transport",
        "_unsent",
        "_waiting",
        "encode",
        "written",
    )

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
        self._socket = prompt.socket_of(transport)
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

    @property
    def collected(self) -> int:
        """Bytes that wait to be handed on."""
        return self._size

    def write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= self.PIECE:
            self.flush()

    def flush(self) -> None:
        if data := self._take():
            self._unsent = True
            self._transport.write(data)

    def _take(self) -> bytes:
        """What is to be handed on now; nothing once it is over."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._over:
            return b""
        if self.encode is not None:
            data = self.encode(data)
        self.written += len(data)
        return data

    def send(self) -> bool:
        """Hand on what was collected, and have it sent now: for an answer's end, behind which there is nothing to come.

        Whether anything was written since this was last done.
        """
        if self._unsent:
            self.flush()
            self._unsent = False
            prompt.send(self._socket)
        elif data := self._take():
            prompt.write(self._transport, data)
        else:
            return False
        return True

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
