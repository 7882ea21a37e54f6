"""Commands that change or copy messages: RFC 3501 §6.4.3, §6.4.6 to §6.4.8; RFC 4315; RFC 6851; RFC 7162."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from twisted_duck.imap.grammar.cursor import Cursor
from twisted_duck.imap.grammar.terms import flags, mailbox, modifiers, modseq, sequence_set
from twisted_duck.sequence import SequenceSet
from twisted_duck.values import FlagMode, Flags


@frozen
class Store:
    """STORE and UID STORE. `\\\\Recent` is never among `flags`; `unchanged_since`: RFC 7162 §3.1.3."""

    set: SequenceSet
    mode: FlagMode
    flags: Flags
    silent: bool = False
    uid: bool = False
    unchanged_since: int | None = None


@frozen
class Copy:
    """COPY and UID COPY."""

    set: SequenceSet
    mailbox: str
    uid: bool = False


@frozen
class Move:
    """MOVE and UID MOVE, RFC 6851."""

    set: SequenceSet
    mailbox: str
    uid: bool = False


@frozen
class Expunge:
    """EXPUNGE, and UID EXPUNGE (RFC 4315 §2.1) with the UIDs it is limited to."""

    uids: SequenceSet | None = None


_MODES: Final[dict[bytes, FlagMode]] = {b"+": "add", b"-": "remove", b"": "replace"}


def store(cursor: Cursor, *, uid: bool = False) -> Store:
    cursor.space("a set of messages")
    chosen = sequence_set(cursor)
    cursor.space("FLAGS, +FLAGS or -FLAGS")
    since: int | None = None
    if cursor.sees(b"("):
        since = modifiers(cursor, {"UNCHANGEDSINCE": modseq})["UNCHANGEDSINCE"]
        cursor.space("FLAGS, +FLAGS or -FLAGS")
    mode = next(mode for sign, mode in _MODES.items() if cursor.take(sign))
    item = cursor.keyword("FLAGS, +FLAGS or -FLAGS")
    if item not in ("FLAGS", "FLAGS.SILENT"):
        cursor.refuse(f"{item[:40]} can't be stored")
    cursor.space("flags")
    return Store(chosen, mode, flags(cursor, bare=True), item == "FLAGS.SILENT", uid, since)


def copy(cursor: Cursor, *, uid: bool = False) -> Copy:
    return Copy(*_set_and_mailbox(cursor), uid)


def move(cursor: Cursor, *, uid: bool = False) -> Move:
    return Move(*_set_and_mailbox(cursor), uid)


def uid_expunge(cursor: Cursor) -> Expunge:
    cursor.space("a set of UIDs")
    return Expunge(sequence_set(cursor))


def _set_and_mailbox(cursor: Cursor) -> tuple[SequenceSet, str]:
    cursor.space("a set of messages")
    chosen = sequence_set(cursor)
    cursor.space("a mailbox name")
    return chosen, mailbox(cursor)


PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "STORE": store,
    "UID STORE": lambda cursor: store(cursor, uid=True),
    "COPY": copy,
    "UID COPY": lambda cursor: copy(cursor, uid=True),
    "MOVE": move,
    "UID MOVE": lambda cursor: move(cursor, uid=True),
    "EXPUNGE": lambda cursor: Expunge(),
    "UID EXPUNGE": uid_expunge,
}
