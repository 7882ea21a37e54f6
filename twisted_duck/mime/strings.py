"""Bytes as IMAP strings (RFC 3501 §4.3)."""

from __future__ import annotations

import re

_LONGEST_QUOTED = 1_000
"""Bytes in a quoted string; longer ones are literals, since clients cut lines at about this length."""
_QUOTED = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
#: What is quoted as it is.
_PLAIN = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]{0,%d}+\Z" % _LONGEST_QUOTED)


def string(value: bytes) -> bytes:
    """`value` as an IMAP string: quoted where it is 7-bit, short and on one line, else a literal.

    NUL cannot be said in either (RFC 3501 §9, CHAR8) and is left out.
    """
    if _PLAIN.match(value):
        return b'"' + value + b'"'
    value = value.replace(b"\0", b"")
    if len(value) <= _LONGEST_QUOTED and _QUOTED.match(value):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n" % len(value) + value
