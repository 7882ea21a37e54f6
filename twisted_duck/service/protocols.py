"""The protocols that are served: a row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.cred.portal import Portal

from twisted_duck.limits import Limits


@attrs.frozen
class Parts:
    """What a factory is made of."""

    portal: Portal
    #: What `transport.startTLS` takes.
    tls: Any
    limits: Limits
    clock: Any
    #: "never", "loopback" or "always".
    cleartext_auth: Any


def _imap(parts: Parts) -> Any:
    from twisted_duck.imap.factory import IMAP4Factory

    return IMAP4Factory(
        parts.portal,
        tls=parts.tls,
        limits=parts.limits,
        clock=parts.clock,
        cleartextAuth=parts.cleartext_auth,
    )


@attrs.frozen
class Protocol:
    """One protocol: `--name` and, with TLS from the first byte, `--names`."""

    name: str
    title: str
    #: Makes its factory, which has `shutDown()`; imports what it needs only then.
    make: Callable[[Parts], Any]
    #: Where it listens if no endpoint is configured at all: ports of the loopback that need no privilege.
    port: int
    #: The same with TLS from the first byte; None for a protocol that does not have that.
    tls_port: int | None


PROTOCOLS = (Protocol("imap", "IMAP", _imap, 1143, 1993),)
