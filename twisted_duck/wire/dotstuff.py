"""Multi-line answers and mail data: a dot more where a line begins with one, and a line of one dot at the end.

RFC 1939 §3 and RFC 5321 §4.5.2 share the rule; what differs here is what counts as the end of a line.

**Who writes** (`DotStuffer`) can't know how strictly the other side reads.  A stored message may have bare LFs, and many
readers take one for the end of a line: to them a lone dot between two bare LFs would end the message, and the rest of it
would be read as answers.  So a dot is doubled behind every LF.  Nothing else is changed, above all no line end: what is
sent has the size that was announced.

**Who reads** (`DotReader`) must know: a message that has another end for us than for whoever sent it on can carry
commands (smuggling).  Only CRLF ends a line, only `CRLF . CRLF` ends the data, and a bare LF or CR is reported, for the
protocol to refuse the message.
"""

from __future__ import annotations

_DOT = 0x2E


class DotStuffer:
    """Writes one multi-line answer; `feed` takes its text in pieces cut anywhere, `finish` ends it."""

    def __init__(self) -> None:
        #: The last two octets that were written: where nothing was, a line begins.
        self._tail = b"\r\n"

    def feed(self, data: bytes) -> bytes:
        """What to send for the next piece."""
        if not data:
            return b""
        begins_with_dot = self._tail[-1:] == b"\n" and data[0] == _DOT
        self._tail = (self._tail + data[-2:])[-2:]
        stuffed = data.replace(b"\n.", b"\n..")
        return b"." + stuffed if begins_with_dot else stuffed

    def finish(self) -> bytes:
        """The end of the last line, where it has none, and the line that ends the answer."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


_END = b"\r\n.\r\n"
#: What a piece may end with that the next one may make the end of the data, the longest first.
_BEGINNINGS = tuple(_END[:length] for length in range(len(_END) - 1, 0, -1))


class DotReader:
    """Reads mail data up to its end; `feed` takes the octets in pieces cut anywhere and answers the text in them.

    Once `ended` is true, `rest` has the octets behind the end: they are commands (RFC 2920).  Memory is bounded by the
    pieces.
    """

    def __init__(self) -> None:
        self.ended = False
        self.rest = b""
        #: Whether there was an LF without CR before it, or a CR without LF behind it (RFC 5321 §2.3.8).
        self.bare = False
        # The data begins at a line's beginning: as if a CRLF had come before, which is not part of it.
        self._held = b"\r\n"
        self._skip = 2

    def feed(self, data: bytes) -> bytes:
        """Raises ValueError after the end."""
        if self.ended:
            raise ValueError("the data have ended")
        raw = self._held + data
        end = raw.find(_END)
        if end >= 0:
            self.ended = True
            self.rest = raw[end + len(_END) :]
            return self._text(raw[: end + 2])
        self._held = next((each for each in _BEGINNINGS if raw.endswith(each)), b"")
        return self._text(raw[: len(raw) - len(self._held)])

    def _text(self, raw: bytes) -> bytes:
        """Never cut within a CRLF, nor between one and the dot behind it: that much is held back."""
        lines = raw.count(b"\r\n")
        if raw.count(b"\n") != lines or raw.count(b"\r") != lines:
            self.bare = True
        text = raw.replace(b"\r\n.", b"\r\n")
        if self._skip and raw:
            text, self._skip = text[self._skip :], 0
        return text
