"""Header fields: where they are, and what they hold (RFC 5322 §2.2).

A header here is the raw bytes from its first line to its blank line, which it includes where there
is one. Lines end in LF, with or without CR before it; a field goes on for as long as lines begin
with a space or a tab. Field names are compared in lower case.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from attrs import frozen

_FIELD = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_FOLD = re.compile(rb"\n[ \t]++")
_FIELD_END = re.compile(rb"\n(?![ \t])")
_BLOCK = 1 << 16
#: Bytes that are searched in one call, which holds up all other threads: two milliseconds.
_PIECE = 1 << 20
# An octet is looked for by its number: for bytes an exception is raised, and caught, inside of Python 3.11.
_CR, _LF = b"\r\n"
#: What a line begins with that belongs to the one before.
_FOLDED = (b" ", b"\t")
#: What stands around a field's name and value and does not belong to them.
SPACE = b" \t\r\n"
_BLANKS = (b"\r\n", b"\n", b"")

Fields = Mapping[bytes, Sequence[bytes]]


@frozen
class Field:
    """One field: `raw[start:end]` is all of it with its line end, `raw[value:end]` what is after the colon.

    `name` is lower case without the white space before the colon; a line without a colon has the name b"" and
    is all value.
    """

    name: bytes
    start: int
    value: int
    end: int


def fields(raw: bytes) -> Iterator[Field]:
    """Each field of the header `raw`, in order; the blank line ends it."""
    for match in _FIELD.finditer(raw):
        start, end = match.span()
        if start == end or raw[start:end] in (b"\n", b"\r\n"):
            return
        colon = raw.find(b":", start, end)
        if colon < 0:
            yield Field(b"", start, start, end)
        else:
            yield Field(raw[start:colon].strip(SPACE).lower(), start, colon + 1, end)


def raw_fields(raw: bytes) -> list[bytes]:
    """The bytes of each field that `fields` gives; this is one search by the regular expression engine."""
    found = _FIELD.findall(raw)
    for blank in _BLANKS:
        if blank in found:
            del found[found.index(blank) :]
    return found


def blocks(raw: bytes, size: int) -> Iterator[bytes]:
    """The header `raw` in pieces of whole fields, each of at least `size` bytes but for the last."""
    place = 0
    while place < len(raw):
        end = _field_end(raw, place + size)
        yield raw[place:end]
        place = end


def pieces(raw: bytes, size: int) -> Iterator[tuple[bytes, bool]]:
    """Like `blocks`, but a long field comes in several pieces; with each, whether a field ends there.

    A piece has at most `size` bytes and 64 KiB, and the one behind a piece that ends no field has nothing but that field.
    """
    place, ends = 0, True
    while place < len(raw):
        start, end = (place + size if ends else place), len(raw)
        ends = start >= end
        while not ends and start < min(place + size + _BLOCK, len(raw)):
            match = _FIELD_END.search(raw, start, place + size + _BLOCK)
            end = len(raw) if match is None else match.end()
            ends = match is not None and raw[end : end + 1] not in _FOLDED
            start = end
        end = end if ends else min(place + size + _BLOCK, len(raw))
        ends = ends or end == len(raw)
        yield raw[place:end], ends
        place = end


def _field_end(raw: bytes, at: int) -> int:
    """Where the first field ends that does not end before `at`."""
    while at < len(raw):
        match = _FIELD_END.search(raw, at, at + _PIECE)
        if match is None:
            at += _PIECE
        elif raw[match.end() : match.end() + 1] in _FOLDED:
            # That was the end of the piece, and not of the field.
            at = match.end()
        else:
            return match.end()
    return len(raw)


def blank_line(raw: bytes) -> bytes:
    """The delimiting blank line at the end of the header `raw`, b"" where there is none."""
    for ending in (b"\r\n", b"\n"):
        if raw == ending or raw.endswith(b"\n" + ending):
            return ending
    return b""


def has_8bit(message: bytes | mmap.mmap) -> bool:
    """Whether the header of a message has bytes in it that are not ASCII."""
    if message[:1] == b"\n" or message[:2] == b"\r\n":
        return False
    end = len(message)
    for blank in (b"\n\r\n", b"\n\n"):
        found = message.find(blank, 0, end)
        end = end if found < 0 else found
    return not all(message[at : min(at + _BLOCK, end)].isascii() for at in range(0, end, _BLOCK))


def selector(names: Iterable[bytes]) -> re.Pattern[bytes]:
    """A pattern for `select` that finds the fields called one of `names`."""
    alternatives = b"|".join(re.escape(name) for name in names)
    return re.compile(
        rb"\n(" + alternatives + rb")[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE
    )


def select(
    raw: bytes, wanted: re.Pattern[bytes], most: int, longest: int
) -> dict[bytes, list[bytes]]:
    """The raw values of the fields that `wanted` (see `selector`) names, by lower-case name, without the last line end.

    At most `most` fields are looked at, and `longest` bytes of each. The regular expression engine goes through many fields at
    a time, and so this costs little however many others there are.
    """
    found: dict[bytes, list[bytes]] = {}
    # The last field of a block may be of any length: with what is enough of it no call takes long.
    enough = _BLOCK + 2 * longest
    matches = (wanted.finditer(b"\n" + block[:enough]) for block in blocks(raw, _BLOCK))
    for match in islice(chain.from_iterable(matches), most):
        name, value = match.groups()
        found.setdefault(name.lower(), []).append(value.rstrip(b"\r")[:longest])
    return found


def unfold(value: bytes) -> bytes:
    """The value without its line ends (RFC 5322 §2.2.3) and without white space around it.

    A CR that ends no line, which may not be in a field (RFC 5322 §2.2), is made a space: clients do not expect it.
    """
    if _LF in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    if _CR in value:
        value = value.replace(b"\r", b" ")
    return value.strip(SPACE)


def unfolded_lines(raw: bytes) -> Iterator[str]:
    """The fields of the header `raw`, each on one line without its line end, each fold made one space; as Latin-1.

    This is done for many fields at a time, which is several times as fast as to go through `fields`.
    """
    for block in blocks(raw, _BLOCK):
        yield from filter(None, b"".join(_without_folds(block)).decode("latin-1").split("\n"))


def _without_folds(block: bytes) -> Iterator[bytes]:
    """Fields with a LF at their ends, in pieces: one call for a field of many megabytes would stop all other threads."""
    place = 0
    while place < len(block):
        end = block.find(b"\n", place + _BLOCK)
        end = len(block) if end < 0 else end - (block[end - 1] == _CR)
        yield _FOLD.sub(b" ", block[place:end].replace(b"\r\n", b"\n"))
        place = end


def first(found: Fields, name: bytes) -> bytes | None:
    """The unfolded value of the first field called `name`, None where there is none."""
    values = found.get(name)
    if not values:
        return None
    return unfold(values[0])
