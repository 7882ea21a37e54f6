"""Cutting a byte stream into lines, counted octets, and IMAP commands with literals, without I/O.

Theory of operation
===================

The owner feeds whatever arrives and pulls events until it is told `NEED_DATA`. Nothing is parsed
before it is pulled, so the owner can stop between two events, change the limits (a login made
them larger), throw away what was received ahead of a TLS handshake, or read the next line in
another way (the base64 of AUTHENTICATE, the DONE of IDLE).

Bytes that wait are in one `bytearray`. The search for a line's end goes on where it stopped, and
stops at the limit; so a line that arrives one byte at a time costs as much as one that arrives
whole, and memory is bounded by what the owner feeds, not by what the client means to send.

What is too long is told once, as a `TooLong` event, as soon as that is certain. The rest of it is
dropped as it arrives, up to its true end, so that nothing in the middle of a refused command is
ever taken for a command. For an IMAP command the true end takes some care:

    a1 LOGIN {500+}         a non-synchronising literal: 500 octets follow whatever we answer, then
                            the rest of the command, which may announce more literals
    a1 LOGIN {500}          a synchronising literal: nothing follows unless we ask for it; when
                            we don't, the command has ended with this line (RFC 3501 §7.5)

A command that is too long is searched for such an announcement at the end of each of its lines.

A line ends with CRLF. A bare LF ends one too, as Dovecot and Cyrus have it: programs that talk to
a server by hand send it, and no grammar served here has a use for LF inside a line. A bare CR
stays in the line, for the grammar to refuse.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Final, TypeAlias
from typing import Literal as OneOf

from attrs import frozen

from twisted_duck.light import light
from twisted_duck.limits import Limits

HEAD = 64
"""Octets of a line that is too long which are shown to the owner: enough for the tag."""

ENDLESS = 2**63 - 1
"""Octets in a literal whose size has more digits than any real one: it has no end."""


class NeedData(enum.Enum):
    NEED_DATA = "NEED_DATA"


NEED_DATA: Final = NeedData.NEED_DATA


@light
class Line:
    """One line without its end."""

    data: bytes


@light
class LiteralHeader:
    """`{size}`, `{size+}` (RFC 7888) or `~{size}` (RFC 3516)."""

    size: int
    synchronising: bool
    binary: bool = False


@light
class Text:
    """Command text: up to the announcement of a literal, which is left out, or up to the command's end.

    Where a literal is announced, call `accept()` or `refuse()` now.
    """

    data: bytes
    literal: LiteralHeader | None = None


@light
class LiteralData:
    """The next octets of an accepted literal; behind the last ones more `Text` of the command follows.

    They are only empty where the literal is.
    """

    data: bytes
    last: bool = True


@frozen
class TooLong:
    """A limit was passed: what was being read is over, the next event belongs to what follows it.

    `what` names the limit: one line, a whole command, or the number of literals. `head` is the
    beginning of the line that was being read.
    """

    what: OneOf["line", "command", "literals"]
    head: bytes


CommandEvent: TypeAlias = Text | LiteralData | TooLong


@frozen
class FrameLimits:
    """What one command may take: octets in a line, octets in all its lines and the literals that
    are held in memory, and how many of these literals."""

    line: int
    command: int
    literals: int

    @classmethod
    def before_login(cls, limits: Limits) -> FrameLimits:
        return cls(
            limits.line_before_login, limits.command_before_login, limits.literals_per_command
        )

    @classmethod
    def after_login(cls, limits: Limits) -> FrameLimits:
        return cls(limits.line_after_login, limits.command_after_login, limits.literals_per_command)


class LineFramer:
    """Lines and counted octets: all that POP3 and LMTP need."""

    __slots__ = ("_buffer", "_searched", "_skipping")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._buffer += data

    @property
    def buffered(self) -> int:
        """Octets that were fed and not yet read: above a bound, stop the transport."""
        return len(self._buffer)

    def discard(self) -> None:
        """Forget everything that was fed, and in the middle of what it ended (STARTTLS)."""
        self._buffer.clear()
        self._searched = 0
        self._skipping = False

    def next_line(self, limit: int) -> Line | TooLong | NeedData:
        """The next line, if it has at most `limit` octets without its end."""
        if not self._finish_skipping():
            return NEED_DATA
        line = self._take_line(limit)
        match line:
            case None:
                return NEED_DATA
            case bytes():
                return Line(line)
            case head:
                self._skipping = True
                return TooLong("line", bytes(head))

    def next_octets(self, limit: int) -> bytes:
        """Up to `limit` octets of what has arrived, line ends or not; empty when nothing has."""
        if not self._finish_skipping():
            return b""
        return self._take(min(limit, len(self._buffer)))

    def lines_ahead(self, limit: int) -> Iterator[bytes]:
        """The whole lines that wait, without their ends, up to one with more than `limit` octets; they stay to be read."""
        at = 0
        while not self._skipping:
            end = self._buffer.find(b"\n", at, at + limit + 2)
            line = bytes(self._buffer[at : max(end, at)]).removesuffix(b"\r")
            if end < 0 or len(line) > limit:
                return
            yield line
            at = end + 1

    def put_back(self, octets: bytes) -> None:
        """Octets of `next_octets` that were not meant by it: they are read again, before all that came after them."""
        self._buffer[:0] = octets
        self._searched = 0

    @property
    def is_dropping(self) -> bool:
        """Whether what is fed now still belongs to what was too long or refused."""
        return self._skipping

    def _finish_skipping(self) -> bool:
        """Whether what is to be dropped has ended."""
        if self._skipping:
            self._skipping = self._skip_line() is None
        return not self._skipping

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._searched = 0
        return taken

    def _take_line(self, limit: int) -> bytes | bytearray | None:
        """A whole line as bytes, None while it is incomplete, its head as a bytearray if too long.

        A line that is too long is left where it is.
        """
        # The LF stands at index `limit + 1` at the latest, behind a CR.
        reach = limit + 2
        end = self._buffer.find(b"\n", self._searched, reach)
        if end < 0:
            self._searched = min(len(self._buffer), reach)
            return None if self._searched < reach else self._buffer[: min(HEAD, limit)]
        length = end - 1 if end and self._buffer[end - 1] == 0x0D else end
        if length > limit:
            return self._buffer[: min(HEAD, limit)]
        return self._take(end + 1)[:length]

    def _skip_line(self, keep: int = 0) -> bytes | None:
        """Drop up to the end of the line, and answer its last octets, `keep` of them at most.

        None while the line has not ended; its last octets stay in the buffer for then.
        """
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            # One octet more than is kept: the CR.
            del self._buffer[: max(0, len(self._buffer) - keep - 1)]
            self._searched = len(self._buffer)
            return None
        line = self._take(end + 1)[:-1].removesuffix(b"\r")
        return line[len(line) - min(keep, len(line)) :]


class _State(enum.Enum):
    TEXT = enum.auto()
    ANSWER = enum.auto()
    LITERAL = enum.auto()
    SKIP_LITERAL = enum.auto()
    SKIP_TEXT = enum.auto()


class CommandFramer(LineFramer):
    """IMAP commands: lines joined by literals (RFC 3501 §2.2.1, §4.3).

    The events of one command are, any number of times, `Text` with a literal and its `LiteralData`,
    and then `Text` without one. It is cut short by `TooLong` or by `refuse()`. `limits` may be set
    at any time; `next_line` may be used between two commands.
    """

    __slots__ = ("_header", "_literals", "_refused", "_remaining", "_spent", "_state", "limits")

    def __init__(self, limits: FrameLimits) -> None:
        super().__init__()
        self.limits = limits
        #: What is to be told of a literal that was not accepted.
        self._refused: TooLong | None = None
        self._begin()

    def _begin(self) -> None:
        self._state = _State.TEXT
        self._spent = 0
        self._literals = 0
        self._remaining = 0
        self._header: LiteralHeader | None = None

    @property
    def is_dropping(self) -> bool:
        return super().is_dropping or self._state in (_State.SKIP_LITERAL, _State.SKIP_TEXT)

    def discard(self) -> None:
        super().discard()
        self._refused = None
        self._begin()

    def next_line(self, limit: int) -> Line | TooLong | NeedData:
        if self._refused or self._spent or self._state in (_State.ANSWER, _State.LITERAL):
            raise RuntimeError("a line was asked for in the middle of a command")
        return super().next_line(limit)

    def next_event(self) -> CommandEvent | NeedData:
        """The next event of this command or the next one."""
        if self._refused is not None:
            event, self._refused = self._refused, None
            return event
        if self._state is _State.TEXT and not self._skipping:
            return self._text() if self._buffer else NEED_DATA
        if self._state is _State.ANSWER:
            raise RuntimeError("a literal was announced: accept() or refuse() comes first")
        if not self._finish_skipping():
            return NEED_DATA
        return self._literal() if self._state is _State.LITERAL else self._text()

    def accept(self, *, streamed: bool = False) -> bool:
        """Have the announced literal: its data follow as events, if the answer is True.

        If it was announced as synchronising, the owner now sends the `+`. A literal that is
        `streamed` to somewhere else counts for no limit: the owner has looked at its size. Any
        other that does not fit is refused here, False is answered, and `TooLong` comes next.
        """
        header = self._announced()
        if not streamed:
            if self._literals >= self.limits.literals:
                return self._refuse_as("literals")
            if self._spent + header.size > self.limits.command:
                return self._refuse_as("command")
            self._literals += 1
            self._spent += header.size
        self._state = _State.LITERAL
        self._remaining = header.size
        return True

    def refuse(self) -> None:
        """Do without the announced literal, and so without the command.

        What a client sends of it unasked is dropped: the literal if it is not synchronising, and
        then the rest of the command.
        """
        self._drop_literal(self._announced())

    def _announced(self) -> LiteralHeader:
        if self._state is not _State.ANSWER or self._header is None:
            raise RuntimeError("no literal was announced")
        return self._header

    def _refuse_as(self, what: OneOf["command", "literals"]) -> bool:
        self.refuse()
        self._refused = TooLong(what, b"")
        return False

    def _drop_literal(self, header: LiteralHeader) -> None:
        self._begin()
        if not header.synchronising:
            self._state = _State.SKIP_LITERAL
            self._remaining = header.size

    def _text(self) -> CommandEvent | NeedData:
        room = self.limits.command - self._spent
        line = self._take_line(max(0, min(self.limits.line, room)))
        if line is None:
            return NEED_DATA
        if isinstance(line, bytearray):
            self._begin()
            self._state = _State.SKIP_TEXT
            return TooLong("line" if self.limits.line <= room else "command", bytes(line))
        self._spent += len(line)
        announced = announcement(line)
        if announced is None:
            self._begin()
            return Text(line)
        end, self._header = announced
        self._state = _State.ANSWER
        return Text(line[:end], self._header)

    def _literal(self) -> CommandEvent | NeedData:
        data = self._take(min(self._remaining, len(self._buffer)))
        self._remaining -= len(data)
        if self._remaining:
            return LiteralData(data, last=False) if data else NEED_DATA
        self._state = _State.TEXT
        return LiteralData(data)

    def _finish_skipping(self) -> bool:
        if not super()._finish_skipping():
            return False
        while True:
            if self._state is _State.SKIP_LITERAL:
                self._remaining -= len(self._take(min(self._remaining, len(self._buffer))))
                if self._remaining:
                    return False
                self._state = _State.SKIP_TEXT
            if self._state is not _State.SKIP_TEXT:
                return True
            tail = self._skip_line(keep=HEAD)
            if tail is None:
                return False
            announced = announcement(tail, cut=len(tail) == HEAD)
            self._begin()
            if announced is not None:
                self._drop_literal(announced[1])


_ANNOUNCEMENT = re.compile(rb"(~?)\{([0-9]+)(\+?)\}")
_CUT_ANNOUNCEMENT = re.compile(rb"()([0-9]+)(\+?)\}")


def announcement(line: bytes, *, cut: bool = False) -> tuple[int, LiteralHeader] | None:
    """The literal announced at the end of a line, and where its announcement begins.

    No IMAP command can end in `{5}` otherwise: neither an atom nor a quoted string does. With `cut`
    the beginning of the line is missing, and digits may be all that is left of an announcement.
    """
    if not line.endswith(b"}"):
        return None
    start = line.rfind(b"{")
    if start > 0 and line[start - 1] == 0x7E:
        start -= 1
    found = _ANNOUNCEMENT.fullmatch(line, max(start, 0))
    if found is None and cut and start < 0:
        found = _CUT_ANNOUNCEMENT.fullmatch(line)
    if found is None:
        return None
    tilde, digits, plus = found.groups()
    digits = digits.lstrip(b"0") or b"0"
    # A longer number costs quadratic time to read, and no client could ever send so much.
    size = int(digits) if len(digits) < len(str(ENDLESS)) else ENDLESS
    if cut and start < 0:
        size = ENDLESS
    return found.start(), LiteralHeader(size, not plus, bool(tilde))
