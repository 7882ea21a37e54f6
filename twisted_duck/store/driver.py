"""txmongo, made to behave: the one place that knows its limits.

What is worked around, and how:

* Its reply decoder copies all it has on every chunk (15 MB took half a second): `Wire` gathers replies in a bytearray.
* It never gives up waiting for a primary: `Pool.send` takes a time limit, always.
* Requests are answered in order on each connection and connections are taken in turn, so a slow one holds up whoever
  comes next: `Pool.getprotocol` takes the connection with the least to do, and never one that is being made anew while
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
from typing import Any, Final

import attrs
from bson import encode
from bson.codec_options import CodecOptions
from OpenSSL import SSL, crypto
from pymongo.errors import ConnectionFailure, NotPrimaryError, OperationFailure
from twisted.internet import defer, ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import ReconnectingClientFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from txmongo.connection import ConnectionPool, _Connection, _Pinger
from txmongo.protocol import (
    BaseMessage,
    MongoAuthenticationError,
    MongoDecoder,
    MongoProtocol,
    Msg,
)
from txmongo.pymongo_errors import _NOT_MASTER_CODES
from zope.interface import implementer

from twisted_duck import prompt
from twisted_duck.store.uri import BadURI, Target

Document = dict[str, Any]

#: Times come back aware; UUIDs are not stored.
CODEC: Final[CodecOptions[Document]] = CodecOptions(tz_aware=True)

#: Bytes of the largest reply mongod sends (maxMessageSizeBytes).
_LARGEST_REPLY = 48_000_000
#: Seconds in which a connection must be made, and the server say that it is the primary.
_CONNECT_TIME = 2.0
#: Seconds between attempts to connect: a fail-over takes about three.
_RETRY_DELAY = 0.25

log = Logger()

# They log their starts and stops, the first one before a pool has it in hands.
_Connection.noisy = _Pinger.noisy = False


class Wire(MongoProtocol):  # type: ignore[misc]
    """A connection that takes replies apart without copying what it waits for."""

    def __init__(self) -> None:
        super().__init__()
        self._received = bytearray()
        self._is_held = False
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

    def _stranger(self, failure: Failure) -> None:
        # Whoever has it now finds it lost.
        if failure.check(OperationFailure, MongoAuthenticationError):
            self.factory.pool.is_refused = True
        self.fail(failure.value)

    def connectionLost(self, reason: Failure) -> None:
        self.is_lost = True
        super().connectionLost(reason)
        self.factory.pool.lost(self)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is sent in here goes out in one piece: to wake the server takes longer than most commands do."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            if not self.is_lost:
                prompt.send(self._socket)

    def _send(self, request: BaseMessage) -> int:
        if self.is_lost:
            # Whoever has chosen this connection for several commands is between two of them.
            raise ConnectionFailure("the connection was lost")
        number: int = super()._send(request)
        if not self._is_held:
            # What waits for the reply waits for nothing else.
            prompt.send(self._socket)
        return number

    def ask(self, command: Document) -> defer.Deferred[Document]:
        """The reply to a command, failed or not; fails as `Pool.send`."""
        asked: defer.Deferred[Msg] = self._send_raw_msg(Msg(body=encode(command, False, CODEC)))
        return asked.addCallback(self._told)

    def _told(self, answer: Msg) -> Document:
        reply: Document = answer.to_dict(CODEC)
        self.factory.pool._advance_cluster_time(None, reply)
        if not reply.get("ok") and reply.get("code") in _NOT_MASTER_CODES:
            self.transport.loseConnection()
            raise NotPrimaryError(str(reply.get("errmsg")))
        return reply

    def dataReceived(self, data: bytes) -> None:
        received = self._received
        received += data
        while len(received) >= 16:
            length = int.from_bytes(received[:4], "little")
            if not 16 <= length <= _LARGEST_REPLY:
                self.fail(ConnectionFailure(f"a reply of {length} bytes"))
                return
            if len(received) < length:
                return
            with memoryview(received) as view:
                message = bytes(view[:length])
            del received[:length]
            self.handle(MongoDecoder.decode(message))

    def fail(self, reason: object) -> None:
        """What went wrong while the connection was made, or a reply that makes no sense."""
        self.factory.pool.failed(str(reason))
        # Nothing is waited for, as TLS would for the server's goodbye.
        self.transport.abortConnection()


def _granted(reply: Document) -> Document:
    if not reply.get("ok"):
        raise OperationFailure(str(reply.get("errmsg")), reply.get("code"))
    return reply


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

    def __init__(self, target: Target, connections: int, reactor: Any) -> None:
        self.reactor = reactor
        self.wires: set[Wire] = set()
        #: Whether there has been a connection that is not to be lost.
        self._open = False
        self._outage: _Outage | None = None
        #: Address -> the name it was connected to by.
        self.names: dict[str, str] = {}
        self._all_lost: defer.Deferred[None] | None = None
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
        if target.username is not None:
            # No connection is there yet, so that this only remembers the credentials.
            self.authenticate(
                target.auth_database, target.username, target.password or "", target.mechanism
            )

    def getprotocol(self) -> defer.Deferred[Wire]:
        # One that was lost while we told who we are is given out as if it had been good.
        ready = [
            wire for each in self.getprotocols() if (wire := each.instance) and not wire.is_lost
        ]
        if ready:
            return defer.succeed(min(ready, key=MongoProtocol.inflight))
        first = defer.DeferredList(
            [each.notifyReady() for each in self.getprotocols()],
            fireOnOneCallback=True,
            consumeErrors=True,
        )
        return first.addCallback(_first)

    async def send(self, command: Document, wire: Wire | None = None) -> Document:
        """Send a command (with `$db`) and return the reply, failed or not.

        Fails with ConnectionFailure (NotPrimaryError is one) when the connection is lost or is no longer the primary's.
        """
        if wire is None:
            wire = await self.getprotocol()
        if self.cluster_time is not None:
            command["$clusterTime"] = self.cluster_time
        reply = await wire.ask(command)
        if self._outage is not None:
            self._over(self._outage)
        self._open = True
        return reply

    def failed(self, reason: str) -> None:
        """A connection was given up."""
        self.last_failure = reason
        nobody = not any(each.instance for each in self.getprotocols())
        if self._open and nobody and self._outage is None:
            self._outage = _Outage(self.reactor.seconds())
            log.warn("MongoDB is away: {reason}", reason=reason)
        if self._outage is not None:
            self._outage.failures += 1

    def _over(self, outage: _Outage) -> None:
        self._outage = None
        self.is_refused = False
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
                self._trust = ssl.trustRootFromCertificates(
                    [ssl.Certificate.loadPEM(one + end) for one in pem.split(end)[:-1]]
                )
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
