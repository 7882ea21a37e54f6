"""Dates as `twisted.mail` passes them: text, in one of two forms."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, mktime_tz, parsedate_tz

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
#: `date-time` of RFC 3501 §9, with or without its quotes.
_DATE_TIME = re.compile(
    r'"?\s*(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"?\Z'
)


def parse(value: bytes | str) -> datetime | None:
    """The moment that a `date-time` of RFC 3501 or a date of RFC 5322 names, aware; None where it names none."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    try:
        return _date_time(text) or _rfc5322(text)
    except (ValueError, OverflowError, KeyError, TypeError, IndexError):
        # The standard library fails in all these ways on dates that are none.
        return None


def _date_time(text: str) -> datetime | None:
    match = _DATE_TIME.match(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    zone = timezone(-offset if sign == "-" else offset)
    number = _MONTHS.index(month.title()) + 1
    return datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=zone)


def _rfc5322(text: str) -> datetime | None:
    fields = parsedate_tz(text)
    if fields is None:
        return None
    zone = timezone(timedelta(seconds=fields[9] or 0)) if fields[9] else UTC
    return datetime.fromtimestamp(mktime_tz(fields), zone)


def date_time(moment: datetime) -> bytes:
    """As a client gives it to APPEND: `17-Jul-1996 02:44:25 -0700`."""
    text = f"{moment:%d}-{_MONTHS[moment.month - 1]}-{moment:%Y %H:%M:%S %z}"
    return text[:26].encode("ascii")


def rfc5322(moment: datetime) -> bytes:
    """As `IMessageIMAP.getInternalDate` tells it: `Wed, 17 Jul 1996 02:44:25 -0700`."""
    return format_datetime(moment).encode("ascii")
