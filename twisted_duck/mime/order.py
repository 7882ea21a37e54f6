"""What SORT and THREAD compare of a message, read from its header once (RFC 5256 §2.1, §2.2, §3; RFC 5957 §3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from twisted_duck.collation import casemap
from twisted_duck.limits import Limits
from twisted_duck.mime.address import addresses
from twisted_duck.mime.header import Fields, first
from twisted_duck.mime.people import REMEMBERED, SHORT, mailbox, people, shown
from twisted_duck.mime.subject import base_subject
from twisted_duck.mime.words import decode_words
from twisted_duck.values import Order


def order(fields: Fields, sent: int | None, limits: Limits) -> Order:
    """What of the header `fields` says where a message stands among others.  Never fails.

    @param sent: what its Date field says, as `date.sent_moment` reads it
    """
    subject, answers = base_subject(decode_words(first(fields, b"subject") or b""))
    sender, sender_name = _first(fields.get(b"from"), limits)
    to, to_name = _first(fields.get(b"to"), limits)
    cc, _ = _first(fields.get(b"cc"), limits)
    return Order(
        sent=sent,
        subject=_key(subject, limits.mime_sort_key),
        answers=answers,
        sender=sender,
        to=to,
        cc=cc,
        sender_name=sender_name,
        to_name=to_name,
    )


def _first(values: Sequence[bytes] | None, limits: Limits) -> tuple[str, str]:
    """Of the first address its mailbox, and what is shown of it."""
    for value in values or ():
        value = value[: limits.mime_sort_address]
        keys = _usual if len(value) <= SHORT else _long
        if found := keys(value, limits.mime_sort_key):
            return found
    return "", ""


@lru_cache(REMEMBERED)
def _usual(value: bytes, most: int) -> tuple[str, str] | None:
    known = people(value)
    return (_key(known.mailbox, most), _key(known.shown, most)) if known.written else None


def _long(value: bytes, most: int) -> tuple[str, str] | None:
    for address in addresses(value):
        return _key(mailbox(address), most), _key(shown(address), most)
    return None


def _key(text: str, most: int) -> str:
    if text.isascii() and "\0" not in text:
        return text[:most].upper()
    key = casemap(text[:most].replace("\0", ""))[:most]
    # Some charsets can spell lone surrogates, which are no text and can't be stored as such.
    return key.encode("utf-8", "replace").decode("utf-8")
