"""What SORT and THREAD compare of a message, read from its header once (RFC 5256 §2.1, §2.2, §3; RFC 5957 §3)."""

from __future__ import annotations

from twisted_duck.collation import casemap
from twisted_duck.limits import Limits
from twisted_duck.mime.address import Address, parsed
from twisted_duck.mime.header import Fields, first
from twisted_duck.mime.subject import base_subject
from twisted_duck.mime.words import decode_words
from twisted_duck.values import Order

_NOBODY = Address(None, None, None, None)


def order(fields: Fields, sent: int | None, limits: Limits) -> Order:
    """What of the header `fields` says where a message stands among others.  Never fails.

    @param sent: what its Date field says, as `date.sent_moment` reads it
    """
    subject, answers = base_subject(decode_words(first(fields, b"subject") or b""))
    most = limits.mime_sort_key
    sender, to, cc = (
        _first(fields, name, limits.mime_sort_address) for name in (b"from", b"to", b"cc")
    )
    sender_mailbox, to_mailbox = (
        decode_words(sender.mailbox or b""),
        decode_words(to.mailbox or b""),
    )
    return Order(
        sent=sent,
        subject=_key(subject, most),
        answers=answers,
        sender=_key(sender_mailbox, most),
        to=_key(to_mailbox, most),
        cc=_key(decode_words(cc.mailbox or b""), most),
        sender_name=_key(_display(sender) or sender_mailbox, most),
        to_name=_key(_display(to) or to_mailbox, most),
    )


def _first(fields: Fields, name: bytes, most: int) -> Address:
    for value in fields.get(name, ()):
        for address in parsed(value[:most]):
            return address
    return _NOBODY


def _display(address: Address) -> str:
    """What is shown of an address, if it has a name or a host."""
    name = decode_words(address.name) if address.name is not None else ""
    if not name and address.mailbox is not None and address.host is not None:
        name = decode_words(b"%b@%b" % (address.mailbox, address.host))
    return name


def _key(text: str, most: int) -> str:
    text = text[:most]
    if "\0" in text:
        text = text.replace("\0", "")
    key = casemap(text)[:most]
    if key.isascii():
        return key
    # Some charsets can spell lone surrogates, which are no text and can't be stored as such.
    return key.encode("utf-8", "replace").decode("utf-8")
