"""Names of mailboxes as names of files: one level to a name, in modified UTF-7 with the dot encoded as well.

Maildir++ puts the levels into one name with dots between them (`.Work.2024`).  Folders of other programs are in
modified UTF-7 in whatever form, or in UTF-8; a name that is neither is taken as it is read.
"""

from __future__ import annotations

import binascii
import re

from twisted_duck.imap import utf7

_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encode_level(level: str) -> str:
    """A file name for one level; it has neither a dot nor a slash."""
    encoded = utf7.encode(level).decode("ascii")
    return encoded.replace(".", "&AC4-").replace("/", "&AC8-")


def decode_level(name: str) -> str:
    """The level that a file name, as `os.listdir` gives it, stands for.  It has no slash, but may be no valid name."""
    if not name.isascii():
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        level = _ENCODED.sub(lambda found: _decode(found[1]), name)
    except ValueError:
        return name
    return name if "/" in level else level


def _decode(base64: str) -> str:
    if not base64:
        return "&"
    padded = base64.replace(",", "/") + "=" * (-len(base64) % 4)
    return binascii.a2b_base64(padded).decode("utf-16-be")


def encode_maildir(levels: tuple[str, ...]) -> str:
    """The Maildir++ folder; "" for the top."""
    return "".join("." + encode_level(level) for level in levels)


def decode_maildir(folder: str) -> tuple[str, ...]:
    """The levels of a Maildir++ folder's name, which begins with a dot."""
    return tuple(decode_level(level) for level in folder[1:].split("."))
