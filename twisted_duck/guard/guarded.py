"""Asking `onConnect` before a protocol is made, and telling `onClose` when it is over."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from twisted_duck.arguments import check_choice, check_hooks
from twisted_duck.errors import ConnectionRefused
from twisted_duck.guard.passage import Passage, PassageFactory, View, cut_off
from twisted_duck.guard.proxy import ProxyFactory
from twisted_duck.guard.refusal import (
    REFUSALS,
    Refusal,
    layers,
    protocol_class,
    protocol_name,
    silence,
)
from twisted_duck.hooks import ask
from twisted_duck.limits import Limits
from twisted_duck.session import ISessionAware, Session, whyLost
from twisted_duck.wire.lines import one_line

#: May answer with a Deferred, with anything to be awaited, or with anything else, which then is the answer (`hooks.ask`).
Hook: TypeAlias = Callable[[Session], Any]
OnDeadline: TypeAlias = Literal["refuse", "admit"]

_SORRY = "the service is not available now; try again later"
_SHUTTING_DOWN = "the server is shutting down"


class Phase(enum.Enum):
    """The life of a guarded connection, as the package's theory of operation tells it."""

    HANDSHAKE = enum.auto()
    ASKING = enum.auto()
    SERVING = enum.auto()
    LEAVING = enum.auto()
    OVER = enum.auto()


class CountingView(View):
    """Counts what the protocol says, and notes when it is the protocol that ends the connection."""

    def __init__(self, passage: Guarded, transport: Any) -> None:
        super().__init__(passage, transport)
        self._session = passage.session

    def write(self, data: bytes) -> None:
        self._transport.write(data)
        self._session.bytesOut += len(data)

    def write_now(self, data: bytes) -> None:
        super().write_now(data)
        self._session.bytesOut += len(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        pieces = list(iovec)
        self._transport.writeSequence(pieces)
        self._session.bytesOut += sum(map(len, pieces))

    def loseConnection(self) -> None:
        self._ends_here()
        self._transport.loseConnection()

    def abortConnection(self) -> None:
        self._ends_here()
        self._transport.abortConnection()

    def _ends_here(self) -> None:
        if self._session.closeReason is None:
            self._session.closeReason = "the server closed it"


class Guarded(Passage):
    """One connection."""

    log = Logger()

    factory: GuardedFactory

    _timer: IDelayedCall | None = None
    _asked: Deferred[Any] | None = None
    #: Whether `onClose` is to be called.
    _announced = False

    def __init__(self, factory: GuardedFactory) -> None:
        super().__init__(factory.clock, factory.limits.early, half_closeable=factory.half_closeable)
        self.factory = factory
        self.session = Session(factory.name, state=factory.first_state)
        self._phase = Phase.HANDSHAKE

    def logPrefix(self) -> str:
        return f"{self.session.protocol} {self.session.id}"

    # --- what the transport calls -------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        super().connectionMade()
        self.session.locate(self.transport)
        self.factory.connections[self] = None
        if self.session.secure:
            limit = self.factory.limits.tls_handshake
            self._timer = self._clock.callLater(limit, self._handshake_overdue)
        else:
            self._ask()

    def handshakeCompleted(self) -> None:
        self.session.handshakeCompleted(self.transport)
        super().handshakeCompleted()
        if self._phase is Phase.HANDSHAKE:
            self._stop_timer()
            self._ask()

    def dataReceived(self, data: bytes) -> None:
        self.session.bytesIn += len(data)
        # Written out, not inherited: this runs for every chunk there is.
        if self._flowing:
            self.inner.dataReceived(data)
        else:
            self.hold(data)

    def hold(self, data: bytes) -> None:
        if self._phase is not Phase.LEAVING:
            super().hold(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        phase = self._enter(Phase.OVER)
        try:
            super().connectionLost(reason)
        finally:
            self._note_end(phase, reason)
            self.factory.connection_over(self, announced=self._announced)

    # --- the phases ---------------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase) -> Phase:
        """Leave the present phase, which is answered: nothing that was waited for in it matters any more."""
        left, self._phase = self._phase, phase
        self._stop_timer()
        asked, self._asked = self._asked, None
        if asked is not None:
            _cancel(asked, self.session)
        return left

    def _ask(self) -> None:
        factory = self.factory
        if factory.closing is not None:
            self._refuse(ConnectionRefused(factory.closing))
            return
        self._announced = True
        if factory.onConnect is None:
            self._admit()
            return
        self._enter(Phase.ASKING)
        asked = ask(factory.onConnect, self.session)
        asked.addBoth(self._answered)
        if self._phase is Phase.ASKING:
            self._asked = asked
            self._timer = self._clock.callLater(factory.limits.on_connect, self._overdue)
        else:
            # It has answered, or something it did has ended the connection before it could.
            _cancel(asked, self.session)

    def _answered(self, answer: Any) -> None:
        if self._phase is not Phase.ASKING:
            # Nobody waits for it any more; but a bug in it is one.
            if isinstance(answer, Failure) and not answer.check(CancelledError, ConnectionRefused):
                self.log.failure("{session.id}: onConnect failed", answer, session=self.session)
            return
        self._asked = None
        if not isinstance(answer, Failure):
            self._admit()
        elif isinstance(answer.value, ConnectionRefused):
            self._refuse(answer.value)
        else:
            self.log.failure("{session.id}: onConnect failed", answer, session=self.session)
            self._refuse(ConnectionRefused(_SORRY))

    def _overdue(self) -> None:
        admit = self.factory.onDeadline == "admit"
        self.log.warn(
            "{session.id} {session.protocol} from {session.origin}: no answer from onConnect in time,"
            " {outcome}",
            session=self.session,
            outcome="admitted" if admit else "refused",
        )
        if admit:
            self._admit()
        else:
            self._refuse(ConnectionRefused(_SORRY), "no answer from onConnect in time")

    def _admit(self) -> None:
        self._enter(Phase.SERVING)
        try:
            protocol = self.factory.wrappedFactory.buildProtocol(self.transport.getPeer())
        except Exception:  # noqa: BLE001 - the application's bug, and nobody's connection yet
            self.log.failure("{session.id}: no protocol could be made", session=self.session)
            self._refuse(ConnectionRefused(_SORRY))
            return
        if protocol is None:
            self._refuse(None, "refused by its factory")
            return
        self.session.accepted = True
        try:
            if ISessionAware.providedBy(protocol):
                protocol.useSession(self.session)
            self.let_in(protocol, CountingView(self, self.transport))
        except Exception:  # noqa: BLE001 - as the reactor does it: one protocol's bug ends its connection
            self._broken()

    def _deliver(self) -> None:
        try:
            super()._deliver()
        except Exception:  # noqa: BLE001 - likewise
            self._broken()

    def _broken(self) -> None:
        self.log.failure("{session.id}: the protocol failed", session=self.session)
        self.end("the protocol failed")

    def _refuse(self, error: ConnectionRefused | None, reason: str | None = None) -> None:
        """Tell the client so, if there is anything to tell, and see that it goes."""
        self._enter(Phase.LEAVING)
        session = self.session
        # On one line: a hook may have put into its message what came from the client.
        session.closeReason = reason or f"refused: {one_line(str(error)).decode()}"
        self.log.info(
            "{session.id} {session.protocol} from {session.origin}: {session.closeReason}",
            session=session,
        )
        words = self._words(error) if error is not None else b""
        self._timer = self._clock.callLater(self.factory.limits.farewell, self._cut_off)
        # TLS needs to hear the client's goodbye.
        self.drop()
        if words:
            self.transport.write(words)
            session.bytesOut += len(words)
        self.transport.loseConnection()

    def _words(self, error: ConnectionRefused) -> bytes:
        try:
            return self.factory.refusal(error)
        except Exception:  # noqa: BLE001 - code of the application's: without words then
            self.log.failure("{session.id}: no words for a refusal", session=self.session)
            return b""

    def _handshake_overdue(self) -> None:
        self._timer = None
        self.end("no TLS handshake in time")

    def _cut_off(self) -> None:
        self._timer = None
        cut_off(self.transport)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _note_end(self, phase: Phase, reason: Failure) -> None:
        session = self.session
        if session.closeReason is None:
            session.closeReason = whyLost(reason)
        if phase is Phase.HANDSHAKE:
            self.log.info(
                "{session.id} {session.protocol} from {session.origin}: no TLS: {session.closeReason}",
                session=session,
            )

    # --- from our side ------------------------------------------------------------------------------------------------

    def shut_down(self, reason: str, *, served: bool) -> None:
        """End the connection.

        @param served: also one that is served: its factory does not see to that
        """
        match self._phase:
            case Phase.HANDSHAKE:
                self.end(reason)
            case Phase.ASKING:
                self._refuse(ConnectionRefused(reason))
            case Phase.SERVING if served:
                if self.session.closeReason is None:
                    self.session.closeReason = reason
                self.transport.loseConnection()

    def end(self, reason: str) -> None:
        """End the connection at once, whatever it is at."""
        if self.session.closeReason is None:
            self.session.closeReason = reason
        cut_off(self.transport)


def _cancel(deferred: Deferred[Any], session: Session) -> None:
    try:
        deferred.cancel()
    except Exception:  # noqa: BLE001 - the application's canceller
        Guarded.log.failure("{session.id}: a hook could not be cancelled", session=session)


def _check_order(factory: IProtocolFactory) -> None:
    for each in layers(factory):
        if isinstance(each, TLSMemoryBIOFactory):
            raise ValueError("put TLS around the guard, not behind it")
        if isinstance(each, ProxyFactory):
            raise ValueError(
                "put ProxyFactory around the guard, not behind it, where each client is taken for the proxy"
            )
        if isinstance(getattr(each, "guard", each), GuardedFactory):
            raise ValueError(
                f"guard a factory once: this {type(each).__name__} is guarded already, by its onConnect or onClose"
            )


class GuardedFactory(PassageFactory):
    """Puts `onConnect` and `onClose` around any Twisted protocol factory.

    C{onConnect(session)} may answer with a value, a coroutine or a Deferred; what it answers does not matter.  Until
    then nothing is said to the client and nothing it says is looked at.  If it fails, the client is refused: with its
    message if it failed with L{twisted_duck.errors.ConnectionRefused}; anything else is logged, and the client is told
    only that the service is not available.  With TLS in front of this factory it is called after the handshake.

    C{onClose(session)} is called once for each connection for which C{onConnect} was called, when it is gone, whatever
    became of it: C{session.accepted} and C{session.closeReason} tell.  It may answer with a coroutine or a Deferred,
    which is waited for at shutdown, C{limits.on_close} seconds at most; its failure is logged.

    @param factory: whose protocols are guarded; one that has C{shutDown} sees its connections off itself
    @param protocol: what they speak, for sessions and refusals: C{"IMAP"}, C{"POP3"}, C{"SMTP"}, C{"LMTP"}, or anything;
        by default what is known of the factory's protocol class
    @param refusal: called with the L{twisted_duck.errors.ConnectionRefused}, returns the bytes that the client is told
        before it is closed, line end included; by default as the protocol has it, and a protocol that is not known here is
        closed without a word
    @param onDeadline: what becomes of a client after C{limits.on_connect} seconds: C{"refuse"} or C{"admit"}
    @param clock: where timers are set; the global reactor by default
    @raise ValueError: TLS is behind the guard, where refusals would go out in clear; or ProxyFactory, where each client
        would be taken for the proxy; or another guard, as our own factories with hooks have one; or what C{onDeadline}
        may not be
    @raise TypeError: a hook or limits that are none
    """

    log = Logger()

    def __init__(
        self,
        factory: IProtocolFactory,
        onConnect: Hook | None = None,
        onClose: Hook | None = None,
        *,
        protocol: str | None = None,
        refusal: Refusal | None = None,
        onDeadline: OnDeadline = "refuse",
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        _check_order(factory)
        check_hooks(onConnect=onConnect, onClose=onClose, refusal=refusal)
        check_choice("onDeadline", onDeadline, OnDeadline)
        super().__init__(factory, limits, clock)
        self.onConnect = onConnect
        self.onClose = onClose
        self.onDeadline = onDeadline
        self.name = protocol or protocol_name(factory)
        self.refusal = refusal or REFUSALS.get(self.name, silence)
        kind = protocol_class(factory)
        #: In which state protocols of ours begin, and sessions before them.
        self.first_state = getattr(kind, "first_state", "")
        self.half_closeable = kind is not None and IHalfCloseableProtocol.implementedBy(kind)
        #: Those that are not over, in the order they came.
        self.connections: dict[Guarded, None] = {}
        #: Why nobody is let in any more.
        self.closing: str | None = None
        #: Whose `onClose` has not answered, and when that is given up.
        self._seen_off: dict[Session, IDelayedCall | None] = {}
        self._empty: list[Deferred[None]] = []

    def startFactory(self) -> None:
        self.closing = None

    def buildProtocol(self, addr: IAddress | None) -> Guarded:
        return Guarded(self)

    # --- the end of connections ---------------------------------------------------------------------------------------

    def connection_over(self, connection: Guarded, *, announced: bool) -> None:
        del self.connections[connection]
        if announced and self.onClose is not None:
            self._see_off(connection.session, self.onClose)
        self._check_empty()

    def _see_off(self, session: Session, onClose: Hook) -> None:
        self._seen_off[session] = None
        done = ask(onClose, session)
        done.addErrback(self._could_not_see_off, session)
        done.addCallback(self._forget, session)
        if session in self._seen_off:
            self._seen_off[session] = self.clock.callLater(
                self.limits.on_close, self._give_up, session, done
            )

    def _could_not_see_off(self, failure: Failure, session: Session) -> None:
        if session in self._seen_off or not failure.check(CancelledError):
            self.log.failure("{session.id}: onClose failed", failure, session=session)

    def _forget(self, _: object, session: Session) -> None:
        timer = self._seen_off.pop(session, None)
        if timer is not None:
            timer.cancel()
        self._check_empty()

    def _give_up(self, session: Session, done: Deferred[Any]) -> None:
        del self._seen_off[session]
        self.log.warn("{session.id}: onClose was not done in time", session=session)
        _cancel(done, session)
        self._check_empty()

    def _check_empty(self) -> None:
        if not self.connections and not self._seen_off:
            waiting, self._empty = self._empty, []
            for each in waiting:
                each.callback(None)

    # --- shutdown -----------------------------------------------------------------------------------------------------

    def shutDown(self, reason: str = _SHUTTING_DOWN) -> Deferred[None]:
        """Let nobody in any more, and send everybody home: who waits to be let in at once, who is served as the factory
        has it, or at once if it does not care.

        Who is not gone in C{limits.shut_down} seconds is cut off.  Fires when nobody is left and C{onClose} has answered
        for everybody, or at the latest C{limits.on_close} seconds after that.
        """
        self.closing = reason
        limits = self.limits
        see_home = getattr(self.wrappedFactory, "shutDown", None)
        inner = maybeDeferred(see_home, reason) if see_home is not None else succeed(None)
        inner.addTimeout(limits.shut_down + limits.on_close, self.clock)
        inner.addErrback(self._not_seen_home)
        for connection in list(self.connections):
            connection.shut_down(reason, served=see_home is None)
        alarm = self.clock.callLater(limits.shut_down, self._cut_off, reason)
        return Deferred.fromCoroutine(self._until_empty(inner, alarm))

    def _not_seen_home(self, failure: Failure) -> None:
        if failure.check(TimeoutError):
            self.log.warn("{name}: some commands were not finished in time", name=self.name)
        else:
            self.log.failure("not everybody was seen home", failure)

    async def _until_empty(self, inner: Deferred[Any], alarm: IDelayedCall) -> None:
        try:
            await inner
            if self.connections or self._seen_off:
                empty: Deferred[None] = Deferred(self._empty.remove)
                self._empty.append(empty)
                await empty
        finally:
            if alarm.active():
                alarm.cancel()

    def _cut_off(self, reason: str) -> None:
        for connection in list(self.connections):
            connection.end(reason)
