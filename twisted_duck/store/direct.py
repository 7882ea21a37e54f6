"""One connection to one `mongod`, without a pool: what sets a server up before it is a replica set.

The pool of the store waits for a primary; a fresh `mongod` has none until it was told to be one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from typing import Any

from bson.codec_options import CodecOptions
from pymongo.errors import PyMongoError
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import ClientFactory
from txmongo.protocol import MongoProtocol, Msg

_CODEC: CodecOptions[dict[str, Any]] = CodecOptions()


class DirectError(Exception):
    """The server could not be reached, went away, or did not answer in time."""


class CommandFailed(DirectError):
    """The server answered with an error; `code` is MongoDB's number for it."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class AuthenticationRefused(DirectError):
    """Name or password are not the server's, or the server could not prove that it knows them too."""


class _Factory(ClientFactory):
    protocol = MongoProtocol
    noisy = False

    def setInstance(self, instance: object, reason: object = None) -> None:
        """`MongoProtocol` tells its factory when the connection is lost; there is nobody to tell."""


class Direct:
    """Commands over one connection, each with the same deadline."""

    def __init__(self, reactor: Any, protocol: Any, timeout: float) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._timeout = timeout

    async def authenticate(self, database: str, user: str, password: str) -> None:
        """SCRAM-SHA-256 (RFC 5802 §3, RFC 7677), in which the server proves that it knows the password, too.

        txmongo has SCRAM-SHA-1 only, which a server does not offer to its internal user.

        @param user: ASCII without `=` and `,`
        @param password: ASCII
        @raise AuthenticationRefused: it does not, or we do not
        """
        nonce = secrets.token_hex(16)
        first = f"n={user},r={nonce}"
        start = {"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": f"n,,{first}".encode()}
        try:
            reply = await self.command(database, start)
            challenge = reply["payload"].decode()
            fields = dict(field.split("=", 1) for field in challenge.split(","))
            if not fields["r"].startswith(nonce):
                raise AuthenticationRefused("this is not the server that it should be")
            salted = hashlib.pbkdf2_hmac(
                "sha256", password.encode(), b64decode(fields["s"]), int(fields["i"])
            )
            final = f"c=biws,r={fields['r']}"
            proof, signature = _scram(salted, f"{first},{challenge},{final}".encode())
            payload = f"{final},p={proof}".encode()
            reply = await self._continue(database, reply, payload)
            if not hmac.compare_digest(reply["payload"], f"v={signature}".encode()):
                raise AuthenticationRefused("this is not the server that it should be")
            if not reply["done"]:
                await self._continue(database, reply, b"")
        except CommandFailed as error:
            raise AuthenticationRefused(f"the user {user} was refused: {error}") from error

    async def _continue(
        self, database: str, reply: dict[str, Any], payload: bytes
    ) -> dict[str, Any]:
        conversation = reply["conversationId"]
        return await self.command(
            database, {"saslContinue": 1, "conversationId": conversation, "payload": payload}
        )

    async def command(self, database: str, body: dict[str, Any]) -> dict[str, Any]:
        """@raise CommandFailed: the server refused"""
        message = Msg.create({**body, "$db": database}, codec_options=_CODEC)
        reply = await self._in_time(self._protocol._send_raw_msg(message))
        answer: dict[str, Any] = reply.to_dict(_CODEC)
        if not answer.get("ok"):
            raise CommandFailed(answer.get("errmsg", "unknown error"), answer.get("code", 0))
        return answer

    def close(self) -> None:
        self._protocol.transport.abortConnection()

    async def _in_time(self, deferred: Deferred[Any]) -> Any:
        try:
            return await deferred.addTimeout(self._timeout, self._reactor)
        except TimeoutError as error:
            raise DirectError(f"no answer within {self._timeout:g} seconds") from error
        except PyMongoError as error:
            raise DirectError(str(error)) from error


def _scram(salted: bytes, message: bytes) -> tuple[str, str]:
    """The client's proof and the server's signature (RFC 5802 §3), in base64."""

    def mac(key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, "sha256")

    client_key = mac(salted, b"Client Key")
    signature = mac(hashlib.sha256(client_key).digest(), message)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return b64encode(proof).decode(), b64encode(mac(mac(salted, b"Server Key"), message)).decode()


async def connect(reactor: Any, host: str, port: int, timeout: float = 10.0) -> Direct:
    """Connect to one server.

    @param timeout: seconds, for connecting and for each command
    @raise DirectError: nothing answers there
    """
    try:
        endpoint = HostnameEndpoint(reactor, host, port, timeout=timeout)
        protocol = await endpoint.connect(_Factory())
    except ConnectError as error:
        raise DirectError(str(error)) from error
    return Direct(reactor, protocol, timeout)
