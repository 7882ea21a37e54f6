"""A compressed stream each way (DEFLATE, RFC 1951, as RFC 4978 has it for IMAP), without I/O.

What comes in is inflated piece by piece, as it is asked for: a kilobyte may stand for a megabyte, and nobody but the
owner can know how much of it there is room for.
"""

from __future__ import annotations

import zlib
from typing import Final

from twisted_duck.errors import BrokenStream

# RFC 4978 §4: a raw stream, without zlib's header.
_RAW: Final = -1

#: Octets that zlib is shown at a time: it copies what it does not take.
_SHOWN: Final = 4096


class Deflater:
    """Compresses what is said.

    With a window of 8 KiB it takes 70 KiB a connection and not 240; what IMAP answers becomes as small (a fifth), text
    grows by a tenth.  Level 3 takes two thirds of the time of level 6: two milliseconds for 64 KiB.
    """

    LEVEL: Final = 3
    WINDOW_BITS: Final = 13
    MEMORY_LEVEL: Final = 6

    def __init__(self) -> None:
        self._stream = zlib.compressobj(
            self.LEVEL, zlib.DEFLATED, _RAW * self.WINDOW_BITS, self.MEMORY_LEVEL
        )

    def __call__(self, data: bytes) -> bytes:
        """All of it, so that whoever has this much can read it to its end."""
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class Inflater:
    """Inflates what arrives.  It takes 40 KiB, and what was fed and not taken."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_RAW * zlib.MAX_WBITS)
        self._waiting = bytearray()
        #: Whether there may be more to take without another octet: one may stand for many.
        self._stopped = False
        self._broken = False

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._waiting += data

    @property
    def buffered(self) -> int:
        """Octets that were fed and not looked at; 0 if and only if there is nothing to take, and no fault to be told."""
        return len(self._waiting) or int(self._stopped or self._broken)

    def take(self, limit: int) -> bytes:
        """The next octets, `limit` of them at most; fewer only if there are no more yet, or no more that can be read.

        Fails with BrokenStream, and does so from then on, for what was not compressed in this way, and for whatever comes
        behind the end of the stream.
        """
        taken = bytearray()
        while self.buffered and len(taken) < limit and not self._broken:
            shown = bytes(self._waiting[:_SHOWN])
            room = limit - len(taken)
            try:
                some = self._stream.decompress(shown, room)
            except zlib.error:
                self._broken = True
                break
            self._broken = self._stream.eof
            self._stopped = len(some) == room
            del self._waiting[: len(shown) - len(self._stream.unconsumed_tail)]
            taken += some
        if self._broken and not taken:
            raise BrokenStream("what arrives is not compressed as it was agreed")
        return bytes(taken)
