"""An IMAP connection: bytes from the transport to commands, answers back to it.

One coroutine serves one connection.  It reads a command, runs it to its end, answers, and reads the next: commands that
were sent ahead run in the order they came (RFC 3501 §5.5).  Everything it waits for ends with `ConnectionOver` when the
connection does, so that there is one place that cleans up.

    dataReceived -> CommandFramer -> _read_command -> grammar.parse -> commands.TABLE -> handler
    handler -> responses -> Outflow -> transport
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Literal

import attrs
from twisted.cred.portal import Portal
from twisted.internet import error as internet_error
from twisted.internet.defer import Deferred
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
from twisted_duck.imap.view import ExistsNews, ExpungeNews, FlagsNews, View
from twisted_duck.inactivity import Inactivity
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import Limits
from twisted_duck.outflow import ConnectionOver, Outflow
from twisted_duck.sasl import MECHANISMS, Credentials
from twisted_duck.session import Session, plainAddress
from twisted_duck.spool import Spool
from twisted_duck.wire.framing import (
    NEED_DATA,
    CommandEvent,
    CommandFramer,
    EndOfCommand,
    FrameLimits,
    Line,
    LiteralData,
    LiteralEnd,
    LiteralHeader,
    Text,
    TooLong,
)

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
    #: Told of each connection when it is over.
    closed: Callable[[IMAP4Protocol], None] = lambda connection: None


@implementer(IHandshakeListener)
class IMAP4Protocol(Protocol):
    """One client's connection.  Provides `twisted_duck.imap.commands.base.Connection`."""

    log = Logger()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.session = Session("IMAP", state=NOT_AUTHENTICATED)
        self.account: Any = None
        self.mailbox: Any = None
        self.view: View | None = None
        self._logout: Any = None
        self._framer = CommandFramer(FrameLimits.before_login(settings.limits))
        self._paused = False
        self._lost = False
        self._waiting: Deferred[None] | None = None
        #: Whether the selected mailbox has moved since somebody last waited for that.
        self._moved = False
        self._idling = False
        #: The keywords the client has been told of; None while it has not been told any flags.
        self._told_keywords: frozenset[str] | None = None
        self._failed_logins = 0
        self._bad_commands = 0
        self._breaths = 0
        #: Messages that are arriving with the present command.
        self._spools: list[Spool] = []
        #: What follows the tagged response of the present command.
        self._then: Callable[[], None] | None = None
        self._finishing = False
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
            self._expired,
            login=self.limits.login,
            command=self.limits.idle_after_login,
            reading=self.limits.reading,
            progress=self._reading_progress,
        )
        self.log.info("{session.id} connected from {session.remoteAddress}", session=session)
        Deferred.fromCoroutine(self._serve()).addErrback(
            lambda failure: self.log.failure("{session.id} broke", failure, session=session)
        )

    def dataReceived(self, data: bytes) -> None:
        if self.session.state == LOGOUT:
            return
        self.session.bytesIn += len(data)
        self._timer.received()
        self._framer.feed(data)
        if not self._paused and self._framer.buffered > self.limits.pipeline:
            self._paused = True
            self.transport.pauseProducing()
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        if self._abort_call is not None:
            self._abort_call.cancel()
            self._abort_call = None
        if self.session.closeReason is None:
            clean = reason.check(internet_error.ConnectionDone)
            self.session.closeReason = "the client closed it" if clean else reason.getErrorMessage()
        self.out.end(lost=True)
        self._timer.stop()
        self._wake()
        self.settings.closed(self)

    def handshakeCompleted(self) -> None:
        self.session.secure = True

    async def _serve(self) -> None:
        try:
            code = responses.capability(self.capabilities())
            greeting = f"Twisted Duck is ready, session {self.session.id}"
            self.send(responses.status(b"OK", greeting, code))
            while self.session.state != LOGOUT:
                await self._serve_command()
        except ConnectionOver:
            pass
        finally:
            await self._clean_up()

    async def _clean_up(self) -> None:
        """However it ended: close what is still open, and give everything back."""
        self._close()
        self.session.bytesOut = self.out.written
        try:
            await self.deselect()
            if self.account is not None:
                await self.account.logout()
        except errors.DuckError as error:
            self.log.warn("{session.id} left behind: {error}", session=self.session, error=error)
        finally:
            logout, self._logout = self._logout, None
            if logout is not None:
                logout()
            self.session.state = LOGOUT
            self.log.info(
                "{session.id} closed: {session.closeReason}; user {session.user}, {session.commands}"
                " commands, {session.bytesIn} bytes in, {session.bytesOut} bytes out",
                session=self.session,
            )

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
            self._finishing = True
        else:
            self.goodbye(reason)

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

    def _expired(self, reason: str) -> None:
        self.goodbye(reason)

    def _reading_progress(self) -> int | None:
        return self.out.written if self.out.blocked else None

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
        if self._paused and self._framer.buffered <= self.limits.pipeline:
            self._paused = False
            self.transport.resumeProducing()
        self._waiting = Deferred()
        await self._waiting
        self._check_alive()

    def _check_alive(self) -> None:
        if self._lost or self.session.state == LOGOUT:
            raise ConnectionOver

    async def breathe(self) -> None:
        await self.out.drain()
        self._breaths += 1
        if self._breaths >= _BREATH:
            self._breaths = 0
            self.out.flush()
            await deferLater(self.settings.clock, 0)

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

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _event(self) -> CommandEvent:
        while True:
            event = self._framer.next_event()
            if event is not NEED_DATA:
                return event
            await self._sleep()

    def has_input(self) -> bool:
        return self._framer.buffered > 0

    async def read_line(self, what: str) -> bytes:
        while True:
            match self._framer.next_line(self._framer.limits.line):
                case Line(data):
                    return data
                case TooLong():
                    raise errors.BadSyntax(f"the {what} is too long")
            await self._sleep()

    async def _read_command(self, parts: list[bytes | grammar.Literal]) -> grammar.Command:
        """Read into `parts`, so that the tag can be had of a command that is refused half-way."""
        while True:
            match await self._event():
                case Text(data):
                    parts.append(data)
                case LiteralHeader() as header:
                    await self._read_literal(parts, header)
                case EndOfCommand():
                    return grammar.parse(parts, self.limits)
                case TooLong(what, head):
                    parts.append(head)
                    raise errors.BadSyntax(f"too long: the limit of the {what} was reached")

    async def _read_literal(
        self, parts: list[bytes | grammar.Literal], header: LiteralHeader
    ) -> None:
        """A message goes to a spool, anything else stays in memory, under the limits of the framer."""
        try:
            mailbox = grammar.append_target(parts, self.limits)
            if mailbox is not None:
                await self._check_append(mailbox, header.size)
            elif not header.synchronising and self.account is None:
                if header.size > self.limits.literal_minus:
                    raise errors.BadSyntax(
                        "a literal that is sent unasked may have 4096 bytes here"
                    )
        except errors.DuckError:
            self._framer.refuse()
            raise
        if not self._framer.accept(streamed=mailbox is not None):
            return
        if header.synchronising:
            self.send(responses.continuation())
        spool = Spool(self.limits, self.settings.spool_directory)
        self._spools.append(spool)
        while True:
            match await self._event():
                case LiteralData(data):
                    spool.write(data)
                case LiteralEnd():
                    break
        spool.finish()
        if mailbox is not None:
            parts.append(grammar.Literal(header.size, None, spool, header.binary))
        else:
            parts.append(grammar.Literal.of(bytes(spool.data), binary=header.binary))

    async def _check_append(self, mailbox: str, size: int) -> None:
        if self.account is None:
            raise errors.WrongState("APPEND is not allowed before login")
        if size > self.limits.message:
            raise errors.TooBig(f"a message may have {self.limits.message} bytes at most")
        await self.account.check_append(mailbox, size)

    # --- running ------------------------------------------------------------------------------------------------------

    async def _serve_command(self) -> None:
        parts: list[bytes | grammar.Literal] = []
        try:
            command = await self._read_command(parts)
            self._timer.working()
            self.session.commands += 1
            await self._run(command)
        except errors.DuckError as error:
            tag = getattr(error, "tag", None) or grammar.tag_of(parts) or b"*"
            self._failed(tag, error)
        finally:
            for spool in self._spools:
                spool.close()
            self._spools.clear()
        self._check_alive()
        self._timer.idle()
        then, self._then = self._then, None
        if then is not None:
            self.out.flush()
            then()
        if self._finishing:
            self.goodbye("the server is shutting down")
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
        except Exception:
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
        if isinstance(error, errors.ServerError):
            self.log.warn("{session.id}: {error}", session=self.session, error=error)
        if isinstance(error, errors.BadSyntax):
            self._bad_commands += 1
            if self._bad_commands >= self.limits.bad_commands:
                self.goodbye("too many commands that cannot be understood")
        if self._failed_logins >= self.limits.failed_logins:
            self.goodbye("too many failed logins")

    # --- what commands use --------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.out.write(data)

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
        try:
            _, avatar, self._logout = await log_in(
                self.settings.portal, credentials, self.session, IAccount, IAccountIMAP
            )
        except errors.AuthenticationFailed:
            self._failed_logins += 1
            raise
        self.account = IAccount(avatar)
        self._check_alive()
        self.session.user = self.account.name
        self.session.state = AUTHENTICATED
        self._framer.limits = FrameLimits.after_login(self.limits)
        self._timer.logged_in()
        self.log.info("{session.id} is {session.user}", session=self.session)

    def start_tls(self) -> None:
        if self.session.secure:
            raise errors.BadSyntax("TLS is active already")
        if self.settings.tls is None:
            raise errors.BadSyntax("there is no TLS to be had here")
        self._then = self._begin_tls

    def _begin_tls(self) -> None:
        # What came in clear behind STARTTLS may have been put there by somebody else (RFC 3501 §6.2.1, §11.1).
        self._framer.discard()
        self.transport.startTLS(self.settings.tls)

    def log_out(self) -> None:
        self.session.closeReason = "logout"
        self._then = self._close

    async def select(self, mailbox: Any) -> None:
        self.mailbox = mailbox
        recent = await mailbox.claim_recent()
        self.view = View(mailbox.index)
        self.view.add_recent(*recent)
        mailbox.watch(self._mailbox_moved)
        self.session.state = SELECTED
        self.session.selected = mailbox.name

    async def deselect(self) -> None:
        mailbox, self.mailbox, self.view = self.mailbox, None, None
        self._told_keywords = None
        if mailbox is None:
            return
        self.session.selected = None
        if self.session.state == SELECTED:
            self.session.state = AUTHENTICATED
        mailbox.unwatch(self._mailbox_moved)
        await mailbox.close()

    # --- news ---------------------------------------------------------------------------------------------------------

    async def tell(self, *, expunges: bool) -> None:
        view = self.view
        if view is None or not view.has_news:
            return
        if view.has_arrivals:
            try:
                view.add_recent(*await self.mailbox.claim_recent())
            except errors.ServerError as error:
                # The command itself went well, and \\Recent is not worth failing it.
                self.log.warn("{session.id}: {error}", session=self.session, error=error)
        news = view.news(expunges=expunges)
        await self.tell_keywords()
        for each in news:
            match each:
                case ExpungeNews(number):
                    self.send(responses.expunge(number))
                case ExistsNews(exists, recent):
                    self.send(responses.exists(exists))
                    self.send(responses.recent(recent))
                case FlagsNews(number, uid, _, flags):
                    said = responses.flags_of(flags, view.is_recent(uid))
                    self.send(responses.fetch(number, [b"FLAGS " + said]))
        await self.out.drain()

    async def tell_keywords(self) -> None:
        if self.mailbox is None:
            return
        keywords = frozenset(self.mailbox.index.keywords())
        if self._told_keywords is not None and keywords <= self._told_keywords:
            return
        self._told_keywords = keywords
        named = sorted(keywords)
        self.send(responses.defined_flags(named))
        if self.mailbox.readonly:
            self.send(responses.status(b"OK", "no flag can be changed", b"PERMANENTFLAGS ()"))
        else:
            code = responses.permanent_flags(named, self.mailbox.new_keywords)
            self.send(responses.status(b"OK", "flags that can be changed", code))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
