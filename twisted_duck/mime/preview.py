"""The beginning of what a message says, for lists of messages: PREVIEW (RFC 8970).

It is taken from the first part that has something to say, plain text or HTML.  What the writer did not write is left out as
long as anything else is there: quotes and the line that introduces them, the signature, lines that are ornaments.  Of
encrypted messages there is none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from attrs import Factory, define

from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.mime import markup
from twisted_duck.mime.content import disposition
from twisted_duck.mime.form import Encoding, Kind
from twisted_duck.mime.head import Head
from twisted_duck.mime.scan import Data, PartTree, heads_of
from twisted_duck.mime.text import CHUNK, decoded

#: Control characters, but for those that are white space; marks of direction, which a cut would leave open; what is
#: never seen.
_UNSEEN = re.compile(
    "[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]+"
)
#: What is nothing by itself: non-joiners and joiners, variation selectors.
_NOTHING = re.compile("[\u200c\u200d\ufe00-\ufe0f]+")
#: A line of one character, or of a few.
_ORNAMENT = re.compile(r"[\s\-=_*~#+.·•–—─━]{3,}+")
#: What programs put before a whole message that follows: -----Original Message-----
_FOLLOWS = re.compile(r"-{4,}+[^-]++-{4,}+")
#: The end of the line, or lines, before a quote: On Monday ... wrote:
_INTRODUCES = re.compile(r"[:：]\s*\Z")
#: Of whom, or of when, they tell.
_FACT = re.compile(r"[@\d]")
#: Lines that such an introduction has at most, and characters that it has.
_LINES_BEFORE: Final = 3
_BEFORE: Final = 400
#: Characters, whatever anybody configures (RFC 8970 §3.3).
_LONGEST: Final = 256
#: Of these, what line ends take as a rule.
_LINE_ENDS: Final = 40
_CONTROLS: Final = bytes([*range(32), 127])
#: Of a text, those that make a preview as a rule.
_FIRST: Final = 1_000
# To find a member in its class takes as long as to call a function, in Python 3.11.
_TEXT, _OTHER = Kind.TEXT, Encoding.OTHER
_PGP_MESSAGE: Final = "-----BEGIN PGP MESSAGE-----"
_PGP_SIGNED: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_PGP_SIGNATURE: Final = "-----BEGIN PGP SIGNATURE-----"


def preview(
    data: Data,
    tree: PartTree,
    limits: Limits = DEFAULTS,
    heads: Sequence[Head] | None = None,
    texts: dict[int, str] | None = None,
) -> str:
    """At most `limits.preview` characters on one line, without control characters; empty where there is nothing to show.

    Of the text of a part the first `limits.preview_text` characters are read, of some parts at most.

    @param texts: where the whole texts of short parts are kept, by their numbers: SEARCH looks at them as well
    """
    if heads is None:
        heads = heads_of(data, tree, limits)
    most = min(limits.preview, _LONGEST)
    left = limits.preview_parts
    for number, part in enumerate(tree.parts):
        if part.kind is not _TEXT or part.encoding is _OTHER:
            continue
        head = heads[number]
        subtype = head.form.type.kind[1]
        if subtype not in (b"plain", b"html") or _is_attached(head):
            continue
        pieces = decoded(data, part, head.form.type)
        if texts is not None and part.end - part.body <= CHUNK:
            texts[number] = text = "".join(pieces)
            text = text[: limits.preview_text]
        else:
            text = _start(pieces, limits.preview_text)
        shown = _words(text, most) if subtype == b"plain" else None
        if shown is None:
            shown = _told(markup.lines(text) if subtype == b"html" else _lines(text), most)
        if shown:
            return shown
        left -= 1
        if not left:
            break
    return ""


def _words(text: str, most: int) -> str | None:
    """What `_told` makes of `_lines`, where the first lines are words, and nothing of what it looks for; else None."""
    enough = most + _BEFORE
    cut = text.find("\n", enough + _LINE_ENDS) + 1 or len(text)
    lines = list(filter(None, text[:cut].splitlines()))
    words = " ".join(lines)
    if (cut < len(text) and len(words) < enough) or not words.isascii() or "  " in words:
        return None
    # A line that begins with a letter or a digit is no mark, and a space at its end would be the second one.
    if not "".join([line[0] for line in lines]).isalnum():
        return None
    shown = words.encode()
    return None if shown.translate(None, _CONTROLS) != shown else _cut(words.rstrip(), most)


def _lines(text: str) -> Iterator[str]:
    """The lines of `text`.  Those behind the first ones are cut when they are asked for."""
    cut = text.find("\n", _FIRST) + 1
    return chain.from_iterable(map(str.splitlines, (text[:cut], text[cut:])))


def _is_attached(head: Head) -> bool:
    values = head.fields.get(b"content-disposition")
    found = disposition(values[0]) if values else None
    return found is not None and found.value.lower() == b"attachment"


def _start(pieces: Iterable[str], most: int) -> str:
    taken: list[str] = []
    length = 0
    for piece in pieces:
        taken.append(piece)
        length += len(piece)
        if length >= most:
            break
    return "".join(taken)[:most]


@define
class _Lines:
    """Lines that were kept, until they are enough."""

    enough: int
    kept: list[str] = Factory(list)
    #: How many of them there were when the last paragraph began, and the one before.
    paragraph: int = 0
    before: int = 0
    length: int = 0

    def keep(self, line: str) -> None:
        if self.length < self.enough:
            self.kept.append(line)
            self.length += len(line) + 1

    def end_paragraph(self) -> None:
        if len(self.kept) > self.paragraph:
            self.before, self.paragraph = self.paragraph, len(self.kept)

    def drop_introduction(self) -> None:
        """What is before a quote says whose it is, if it looks like that."""
        last = self.kept[self.paragraph :] or self.kept[self.before :]
        words = " ".join(last)
        if 0 < len(last) <= _LINES_BEFORE and _INTRODUCES.search(words) and _FACT.search(words):
            del self.kept[-len(last) :]
            self.length -= len(words) + 1


def _told(lines: Iterator[str], most: int) -> str:
    own, others = _Lines(most + _BEFORE), _Lines(most)
    kept = own.kept
    in_armor = is_over = False
    for line in lines:
        if line.isascii() and line.isprintable() and "  " not in line:
            shown = line.strip()
        else:
            shown = _visible(line)
        if not shown:
            own.end_paragraph()
            in_armor = False
        elif shown[0].isalnum() and not in_armor and not is_over:
            # None of the marks below begins like that.
            kept.append(shown)
            own.length += len(shown) + 1
        elif in_armor or _ORNAMENT.fullmatch(shown):
            continue
        elif shown == "--" or shown in (_PGP_MESSAGE, _PGP_SIGNATURE):
            break
        elif shown == _PGP_SIGNED:
            in_armor = True
        elif shown.startswith(">") or is_over:
            if not others.kept:
                own.drop_introduction()
            others.keep(shown.lstrip("> "))
        elif _FOLLOWS.fullmatch(shown):
            is_over = True
        else:
            own.keep(shown)
        if own.length >= own.enough:
            break
    words = " ".join(kept) or " ".join(others.kept)
    words = _cut(words, most)
    return words if words.isascii() else words.encode("utf-8", "replace").decode()


def _visible(line: str) -> str:
    """The words of a line, with a space between two of them."""
    if line.isascii() and line.isprintable():
        return " ".join(line.split())
    words = _UNSEEN.sub("", line).split()
    return " ".join(word for word in words if _NOTHING.sub("", word))


def _cut(text: str, most: int) -> str:
    """The beginning of `text`, ended between two words if there are any, and not between what makes one character."""
    if len(text) <= most:
        return text
    end = text.rfind(" ", most * 3 // 4, most + 1)
    if end < 0:
        end = most
        while end > 1 and (unicodedata.combining(text[end]) or _NOTHING.match(text, end)):
            end -= 1
    return text[:end].rstrip()
