"""How strings compare: the collation i;unicode-casemap (RFC 5051, RFC 5255 §4.2).

A string is made ready once; after that it is compared as it stands.  (Python compares strings by code points, which is
the order of their octets in UTF-8.)
"""

from __future__ import annotations

import unicodedata
from typing import Final

_KNOWN = 1 << 16
"""Characters of which it is remembered what they become; a message with more starts the table anew."""


class _Mapped(dict[int, str]):
    def __missing__(self, point: int) -> str:
        if len(self) >= _KNOWN:
            self.clear()
        mapped = self[point] = decomposed(chr(point))
        return mapped


def decomposed(character: str) -> str:
    """One character in title case, taken apart (RFC 5051 §2, step 2)."""
    return unicodedata.normalize("NFKD", one(character.title(), character))


def one(mapped: str, character: str) -> str:
    """The simple case mapping, which is always one character, where the full one may be more."""
    return mapped if len(mapped) == 1 else character


_mapped: Final = _Mapped()


def casemap(text: str) -> str:
    """`text` so that strings which are equal are the same, and others are in their order.

    Each character is mapped by itself: no run of combining marks is ever sorted, so the cost is linear.
    """
    return text.upper() if text.isascii() else text.translate(_mapped)


_OPPOSITE: Final = bytes(255 - octet for octet in range(256))


def descending(mapped: str) -> bytes:
    """What has the opposite order of strings that `casemap` answered."""
    # Where one string begins with the other the longer one is to come first: an end that is above every octet of UTF-8
    # turned round, but for NUL.
    octets = mapped.replace("\0", "").encode("utf-8", "surrogatepass")
    return octets.translate(_OPPOSITE) + b"\xff"
