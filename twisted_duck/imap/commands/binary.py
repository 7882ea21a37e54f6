"""BINARY and BINARY.SIZE: the content of a part without its transfer encoding (RFC 3516 §4.2, §4.3).

A response begins with the number of octets, so what has to be decoded is decoded twice, unless it is short or its size is
known: once to count, once to send.  Never is more than a piece of it held.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs

from twisted_duck.errors import Corruption, UnknownEncoding
from twisted_duck.imap.commands.sections import Pause, read
from twisted_duck.imap.grammar import BinarySize, FetchBinary
from twisted_duck.interfaces import IDecodedContent
from twisted_duck.mime.decoding import DECODERS, LineEnds
from twisted_duck.mime.form import Encoding
from twisted_duck.mime.scan import PartTree
from twisted_duck.mime.section import Encoded, encoded

#: Octets of a content that are held while they are counted, so that they need not be decoded again.
_HELD = 256 * 1024

#: Octets that are decoded between two pauses: what is all escapes takes a millisecond.
_DECODED_AT_ONCE = 4 * 1024

#: The octets `[first, stop)` of something, in pieces.
Read = Callable[[int, int], AsyncIterator[bytes]]


def check_encoding(tree: PartTree, part: tuple[int, ...]) -> None:
    """Fails with UnknownEncoding where a part can't be decoded; before anything of an answer is sent."""
    found = encoded(tree, part)
    if found is not None and found.encoding is Encoding.OTHER:
        raise UnknownEncoding("a part of the message has an encoding that is not known here")


async def say_binary(item: FetchBinary, content: Any, pause: Pause) -> AsyncIterator[bytes]:
    """`BINARY[part]<origin> {n}` and the octets, or `~{n}` where there is a NUL among them; NIL for no such part."""
    source = _source(content, item.part, pause)
    if source is None:
        yield item.response_name + b" NIL"
        return
    first, stop = 0, None
    if item.partial is not None:
        first, stop = item.partial.start, item.partial.start + item.partial.count
    counted = await _count(source, first, stop)
    mark = b"~" if counted.has_nul else b""
    yield b"%b %b{%d}\r\n" % (item.response_name, mark, counted.size)
    if counted.held is not None:
        for piece in counted.held:
            yield piece
        return
    missing = counted.size
    async for piece in source.read(first, first + counted.size):
        missing -= len(piece)
        yield piece
    if missing:
        raise Corruption("the content of a part is not what it was a moment ago")


async def say_binary_size(item: BinarySize, content: Any, pause: Pause) -> AsyncIterator[bytes]:
    """`BINARY.SIZE[part] n`; 0 for no such part."""
    source = _source(content, item.part, pause)
    size = 0
    if source is not None:
        size = (await _count(source, 0, None, nul=False)).size
    yield b"%b %d" % (item.response_name, size)


@attrs.frozen
class _Source:
    read: Read
    #: None where it takes decoding to know.
    size: int | None
    #: Whether a NUL may be in it: none is in a message as it is stored.
    may_have_nul: bool = True


def _source(content: Any, part: tuple[int, ...], pause: Pause) -> _Source | None:
    found = encoded(content.tree, part)
    if found is None:
        return None
    if found.encoding is Encoding.IDENTITY and not found.lines:
        return _Source(
            lambda first, stop: read(content, found.start + first, found.start + stop),
            found.end - found.start,
            may_have_nul=False,
        )
    if found.encoding is Encoding.BASE64 and IDecodedContent.providedBy(content):
        kept = content.decoded(found.start, found.end)
        if kept is not None:
            return _Source(kept[1], kept[0])
    return _Source(lambda first, stop: _decoded(content, found, first, stop, pause), None)


async def _decoded(
    content: Any, part: Encoded, first: int, stop: int, pause: Pause
) -> AsyncIterator[bytes]:
    """The octets `[first, stop)` of what a part means, as many as there are."""
    steps = [DECODERS[part.encoding]()] if part.encoding in DECODERS else []
    if part.lines:
        steps.append(LineEnds())
    at = 0

    def cut(piece: bytes) -> bytes:
        nonlocal at
        start, at = at, at + len(piece)
        return piece[max(first - start, 0) : max(stop - start, 0)]

    async for read_at_once in read(content, part.start, part.end):
        for start in range(0, len(read_at_once), _DECODED_AT_ONCE):
            piece = read_at_once[start : start + _DECODED_AT_ONCE]
            for step in steps:
                piece = step.feed(piece)
            if wanted := cut(piece):
                yield wanted
            if at >= stop:
                return
            await pause()
    piece = b""
    for step in steps:
        piece = step.feed(piece) + step.finish()
    if wanted := cut(piece):
        yield wanted


@attrs.frozen
class _Counted:
    size: int
    has_nul: bool
    #: The octets, if they are few.
    held: list[bytes] | None


async def _count(source: _Source, first: int, stop: int | None, *, nul: bool = True) -> _Counted:
    """How many octets there are in `[first, stop)`, and whether (unless `nul` is of no interest) one of them is NUL."""
    size = None
    if source.size is not None:
        stop = source.size if stop is None else min(stop, source.size)
        first = min(first, stop)
        size = stop - first
        if not nul or not source.may_have_nul:
            return _Counted(size, False, None)
    held: list[bytes] | None = []
    counted, has_nul = 0, False
    async for piece in source.read(first, 2**63 if stop is None else stop):
        counted += len(piece)
        has_nul = has_nul or b"\0" in piece
        if held is not None:
            held.append(piece)
            if counted > _HELD:
                held = None
        if has_nul and size is not None and held is None:
            return _Counted(size, True, None)
    return _Counted(counted if size is None else size, has_nul, held)
