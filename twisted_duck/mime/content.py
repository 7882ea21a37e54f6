"""The MIME fields of a header: Content-Type, parameters, Content-Disposition ... (RFC 2045, 2183, 2231).

What is broken is read as far as it can be read; a Content-Type without a type is None and the reader
falls back to the default (RFC 2045 §5.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import field, frozen

from twisted_duck.mime.header import unfold

Parameters = tuple[tuple[bytes, bytes], ...]

_TOKEN = rb'[^\s()<>@,;:\\"/\[\]?=]+'
_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")\s*/\s*(" + _TOKEN + rb")")
_VALUE = re.compile(rb'\s*"?(' + _TOKEN + rb")")
_PARAMETER = re.compile(
    rb';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)|([^;]*+))', re.DOTALL
)
_NEXT = re.compile(rb"(?<=\S)\s++[^\s=]++=")
_PIECE = re.compile(rb"([^*]+)\*(0|[1-9][0-9]{0,8})(\*?)\Z")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_OUTSIDE = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|\\.|[()]', re.DOTALL)
_INSIDE = re.compile(rb"\\.|[()]", re.DOTALL)
_INNER = re.compile(rb'[^\s()<>,;:"=/]')
_TAG = re.compile(rb"(?:\A|,)\s*+([^\s,;]++)")
# Octets by their numbers, as `header._LF`.
_PARENTHESIS, _ASTERISK, _EQUALS, _BACKSLASH = b"(*=\\"
_LONGEST_NAME = 127
"""Characters of a type or subtype name (RFC 6838 §4.2)."""


@frozen
class ContentType:
    """`type` and `subtype` keep the case of the message; parameter continuations are put together."""

    type: bytes
    subtype: bytes
    parameters: Parameters = ()
    #: Type and subtype in lower case.
    kind: tuple[bytes, bytes] = field(init=False, eq=False, repr=False)

    @kind.default
    def _in_lower_case(self) -> tuple[bytes, bytes]:
        return self.type.lower(), self.subtype.lower()

    #: What its first `charset` says.
    charset: bytes | None = field(init=False, eq=False, repr=False)

    @charset.default
    def _named_charset(self) -> bytes | None:
        return self.parameter(b"charset")

    def parameter(self, name: bytes) -> bytes | None:
        """The first parameter called `name` (lower case), None where there is none."""
        for key, value in self.parameters:
            if key.lower() == name:
                return value
        return None


@frozen
class Disposition:
    value: bytes
    parameters: Parameters = ()


def content_type(raw: bytes) -> ContentType | None:
    """RFC 2045 §5.1; None where `raw` does not begin with `type/subtype`."""
    value = _without_comments(raw)
    match = _TYPE.match(value)
    if match is None or len(match[1]) > _LONGEST_NAME or len(match[2]) > _LONGEST_NAME:
        return None
    return ContentType(match[1], match[2], _parameters(value, match.end()))


def disposition(raw: bytes) -> Disposition | None:
    """RFC 2183 §2; None where there is no disposition type."""
    value = _without_comments(raw)
    match = _VALUE.match(value)
    return None if match is None else Disposition(match[1], _parameters(value, match.end()))


def transfer_encoding(raw: bytes) -> bytes | None:
    """RFC 2045 §6.1: the mechanism as written, None where there is none."""
    match = _VALUE.match(_without_comments(raw))
    return None if match is None else match[1]


def languages(raw: bytes) -> tuple[bytes, ...]:
    """RFC 3282 §2: the language tags."""
    return tuple(_TAG.findall(_without_comments(raw)))


def _without_comments(raw: bytes) -> bytes:
    """`raw` unfolded, with each comment (RFC 5322 §3.2.2) replaced by a space.

    Parentheses in the middle of a word are no comment: the word is the name of a file that nobody put in quotes.
    """
    value = unfold(raw)
    if _PARENTHESIS not in value:
        return value
    pieces = []
    place = depth = kept = start = 0
    while match := (_INSIDE if depth else _OUTSIDE).search(value, place):
        place = match.end()
        if match[0] == b"(":
            start = start if depth else match.start()
            depth += 1
        elif match[0] == b")" and depth:
            depth -= 1
            inside = start and _INNER.match(value, start - 1) and _INNER.match(value, place)
            if depth == 0 and not inside:
                pieces.append(value[kept:start])
                kept = place
    # One that is never closed is no comment: what follows it is still to be read.
    pieces.append(value[kept:])
    return b" ".join(pieces).strip()


def _parameters(value: bytes, start: int) -> Parameters:
    found = []
    for match in _PARAMETER.finditer(value, start):
        name, quoted, plain = match.groups()
        if quoted is None:
            # An unquoted value goes on to the semicolon, whatever is in it, unless it is the semicolon that is missing.
            plain = _NEXT.split(plain, 1)[0] if _EQUALS in plain else plain
            found.append((name, plain.strip()))
        else:
            found.append((name, _ESCAPED.sub(rb"\1", quoted) if _BACKSLASH in quoted else quoted))
    if _ASTERISK in value and any(b"*" in name for name, _ in found):
        return tuple(_joined(found))
    return tuple(found)


def _joined(found: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Put parameter value continuations together (RFC 2231 §3, §4.1); IMAP servers should (RFC 2231 §6).

    Pieces count from 0 up to the first that is missing; without a first one they stay as they are. When one of them
    is encoded, the whole is, and its name ends in an asterisk.
    """
    whole: dict[bytes, list[tuple[bytes, bytes]]] = {}
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in found:
        match = _PIECE.match(name)
        if match is None:
            whole.setdefault(name, []).append((name, value))
        else:
            key = match[1]
            whole.setdefault(key + b"*", [])
            pieces.setdefault(key, {}).setdefault(int(match[2]), (value, match[3] == b"*"))
    for name, values in whole.items():
        yield from values
        if name[:-1] in pieces and not values:
            yield from _whole(name[:-1], pieces[name[:-1]])


def _whole(name: bytes, pieces: dict[int, tuple[bytes, bool]]) -> Iterable[tuple[bytes, bytes]]:
    count = 0
    while count in pieces:
        count += 1
    ordered = [pieces[number] for number in range(count)]
    if not ordered:
        for number, (value, encoded) in pieces.items():
            yield b"%b*%d%b" % (name, number, b"*" if encoded else b""), value
    elif not any(encoded for _, encoded in ordered):
        yield name, b"".join(value for value, _ in ordered)
    else:
        start = b"" if ordered[0][1] else b"''"
        yield (
            name + b"*",
            start + b"".join(v if encoded else _percent(v) for v, encoded in ordered),
        )


def _percent(value: bytes) -> bytes:
    return re.sub(rb"[^A-Za-z0-9._-]", lambda match: b"%%%02X" % match[0][0], value)
