"""One pass over a message: where its parts are (RFC 2045, 2046, 5322).

The result is a flat list of parts in the order of the message; a part knows its parent by number and
its place by byte offsets. Nothing is decoded and nothing is copied but headers.

How boundaries are found, and why that is linear: each open multipart remembers where its next delimiter
line is. An inner multipart looks no further than the next delimiter of those around it, since that one ends
it anyway. So each level of nesting reads a byte at most once, whatever the boundaries look like, and a part's
header is only searched up to the next delimiter, which is already known.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from attrs import define, evolve

from twisted_duck.light import light
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.mime.content import ContentType
from twisted_duck.mime.form import Encoding, Form, Kind
from twisted_duck.mime.head import Head, read_head

Data = bytes | mmap.mmap

#: Bytes that a blank line may have behind the line end before it.
_BLANK_REST = 2
#: Bytes that are searched in one call, which holds up all other threads: a map is searched byte by byte, at a millisecond.
_CHUNK = 1 << 20
#: Bytes of a header that are searched for its end at first: most have less.
_FIRST: Final = 1 << 12
_VERSION = 1
_LF = b"\n"[0]


# To find a member in its class takes as long as to call a function, in Python 3.11.
_OTHER, _TEXT, _MESSAGE, _MULTIPART = Kind


@light
class Part:
    """One part: its header is `[start:body]` with the blank line, its body `[body:end]`.

    `end` is before the line end that belongs to the next delimiter (RFC 2046 §5.1.1). `lines` counts the
    line ends of the body of a TEXT or MESSAGE and is 0 for the others. `parent` is the number of the part
    around this one, -1 for the message itself.
    """

    start: int
    body: int
    end: int
    lines: int
    parent: int
    kind: Kind
    encoding: Encoding


@light(slots=False)
class PartTree:
    """The parts of a message, each after the part it is in; number 0 is the message."""

    parts: tuple[Part, ...]

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each part the numbers of the parts directly inside."""
        inside: list[list[int]] = [[] for _ in self.parts]
        for number, part in enumerate(self.parts):
            if part.parent >= 0:
                inside[part.parent].append(number)
        return tuple(map(tuple, inside))

    def leaves(self) -> Iterator[Part]:
        """The parts that have nothing inside, in the order of the message."""
        inside = self.children
        return (part for number, part in enumerate(self.parts) if not inside[number])

    def behind(self, size: int) -> PartTree:
        """Of the message with `size` bytes of header in front of it."""
        top, *inside = self.parts
        return PartTree(
            (
                Part(0, top.body + size, top.end + size, top.lines, -1, top.kind, top.encoding),
                *[
                    Part(
                        part.start + size,
                        part.body + size,
                        part.end + size,
                        part.lines,
                        part.parent,
                        part.kind,
                        part.encoding,
                    )
                    for part in inside
                ],
            )
        )

    def pack(self) -> bytes:
        """A compact form to be stored: a version byte, then numbers of 7 bits a byte, lowest first."""
        numbers = [len(self.parts)]
        last = 0
        for number, part in enumerate(self.parts):
            numbers += (
                part.kind << 2 | part.encoding,
                number - part.parent,
                part.start - last,
                part.body - part.start,
                part.end - part.body,
                part.lines,
            )
            last = part.start
        packed = [_VERSION]
        for value in numbers:
            while value > 0x7F:
                packed.append(value & 0x7F | 0x80)
                value >>= 7
            packed.append(value)
        return bytes(packed)

    @classmethod
    def unpack(cls, packed: bytes) -> PartTree:
        """The tree that `pack` made `packed` of; ValueError where it did not."""
        if packed[:1] != bytes([_VERSION]):
            raise ValueError("not a part tree of this version")
        numbers = _numbers(packed)
        parts: list[Part] = []
        last = 0
        try:
            for number in range(next(numbers)):
                flags, up, start, header, body, lines = (next(numbers) for _ in range(6))
                last += start
                parts.append(
                    Part(
                        last,
                        last + header,
                        last + header + body,
                        lines,
                        number - up,
                        Kind(flags >> 2),
                        Encoding(flags & 3),
                    )
                )
        except (StopIteration, RuntimeError):
            raise ValueError("a part tree that is cut off") from None
        if next(numbers, None) is not None or not parts:
            raise ValueError("a part tree with something after it")
        return cls(tuple(parts))


def header_size(packed: bytes) -> int:
    """Of a packed tree: bytes of the message's header, with its blank line; ValueError where there is none.

    It is the fifth of the numbers; no part is made for it, since every message of a FETCH is asked.
    """
    passed = value = shift = 0
    for byte in memoryview(packed)[1:]:
        if passed == 4:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
        elif byte < 0x80:
            passed += 1
    raise ValueError("a part tree that is cut off")


def _numbers(packed: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in memoryview(packed)[1:]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


@define
class _Open:
    """A part whose end is not known yet."""

    number: int
    #: What its delimiter lines begin with, from the LF before; b"" for what has none (a message, one that is closed).
    delimiter: bytes
    #: Where its next delimiter is, `size` where there is none.
    next: int
    #: Where the next delimiter is of this one and those around it.
    bound: int


@define
class _Draft:
    start: int
    body: int
    end: int
    parent: int
    form: Form


def scan(data: Data, limits: Limits = DEFAULTS) -> PartTree:
    """The part tree of the message `data`. Never fails, and does not decode or copy bodies."""
    return scan_with_heads(data, limits)[0]


def scan_with_heads(data: Data, limits: Limits = DEFAULTS) -> tuple[PartTree, tuple[Head, ...]]:
    """Like `scan`, with what was read of each part's header, so that it need not be read again."""
    size = len(data)
    drafts: list[_Draft] = []
    heads: list[Head] = []
    opened: list[_Open] = []
    start: int | None = 0
    before = 0
    while True:
        bound = opened[-1].bound if opened else size
        if start is not None:
            parent = opened[-1].number if opened else -1
            body = _header_end(data, start, max(start, _content_end(data, bound)))
            in_digest = parent >= 0 and heads[parent].form.is_digest
            head = read_head(data[start:body], limits, before, in_digest)
            before += body - start
            kind, delimiter = head.form.kind, b""
            if head.form.is_open:
                if kind is _MULTIPART:
                    delimiter = _delimiter(head.form.type, limits)
                    kind = _MULTIPART if delimiter else _TEXT
                full = len(opened) >= limits.mime_depth or len(drafts) + 1 >= limits.mime_parts
                if full and kind is not _TEXT:
                    kind = _OTHER
                head = _settled(head, kind)
            elif not opened:
                return PartTree((_part(data, start, body, size, parent, head.form),)), (head,)
            drafts.append(_Draft(start, body, -1, parent, head.form))
            heads.append(head)
            start = None
            if kind is _MESSAGE and head.form.is_open:
                opened.append(_Open(len(drafts) - 1, b"", size, bound))
                start = body
                continue
            if kind is _MULTIPART:
                following = _find(data, delimiter, body - 1, bound, size)
                if following == bound < size:
                    # The line that seemed to end this part is its own: the blank line before is the header's.
                    drafts[-1].body = _header_end(data, drafts[-1].start, bound + 1)
                bound = min(bound, following)
                opened.append(_Open(len(drafts) - 1, delimiter, following, bound))
        if bound >= size or len(drafts) >= limits.mime_parts:
            break
        level = _owner(opened, bound) if len(opened) > 1 else 0
        owner = opened[level]
        end = _content_end(data, bound)
        for one in opened[level + 1 :]:
            _end(drafts[one.number], end)
        if len(drafts) - 1 > owner.number:
            _end(drafts[-1], end)
        del opened[level + 1 :]
        after = bound + len(owner.delimiter)
        line_end = data.find(b"\n", after)
        if line_end < 0:
            line_end = size - 1
        if data[after : after + 2] == b"--":
            owner.delimiter = b""
        elif line_end + 1 < size:
            # What ends with a delimiter line was cut off there: nothing follows that could be a part.
            start = line_end + 1
        _look_on(data, opened, bound, line_end)
    for draft in drafts:
        _end(draft, size)
    parts = [_part(data, one.start, one.body, one.end, one.parent, one.form) for one in drafts]
    return PartTree(tuple(parts)), tuple(heads)


def heads_of(data: Data, tree: PartTree, limits: Limits = DEFAULTS) -> tuple[Head, ...]:
    """What `scan_with_heads` gave beside `tree`, read again."""
    heads: list[Head] = []
    before = 0
    for part in tree.parts:
        in_digest = part.parent >= 0 and heads[part.parent].form.is_digest
        head = read_head(data[part.start : part.body], limits, before, in_digest)
        before += part.body - part.start
        heads.append(_settled(head, part.kind))
    return tuple(heads)


def _settled(head: Head, kind: Kind) -> Head:
    return head if kind is head.form.kind else evolve(head, form=head.form.settled(kind))


def _delimiter(type_: ContentType, limits: Limits) -> bytes:
    boundary = (type_.parameter(b"boundary") or b"").rstrip()
    if not boundary or len(boundary) > limits.mime_boundary or _LF in boundary:
        return b""
    return b"\n--" + boundary


def _header_end(data: Data, start: int, stop: int) -> int:
    """Where the header that begins at `start` ends: after its blank line, or at `stop` where it has none."""
    begin = data[start : min(start + 2, stop)]
    if begin == b"\r\n" or begin[:1] == b"\n":
        return start + begin.index(b"\n") + 1
    at, step = start, min(_FIRST, _CHUNK)
    while at < stop:
        last = min(at + step + _BLANK_REST, stop)
        found = data.find(b"\n\r\n", at, last)
        before = data.find(b"\n\n", at, last if found < 0 else found + 1)
        if before >= 0:
            return before + 2
        if found >= 0:
            return found + 3
        # Of the two only one is there as a rule: the other is searched in twice as much as the header has, whatever follows it.
        at, step = at + step, min(2 * step, _CHUNK)
    return max(start, stop)


def _find(data: Data, delimiter: bytes, start: int, bound: int, size: int) -> int:
    """The first `delimiter` from `start` that begins no later than `bound`; `size` where there is none."""
    at, stop = max(start, 0), min(bound + len(delimiter), size)
    while at < stop:
        found = data.find(delimiter, at, min(at + _CHUNK + len(delimiter) - 1, stop))
        if found >= 0:
            return found
        at += _CHUNK
    return size


def _look_on(data: Data, opened: list[_Open], place: int, start: int) -> None:
    """The delimiter at `place` is used: from `start` on, find the next one of those that looked no further."""
    if len(opened) == 1:
        # As nearly everywhere: it was its own.
        one, size = opened[0], len(data)
        one.next = one.bound = (
            _find(data, one.delimiter, start, size, size) if one.delimiter else size
        )
        return
    around = around_before = size = len(data)
    for one in opened:
        bound_before = one.bound
        if one.next == place or (one.next == size and around_before == place):
            one.next = _find(data, one.delimiter, start, around, size) if one.delimiter else size
        around = one.bound = min(around, one.next)
        around_before = bound_before


def _owner(opened: list[_Open], place: int) -> int:
    """Whose delimiter the line at `place` is: the longest that fits, of equal ones the innermost."""
    best = -1
    for level in range(len(opened) - 1, -1, -1):
        one = opened[level]
        if one.next == place and (best < 0 or len(one.delimiter) > len(opened[best].delimiter)):
            best = level
    return best


def _content_end(data: Data, place: int) -> int:
    """Where what is before the delimiter at `place` ends: before the whole line end. `len(data)` is no delimiter."""
    return place - 1 if place < len(data) and data[place - 1 : place] == b"\r" else place


def _end(draft: _Draft, end: int) -> None:
    """If it has no end yet, it is this one."""
    if draft.end < 0:
        draft.end = max(draft.body, end)


def _part(data: Data, start: int, body: int, end: int, parent: int, form: Form) -> Part:
    kind = form.kind
    lines = 0
    if kind is _TEXT or kind is _MESSAGE:
        for at in range(body, end, _CHUNK):
            lines += data[at : min(at + _CHUNK, end)].count(b"\n")
    return Part(start, body, end, lines, parent, kind, form.encoding)
