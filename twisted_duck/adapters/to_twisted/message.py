"""`IMessageIMAP` over a message whose bytes are at hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from typing import Any

from twisted.mail.interfaces import IMessageIMAP, IMessageIMAPFile, IMessageIMAPPart
from zope.interface import implementer

from twisted_duck.adapters import dates
from twisted_duck.adapters.to_twisted.contents import Extent
from twisted_duck.mime.form import Kind
from twisted_duck.mime.header import fields
from twisted_duck.mime.scan import PartTree
from twisted_duck.values import RECENT, Flags


class Headers(dict[str, str]):
    """The first field of each name by that name (lower case), whose `items` are all fields in their order."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = list(pairs)
        super().__init__(reversed(self._pairs))

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        return self._pairs


def _ascii(value: bytes) -> str:
    return value.decode("ascii", "replace").replace("\ufffd", "?")


def _lower(name: bytes | str) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else name).lower()


@implementer(IMessageIMAPPart)
class TwistedPart:
    """One part of a message: number 0 of the tree is the message itself."""

    def __init__(self, extent: Extent, tree: PartTree, number: int = 0) -> None:
        self._extent = extent
        self._tree = tree
        self._number = number
        self._part = tree.parts[number]

    def getHeaders(self, negate: bool, *names: bytes | str) -> Headers:
        """Fields in ASCII: that is all that the server can write."""
        wanted = {_lower(name) for name in names}
        raw = self._extent.read(self._part.start, self._part.body)
        return Headers(
            (_lower(field.name), _ascii(raw[field.value : field.end].strip()))
            for field in fields(raw)
            if field.name and (_lower(field.name) in wanted) is not negate
        )

    def getBodyFile(self) -> BytesIO:
        return BytesIO(self._extent.read(self._part.body, self._part.end))

    def getSize(self) -> int:
        """Octets of the body."""
        return self._part.end - self._part.body

    def isMultipart(self) -> bool:
        return bool(self._tree.children[self._number])

    def getSubPart(self, part: int) -> TwistedPart:
        """Part `part` (from 0) of a multipart.  Of an embedded message: itself, for ENVELOPE; or from 1, its parts.

        Raises TypeError where there are no parts, IndexError where there is no such part.
        """
        inside = self._tree.children[self._number]
        if not inside:
            raise TypeError("this part has no parts")
        if self._part.kind is Kind.MESSAGE and part > 0:
            inside = self._tree.children[inside[0]]
        return TwistedPart(self._extent, self._tree, inside[part])


@implementer(IMessageIMAP, IMessageIMAPFile)
class TwistedMessage(TwistedPart):
    """A message as it was when it was fetched."""

    def __init__(
        self,
        mailbox: Any,
        uid: int,
        flags: Flags,
        *,
        recent: bool,
        internal_date: datetime,
        extent: Extent,
        tree: PartTree,
    ) -> None:
        super().__init__(extent, tree)
        #: The L{TwistedMailbox} it was fetched from.
        self.mailbox = mailbox
        self._uid = uid
        self._flags = flags
        self._recent = recent
        self._internal_date = internal_date

    def getUID(self) -> int:
        return self._uid

    def getFlags(self) -> list[str]:
        return [*sorted(self._flags), *([RECENT] if self._recent else [])]

    def getInternalDate(self) -> bytes:
        return dates.rfc5322(self._internal_date)

    def getSize(self) -> int:
        """Octets of the whole message."""
        return self._extent.size

    def open(self) -> BytesIO:
        return BytesIO(self._extent.read(0, self._extent.size))
