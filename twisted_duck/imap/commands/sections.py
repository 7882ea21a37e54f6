"""Sections of a message in a FETCH response: ranges of its bytes, in pieces that the client takes one after another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from twisted_duck.errors import Corruption
from twisted_duck.imap.grammar import FetchBody
from twisted_duck.mime.header import pieces
from twisted_duck.mime.section import filter_header, locate, of_message
from twisted_duck.outflow import Outflow

#: Bytes of a header whose fields are gone through between two pauses: a few milliseconds, if fields are short.
_FIELDS_AT_ONCE = 8 * 1024

#: The same of the header of a part, while others are not told how long that is.
_FIELDS_OF_PART = 1024

#: At the end of what was cut in the middle of a field: this is of that field, and no message has a NUL.
_GOES_ON = b" \0"

#: Lets others be served.
Pause = Callable[[], Awaitable[None]]


def of_header(item: FetchBody) -> bool:
    """Whether nothing behind the header of the message is asked for."""
    return not item.section.part and (item.filters or item.section.text == "HEADER")


def say_at_hand(item: FetchBody, content: Any) -> bytes | None:
    """What `say_section` says, in one piece, where that is short and need not be waited for."""
    found = _locate(item, content)
    if found is None:
        return item.response_name + b" NIL"
    start, stop = found
    most = Outflow.PIECE
    if item.filters:
        most = _FIELDS_OF_PART if item.section.part else _FIELDS_AT_ONCE
    if stop - start > most:
        return None
    data: bytes | None = content.peek(start, stop)
    if data is None:
        return None
    if item.filters:
        data = _slice(item, _filtered(item, data))
    return b"%b {%d}\r\n%b" % (item.response_name, len(data), data)


async def say_section(item: FetchBody, content: Any, pause: Pause) -> AsyncIterator[bytes]:
    """`BODY[section]<origin> {n}` and the bytes; NIL for a section the message does not have."""
    found = _locate(item, content)
    if found is None:
        yield item.response_name + b" NIL"
        return
    start, stop = found
    if item.filters:
        header = b"".join([piece async for piece in read(content, start, stop)])
        kept: list[bytes] = []
        keeps: bool | None = None
        for piece, ends in pieces(header, _FIELDS_AT_ONCE):
            if kept:
                await pause()
            if keeps is None:
                chosen = _filtered(item, piece if ends else piece + _GOES_ON)
                keeps = chosen.endswith(_GOES_ON)
                kept.append(chosen.removesuffix(_GOES_ON))
            elif keeps:
                kept.append(piece)
            keeps = None if ends else keeps
        header = _slice(item, b"".join(kept))
        yield b"%b {%d}\r\n%b" % (item.response_name, len(header), header)
        return
    yield b"%b {%d}\r\n" % (item.response_name, stop - start)
    async for piece in read(content, start, stop):
        yield piece


def _locate(item: FetchBody, content: Any) -> tuple[int, int] | None:
    """The bytes of the message that are asked for; where fields are chosen among them, all of the header."""
    section, partial = item.section, item.partial
    if section.part:
        found = locate(content.tree, section)
    else:
        found = of_message(section.text, content.header, content.size)
    if found is None or partial is None or item.filters:
        return found
    start = min(found[0] + partial.start, found[1])
    return start, min(start + partial.count, found[1])


def _filtered(item: FetchBody, header: bytes) -> bytes:
    section = item.section
    return filter_header(header, section.fields, section.text == "HEADER.FIELDS.NOT")


def _slice(item: FetchBody, data: bytes) -> bytes:
    """The slice of chosen fields that was asked for."""
    if item.partial is None:
        return data
    return data[item.partial.start : item.partial.start + item.partial.count]


async def read(content: Any, start: int, stop: int) -> AsyncIterator[bytes]:
    """Exactly the bytes `[start, stop)`, in pieces."""
    at_hand = content.peek(start, stop)
    if at_hand is not None:
        for at in range(0, stop - start, Outflow.PIECE):
            yield at_hand[at : at + Outflow.PIECE]
        return
    missing = stop - start
    async for chunk in content.chunks(start, stop):
        missing -= len(chunk)
        if missing < 0:
            break
        yield chunk
    if missing:
        raise Corruption("a message is not as long as it was when it arrived")
