"""Sections of a message in a FETCH response: ranges of its bytes, in pieces that the client takes one after another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from twisted_duck.errors import Corruption
from twisted_duck.imap.grammar import FetchBody
from twisted_duck.mime.header import blocks
from twisted_duck.mime.section import filter_header, locate
from twisted_duck.outflow import Outflow

#: Bytes of a header whose fields are gone through between two pauses: a few milliseconds, if fields are short.
_FIELDS_AT_ONCE = 8 * 1024

#: Lets others be served.
Pause = Callable[[], Awaitable[None]]


async def say_section(item: FetchBody, content: Any, pause: Pause) -> AsyncIterator[bytes]:
    """`BODY[section]<origin> {n}` and the bytes; NIL for a section the message does not have."""
    found = locate(content.tree, item.section)
    if found is None:
        yield item.response_name + b" NIL"
        return
    start, stop = found
    text, partial = item.section.text, item.partial
    if text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        header = b"".join([piece async for piece in read(content, start, stop)])
        kept: list[bytes] = []
        for block in blocks(header, _FIELDS_AT_ONCE):
            if kept:
                await pause()
            kept.append(filter_header(block, item.section.fields, text == "HEADER.FIELDS.NOT"))
        header = b"".join(kept)
        if partial is not None:
            header = header[partial.start : partial.start + partial.count]
        yield b"%b {%d}\r\n%b" % (item.response_name, len(header), header)
        return
    if partial is not None:
        start = min(start + partial.start, stop)
        stop = min(start + partial.count, stop)
    yield b"%b {%d}\r\n" % (item.response_name, stop - start)
    async for piece in read(content, start, stop):
        yield piece


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
