"""Values into the bytes of RFC 5321 §4.2 and RFC 2034: what the server says.  Complete lines, CRLF included."""

from __future__ import annotations

from collections.abc import Sequence

from twisted_duck.errors import DuckError
from twisted_duck.lmtp.address import Address
from twisted_duck.wire.lines import one_line

#: RFC 5321 §4.1.1.4; an intermediate reply has no enhanced code (RFC 2034 §4).
GO_AHEAD = b"354 the message, and CRLF . CRLF behind it\r\n"


def greeting(hostname: str, session: str) -> bytes:
    """RFC 2033 §3."""
    return b"220 %b LMTP Twisted Duck is ready, session %b\r\n" % (
        one_line(hostname),
        one_line(session),
    )


def hello(hostname: str, keywords: Sequence[str]) -> bytes:
    """The answer to LHLO (RFC 5321 §4.1.1.1), without an enhanced code."""
    lines = [one_line(hostname), *(keyword.encode("ascii") for keyword in keywords)]
    last = lines.pop()
    return b"".join(b"250-%b\r\n" % line for line in lines) + b"250 %b\r\n" % last


def reply(code: str, message: str) -> bytes:
    """@param code: the reply code and the enhanced one, as C{"250 2.0.0"}"""
    return b"%b %b\r\n" % (code.encode("ascii"), one_line(message))


def failure(error: DuckError) -> bytes:
    return reply(error.smtp, error.message)


def outcome(recipient: Address, error: DuckError | None) -> bytes:
    """What became of the message for one recipient (RFC 2033 §4.2)."""
    if error is None:
        return reply("250 2.0.0", f"<{recipient}> has the message")
    return reply(error.smtp, f"<{recipient}> {error.message}")
