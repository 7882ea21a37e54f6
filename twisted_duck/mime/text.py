"""Text for SEARCH: decoded, in Unicode, folded so that case does not count (RFC 3501 §6.4.4).

`searchable` makes, at arrival, what most searches need; `iter_search_header` and `iter_search_text` give the
same without a bound, piece by piece, for the few messages that were cut. `found` looks for a string in pieces.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from twisted_duck.collation import decomposed, one
from twisted_duck.light import light
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.mime.content import ContentType
from twisted_duck.mime.decoding import DECODERS, Decoder
from twisted_duck.mime.form import Kind
from twisted_duck.mime.head import Head, search_lines
from twisted_duck.mime.scan import Data, Part, PartTree, heads_of
from twisted_duck.mime.words import (
    MARKED,
    codec,
    guess,
    ordered,
)

#: Bytes, or characters, that are decoded, or folded, in one call.
CHUNK = 1 << 16
_NONE: Final[Mapping[int, str]] = MappingProxyType({})
# To find a member in its class takes as long as to call a function, in Python 3.11.
_TEXT: Final = Kind.TEXT
#: The codecs of most mail, by which what is ASCII is just that; None guesses.
_WITH_ASCII: Final = frozenset({None, "ascii", "utf_8", "latin_1"})
#: Of so many characters one at most is not ASCII where little is.
_FEW: Final = 16
_RUNS: Final = re.compile("[\0-\x7f]++|[^\0-\x7f]++")
_KNOWN = 1 << 16
"""Characters whose folding is remembered; a message with more starts the table anew."""


# --- folding ----------------------------------------------------------------------------------------------------------


class _Folded(dict[int, str]):
    def __missing__(self, point: int) -> str:
        if len(self) >= _KNOWN:
            self.clear()
        folded = _fold_character(chr(point))
        self[point] = folded
        return folded


def _fold_character(character: str) -> str:
    return "".join(one(one(part.title(), part).lower(), part) for part in decomposed(character))


_folded: Final = _Folded()


def fold(text: str) -> str:
    """`text` so that strings which differ in case or composition alone are equal (RFC 5051 §2).

    Each character is mapped to title case and decomposed, by itself: no run of combining marks is ever sorted, so
    the cost is linear. Whatever is equal by RFC 5051 is equal here. What a decomposition brings to light (the letters
    of a ligature) is mapped as well, so that who looks for them finds the ligature, too; all ends in lower case, as the
    names of header fields are.
    """
    if text.isascii():
        return text.lower()
    # In one call, no other thread would have its turn until a field of many megabytes is done.
    return "".join([_fold(text[at : at + CHUNK]) for at in range(0, len(text), CHUNK)])


def _fold(text: str) -> str:
    """Where little is not ASCII, that alone is translated, of which a character takes a hundred times as long."""
    if len(text) - len(text.encode("ascii", "ignore")) > len(text) // _FEW:
        return text.translate(_folded)
    runs = _RUNS.findall(text)
    return "".join([run.lower() if run.isascii() else run.translate(_folded) for run in runs])


def found(pieces: Iterable[str], wanted: str) -> bool:
    """Whether `wanted` (folded) occurs in the text that `pieces` make together."""
    tail = ""
    keep = len(wanted) - 1
    for piece in pieces:
        tail += piece
        if wanted in tail:
            return True
        tail = tail[len(tail) - keep :] if 0 < keep < len(tail) else tail if keep > 0 else ""
    return not wanted


# --- what there is to search ------------------------------------------------------------------------------------------


@light
class Searchable:
    """`header` is one line `name:value` for each field of the message's header, the name in lower case, and then one
    for each field of the headers inside; these begin with a tab, as no name of a field does.
    `text` is the text of its parts. Where `truncated`, one of them was cut at the limit.

    So BODY is found in what people wrote and not in the "text/plain" and "Received: ... with HTTP" around it, as other
    servers read RFC 3501 §6.4.4, and the name of an attachment is found by TEXT.
    """

    header: str
    text: str
    truncated: bool


def searchable(
    data: Data,
    tree: PartTree,
    limits: Limits = DEFAULTS,
    heads: Sequence[Head] | None = None,
    texts: Mapping[int, str] = _NONE,
) -> Searchable:
    """The text of the message for SEARCH, up to `limits.mime_search` characters each of header and body.

    @param texts: whole texts of parts, by their numbers, as far as they are known
    """
    most = limits.mime_search
    header, header_cut = _header(data, tree, heads, most)
    text, text_cut = _up_to(most, iter_search_text(data, tree, limits, heads, texts))
    return Searchable(header, text, header_cut or text_cut)


def _header(
    data: Data, tree: PartTree, heads: Sequence[Head] | None, most: int
) -> tuple[str, bool]:
    lines = [head.lines for head in heads or () if head.lines is not None]
    if len(lines) < len(tree.parts) or sum(map(len, lines)) > CHUNK:
        return _up_to(most, iter_search_header(data, tree, heads))
    header = fold(lines[0] + "".join(map(_inside, lines[1:])))
    return header[:most], len(header) > most


def _up_to(most: int, pieces: Iterable[str]) -> tuple[str, bool]:
    taken: list[str] = []
    length = 0
    for piece in pieces:
        taken.append(piece)
        length += len(piece)
        if length > most:
            return "".join(taken)[:most], True
    return "".join(taken), False


def iter_search_header(
    data: Data, tree: PartTree, heads: Sequence[Head] | None = None
) -> Iterator[str]:
    """The lines of `Searchable.header`, all of them; each piece holds whole lines."""
    for number, part in enumerate(tree.parts):
        lines = None if heads is None else heads[number].lines
        pieces = search_lines(data[part.start : part.body]) if lines is None else (lines,)
        yield from map(fold, map(_inside, pieces) if number else pieces)


def _inside(lines: str) -> str:
    return lines and "\t" + lines[:-1].replace("\n", "\n\t") + "\n"


def iter_search_text(
    data: Data,
    tree: PartTree,
    limits: Limits = DEFAULTS,
    heads: Sequence[Head] | None = None,
    texts: Mapping[int, str] = _NONE,
) -> Iterator[str]:
    """The pieces of `Searchable.text`, all of them, in pieces of bounded size.

    Bodies that are not text are left out, and so is what stands around the parts of a multipart. An embedded message
    that is encoded, and so was not taken apart, is text with its header.
    """
    if heads is None:
        heads = heads_of(data, tree, limits)
    for number, part in enumerate(tree.parts):
        type_ = heads[number].form.type
        if part.kind is _TEXT or (type_.kind[0] == b"message" and not tree.children[number]):
            if number in texts:
                yield fold(texts[number]) + "\n"
            else:
                yield from map(fold, decoded(data, part, type_))
                yield "\n"


def decoded(data: Data, part: Part, type_: ContentType) -> Iterable[str]:
    """The text that is the body of a part of that type, as it is, in pieces of bounded size."""
    charset = type_.charset or b"us-ascii"
    encoded = DECODERS.get(part.encoding)
    if encoded is None and part.end - part.body <= CHUNK and codec(charset) in _WITH_ASCII:
        whole = data[part.body : part.end]
        if whole.isascii():
            return (whole.decode("ascii"),)
    return _in_pieces(data, part, charset, encoded)


def _in_pieces(
    data: Data, part: Part, charset: bytes, encoded: Callable[[], Decoder] | None
) -> Iterator[str]:
    chunks: Iterator[bytes] = (
        data[start : min(start + CHUNK, part.end)] for start in range(part.body, part.end, CHUNK)
    )
    if encoded is not None:
        chunks = _decoded(chunks, encoded())
    decoder = _decoder(charset)
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


# --- decoding piece by piece ------------------------------------------------------------------------------------------


class _Charset(Protocol):
    def decode(self, input: bytes, final: bool = ..., /) -> str: ...


def _decoder(charset: bytes) -> _Charset:
    name = codec(charset)
    if name is None or name == "ascii":
        return _Guess()
    if name in MARKED:
        return _Marked(name)
    return _Known(name)


class _Known:
    def __init__(self, name: str) -> None:
        self._decoder = codecs.getincrementaldecoder(name)("replace")

    def decode(self, input: bytes, final: bool = False, /) -> str:
        try:
            return self._decoder.decode(input, final)
        except UnicodeError:
            # Some decoders of ISO 2022 give up on an escape sequence that is too long, whatever they were told.
            self._decoder.reset()
            return guess(input)


class _Marked:
    """A charset whose byte order the first bytes tell."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._held = b""
        self._decoder: _Known | None = None

    def decode(self, input: bytes, final: bool = False, /) -> str:
        if self._decoder is None:
            input = self._held + input
            if len(input) < 4 and not final:
                self._held = input
                return ""
            self._decoder = _Known(ordered(self._name, input))
        return self._decoder.decode(input, final)


class _Guess:
    """UTF-8 for as long as it is that, then Latin-1: what a text without a usable charset most likely is."""

    def __init__(self) -> None:
        self._decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")()

    def decode(self, input: bytes, final: bool = False, /) -> str:
        held = self._decoder.getstate()[0]
        try:
            return self._decoder.decode(input, final)
        except UnicodeDecodeError:
            self._decoder = codecs.getincrementaldecoder("latin-1")()
            return self._decoder.decode(held + input, final)


def _decoded(chunks: Iterable[bytes], decoder: Decoder) -> Iterator[bytes]:
    for chunk in chunks:
        yield decoder.feed(chunk)
    yield decoder.finish()
