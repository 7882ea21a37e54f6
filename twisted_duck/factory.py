"""What the factories of all our protocols share: who is let in, who is connected, and how to send everybody home."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

import twisted_duck.adapters  # noqa: F401  (registers the adapter for avatars that provide IAccountIMAP)
from twisted_duck.arguments import check_choice, check_hooks, check_kind
from twisted_duck.connection import Connection
from twisted_duck.guard import GuardedFactory
from twisted_duck.guard.guarded import Guarded, Hook, OnDeadline
from twisted_duck.limits import Limits
from twisted_duck.login import CleartextAuth

_SHUTTING_DOWN = "the server is shutting down"


class Options(TypedDict, total=False):
    """What every factory takes; L{ConnectionFactory} explains it."""

    tls: Any
    limits: Limits | None
    clock: IReactorTime | None
    onConnect: Hook | None
    onClose: Hook | None
    onDeadline: OnDeadline


class LoginOptions(Options, total=False):
    """What every factory takes whose clients log in; L{LoginFactory} explains it."""

    cleartextAuth: CleartextAuth
    onAuthenticated: Hook | None


class ConnectionFactory(ServerFactory):
    """Keeps the connections it made until they are over, what they were working on included.

    @param tls: what C{transport.startTLS} takes, or None for no STARTTLS (POP3: STLS)
    @param clock: where timers are set; the global reactor by default
    @param onConnect, onClose: told of each client that comes and goes, see L{twisted_duck.guard.GuardedFactory}; without
        a hook there is no guard
    @param onDeadline: what becomes of a client for whom C{onConnect} has not answered in time: C{"refuse"} or C{"admit"}
    @raise TypeError: an argument of another kind
    @raise ValueError: one that is none of those it may be
    """

    log = Logger()
    noisy = False

    def __init__(
        self,
        *,
        tls: Any = None,
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
        onConnect: Hook | None = None,
        onClose: Hook | None = None,
        onDeadline: OnDeadline = "refuse",
    ) -> None:
        # Made in any case: it looks at what was given.
        guard = GuardedFactory(
            _BehindGuard(self),
            onConnect,
            onClose,
            onDeadline=onDeadline,
            limits=limits,
            clock=clock,
        )
        #: What is in front of the connections, where there are hooks.
        self.guard = None if onConnect is None and onClose is None else guard
        self.limits = guard.limits
        self._clock = guard.clock
        #: What the settings of all connections have in common, whatever they speak.
        self._common: dict[str, Any] = {
            "clock": self._clock,
            "limits": self.limits,
            "tls": tls,
            "opened": self._opened,
            "closed": self._closed,
        }
        self._connections: set[Connection] = set()
        self._empty: list[Deferred[None]] = []

    def make_protocol(self) -> Connection:
        """A connection, whoever may be in front of it."""
        raise AssertionError("a factory says what it makes")

    def buildProtocol(self, addr: IAddress | None) -> Connection | Guarded:
        return self.make_protocol() if self.guard is None else self.guard.buildProtocol(addr)

    def startFactory(self) -> None:
        if self.guard is not None:
            self.guard.doStart()  # type: ignore[no-untyped-call]

    def stopFactory(self) -> None:
        if self.guard is not None:
            self.guard.doStop()  # type: ignore[no-untyped-call]

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

        Fires when the last connection is over; who is not gone in C{limits.shut_down} seconds is cut off, and what was being
        done then is not waited for.  With hooks, it is as L{GuardedFactory.shutDown} has it: who waits to be let in is refused, and
        C{onClose} is waited for.
        """
        if self.guard is not None:
            return self.guard.shutDown(reason)
        gone = self.send_home(reason)
        gone.addTimeout(self.limits.shut_down, self._clock)
        return gone.addErrback(self._not_gone, reason)

    def _not_gone(self, failure: Failure, reason: str) -> None:
        failure.trap(TimeoutError)
        self.log.warn(
            "{count} {name} connections had something to finish, and were cut off",
            count=len(self._connections),
            name=type(self).__name__,
        )
        for connection in list(self._connections):
            connection.end(reason)

    def send_home(self, reason: str) -> Deferred[None]:
        """What `shutDown` does with those who were let in."""
        for connection in list(self._connections):
            connection.finish(reason)
        if not self._connections:
            return succeed(None)
        done: Deferred[None] = Deferred(self._empty.remove)
        self._empty.append(done)
        return done


class LoginFactory(ConnectionFactory):
    """Serves the avatars of a cred portal.

    The portal may be any: its checkers are given L{twisted_duck.auth.PasswordCredentials}, its realm is asked for an
    avatar that provides L{twisted_duck.interfaces.IAccount} or L{twisted.mail.interfaces.IAccountIMAP}, with the
    connection's L{twisted_duck.session.Session} as the mind.  SCRAM is offered if a checker takes
    L{twisted_duck.auth.IScramCredentials}.

    @param cleartextAuth: on which connections without TLS a password may be sent: C{"never"}, C{"loopback"} (those
        that come from this machine) or C{"always"}
    @param onAuthenticated: asked, with the session, about each user whose credentials are good, before the client is told
        so; it may answer with a value, a coroutine or a Deferred.  If it fails, or does not answer within
        C{limits.on_authenticated} seconds, the user is not logged in; the client is told why if it fails with
        L{twisted_duck.errors.ConnectionRefused} or L{twisted_duck.errors.AuthorizationFailed}
    @param options: L{Options}
    """

    def __init__(
        self,
        portal: Portal,
        *,
        cleartextAuth: CleartextAuth = "never",
        onAuthenticated: Hook | None = None,
        **options: Unpack[Options],
    ) -> None:
        check_kind("portal", portal, isinstance(portal, Portal), "a twisted.cred.portal.Portal")
        check_choice("cleartextAuth", cleartextAuth, CleartextAuth)
        check_hooks(onAuthenticated=onAuthenticated)
        super().__init__(**options)
        self._common |= {
            "portal": portal,
            "cleartext_auth": cleartextAuth,
            "on_authenticated": onAuthenticated,
        }


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
