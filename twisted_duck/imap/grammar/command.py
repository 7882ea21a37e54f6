"""From the parts of one complete command to its value: the table of all commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from twisted_duck.errors import BadSyntax
from twisted_duck.imap.grammar import (
    append,
    fetch,
    listing,
    mailbox,
    quota,
    search,
    session,
    store,
)
from twisted_duck.imap.grammar.cursor import Cursor, Literal
from twisted_duck.light import light
from twisted_duck.limits import DEFAULTS, Limits

# ASTRING-CHAR without "+".
_TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")

PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    **session.PARSERS,
    **mailbox.PARSERS,
    **listing.PARSERS,
    **quota.PARSERS,
    **append.PARSERS,
    **fetch.PARSERS,
    **store.PARSERS,
    **search.PARSERS,
}
"""Each command by its name, `UID` included, to what reads everything behind the name."""


@light
class Command:
    """One command: its tag as sent, its name in upper case (`UID FETCH`), and one of the values
    that this package is made of."""

    tag: bytes
    name: str
    value: object


def parse(
    parts: Sequence[bytes | Literal],
    limits: Limits = DEFAULTS,
    *,
    utf8: bool = False,
    last: append.Announced | None = None,
) -> Command:
    """Read one command: the texts it was made of, and the literals between them; `utf8` is whether the client has
    enabled UTF8=ACCEPT.

    Raises BadSyntax, with the tag where there is one, for what is not a command, and, for what is
    one and can't be meant, other client errors: Cannot (a mailbox name that is not modified UTF-7),
    BadCharset, TooMany.

    @param last: what `announced` said of the last literal
    """
    if last is not None and last.fronts:
        known, whole = tag_of(parts), append.announced_whole(parts, last)
        if known is not None and whole is not None:
            return Command(known, "APPEND", whole)
    cursor = Cursor(parts, limits, utf8=utf8)
    tag = _tag(cursor)
    try:
        name = _name(cursor)
        value = PARSERS[name](cursor)
        cursor.end()
    except BadSyntax as error:
        error.tag = tag
        raise
    return Command(tag, name, value)


def tag_of(parts: Sequence[bytes | Literal]) -> bytes | None:
    """The tag of a command that may be broken or not complete, if it begins with a whole one."""
    if not parts or isinstance(parts[0], Literal):
        return None
    found = _TAG.match(parts[0])
    if found is None or not parts[0].startswith(b" ", found.end()):
        return None
    return found[0]


def announced(
    parts: Sequence[bytes | Literal],
    limits: Limits = DEFAULTS,
    *,
    utf8: bool = False,
    before: append.Announced | None = None,
) -> append.Announced | None:
    """Whether the literal that is announced behind `parts` is a message, and for which mailbox.

    None for every other literal. Raises what `parse` raises if this is an APPEND or a REPLACE with a
    fault in front of the message, so that the message need not be sent at all.

    @param before: what this said of the literal before, the last one in `parts`: of many messages each is read once then
    """
    if before is not None and before.fronts:
        last = next(at for at in reversed(range(len(parts))) if isinstance(parts[at], Literal))
        with suppress(BadSyntax):
            # What is wrong is told with its place in the whole command.
            return append.announced_behind(Cursor(parts[last:], limits, utf8=utf8), before)
    cursor = Cursor(parts, limits, utf8=utf8)
    tag = _tag(cursor)
    try:
        read = append.ANNOUNCED.get(_name(cursor))
        return None if read is None else read(cursor)
    except BadSyntax as error:
        error.tag = tag
        raise


def _tag(cursor: Cursor) -> bytes:
    found = cursor.match(_TAG)
    if found is None:
        cursor.fail("a tag")
    return found[0]


def _name(cursor: Cursor) -> str:
    cursor.space("a command")
    name = cursor.keyword("a command")
    if name == "UID":
        cursor.space("a command")
        name = f"UID {cursor.keyword('a command')}"
    if name not in PARSERS:
        cursor.refuse(f"{name[:40]} is no command")
    return name
