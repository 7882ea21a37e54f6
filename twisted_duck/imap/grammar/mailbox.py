"""Commands about one mailbox: RFC 3501 §6.3, §6.4.1, §6.4.2; UNSELECT (RFC 3691); RFC 6154; RFC 7162.

A mailbox is a `str`, decoded from modified UTF-7, with INBOX in upper case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from attrs import field, frozen

from twisted_duck.imap.grammar.cursor import NUMBER64_MAX, Cursor
from twisted_duck.imap.grammar.terms import (
    mailbox,
    modifiers,
    parenthesised,
    uid_set,
)
from twisted_duck.values import DELIMITER, UIDSet

T = TypeVar("T")


@frozen
class Known:
    """What a client knows of a mailbox (RFC 7162 §3.2.5): the argument of QRESYNC."""

    uidvalidity: int
    modseq: int
    #: The UIDs it knows; None where it did not say.
    uids: UIDSet | None = None
    #: Some message numbers and, as many, the UIDs that they had; empty where it did not say.
    numbers: UIDSet = field(factory=UIDSet)
    uids_of_numbers: UIDSet = field(factory=UIDSet)


@frozen
class Select:
    """SELECT and EXAMINE, RFC 3501 §6.3.1, §6.3.2, with the parameters of RFC 7162 §3.1.8, §3.2.5."""

    mailbox: str
    readonly: bool = False
    condstore: bool = False
    known: Known | None = None


@frozen
class Create:
    """CREATE, RFC 3501 §6.3.3. The delimiter that may stand at the end of the name is taken off.

    `uses` are what it shall be for (RFC 6154 §3), as they were sent.
    """

    mailbox: str
    uses: tuple[str, ...] = ()


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


def select(cursor: Cursor, *, readonly: bool = False) -> Select:
    cursor.space("a mailbox name")
    name = mailbox(cursor)
    if not cursor.take(b" "):
        return Select(name, readonly)
    parameters = modifiers(cursor, {"CONDSTORE": lambda cursor: True, "QRESYNC": _known})
    return Select(name, readonly, "CONDSTORE" in parameters, parameters.get("QRESYNC"))


def _known(cursor: Cursor) -> Known:
    cursor.space("'('")
    cursor.expect(b"(")
    uidvalidity = cursor.number("a UIDVALIDITY", 1)
    cursor.space("a modseq")
    modseq = cursor.number("a modseq", 1, NUMBER64_MAX)
    uids: UIDSet | None = None
    numbers = uids_of_numbers = UIDSet()
    more = cursor.take(b" ")
    if more and not cursor.sees(b"("):
        uids = uid_set(cursor)
        more = cursor.take(b" ")
    if more:
        cursor.expect(b"(", "'(' and message numbers")
        numbers = uid_set(cursor, ascending=True)
        cursor.space("the UIDs of these")
        uids_of_numbers = uid_set(cursor, ascending=True)
        cursor.expect(b")")
        if len(numbers) != len(uids_of_numbers):
            cursor.refuse("there are not as many UIDs as message numbers")
    cursor.expect(b")")
    return Known(uidvalidity, modseq, uids, numbers, uids_of_numbers)


def create(cursor: Cursor) -> Create:
    cursor.space("a mailbox name")
    name = mailbox(cursor).removesuffix(DELIMITER)
    if not cursor.take(b" "):
        return Create(name)
    return Create(name, modifiers(cursor, {"USE": _uses})["USE"])


def _uses(cursor: Cursor) -> tuple[str, ...]:
    cursor.space("'('")
    return () if cursor.take(b"()") else tuple(parenthesised(cursor, _use, "a special use"))


def _use(cursor: Cursor) -> str:
    cursor.expect(b"\\", "a special use")
    return "\\" + cursor.atom("a special use").decode("ascii")


def rename(cursor: Cursor) -> Rename:
    cursor.space("a mailbox name")
    source = mailbox(cursor)
    cursor.space("a mailbox name")
    return Rename(source, mailbox(cursor))


PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "SELECT": select,
    "EXAMINE": lambda cursor: select(cursor, readonly=True),
    "CREATE": create,
    "DELETE": _with_mailbox(Delete),
    "RENAME": rename,
    "SUBSCRIBE": _with_mailbox(Subscribe),
    "UNSUBSCRIBE": _with_mailbox(Unsubscribe),
    "CHECK": lambda cursor: Check(),
    "CLOSE": lambda cursor: Close(),
    "UNSELECT": lambda cursor: Unselect(),
}
