"""APPEND (RFC 3501 §6.3.11), in a shape that MULTIAPPEND (RFC 3502) fits too."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final

from attrs import frozen

from twisted_duck.imap.grammar.cursor import Cursor, Literal
from twisted_duck.imap.grammar.terms import date_time, flags, mailbox
from twisted_duck.values import Flags


@frozen
class AppendArgument:
    """One message to be appended; `date` is aware, None where the client left it to the server."""

    literal: Literal
    flags: Flags = frozenset()
    date: datetime.datetime | None = None


@frozen
class Append:
    mailbox: str
    messages: tuple[AppendArgument, ...]


def append(cursor: Cursor) -> Append:
    cursor.space("a mailbox name")
    name = mailbox(cursor)
    chosen, date = _before_message(cursor)
    literal = cursor.literal("a message as a literal")
    if literal.binary:
        cursor.refuse("a message can't be given as binary data")
    return Append(name, (AppendArgument(literal, chosen, date),))


def target(cursor: Cursor) -> str | None:
    """The mailbox of an APPEND of which everything was read up to where its message is announced.

    None where the literal that comes next is the mailbox name.
    """
    cursor.space("a mailbox name")
    if cursor.at_end:
        return None
    name = mailbox(cursor)
    _before_message(cursor)
    cursor.end()
    return name


def _before_message(cursor: Cursor) -> tuple[Flags, datetime.datetime | None]:
    chosen: Flags = frozenset()
    date = None
    cursor.space("flags, a date, or a message as a literal")
    if cursor.sees(b"("):
        chosen = flags(cursor)
        cursor.space("a date or a message as a literal")
    if cursor.sees(b'"'):
        date = date_time(cursor)
        cursor.space("a message as a literal")
    return chosen, date


PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {"APPEND": append}
