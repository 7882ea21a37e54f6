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
