"""SEARCH, SORT and THREAD: RFC 3501 §6.4.4, §6.4.8; RFC 4731; RFC 5182; RFC 5256; RFC 5267 §3; RFC 7162 §3.1.5; RFC 9394."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from attrs import Factory, define, frozen

from twisted_duck import search as keys
from twisted_duck.errors import BadCharset, BadSyntax, ClientError, TooMany
from twisted_duck.imap.grammar.cursor import NUMBER64_MAX, Cursor
from twisted_duck.imap.grammar.terms import (
    Page,
    date,
    keyword,
    parenthesised,
    partial,
    sequence_set,
)
from twisted_duck.search import SearchKey
from twisted_duck.values import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

T = TypeVar("T")

_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}(?![A-Za-z0-9_-])")

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


SORT_KEYS: Final = frozenset(
    ("ARRIVAL", "CC", "DATE", "DISPLAYFROM", "DISPLAYTO", "FROM", "SIZE", "SUBJECT", "TO")
)
"""RFC 5256 §5, RFC 5957 §5."""

ALGORITHMS: Final = frozenset(("ORDEREDSUBJECT", "REFERENCES"))
"""RFC 5256 §3."""


@frozen
class Returns:
    """RETURN (...): what is to be told of the messages found (RFC 4731 §3.1, RFC 5182, RFC 9394 §3.1)."""

    least: bool = False
    greatest: bool = False
    all: bool = False
    count: bool = False
    save: bool = False
    partial: Page | None = None

    @property
    def tells(self) -> bool:
        """Whether there is an answer at all."""
        return bool(self.least or self.greatest or self.all or self.count or self.partial)


@frozen
class Search:
    """`key` is the whole search, its strings decoded; `charset` is the one that was named, if any.

    A string that is not US-ASCII where no charset was named is taken for UTF-8.
    """

    key: SearchKey
    charset: str | None = None
    uid: bool = False
    returns: Returns | None = None


@frozen
class Criterion:
    """One of `SORT_KEYS`."""

    name: str
    reverse: bool = False


@frozen
class Sort:
    """SORT and UID SORT (RFC 5256 §3), with RETURN (RFC 5267 §3)."""

    criteria: tuple[Criterion, ...]
    key: SearchKey
    charset: str
    uid: bool = False
    returns: Returns | None = None


@frozen
class Thread:
    """THREAD and UID THREAD (RFC 5256 §3); `algorithm` is one of `ALGORITHMS`."""

    algorithm: str
    key: SearchKey
    charset: str
    uid: bool = False


@frozen
class Unsearchable:
    """A search that was to be saved and is refused for `error`: what was saved before is gone, too (RFC 5182 §2.1)."""

    error: ClientError


def search(cursor: Cursor, *, uid: bool = False) -> Search | Unsearchable:
    cursor.space("a search key")
    word = _word(cursor)
    returns = None
    if word == "RETURN":
        returns = _returns(cursor)
        cursor.space("a search key")
        word = _word(cursor)

    def read() -> Search:
        if word != "CHARSET":
            return Search(_Reader(cursor, CHARSETS["UTF-8"]).tree(word), None, uid, returns)
        cursor.space("a charset")
        charset = cursor.astring("a charset").decode("ascii", "replace").upper()
        return Search(_tree(cursor, charset), charset, uid, returns)

    return _saving(cursor, returns, read)


def sort(cursor: Cursor, *, uid: bool = False) -> Sort | Unsearchable:
    cursor.space("sort criteria")
    returns = None
    if not cursor.sees(b"("):
        if cursor.keyword("sort criteria, or RETURN") != "RETURN":
            cursor.refuse("sort criteria stand in parentheses")
        returns = _returns(cursor)
        cursor.space("sort criteria")

    def read() -> Sort:
        criteria = parenthesised(cursor, _criterion, "a sort criterion")
        if len(criteria) > cursor.limits.sort_criteria:
            raise TooMany(f"more than {cursor.limits.sort_criteria} criteria to sort by")
        charset = _charset(cursor)
        return Sort(tuple(criteria), _tree(cursor, charset), charset, uid, returns)

    return _saving(cursor, returns, read)


def thread(cursor: Cursor, *, uid: bool = False) -> Thread:
    cursor.space("a threading algorithm")
    algorithm = cursor.keyword("a threading algorithm")
    if algorithm not in ALGORITHMS:
        cursor.refuse(f"{algorithm[:40]} is no threading algorithm that is known here")
    charset = _charset(cursor)
    return Thread(algorithm, _tree(cursor, charset), charset, uid)


def _saving(cursor: Cursor, returns: Returns | None, read: Callable[[], T]) -> T | Unsearchable:
    """What `read` answers.  Where it can't be had, and was to be saved, that has consequences for a session."""
    try:
        return read()
    except BadSyntax:
        raise
    except ClientError as error:
        if returns is None or not returns.save:
            raise
        cursor.give_up()
        return Unsearchable(error)


def _criterion(cursor: Cursor) -> Criterion:
    name = cursor.keyword("a sort criterion")
    reverse = name == "REVERSE"
    if reverse:
        cursor.space("a sort criterion")
        name = cursor.keyword("a sort criterion")
    if name not in SORT_KEYS:
        cursor.refuse(f"{name[:40]} is no sort criterion")
    return Criterion(name, reverse)


def _charset(cursor: Cursor) -> str:
    cursor.space("a charset")
    return cursor.astring("a charset").decode("ascii", "replace").upper()


def _tree(cursor: Cursor, charset: str) -> SearchKey:
    if charset not in CHARSETS:
        raise BadCharset(charset, tuple(CHARSETS))
    cursor.space("a search key")
    return _Reader(cursor, CHARSETS[charset]).tree(_word(cursor))


#: Each option of RETURN: the field of `Returns`, and what reads its argument.
_RETURNS: Final[dict[str, tuple[str, Callable[[Cursor], object]]]] = {
    "MIN": ("least", lambda cursor: True),
    "MAX": ("greatest", lambda cursor: True),
    "ALL": ("all", lambda cursor: True),
    "COUNT": ("count", lambda cursor: True),
    "SAVE": ("save", lambda cursor: True),
    "PARTIAL": ("partial", partial),
}


def _returns(cursor: Cursor) -> Returns:
    """` (MIN MAX ...)`: nothing in it says ALL (RFC 4731 §3.1)."""
    cursor.space("options in parentheses")
    given: dict[str, Any] = {}

    def one(cursor: Cursor) -> None:
        name = cursor.keyword("what to return")
        if name not in _RETURNS:
            cursor.refuse(f"{name[:40]} can't be returned")
        field, read = _RETURNS[name]
        if field == "partial" and field in given:
            cursor.refuse("PARTIAL stands there twice")
        given[field] = read(cursor)

    if not cursor.take(b"()"):
        parenthesised(cursor, one, "what to return")
    if "all" in given and "partial" in given:
        cursor.refuse("ALL and PARTIAL exclude each other")
    return Returns(**given) if given else Returns(all=True)


def _word(cursor: Cursor) -> str:
    """The word that a key begins with; empty where it begins with a set or a parenthesis."""
    return "" if cursor.sees_any(b"($*0123456789") else cursor.keyword("a search key")


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

    def interval(self) -> int:
        """RFC 5032 §3."""
        return self.cursor.number("a number of seconds", 1)

    def object_id(self) -> str:
        """RFC 8474 §7."""
        found = self.cursor.match(_OBJECT_ID)
        if found is None:
            self.cursor.fail("an object identifier")
        return found[0].decode("ascii")

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
    "EMAILID": lambda reader: keys.EmailID(reader.object_id()),
    "THREADID": lambda reader: keys.ThreadID(reader.object_id()),
    "OLDER": lambda reader: keys.Within("older", reader.interval()),
    "YOUNGER": lambda reader: keys.Within("younger", reader.interval()),
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
    "SORT": sort,
    "UID SORT": lambda cursor: sort(cursor, uid=True),
    "THREAD": thread,
    "UID THREAD": lambda cursor: thread(cursor, uid=True),
}
