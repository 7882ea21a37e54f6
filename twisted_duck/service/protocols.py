"""The protocols that are served: a row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from twisted.cred.portal import Portal

from twisted_duck.policies import Policies

if TYPE_CHECKING:
    from twisted_duck.addresses import AddressRules
    from twisted_duck.factory import LoginOptions
    from twisted_duck.service.config import Settings


@attrs.frozen
class Parts:
    """What a factory is made of."""

    portal: Portal
    #: Makes an `IDelivery`.
    delivery: Callable[[AddressRules], Any]
    #: What `transport.startTLS` takes.
    tls: Any
    clock: Any
    settings: Settings
    #: Who may connect and log in.
    policies: Policies


def _login_options(parts: Parts) -> LoginOptions:
    """What the factories have in common whose clients log in."""
    return {
        "tls": parts.tls,
        "limits": parts.settings.limits,
        "clock": parts.clock,
        "cleartextAuth": parts.settings.cleartext_auth,
        "onConnect": parts.policies.onConnect,
        "onClose": parts.policies.onClose,
        "onDeadline": parts.settings.on_deadline,
        "onAuthenticated": parts.policies.onAuthenticated,
    }


def _imap(parts: Parts) -> Any:
    from twisted_duck.imap.factory import IMAP4Factory

    return IMAP4Factory(
        parts.portal,
        **_login_options(parts),
        utf8=parts.settings.imap_utf8,
    )


def _pop3(parts: Parts) -> Any:
    from twisted_duck.pop3.factory import POP3Factory

    return POP3Factory(
        parts.portal,
        **_login_options(parts),
        deleteAction=parts.settings.pop3_delete,
        retrSetsSeen=parts.settings.pop3_retr_sets_seen,
    )


def _lmtp(parts: Parts) -> Any:
    from twisted_duck.addresses import AddressRules
    from twisted_duck.lmtp.factory import LMTPFactory

    settings = parts.settings
    return LMTPFactory(
        parts.delivery(AddressRules(ignore_dots=settings.lmtp_ignore_dots)),
        tls=parts.tls if settings.lmtp_starttls else None,
        limits=settings.limits,
        clock=parts.clock,
        hostname=settings.lmtp_hostname,
        spamHeader=settings.lmtp_spam_header,
        onConnect=parts.policies.onConnect,
        onClose=parts.policies.onClose,
        onDeadline=parts.settings.on_deadline,
    )


@attrs.frozen
class Protocol:
    """One protocol: `--name` and, with TLS from the first byte, `--names`."""

    name: str
    title: str
    #: Makes its factory, which has `shutDown()`; imports what it needs only then.
    make: Callable[[Parts], Any]
    #: The endpoint that it usually has, for the help.
    usual: str
    #: The same with TLS from the first byte; None for a protocol that does not have that.
    usual_tls: str | None
    #: Where it listens if no endpoint is configured at all: ports of the loopback that need no privilege.  None: nowhere.
    port: int | None
    tls_port: int | None
    #: What else an administrator must know.
    note: str = ""
    #: Its name in ALPN (RFC 7301), if it has one.
    alpn: str | None = None


PROTOCOLS = (
    Protocol(
        "imap", "IMAP", _imap, "tcp:143", "tcp:993", 1143, 1993, "STARTTLS is offered.", "imap"
    ),
    Protocol("pop3", "POP3", _pop3, "tcp:110", "tcp:995", 1110, 1995, "STLS is offered.", "pop3"),
    Protocol(
        "lmtp",
        "LMTP",
        _lmtp,
        "unix:/run/duckmail/lmtp:mode=660 or tcp:24:interface=127.0.0.1",
        None,
        # It has no authentication: whoever is on this machine could deliver.
        None,
        None,
        "There is no authentication in LMTP: nobody but the mail server should be able to connect.",
    ),
)
