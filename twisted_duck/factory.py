"""What the factories of all our protocols share: who is let in, who is connected, and how to send everybody home."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

from twisted_duck.connection import Connection
from twisted_duck.guard import GuardedFactory
from twisted_duck.guard.guarded import Guarded, Hook, OnDeadline
from twisted_duck.limits import Limits

_SHUTTING_DOWN = "the server is shutting down"


class ConnectionFactory(ServerFactory):
    """Keeps the connections it made until they are over, what they were working on included.

    @param onConnect, onClose, onDeadline: as L{GuardedFactory} has them; without a hook there is no guard
    """

    noisy = False

    def __init__(
        self,
        onConnect: Hook | None,
        onClose: Hook | None,
        onDeadline: OnDeadline,
        *,
        limits: Limits,
        clock: IReactorTime,
    ) -> None:
        self._connections: set[Connection] = set()
        self._empty: list[Deferred[None]] = []
        self._guard: GuardedFactory | None = None
        if onConnect is not None or onClose is not None:
            self._guard = GuardedFactory(
                _BehindGuard(self),
                onConnect,
                onClose,
                onDeadline=onDeadline,
                limits=limits,
                clock=clock,
            )

    def make_protocol(self) -> Connection:
        """A connection, whoever may be in front of it."""
        raise AssertionError("a factory says what it makes")

    def buildProtocol(self, addr: IAddress | None) -> Connection | Guarded:
        return self.make_protocol() if self._guard is None else self._guard.buildProtocol(addr)

    def startFactory(self) -> None:
        if self._guard is not None:
            self._guard.doStart()  # type: ignore[no-untyped-call]

    def stopFactory(self) -> None:
        if self._guard is not None:
            self._guard.doStop()  # type: ignore[no-untyped-call]

    def _opened(self, connection: Connection) -> None:
        """`Settings.opened` of the connections this factory makes."""
        self._connections.add(connection)

    def _closed(self, connection: Connection) -> None:
        """`Settings.closed`, likewise."""
        self._connections.discard(connection)
        if not self._connections:
            waiting, self._empty = self._empty, []
            for each in waiting:
                each.callback(None)

    def shutDown(self, reason: str = _SHUTTING_DOWN) -> Deferred[None]:
        """Send everybody home: whoever is idle at once, whoever has a command running when it is done.

        Fires when the last connection is over, which may take as long as the slowest command: bound it.  With hooks, it
        is as L{GuardedFactory.shutDown} has it: who waits to be let in is refused, C{onClose} is waited for, and it is
        bounded.
        """
        return self.send_home(reason) if self._guard is None else self._guard.shutDown(reason)

    def send_home(self, reason: str) -> Deferred[None]:
        """What `shutDown` does with those who were let in."""
        for connection in list(self._connections):
            connection.finish(reason)
        if not self._connections:
            return succeed(None)
        done: Deferred[None] = Deferred(self._empty.remove)
        self._empty.append(done)
        return done


class _BehindGuard(ServerFactory):
    """A factory as its own guard sees it: without the guard."""

    noisy = False

    def __init__(self, factory: ConnectionFactory) -> None:
        self._factory = factory
        # From which the guard knows what is spoken.
        self.protocol = factory.protocol

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return self._factory.make_protocol()

    def shutDown(self, reason: str) -> Deferred[None]:
        return self._factory.send_home(reason)
