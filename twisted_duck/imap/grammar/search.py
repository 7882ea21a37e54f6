"""SEARCH and UID SEARCH: RFC 3501 §6.4.4, §6.4.8; RFC 7162 §3.1.5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import Factory, define, frozen

from twisted_duck import search as keys
from twisted_duck.errors import BadCharset, TooMany
from twisted_duck.imap.grammar.cursor import NUMBER64_MAX, Cursor
from twisted_duck.imap.grammar.terms import date, keyword, sequence_set
from twisted_duck.search import SearchKey
from twisted_duck.values import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

CHARSETS: Final[dict[str, str]] = {
    "US-ASCII": "ascii",
    "UTF-8": "utf-8",
    **{f"ISO-8859-{n}": f"iso8859-{n}" for n in (*range(1, 12), *range(13, 17))},
    **{f"WINDOWS-{n}": f"cp{n}" for n in range(1250, 1259)},
    "KOI8-R": "koi8_r",
    "KOI8-U": "koi8_u",
    "BIG5": "big5",
    "GB2312": "gb2312",
    "GBK": "gbk",
    "GB18030": "gb18030",
    "EUC-JP": "euc_jp",
    "ISO-2022-JP": "iso2022_jp",
    "SHIFT_JIS": "shift_jis",
    "EUC-KR": "euc_kr",
}
"""The charsets a search may be in, and Python's codec for each. BADCHARSET lists them."""


@frozen
class Search:
    """`key` is the whole search, its strings decoded; `charset` is the one that was named, if any.

    A string that is not US-ASCII where no charset was named is taken for UTF-8.
    """

    key: SearchKey
    charset: str | None = None
    uid: bool = False


def search(cursor: Cursor, *, uid: bool = False) -> Search:
    cursor.space("a search key")
    word = _word(cursor)
    charset = None
    if word == "CHARSET":
        cursor.space("a charset")
        charset = cursor.astring("a charset").decode("ascii", "replace").upper()
        if charset not in CHARSETS:
            raise BadCharset(charset, tuple(CHARSETS))
        cursor.space("a search key")
        word = _word(cursor)
    return Search(_Reader(cursor, CHARSETS[charset or "UTF-8"]).tree(word), charset, uid)


def _word(cursor: Cursor) -> str:
    """The word that a key begins with; empty where it begins with a set or a parenthesis."""
    return "" if cursor.sees_any(b"(*0123456789") else cursor.keyword("a search key")


@define
class _Open:
    """A key that waits for the keys inside it: as many as `wanted`, or as stand in parentheses."""

    close: Callable[[list[SearchKey]], SearchKey]
    wanted: int | None = None
    keys: list[SearchKey] = Factory(list)


def _group(inside: list[SearchKey]) -> SearchKey:
    return inside[0] if len(inside) == 1 else keys.And(tuple(inside))


_COMPOUND: Final[dict[str, tuple[Callable[[list[SearchKey]], SearchKey], int]]] = {
    "NOT": (lambda inside: keys.Not(inside[0]), 1),
    "OR": (lambda inside: keys.Or(inside[0], inside[1]), 2),
}

_SIMPLE: Final[dict[str, SearchKey]] = {
    "ALL": keys.All(),
    "ANSWERED": keys.HasFlag(ANSWERED),
    "DELETED": keys.HasFlag(DELETED),
    "DRAFT": keys.HasFlag(DRAFT),
    "FLAGGED": keys.HasFlag(FLAGGED),
    "SEEN": keys.HasFlag(SEEN),
    "UNANSWERED": keys.Not(keys.HasFlag(ANSWERED)),
    "UNDELETED": keys.Not(keys.HasFlag(DELETED)),
    "UNDRAFT": keys.Not(keys.HasFlag(DRAFT)),
    "UNFLAGGED": keys.Not(keys.HasFlag(FLAGGED)),
    "UNSEEN": keys.Not(keys.HasFlag(SEEN)),
    "RECENT": keys.Recent(),
    "SAVEDATESUPPORTED": keys.SaveDateSupported(),
    "OLD": keys.Not(keys.Recent()),
    "NEW": keys.And((keys.Recent(), keys.Not(keys.HasFlag(SEEN)))),
}


class _Reader:
    """Reads keys within keys without recursion."""

    def __init__(self, cursor: Cursor, codec: str) -> None:
        self.cursor = cursor
        self._codec = codec

    def tree(self, word: str) -> SearchKey:
        """The whole search, up to the end of the command. `word` is what its first key begins with."""
        cursor = self.cursor
        stack = [_Open(_group)]
        count = 0
        while True:
            if opened := self._open(word):
                stack.append(opened)
                if len(stack) > cursor.limits.search_depth:
                    cursor.refuse(f"a search has {cursor.limits.search_depth} levels at most")
                if opened.wanted is not None:
                    cursor.space("a search key")
            else:
                key = self._leaf(word)
                count += 1
                if count > cursor.limits.search_keys:
                    raise TooMany(f"more than {cursor.limits.search_keys} keys in one search")
                while self._completes(stack, key):
                    complete = stack.pop()
                    key = complete.close(complete.keys)
                    if not stack:
                        return key
                cursor.space("a search key" if len(stack) == 1 else "a search key, or ')'")
            word = _word(cursor)

    def _open(self, word: str) -> _Open | None:
        if not word and self.cursor.take(b"("):
            return _Open(_group)
        return _Open(*_COMPOUND[word]) if word in _COMPOUND else None

    def _completes(self, stack: list[_Open], key: SearchKey) -> bool:
        """Put `key` into the innermost open key, and answer whether that is complete now."""
        innermost = stack[-1]
        innermost.keys.append(key)
        if innermost.wanted is not None:
            return len(innermost.keys) == innermost.wanted
        return self.cursor.at_end if len(stack) == 1 else self.cursor.take(b")")

    def _leaf(self, word: str) -> SearchKey:
        if not word:
            return keys.SequenceNumbers(sequence_set(self.cursor))
        simple = _SIMPLE.get(word)
        if simple is not None:
            return simple
        read = _WITH_ARGUMENT.get(word)
        if read is None:
            self.cursor.refuse(f"{word[:40]} is no search key")
        self.cursor.space(f"the argument of {word}")
        return read(self)

    def text(self) -> str:
        """A string in the charset of the search."""
        text = self.cursor.astring("a string to search for")
        try:
            return text.decode(self._codec)
        except UnicodeDecodeError:
            self.cursor.refuse("the string is not in the charset of the search")

    def field(self) -> keys.Header:
        name = self.cursor.astring("a field name").decode("ascii", "replace").lower()
        self.cursor.space("a string to search for")
        return keys.Header(name, self.text())

    def modseq(self) -> keys.ModSeq:
        """RFC 7162 §3.1.5.  There is one modseq a message: those of its metadata items are all the same."""
        if self.cursor.is_string():
            entry = self.cursor.string("the name of an entry").lower()
            if not entry.startswith(b"/flags/") or entry == b"/flags/":
                self.cursor.refuse("that is no name of an entry (/flags/...)")
            self.cursor.space("priv, shared or all")
            if self.cursor.keyword("priv, shared or all") not in ("PRIV", "SHARED", "ALL"):
                self.cursor.refuse("an entry is priv, shared or all")
            self.cursor.space("a modseq")
        return keys.ModSeq(self.cursor.number("a modseq", 0, NUMBER64_MAX))

    def octets(self) -> int:
        return self.cursor.number("a number of octets", 0, NUMBER64_MAX)


def _address(name: str) -> Callable[[_Reader], SearchKey]:
    return lambda reader: keys.Header(name, reader.text())


def _internal(operator: keys.DateOperator) -> Callable[[_Reader], SearchKey]:
    return lambda reader: keys.InternalDate(operator, date(reader.cursor))


def _saved(operator: keys.DateOperator) -> Callable[[_Reader], SearchKey]:
    return lambda reader: keys.SaveDate(operator, date(reader.cursor))


def _sent(operator: keys.DateOperator) -> Callable[[_Reader], SearchKey]:
    return lambda reader: keys.SentDate(operator, date(reader.cursor))


_WITH_ARGUMENT: Final[dict[str, Callable[[_Reader], SearchKey]]] = {
    "BCC": _address("bcc"),
    "CC": _address("cc"),
    "FROM": _address("from"),
    "SUBJECT": _address("subject"),
    "TO": _address("to"),
    "HEADER": _Reader.field,
    "BODY": lambda reader: keys.Body(reader.text()),
    "TEXT": lambda reader: keys.Text(reader.text()),
    "BEFORE": _internal("before"),
    "ON": _internal("on"),
    "SINCE": _internal("since"),
    "SAVEDBEFORE": _saved("before"),
    "SAVEDON": _saved("on"),
    "SAVEDSINCE": _saved("since"),
    "SENTBEFORE": _sent("before"),
    "SENTON": _sent("on"),
    "SENTSINCE": _sent("since"),
    "LARGER": lambda reader: keys.Size("larger", reader.octets()),
    "SMALLER": lambda reader: keys.Size("smaller", reader.octets()),
    "KEYWORD": lambda reader: keys.HasFlag(keyword(reader.cursor)),
    "UNKEYWORD": lambda reader: keys.Not(keys.HasFlag(keyword(reader.cursor))),
    "UID": lambda reader: keys.UIDs(sequence_set(reader.cursor)),
    "MODSEQ": _Reader.modseq,
}

PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "SEARCH": search,
    "UID SEARCH": lambda cursor: search(cursor, uid=True),
}
