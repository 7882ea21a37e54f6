"""A message as a rope: a list of segments that together are exactly its bytes.

A segment is inline bytes, or a reference to a blob: bytes that are kept once, under their SHA-256, for all who have them.
A blob that stands in the message as base64 is kept decoded if encoding it again gives the same bytes, which is looked at,
not hoped for; how it was cut into lines is in the reference.

The header of the message is in segments of its own, so that it can be had alone.

Pure: this module neither reads nor writes a database.  Nothing here copies more than a block of a large message.
"""

from __future__ import annotations

import binascii
import hashlib
import mmap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

import attrs

from twisted_duck.light import light
from twisted_duck.mime.message import Analysis

Data = bytes | mmap.mmap

#: Decoded bytes from which a part is worth being kept apart (and shared with whoever else gets it).
BLOB_FROM: Final = 16 * 1024
#: The same for a part that is not base64: mostly text of this very message.
PLAIN_BLOB_FROM: Final = 64 * 1024
#: Inline bytes of one message: they are in one document, and are read even if a range of them is wanted.
INLINE: Final = 512 * 1024
#: Blobs of one message: each is a few commands when it arrives.
BLOBS: Final = 200
#: Bytes that are looked at, or given out, at a time.
BLOCK: Final = 192 * 1024
#: The longest line of base64 that is understood when there is more than one line.
_LONGEST_LINE: Final = 16 * 1024


@light
class Inline:
    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)


@attrs.frozen
class BlobRef:
    """`length` bytes of the message that are the blob `hash`, of `size` bytes.

    `line` is None where both are the same bytes.  Else the message has it as base64 with `line` characters a line (0:
    all in one) and `end` between the lines, not after the last.
    """

    hash: bytes
    length: int
    size: int
    line: int | None = None
    end: bytes = b""

    def decoded(self, start: int, stop: int) -> tuple[int, int]:
        """The range of the blob that is needed for the bytes `[start, stop)` of the segment."""
        if self.line is None:
            return start, stop
        if start >= stop:
            return 0, 0
        return self._quantum(start) * 3, min(self.size, -(-self._characters(stop - 1, 1) // 4) * 3)

    def _characters(self, at: int, more: int = 0) -> int:
        """How many characters of base64 come before the byte `at`, or, with `more`, before the one after it."""
        if not self.line:
            return at + more
        lines, column = divmod(at, self.line + len(self.end))
        return lines * self.line + min(column + more, self.line)

    def _quantum(self, start: int) -> int:
        return self._characters(start) // 4

    def encoded(self, start: int, stop: int, part: bytes) -> bytes:
        """The bytes `[start, stop)` of the segment; `part` are those that `decoded` asked for."""
        if self.line is None or start >= stop:
            return part
        first = self._quantum(start) * 4
        text = binascii.b2a_base64(part, newline=False)
        if not self.line:
            return text[start - first : stop - first]
        lines, column = divmod(first, self.line)
        if column == 0 and lines and start < lines * (self.line + len(self.end)):
            # It begins inside the line end before.
            lines, column = lines - 1, self.line
        origin = lines * (self.line + len(self.end)) + column
        rest = self.line - column
        pieces = [
            text[:rest],
            *(text[i : i + self.line] for i in range(rest, len(text), self.line)),
        ]
        joined = self.end.join(pieces) + self.end
        return joined[start - origin : stop - origin]


Segment = Inline | BlobRef


@attrs.frozen
class Source:
    """Where in the arriving message the bytes of a blob are."""

    ref: BlobRef
    start: int

    def blocks(self, data: Data) -> Iterator[bytes]:
        """The bytes of the blob, in pieces of bounded size."""
        end = self.start + self.ref.length
        if self.ref.line is None:
            for at in range(self.start, end, BLOCK):
                yield data[at : min(at + BLOCK, end)]
            return
        step, _ = _step(self.ref.line, self.ref.end)
        for at in range(self.start, end, step):
            block = data[at : min(at + step, end)]
            yield binascii.a2b_base64(block.replace(self.ref.end, b"") if self.ref.end else block)


@light
class Rope:
    segments: tuple[Segment, ...]
    #: The blobs among them, each once.
    sources: tuple[Source, ...] = ()

    @property
    def inline(self) -> int:
        return sum([len(s.data) for s in self.segments if isinstance(s, Inline)])

    @property
    def size(self) -> int:
        return sum([s.length for s in self.segments])


def twist(data: Data, analysis: Analysis) -> Rope:
    """Make a rope of the message `data`.  Reads all of it; a large one belongs in a thread."""
    header = analysis.tree.parts[0].body
    if len(data) < BLOB_FROM:
        rest = () if header == len(data) else (Inline(data[header:]),)
        return Rope((Inline(data[:header]), *rest))
    blobs: list[Source] = []
    for leaf in analysis.leaves:
        if len(blobs) == BLOBS:
            break
        if leaf.end - leaf.start < BLOB_FROM:
            continue
        found = _base64(data, leaf.start, leaf.end) if leaf.base64 else None
        if found is not None:
            if found.ref.size >= BLOB_FROM:
                blobs.append(found)
        elif leaf.base64 or leaf.end - leaf.start >= PLAIN_BLOB_FROM:
            blobs.append(_raw(data, leaf.start, leaf.end))
    cuts: list[Source | tuple[int, int]] = [(0, header)]
    at = header
    for blob in blobs:
        if blob.start > at:
            cuts.append((at, blob.start))
        cuts.append(blob)
        at = blob.start + blob.ref.length
    if at < len(data):
        cuts.append((at, len(data)))
    _shrink(data, cuts)
    sources = {c.ref.hash: c for c in cuts if isinstance(c, Source)}
    return Rope(
        tuple(c.ref if isinstance(c, Source) else Inline(data[c[0] : c[1]]) for c in cuts),
        tuple(sources.values()),
    )


def behind(fields: bytes, rope: Rope) -> Rope:
    """The rope of a message with a few bytes of header in front of it: all the rest of both is the same."""
    first, *rest = rope.segments
    if isinstance(first, Inline):
        return Rope((Inline(fields + first.data), *rest), rope.sources)
    return Rope((Inline(fields), first, *rest), rope.sources)


def _shrink(data: Data, cuts: list[Source | tuple[int, int]]) -> None:
    """Make blobs of the largest inline pieces until what is left inline fits."""
    lengths = {n: c[1] - c[0] for n, c in enumerate(cuts) if not isinstance(c, Source)}
    total = sum(lengths.values())
    for number in sorted(lengths, key=lambda n: -lengths[n]):
        if total <= INLINE:
            return
        start, stop = cuts[number]  # type: ignore[misc]
        cuts[number] = _raw(data, start, stop)
        total -= lengths[number]


def _raw(data: Data, start: int, stop: int) -> Source:
    digest = hashlib.sha256()
    for at in range(start, stop, BLOCK):
        digest.update(data[at : min(at + BLOCK, stop)])
    return Source(BlobRef(digest.digest(), stop - start, stop - start), start)


def _step(line: int, end: bytes) -> tuple[int, int]:
    """Of a block of whole lines (or of whole quanta): its bytes in the message, and in the blob."""
    if not line:
        return BLOCK // 4 * 4, BLOCK // 4 * 3
    lines = max(1, BLOCK // (line + len(end)))
    return lines * (line + len(end)), lines * line // 4 * 3


def _base64(data: Data, start: int, stop: int) -> Source | None:
    """What is kept of the base64 at `[start, stop)`, line ends at its end left out; None if it is not canonical."""
    while stop > start and data[stop - 1] in b"\r\n":
        stop -= 1
    newline = data.find(b"\n", start, stop)
    line, end = 0, b""
    if newline >= 0:
        end = b"\r\n" if data[newline - 1 : newline] == b"\r" else b"\n"
        line = newline + 1 - len(end) - start
        if line <= 0 or line % 4 or line > _LONGEST_LINE:
            return None
    step, full = _step(line, end)
    digest = hashlib.sha256()
    size = 0
    for at in range(start, stop, step):
        block = data[at : min(at + step, stop)]
        try:
            part = binascii.a2b_base64(block.replace(end, b"") if end else block)
        except binascii.Error:
            return None
        if BlobRef(b"", 0, len(part), line, end).encoded(0, len(block), part) != block:
            return None
        if len(part) != full and at + step < stop:
            # Padding in the middle: what follows would not be where it is looked for.
            return None
        digest.update(part)
        size += len(part)
    return Source(BlobRef(digest.digest(), stop - start, size, line, end), start)


class Layout:
    """Where the segments of a rope begin."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments
        self._starts = [0, *accumulate(s.length for s in segments)]
        self.size = self._starts.pop()

    def span(self, start: int, stop: int) -> Iterator[tuple[Segment, int, int]]:
        """The segments that the bytes `[start, stop)` are in, each with the range inside it."""
        number = max(bisect_right(self._starts, start) - 1, 0)
        while number < len(self.segments) and self._starts[number] < stop:
            segment, origin = self.segments[number], self._starts[number]
            first, last = max(start - origin, 0), min(stop - origin, segment.length)
            if first < last:
                yield segment, first, last
            number += 1


# --- as documents -----------------------------------------------------------------------------------------------------


def dump(segments: Sequence[Segment]) -> list[Any]:
    """The form that `bodies.rope` has: bytes, or {hash, length, size, line?, end?}."""
    return [
        s.data
        if isinstance(s, Inline)
        else {
            "hash": s.hash,
            "length": s.length,
            "size": s.size,
            **({} if s.line is None else {"line": s.line, "end": s.end}),
        }
        for s in segments
    ]


def load(documents: Sequence[Any]) -> tuple[Segment, ...]:
    return tuple(
        Inline(d)
        if isinstance(d, bytes)
        else BlobRef(d["hash"], d["length"], d["size"], d.get("line"), d.get("end", b""))
        for d in documents
    )
