"""Telling who speaks another protocol to a port of ours: there is nothing to be gained from each of its lines."""

from __future__ import annotations

import re
from typing import Final

#: The first octet of every TLS record of a handshake (RFC 8446 §5.1); none of our commands begins with it.
_TLS: Final = b"\x16"
#: A request line (RFC 9112 §3).
_HTTP: Final = re.compile(rb"[!-~]+ [^\s]+ HTTP/\d\.\d\r?\n")


def stranger(data: bytes) -> str | None:
    """What is spoken instead of mail, by the first octets that have come; None if it may be what is served here."""
    if data.startswith(_TLS):
        return "TLS"
    return "HTTP" if _HTTP.match(data) else None
