"""Mail data on their way into a spool."""

from __future__ import annotations

from twisted_duck import errors
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool


class Malformed(errors.ClientError):
    """A message that can't be kept as it is, and must not be changed (RFC 3463 §3.7)."""

    smtp = "550 5.6.0"


class Intake:
    """One message.  What is against it is told by `finish`; until then the data are taken, and go nowhere."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.message
        self._spool = Spool(limits)
        self._size = 0
        #: The first thing that is against the message.
        self.fault: errors.DuckError | None = None

    def expect(self, octets: int) -> None:
        """So many more were announced: if they are too many, not one of them is kept."""
        if self._size + octets > self._most:
            self.refuse(errors.TooBig(f"a message may have {self._most} bytes"))

    def write(self, data: bytes) -> None:
        self.expect(len(data))
        if self.fault is None:
            self._size += len(data)
            try:
                self._spool.write(data)
            except OSError as error:
                self._no_room(error)

    def bare(self) -> None:
        """There was a line end in it that is none to some readers (RFC 5321 §2.3.8): they would see other messages."""
        self.refuse(Malformed("the message has a CR or an LF that is not part of a CRLF"))

    def refuse(self, fault: errors.DuckError) -> None:
        if self.fault is None:
            self.fault = fault
            self._spool.close()

    def finish(self) -> Spool:
        """The message.  Fails with TooBig, Malformed, and Unavailable where there is no room for it."""
        if self._spool.has_nul:
            self.refuse(Malformed("the message has a NUL"))
        if self.fault is None:
            try:
                self._spool.finish()
            except OSError as error:
                self._no_room(error)
        if self.fault is not None:
            raise self.fault
        return self._spool

    def close(self) -> None:
        """Give memory and file back; safe more than once."""
        self._spool.close()

    def _no_room(self, error: OSError) -> None:
        self.refuse(errors.Unavailable(f"no room to receive a message: {error.strerror}"))
