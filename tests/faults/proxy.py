"""Stands between the driver and a real mongod, knows where messages begin, and does what a bad day does to them.

    proxy = await Proxy.before(case, uri)
    store = MailStore(proxy.uri)
    ...
    proxy.arm(Fault("unheard", at=3))      # the answer to the third command from now on is lost
    ...
    proxy.disarm()                         # all is well again

Commands are counted that belong to what the store was asked for: not those with which the driver makes a connection, and
not those of the change stream, which come whenever they like.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

import attrs
import bson
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

Document = dict[str, Any]

_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013

#: With these a connection is made.
_HANDSHAKE: Final = frozenset(
    {"hello", "isMaster", "ismaster", "saslStart", "saslContinue", "ping", "connectionStatus"}
)

Kind = Literal[
    # Answered so without having been done, as a mongod does that ...
    "conflict",  # ... has met another transaction in the way
    "stepped down",  # ... is the primary no more
    "failure",  # ... can't, for a reason that will not pass
    "full",  # ... has no room left
    # The connection is lost ...
    "unsent",  # ... before the command reaches the server
    "unheard",  # ... when it has been done, and before that is heard
    # Done, and answered with an error, as a mongod does that is shutting down.
    "denied",
    # The server says nothing any more.
    "silent",
]

#: Code, name, and whether a transaction that it ends may be run again.
_ERRORS: Final[dict[str, tuple[int, str, bool]]] = {
    "conflict": (112, "WriteConflict", True),
    "stepped down": (10107, "NotWritablePrimary", True),
    "failure": (8, "UnknownError", False),
    "full": (14031, "OutOfDiskSpace", False),
    "denied": (91, "ShutdownInProgress", True),
}


@attrs.frozen
class Fault:
    kind: Kind
    #: The first command that it strikes, from 1.
    at: int = 1
    #: It strikes all that come after that one, too, and with connections new ones.
    stays: bool = False
    #: What it strikes after the first one, where that is something else.
    then: Kind | None = None


@attrs.frozen
class Request:
    id: int
    #: None for what is no command of the store.
    command: Document | None
    #: With which a connection is made.
    handshake: Document = attrs.Factory(dict)

    @classmethod
    def of(cls, message: bytes) -> Request:
        _, id, _, opcode = struct.unpack_from("<iiii", message)
        if opcode == _OP_QUERY:
            # Flags, the name of a collection, what to skip, how many to answer.
            return cls(id, None, bson.decode(message[message.index(b"\0", 20) + 9 :]))
        if opcode != _OP_MSG:
            return cls(id, None)
        # The first section is the command; documents that are sent beside it are not looked at.
        (size,) = struct.unpack_from("<i", message, 21)
        command = bson.decode(message[21 : 21 + size])
        is_stream = "maxTimeMS" in command and "getMore" in command
        for stage in command.get("pipeline", ()):
            is_stream = is_stream or "$changeStream" in stage
        return cls(id, None if is_stream or next(iter(command)) in _HANDSHAKE else command)

    def can_meet(self, kind: Kind) -> bool:
        if self.command is None:
            return False
        # Nothing else is in the way of anybody.
        return kind != "conflict" or "autocommit" in self.command


def _message(document: Document, response_to: int, opcode: int = _OP_MSG) -> bytes:
    head = b"\0\0\0\0\0" if opcode == _OP_MSG else struct.pack("<iqii", 8, 0, 0, 1)
    body = head + bson.encode(document)
    return struct.pack("<iiii", 16 + len(body), 1, response_to, opcode) + body


class _Side(Protocol):
    """One of the two connections of which each one through here is made."""

    def __init__(self) -> None:
        self._received = bytearray()
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= 4:
            (length,) = struct.unpack_from("<i", self._received)
            if len(self._received) < length:
                return
            message = bytes(self._received[:length])
            del self._received[:length]
            self.message(message)

    def message(self, message: bytes) -> None:
        raise AssertionError("each side says what it does with a message")

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def abort(self) -> None:
        if not self.lost and self.transport is not None:
            self.transport.abortConnection()


class _Near(_Side):
    """To the driver."""

    factory: Proxy

    def __init__(self) -> None:
        super().__init__()
        self.far: _Far | None = None
        self._waiting: list[bytes] = []
        #: Requests whose answers are not passed on, and what is done instead.
        self.instead: dict[int, Callable[[], None]] = {}

    def connectionMade(self) -> None:
        self.factory.connections.add(self)
        if self.factory.is_away:
            self.abort()
            return
        far = _Far(self)
        endpoint = TCP4ClientEndpoint(reactor, self.factory.host, self.factory.port)
        connecting: Deferred[_Far] = connectProtocol(endpoint, far)
        connecting.addCallbacks(self._connected, self._refused)

    def _connected(self, far: _Far) -> None:
        self.far = far
        if self.lost:
            far.abort()
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            far.write(message)

    def _refused(self, failure: Failure) -> None:
        failure.trap(Refused)
        self.abort()

    def message(self, message: bytes) -> None:
        self.factory.request(self, message)

    def pass_on(self, message: bytes) -> None:
        if self.far is None:
            self._waiting.append(message)
        else:
            self.far.write(message)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost = True
        self.factory.connections.discard(self)
        if self.far is not None:
            self.far.abort()
        self.factory.over()


class _Far(_Side):
    """To the server."""

    def __init__(self, near: _Near) -> None:
        super().__init__()
        self._near = near

    def message(self, message: bytes) -> None:
        _, _, response_to, opcode = struct.unpack_from("<iiii", message)
        if (act := self._near.instead.pop(response_to, None)) is not None:
            act()
        elif opcode == _OP_REPLY:
            self._near.write(self._renamed(message, response_to))
        else:
            self._near.write(message)

    def _renamed(self, message: bytes, response_to: int) -> bytes:
        """Answers to `isMaster` say where the members are: nobody is to find a way around this."""
        document = bson.decode(message[36:])
        if "hosts" in document:
            here = f"127.0.0.1:{self._near.factory.listening_port}"
            document.update(hosts=[here], primary=here, me=here)
        return _message(document, response_to, _OP_REPLY)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost = True
        self._near.abort()


class Proxy(Factory):
    noisy = False
    protocol = _Near

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self.host, self.port = str(parts.hostname), parts.port or 27017
        self._parts = parts
        self.connections: set[_Near] = set()
        self._fault: Fault | None = None
        self._count = 0
        self._hit = False
        self._all_lost: Deferred[None] | None = None
        #: Whether nothing is heard, from anybody.
        self.is_silent = False
        #: A command that is kept back, and those that are.
        self._holding: str | None = None
        self._held: list[Callable[[], None]] = []
        #: Authentications yet to be refused, and to be left without an answer.
        self.refusals = self.swallows = 0

    @classmethod
    async def before(cls, case: TestCase, uri: str) -> Proxy:
        """One that leads to the server that `uri` names, and is gone when the test is over."""
        self = cls(uri)
        self.listen(0)
        case.addCleanup(self.close)
        return self

    def listen(self, port: int) -> None:
        listen: Any = reactor.listenTCP  # type: ignore[attr-defined]
        self._listener = listen(port, self, interface="127.0.0.1")
        self.listening_port: int = self._listener.getHost().port

    async def shut(self) -> None:
        """Nobody is connected, or can be."""
        await maybeDeferred(self._listener.stopListening)
        self.cut()

    def reopen(self) -> None:
        self.listen(self.listening_port)

    def hold(self, command: str) -> None:
        """Keep back commands of that name from now on."""
        self._holding = command

    @property
    def held(self) -> int:
        return len(self._held)

    def let_go(self) -> None:
        held, self._held, self._holding = self._held, [], None
        for pass_on in held:
            pass_on()

    async def close(self) -> None:
        await self.shut()
        if self.connections:
            self._all_lost = Deferred()
            await self._all_lost

    def over(self) -> None:
        if not self.connections and self._all_lost is not None:
            waiting, self._all_lost = self._all_lost, None
            waiting.callback(None)

    @property
    def uri(self) -> str:
        login = self._parts.netloc.rpartition("@")[0]
        netloc = f"{login}@127.0.0.1:{self.listening_port}"
        return urlunsplit(self._parts._replace(netloc=netloc))

    # --- what befalls -------------------------------------------------------------------------------------------------

    def arm(self, fault: Fault) -> None:
        """Count from now on, and strike."""
        self._fault, self._count, self._hit = fault, 0, False

    def disarm(self) -> bool:
        """No more of that; whether it has struck."""
        self._fault = None
        return self._hit

    def cut(self) -> None:
        """Every connection there is."""
        for near in list(self.connections):
            near.abort()

    @property
    def count(self) -> int:
        """Commands since `arm`."""
        return self._count

    @property
    def _staying(self) -> Kind | None:
        """What befalls everything now."""
        fault = self._fault
        if fault is None or not self._hit:
            return None
        return fault.then or (fault.kind if fault.stays else None)

    @property
    def is_away(self) -> bool:
        """Whether nobody gets through."""
        return self._staying == "unsent"

    def request(self, near: _Near, message: bytes) -> None:
        if self.is_silent:
            return
        request = Request.of(message)
        if "saslStart" in request.handshake:
            if self.refusals:
                self.refusals -= 1
                near.write(_error("denied", request, _OP_REPLY))
                return
            if self.swallows:
                self.swallows -= 1
                return
        if self._holding is not None and self._holding in (request.command or ()):
            self._held.append(lambda: near.pass_on(message))
            return
        kind = self._staying
        if kind is None and self._fault is not None and request.can_meet(self._fault.kind):
            self._count += 1
            if self._count == self._fault.at:
                self._hit = True
                kind = self._fault.kind
        if kind is None or (request.command is None and kind not in ("unsent", "silent")):
            near.pass_on(message)
            return
        self._strike(near, kind, request, message)

    def _strike(self, near: _Near, kind: Kind, request: Request, message: bytes) -> None:
        match kind:
            case "silent":
                return
            case "unsent":
                near.abort()
                if self.is_away:
                    self.cut()
            case "unheard":
                near.instead[request.id] = near.abort
                near.pass_on(message)
            case "denied":
                answer = _error(kind, request)
                near.instead[request.id] = lambda: near.write(answer)
                near.pass_on(message)
            case _:
                near.write(_error(kind, request))


def _error(kind: Kind, request: Request, opcode: int = _OP_MSG) -> bytes:
    code, name, again = _ERRORS[kind]
    answer: Document = {"ok": 0.0, "errmsg": f"{name}, says the test", "code": code}
    answer["codeName"] = name
    command = request.command or {}
    settled = kind == "conflict" or "commitTransaction" not in command
    if again and settled and "autocommit" in command:
        answer["errorLabels"] = ["TransientTransactionError"]
    return _message(answer, request.id, opcode)
