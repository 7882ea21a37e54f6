"""What SORT and THREAD compare of a message, read from its header once (RFC 5256 §2.1, §2.2, §3; RFC 5957 §3)."""

from __future__ import annotations

from twisted_duck.collation import casemap
from twisted_duck.limits import Limits
from twisted_duck.mime.address import Address, addresses
from twisted_duck.mime.date import sent_moment
from twisted_duck.mime.header import Fields, first
from twisted_duck.mime.subject import base_subject
from twisted_duck.mime.words import decode_words
from twisted_duck.values import Order

_NOBODY = Address(None, None, None, None)


def order(fields: Fields, limits: Limits) -> Order:
    """What of the header `fields` says where a message stands among others.  Never fails."""
    subject, answers = base_subject(decode_words(first(fields, b"subject") or b""))
    date = first(fields, b"date")
    sender, to, cc = (_first(fields, name, limits) for name in (b"from", b"to", b"cc"))
    return Order(
        sent=None if date is None else sent_moment(date),
        subject=_key(subject, limits),
        answers=answers,
        sender=_mailbox(sender, limits),
        to=_mailbox(to, limits),
        cc=_mailbox(cc, limits),
        sender_name=_display(sender, limits),
        to_name=_display(to, limits),
    )


def _first(fields: Fields, name: bytes, limits: Limits) -> Address:
    for value in fields.get(name, ()):
        for address in addresses(value[: limits.mime_sort_address]):
            return address
    return _NOBODY


def _mailbox(address: Address, limits: Limits) -> str:
    return _key(decode_words(address.mailbox or b""), limits)


def _display(address: Address, limits: Limits) -> str:
    name = decode_words(address.name or b"")
    if not name and address.mailbox is not None and address.host is not None:
        name = decode_words(b"%b@%b" % (address.mailbox, address.host))
    return _key(name or decode_words(address.mailbox or b""), limits)


def _key(text: str, limits: Limits) -> str:
    most = limits.mime_sort_key
    key = casemap(text[:most].replace("\0", ""))[:most]
    if key.isascii():
        return key
    # Some charsets can spell lone surrogates, which are no text and can't be stored as such.
    return key.encode("utf-8", "replace").decode("utf-8")
