"""The one table of what LHLO tells (RFC 2033 §4.1), in the order in which it does."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from twisted_duck.limits import Limits


@attrs.frozen
class Circumstances:
    """What decides which keywords are told."""

    can_start_tls: bool
    limits: Limits


@attrs.frozen
class Keyword:
    name: str
    #: Where it is defined.
    rfc: str
    #: One line for docs/protocols.md: what it is here, what was decided.
    about: str
    condition: Callable[[Circumstances], bool] = lambda now: True
    arguments: Callable[[Circumstances], tuple[str, ...]] = lambda now: ()


#: The first three are what RFC 2033 §5 asks for.
TABLE: tuple[Keyword, ...] = (
    Keyword("PIPELINING", "RFC 2920", "Commands may come before the answers to others"),
    Keyword(
        "ENHANCEDSTATUSCODES",
        "RFC 2034",
        "Each reply has a code of RFC 3463; after the data there is one for each recipient",
    ),
    Keyword("8BITMIME", "RFC 6152", "Messages are stored as they come, whatever BODY says"),
    Keyword(
        "SMTPUTF8",
        "RFC 6531",
        "Addresses in UTF-8 are taken, and delivered to where the user has such an address",
    ),
    Keyword("CHUNKING", "RFC 3030", "BDAT; BINARYMIME is not offered, for no NUL is ever stored"),
    Keyword(
        "SIZE",
        "RFC 1870",
        "The largest message; who announces one is told at once if it is too large or over quota",
        arguments=lambda now: (str(now.limits.message),),
    ),
    Keyword(
        "STARTTLS",
        "RFC 3207",
        "Where there is a certificate and no TLS yet",
        lambda now: now.can_start_tls,
    ),
)


def keywords(now: Circumstances) -> list[str]:
    """The lines of LHLO's reply behind the first."""
    return [" ".join((each.name, *each.arguments(now))) for each in TABLE if each.condition(now)]
