"""Mailbox names: what they may be, and how they lie above one another.

Names are decoded `str`s with `/` between their levels.  The protocol and every store keep to the same rules.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from twisted_duck.errors import Cannot
from twisted_duck.limits import Limits
from twisted_duck.values import DELIMITER

INBOX = "INBOX"

#: What a new account has, and what each is for (RFC 6154).
DEFAULT_MAILBOXES: dict[str, str | None] = {
    INBOX: None,
    "Drafts": "\\Drafts",
    "Sent": "\\Sent",
    "Junk": "\\Junk",
    "Trash": "\\Trash",
    "Archive": "\\Archive",
}


def canonical(name: str) -> str:
    """`name` with INBOX in upper case where that is its first level (RFC 3501 §5.1)."""
    first, delimiter, rest = name.partition(DELIMITER)
    return INBOX + delimiter + rest if first.upper() == INBOX else name


def check_name(name: str, limits: Limits) -> None:
    """Raise Cannot, saying why, for a name under which no mailbox may be made."""
    if len(name.encode("utf-8", "surrogatepass")) > limits.mailbox_name:
        raise Cannot(f"mailbox name is longer than {limits.mailbox_name} octets")
    levels = name.split(DELIMITER)
    if len(levels) > limits.mailbox_depth:
        raise Cannot(f"mailbox name has more than {limits.mailbox_depth} levels")
    if not all(levels):
        raise Cannot("mailbox name is empty, or has an empty level")
    if canonical(name) != name:
        raise Cannot("mailbox name begins with INBOX in other letters")
    if name.startswith("#"):
        raise Cannot("mailbox name begins with '#', which is for namespaces")
    # Else two names could look the same, and a client would not find again what it has made (RFC 5198 §3, RFC 9051 §5.1).
    if not unicodedata.is_normalized("NFC", name):
        raise Cannot("mailbox name is not in normal form C")
    # Control characters, lone surrogates, and the separators of lines and paragraphs: RFC 5198 §2.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise Cannot("mailbox name contains a control character")


def ancestors(name: str) -> Iterator[str]:
    """The names above `name`, the nearest first."""
    at = name.rfind(DELIMITER)
    while at > 0:
        name = name[:at]
        yield name
        at = name.rfind(DELIMITER)


def is_beneath(name: str, above: str) -> bool:
    """Whether `above` is an ancestor of `name`."""
    return name.startswith(above + DELIMITER)
