"""Lines for people, and lines of people."""

from __future__ import annotations

import re

_NOT_TEXT = re.compile(r"[^\x20-\x7e]+")
#: Some clients show such a line in a dialogue; POP3 has room for 512 octets (RFC 2449 §4).
_TEXT_LENGTH = 300


def one_line(message: str) -> bytes:
    """A message for a person as one line of printable ASCII, whatever comes in; never empty."""
    return (_NOT_TEXT.sub(" ", message)[:_TEXT_LENGTH].strip() or "?").encode("ascii")


class LineEnds:
    """Looks whether a text that comes in pieces, cut anywhere, has line ends other than CRLF (RFC 5321 §2.3.8)."""

    def __init__(self) -> None:
        #: Whether there was an LF without CR before it, or a CR without LF behind it; of a CR at the end, ask `finish`.
        self.bare = False
        self._after_cr = False

    def feed(self, data: bytes) -> None:
        if not data:
            return
        if self._after_cr:
            data = b"\r" + data
        self._after_cr = data.endswith(b"\r")
        lines = data.count(b"\r\n")
        if data.count(b"\n") != lines or data.count(b"\r") - self._after_cr != lines:
            self.bare = True

    def finish(self) -> bool:
        """Whether there were any, now that the text is at its end."""
        return self.bare or self._after_cr


class FirstLines:
    """The first `count` lines of a text that comes in pieces; a line ends with LF, as `DotStuffer` has it."""

    def __init__(self, count: int) -> None:
        self._left = count

    @property
    def done(self) -> bool:
        """Whether nothing more belongs to them."""
        return not self._left

    def feed(self, data: bytes) -> bytes:
        """What of the next piece belongs to them."""
        lines = data.count(b"\n")
        if lines < self._left:
            self._left -= lines
            return data
        end = 0
        for _ in range(self._left):
            end = data.index(b"\n", end) + 1
        self._left = 0
        return data[:end]
