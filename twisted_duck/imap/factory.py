"""The factory an application puts behind an endpoint."""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

import twisted_duck.adapters  # noqa: F401  (registers the adapter for avatars that provide IAccountIMAP)
from twisted_duck.imap.protocol import CleartextAuth, IMAP4Protocol, Settings
from twisted_duck.limits import Limits


class IMAP4Factory(ServerFactory):
    """Serves IMAP to the avatars of a cred portal.

    The portal may be any: its checkers are given L{twisted.cred.credentials.UsernamePassword}, its realm is asked for
    an avatar that provides L{twisted_duck.interfaces.IAccount} or L{twisted.mail.interfaces.IAccountIMAP}, with the
    connection's L{twisted_duck.session.Session} as the mind.

    @param tls: what C{transport.startTLS} takes, or None for no STARTTLS
    @param clock: where timers are set; the global reactor by default
    @param cleartextAuth: on which connections without TLS a password may be sent: C{"never"}, C{"loopback"} (those
        that come from this machine) or C{"always"}
    @param spoolDirectory: where messages above C{limits.spool_memory} are kept while they arrive
    """

    noisy = False

    def __init__(
        self,
        portal: Portal,
        *,
        tls: Any = None,
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
        cleartextAuth: CleartextAuth = "never",
        spoolDirectory: str | None = None,
    ) -> None:
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        self._settings = Settings(
            portal,
            clock,
            limits or Limits(),
            tls,
            cleartextAuth,
            spoolDirectory,
            opened=self._opened,
            closed=self._closed,
        )
        self._connections: set[IMAP4Protocol] = set()
        self._empty: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> IMAP4Protocol:
        protocol = IMAP4Protocol(self._settings)
        protocol.factory = self
        return protocol

    def _opened(self, protocol: IMAP4Protocol) -> None:
        self._connections.add(protocol)

    def _closed(self, protocol: IMAP4Protocol) -> None:
        self._connections.discard(protocol)
        if not self._connections:
            waiting, self._empty = self._empty, []
            for each in waiting:
                each.callback(None)

    def shutDown(self, reason: str = "the server is shutting down") -> Deferred[None]:
        """Send everybody home: whoever is idle at once, whoever has a command running when it is done.

        Fires when the last connection is gone, which may take as long as the slowest command: bound it.
        """
        for protocol in list(self._connections):
            protocol.finish(reason)
        if not self._connections:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._empty.append(done)
        return done
