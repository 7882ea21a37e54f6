"""Mailboxes as they stand in MAIL and RCPT (RFC 5321 §4.1.2, RFC 6531 §3.3).

Strict where two readers could disagree on who is meant, and so on everything but one thing: an underscore is taken in a
domain, since mail from such hosts exists and the one who asks us has accepted it already.  Nothing is normalised here:
case, IDN and Unicode forms are the affair of whoever looks the address up.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

from twisted_duck.light import light

# Beyond ASCII: everything but the C1 controls.
_ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\xa0-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~\xa0-\U0010ffff]|\\[ -~])*+)"')
_ESCAPED = re.compile(r"\\(.)")
_TO_ESCAPE = re.compile(r'(["\\])')
_LABEL = (
    r"[A-Za-z0-9_\xa0-\U0010ffff](?:[A-Za-z0-9_\-\xa0-\U0010ffff]*[A-Za-z0-9_\xa0-\U0010ffff])?"
)
_LABELS = re.compile(r"[A-Za-z0-9_.\-\xa0-\U0010ffff]+")
_LABEL_ONLY = re.compile(_LABEL)
_LITERAL = re.compile(r"\[([0-9A-Za-z:.]{1,60})\]")
# A label in UTF-8 is shorter as an A-label or as long; DNS takes no more (RFC 1035 §2.3.4).
_LABEL_OCTETS = 63
_DOMAIN_OCTETS = 255


@light
class Address:
    """A mailbox: the local part without quotes, and the domain (or `[literal]`) as it was written.

    The domain is None for Postmaster alone (RFC 5321 §4.5.1).
    """

    local: str
    domain: str | None

    @property
    def is_ascii(self) -> bool:
        return self.local.isascii() and (self.domain is None or self.domain.isascii())

    def __str__(self) -> str:
        """As it stands between angle brackets, quoted only where it must be."""
        local = self.local
        if not _DOT_STRING.fullmatch(local):
            local = '"' + _TO_ESCAPE.sub(r"\\\1", local) + '"'
        return local if self.domain is None else f"{local}@{self.domain}"


def read_local(text: str, at: int) -> tuple[str, int] | None:
    """The local part at `at` and where it ends, or None."""
    found = _DOT_STRING.match(text, at)
    if found is not None:
        return found[0], found.end()
    found = _QUOTED.match(text, at)
    if found is not None and found[1]:
        return _ESCAPED.sub(r"\1", found[1]), found.end()
    return None


def read_domain(text: str, at: int) -> tuple[str, int] | None:
    """The domain or address literal at `at` and where it ends, or None."""
    found = _LITERAL.match(text, at)
    if found is not None:
        return (found[0], found.end()) if _is_ip(found[1]) else None
    found = _LABELS.match(text, at)
    if found is None or not _is_domain(found[0]):
        return None
    return found[0], found.end()


def _is_domain(name: str) -> bool:
    return len(name.encode()) <= _DOMAIN_OCTETS and all(
        _LABEL_ONLY.fullmatch(label) and (not label.isascii() or len(label) <= _LABEL_OCTETS)
        for label in name.split(".")
    )


def _is_ip(literal: str) -> bool:
    """RFC 5321 §4.1.3; there are no others than these two."""
    try:
        if literal[:5].upper() == "IPV6:":
            IPv6Address(literal[5:])
        else:
            IPv4Address(literal)
    except ValueError:
        return False
    return True
