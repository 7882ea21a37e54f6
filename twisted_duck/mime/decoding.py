"""Content-Transfer-Encodings undone piece by piece (RFC 2045 §6), in time that is linear in what comes in.

What is broken is decoded as far as it goes; nothing here fails.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Final, Protocol

from twisted_duck.mime.form import Encoding
from twisted_duck.mime.words import NOT_BASE64, base64_bytes

#: White space at the end of a line, the whole of it: what a relay may have put there (RFC 2045 §6.7, rule 3).
_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
#: An equals sign that neither escapes anything nor breaks the line.
_LITERAL = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")
_HEXADECIMAL = b"0123456789ABCDEFabcdef"
#: Octets of white space beyond which nobody waits for a line end behind it.
_WHITE: Final = 4096


class Decoder(Protocol):
    def feed(self, data: bytes) -> bytes:
        """What can be said of the data so far, and was not said before."""

    def finish(self) -> bytes:
        """The rest: nothing more comes."""


class Base64:
    """Each run that ends in padding stands for itself; what is not in the alphabet is passed over (§6.8)."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data.translate(None, NOT_BASE64)
        # Groups of four count from the last padding on.
        whole = len(data) - (len(data) - data.rfind(b"=") - 1) % 4
        self._held = data[whole:]
        return base64_bytes(data[:whole])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return base64_bytes(held)


class QuotedPrintable:
    """An equals sign that escapes nothing stands for itself (§6.7)."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        whole = _settled(data)
        self._held = data[whole:]
        return _unquoted(data[:whole])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        # What ends here would go on, or ends with the line that has no end.
        return _unquoted(held.rstrip(b" \t").removesuffix(b"="))


def _settled(data: bytes) -> int:
    """Up to where `data` means the same whatever follows it."""
    end = len(data)
    at = end - 1 if data.endswith(b"\r") else end
    before = data[max(at - _WHITE, 0) : at]
    at -= len(before) - len(before.rstrip(b" \t"))
    if data[at - 1 : at] == b"=":
        return at - 1
    if at == end and data[at - 2 : at - 1] == b"=" and data[at - 1] in _HEXADECIMAL:
        return at - 2
    return at


def _unquoted(data: bytes) -> bytes:
    data = _TRAILING.sub(b"", data)
    if b"=" not in data:
        return data
    # Before soft line breaks go: what they join is no escape.
    data = _LITERAL.sub(b"=3D", data)
    return binascii.a2b_qp(data.replace(b"=\r\n", b"").replace(b"=\n", b""))


class LineEnds:
    """Lines that end with LF alone end with CRLF."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        self._held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(self._held)]
        return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return held


#: Those that change anything.
DECODERS: Final[dict[Encoding, Callable[[], Decoder]]] = {
    Encoding.BASE64: Base64,
    Encoding.QUOTED_PRINTABLE: QuotedPrintable,
}
