"""Modified UTF-7, the encoding of mailbox names (RFC 3501 §5.1.3).

Printable US-ASCII stands for itself and `&` is written `&-`. All else is UTF-16BE in base64 with
`,` for `/` and without padding, between `&` and `-`. Every name has exactly one encoding, and only
that one is accepted: two spellings of one name would be two mailboxes to a client, and one to us.
"""

from __future__ import annotations

import binascii
import re

from twisted_duck.errors import Cannot

_SHIFTED = re.compile(r"&|[^\x20-\x7e]+")
_PIECES = re.compile(rb"&([A-Za-z0-9+,]*)-|[\x20-\x25\x27-\x7e]+")


def encode(name: str) -> bytes:
    """The one encoding of `name`. Raises UnicodeEncodeError for a lone surrogate."""
    return _SHIFTED.sub(lambda found: _shift(found[0]), name).encode("ascii")


def decode(encoded: bytes) -> str:
    """The name that `encoded` stands for; raises Cannot for anything `encode` would not write."""
    if (
        b"&" not in encoded
        and encoded.isascii()
        and (name := encoded.decode("ascii")).isprintable()
    ):
        return name
    pieces: list[str] = []
    at = 0
    while at < len(encoded):
        piece = _PIECES.match(encoded, at)
        if piece is None:
            raise Cannot(f"mailbox name is not modified UTF-7 at octet {at + 1}")
        pieces.append(piece[0].decode("ascii") if piece[1] is None else _unshift(piece[1], at))
        at = piece.end()
    name = "".join(pieces)
    if encode(name) != encoded:
        raise Cannot("mailbox name is not in the one form of modified UTF-7 that is allowed for it")
    return name


def _shift(text: str) -> str:
    if text == "&":
        return "&-"
    base64 = binascii.b2a_base64(text.encode("utf-16-be"), newline=False)
    return "&" + base64.rstrip(b"=").replace(b"/", b",").decode("ascii") + "-"


def _unshift(base64: bytes, at: int) -> str:
    if not base64:
        return "&"
    padded = base64.replace(b",", b"/") + b"=" * (-len(base64) % 4)
    try:
        return binascii.a2b_base64(padded).decode("utf-16-be")
    except ValueError:
        raise Cannot(f"mailbox name has broken base64 or UTF-16 at octet {at + 1}") from None
