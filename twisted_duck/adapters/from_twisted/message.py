"""The bytes of a message that provides `IMessageIMAP`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import attrs
from twisted.mail.interfaces import IMessageIMAPFile

from twisted_duck.adapters.from_twisted.calls import call

_BOUNDARY = re.compile(rb'boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_CONTENT_TYPE = b"content-type"
#: Levels of parts that are put together; what lies deeper is taken for a single part.
DEPTH = 100


async def read(message: Any) -> bytes:
    """The whole message: its file if it has one, else put together from its headers and parts."""
    file = IMessageIMAPFile(message, None)
    if file is not None:
        return await _contents(file.open)
    return await _assembled(message)


async def _contents(open_: Any) -> bytes:
    opened = await call(open_)
    return _encoded(await call(opened.read))


def _encoded(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


@attrs.define
class _Open:
    """A multipart whose parts are being read."""

    headers: list[tuple[bytes, bytes]]
    waiting: Iterator[Any]
    parts: list[bytes] = attrs.field(factory=list)


async def _assembled(message: Any) -> bytes:
    """Read the parts one after the other, without recursion."""
    opened: list[_Open] = []
    part = message
    while True:
        headers = await _headers(part)
        if len(opened) < DEPTH and await call(part.isMultipart):
            opened.append(_Open(headers, iter(await call(_parts, part))))
        else:
            whole = _joined(headers, await _contents(part.getBodyFile))
            if not opened:
                return whole
            opened[-1].parts.append(whole)
        while (part := next(opened[-1].waiting, None)) is None:
            whole = _multipart(opened.pop())
            if not opened:
                return whole
            opened[-1].parts.append(whole)


def _parts(message: Any) -> list[Any]:
    found: list[Any] = []
    try:
        while True:
            found.append(message.getSubPart(len(found)))
    except IndexError:
        return found


async def _headers(part: Any) -> list[tuple[bytes, bytes]]:
    headers = await call(part.getHeaders, True)
    return [(_name(name), _value(value)) for name, value in headers.items()]


def _name(name: bytes | str) -> bytes:
    return _encoded(name).title()


def _value(value: bytes | str) -> bytes:
    """With each line after the first indented, since it would otherwise be another field."""
    lines = _encoded(value).splitlines()
    return b"\r\n".join(
        line if number == 0 or line[:1] in (b" ", b"\t") else b" " + line
        for number, line in enumerate(lines)
    )


def _joined(headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in headers]) + b"\r\n" + body


def _multipart(opened: _Open) -> bytes:
    headers = opened.headers
    boundary = None
    for name, value in headers:
        if name.lower() == _CONTENT_TYPE and (match := _BOUNDARY.search(value)):
            boundary = _ESCAPED.sub(rb"\1", match[1]) if match[1] is not None else match[2]
    if not boundary:
        # Made of the parts, so that the message has the same bytes each time it is read.
        boundary = b"=_" + hashlib.sha256(b"".join(opened.parts)).hexdigest()[:32].encode()
        parameter = b'; boundary="%b"' % boundary
        headers = [(n, v + parameter if n.lower() == _CONTENT_TYPE else v) for n, v in headers]
    body = b"".join([b"--%b\r\n%b\r\n" % (boundary, part) for part in opened.parts])
    return _joined(headers, body + b"--%b--\r\n" % boundary)
