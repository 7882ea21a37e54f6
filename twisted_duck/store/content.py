"""IDecodedContent over a rope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import cached_property
from typing import Any, Final

from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.interfaces import IDecodedContent
from twisted_duck.mime.scan import PartTree, header_size
from twisted_duck.store.blobs import BlobReader
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.rope import BlobRef, Inline, Layout, load

_PIECE = 256 * 1024

#: What has to be read of a body, as a projection: for all of the message ...
WHOLE: Final[Document] = {"size": 1, "tree": 1, "rope": 1}
#: ... and for its header, which is the first segment but for `StoredContent.lacks_header`.
HEADER: Final[Document] = {**WHOLE, "rope": {"$slice": ["$rope", 1]}}


@implementer(IDecodedContent)
class StoredContent:
    """The bytes of one message: inline segments are at hand, blobs are read when they are wanted.

    One is made for each message of a FETCH, most of which are asked for one range: what that does not take is made later.
    """

    def __init__(self, mongo: Mongo, body: Document) -> None:
        self._mongo = mongo
        self._packed_tree: bytes = body["tree"]
        self._rope: list[Any] = body["rope"]
        self.size: int = body["size"]

    @cached_property
    def tree(self) -> PartTree:
        return PartTree.unpack(self._packed_tree)

    @cached_property
    def header(self) -> int:
        return header_size(self._packed_tree)

    @property
    def lacks_header(self) -> bool:
        """Whether the first segment is not all of the header: a line was put in front of one that is a blob."""
        first = self._rope[0]
        return self.header > (len(first) if isinstance(first, bytes) else first["length"])

    @cached_property
    def _layout(self) -> Layout:
        return Layout(load(self._rope))

    def peek(self, start: int, stop: int) -> bytes | None:
        first = self._rope[0]
        if isinstance(first, bytes) and stop <= len(first):
            return first[start:stop]
        if start == 0 and stop == self.size and all(isinstance(s, bytes) for s in self._rope):
            whole = b"".join(self._rope)
            if len(whole) != stop:
                raise errors.Corruption("a message is not as long as it was when it arrived")
            return whole
        pieces: list[bytes] = []
        for segment, begin, end in self._layout.span(start, stop):
            if not isinstance(segment, Inline):
                return None
            pieces.append(segment.data[begin:end])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        reader = BlobReader(self._mongo)
        for segment, first, last in self._layout.span(start, stop):
            if isinstance(segment, Inline):
                for at in range(first, last, _PIECE):
                    yield segment.data[at : min(at + _PIECE, last)]
            else:
                async for piece in reader.segment(segment, first, last):
                    yield piece

    def decoded(
        self, start: int, stop: int
    ) -> tuple[int, Callable[[int, int], AsyncIterator[bytes]]] | None:
        ref: BlobRef | None = None
        for segment, first, last in self._layout.span(start, stop):
            if isinstance(segment, Inline):
                # Behind the base64 there may be line ends.
                if ref is None or segment.data[first:last].strip(b"\r\n"):
                    return None
            elif ref is not None or segment.line is None or last - first != segment.length:
                return None
            else:
                ref = segment
        if ref is None:
            return None
        plain = BlobRef(ref.hash, ref.size, ref.size)
        reader = BlobReader(self._mongo)
        return ref.size, lambda first, last: reader.segment(plain, first, last)
