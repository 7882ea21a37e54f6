"""One client's connection, whatever protocol it speaks: its life from the first byte to the last.

Theory of operation
===================

One coroutine serves one connection.  It reads a command, runs it to its end, answers, and reads the next: commands that
were sent ahead run in the order they came.  Everything it waits for fails with `ConnectionOver` once the connection is
over, so that there is one place that cleans up.

    dataReceived -> framer -> serve_command (the protocol's) -> Outflow -> transport

It is either working or waiting for the client:

    working     from a whole command until its answer has left for the transport and the client has taken what the
                transport does not want to keep; no time-out but the one on a client that takes nothing
    waiting     in `sleep`, which is the only place where the time of an idle client runs

A connection ends in one of these ways, each of them by `_close` and then `give_back`:

    the client leaves           connectionLost; whatever is running comes to its end first
    the protocol's own end      `end(reason)`: silently, what was said goes out
    from our side               `goodbye(reason)`: the same with the protocol's last words, and `finish(reason)`: once
                                the present command is answered
    a time-out                  `expired(reason)`, which a protocol may have its own way for

Nothing is said in the middle of an answer: while `mid_answer` is true, the last words are left out, because the client
would take them for a part of the answer.  Who is not gone within `Limits.farewell` seconds is cut off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, ClassVar, NoReturn, TypeVar
from typing import Protocol as Shape

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_duck import errors, reads
from twisted_duck.busy_polling import QUICK, BusyPolling
from twisted_duck.inactivity import Inactivity
from twisted_duck.limits import KIB, Limits
from twisted_duck.outflow import ConnectionOver, Outflow
from twisted_duck.session import ISessionAware, Session, whyLost
from twisted_duck.wire.strangers import stranger

#: Pieces of work, a command or some hundred messages each, after which the reactor is given a turn: one or two milliseconds
#: each, so that nobody waits for 50.
_BREATH = 10
#: Bytes of answers that wait for each other: two or three packets.
_TOGETHER = 4 * KIB

T = TypeVar("T")


def _nobody(connection: object) -> None:
    """Nobody keeps track of the connections."""


@attrs.frozen(kw_only=True)
class Settings:
    """What all connections of one factory share."""

    clock: IReactorTime
    limits: Limits
    busy_polling: BusyPolling = attrs.field(
        init=False, default=attrs.Factory(lambda self: BusyPolling(self.clock), takes_self=True)
    )
    #: What `transport.startTLS` takes, or None.
    tls: Any = None
    #: Told of each connection when it begins, and when it is over and has given everything back.
    opened: Callable[[Connection], None] = _nobody
    closed: Callable[[Connection], None] = _nobody


@attrs.frozen
class Rule:
    """Where a command is allowed, and who does it, given the connection and the command's value."""

    states: frozenset[str]
    handler: Callable[[Any, Any], Awaitable[Any]]


class Inbox(Shape):
    """What takes what has arrived until the protocol reads it: a framer of `twisted_duck.wire`, or what has one inside."""

    def feed(self, data: bytes) -> None: ...

    @property
    def buffered(self) -> int:
        """Octets that were fed and not yet read."""

    def discard(self) -> None:
        """Forget all of it."""


@implementer(IHandshakeListener, ISessionAware)
class Connection(Protocol):
    """A protocol fills in the class attributes and the methods of the first section below.

    One in which users log in is a `twisted_duck.login.LoginConnection`.
    """

    log = Logger()

    #: The protocol's name in `Session`.
    protocol_name: ClassVar[str]
    #: The states in which `Session` tells it begins and ends; None where the last one simply stays.
    first_state: ClassVar[str]
    last_state: ClassVar[str | None] = None
    #: Whether a client is to log in within `Limits.login` seconds.
    has_login: ClassVar[bool] = False
    #: Whether each octet shows that the client is at work; else a whole line does, and what is told to the timer.
    octets_count: ClassVar[bool] = False
    #: Whether answers to what was sent ahead go out together, `_TOGETHER` of them or when all of it has been looked at
    #: (RFC 2920 §3.2).
    answers_together: ClassVar[bool] = False
    #: By the class of a command's value.
    table: ClassVar[Mapping[type, Rule]]

    transport: Any

    # What most connections never have is on the class: an instance takes nine bytes for each attribute, and a kilobyte more
    # where there are more than thirty.

    #: Whether the last thing said is the beginning of something that has not been said to its end.
    mid_answer = False
    #: Whether somebody else, who has let the client in, sees to addresses, TLS and octets of the session.
    _guarded = False
    #: Whether the client has said anything.
    _heard = False
    #: Whether what came last was waited for, and came at once.
    _quick = False
    _paused = False
    _lost = False
    _closing = False
    _served = False
    _over = False
    #: Octets that came when nobody listened any more.
    _ignored = 0
    _bad_commands = 0
    #: Octets of what is sent ahead that may wait here.
    _ahead = 0
    _after_answer: Callable[[], None] | None = None
    #: Why to end when the present command is answered.
    _finishing: str | None = None
    _abort_call: IDelayedCall | None = None

    def __init__(self, settings: Settings, inbox: Inbox, *, idle: float) -> None:
        """
        @param idle: seconds after login in which a command must come
        """
        self.settings = settings
        self.limits = settings.limits
        self.session = Session(self.protocol_name, state=self.first_state)
        self._inbox = inbox
        self._idle = idle
        self._waiting: Deferred[None] | None = None
        self._breaths = 0

    # --- what a protocol fills in -------------------------------------------------------------------------------------

    def greeting(self) -> bytes:
        """The first words."""
        raise AssertionError("a protocol says how it greets")

    async def serve_command(self) -> None:
        """Read one command (until it is there, `sleep`; then `working`), `run` it, and answer it or its error."""
        raise AssertionError("a protocol says what it does")

    async def read_line(self, what: str) -> bytes:
        """One line that is not a command, without its end; fails with BadSyntax where it is too long."""
        raise AssertionError("a protocol says how it reads a line")

    def last_words(self, reason: str) -> bytes:
        """What is said to a client that is sent away between two commands."""
        raise AssertionError("a protocol says how it takes leave")

    async def leave(self) -> None:
        """Give back what the protocol has open."""

    def interrupt(self) -> None:
        """The connection is at its end: whatever else than the client is waited for need not be."""

    def expired(self, reason: str) -> None:
        """A time-out."""
        self.goodbye(reason)

    # --- the connection's life ----------------------------------------------------------------------------------------

    def useSession(self, session: Session) -> None:
        session.state = self.first_state
        self.session = session
        self._guarded = True

    def connectionMade(self) -> None:
        session, transport = self.session, self.transport
        if not self._guarded:
            session.locate(transport)
            session.accepted = True
        if ITCPTransport.providedBy(transport):
            # Short answers would otherwise wait for the client's delayed acknowledgement.
            transport.setTcpNoDelay(True)
        self.out = Outflow(transport)
        self.allow(self.limits.early)
        self.timer = Inactivity(
            self.settings.clock,
            self.expired,
            login=self.limits.login,
            command=self._idle,
            reading=self.limits.reading,
            progress=self._reading_progress,
        )
        if not self.has_login:
            self.timer.logged_in()
        self.settings.opened(self)
        self.log.info("{session.id} connected from {session.origin}", session=session)
        # What goes wrong in it is logged there.
        Deferred.fromCoroutine(self._live())

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            self._ignore(data)
            return
        if not self._guarded:
            self.session.bytesIn += len(data)
        if not self._heard:
            self._heard = True
            language = stranger(data)
            if language is not None:
                self.goodbye(f"this is {self.protocol_name}, not {language}")
                return
        self._quick = self.timer.waited < QUICK
        self.settings.busy_polling.end()
        if self.octets_count:
            self.timer.received()
        self._inbox.feed(data)
        self._wake()
        # What was not used up at once.  Who is waited for has not sent the whole of something, which has bounds of its own.
        if not self._paused and self._waiting is None and self._inbox.buffered > self._ahead:
            self._paused = True
            self.transport.pauseProducing()
        # Whatever the command waits for now: what it has said so far need not.
        self._hand_on()

    def _ignore(self, data: bytes) -> None:
        """TLS goes on reading, for the client's goodbye: who says anything else instead is cut off."""
        self._ignored += len(data)
        if self._ignored > self.limits.early and not self._lost:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        if self._abort_call is not None:
            self._abort_call.cancel()
            self._abort_call = None
        if self.session.closeReason is None:
            self.session.closeReason = whyLost(reason)
        self.out.end(lost=True)
        self.timer.stop()
        self._wake()
        self.interrupt()
        self._check_over()

    def handshakeCompleted(self) -> None:
        if not self._guarded:
            self.session.handshakeCompleted(self.transport)

    async def _live(self) -> None:
        try:
            self.send(self.greeting())
            while True:
                self.check_alive()
                await self.serve_command()
                self._answered()
                # Where nothing waits, the next thing is `sleep`, which sends the answer.
                if self._inbox.buffered and not self._go_on():
                    await self._rest()
        except ConnectionOver:
            pass
        except Exception:  # noqa: BLE001 - one connection's bug ends that connection
            self.log.failure("{session.id} broke", session=self.session)
            self.goodbye("something is broken on our side; it has been logged")
        finally:
            self._close()
            await self.give_back()
            self._served = True
            self._check_over()

    def _answered(self) -> None:
        after, self._after_answer = self._after_answer, None
        if after is not None:
            self.out.flush()
            after()
        if self._finishing is not None:
            self.goodbye(self._finishing)

    async def give_back(self) -> None:
        """However it ended: whatever is still open is closed, each thing whether or not the one before it could be."""
        await self.release(self.leave)

    async def release(self, leave: Callable[[], Any]) -> None:
        try:
            await maybeDeferred(leave)
        except errors.DuckError as error:
            self.log.warn("{session.id} left behind: {error}", session=self.session, error=error)
        except Exception:  # noqa: BLE001 - what comes next must be given back as well
            self.log.failure("{session.id} left something behind", session=self.session)

    def _check_over(self) -> None:
        if self._lost and self._served and not self._over:
            self._over = True
            if not self._guarded:
                self.session.bytesOut = self.out.written
            self.log.info(
                "{session.id} closed: {session.closeReason}; user {session.user}, {session.commands}"
                " commands, {session.bytesIn} bytes in, {session.bytesOut} bytes out",
                session=self.session,
            )
            self.settings.closed(self)

    def goodbye(self, reason: str) -> None:
        """End the connection from our side, now."""
        if not self._closing:
            if not self.mid_answer:
                self.send(self.last_words(reason))
            self.end(reason)

    def finish(self, reason: str) -> None:
        """End the connection from our side when the command that is being worked on is answered."""
        if self.timer.is_working:
            self._finishing = reason
        else:
            self.goodbye(reason)

    def end(self, reason: str) -> None:
        """End the connection without another word, now."""
        if not self._closing:
            if self.session.closeReason is None:
                self.session.closeReason = reason
            self._close()
            self._wake()
            self.interrupt()

    def abandon(self, reason: str) -> NoReturn:
        """End the connection in the middle of an answer: whatever was said now would be taken for the rest of it."""
        self.end(reason)
        raise ConnectionOver

    def _close(self) -> None:
        """Nothing more is read or said; what was said goes out, for a client that takes it."""
        self._closing = True
        if self.last_state is not None:
            self.session.state = self.last_state
        self.timer.stop()
        self.settings.busy_polling.stop()
        # Now: a thousand that are sent away at once would have 64 KiB each until the reactor comes to their sockets.
        self._inbox.discard()
        self.out.end(lost=self._lost)
        if not self._lost and self._abort_call is None:
            self.transport.loseConnection()
            self._abort_call = self.settings.clock.callLater(self.limits.farewell, self._abort)

    def _abort(self) -> None:
        self._abort_call = None
        self.transport.abortConnection()

    def _reading_progress(self) -> int | None:
        return self.out.written if self.out.blocked else None

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def sleep(self) -> None:
        """Until something may have happened: look again.  What was said so far goes out before, and is taken."""
        self.check_alive()
        answered = self.out.send()
        self._breaths = 0
        if self.out.full:
            # Something may have arrived in the meantime.
            await self.out.drain()
            return
        if self._finishing is not None:
            # It was wanted while the answer was on its way.
            self.goodbye(self._finishing)
            raise ConnectionOver
        self.timer.idle()
        self._read_on()
        if self._quick and answered:
            self.settings.busy_polling.begin()
        self._quick = False
        self._waiting = Deferred()
        await self._waiting
        self.check_alive()

    def _read_on(self) -> None:
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()

    def allow(self, ahead: int) -> None:
        """So many octets of what is sent ahead may wait from now on, and no more are read at a time."""
        if ahead != self._ahead:
            self._ahead = ahead
            reads.at_once(self.transport, ahead)

    @property
    def is_over(self) -> bool:
        """Whether the client is gone, or is being sent away."""
        return self._lost or self._closing

    def check_alive(self) -> None:
        if self._lost or self._closing:
            raise ConnectionOver

    async def breathe(self, pieces: int = 1) -> None:
        """Between pieces of long work: let the client read, and others be served.

        @param pieces: as how much of it the last one counts
        """
        if not self._go_on(pieces):
            await self._rest()

    def _go_on(self, pieces: int = 1) -> bool:
        """After a piece of work: hand on what was said.  Whether the next one may follow at once."""
        self._hand_on()
        # Not when all of it is used up: what can be made together would be made without what comes next.
        if self._paused and self._inbox.buffered <= self._ahead // 2:
            self._read_on()
        self._breaths += pieces
        return self._breaths < _BREATH and not (self.out.full or self.is_over)

    def _hand_on(self) -> None:
        if not self.answers_together or self.out.collected >= _TOGETHER:
            self.out.flush()

    async def _rest(self) -> None:
        await self.out.drain()
        if self._breaths >= _BREATH:
            self._breaths = 0
            await deferLater(self.settings.clock, 0)
            self.check_alive()

    def working(self) -> None:
        """What was waited for is there: from here on the client waits for us."""
        self.timer.working()

    # --- running ------------------------------------------------------------------------------------------------------

    def run_command(self, command: Any, name: str) -> Coroutine[Any, Any, Any]:
        """What a command's handler answers; fails as `run`.  Raises BadSyntax and WrongState."""
        rule = self.table.get(type(command))
        if rule is None:
            raise errors.BadSyntax(f"{name} is not supported")
        state = self.session.state
        if state not in rule.states:
            raise errors.WrongState(f"{name} is not allowed in the state {state}")
        return self.run(rule.handler(self, command), name)

    async def run(self, work: Awaitable[T], name: str) -> T:
        """What a command does.  Fails with DuckError and ConnectionOver only: anything else is logged."""
        try:
            return await work
        except (errors.DuckError, ConnectionOver):
            raise
        except Exception:  # noqa: BLE001 - one command's bug is answered, and told to no client
            self.log.failure("{session.id}: {name} failed", session=self.session, name=name)
            raise errors.ServerError(
                "something is broken on our side; it has been logged"
            ) from None

    def succeeded(self) -> None:
        """A command went well: those that could not be understood are forgiven."""
        self._bad_commands = 0

    def failed(self, error: errors.DuckError, *, bad: bool) -> str | None:
        """A command failed: log what is our fault, and answer why to end the connection, if this was one too many.

        @param bad: whether only a client that is not in its right mind would have sent it
        """
        if isinstance(error, errors.ServerError):
            self.log.warn("{session.id}: {error}", session=self.session, error=error)
        if bad:
            self._bad_commands += 1
            if self._bad_commands >= self.limits.bad_commands:
                return "too many bad commands"
        return None

    def after_answer(self, action: Callable[[], None]) -> None:
        """Do this once the answer to the present command is out."""
        self._after_answer = action

    def send(self, data: bytes) -> None:
        """Say something, complete lines."""
        self.out.write(data)

    # --- TLS ----------------------------------------------------------------------------------------------------------

    @property
    def can_start_tls(self) -> bool:
        return self.settings.tls is not None and not self.session.secure

    def start_tls(self) -> None:
        """Begin a handshake once the answer is out; fails with BadSyntax where there is no TLS to be had."""
        if self.session.secure:
            raise errors.BadSyntax("TLS is active already")
        if self.settings.tls is None:
            raise errors.BadSyntax("there is no TLS to be had here")
        self.after_answer(self._begin_tls)

    def _begin_tls(self) -> None:
        # What came in clear behind the command may have been put there by somebody else (RFC 3501 §11.1, RFC 2595 §4).
        self._inbox.discard()
        self.transport.startTLS(self.settings.tls)
