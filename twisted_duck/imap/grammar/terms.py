"""What several commands have in common: mailboxes, message sets, flags, dates, lists."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, TypeVar

from attrs import frozen

from twisted_duck.errors import TooMany
from twisted_duck.imap import utf7
from twisted_duck.imap.grammar.cursor import LIST_MAILBOX, NUMBER64_MAX, NUMBER_MAX, Cursor
from twisted_duck.names import canonical
from twisted_duck.sequence import SAVED, STAR, SequenceSet
from twisted_duck.values import SYSTEM_FLAGS, Flags, UIDSet

T = TypeVar("T")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb'"( [0-9]|[0-9]{2})-([A-Za-z]{3})-([0-9]{4})'
    rb' ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
#: Moments that are remembered: of one command with as many messages as there may be.
_REMEMBERED: Final = 128
#: Message numbers, a comma behind each, that are certainly none too large.
_NUMBERS: Final = re.compile(rb"(?:[1-9][0-9]{0,8},)+")
_SYSTEM_FLAGS = {flag.lower(): flag for flag in SYSTEM_FLAGS}


@frozen
class Page:
    """Some of a list of results (RFC 9394 §3.1): places from 1, both included, as they were sent.

    `from_end`: places are counted from the last result to the first.
    """

    first: int
    last: int
    from_end: bool = False

    def of(self, results: Sequence[int]) -> Sequence[int]:
        """Those of the results, in their order."""
        low, high = sorted((self.first, self.last))
        if not self.from_end:
            return results[low - 1 : high]
        count = len(results)
        return results[max(0, count - high) : max(0, count - low + 1)]

    def to_bytes(self) -> bytes:
        """As it goes over the wire."""
        return (
            b"-%d:-%d" % (self.first, self.last)
            if self.from_end
            else b"%d:%d" % (self.first, self.last)
        )


def parenthesised(cursor: Cursor, item: Callable[[Cursor], T], what: str) -> list[T]:
    """`(item item ...)`, at least one."""
    cursor.expect(b"(", f"'(' and {what}")
    items = [item(cursor)]
    while not cursor.take(b")"):
        cursor.space(f"{what}, or ')'")
        items.append(item(cursor))
    return items


def modifiers(cursor: Cursor, readers: Mapping[str, Callable[[Cursor], Any]]) -> dict[str, Any]:
    """`(name argument name ...)` (RFC 4466 §2.5), each once: what the reader of each name made of what stands behind it."""
    found: dict[str, Any] = {}

    def one(cursor: Cursor) -> None:
        name = cursor.keyword("a modifier")
        if name not in readers:
            cursor.refuse(f"{name[:40]} is no modifier of this command")
        if name in found:
            cursor.refuse(f"{name} stands there twice")
        found[name] = readers[name](cursor)

    parenthesised(cursor, one, "a modifier")
    return found


def partial(cursor: Cursor) -> Page:
    """A space and a range of results (RFC 9394 §4, `partial-range`)."""
    cursor.space("a range")
    from_end = cursor.sees(b"-")
    ends: list[int] = []
    for what in ("the first of a range", "the last of a range"):
        if ends:
            cursor.expect(b":")
        if from_end:
            cursor.expect(b"-")
        ends.append(cursor.number(what, 1, NUMBER_MAX))
    return Page(ends[0], ends[1], from_end)


def modseq(cursor: Cursor) -> int:
    """A space and a modseq, which may be 0 (RFC 7162 §7, `mod-sequence-valzer`)."""
    cursor.space("a modseq")
    return cursor.number("a modseq", 0, NUMBER64_MAX)


def mailbox(cursor: Cursor) -> str:
    """A mailbox name (RFC 3501 §5.1; RFC 6855 §3): decoded, INBOX in upper case. Raises Cannot as `utf7` does."""
    return canonical(_name(cursor, cursor.astring("a mailbox name")))


def reference(cursor: Cursor) -> str:
    """What LIST and LSUB put in front of a pattern."""
    return _name(cursor, cursor.astring("a reference"))


def list_mailbox(cursor: Cursor) -> str:
    """A mailbox name that may have wildcards in it, quoted or not."""
    found = cursor.match(LIST_MAILBOX)
    return _name(cursor, cursor.string("a mailbox pattern") if found is None else found[0])


def _name(cursor: Cursor, octets: bytes) -> str:
    return cursor.text(octets, "a mailbox name") if cursor.utf8 else utf7.decode(octets)


def sequence_set(cursor: Cursor) -> SequenceSet:
    """`2,4:7,9:*` (RFC 3501 §9), or `$` by itself (RFC 5182 §3)."""
    if cursor.take(b"$"):
        return SAVED
    ranges: list[tuple[int, int]] = []
    while True:
        if (several := cursor.match(_NUMBERS)) is not None:
            # A line may have ten thousands.
            ranges.extend((number, number) for number in map(int, several[0][:-1].split(b",")))
        first = last = message_number(cursor)
        if cursor.take(b":"):
            last = message_number(cursor)
        ranges.append((first, last))
        if not cursor.take(b","):
            return SequenceSet(tuple(ranges))


def uid_set(cursor: Cursor, *, ascending: bool = False) -> UIDSet:
    """A set without `*` (RFC 7162 §7, `known-uids`)."""
    found = sequence_set(cursor)
    if found.has_star or found.saved:
        cursor.refuse("* and $ can't be in this set")
    if ascending:
        ends = [number for pair in found.ranges for number in dict.fromkeys(pair)]
        if any(low >= high for low, high in pairwise(ends)):
            cursor.refuse("this set has to ascend")
    return found.against(0)


def message_number(cursor: Cursor) -> int:
    """One number, or STAR (RFC 3501 §9, `seq-number`)."""
    return STAR if cursor.take(b"*") else cursor.number("a message number", 1, NUMBER_MAX)


def flag(cursor: Cursor) -> str:
    """A flag that a client may set: a system flag in its usual spelling, or a keyword as sent.

    Keywords are compared without regard to case wherever they meet (RFC 9051 §2.3.2).
    """
    if cursor.take(b"\\"):
        name = "\\" + cursor.atom("the name of a system flag").decode("ascii")
        known = _SYSTEM_FLAGS.get(name.lower())
        if known is None:
            cursor.refuse(f"{name[:40]} is no flag that can be set")
        return known
    return keyword(cursor)


def keyword(cursor: Cursor) -> str:
    name = cursor.atom("a flag").decode("ascii")
    if len(name) > cursor.limits.keyword:
        raise TooMany(f"a keyword is longer than {cursor.limits.keyword} octets")
    return name


def flags(cursor: Cursor, *, bare: bool = False) -> Flags:
    """`(flag flag ...)`, or `()`; `bare`: also without parentheses. Each once, as first spelled."""
    if bare and not cursor.sees(b"("):
        found = [flag(cursor)]
        while cursor.take(b" "):
            found.append(flag(cursor))
    elif cursor.take(b"()"):
        found = []
    else:
        found = parenthesised(cursor, flag, "a flag")
    spelled: dict[str, str] = {}
    for each in found:
        spelled.setdefault(each.lower(), each)
    if len(spelled) > cursor.limits.flags_per_message:
        raise TooMany(f"more than {cursor.limits.flags_per_message} flags on a message")
    return frozenset(spelled.values())


def date(cursor: Cursor) -> datetime.date:
    """`1-Feb-1994`, quoted or not."""
    quoted = cursor.take(b'"')
    found = cursor.match(_DATE)
    if found is None:
        cursor.fail("a date like 1-Feb-1994")
    try:
        day = datetime.date(int(found[3]), _month(found[2]), int(found[1]))
    except ValueError:
        cursor.refuse("there is no such day")
    if quoted:
        cursor.expect(b'"', "'\"' after the date")
    return day


def date_time(cursor: Cursor) -> datetime.datetime:
    """`" 1-Feb-1994 21:52:25 -0800"`, aware, in the zone that was sent."""
    found = cursor.match(_DATE_TIME)
    if found is None:
        cursor.fail('a date and time like "17-Jul-1996 02:44:25 -0700"')
    try:
        return _moment(found.groups())
    except (ValueError, OverflowError):
        cursor.refuse("there is no such moment")


@lru_cache(_REMEMBERED)
def _moment(said: tuple[bytes, ...]) -> datetime.datetime:
    """Raises ValueError and OverflowError.  What stands before a message is read when that is announced, and once more when
    all of the command is there.
    """
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = said
    if int(zone_minutes) > 59:
        raise ValueError("minutes of the zone")
    offset = datetime.timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    moment = datetime.datetime(
        int(year),
        _month(month),
        int(day),
        int(hour),
        int(minute),
        # A leap second, which `datetime` does not know.
        59 if second == b"60" else int(second),
        tzinfo=datetime.timezone(-offset if sign == b"-" else offset),
    )
    # In the first and the last hours of the calendar there is no UTC.
    moment.astimezone(datetime.UTC)
    return moment


def _month(name: bytes) -> int:
    """Raises ValueError where there is none of that name."""
    return _MONTHS.index(name.lower().decode("ascii")) + 1
