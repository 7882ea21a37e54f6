"""What SORT and THREAD compare of a message, read from its header once (RFC 5256 §2.1, §2.2, §3; RFC 5957 §3)."""

from __future__ import annotations

from collections.abc import Sequence

from twisted_duck.collation import casemap
from twisted_duck.limits import Limits
from twisted_duck.mime.address import addresses
from twisted_duck.mime.header import Fields, first
from twisted_duck.mime.people import SHORT, mailbox, people, shown
from twisted_duck.mime.subject import base_subject
from twisted_duck.mime.words import decode_words
from twisted_duck.values import Order


def order(fields: Fields, sent: int | None, limits: Limits) -> Order:
    """What of the header `fields` says where a message stands among others.  Never fails.

    @param sent: what its Date field says, as `date.sent_moment` reads it
    """
    subject, answers = base_subject(decode_words(first(fields, b"subject") or b""))
    most, longest = limits.mime_sort_key, limits.mime_sort_address
    sender, sender_name = _first(fields.get(b"from"), longest)
    to, to_name = _first(fields.get(b"to"), longest)
    cc, _ = _first(fields.get(b"cc"), longest)
    return Order(
        sent=sent,
        subject=_key(subject, most),
        answers=answers,
        sender=_key(sender, most),
        to=_key(to, most),
        cc=_key(cc, most),
        sender_name=_key(sender_name, most),
        to_name=_key(to_name, most),
    )


def _first(values: Sequence[bytes] | None, longest: int) -> tuple[str, str]:
    """Of the first address its mailbox, and what is shown of it."""
    for value in values or ():
        value = value[:longest]
        if len(value) <= SHORT:
            known = people(value)
            if known.written:
                return known.mailbox, known.shown
        else:
            for address in addresses(value):
                return mailbox(address), shown(address)
    return "", ""


def _key(text: str, most: int) -> str:
    if text.isascii() and "\0" not in text:
        return text[:most].upper()
    key = casemap(text[:most].replace("\0", ""))[:most]
    # Some charsets can spell lone surrogates, which are no text and can't be stored as such.
    return key.encode("utf-8", "replace").decode("utf-8")
