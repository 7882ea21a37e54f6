"""The factory an application puts behind an endpoint."""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

import twisted_duck.adapters  # noqa: F401  (registers the adapter for avatars that provide IAccountIMAP)
from twisted_duck.clock import reactor_clock
from twisted_duck.connection import CleartextAuth
from twisted_duck.factory import ConnectionFactory
from twisted_duck.guard.guarded import Hook, OnDeadline
from twisted_duck.limits import Limits
from twisted_duck.pop3.inbox import DeleteAction
from twisted_duck.pop3.protocol import POP3Protocol, Settings

#: RFC 1939 §3: an inactivity timer must not be shorter.
_SHORTEST_IDLE = 10 * 60


class POP3Factory(ConnectionFactory):
    """Serves the INBOXes of a cred portal's avatars by POP3.

    The portal may be any: its checkers are given L{twisted_duck.auth.PasswordCredentials}, its realm is asked for an
    avatar that provides L{twisted_duck.interfaces.IAccount} or L{twisted.mail.interfaces.IAccountIMAP}, with the
    connection's L{twisted_duck.session.Session} as the mind.

    @param tls: what C{transport.startTLS} takes, or None for no STLS
    @param clock: where timers are set; the global reactor by default
    @param cleartextAuth: on which connections without TLS a password may be sent: C{"never"}, C{"loopback"} (those
        that come from this machine) or C{"always"}
    @param deleteAction: what QUIT does with messages marked by DELE: C{"delete"}, or C{"trash"} to move them to the
        mailbox that is \\Trash
    @param retrSetsSeen: whether RETR sets \\Seen
    @param onConnect, onClose: told of each client that comes and goes, see L{twisted_duck.guard.GuardedFactory}
    @param onDeadline: what becomes of a client for whom C{onConnect} has not answered in time: C{"refuse"} or C{"admit"}
    @param onAuthenticated: asked, with the session, about each user whose credentials are good, before the client is told
        so; it may answer with a value, a coroutine or a Deferred.  If it fails, or does not answer within
        C{limits.on_authenticated} seconds, the user is not logged in; the client is told why if it fails with
        L{twisted_duck.errors.ConnectionRefused} or L{twisted_duck.errors.AuthorizationFailed}
    """

    log = Logger()
    protocol = POP3Protocol

    def __init__(
        self,
        portal: Portal,
        *,
        tls: Any = None,
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
        cleartextAuth: CleartextAuth = "never",
        deleteAction: DeleteAction = "delete",
        retrSetsSeen: bool = False,
        onConnect: Hook | None = None,
        onClose: Hook | None = None,
        onDeadline: OnDeadline = "refuse",
        onAuthenticated: Hook | None = None,
    ) -> None:
        limits = limits or Limits()
        clock = clock or reactor_clock()
        super().__init__(onConnect, onClose, onDeadline, limits=limits, clock=clock)
        if limits.pop3_idle < _SHORTEST_IDLE:
            self.log.warn(
                "a POP3 client may be idle for {least} s (RFC 1939), and {seconds} s are set",
                least=_SHORTEST_IDLE,
                seconds=limits.pop3_idle,
            )
        self._settings = Settings(
            portal=portal,
            clock=clock,
            limits=limits,
            tls=tls,
            cleartext_auth=cleartextAuth,
            on_authenticated=onAuthenticated,
            opened=self._opened,
            closed=self._closed,
            delete_action=deleteAction,
            retr_sets_seen=retrSetsSeen,
        )

    def make_protocol(self) -> POP3Protocol:
        protocol = POP3Protocol(self._settings)
        protocol.factory = self
        return protocol
