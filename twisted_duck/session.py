"""What a hook, a policy or a log line may know about one connection."""

from __future__ import annotations

import ipaddress
import secrets
from datetime import UTC, datetime
from typing import Any

import attrs


def plainAddress(host: str) -> str:
    """An address as people write it: IPv4-mapped IPv6 as IPv4, no zone, anything else as it is."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


@attrs.define(eq=False)
class Session:
    """One connection, from its announcement to its end.  The protocol keeps it up to date; others only read it,
    except for `data`, which is theirs.
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
    #: The protocol's own name of its state: for IMAP 'Not Authenticated', 'Authenticated', 'Selected', 'Logout'.
    state: str = ""
    #: The authenticated user's name, or None.
    user: str | None = None
    #: IMAP: the selected mailbox's name, or None.
    selected: str | None = None
    #: Why the connection ended, once it has.
    closeReason: str | None = None
    bytesIn: int = 0
    bytesOut: int = 0
    commands: int = 0
    #: Anything a hook wants to keep with the connection.
    data: dict[Any, Any] = attrs.field(factory=dict)
