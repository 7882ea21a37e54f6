"""FETCH and UID FETCH: RFC 3501 §6.4.5, §6.4.8; RFC 7162 §3.1.4, §3.2.6; RFC 8474 §5.3; RFC 8514 §4.2;
RFC 8970 §6."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Final, TypeAlias

from attrs import frozen

from twisted_duck.errors import TooMany
from twisted_duck.imap.grammar.cursor import ASTRING, NUMBER64_MAX, Cursor
from twisted_duck.imap.grammar.terms import (
    Page,
    modifiers,
    modseq,
    parenthesised,
    partial,
    sequence_set,
)
from twisted_duck.mime.section import Section, SectionText
from twisted_duck.sequence import SequenceSet

_NAME = re.compile(rb"[A-Za-z0-9.]+")
_LAZY = re.compile(rb" \(LAZY(?: LAZY)*\)", re.IGNORECASE)
_FIELD = re.compile(rb"[\x20-\x7e]+")


class Attribute(enum.Enum):
    """What FETCH can be asked for besides body text, by the name on the wire.

    BODY is BODYSTRUCTURE without extension data.
    """

    FLAGS = "FLAGS"
    UID = "UID"
    INTERNALDATE = "INTERNALDATE"
    SAVEDATE = "SAVEDATE"
    EMAILID = "EMAILID"
    THREADID = "THREADID"
    PREVIEW = "PREVIEW"
    #: If it is at hand.
    PREVIEW_LAZY = "PREVIEW (LAZY)"
    RFC822_SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"


@frozen
class Partial:
    """`<start.count>`: octets from `start` (0-based); `count` is at least 1."""

    start: int
    count: int


@frozen
class FetchBody:
    """A section of the message, or a slice of one.

    Unless `peek`, reading it sets `\\\\Seen`. `label` is the name under which the answer goes out,
    without the slice's origin: `BODY[1.MIME]`, or `RFC822.TEXT` for the items of old that are
    answered under their own names.
    """

    section: Section
    label: bytes
    partial: Partial | None = None
    peek: bool = False

    @property
    def filters(self) -> bool:
        """Whether it is chosen fields of a header."""
        return self.section.text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT")

    @property
    def response_name(self) -> bytes:
        """The label with the origin of the slice: `BODY[TEXT]<100>`."""
        if self.partial is None:
            return self.label
        return b"%b<%d>" % (self.label, self.partial.start)


@frozen
class FetchBinary:
    """The content of a part, or of the message, without its transfer encoding (RFC 3516 §4.2).

    Unless `peek`, reading it sets `\\\\Seen`; `partial` counts octets of the content.
    """

    part: tuple[int, ...]
    partial: Partial | None = None
    peek: bool = False

    @property
    def response_name(self) -> bytes:
        name = b"BINARY[%b]" % _dotted(self.part)
        return name if self.partial is None else b"%b<%d>" % (name, self.partial.start)


@frozen
class BinarySize:
    """How many octets FetchBinary would tell."""

    part: tuple[int, ...]

    @property
    def response_name(self) -> bytes:
        return b"BINARY.SIZE[%b]" % _dotted(self.part)


#: What is said of the message's own bytes.
FetchContent: TypeAlias = FetchBody | FetchBinary | BinarySize
FetchItem: TypeAlias = Attribute | FetchContent


@frozen
class Fetch:
    """Items in the order asked, each once, macros resolved.

    UID FETCH answers with the UID whether `items` name it or not. With `changed_since` only messages
    of which the modseq is higher are answered; with `vanished` (UID FETCH only, and only beside
    `changed_since`) those that were expunged since are told, too. `page` (UID FETCH only): of the
    messages in `set` these are meant, and no others (RFC 9394 §3.3).
    """

    set: SequenceSet
    items: tuple[FetchItem, ...]
    uid: bool = False
    changed_since: int | None = None
    vanished: bool = False
    page: Page | None = None


_FAST = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.RFC822_SIZE)
MACROS: Final[dict[str, tuple[FetchItem, ...]]] = {
    "FAST": _FAST,
    "ALL": (*_FAST, Attribute.ENVELOPE),
    "FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}

_ITEMS: Final[dict[str, FetchItem]] = {
    **{attribute.value: attribute for attribute in Attribute},
    "RFC822": FetchBody(Section(), b"RFC822"),
    "RFC822.HEADER": FetchBody(Section(text="HEADER"), b"RFC822.HEADER", peek=True),
    "RFC822.TEXT": FetchBody(Section(text="TEXT"), b"RFC822.TEXT"),
}

_SECTION_TEXTS: Final[dict[str, SectionText]] = {
    "HEADER": "HEADER",
    "HEADER.FIELDS": "HEADER.FIELDS",
    "HEADER.FIELDS.NOT": "HEADER.FIELDS.NOT",
    "TEXT": "TEXT",
    "MIME": "MIME",
}


def fetch(cursor: Cursor, *, uid: bool = False) -> Fetch:
    cursor.space("a set of messages")
    chosen = sequence_set(cursor)
    cursor.space("what to fetch")
    if cursor.sees(b"("):
        items = parenthesised(cursor, _item, "what to fetch")
    else:
        name = _name(cursor)
        items = list(MACROS.get(name) or [_named(cursor, name)])
    if len(items) > cursor.limits.fetch_items:
        raise TooMany(f"more than {cursor.limits.fetch_items} items in one FETCH")
    unique = tuple(dict.fromkeys(items))
    if Attribute.PREVIEW in unique:
        # It is told once, and not as if nobody were in a hurry.
        unique = tuple(item for item in unique if item is not Attribute.PREVIEW_LAZY)
    if not cursor.take(b" "):
        return Fetch(chosen, unique, uid)
    readers = {"CHANGEDSINCE": modseq, "VANISHED": lambda cursor: True, "PARTIAL": partial}
    given = modifiers(cursor, readers)
    if "VANISHED" in given and not (uid and "CHANGEDSINCE" in given):
        cursor.refuse("VANISHED belongs to UID FETCH with CHANGEDSINCE")
    page = given.get("PARTIAL")
    if page is not None and not uid:
        cursor.refuse("PARTIAL belongs to UID FETCH")
    return Fetch(chosen, unique, uid, given.get("CHANGEDSINCE"), "VANISHED" in given, page)


def _item(cursor: Cursor) -> FetchItem:
    return _named(cursor, _name(cursor))


def _name(cursor: Cursor, what: str = "what to fetch") -> str:
    found = cursor.match(_NAME)
    if found is None:
        cursor.fail(what)
    return found[0].decode("ascii").upper()


def _named(cursor: Cursor, name: str) -> FetchItem:
    if name in ("BODY", "BODY.PEEK") and cursor.take(b"["):
        section = _section(cursor)
        cursor.expect(b"]")
        return FetchBody(section, label(section), _partial(cursor), peek=name == "BODY.PEEK")
    if name in ("BINARY", "BINARY.PEEK"):
        return FetchBinary(_part(cursor), _partial(cursor), peek=name == "BINARY.PEEK")
    if name == "BINARY.SIZE":
        return BinarySize(_part(cursor))
    item = _ITEMS.get(name)
    if item is None:
        cursor.refuse(f"{name[:40]} can't be fetched")
    if item is Attribute.PREVIEW and cursor.match(_LAZY):
        return Attribute.PREVIEW_LAZY
    return item


def _part(cursor: Cursor) -> tuple[int, ...]:
    """`[1.2]` or `[]` (RFC 3516 §7, `section-binary`)."""
    cursor.expect(b"[")
    if cursor.take(b"]"):
        return ()
    part = [cursor.number("a part number", 1)]
    while cursor.take(b"."):
        part.append(cursor.number("a part number", 1))
    cursor.expect(b"]")
    return tuple(part)


def _dotted(part: tuple[int, ...]) -> bytes:
    return b".".join(b"%d" % number for number in part)


def _section(cursor: Cursor) -> Section:
    if cursor.sees(b"]"):
        return Section()
    part: list[int] = []
    while cursor.sees_any(b"0123456789"):
        part.append(cursor.number("a part number", 1))
        if not cursor.take(b"."):
            return Section(tuple(part))
    name = _name(cursor, "HEADER, TEXT or MIME" if part else "a part number, HEADER or TEXT")
    text = _SECTION_TEXTS.get(name)
    if text is None or (text == "MIME" and not part):
        cursor.refuse(f"{name[:40]} is no section")
    if not text.startswith("HEADER.FIELDS"):
        return Section(tuple(part), text)
    cursor.space("field names")
    return Section(tuple(part), text, tuple(parenthesised(cursor, _field_name, "a field name")))


def _field_name(cursor: Cursor) -> bytes:
    name = cursor.astring("a field name")
    if _FIELD.fullmatch(name) is None:
        cursor.refuse("a field name has printable US-ASCII only")
    return name


def _partial(cursor: Cursor) -> Partial | None:
    if not cursor.take(b"<"):
        return None
    start = cursor.number("the first octet", 0, NUMBER64_MAX)
    cursor.expect(b".")
    count = cursor.number("how many octets", 1, NUMBER64_MAX)
    cursor.expect(b">")
    return Partial(start, count)


def label(section: Section) -> bytes:
    """The name of a section in a FETCH response (RFC 3501 §7.4.2), field names as they were sent."""
    words = [b"%d" % number for number in section.part]
    if section.text is not None:
        words.append(section.text.encode("ascii"))
    inside = b".".join(words)
    if section.fields:
        inside += b" (%b)" % b" ".join(map(_astring, section.fields))
    return b"BODY[%b]" % inside


def _astring(name: bytes) -> bytes:
    if ASTRING.fullmatch(name):
        return name
    return b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "FETCH": fetch,
    "UID FETCH": lambda cursor: fetch(cursor, uid=True),
}
