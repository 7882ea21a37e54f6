"""What the factories of all our protocols share: who is connected, and how to send everybody home."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import ServerFactory

from twisted_duck.connection import Connection


class ConnectionFactory(ServerFactory):
    """Keeps the connections it made until they are over, what they were working on included."""

    noisy = False

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._empty: list[Deferred[None]] = []

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

    def shutDown(self, reason: str = "the server is shutting down") -> Deferred[None]:
        """Send everybody home: whoever is idle at once, whoever has a command running when it is done.

        Fires when the last connection is over, which may take as long as the slowest command: bound it.
        """
        for connection in list(self._connections):
            connection.finish(reason)
        if not self._connections:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._empty.append(done)
        return done
