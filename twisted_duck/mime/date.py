"""The Date field as SENTBEFORE, SENTON and SENTSINCE compare it (RFC 5322 §3.3, §4.3)."""

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
_MONTHS: Final = {
    name: number
    for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}


def sent_date(value: bytes) -> datetime.date | None:
    """The day that a Date field names, as written there: time and zone do not count (RFC 3501 §6.4.4).

    None where it names none. Years of two and three digits are read as RFC 5322 §4.3 says.
    """
    match = _DATE.match(_COMMENT.sub(b" ", unfold(value)[:_LONGEST]))
    if match is None:
        return None
    year = int(match[3])
    if len(match[3]) < 4:
        year += 2000 if len(match[3]) == 2 and year < 50 else 1900
    try:
        return datetime.date(year, _MONTHS[match[2].lower()], int(match[1]))
    except ValueError:
        return None
