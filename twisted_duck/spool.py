"""Where an arriving message is kept until it is stored: in memory while it is small, in a temporary file after that."""

from __future__ import annotations

import mmap
import tempfile
from typing import IO

from twisted_duck.limits import DEFAULTS, Limits


class Spool:
    """Bytes that are written once, in pieces, and then read as often as needed.

    A message above `Limits.spool_memory` goes to an unlinked temporary file and is read through a memory map, so that
    its size is charged to the page cache and not to this process's heap.
    """

    def __init__(self, limits: Limits, directory: str | None = None) -> None:
        self._limit = limits.spool_memory
        self._directory = directory
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._data: bytes | mmap.mmap | None = None
        self.size = 0
        #: Whether a NUL was written: no message may have one (RFC 3501 §9, CHAR8).
        self.has_nul = False

    @classmethod
    def of(cls, data: bytes, limits: Limits | None = None) -> Spool:
        """A finished spool that holds `data`."""
        spool = cls(limits or DEFAULTS)
        spool.write(data)
        spool.finish()
        return spool

    def write(self, data: bytes | memoryview) -> None:
        """Raises ValueError after `finish`."""
        if self._data is not None:
            raise ValueError("the spool is finished")
        self.size += len(data)
        if not self.has_nul and 0 in bytes(data):
            self.has_nul = True
        if self._file is not None:
            self._file.write(data)
            return
        self._memory += data
        if len(self._memory) > self._limit:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 - `close` closes it
                prefix="duckmail-", dir=self._directory
            )
            self._file.write(self._memory)
            self._memory = bytearray()

    def finish(self) -> None:
        """Nothing more will be written; `data` can be read from now on.  Safe more than once."""
        if self._data is not None:
            return
        if self._file is not None:
            self._file.flush()
            self._data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            # The map has a descriptor of its own, and one command may have many messages.
            self._file.close()
            self._file = None
        else:
            self._data = bytes(self._memory)
            self._memory = bytearray()

    @property
    def data(self) -> bytes | mmap.mmap:
        """The whole: slices of it are bytes, and it can be searched.  Raises ValueError before `finish`."""
        if self._data is None:
            raise ValueError("the spool is not finished, or it is closed")
        return self._data

    def close(self) -> None:
        """Give memory and file back; safe at any time, and more than once."""
        data, self._data = self._data, None
        if isinstance(data, mmap.mmap):
            data.close()
        file, self._file = self._file, None
        if file is not None:
            file.close()
        self._memory = bytearray()
