"""LIST, LSUB, XLIST and STATUS: RFC 3501 §6.3.8 to §6.3.10, LIST as RFC 5258, RFC 5819 and RFC 6154 extend it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from twisted_duck.errors import TooMany
from twisted_duck.imap.grammar.cursor import Cursor
from twisted_duck.imap.grammar.terms import list_mailbox, mailbox, parenthesised, reference


class StatusItem(enum.Enum):
    """What STATUS can be asked for, by the name on the wire."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    HIGHESTMODSEQ = "HIGHESTMODSEQ"
    APPENDLIMIT = "APPENDLIMIT"
    SIZE = "SIZE"
    DELETED = "DELETED"
    DELETED_STORAGE = "DELETED-STORAGE"
    MAILBOXID = "MAILBOXID"


class ListSelect(enum.Enum):
    """Which names are meant (RFC 5258 §3.1, RFC 6154 §2)."""

    SUBSCRIBED = "SUBSCRIBED"
    REMOTE = "REMOTE"
    RECURSIVEMATCH = "RECURSIVEMATCH"
    SPECIAL_USE = "SPECIAL-USE"


#: The options that choose among the names there are: the others go with them.
CRITERIA: Final = frozenset({ListSelect.SUBSCRIBED, ListSelect.SPECIAL_USE})


class ListReturn(enum.Enum):
    """What is told of them (RFC 5258 §3.2, RFC 6154 §2)."""

    SUBSCRIBED = "SUBSCRIBED"
    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"


@frozen
class List:
    """LIST, RFC 3501 §6.3.8: decoded, with `*` and `%` still in `patterns`.

    `extended` is whether it is one of RFC 5258: with options of either kind, be there none in the parentheses, or with
    a list of patterns.
    """

    reference: str
    patterns: tuple[str, ...]
    extended: bool = False
    select: frozenset[ListSelect] = frozenset()
    give: frozenset[ListReturn] = frozenset()
    #: What STATUS shall tell of each mailbox (RFC 5819).
    status: tuple[StatusItem, ...] = ()


@frozen
class Lsub:
    """LSUB, RFC 3501 §6.3.9."""

    reference: str
    pattern: str


@frozen
class XList:
    """XLIST: what Gmail had before there was RFC 6154."""

    reference: str
    pattern: str


@frozen
class Status:
    """STATUS, RFC 3501 §6.3.10 (APPENDLIMIT: RFC 7889, HIGHESTMODSEQ: RFC 7162, SIZE: RFC 8438, DELETED: RFC 9051,
    DELETED-STORAGE: RFC 9208, MAILBOXID: RFC 8474): each item once, in the order asked.
    """

    mailbox: str
    items: tuple[StatusItem, ...]


def list_(cursor: Cursor) -> List:
    cursor.space("a reference")
    extended = cursor.sees(b"(")
    select: frozenset[ListSelect] = frozenset()
    if extended:
        select = frozenset(_options(cursor, _SELECT))
        cursor.space("a reference")
        if ListSelect.RECURSIVEMATCH in select and not select & CRITERIA:
            cursor.refuse("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE beside it")
    named = reference(cursor)
    cursor.space("a mailbox pattern")
    if cursor.sees(b"("):
        extended = True
        patterns = tuple(parenthesised(cursor, list_mailbox, "a mailbox pattern"))
        if len(patterns) > cursor.limits.list_patterns:
            raise TooMany(f"more than {cursor.limits.list_patterns} patterns in one LIST")
    else:
        patterns = (list_mailbox(cursor),)
    _bounded(cursor, named, patterns)
    given: dict[ListReturn | None, tuple[StatusItem, ...]] = {}
    if cursor.take(b" "):
        extended = True
        if cursor.keyword("RETURN") != "RETURN":
            cursor.refuse("RETURN was expected")
        cursor.space("'('")
        given = _options(cursor, _RETURN)
    status = given.pop(None, ())
    give = frozenset(option for option in given if option is not None)
    return List(named, patterns, extended, select, give, status)


def _options(cursor: Cursor, known: Mapping[str, tuple[Any, Callable[[Cursor], Any]]]) -> Any:
    """`(option option ...)`, or `()`: what stands for each option to what was read behind its name."""
    found: dict[Any, Any] = {}

    def option(cursor: Cursor) -> None:
        name = cursor.keyword("an option")
        if name not in known:
            cursor.refuse(f"{name[:40]} is no option here")
        key, read = known[name]
        found[key] = read(cursor)

    if not cursor.take(b"()"):
        parenthesised(cursor, option, "an option")
    return found


def _nothing(cursor: Cursor) -> tuple[StatusItem, ...]:
    return ()


def lsub(cursor: Cursor) -> Lsub:
    return Lsub(*_reference_and_pattern(cursor))


def xlist(cursor: Cursor) -> XList:
    return XList(*_reference_and_pattern(cursor))


def _reference_and_pattern(cursor: Cursor) -> tuple[str, str]:
    cursor.space("a reference")
    named = reference(cursor)
    cursor.space("a mailbox pattern")
    pattern = list_mailbox(cursor)
    _bounded(cursor, named, (pattern,))
    return named, pattern


def _bounded(cursor: Cursor, named: str, patterns: Sequence[str]) -> None:
    most = cursor.limits.list_pattern
    if len(named) * len(patterns) + sum(map(len, patterns)) > most:
        raise TooMany(f"more than {most} characters of patterns in one LIST")


def status(cursor: Cursor) -> Status:
    cursor.space("a mailbox name")
    name = mailbox(cursor)
    return Status(name, _status_items(cursor))


def _status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    cursor.space("'('")
    return tuple(dict.fromkeys(parenthesised(cursor, _status_item, "a status item")))


def _status_item(cursor: Cursor) -> StatusItem:
    name = cursor.keyword("a status item")
    try:
        return StatusItem(name)
    except ValueError:
        cursor.refuse(f"{name[:40]} is no status item")


_SELECT: Final = {each.value: (each, _nothing) for each in ListSelect}
_RETURN: Final = {
    **{each.value: (each, _nothing) for each in ListReturn},
    "STATUS": (None, _status_items),
}

PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "LIST": list_,
    "LSUB": lsub,
    "XLIST": xlist,
    "STATUS": status,
}
