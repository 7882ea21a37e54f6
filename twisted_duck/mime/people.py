"""What is said of an address field: each address as ENVELOPE has it, and the first one as SORT has it.

Both are remembered of short fields: ENVELOPE and SORT ask for the same ones, and most mail is to, and from, somebody who was
there before.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from attrs import frozen

from twisted_duck.mime.address import Address, addresses
from twisted_duck.mime.strings import string
from twisted_duck.mime.words import decode_words

#: Bytes of a field that is remembered (of one with more a reader may want the beginning only), and how many are.
SHORT: Final = 128
REMEMBERED: Final = 512


@frozen
class People:
    #: All addresses as ENVELOPE has them, b"" where there are none.
    written: bytes
    #: The first one's mailbox (the part before the @), and what is shown of it (RFC 5957 §3), decoded.
    mailbox: str
    shown: str


@lru_cache(REMEMBERED)
def people(value: bytes) -> People:
    """All that is said of the value of an address field of at most `SHORT` bytes."""
    found = list(addresses(value))
    if not found:
        return People(b"", "", "")
    return People(b"".join(map(written, found)), mailbox(found[0]), shown(found[0]))


def written(one: Address) -> bytes:
    """An address structure (RFC 3501 §7.4.2)."""
    return b"(%b %b %b %b)" % (
        b"NIL" if one.name is None else string(one.name),
        b"NIL" if one.adl is None else string(one.adl),
        b"NIL" if one.mailbox is None else string(one.mailbox),
        b"NIL" if one.host is None else string(one.host),
    )


def mailbox(one: Address) -> str:
    return decode_words(one.mailbox or b"")


def shown(one: Address) -> str:
    name = decode_words(one.name or b"")
    if not name and one.mailbox is not None and one.host is not None:
        name = decode_words(b"%b@%b" % (one.mailbox, one.host))
    return name or mailbox(one)
