"""ENVELOPE, BODYSTRUCTURE and BODY as the bytes that FETCH sends (RFC 3501 §7.4.2).

They are made once, when a message arrives. First, in the order of the message, each part's own strings are
written within a budget; then, from the last part to the first, each part takes in what is inside it. So neither
depth nor count can make this recurse, and whatever the budget leaves out, the result is valid grammar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from attrs import define

from twisted_duck.light import light
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.mime.address import addresses
from twisted_duck.mime.content import Parameters, disposition, languages
from twisted_duck.mime.form import Kind, parameter, parameter_list
from twisted_duck.mime.head import Head
from twisted_duck.mime.header import Fields, first, unfold
from twisted_duck.mime.people import SHORT, people, written
from twisted_duck.mime.scan import Data, PartTree, heads_of
from twisted_duck.mime.strings import string

_EMPTY_ENVELOPE: Final = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
_EMPTY_TEXT: Final = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
_NO_EXTENSION: Final = b" NIL NIL NIL NIL"
#: What few parts say of themselves, beside their type and how they are encoded.
_SELDOM: Final = frozenset(
    b"content-id content-description content-disposition content-language content-location"
    b" content-md5".split()
)
#: Bytes of these lists that a byte of a header comes to, at the most (of `:;`, a group without a name or members, 35), and a part
#: that says nothing.
_OF_A_BYTE: Final = 20
_OF_A_PART: Final = 64
# To find a member in its class takes as long as to call a function, in Python 3.11.
_OTHER, _TEXT, _MESSAGE, _MULTIPART = Kind
_SHORT_NAMES: Final = {
    Kind.OTHER: (b'"application"', b'"octet-stream"'),
    Kind.TEXT: (b'"text"', b'"plain"'),
    Kind.MESSAGE: (b'"message"', b'"rfc822"'),
    Kind.MULTIPART: (b'"multipart"', b'"mixed"'),
}


@light
class Structure:
    """The three lists, parentheses included."""

    envelope: bytes
    bodystructure: bytes
    body: bytes


@define
class _Budget:
    #: Bytes that may still be written.
    left: int
    #: Bytes of address fields that may still be read.
    addresses: int

    def take(self, data: bytes) -> bool:
        if len(data) > self.left:
            return False
        self.left -= len(data)
        return True

    def readable(self, field: bytes) -> bytes:
        """As much of an address field as may be read."""
        if len(field) > self.addresses:
            field = field[: self.addresses].rpartition(b",")[0]
            self.addresses = len(field)
        self.addresses -= len(field)
        return field


def structure(tree: PartTree, heads: Sequence[Head], limits: Limits = DEFAULTS) -> Structure:
    """All three for the message of `tree`; `heads` are what `scan_with_heads` read of its parts."""
    parts = tree.parts
    size = 0
    for part in parts:
        size += part.body - part.start
    most = _OF_A_BYTE * size + _OF_A_PART * len(parts)
    # Of headers as short as nearly all are nothing can be too much.
    is_short = most <= limits.mime_structure and size <= limits.mime_addresses
    budget = None if is_short else _Budget(limits.mime_structure, limits.mime_addresses)
    above = None if is_short else _Budget(limits.mime_structure, limits.mime_addresses)
    own = [_own(tree, number, head, budget) for number, head in enumerate(heads)]
    whole = [(b"", b"")] * len(own)
    for number in range(len(own) - 1, -1, -1):
        one, kind = own[number], parts[number].kind
        if kind is not _MULTIPART and kind is not _MESSAGE:
            whole[number] = (
                b"".join((b"(", one.before, one.after, one.extension, b")")),
                b"".join((b"(", one.before, one.after, b")")),
            )
            continue
        inside = tree.children[number]
        whole[number] = _assembled(
            kind,
            one,
            own[inside[0]].envelope if inside else _EMPTY_ENVELOPE,
            b"".join([whole[child][0] for child in inside]),
            b"".join([whole[child][1] for child in inside]),
        )
        for child in inside:
            whole[child] = (b"", b"")
    return Structure(_envelope(heads[0].fields, above), whole[0][0], whole[0][1])


def envelope(data: Data, tree: PartTree, limits: Limits = DEFAULTS) -> bytes:
    """ENVELOPE of the message `data`."""
    return structure(tree, heads_of(data, tree, limits), limits).envelope


def bodystructure(data: Data, tree: PartTree, limits: Limits = DEFAULTS) -> bytes:
    """BODYSTRUCTURE of the message `data`, with extension data."""
    return structure(tree, heads_of(data, tree, limits), limits).bodystructure


def body(data: Data, tree: PartTree, limits: Limits = DEFAULTS) -> bytes:
    """BODY of the message `data`: BODYSTRUCTURE without extension data."""
    return structure(tree, heads_of(data, tree, limits), limits).body


# --- ENVELOPE ---------------------------------------------------------------------------------------------------------


def _envelope(found: Fields, budget: _Budget | None) -> bytes:
    date, author, subject, sender, reply_to, *others = [
        say(found[name], budget) if name in found else b"NIL" for name, say in _ENVELOPE.items()
    ]
    sender = author if sender == b"NIL" else sender
    reply_to = author if reply_to == b"NIL" else reply_to
    return b"(" + b" ".join((date, subject, author, sender, reply_to, *others)) + b")"


def _first(values: Sequence[bytes], budget: _Budget | None) -> bytes:
    text = string(unfold(values[0]))
    return text if budget is None or budget.take(text) else b"NIL"


def _subject(values: Sequence[bytes], budget: _Budget | None) -> bytes:
    text = string(b" ".join(unfold(values[0]).split()))
    return text if budget is None or budget.take(text) else b"NIL"


def _people(values: Sequence[bytes], budget: _Budget | None) -> bytes:
    pieces: list[bytes] = []
    for value in values:
        if budget is not None:
            value = budget.readable(value)
        if len(value) <= SHORT:
            whole = people(value).written
            if budget is None or budget.take(whole):
                pieces.append(whole)
                continue
        for one in addresses(value):
            item = written(one)
            if budget is not None and not budget.take(item):
                return _list(pieces)
            pieces.append(item)
    return _list(pieces)


def _list(pieces: list[bytes]) -> bytes:
    whole = b"".join(pieces)
    return b"(" + whole + b")" if whole else b"NIL"


#: How each field is said, in the order in which they have what room there is.
_ENVELOPE: Final = {
    b"date": _first,
    b"from": _people,
    b"subject": _subject,
    b"sender": _people,
    b"reply-to": _people,
    b"to": _people,
    b"cc": _people,
    b"bcc": _people,
    b"in-reply-to": _first,
    b"message-id": _first,
}


# --- BODYSTRUCTURE ----------------------------------------------------------------------------------------------------


@light
class _Own:
    """What a part says of itself, to be put around what is inside it."""

    before: bytes
    after: bytes
    extension: bytes
    #: ENVELOPE where the part is an embedded message.
    envelope: bytes


def _own(tree: PartTree, number: int, head: Head, budget: _Budget | None) -> _Own:
    part, found, form = tree.parts[number], head.fields, head.form
    kind = part.kind
    names = form.names
    if budget is not None and not budget.take(names[0] + names[1]):
        names = _SHORT_NAMES[kind]
    parameters = form.listed if budget is None else _parameters(form.parameters, budget)
    is_plain = _SELDOM.isdisjoint(found)
    extension = b" NIL NIL NIL" if is_plain else _extension(found, budget)
    embedded = part.parent >= 0 and tree.parts[part.parent].kind is _MESSAGE
    own_envelope = _envelope(found, budget) if embedded else b""
    if kind is _MULTIPART:
        return _Own(b"", b" " + names[1], b" " + parameters + extension, own_envelope)
    id_ = description = digest = b"NIL"
    if not is_plain:
        id_ = _nstring(found, b"content-id", budget)
        description = _nstring(found, b"content-description", budget)
    encoding = form.encoded
    if budget is not None and not budget.take(encoding):
        encoding = b'"8bit"'
    if not is_plain:
        digest = _nstring(found, b"content-md5", budget)
    size = b"%d" % (part.end - part.body)
    return _Own(
        b" ".join((*names, parameters, id_, description, encoding, size)),
        b"" if kind is _OTHER else b" %d" % part.lines,
        b" " + digest + extension,
        own_envelope,
    )


def _extension(found: Fields, budget: _Budget | None) -> bytes:
    return b" %b %b %b" % (
        _disposition(found, budget),
        _languages(found, budget),
        _nstring(found, b"content-location", budget),
    )


def _assembled(
    kind: Kind, own: _Own, inner_envelope: bytes, structures: bytes, bodies: bytes
) -> tuple[bytes, bytes]:
    """A multipart or a message: it must have something inside; where nothing was found, an empty text stands for it."""
    structures = structures or _EMPTY_TEXT + _NO_EXTENSION + b")"
    bodies = bodies or _EMPTY_TEXT + b")"
    if kind is _MESSAGE:
        structures = b" %b %b" % (inner_envelope, structures)
        bodies = b" %b %b" % (inner_envelope, bodies)
    return (
        b"(%b%b%b%b)" % (own.before, structures, own.after, own.extension),
        b"(%b%b%b)" % (own.before, bodies, own.after),
    )


def _nstring(found: Fields, name: bytes, budget: _Budget | None) -> bytes:
    return _first(found[name], budget) if name in found else b"NIL"


def _parameters(parameters: Parameters, budget: _Budget | None) -> bytes:
    items = []
    left = math.inf if budget is None else budget.left
    for name, value in parameters:
        item = parameter(name, value)
        left -= len(item)
        if left < 0:
            break
        items.append(item)
    if budget is not None:
        budget.left -= sum(map(len, items))
    return parameter_list(items)


def _disposition(found: Fields, budget: _Budget | None) -> bytes:
    value = first(found, b"content-disposition")
    parsed = None if value is None else disposition(value)
    if parsed is None:
        return b"NIL"
    name = string(parsed.value)
    if budget is not None and not budget.take(name):
        return b"NIL"
    return b"(%b %b)" % (name, _parameters(parsed.parameters, budget))


def _languages(found: Fields, budget: _Budget | None) -> bytes:
    value = first(found, b"content-language")
    tags = b"" if value is None else b" ".join(map(string, languages(value)))
    if not tags or (budget is not None and not budget.take(tags)):
        return b"NIL"
    return b"(%b)" % tags
