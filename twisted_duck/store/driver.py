"""txmongo, made to behave: the one place that knows its limits.

What is worked around, and how:

* Its reply decoder copies all it has on every chunk (15 MB took half a second): `Wire` gathers replies in a bytearray.
* It never gives up waiting for a primary, nor for a reply: `Pool.send` takes a time limit, always.
* What it does for one command takes as long as all the rest of it: `Wire.ask` makes messages, and `Wire.dataReceived` takes
  replies apart, by themselves.  Only what a connection is made with goes its way.
* Requests are answered in order on each connection and connections are taken in turn, so a slow one holds up whoever
  comes next: `Pool.wire` takes the connection with the least to do, and never one that is being made anew while
  another is there.
* It ignores a failed authentication: `Wire` gives up a connection that the server does not know us on, for every command
  would be refused there.
* It has no limit for that, either: a server that is silent then would have a connection for ever.
* Its sessions hide the reply to `commitTransaction`, and with it a write concern that was not met: the fields of a
  transaction are put into the commands by `twisted_duck.store.transaction` instead.
* Its error texts repeat the whole command, mail included: replies are checked in `connection`.
* TLS verifies one name for all hosts: `_Verifier` takes the name of the host that is being connected to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from struct import Struct
from typing import Any, Final

import attrs
from bson import decode, encode
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from OpenSSL import SSL, crypto
from pymongo.errors import ConnectionFailure, NotPrimaryError, OperationFailure
from service_identity import VerificationError
from twisted.internet import defer, ssl
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.interfaces import IDelayedCall, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import ReconnectingClientFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from txmongo.connection import ConnectionPool, _Connection, _Pinger
from txmongo.protocol import (
    OP_MSG,
    BaseMessage,
    MongoAuthenticationError,
    MongoDecoder,
    MongoProtocol,
)
from txmongo.pymongo_errors import _NOT_MASTER_CODES
from zope.interface import implementer

from twisted_duck import prompt
from twisted_duck.store.uri import X509, BadURI, Target

Document = dict[str, Any]

#: Times come back aware; UUIDs are not stored.
CODEC: Final[CodecOptions[Document]] = CodecOptions(tz_aware=True)

#: Bytes of the largest reply mongod sends (maxMessageSizeBytes).
_LARGEST_REPLY = 48_000_000
#: Seconds in which a connection must be made, and the server say that it is the primary.
_CONNECT_TIME = 2.0
#: Seconds between attempts to connect: a fail-over takes about three.
_RETRY_DELAY = 0.25
#: What a message begins with: its length, number, the number of what it answers, and its kind; of an OP_MSG also flags, of
#: which nothing here has any, and that the one section behind them is a document.
_HEADER: Final = Struct("<iiii")
_HEAD: Final = Struct("<iiiiIB")
_LAST_NUMBER = 2**31 - 1

log = Logger()

# They log their starts and stops, the first one before a pool has it in hands.
_Connection.noisy = _Pinger.noisy = False


class Wire(MongoProtocol):  # type: ignore[misc]
    """A connection that takes replies apart without copying what it waits for."""

    def __init__(self) -> None:
        super().__init__()
        self._received = bytearray()
        #: The number of the last command, and when those that are not answered have to be; what was given up is waited for
        #: by nobody, and the server may be at it.
        self._number = 0
        self._asked: dict[int, tuple[float, defer.Deferred[Document] | None]] = {}
        #: What is to go out in one piece.
        self._held: list[bytes] | None = None
        #: Whether nothing can be sent over it any more, whoever has it.
        self.is_lost = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._socket = prompt.socket_of(self.transport)
        pool = self.factory.pool
        pool.wires.add(self)
        pool.names[self.transport.getPeer().host] = self.factory.connector.host
        super().connectionMade()

    def send_op_query_command(self, database: str, query: Document) -> defer.Deferred[Document]:
        """With these a connection is made; fails where the server refuses one."""
        sent: defer.Deferred[Document] = super().send_op_query_command(database, query)
        return sent.addCallback(_granted)

    def authenticate(self, *credentials: str) -> defer.Deferred[object]:
        pool = self.factory.pool
        done: defer.Deferred[object] = super().authenticate(*credentials)
        done.addTimeout(_CONNECT_TIME, pool.reactor)
        return done.addErrback(self._stranger)

    def authenticate_mongo_x509(
        self, database: str, name: str, password: str
    ) -> defer.Deferred[Document]:
        """The server has the name from our certificate; one that is given has to be the same."""
        command = {"authenticate": 1, "mechanism": X509, **({"user": name} if name else {})}
        return self.send_op_query_command("$external", command)

    def _stranger(self, failure: Failure) -> None:
        # Whoever has it now finds it lost.
        if failure.check(OperationFailure, MongoAuthenticationError):
            self.factory.pool.is_refused = True
        self.fail(failure.value)

    def connectionLost(self, reason: Failure) -> None:
        self.is_lost = True
        self.factory.pool.tls_failure = _of_tls(reason) or self.factory.pool.tls_failure
        super().connectionLost(reason)
        asked, self._asked = self._asked, {}
        for _, each in asked.values():
            if each is not None:
                each.errback(ConnectionFailure("the connection was lost"))
        self.factory.pool.lost(self)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is sent in here goes out in one piece, but for `hand_on`: to wake the server takes longer than most commands do."""
        if self._held is not None:
            # It is part of a larger piece.
            yield
            return
        self._held = []
        try:
            yield
        finally:
            try:
                self.hand_on()
            finally:
                self._held = None

    def hand_on(self) -> None:
        """Send what `together` has held back so far: whoever is next in there has something else to do first.  TLS sends it
        with the next turn of the reactor.
        """
        if self._held:
            held, self._held = self._held, []
            if not self.is_lost:
                prompt.write(self.transport, b"".join(held))

    def _send(self, request: BaseMessage) -> int:
        number: int = super()._send(request)
        # Nothing waits in the transport when the first command is written.
        prompt.send(self._socket)
        return number

    @property
    def busy(self) -> int:
        """Commands that are not answered yet, in time or not: one that never answers is chosen last."""
        return len(self._asked)

    def ask(self, command: Document, end: float) -> defer.Deferred[Document]:
        """The reply to a command, failed or not; fails as `Pool.send`, which looks after those that are late.

        @param end: when `give_up` gives it up
        """
        if self.is_lost:
            # Whoever has chosen this connection for several commands is between two of them.
            raise ConnectionFailure("the connection was lost")
        body = encode(command, False, CODEC)
        number = self._number = self._number % _LAST_NUMBER + 1
        message = _HEAD.pack(_HEAD.size + len(body), number, 0, OP_MSG, 0, 0) + body
        asked: defer.Deferred[Document] = defer.Deferred()
        self._asked[number] = end, asked
        if self._held is None:
            # What waits for the reply waits for nothing else.
            prompt.write(self.transport, message)
        else:
            self._held.append(message)
        return asked

    def give_up(self, now: float) -> float:
        """Fail what was to be answered by `now`; when the next one has to be."""
        late = [number for number, (end, _) in self._asked.items() if end <= now]
        for number in late:
            # Who is told may do anything, the connection may end by it.
            _, asked = self._asked.get(number, (inf, None))
            if asked is not None:
                self._asked[number] = inf, None
                asked.errback(OutOfTime("no answer in time"))
        return min((end for end, _ in self._asked.values()), default=inf)

    def dataReceived(self, data: bytes) -> None:
        received = self._received
        received += data
        while len(received) >= _HEADER.size:
            length, _, number, kind = _HEADER.unpack_from(received)
            if not _HEADER.size <= length <= _LARGEST_REPLY:
                self.fail(ConnectionFailure(f"a reply of {length} bytes"))
                return
            if len(received) < length:
                return
            with memoryview(received) as view:
                message = bytes(view[:length])
            del received[:length]
            if kind == OP_MSG:
                self._answered(number, message)
            else:
                self.handle(MongoDecoder.decode(message))

    def _answered(self, number: int, message: bytes) -> None:
        _, asked = self._asked.pop(number, (inf, None))
        if asked is None:
            # It was given up.
            return
        try:
            # One document is all that the server answers to those who ask for no more.
            reply: Document = decode(memoryview(message)[_HEAD.size :], CODEC)
        except BSONError:
            asked.errback()
            return
        self.factory.pool._advance_cluster_time(None, reply)
        if not reply.get("ok") and reply.get("code") in _NOT_MASTER_CODES:
            self.transport.loseConnection()
            asked.errback(NotPrimaryError(str(reply.get("errmsg"))))
        else:
            asked.callback(reply)

    def fail(self, reason: object) -> None:
        """What went wrong while the connection was made, or a reply that makes no sense."""
        self.factory.pool.failed(str(reason))
        # Nothing is waited for, as TLS would for the server's goodbye.
        self.transport.abortConnection()


def _granted(reply: Document) -> Document:
    if not reply.get("ok"):
        raise OperationFailure(str(reply.get("errmsg")), reply.get("code"))
    return reply


def _of_tls(reason: Failure) -> str | None:
    if reason.check(VerificationError):
        return "its certificate is for another host"
    error: Any = reason.value
    if isinstance(error, SSL.Error):
        # What OpenSSL has queued, each as its library, its function and the reason.
        queued = error.args[0] if error.args and isinstance(error.args[0], list) else []
        return ", ".join(each[-1] for each in queued) or "broken off"
    return None


@attrs.define
class _Outage:
    """Nobody has been answered since."""

    began: float
    #: Connections that were given up.
    failures: int = 0


class Pool(ConnectionPool):  # type: ignore[misc]
    """Several connections to the primary.

    Beware: the base class answers every attribute that it does not have with a Database.
    """

    #: Why a connection was given up, and whether that was because of the credentials.
    last_failure: str | None = None
    is_refused = False
    #: Why there was no TLS with a server, which the driver keeps to itself.
    tls_failure: str | None = None

    def __init__(
        self, target: Target, connections: int, reactor: Any, *, tells: bool = True
    ) -> None:
        """
        @param tells: whether it logs that the database is away, and back
        """
        self.reactor = reactor
        self._tells = tells
        self.wires: set[Wire] = set()
        #: Whether there has been a connection that is not to be lost.
        self._open = False
        self._outage: _Outage | None = None
        #: Address -> the name it was connected to by.
        self.names: dict[str, str] = {}
        self._all_lost: defer.Deferred[None] | None = None
        #: One timer for all commands, and when it goes off: the first of them has to be answered by then.
        self._alarm: IDelayedCall | None = None
        self._earliest = inf
        super().__init__(
            target.bare_uri,
            pool_size=connections,
            ssl_context_factory=_Verifier(target, self.names) if target.tls else None,
            # What it calls `retry_delay` is both times; between attempts it waits for the lesser of the two.
            retry_delay=_CONNECT_TIME,
            max_delay=_RETRY_DELAY,
        )
        for factory in self.getprotocols():
            factory.protocol = Wire
        if target.has_credentials:
            # No connection is there yet, so that this only remembers the credentials.
            self.authenticate(
                target.auth_database,
                target.username or "",
                target.password or "",
                target.mechanism,
            )

    def ready(self) -> Wire | None:
        """The connection with the least to do, if there is one."""
        least: Wire | None = None
        for each in self.getprotocols():
            wire: Wire | None = each.instance
            # One that was lost while we told who we are is given out as if it had been good.
            if wire is not None and not wire.is_lost:
                if not wire.busy:
                    return wire
                if least is None or wire.busy < least.busy:
                    least = wire
        return least

    async def wire(self, seconds: float) -> Wire:
        """The first that is ready within so many seconds; fails with ConnectionFailure, OutOfTime."""
        if (wire := self.ready()) is not None:
            return wire
        first = defer.DeferredList(
            [each.notifyReady() for each in self.getprotocols()],
            fireOnOneCallback=True,
            consumeErrors=True,
        )
        return await first.addCallback(_first).addTimeout(seconds, self.reactor)

    async def send(self, command: Document, seconds: float, wire: Wire | None = None) -> Document:
        """Send a command (with `$db`) and return the reply, failed or not.

        Fails with ConnectionFailure (NotPrimaryError is one) when the connection is lost or is no longer the primary's, and
        with OutOfTime when there is no reply within `seconds`.
        """
        end = self.reactor.seconds() + seconds
        if wire is None:
            wire = self.ready() or await self.wire(seconds)
        if self.cluster_time is not None:
            command["$clusterTime"] = self.cluster_time
        asked = wire.ask(command, end)
        if end < self._earliest:
            self._look_at(end)
        reply = await asked
        if self._outage is not None:
            self._over(self._outage)
        self._open = True
        return reply

    def _look_at(self, moment: float) -> None:
        """Set the timer, which is due later than that, if at all."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._earliest = moment
        self._alarm = self.reactor.callLater(max(0.0, moment - self.reactor.seconds()), self._look)

    def _look(self) -> None:
        self._alarm, self._earliest = None, inf
        now = self.reactor.seconds()
        earliest = min([wire.give_up(now) for wire in self.wires.copy()], default=inf)
        # Whoever was given up may have asked again.
        if earliest < self._earliest:
            self._look_at(earliest)

    def failed(self, reason: str) -> None:
        """A connection was given up."""
        self.last_failure = reason
        nobody = not any(each.instance for each in self.getprotocols())
        if self._open and nobody and self._outage is None:
            self._outage = _Outage(self.reactor.seconds())
            if self._tells:
                log.warn("MongoDB is away: {reason}", reason=reason)
        if self._outage is not None:
            self._outage.failures += 1

    def _over(self, outage: _Outage) -> None:
        self._outage = None
        self.is_refused = False
        if self._tells:
            log.info(
                "MongoDB is back after {seconds:.1f} s; {count} connections were given up",
                seconds=self.reactor.seconds() - outage.began,
                count=outage.failures,
            )

    def lost(self, wire: Wire) -> None:
        self.wires.discard(wire)
        if self._open and not self.wires and self._outage is None:
            self.failed("the connection was lost")
        if not self.wires and self._all_lost is not None:
            waiting, self._all_lost = self._all_lost, None
            waiting.callback(None)

    async def close(self) -> None:
        """Close all connections, and wait (a second at most) until they are closed."""
        self._open = False
        await self.disconnect()
        if self.wires:
            self._all_lost = defer.Deferred()
            self._all_lost.addTimeout(1.0, self.reactor, lambda _result, _timeout: None)
            await self._all_lost
        # Whoever was given up meanwhile may have had it set once more.
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def _first(found: tuple[Any, int] | list[Any]) -> Wire:
    if isinstance(found, list):
        # None of them: whoever waited has given up.
        raise defer.CancelledError
    ready, _ = found
    # What has one already is ready with that, and what had to wait for one with itself.
    wire: Wire | None = ready if isinstance(ready, Wire) else ready.instance
    if wire is None or wire.is_lost:
        raise ConnectionFailure("the connection was lost again")
    return wire


@implementer(IOpenSSLClientConnectionCreator)
class _Verifier:
    """TLS to several hosts, each verified by the name it was connected to by."""

    def __init__(self, target: Target, names: Mapping[str, str]) -> None:
        self._names = names
        self._trust = None
        self._own = None
        try:
            if target.ca_file is not None:
                pem = FilePath(target.ca_file).getContent()
                end = b"-----END CERTIFICATE-----"
                trusted = [ssl.Certificate.loadPEM(one + end) for one in pem.split(end)[:-1]]
                if not trusted:
                    raise BadURI(f"there is no certificate in {target.ca_file} (tlsCAFile)")
                self._trust = ssl.trustRootFromCertificates(trusted)
            if target.certificate_file is not None:
                pem = FilePath(target.certificate_file).getContent()
                self._own = ssl.PrivateCertificate.loadPEM(pem)
        except OSError as error:
            raise BadURI(
                f"a certificate that the MongoDB URI names can't be read: {error}"
            ) from None
        except (SSL.Error, crypto.Error):
            raise BadURI("a certificate or key that the MongoDB URI names is broken") from None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        factory = tlsProtocol.wrappedProtocol.factory
        name = factory.connector.host
        if not isinstance(factory, ReconnectingClientFactory):
            # The driver's pings go to the address of a host that it knows by name.
            name = self._names.get(name, name)
        options = ssl.optionsForClientTLS(name, self._trust, self._own)
        return options.clientConnectionForTLS(tlsProtocol)
