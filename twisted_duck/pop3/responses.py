"""Values into the bytes of RFC 1939 §3: what the server says.  Complete lines, CRLF included."""

from __future__ import annotations

from twisted_duck.errors import DuckError
from twisted_duck.wire.lines import one_line

#: The end of an answer of more than one line.
END = b".\r\n"


def ok(message: str) -> bytes:
    return b"+OK %b\r\n" % _text(message)


def err(message: str, code: str | None = None) -> bytes:
    """`-ERR [code] message` (RFC 2449 §8, RFC 3206)."""
    if code is None:
        return b"-ERR %b\r\n" % _text(message)
    return b"-ERR [%b] %b\r\n" % (code.encode("ascii"), _text(message))


def failure(error: DuckError) -> bytes:
    return err(error.message, error.pop3)


def continuation(challenge: bytes) -> bytes:
    """A challenge, in base64 already (RFC 5034 §4)."""
    return b"+ %b\r\n" % challenge


def _text(message: str) -> bytes:
    """What begins with a bracket is a response code to clients that know them (RFC 2449 §8)."""
    return one_line(message).lstrip(b"[") or b"?"
