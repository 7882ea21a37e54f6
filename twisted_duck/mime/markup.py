"""The lines that a reader of HTML sees, as far as they can be had without laying out a page.

One pass over the text: tags are found by a regular expression that never goes back, and where one is broken the rest of the
text is read by a simpler rule, so that nothing is looked at more often than a few times.  What a style sheet hides is shown.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

_OPENS = re.compile(r"<(?:([!?])|/?[a-zA-Z])")
# A tag, with `>` allowed inside of quotes.
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*+)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""")
#: What is taken for one from where a quote is never closed.
_BROKEN_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)([^>]*+)>")
_SPACE = re.compile(r"[ \t\r\n\f]+")
#: Digits of a number that stands for a character; Unicode needs seven.
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{8}|[xX][0-9a-fA-F]{8})[0-9a-fA-F]*+;?")

#: Elements of which the text is no text, and how each ends (what begins with two certain characters is found soonest).
_UNSEEN: Final = {
    name: re.compile("</" + "".join(f"[{c}{c.upper()}]" for c in name) + r"[\s/>]")
    for name in ("script", "style", "title", "template", "textarea", "iframe", "xml")
}
_LINES: Final = (
    "address article aside blockquote body br caption center dd div dl dt fieldset figure footer form"
    " h1 h2 h3 h4 h5 h6 head header hr html legend li main nav ol p pre section table tbody tfoot thead tr ul"
)
#: Elements that stand on lines of their own.
_BLOCKS: Final = frozenset(_LINES.split())
#: Elements beside which there is a space.
_CELLS: Final = frozenset({"td", "th", "img", "option", "button"})
QUOTE: Final = "> "
"""What a line begins with that is inside a blockquote, however deep."""


def lines(text: str) -> Iterator[str]:
    """The lines of the HTML `text`, white space put together, with blank ones between paragraphs (one or more).

    Lines of quotes begin with `QUOTE`.
    """
    line: list[str] = []
    quoted = 0
    for name, closing, words in _pieces(text):
        if words:
            line.append(words)
        if name in _CELLS:
            line.append(" ")
        elif name in _BLOCKS:
            if shown := _SPACE.sub(" ", "".join(line)).strip():
                yield QUOTE + shown if quoted else shown
            if name != "br":
                yield ""
            line.clear()
            if name == "blockquote":
                quoted = max(0, quoted - 1) if closing else quoted + 1
    if shown := _SPACE.sub(" ", "".join(line)).strip():
        yield QUOTE + shown if quoted else shown


def _pieces(text: str) -> Iterator[tuple[str, bool, str]]:
    """Each tag with the text before it: its name in lower case, whether it closes the element, the text."""
    tag = _TAG
    start = 0
    while opening := _OPENS.search(text, start):
        at = opening.start()
        name, closing = "", False
        if opening[1]:
            end = _end_of_comment(text, at)
        else:
            found = tag.match(text, at)
            if found is None and tag is _TAG:
                tag = _BROKEN_TAG
                found = tag.match(text, at)
            end = -1
            if found is not None:
                name, closing, end = found[2].lower(), bool(found[1]), found.end()
        yield name, closing, _unescaped(text[start:at])
        unseen = None if closing else _UNSEEN.get(name)
        if unseen is not None:
            closes = unseen.search(text, end)
            end = closes.start() if closes else -1
        if end < 0:
            # It goes on beyond what there is of the text.
            return
        start = end
    yield "", False, _unescaped(text[start:])


def _end_of_comment(text: str, at: int) -> int:
    mark = "-->" if text.startswith("<!--", at) else ">"
    end = text.find(mark, at + 2)
    return end if end < 0 else end + len(mark)


def _unescaped(text: str) -> str:
    if "&" not in text:
        return text
    return html.unescape(_LONG_NUMBER.sub("\ufffd", text))
