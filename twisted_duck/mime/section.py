"""Sections of a message as IMAP names them (RFC 3501 §6.4.5, `section-spec`)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from attrs import frozen

from twisted_duck.mime.form import Encoding, Kind
from twisted_duck.mime.header import SPACE, blank_line, raw_fields
from twisted_duck.mime.scan import PartTree

SectionText = Literal["HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]


@frozen
class Section:
    """What stands between the brackets of `BODY[...]`.

    `part` is the part number (`2.1` is `(2, 1)`, the whole message `()`), `text` the specifier after
    it, `fields` the field names of HEADER.FIELDS and HEADER.FIELDS.NOT as the client sent them.
    """

    part: tuple[int, ...] = ()
    text: SectionText | None = None
    fields: tuple[bytes, ...] = ()


def locate(tree: PartTree, section: Section) -> tuple[int, int] | None:
    """The bytes of the message that `section` names, as (start, end); None where there is no such section.

    For HEADER.FIELDS and HEADER.FIELDS.NOT this is the header, which `filter_header` then cuts down.
    """
    number = _part_number(tree, section.part)
    if number is None:
        return None
    part = tree.parts[number]
    if not section.part:
        return of_message(section.text, part.body, part.end)
    if section.text is None:
        return part.body, part.end
    if section.text == "MIME":
        return part.start, part.body
    inside = tree.children[number]
    if part.kind is not Kind.MESSAGE or not inside:
        return None
    part = tree.parts[inside[0]]
    return (part.body, part.end) if section.text == "TEXT" else (part.start, part.body)


def of_message(text: SectionText | None, header: int, size: int) -> tuple[int, int] | None:
    """What `locate` says of a section without a part number; only the sizes of message and header have to be known."""
    if text is None:
        return 0, size
    if text == "MIME":
        return None
    return (header, size) if text == "TEXT" else (0, header)


@frozen
class Encoded:
    """Where the body of a part is, and how it is encoded; `lines` where it is text, cut into lines."""

    start: int
    end: int
    encoding: Encoding
    lines: bool


def encoded(tree: PartTree, path: tuple[int, ...]) -> Encoded | None:
    """The part of which BINARY tells the content (RFC 3516 §4.2); None where there is no such part.

    What has parts inside, the message itself among it, is given as it is: its encoding is that of its parts.
    """
    if not path:
        whole = tree.parts[0]
        return Encoded(whole.start, whole.end, Encoding.IDENTITY, lines=False)
    number = _part_number(tree, path)
    if number is None:
        return None
    part = tree.parts[number]
    is_leaf = part.kind is not Kind.MULTIPART and not tree.children[number]
    encoding = part.encoding if is_leaf else Encoding.IDENTITY
    # Octets that were put into base64 are meant as they are; in other encodings a line end is a line end.
    lines = part.kind is Kind.TEXT and encoding is not Encoding.BASE64
    return Encoded(part.body, part.end, encoding, lines)


def _part_number(tree: PartTree, path: tuple[int, ...]) -> int | None:
    """Which part of the tree the part number `path` names (RFC 3501 §6.4.5, "part specifiers").

    A number counts the parts of a multipart. A message that is not multipart has one part, which is its body; a
    message inside a message/rfc822 part is passed through without a number of its own.
    """
    number, is_message = 0, True
    for wanted in path:
        inside = tree.children[number]
        if tree.parts[number].kind is Kind.MESSAGE and not is_message:
            if not inside:
                return None
            number, is_message = inside[0], True
            inside = tree.children[number]
        if tree.parts[number].kind is Kind.MULTIPART:
            if not 1 <= wanted <= len(inside):
                return None
            number = inside[wanted - 1]
        elif not is_message or wanted != 1:
            return None
        is_message = False
    return number


def filter_header(header: bytes, names: tuple[bytes, ...], negate: bool) -> bytes:
    """The fields of `header` called one of `names` (or, negated, the others), byte for byte.

    The delimiting blank line is kept where there is one (RFC 3501 §6.4.5).
    """
    chosen = _compared(names)
    is_plain = header.endswith(b"\n") and not header.startswith((b" ", b"\t"))
    if is_plain and not negate and 0 < len(chosen) <= _SEARCHED:
        found = b"".join(_search(chosen).findall(b"\n" + header))
        kept = [found[1:], b"\n"] if found else []
    else:
        kept = [
            one
            for one in raw_fields(header)
            # What has no colon has no name.
            if (one[: max(one.find(b":"), 0)].strip(SPACE).lower() in chosen) is not negate
        ]
    return b"".join(kept) + blank_line(header)


#: So many names are looked for in one search by the regular expression engine, which is six times as fast as to go through
#: the fields.
_SEARCHED = 32
#: What may stand around a field's name, white space and folds (see `header.fields`).
_AROUND = rb"(?:[ \t\r]|\n[ \t])*+"


@lru_cache(maxsize=64)
def _search(names: frozenset[bytes]) -> re.Pattern[bytes]:
    """Finds the fields that have these names in a header behind a line end, without their last line end."""
    alternatives = b"|".join(map(re.escape, sorted(names)))
    # Most lines are passed over by their first octet, in half the time: one of a name's, or of what may stand around it.
    first = b"".join(sorted({re.escape(name[:1]) for name in names})) + rb"\r\n"
    return re.compile(
        rb"\n(?=[%b])%b(?:%b)%b:[^\n]*+(?:\n[ \t][^\n]*+)*+"
        % (first, _AROUND, alternatives, _AROUND),
        re.IGNORECASE,
    )


@lru_cache(maxsize=64)
def _compared(names: tuple[bytes, ...]) -> frozenset[bytes]:
    """As they are compared; a name that is empty or has a colon is no field's."""
    return frozenset(name.strip().lower() for name in names if b":" not in name) - {b""}
