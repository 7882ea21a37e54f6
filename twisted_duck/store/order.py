"""What SORT and THREAD compare, as it stands in the documents of messages.

A message that was stored before this was kept says it by its header, which is read again then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted_duck.limits import Limits
from twisted_duck.mime.date import sent_moment
from twisted_duck.mime.head import WANTED
from twisted_duck.mime.header import first, select
from twisted_duck.mime.order import order
from twisted_duck.mime.references import ids
from twisted_duck.store.content import StoredContent
from twisted_duck.store.driver import Document
from twisted_duck.values import Order

_LIMITS: Final = Limits()
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
#: Both, with what it is in most messages.
_USUAL: Final = tuple((key, name, getattr(Order(), key)) for key, name in _NAMES.items())


def dump(order: Order) -> Document:
    """What is not as usual."""
    return {name: value for key, name, usual in _USUAL if (value := getattr(order, key)) != usual}


def load(document: Mapping[str, Any]) -> Order:
    return Order(**{key: document[name] for key, name in _NAMES.items() if name in document})


async def read_again(content: StoredContent, limits: Limits = _LIMITS) -> tuple[Order, bytes]:
    """`order` and `ids` of a stored message."""
    top = content.tree.parts[0]
    header = content.peek(top.start, top.body)
    if header is None:
        header = b"".join([chunk async for chunk in content.chunks(top.start, top.body)])
    fields = select(header, WANTED, limits.mime_fields, limits.mime_field)
    date = first(fields, b"date")
    sent = None if date is None else sent_moment(date)
    return order(fields, sent, limits), ids(fields, limits.mime_references)
