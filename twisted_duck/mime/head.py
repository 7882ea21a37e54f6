"""One header, gone through once: the fields that somebody wants, and the lines that SEARCH looks at.

What is as short as headers are is cut into lines, and each line is looked at once for both.  A longer one is left to the
regular expression engine, field by field for either purpose, whose calls may be interrupted (`header.select`,
`header.unfolded_lines`); both ways say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from attrs import field

from twisted_duck.light import light
from twisted_duck.limits import Limits
from twisted_duck.mime.form import Form, form
from twisted_duck.mime.header import Fields, select, selector, unfolded_lines
from twisted_duck.mime.words import decode_words

_NAMES: Final = (
    b"date subject from sender reply-to to cc bcc in-reply-to message-id references content-type"
    b" content-transfer-encoding content-id content-description content-disposition content-language"
    b" content-location content-md5"
).split()
#: Fields that ENVELOPE, BODYSTRUCTURE and threads are made of, with those that say how a part is built.
WANTED: Final = selector(_NAMES)
_WANTED: Final = {name.decode("ascii"): name for name in _NAMES}

#: Bytes of a header that is gone through line by line, each of which takes a third of a microsecond.
_SHORT: Final = 1 << 15
#: Headers that are remembered have at most so many bytes, and there are so many of them.
_USUAL: Final = 128
_REMEMBERED: Final = 512
_SHORT_NAME: Final = 32
#: Bytes that a wanted field has at least: `To:` and its line end.
_LEAST: Final = 4
_BLANK_LINES: Final = ("", "\r")
_LINES: Final = 1_000
#: Characters that are gone through in one call.
_CHUNK = 1 << 16
#: Bytes of a field that are decoded in one call.
_LONG_FIELD: Final = 1 << 16
_LINE_ENDS: Final = re.compile(r"[\r\n]+")


@light
class Head:
    """What was read of one part's header: the wanted fields, and what they say it is.

    `lines` are those of `search_lines` together, None where they are not kept: the header is long, or odd, or behind many others.
    """

    fields: Fields
    form: Form
    lines: str | None = field(eq=False)


def read_head(raw: bytes, limits: Limits, before: int = 0, in_digest: bool = False) -> Head:
    """What is wanted of the header `raw` of a part.

    @param before: bytes that the headers before it have in the same message: behind as much as SEARCH looks at nobody asks for
        lines, and those of a message that is all headers would take four times as many bytes as it has
    @param in_digest: whether it is a message where it does not say what it is
    """
    most, longest = limits.mime_fields, limits.mime_field
    size = len(raw)
    is_short = size <= _SHORT and size <= _LEAST * most and size <= longest
    # A NUL no message has that came by a protocol, and a header without an end of its last line was cut off there.
    if is_short and before < limits.mime_search and raw.endswith(b"\n") and 0 not in raw:
        return _short(raw, in_digest) if size > _USUAL else _usual(raw, in_digest)
    return _head(select(raw, WANTED, most, longest), None, in_digest)


def _head(found: Fields, lines: str | None, in_digest: bool) -> Head:
    types = found.get(b"content-type")
    mechanisms = found.get(b"content-transfer-encoding")
    of = form(types[0] if types else None, mechanisms[0] if mechanisms else None, in_digest)
    return Head(found, of, lines)


def _short(raw: bytes, in_digest: bool) -> Head:
    found, lines = _read(raw)
    return _head(found, lines, in_digest)


#: What stands above the text in most parts of mail is read once.
_usual = lru_cache(_REMEMBERED)(_short)


#: What `_named` said of names.
_names: Final[dict[str, tuple[str, bytes | None]]] = {}


def _named(name: str) -> tuple[str, bytes | None]:
    """The name of a field without the white space behind it, and which of the wanted fields it is."""
    shorn = name.rstrip()
    # Other white space than this is part of the name.
    known = shorn, _WANTED.get(shorn.lower()) if shorn == name.rstrip(" \t") else None
    if len(name) <= _SHORT_NAME:
        if len(_names) >= _REMEMBERED:
            _names.clear()
        _names[name] = known
    return known


def _read(raw: bytes) -> tuple[dict[bytes, list[bytes]], str]:
    """The raw values of wanted fields, and the lines for SEARCH."""
    text = raw.decode("latin-1")
    found: dict[bytes, list[bytes]] = {}
    lines: list[str] = []
    is_coded = "=?" in text or not text.isascii()
    text = text.replace("\n ", "\0 ").replace("\n\t", "\0\t")
    is_folded = "\0" in text
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if not colon:
            if line in _BLANK_LINES:
                continue
            name, value = "", line
        shorn, key = _names.get(name) or _named(name)
        if key is not None:
            whole = value.replace("\0", "\n") if is_folded and "\0" in value else value
            this = whole.rstrip("\r").encode("latin-1")
            if key in found:
                found[key].append(this)
            else:
                found[key] = [this]
        if is_folded and "\0" in line:
            shorn, value = _unfolded(name).rstrip(), _unfolded(value)
        if is_coded and ("=?" in line or not line.isascii()):
            value = _decoded(value.removesuffix("\r"))
        lines += (shorn, ":", value.strip(), "\n")
    return found, "".join(lines)


def _unfolded(text: str) -> str:
    """With one space for each place where it goes on in the next line."""
    if "\0" not in text:
        return text
    first, *rest = text.replace("\r\0", "\0").split("\0")
    return " ".join([first, *[piece.lstrip(" \t") for piece in rest]])


def search_lines(raw: bytes) -> Iterator[str]:
    """A line `name:value` for each field of the header `raw`, decoded; each piece holds whole lines, or nothing."""
    lines: list[str] = []
    for line in unfolded_lines(raw):
        name, colon, value = line.partition(":")
        if not colon:
            name, value = "", name
        if "=?" in line or not line.isascii():
            value = _decoded(value)
        lines.append(f"{name.rstrip()}:{value.strip()}\n")
        if len(lines) == _LINES:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _decoded(value: str) -> str:
    """An unfolded value that is read as Latin-1, with its encoded words decoded, on one line."""
    return _one_line("".join(map(decode_words, _cut(value.encode("latin-1")))))


def _cut(value: bytes) -> Iterable[bytes]:
    """A field in pieces of bounded size, cut before white space if there is any: decoded at once, one of many megabytes
    would stop all other threads.  An encoded word has 75 characters (RFC 2047 §2).
    """
    place = 0
    while len(value) - place > _LONG_FIELD:
        end = value.rfind(b" ", place + 1, place + _LONG_FIELD)
        end = place + _LONG_FIELD if end < 0 else end
        yield value[place:end]
        place = end
    yield value[place:]


def _one_line(text: str) -> str:
    """Without the line ends that encoded words can spell; in pieces, as `_cut`."""
    if "\n" not in text and "\r" not in text:
        return text
    pieces: list[str] = []
    place = 0
    while place < len(text):
        end = min(place + _CHUNK, len(text))
        while end < len(text) and text[end] in "\r\n":
            end += 1
        pieces.append(_LINE_ENDS.sub(" ", text[place:end]))
        place = end
    return "".join(pieces)
