"""A message that is held in memory, as its bytes and what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import attrs
from zope.interface import implementer

from twisted_duck.interfaces import IContent
from twisted_duck.limits import Limits
from twisted_duck.mime.message import analyse
from twisted_duck.mime.scan import PartTree
from twisted_duck.predicates import Facts
from twisted_duck.values import FetchWant, MessageData

#: Bytes of the pieces in which a message is read.
PIECE = 256 * 1024


@implementer(IContent)
@attrs.frozen(eq=False)
class BytesContent:
    """A message that is held as bytes."""

    data: bytes
    tree: PartTree

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def header(self) -> int:
        return self.tree.parts[0].body

    def peek(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        for at in range(start, stop, PIECE):
            yield self.data[at : min(at + PIECE, stop)]


@attrs.frozen(eq=False)
class HeldMessage:
    """A whole message with all that is asked of it; it never changes, and copies share it."""

    facts: Facts
    content: BytesContent

    @classmethod
    def of(cls, data: bytes, internal_date: datetime, limits: Limits) -> HeldMessage:
        analysis = analyse(data, limits)
        return cls(Facts(internal_date, data, analysis), BytesContent(data, analysis.tree))

    def tell(self, uid: int, wanted: frozenset[FetchWant]) -> MessageData:
        analysis = self.facts.analysis
        everything = {
            "internal_date": ("date", self.facts.internal_date),
            "size": ("size", self.content.size),
            "envelope": ("envelope", analysis.envelope),
            "bodystructure": ("bodystructure", analysis.bodystructure),
            "body": ("body", analysis.body),
            "content": ("content", self.content),
            "order": ("order", analysis.order),
            "ids": ("ids", analysis.ids),
            "preview": ("preview", analysis.preview),
        }
        asked: dict[str, Any] = {
            name: value for name, (want, value) in everything.items() if want in wanted
        }
        if "header" in wanted:
            asked["content"] = self.content
        if "ready preview" in wanted:
            asked["preview"] = analysis.preview
        return MessageData(uid, **asked)
