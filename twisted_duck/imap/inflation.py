"""What arrives compressed (COMPRESS, RFC 4978) on its way to the framer: as much of it as that has room for.

What it stands for may be a thousand times as much.  So it stays as it came until the framer has used up what it has, and
only so much of it is kept as of what is not compressed: `Limits.pipeline` counts both.
"""

from __future__ import annotations

from twisted_duck.errors import BrokenStream
from twisted_duck.limits import Limits
from twisted_duck.wire.deflate import Inflater
from twisted_duck.wire.framing import CommandFramer


class Inflation:
    """Stands in front of a framer from now on, and has what that was fed and did not look at."""

    def __init__(self, framer: CommandFramer, limits: Limits) -> None:
        self._framer = framer
        self._limits = limits
        self._inflater = Inflater()
        self._dropped = 0
        #: Why nothing can be read any more.
        self._fault: BrokenStream | None = None
        # RFC 4978 §3 forbids a client to send this early; the one that does has compressed it, or is lost.
        self.feed(framer.next_octets(framer.buffered))

    def feed(self, data: bytes) -> None:
        if self._fault is None:
            self._inflater.feed(data)
            # At once, so that `buffered` says whether there is something to read: a flush alone is nothing.
            if self._framer.buffered < self._limits.inflation:
                self._fill()

    @property
    def buffered(self) -> int:
        """Octets that are waiting to be inflated; not 0, either, if there is a fault to be told."""
        return self._inflater.buffered + (self._fault is not None)

    def more(self) -> bool:
        """Whether the framer was given more.  Fails with BrokenStream once it has been given all that could be read."""
        if self._fault is not None:
            raise self._fault
        if not self._inflater.buffered:
            return False
        self._fill()
        return True

    def _fill(self) -> None:
        try:
            data = self._inflater.take(self._limits.inflation)
            self._count(len(data))
        except BrokenStream as fault:
            self._fault = fault
        else:
            self._framer.feed(data)

    def _count(self, size: int) -> None:
        """What is dropped costs a client a thousandth of what it costs us: there is an end to it."""
        self._dropped = self._dropped + size if self._framer.is_dropping else 0
        if self._dropped > self._limits.message:
            raise BrokenStream("that is more than any message has")
