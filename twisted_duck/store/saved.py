"""When a message came into the mailbox that it is in (RFC 8514).

It is nowhere written down: the server made the `_id` of the message's document then, and an ObjectId begins with the
second it was made in.  COPY and MOVE make a document anew.  RENAME of INBOX does not, but it makes a mailbox: nothing came
into a mailbox before there was one.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from bson.objectid import ObjectId

from twisted_duck.search import DateOperator
from twisted_duck.store.driver import Document

_EPOCH: Final = date(1970, 1, 1)
#: Seconds that an ObjectId can begin with.
_SECONDS: Final = 1 << 32


def saved(id: ObjectId, created: datetime) -> datetime:
    """The moment, in UTC, from a message's `_id` and its mailbox's `created`."""
    return max(id.generation_time, created.replace(microsecond=0))


def condition(operator: DateOperator, day: date, created: datetime) -> Document | None:
    """What messages have to match that were saved before, on, or since a day of UTC; None if none of them can."""
    bounds: Document = {}
    if operator != "since":
        if created.date() > day or (operator == "before" and created.date() == day):
            return None
        bounds["$lt"] = _first_id(day, 1 if operator == "on" else 0)
    if operator != "before" and created.date() < day:
        bounds["$gte"] = _first_id(day)
    return {"_id": bounds} if bounds else {}


def _first_id(day: date, days: int = 0) -> ObjectId:
    """No `_id` that is made on that day, or so many days later, is less than this, and all that were made before are."""
    seconds = (day - _EPOCH + timedelta(days=days)) // timedelta(seconds=1)
    if seconds >= _SECONDS:
        return ObjectId(b"\xff" * 12)
    return ObjectId(max(seconds, 0).to_bytes(4, "big") + bytes(8))
