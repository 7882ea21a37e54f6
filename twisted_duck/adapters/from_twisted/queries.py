"""Search keys in the form in which `ISearchableIMAPMailbox.search` takes them: a list of the words of SEARCH."""

from __future__ import annotations

from datetime import date

from twisted_duck import search
from twisted_duck.search import SearchKey

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def query(leaf: SearchKey) -> list[bytes] | None:
    """The words of a key that asks about days, sizes or text; strings are UTF-8.

    None for a moment, for which RFC 3501 has no words.
    """
    match leaf:
        case search.InternalDate(operator, day):
            return [operator.upper().encode(), _day(day)]
        case search.SentDate(operator, day):
            return [b"SENT" + operator.upper().encode(), _day(day)]
        case search.Size(operator, octets):
            return [operator.upper().encode(), b"%d" % octets]
        case search.Header(name, text):
            return [b"HEADER", name.encode("utf-8", "replace"), text.encode("utf-8", "replace")]
        case search.Body(text):
            return [b"BODY", text.encode("utf-8", "replace")]
        case search.Arrived():
            return None
        case search.Text(text):
            return [b"TEXT", text.encode("utf-8", "replace")]
    raise TypeError(f"{type(leaf).__name__} is answered by the index")


def _day(day: date) -> bytes:
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04}".encode()
