"""The factory an application puts behind an endpoint."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IReactorTime

from twisted_duck.clock import reactor_clock
from twisted_duck.factory import ConnectionFactory
from twisted_duck.guard.guarded import Hook, OnDeadline
from twisted_duck.limits import Limits
from twisted_duck.lmtp.protocol import LMTPProtocol, Settings
from twisted_duck.lmtp.spam import SpamMark


class LMTPFactory(ConnectionFactory):
    """Takes mail for the users of a store by LMTP.

    LMTP has no authentication: whoever can connect can deliver.  Put it behind an endpoint that only the mail server
    reaches, a UNIX socket or the loopback.

    @param delivery: provides L{twisted_duck.interfaces.IDelivery}
    @param tls: what C{transport.startTLS} takes, or None for no STARTTLS
    @param clock: where timers are set; the global reactor by default
    @param hostname: what the server calls itself; the name of this machine by default
    @param spamHeader: the header field that marks spam, as C{"X-Spam-Flag: YES"}, see
        L{twisted_duck.lmtp.spam.SpamMark}; None if nothing does.  Raises ValueError where it is no field
    @param onConnect, onClose: told of each client that comes and goes, see L{twisted_duck.guard.GuardedFactory}
    @param onDeadline: what becomes of a client for whom C{onConnect} has not answered in time: C{"refuse"} or C{"admit"}
    """

    protocol = LMTPProtocol

    def __init__(
        self,
        delivery: Any,
        *,
        tls: Any = None,
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
        hostname: str | None = None,
        spamHeader: str | None = None,
        onConnect: Hook | None = None,
        onClose: Hook | None = None,
        onDeadline: OnDeadline = "refuse",
    ) -> None:
        limits = limits or Limits()
        clock = clock or reactor_clock()
        super().__init__(onConnect, onClose, onDeadline, limits=limits, clock=clock)
        self._settings = Settings(
            portal=None,
            clock=clock,
            limits=limits,
            tls=tls,
            opened=self._opened,
            closed=self._closed,
            delivery=delivery,
            hostname=hostname or socket.gethostname(),
            spam=None if spamHeader is None else SpamMark.parse(spamHeader),
        )

    def make_protocol(self) -> LMTPProtocol:
        protocol = LMTPProtocol(self._settings)
        protocol.factory = self
        return protocol
