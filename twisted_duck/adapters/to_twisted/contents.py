"""Where the bytes of fetched messages are kept: all of one FETCH in one spool."""

from __future__ import annotations

import weakref
from typing import Any

import attrs

from twisted_duck.limits import DEFAULTS
from twisted_duck.spool import Spool


class Contents:
    """Messages one after the other; memory is bounded by that of one spool."""

    def __init__(self) -> None:
        self._spool = Spool(DEFAULTS)
        weakref.finalize(self, self._spool.close)

    async def add(self, content: Any) -> Extent:
        """Take in an L{IContent}; it can be read after `finish`."""
        start = self._spool.size
        whole = content.peek(0, content.size)
        if whole is not None:
            self._spool.write(whole)
        else:
            async for chunk in content.chunks(0, content.size):
                self._spool.write(chunk)
        return Extent(self, start, content.size)

    def finish(self) -> None:
        self._spool.finish()

    def read(self, start: int, stop: int) -> bytes:
        return self._spool.data[start:stop]


@attrs.frozen
class Extent:
    """One message in there."""

    contents: Contents
    start: int
    size: int

    def read(self, start: int, stop: int) -> bytes:
        """The bytes `[start, stop)` of the message."""
        return self.contents.read(self.start + start, self.start + stop)
