"""Messages with UTF-8 in their headers, for clients that do not take that: the simplified downgrade of RFC 6858.

Addresses that are not ASCII become invalid ones, their names and the subject become encoded words (RFC 2047), parameters
of MIME fields and all other fields that are not ASCII are left out.  Bodies stay as they are.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator

from twisted_duck.mime.address import Address, addresses
from twisted_duck.mime.header import Field, fields, unfold
from twisted_duck.mime.scan import PartTree
from twisted_duck.mime.words import decode_words

#: RFC 6858 §2.1.
_ADDRESSES = frozenset(
    (
        b"bcc",
        b"cc",
        b"from",
        b"reply-to",
        b"resent-bcc",
        b"resent-cc",
        b"resent-from",
        b"resent-sender",
        b"resent-to",
        b"return-path",
        b"sender",
        b"to",
    )
)
#: It belongs to nobody (RFC 2606 §2).
_NOBODY = b"<invalid@internationalized-address.invalid>"
#: One parameter, or the value before the first; a quote without its second half is a letter.
_BETWEEN_SEMICOLONS = re.compile(rb'(?:"(?:[^"\\]|\\.)*+"|[^;"]|")++', re.DOTALL)
_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+")
_TO_ESCAPE = re.compile(rb'(["\\])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
#: So that an encoded word has at most 75 characters (RFC 2047 §2).
_WORD_OCTETS = 45
_QUESTION_MARKS = bytes(range(128)) + b"?" * 128


def downgrade(header: bytes) -> bytes:
    """A header of which all lines are ASCII; the same one if it is that already."""
    if header.isascii():
        return header
    kept: list[bytes] = []
    end = 0
    for field in fields(header):
        kept.append(_field(header, field))
        end = field.end
    # The blank line.
    kept.append(header[end:])
    return b"".join(kept).translate(_QUESTION_MARKS)


def _field(header: bytes, field: Field) -> bytes:
    whole = header[field.start : field.end]
    if whole.isascii():
        return whole
    name, value = header[field.start : field.value], header[field.value : field.end]
    if not name.isascii():
        return b""
    if field.name == b"subject":
        return b"%b %b\r\n" % (name, _words(decode_words(unfold(value))))
    if field.name in _ADDRESSES:
        return b"%b %b\r\n" % (name, _list(addresses(value)))
    if field.name.startswith(b"content-"):
        first, *parameters = _BETWEEN_SEMICOLONS.findall(unfold(value)) or [b""]
        if first.isascii():
            kept = [each.strip() for each in parameters if each.isascii()]
            return b"%b %b\r\n" % (name, b";\r\n ".join([first.strip(), *kept]))
    return b""


def _words(text: str) -> bytes:
    """Encoded words, one a line."""
    words: list[bytes] = []
    part = b""
    for character in _CONTROL.sub(" ", text):
        octets = character.encode("utf-8", "replace")
        if len(part) + len(octets) > _WORD_OCTETS:
            words.append(part)
            part = b""
        part += octets
    return b"\r\n ".join(b"=?utf-8?b?%b?=" % b64encode(each) for each in [*words, part])


def _list(found: Iterator[Address]) -> bytes:
    """Addresses, one a line."""
    lines: list[bytes] = []
    #: What comes before the next address: a comma, or a group's beginning.
    lead = b""
    for each in found:
        if each.host is None and each.mailbox is None:
            lines.append(b";")
            lead = b","
        elif each.host is None:
            lines.append(lead + b"\r\n " * bool(lead) + _name(each.mailbox or b"") + b":")
            lead = b""
        else:
            lines.append(lead + b"\r\n " * bool(lead) + _address(each))
            lead = b","
    return b"".join(lines)


def _address(address: Address) -> bytes:
    mailbox, host = address.mailbox or b"", address.host or b""
    if mailbox.isascii() and host.isascii():
        local = mailbox if _ATOM.fullmatch(mailbox) else _quoted(mailbox)
        place = b"<%b@%b>" % (local, host)
    else:
        place = _NOBODY
    name = address.name or (b"%b@%b" % (mailbox, host) if place is _NOBODY else b"")
    return b"%b %b" % (_name(name), place) if name else place


def _name(name: bytes) -> bytes:
    """A display name: words that are encoded already stay so."""
    if not name.isascii():
        return _words(decode_words(name))
    return name if b"=?" in name else _quoted(name)


def _quoted(text: bytes) -> bytes:
    return b'"%b"' % _TO_ESCAPE.sub(rb"\\\1", text)


class Downgrader:
    """A message that comes in pieces, with each header in it downgraded.

    The eight-bit octets of a header that is longer than `limit` become question marks, for it is not held.
    """

    def __init__(self, tree: PartTree, start: int, limit: int) -> None:
        """
        @param start: where in the message the first piece begins; no header is cut by that
        """
        self._at = start
        self._limit = limit
        headers = ((part.start, part.body) for part in tree.parts)
        self._headers = iter([(at, end) for at, end in headers if at >= start and at < end])
        self._next = next(self._headers, None)
        self._held = bytearray()
        self._too_long = False
        #: Octets of the header that was downgraded for the piece that `feed` gave last.
        self.downgraded = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What is to be sent instead, in pieces with one header at most: to downgrade one takes its time."""
        while data and self._next is not None:
            start, end = self._next
            inside = self._at >= start
            piece = data[: (end if inside else start) - self._at]
            data = data[len(piece) :]
            self._at += len(piece)
            is_whole = self._at == end
            if is_whole:
                self._next = next(self._headers, None)
            yield self._header(piece, is_whole) if inside else piece
            self.downgraded = 0
        self._at += len(data)
        yield data

    def _header(self, piece: bytes, last: bool) -> bytes:
        self._held += piece
        self._too_long = self._too_long or len(self._held) > self._limit
        if not (last or self._too_long):
            return b""
        held = bytes(self._held)
        self._held.clear()
        if not self._too_long:
            self.downgraded = len(held)
            return downgrade(held)
        self._too_long = not last
        return held.translate(_QUESTION_MARKS)
