"""What SORT and THREAD compare, as it stands in the documents of messages.

A message that was stored before this was kept says it by its header, which is read again then.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.mime.date import sent_moment
from twisted_duck.mime.head import WANTED
from twisted_duck.mime.header import first, select
from twisted_duck.mime.order import order
from twisted_duck.mime.references import ids
from twisted_duck.store.content import StoredContent
from twisted_duck.store.driver import Document
from twisted_duck.values import Order

#: Each attribute of `Order`, and what it is called in `messages.order`.
_NAMES: Final[Mapping[str, str]] = {
    "sent": "sent",
    "subject": "subject",
    "answers": "answers",
    "sender": "from",
    "to": "to",
    "cc": "cc",
    "sender_name": "fromName",
    "to_name": "toName",
}
_VALUES: Final = attrgetter(*_NAMES)
#: What they are in most messages.
_USUAL: Final = tuple(zip(_NAMES.values(), _VALUES(Order()), strict=True))


def dump(order: Order) -> Document:
    """What is not as usual."""
    pairs = zip(_USUAL, _VALUES(order), strict=True)
    return {name: value for (name, usual), value in pairs if value != usual}


def load(document: Mapping[str, Any]) -> Order:
    return Order(**{key: document[name] for key, name in _NAMES.items() if name in document})


async def read_again(content: StoredContent, limits: Limits = DEFAULTS) -> tuple[Order, bytes]:
    """`order` and `ids` of a stored message."""
    top = content.tree.parts[0]
    header = content.peek(top.start, top.body)
    if header is None:
        header = b"".join([chunk async for chunk in content.chunks(top.start, top.body)])
    fields = select(header, WANTED, limits.mime_fields, limits.mime_field)
    date = first(fields, b"date")
    sent = None if date is None else sent_moment(date)
    return order(fields, sent, limits), ids(fields, limits.mime_references)
