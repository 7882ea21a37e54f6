"""Whether one message matches one search key: for stores that have the message at hand (RFC 3501 §6.4.4)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import TypeAlias

import attrs

from twisted_duck import search
from twisted_duck.mime.message import Analysis
from twisted_duck.mime.scan import Data
from twisted_duck.mime.text import fold, found, iter_search_header, iter_search_text
from twisted_duck.search import SearchKey


@attrs.frozen
class Facts:
    """What the keys ask of a message."""

    internal_date: datetime
    data: Data
    analysis: Analysis

    def header(self) -> Iterable[str]:
        """The folded `name:value` lines of the header, in pieces of complete lines."""
        searchable = self.analysis.searchable
        if searchable.truncated:
            return iter_search_header(self.data, self.analysis.tree)
        return (searchable.header,)

    def text(self) -> Iterable[str]:
        """The folded text of the body, in pieces."""
        searchable = self.analysis.searchable
        if searchable.truncated:
            return iter_search_text(self.data, self.analysis.tree)
        return (searchable.text,)


Predicate: TypeAlias = Callable[[Facts], bool]

#: How the day of a message compares with the day of a key.
DAYS: dict[search.DateOperator, Callable[[date, date], bool]] = {
    "before": operator.lt,
    "on": operator.eq,
    "since": operator.ge,
}
_SIZES: dict[search.SizeOperator, Callable[[int, int], bool]] = {
    "larger": operator.gt,
    "smaller": operator.lt,
}


def _to_the_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _sent(facts: Facts, compare: Callable[[date, date], bool], day: date) -> bool:
    sent = facts.analysis.sent_date
    return sent is not None and compare(sent, day)


def _header(facts: Facts, name: str, wanted: str) -> bool:
    start = name + ":"
    lines = (line for piece in facts.header() for line in piece.split("\n"))
    return any(wanted in line[len(start) :] for line in lines if line.startswith(start))


def predicate(leaf: SearchKey) -> Predicate:
    """The question `leaf` asks of a message.

    `leaf` is an InternalDate, Arrived, SentDate, Size, Header, Body or Text; of another one no single message can tell
    (TypeError).
    """
    match leaf:
        case search.InternalDate(operator_, day):
            compare = DAYS[operator_]
            return lambda facts: compare(facts.internal_date.date(), day)
        case search.Arrived("until", moment):
            return lambda facts: _to_the_second(facts.internal_date) <= moment
        case search.Arrived("from", moment):
            return lambda facts: _to_the_second(facts.internal_date) >= moment
        case search.SentDate(operator_, day):
            compare_sent = DAYS[operator_]
            return lambda facts: _sent(facts, compare_sent, day)
        case search.Size(operator_, octets):
            compare_size = _SIZES[operator_]
            return lambda facts: compare_size(len(facts.data), octets)
        case search.Header(name, text):
            wanted = fold(text)
            return lambda facts: _header(facts, name, wanted)
        case search.Body(text):
            wanted = fold(text)
            return lambda facts: found(facts.text(), wanted)
        case search.Text(text):
            wanted = fold(text)
            return lambda facts: found(facts.header(), wanted) or found(facts.text(), wanted)
    raise TypeError(f"{type(leaf).__name__} is not a question about one message")
