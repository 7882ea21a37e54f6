"""An IMAP connection: bytes from the transport to commands, answers back to it.

One coroutine serves one connection.  It reads a command, runs it to its end, answers, and reads the next: commands that
were sent ahead run in the order they came (RFC 3501 §5.5).  Everything it waits for ends with `ConnectionOver` when the
connection does, so that there is one place that cleans up.

    dataReceived -> CommandReader -> commands.TABLE -> handler
    handler -> responses -> Outflow -> transport
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Literal, NoReturn

import attrs
from twisted.cred.portal import Portal
from twisted.internet import error as internet_error
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.mail.interfaces import IAccountIMAP
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.auth import log_in
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.capability import Circumstances, capabilities
from twisted_duck.imap.commands import TABLE
from twisted_duck.imap.commands.base import (
    AUTHENTICATED,
    LOGOUT,
    NOT_AUTHENTICATED,
    SELECTED,
    Done,
)
from twisted_duck.imap.reading import CommandReader
from twisted_duck.imap.selection import Selection
from twisted_duck.inactivity import Inactivity
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import Limits
from twisted_duck.outflow import ConnectionOver, Outflow
from twisted_duck.sasl import MECHANISMS, Credentials
from twisted_duck.session import Session, plainAddress

#: Pieces of work, a command or some hundred messages each, after which the reactor is given a turn.
_BREATH = 20


CleartextAuth = Literal["never", "loopback", "always"]


@attrs.frozen
class Settings:
    """What all connections of one factory share."""

    portal: Portal
    clock: IReactorTime
    limits: Limits
    #: Makes the TLS contexts for STARTTLS (IOpenSSLServerConnectionCreator or a CertificateOptions), or None.
    tls: Any = None
    #: On which clear connections passwords may be sent: none, those from this machine, or all.
    cleartext_auth: CleartextAuth = "never"
    #: Where long messages are kept while they arrive; None for the system's folder.
    spool_directory: str | None = None
    #: Told of each connection when it begins, and when it is over and has given everything back.
    opened: Callable[[IMAP4Protocol], None] = lambda connection: None
    closed: Callable[[IMAP4Protocol], None] = lambda connection: None


@implementer(IHandshakeListener)
class IMAP4Protocol(Protocol):
    """One client's connection.  Provides `twisted_duck.imap.commands.base.Connection`."""

    log = Logger()
    #: Any stream transport; what only some of them can do is asked for by interface.
    transport: Any

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.session = Session("IMAP", state=NOT_AUTHENTICATED)
        self.account: Any = None
        self.selection: Selection | None = None
        self._logout: Callable[[], Any] | None = None
        self._reader = CommandReader(
            settings.limits,
            more=self._sleep,
            go_ahead=lambda: self.send(responses.continuation()),
            spool_directory=settings.spool_directory,
        )
        self._paused = False
        self._lost = False
        self._served = False
        self._waiting: Deferred[None] | None = None
        #: Whether the selected mailbox has moved since somebody last waited for that.
        self._moved = False
        self._idling = False
        self._failed_logins = 0
        self._bad_commands = 0
        self._breaths = 0
        #: What follows the tagged response of the present command.
        self._then: Callable[[], None] | None = None
        #: Why the connection ends after the present command, if it does.
        self._finishing: str | None = None
        self._abort_call: IDelayedCall | None = None

    # --- the connection's life ----------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        session, transport = self.session, self.transport
        peer, host = transport.getPeer(), transport.getHost()
        session.remoteAddress = plainAddress(getattr(peer, "host", ""))
        session.remotePort = getattr(peer, "port", 0)
        session.localAddress = plainAddress(getattr(host, "host", ""))
        session.localPort = getattr(host, "port", 0)
        session.secure = ISSLTransport.providedBy(transport)
        if ITCPTransport.providedBy(transport):
            # Short answers would otherwise wait for the client's delayed acknowledgement.
            transport.setTcpNoDelay(True)
        self.out = Outflow(transport)
        self._timer = Inactivity(
            self.settings.clock,
            self.goodbye,
            login=self.limits.login,
            command=self.limits.idle_after_login,
            reading=self.limits.reading,
            progress=lambda: self.out.written if self.out.blocked else None,
        )
        self.settings.opened(self)
        self.log.info("{session.id} connected from {session.remoteAddress}", session=session)
        Deferred.fromCoroutine(self._live()).addErrback(
            lambda failure: self.log.failure("{session.id} broke", failure, session=session)
        )

    def dataReceived(self, data: bytes) -> None:
        if self.session.state == LOGOUT:
            return
        self.session.bytesIn += len(data)
        self._timer.received()
        self._reader.feed(data)
        if not self._paused and self._reader.buffered > self.limits.pipeline:
            self._paused = True
            self.transport.pauseProducing()
        self._wake()
        # Whatever the command waits for now: what it has said so far need not.
        self.out.flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        if self._abort_call is not None:
            self._abort_call.cancel()
            self._abort_call = None
        if self.session.closeReason is None:
            clean = isinstance(reason.value, internet_error.ConnectionDone)
            self.session.closeReason = "the client closed it" if clean else reason.getErrorMessage()
        self.out.end(lost=True)
        self._timer.stop()
        self._wake()
        self._check_over()

    def handshakeCompleted(self) -> None:
        self.session.secure = True

    async def _live(self) -> None:
        try:
            await self._serve()
        except ConnectionOver:
            pass
        except Exception:  # noqa: BLE001 - one connection's bug ends that connection
            self.log.failure("{session.id} broke", session=self.session)
            self.goodbye("something is broken on our side; it has been logged")
        finally:
            self._close()
            await self._give_back()
            self._served = True
            self._check_over()

    async def _serve(self) -> None:
        code = responses.capability(self.capabilities())
        greeting = f"Twisted Duck is ready, session {self.session.id}"
        self.send(responses.status(b"OK", greeting, code))
        while self.session.state != LOGOUT:
            await self._serve_command()

    async def _give_back(self) -> None:
        """However it ended: whatever is still open is closed, each thing whether or not the one before it could be."""
        leave_account = self.account.logout if self.account is not None else None
        for leave in (self.deselect, leave_account, self._logout):
            if leave is None:
                continue
            try:
                await maybeDeferred(leave)
            except errors.DuckError as error:
                self.log.warn(
                    "{session.id} left behind: {error}", session=self.session, error=error
                )
            except Exception:  # noqa: BLE001 - what comes next must be given back as well
                self.log.failure("{session.id} left something behind", session=self.session)

    def _check_over(self) -> None:
        if self._lost and self._served:
            self.session.bytesOut = self.out.written
            self.log.info(
                "{session.id} closed: {session.closeReason}; user {session.user}, {session.commands}"
                " commands, {session.bytesIn} bytes in, {session.bytesOut} bytes out",
                session=self.session,
            )
            self.settings.closed(self)

    def goodbye(self, reason: str) -> None:
        """End the connection from our side, now: `* BYE` and out."""
        if self.session.state != LOGOUT:
            self.session.closeReason = reason
            self.send(responses.status(b"BYE", reason))
            self._close()
            self._wake()

    def finish(self, reason: str) -> None:
        """End the connection from our side when the command that is being worked on is done."""
        if self._timer.is_working:
            self._finishing = reason
        else:
            self.goodbye(reason)

    def abandon(self, reason: str) -> NoReturn:
        """End the connection in the middle of an answer: whatever was said now would be taken for the rest of it."""
        self.log.failure("{session.id}: {reason}", session=self.session, reason=reason)
        self.session.closeReason = reason
        self._close()
        raise ConnectionOver

    def _close(self) -> None:
        """Nothing more is read or said; what was said goes out, for a client that takes it."""
        self.session.state = LOGOUT
        self._timer.stop()
        self.out.end(lost=self._lost)
        if not self._lost and self._abort_call is None:
            self.transport.loseConnection()
            self._abort_call = self.settings.clock.callLater(self.limits.farewell, self._abort)

    def _abort(self) -> None:
        self._abort_call = None
        self.transport.abortConnection()

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def _sleep(self) -> None:
        """Until something happens.  What was said so far goes out before."""
        self._check_alive()
        self.out.flush()
        self._breaths = 0
        if self._paused and self._reader.buffered <= self.limits.pipeline:
            self._paused = False
            self.transport.resumeProducing()
        self._waiting = Deferred()
        await self._waiting
        self._check_alive()

    def _check_alive(self) -> None:
        if self._lost or self.session.state == LOGOUT:
            raise ConnectionOver

    async def breathe(self) -> None:
        self.out.flush()
        await self.out.drain()
        self._breaths += 1
        if self._breaths >= _BREATH:
            self._breaths = 0
            await deferLater(self.settings.clock, 0)
            self._check_alive()

    async def wait(self, seconds: float) -> bool:
        if self._moved:
            self._moved = False
            return True
        rang = False

        def ring() -> None:
            nonlocal rang
            rang = True
            self._wake()

        alarm = self.settings.clock.callLater(seconds, ring)
        self._timer.idle()
        self._idling = True
        try:
            await self._sleep()
        finally:
            self._idling = self._moved = False
            if alarm.active():
                alarm.cancel()
        return not rang

    def _mailbox_moved(self) -> None:
        self._moved = True
        if self._idling:
            self._wake()

    # --- running ------------------------------------------------------------------------------------------------------

    async def _serve_command(self) -> None:
        try:
            command = await self._reader.read_command()
            self._timer.working()
            self.session.commands += 1
            await self._run(command)
        except errors.DuckError as error:
            self._failed(getattr(error, "tag", None) or self._reader.tag or b"*", error)
        finally:
            self._reader.release()
        self._check_alive()
        self._timer.idle()
        then, self._then = self._then, None
        if then is not None:
            self.out.flush()
            then()
        if self._finishing is not None:
            self.goodbye(self._finishing)
        await self.breathe()

    async def _run(self, command: grammar.Command) -> None:
        rule = TABLE.get(type(command.value))
        if rule is None:
            raise errors.BadSyntax(f"{command.name} is not supported", command.tag)
        if self.session.state not in rule.states:
            raise errors.WrongState(
                f"{command.name} is not allowed in the state {self.session.state}", command.tag
            )
        try:
            done: Done = await rule.handler(self, command.value)
        except (errors.DuckError, ConnectionOver):
            raise
        except Exception:  # noqa: BLE001 - a bug in one command is no reason to end the connection
            self.log.failure("{session.id}: {name} failed", session=self.session, name=command.name)
            raise errors.ServerError(
                "something is broken on our side; it has been logged"
            ) from None
        self._bad_commands = 0
        self.send(responses.tagged(command.tag, b"OK", done.text, done.code))

    def _failed(self, tag: bytes, error: errors.DuckError) -> None:
        if isinstance(error, errors.MailboxGone):
            self.goodbye("the selected mailbox was deleted")
            return
        self.send(responses.failure(tag, error))
        match error:
            case errors.ServerError():
                self.log.warn("{session.id}: {error}", session=self.session, error=error)
            case errors.BadSyntax():
                self._bad_commands += 1
                if self._bad_commands >= self.limits.bad_commands:
                    self.goodbye("too many commands that cannot be understood")
            case errors.AuthenticationFailed():
                self._failed_logins += 1
                if self._failed_logins >= self.limits.failed_logins:
                    self.goodbye("too many failed logins")

    # --- what commands use --------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.out.write(data)

    async def read_line(self, what: str) -> bytes:
        return await self._reader.read_line(what)

    def has_input(self) -> bool:
        return self._reader.buffered > 0

    def capabilities(self) -> list[str]:
        return capabilities(
            Circumstances(
                account=self.account,
                can_start_tls=self.settings.tls is not None and not self.session.secure,
                may_authenticate=self.may_authenticate(),
                mechanisms=tuple(MECHANISMS),
                limits=self.limits,
            )
        )

    def may_authenticate(self) -> bool:
        match self.settings.cleartext_auth:
            case "always":
                return True
            case "loopback" if _is_loopback(self.session.remoteAddress):
                return True
        return self.session.secure

    async def log_in(self, credentials: Credentials) -> None:
        _, avatar, self._logout = await log_in(
            self.settings.portal, credentials, self.session, IAccount, IAccountIMAP
        )
        self.account = IAccount(avatar)
        self._check_alive()
        self.session.user = self.account.name
        self.session.state = AUTHENTICATED
        self._reader.logged_in(self._check_append)
        self._timer.logged_in()
        self.log.info("{session.id} is {session.user}", session=self.session)

    async def _check_append(self, mailbox: str, size: int) -> None:
        if size > self.limits.message:
            raise errors.TooBig(f"a message may have {self.limits.message} bytes at most")
        await self.account.check_append(mailbox, size)

    def start_tls(self) -> None:
        if self.session.secure:
            raise errors.BadSyntax("TLS is active already")
        if self.settings.tls is None:
            raise errors.BadSyntax("there is no TLS to be had here")
        self._then = self._begin_tls

    def _begin_tls(self) -> None:
        # What came in clear behind STARTTLS may have been put there by somebody else (RFC 3501 §6.2.1, §11.1).
        self._reader.discard()
        self.transport.startTLS(self.settings.tls)

    def log_out(self) -> None:
        self.session.closeReason = "logout"
        self._then = self._close

    async def select(self, mailbox: Any) -> Selection:
        selection = self.selection = await Selection.open(
            mailbox, self.session, send=self.send, breathe=self.breathe
        )
        self._check_alive()
        mailbox.watch(self._mailbox_moved)
        self.session.state = SELECTED
        self.session.selected = mailbox.name
        return selection

    async def deselect(self) -> None:
        selection, self.selection = self.selection, None
        if selection is None:
            return
        self.session.selected = None
        if self.session.state == SELECTED:
            self.session.state = AUTHENTICATED
        selection.mailbox.unwatch(self._mailbox_moved)
        await selection.mailbox.close()

    async def tell(self, *, expunges: bool) -> None:
        if self.selection is not None:
            await self.selection.tell(expunges=expunges)
            await self.out.drain()


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
