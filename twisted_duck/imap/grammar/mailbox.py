"""Commands about mailboxes: RFC 3501 §6.3, §6.4.1, §6.4.2; UNSELECT (RFC 3691).

A mailbox is a `str`, decoded from modified UTF-7, with INBOX in upper case.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final, TypeVar

from attrs import frozen

from twisted_duck.imap import utf7
from twisted_duck.imap.grammar.cursor import Cursor
from twisted_duck.imap.grammar.terms import list_mailbox, mailbox, parenthesised
from twisted_duck.values import DELIMITER

T = TypeVar("T")


@frozen
class Select:
    """SELECT and EXAMINE, RFC 3501 §6.3.1, §6.3.2."""

    mailbox: str
    readonly: bool = False


@frozen
class Create:
    """CREATE, RFC 3501 §6.3.3. The delimiter that may stand at the end of the name is taken off."""

    mailbox: str


@frozen
class Delete:
    """DELETE, RFC 3501 §6.3.4."""

    mailbox: str


@frozen
class Rename:
    """RENAME, RFC 3501 §6.3.5."""

    source: str
    target: str


@frozen
class Subscribe:
    """SUBSCRIBE, RFC 3501 §6.3.6."""

    mailbox: str


@frozen
class Unsubscribe:
    """UNSUBSCRIBE, RFC 3501 §6.3.7."""

    mailbox: str


@frozen
class List:
    """LIST, RFC 3501 §6.3.8: decoded, with `*` and `%` still in `patterns`.

    There is one pattern; RFC 5258 allows for several.
    """

    reference: str
    patterns: tuple[str, ...]


@frozen
class Lsub:
    """LSUB, RFC 3501 §6.3.9."""

    reference: str
    pattern: str


class StatusItem(enum.Enum):
    """What STATUS can be asked for, by the name on the wire."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    APPENDLIMIT = "APPENDLIMIT"


@frozen
class Status:
    """STATUS, RFC 3501 §6.3.10 (APPENDLIMIT: RFC 7889): each item once, in the order asked."""

    mailbox: str
    items: tuple[StatusItem, ...]


@frozen
class Check:
    """CHECK, RFC 3501 §6.4.1."""


@frozen
class Close:
    """CLOSE, RFC 3501 §6.4.2."""


@frozen
class Unselect:
    """UNSELECT, RFC 3691."""


def _with_mailbox(command: Callable[[str], T]) -> Callable[[Cursor], T]:
    """A command that takes a mailbox name and nothing else."""

    def parser(cursor: Cursor) -> T:
        cursor.space("a mailbox name")
        return command(mailbox(cursor))

    return parser


def rename(cursor: Cursor) -> Rename:
    cursor.space("a mailbox name")
    source = mailbox(cursor)
    cursor.space("a mailbox name")
    return Rename(source, mailbox(cursor))


def list_(cursor: Cursor) -> List:
    reference, pattern = _reference_and_pattern(cursor)
    return List(reference, (pattern,))


def lsub(cursor: Cursor) -> Lsub:
    return Lsub(*_reference_and_pattern(cursor))


def _reference_and_pattern(cursor: Cursor) -> tuple[str, str]:
    cursor.space("a reference")
    reference = utf7.decode(cursor.astring("a reference"))
    cursor.space("a mailbox pattern")
    return reference, list_mailbox(cursor)


def status(cursor: Cursor) -> Status:
    cursor.space("a mailbox name")
    name = mailbox(cursor)
    cursor.space("'('")
    items = parenthesised(cursor, _status_item, "a status item")
    return Status(name, tuple(dict.fromkeys(items)))


def _status_item(cursor: Cursor) -> StatusItem:
    name = cursor.keyword("a status item")
    try:
        return StatusItem(name)
    except ValueError:
        cursor.refuse(f"{name[:40]} is no status item")


PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "SELECT": _with_mailbox(Select),
    "EXAMINE": _with_mailbox(lambda name: Select(name, readonly=True)),
    "CREATE": _with_mailbox(lambda name: Create(name.removesuffix(DELIMITER))),
    "DELETE": _with_mailbox(Delete),
    "RENAME": rename,
    "SUBSCRIBE": _with_mailbox(Subscribe),
    "UNSUBSCRIBE": _with_mailbox(Unsubscribe),
    "LIST": list_,
    "LSUB": lsub,
    "STATUS": status,
    "CHECK": lambda cursor: Check(),
    "CLOSE": lambda cursor: Close(),
    "UNSELECT": lambda cursor: Unselect(),
}
