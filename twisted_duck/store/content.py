"""IDecodedContent over a rope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import cached_property

from zope.interface import implementer

from twisted_duck.interfaces import IDecodedContent
from twisted_duck.mime.scan import PartTree
from twisted_duck.store.blobs import BlobReader
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.rope import BlobRef, Inline, Layout, load

_PIECE = 256 * 1024


@implementer(IDecodedContent)
class StoredContent:
    """The bytes of one message: inline segments are at hand, blobs are read when they are wanted."""

    def __init__(self, mongo: Mongo, body: Document) -> None:
        self._mongo = mongo
        self._packed_tree: bytes = body["tree"]
        self._layout = Layout(load(body["rope"]))
        self.size = self._layout.size

    @cached_property
    def tree(self) -> PartTree:
        return PartTree.unpack(self._packed_tree)

    def peek(self, start: int, stop: int) -> bytes | None:
        pieces: list[bytes] = []
        for segment, first, last in self._layout.span(start, stop):
            if not isinstance(segment, Inline):
                return None
            pieces.append(segment.data[first:last])
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
