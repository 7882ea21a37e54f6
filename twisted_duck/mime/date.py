"""The Date field as SENTBEFORE, SENTON, SENTSINCE and SORT compare it (RFC 5322 §3.3, §4.3)."""

from __future__ import annotations

import datetime
import re
from typing import Final

from twisted_duck.mime.header import unfold

_LONGEST = 256
"""Bytes of a Date field that are looked at: dates with comments take 50."""
_COMMENT = re.compile(rb"\([^()]*\)")
_DATE = re.compile(
    rb"\s*(?:[a-z]+\s*[,.]?\s*)?(\d{1,2})[\s-]+(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[\s,.-]+"
    rb"(\d{2,4})(?!\d)",
    re.IGNORECASE,
)
_TIME = re.compile(
    rb"\s*(\d{1,2})\s*:\s*(\d{2})(?:\s*:\s*(\d{2}))?(?!\d)(?:[.,]\d*)?\s*(?:([+-])(\d{2})(\d{2})(?!\d)|([a-z]+))?",
    re.IGNORECASE,
)
#: What nearly all Date fields are, in one step: what the two above say of it.
_USUAL = re.compile(
    rb"[ \t]*+(?:[A-Z][a-z][a-z], )?(\d\d?) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4})"
    rb" ([01]\d|2[0-3]):([0-5]\d):([0-5]\d) ([+-])(\d\d)([0-5]\d)(?!\d)"
)
_ZONES: Final = {
    b"edt": -4,
    b"est": -5,
    b"cdt": -5,
    b"cst": -6,
    b"mdt": -6,
    b"mst": -7,
    b"pdt": -7,
    b"pst": -8,
}
"""Hours from UTC of the names in RFC 5322 §4.3; any other name says nothing, and is read as UTC."""
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()
_MONTHS: Final = {
    name: number
    for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}


def sent_date(value: bytes) -> datetime.date | None:
    """The day that a Date field names, as written there: time and zone do not count (RFC 3501 §6.4.4).

    None where it names none. Years of two and three digits are read as RFC 5322 §4.3 says.
    """
    return sent(value)[0]


def sent_moment(value: bytes) -> int | None:
    """The moment that a Date field names, in seconds since 1970, UTC (RFC 5256 §2.2); None where it names no day.

    Without a zone, or with one that is none, the time is UTC; without a time the day begins.
    """
    return sent(value)[1]


def sent(value: bytes) -> tuple[datetime.date | None, int | None]:
    """What `sent_date` and `sent_moment` say."""
    usual = _USUAL.match(value)
    if usual is None:
        return _sent(_readable(value))
    number, month, year, hour, minute, second, sign, zone_hours, zone_minutes = usual.groups()
    try:
        day = datetime.date(int(year), _MONTHS[month.lower()], int(number))
    except ValueError:
        return None, None
    seconds = 3_600 * int(hour) + 60 * int(minute) + int(second)
    offset = 3_600 * int(zone_hours) + 60 * int(zone_minutes)
    at_midnight = (day.toordinal() - _EPOCH) * 86_400
    return day, at_midnight + seconds + (offset if sign == b"-" else -offset)


def _sent(text: bytes) -> tuple[datetime.date | None, int | None]:
    found = _day(text)
    if found is None:
        return None, None
    day, end = found
    start_of_day = (day.toordinal() - _EPOCH) * 86_400
    time = _TIME.match(text, end)
    if time is None:
        return day, start_of_day
    hour_, minute_, second_, sign, zone_hours, zone_minutes, zone = time.groups()
    hour, minute, second = int(hour_), int(minute_), int(second_ or 0)
    if hour > 23 or minute > 59 or second > 60:
        return day, start_of_day
    offset = 0
    if sign is not None and int(zone_minutes) < 60:
        offset = (60 * int(zone_hours) + int(zone_minutes)) * (-60 if sign == b"-" else 60)
    elif zone:
        offset = 3_600 * _ZONES.get(zone.lower(), 0)
    return day, start_of_day + 3_600 * hour + 60 * minute + min(second, 59) - offset


def _readable(value: bytes) -> bytes:
    text = unfold(value)[:_LONGEST]
    return _COMMENT.sub(b" ", text) if b"(" in text else text


def _day(text: bytes) -> tuple[datetime.date, int] | None:
    """The day, and where it ends in the text."""
    match = _DATE.match(text)
    if match is None:
        return None
    year = int(match[3])
    if len(match[3]) < 4:
        year += 2000 if len(match[3]) == 2 and year < 50 else 1900
    try:
        return datetime.date(year, _MONTHS[match[2].lower()], int(match[1])), match.end()
    except ValueError:
        return None
