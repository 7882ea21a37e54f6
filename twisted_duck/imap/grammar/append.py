"""APPEND (RFC 3501 §6.3.11) of one message or several (RFC 3502), and REPLACE (RFC 8508)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from attrs import field, frozen

from twisted_duck.errors import TooMany
from twisted_duck.imap.grammar.cursor import Cursor, Literal
from twisted_duck.imap.grammar.terms import date_time, flags, mailbox, message_number
from twisted_duck.light import light
from twisted_duck.sequence import SequenceSet
from twisted_duck.values import Flags

#: RFC 6855 §4, `utf8-literal`.
_UTF8 = re.compile(rb"UTF8 \(", re.IGNORECASE)


@light
class AppendArgument:
    """One message to be appended; `date` is aware, None where the client left it to the server.

    With `utf8` the client says that there may be UTF-8 in its header (RFC 6855 §4).
    """

    literal: Literal
    flags: Flags = frozenset()
    date: datetime.datetime | None = None
    utf8: bool = False


@light
class Append:
    mailbox: str
    messages: tuple[AppendArgument, ...]


@frozen
class Replace:
    """`replaced` names one message, by its number or its UID."""

    replaced: SequenceSet
    mailbox: str
    message: AppendArgument
    uid: bool = False


#: Flags, a date, and whether the message is said to have UTF-8 in its header.
Front: TypeAlias = tuple[Flags, datetime.datetime | None, bool]


@light
class Announced:
    """A message of which no octet was sent yet: the mailbox it is for, and what else is known of the command.

    `earlier` are the octets of the messages in front of it; `replaced` is the one that will go for it.
    """

    mailbox: str
    earlier: int = 0
    replaced: SequenceSet | None = None
    uid: bool = False
    #: What stands before each message of an APPEND, up to this one; nobody has to read it again.
    fronts: tuple[Front, ...] = field(default=(), eq=False)


def append(cursor: Cursor) -> Append:
    cursor.space("a mailbox name")
    name = mailbox(cursor)
    messages = [_message(cursor)]
    while not cursor.at_end:
        messages.append(_message(cursor))
    return Append(name, tuple(messages))


def announced_append(cursor: Cursor) -> Announced | None:
    """What is announced at the end of the part of an APPEND that was read; None where it is the mailbox name.

    Raises TooMany for one message more than there may be.
    """
    cursor.space("a mailbox name")
    if cursor.at_end:
        return None
    said = _next(cursor, mailbox(cursor), 0, ())
    while cursor.is_literal():
        said = _behind(cursor, said)
    if not cursor.at_end:
        cursor.fail("a message as a literal")
    return said


def announced_behind(cursor: Cursor, before: Announced) -> Announced:
    """The same, where the cursor is at the last message that has come, which was announced as `before`."""
    said = _behind(cursor, before)
    if not cursor.at_end:
        cursor.fail("a message as a literal")
    return said


def _behind(cursor: Cursor, before: Announced) -> Announced:
    literal = _literal(cursor, before.fronts[-1][2])
    return _next(cursor, before.mailbox, before.earlier + literal.size, before.fronts)


def _next(cursor: Cursor, name: str, earlier: int, fronts: tuple[Front, ...]) -> Announced:
    if len(fronts) >= cursor.limits.append_messages:
        raise TooMany(f"more than {cursor.limits.append_messages} messages in one APPEND")
    return Announced(name, earlier, fronts=(*fronts, _before_message(cursor)))


def announced_whole(parts: Sequence[bytes | Literal], last: Announced) -> Append | None:
    """The APPEND of which the last message was announced as `last`; None where something else stands behind that."""
    messages = [part for part in parts if isinstance(part, Literal)][-len(last.fronts) :]
    rest = b""
    for part in reversed(parts):
        if isinstance(part, Literal):
            break
        rest = part + rest
    utf8 = last.fronts[-1][2]
    if rest != (b")" if utf8 else b"") or (utf8 and not messages[-1].binary):
        return None
    pairs = zip(messages, last.fronts, strict=True)
    return Append(last.mailbox, tuple([AppendArgument(each, *front) for each, front in pairs]))


def replace(cursor: Cursor, *, uid: bool = False) -> Replace:
    replaced = _replaced(cursor)
    name = mailbox(cursor)
    return Replace(replaced, name, _message(cursor), uid)


def announced_replace(cursor: Cursor, *, uid: bool = False) -> Announced | None:
    """The same as `announced_append` for REPLACE."""
    replaced = _replaced(cursor)
    if cursor.at_end:
        return None
    name = mailbox(cursor)
    _before_message(cursor)
    cursor.end()
    return Announced(name, 0, replaced, uid)


def _replaced(cursor: Cursor) -> SequenceSet:
    cursor.space("a message number")
    number = message_number(cursor)
    cursor.space("a mailbox name")
    return SequenceSet(((number, number),))


def _message(cursor: Cursor) -> AppendArgument:
    chosen, date, utf8 = _before_message(cursor)
    return AppendArgument(_literal(cursor, utf8), chosen, date, utf8)


def _before_message(cursor: Cursor) -> Front:
    chosen: Flags = frozenset()
    date = None
    cursor.space("flags, a date, or a message as a literal")
    if cursor.sees(b"("):
        chosen = flags(cursor)
        cursor.space("a date or a message as a literal")
    if cursor.sees(b'"'):
        date = date_time(cursor)
        cursor.space("a message as a literal")
    utf8 = cursor.match(_UTF8) is not None
    if utf8 and not cursor.utf8:
        cursor.refuse("UTF8=ACCEPT has to be enabled first")
    return chosen, date, utf8


def _literal(cursor: Cursor, utf8: bool) -> Literal:
    literal = cursor.literal("a message as a literal")
    if utf8:
        if not literal.binary:
            cursor.refuse("what stands in UTF8 (...) is a literal8")
        cursor.expect(b")")
    return literal


PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "APPEND": append,
    "REPLACE": replace,
    "UID REPLACE": lambda cursor: replace(cursor, uid=True),
}

ANNOUNCED: Final[dict[str, Callable[[Cursor], Announced | None]]] = {
    "APPEND": announced_append,
    "REPLACE": announced_replace,
    "UID REPLACE": lambda cursor: announced_replace(cursor, uid=True),
}
"""The commands with messages in them, to what reads them up to where one is announced."""
