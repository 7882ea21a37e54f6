"""The one table of what the server can do, and in which state it says so (RFC 2449 §5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs

from twisted_duck import __version__


@attrs.frozen
class Circumstances:
    """What decides which capabilities are shown."""

    #: Whether a maildrop is open.
    logged_in: bool
    can_start_tls: bool
    #: Whether passwords may be sent now.
    may_authenticate: bool
    #: SASL mechanisms that may be used now.
    mechanisms: tuple[str, ...]


@attrs.frozen
class Capability:
    name: str
    #: Where it is defined.
    rfc: str
    #: One line for docs/protocols.md: what it is here, what was decided.
    about: str
    when: Literal["always", "before login"] = "always"
    condition: Callable[[Circumstances], bool] = lambda now: True
    arguments: Callable[[Circumstances], tuple[str, ...]] = lambda now: ()


TABLE: tuple[Capability, ...] = (
    Capability("TOP", "RFC 2449 §6.1", "The header and as many lines as are asked for"),
    Capability("UIDL", "RFC 2449 §6.8", "Identities that are the same in every session"),
    Capability(
        "RESP-CODES", "RFC 2449 §6.4", "A reason in brackets stands in front of an error's words"
    ),
    Capability(
        "AUTH-RESP-CODE",
        "RFC 3206 §6",
        "[AUTH] says that it was the password, [SYS/TEMP] and [SYS/PERM] that it was not",
    ),
    Capability("PIPELINING", "RFC 2449 §6.6", "Commands may come before the answers to others"),
    # These two are told in both states, though they can be used in one only.
    Capability(
        "USER",
        "RFC 2449 §6.2",
        "Where passwords may be sent",
        condition=lambda now: now.may_authenticate,
    ),
    Capability(
        "SASL",
        "RFC 5034 §3",
        "PLAIN and LOGIN where passwords may be sent; SCRAM as in IMAP",
        condition=lambda now: bool(now.mechanisms),
        arguments=lambda now: now.mechanisms,
    ),
    Capability(
        "STLS",
        "RFC 2595 §4",
        "Where there is a certificate and no TLS yet",
        "before login",
        lambda now: now.can_start_tls,
    ),
    # Without its USER: names and passwords may be UTF-8, and are not prepared (§2.2).
    Capability(
        "UTF8",
        "RFC 6856 §2",
        "Without its USER; who has not said UTF8 gets headers of ASCII (RFC 6858)",
    ),
    # Nobody has to wait for the next login, and nothing is ever removed by itself.
    Capability(
        "LOGIN-DELAY",
        "RFC 2449 §6.5",
        "0: nobody has to wait for the next login",
        arguments=lambda now: ("0",),
    ),
    Capability(
        "EXPIRE", "RFC 2449 §6.7", "NEVER: nothing goes by itself", arguments=lambda now: ("NEVER",)
    ),
    Capability(
        "IMPLEMENTATION",
        "RFC 2449 §6.9",
        "The program and its version",
        arguments=lambda now: (f"Twisted-Duck-{__version__}",),
    ),
)


def capabilities(now: Circumstances) -> list[str]:
    """The lines that CAPA answers."""
    return [
        " ".join((each.name, *each.arguments(now)))
        for each in TABLE
        if (each.when == "always" or not now.logged_in) and each.condition(now)
    ]
