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
    when: Literal["always", "before login"] = "always"
    condition: Callable[[Circumstances], bool] = lambda now: True
    arguments: Callable[[Circumstances], tuple[str, ...]] = lambda now: ()


TABLE: tuple[Capability, ...] = (
    Capability("TOP", "RFC 2449 §6.1"),
    Capability("UIDL", "RFC 2449 §6.8"),
    Capability("RESP-CODES", "RFC 2449 §6.4"),
    Capability("AUTH-RESP-CODE", "RFC 3206 §6"),
    Capability("PIPELINING", "RFC 2449 §6.6"),
    # These two are told in both states, though they can be used in one only.
    Capability("USER", "RFC 2449 §6.2", condition=lambda now: now.may_authenticate),
    Capability(
        "SASL",
        "RFC 5034 §3",
        condition=lambda now: bool(now.mechanisms),
        arguments=lambda now: now.mechanisms,
    ),
    Capability("STLS", "RFC 2595 §4", "before login", lambda now: now.can_start_tls),
    # Without its USER: names and passwords may be UTF-8, and are not prepared (§2.2).
    Capability("UTF8", "RFC 6856 §2"),
    # Nobody has to wait for the next login, and nothing is ever removed by itself.
    Capability("LOGIN-DELAY", "RFC 2449 §6.5", arguments=lambda now: ("0",)),
    Capability("EXPIRE", "RFC 2449 §6.7", arguments=lambda now: ("NEVER",)),
    Capability(
        "IMPLEMENTATION", "RFC 2449 §6.9", arguments=lambda now: (f"Twisted-Duck-{__version__}",)
    ),
)


def capabilities(now: Circumstances) -> list[str]:
    """The lines that CAPA answers."""
    return [
        " ".join((each.name, *each.arguments(now)))
        for each in TABLE
        if (each.when == "always" or not now.logged_in) and each.condition(now)
    ]
