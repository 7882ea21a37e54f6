"""What a hook, a policy or a log line may know about one connection."""

from __future__ import annotations

import ipaddress
import secrets
from datetime import UTC, datetime
from typing import Any

import attrs
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from zope.interface import Interface


def plainAddress(host: str) -> str:
    """An address as people write it: IPv4-mapped IPv6 as IPv4, no zone, anything else as it is."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def whyLost(reason: Failure) -> str:
    """Why a connection was lost, in words: of OpenSSL's errors, which name libraries and functions, the reasons."""
    if reason.check(ConnectionDone):
        return "the client closed it"
    if reason.check("OpenSSL.SSL.Error"):
        match getattr(reason.value, "args", ()):
            case [[*details]]:
                return ", ".join(words for *_, words in details) or "TLS failed"
            case [int(), str(words)]:
                return words
    return reason.getErrorMessage()


@attrs.frozen
class TLSDetails:
    """What a handshake settled."""

    #: 'TLSv1.3'.
    version: str
    #: OpenSSL's name of the cipher suite: 'TLS_AES_256_GCM_SHA384'.
    cipher: str
    #: The name the client asked for (SNI, RFC 6066 §3), or None.
    serverName: str | None
    #: The client's certificate, a `twisted.internet.ssl.Certificate`, or None where it gave none.
    clientCertificate: Any

    @classmethod
    def of(cls, transport: Any) -> TLSDetails | None:
        """The details of a transport whose handshake is done; None for one that does not tell."""
        handle: Any = transport.getHandle() if hasattr(transport, "getHandle") else None
        if not hasattr(handle, "get_protocol_version_name"):
            return None
        name = handle.get_servername()
        certificate = handle.get_peer_certificate()
        if certificate is not None:
            from twisted.internet.ssl import Certificate

            certificate = Certificate(certificate)
        return cls(
            version=handle.get_protocol_version_name(),
            cipher=handle.get_cipher_name() or "",
            serverName=name.decode("ascii", "backslashreplace") if name else None,
            clientCertificate=certificate,
        )


@attrs.define(eq=False)
class Session:
    """One connection, from its announcement to its end.  The protocol and its guard keep it up to date; others only
    read it, except for `data`, which is theirs.
    """

    #: 'IMAP', 'POP3', 'LMTP' or the name a guarded factory was given.
    protocol: str
    remoteAddress: str = ""
    remotePort: int = 0
    localAddress: str = ""
    localPort: int = 0
    #: Unique; stands in the greeting and in every log line.
    id: str = attrs.field(factory=lambda: secrets.token_hex(8))
    created: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    #: Whether what is said now is encrypted.
    secure: bool = False
    #: What the handshake settled, once there was one.
    tls: TLSDetails | None = None
    #: The protocol's own name of its state: for IMAP 'Not Authenticated', 'Authenticated', 'Selected', 'Logout'; for
    #: POP3 'AUTHORIZATION', 'TRANSACTION', 'UPDATE'; for LMTP 'CONNECTED' (before LHLO), 'READY', 'MAIL' (a sender is
    #: known), 'DATA' (the message is coming, or being delivered); '' for protocols that do not tell.
    state: str = ""
    #: The authenticated user's name, or None.
    user: str | None = None
    #: IMAP: the selected mailbox's name, or None.
    selected: str | None = None
    #: Whether the connection was let in; False until then.
    accepted: bool = False
    #: Why the connection ended, once it has, or is bound to.
    closeReason: str | None = None
    #: Octets of the protocol as they were sent: compressed where they are, those of a TLS below not counted.
    bytesIn: int = 0
    bytesOut: int = 0
    commands: int = 0
    #: Anything a hook wants to keep with the connection.
    data: dict[Any, Any] = attrs.field(factory=dict)

    @property
    def origin(self) -> str:
        """Where the client is, in words, for a line of the log."""
        return self.remoteAddress or "a UNIX socket"

    def locate(self, transport: Any) -> None:
        """Take over from a transport who is at its ends; those without a network address have none here either."""
        peer, host = transport.getPeer(), transport.getHost()
        self.remoteAddress = plainAddress(getattr(peer, "host", ""))
        self.remotePort = getattr(peer, "port", 0)
        self.localAddress = plainAddress(getattr(host, "host", ""))
        self.localPort = getattr(host, "port", 0)
        self.secure = ISSLTransport.providedBy(transport)

    def handshakeCompleted(self, transport: Any) -> None:
        """TLS is there, from the first byte or since STARTTLS."""
        self.secure = True
        self.tls = TLSDetails.of(transport)


class ISessionAware(Interface):
    """A protocol that keeps a session of its own up to date, and takes one that was begun before it was made."""

    def useSession(session: Session) -> None:
        """Keep this session up to date from now on: `state`, `user`, `selected`, `commands`, `closeReason`.

        Called at most once, before `makeConnection`.  Addresses, TLS, `accepted` and the octets are seen to by whoever
        calls it.
        """
