"""What a client searches for (RFC 3501 §6.4.4), as a tree of values.

The grammar builds these trees and every store evaluates them. Keys that are only another way to
say something are not here: UNSEEN is `Not(HasFlag("\\\\Seen"))`, NEW is `And((Recent(), ...))`,
FROM is `Header("from", ...)`. Trees are no deeper than the grammar allows, and are walked without
recursion all the same.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias, TypeVar

from attrs import frozen

from twisted_duck.sequence import SequenceSet

T = TypeVar("T")

#: What arrived earlier than any moment can be said to.
_EARLIEST = datetime.datetime.min.replace(tzinfo=datetime.UTC)

DateOperator = Literal["before", "on", "since"]
SizeOperator = Literal["larger", "smaller"]


@frozen
class All:
    """Every message."""


@frozen
class And:
    """Messages that match every one of `keys`; there is at least one."""

    keys: tuple[SearchKey, ...]


@frozen
class Or:
    left: SearchKey
    right: SearchKey


@frozen
class Not:
    key: SearchKey


@frozen
class HasFlag:
    """Messages with this system flag (`\\\\Seen`) or keyword; compared without regard to case."""

    flag: str


@frozen
class Recent:
    """Messages that are `\\\\Recent` in this session, which no store can know by itself."""


@frozen
class SequenceNumbers:
    set: SequenceSet


@frozen
class UIDs:
    """By UID. A store is only ever given sets without `*`: the view knows what that stands for."""

    set: SequenceSet


@frozen
class ModSeq:
    """Messages whose modseq is `least` or more (RFC 7162 §3.1.5)."""

    least: int


@frozen
class InternalDate:
    """By the day of INTERNALDATE, disregarding time and timezone; "before" excludes the day."""

    operator: DateOperator
    day: datetime.date


@frozen
class SaveDate:
    """By the day a message came into the mailbox (RFC 8514 §4.3); by that of INTERNALDATE where the mailbox can't tell."""

    operator: DateOperator
    day: datetime.date


@frozen
class SaveDateSupported:
    """Every message, if the mailbox can tell when they came into it (RFC 8514 §4.3), else none."""


@frozen
class Within:
    """By how long ago INTERNALDATE was, in seconds (RFC 5032), which only a session's clock knows."""

    operator: Literal["older", "younger"]
    seconds: int


@frozen
class Arrived:
    """By the moment of INTERNALDATE, to the second; "until" and "from" include `moment`, which is aware."""

    operator: Literal["until", "from"]
    moment: datetime.datetime


@frozen
class EmailID:
    """Messages of this EMAILID (RFC 8474 §6)."""

    id: str


@frozen
class ThreadID:
    """Messages of this THREADID (RFC 8474 §6)."""

    id: str


@frozen
class SentDate:
    """By the day in the Date: field, disregarding time and timezone."""

    operator: DateOperator
    day: datetime.date


@frozen
class Size:
    """By RFC822.SIZE in octets: strictly larger or strictly smaller."""

    operator: SizeOperator
    octets: int


@frozen
class Header:
    """Messages with a field `name` (lower case) whose decoded text contains `text`.

    With an empty `text`: messages that have such a field at all.
    """

    name: str
    text: str


@frozen
class Body:
    """Messages whose body contains `text`."""

    text: str


@frozen
class Text:
    """Messages whose header or body contains `text`."""

    text: str


SearchKey: TypeAlias = (
    All
    | And
    | Or
    | Not
    | HasFlag
    | Recent
    | SequenceNumbers
    | UIDs
    | ModSeq
    | InternalDate
    | SaveDate
    | SaveDateSupported
    | EmailID
    | ThreadID
    | Within
    | Arrived
    | SentDate
    | Size
    | Header
    | Body
    | Text
)


def children(key: SearchKey) -> tuple[SearchKey, ...]:
    """The keys directly inside `key`."""
    match key:
        case And(keys):
            return keys
        case Or(left, right):
            return (left, right)
        case Not(inner):
            return (inner,)
        case _:
            return ()


def walk(key: SearchKey) -> Iterator[SearchKey]:
    """`key` and every key inside it, outer keys first, in the order they were written."""
    waiting = [key]
    while waiting:
        key = waiting.pop()
        yield key
        waiting.extend(reversed(children(key)))


def fold(key: SearchKey, visit: Callable[[SearchKey, list[T]], T]) -> T:
    """Compute a value for the tree from the inside out.

    `visit(key, results)` is called once a key, with what it answered for the keys directly inside.
    """
    results: list[T] = []
    for each in reversed(list(walk(key))):
        inner = [results.pop() for _ in children(each)]
        results.append(visit(each, inner))
    return results.pop()


def at(key: SearchKey, now: datetime.datetime) -> SearchKey:
    """The same tree without what depends on a clock, which says `now` (aware)."""

    def arrived(leaf: SearchKey) -> SearchKey:
        if not isinstance(leaf, Within):
            return leaf
        try:
            moment = now - datetime.timedelta(seconds=leaf.seconds)
        except OverflowError:
            moment = _EARLIEST
        return Arrived(
            "until" if leaf.operator == "older" else "from", moment.replace(microsecond=0)
        )

    return replace_leaves(key, arrived)


def replace_leaves(key: SearchKey, replace: Callable[[SearchKey], SearchKey]) -> SearchKey:
    """The same tree with each key that holds no other key replaced by what `replace` answers."""

    def visit(key: SearchKey, inner: list[SearchKey]) -> SearchKey:
        match key:
            case And():
                return And(tuple(inner))
            case Or():
                return Or(*inner)
            case Not():
                return Not(*inner)
            case _:
                return replace(key)

    return fold(key, visit)
