"""The flags of a message in an mbox: header fields that mail programs add and take away.

Of `Status`, `X-Status` and `X-Keywords` the last of each in the header is the mbox's and not the message's: it is taken
away when a message is read.  All three are added, behind all others, when one is written, so that fields of these names
that a message came with are not mistaken for them.  `X-Mozilla-Status` is looked at, and left where it is.
"""

from __future__ import annotations

import re

from twisted_duck.cli.files.source import keywords
from twisted_duck.limits import Limits
from twisted_duck.values import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flags

#: Field -> letter -> flag.
_LETTERS = {
    b"status": {"R": SEEN},
    b"x-status": {"A": ANSWERED, "F": FLAGGED, "D": DELETED, "T": DRAFT},
}
_KEYWORDS = b"x-keywords"

#: Bits of X-Mozilla-Status, a hexadecimal number.
_BITS = {
    0x0001: SEEN,
    0x0002: ANSWERED,
    0x0004: FLAGGED,
    0x0008: DELETED,
    0x1000: "$Forwarded",
}
_MOZILLA = b"x-mozilla-status"

_FIELD = re.compile(
    rb"^(?P<name>Status|X-Status|X-Keywords|X-Mozilla-Status)[ \t]*:"
    rb"(?P<value>[^\n]*(?:\n[ \t]+[^\r\n][^\n]*)*)(?:\n|\Z)",
    re.MULTILINE | re.IGNORECASE,
)
_EMPTY_LINE = re.compile(rb"^\r?\n", re.MULTILINE)


def take_fields(message: bytes, limits: Limits) -> tuple[bytes, Flags]:
    """The message without those fields, and the flags they tell."""
    last = {found["name"].lower(): found for found in _FIELD.finditer(message, 0, _end(message))}
    flags: set[str] = set()
    pieces: list[bytes] = []
    at = 0
    for name, found in sorted(last.items(), key=lambda item: item[1].start()):
        flags.update(_flags(name, found["value"].decode("ascii", "replace"), limits))
        if name != _MOZILLA:
            pieces.append(message[at : found.start()])
            at = found.end()
    pieces.append(message[at:])
    return b"".join(pieces), frozenset(flags)


def add_fields(message: bytes, flags: Flags) -> bytes:
    """The message with its flags in it."""
    values = [
        "".join(letter for letter, flag in letters.items() if flag in flags)
        for letters in _LETTERS.values()
    ]
    values[0] += "O"
    values.append(" ".join(sorted(flag for flag in flags if not flag.startswith("\\"))))
    fields = b"".join(
        f"{name}: {value}\r\n".encode()
        for name, value in zip(("Status", "X-Status", "X-Keywords"), values, strict=True)
    )
    end = _end(message)
    header = message[:end]
    if header and not header.endswith(b"\n"):
        header += b"\r\n"
    return header + fields + message[end:]


def _end(message: bytes) -> int:
    """Where the header ends: at the first empty line, or with the message."""
    found = _EMPTY_LINE.search(message)
    return found.start() if found else len(message)


def _flags(name: bytes, value: str, limits: Limits) -> set[str]:
    if name == _MOZILLA:
        try:
            number = int(value.strip(), 16)
        except ValueError:
            return set()
        return {flag for bit, flag in _BITS.items() if number & bit}
    if name == _KEYWORDS:
        return set(keywords(value.split(), limits))
    return {flag for letter, flag in _LETTERS[name].items() if letter in value}
