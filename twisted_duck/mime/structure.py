"""ENVELOPE, BODYSTRUCTURE and BODY as the bytes that FETCH sends (RFC 3501 §7.4.2).

They are made once, when a message arrives. First, in the order of the message, each part's own strings are
written within a budget; then, from the last part to the first, each part takes in what is inside it. So neither
depth nor count can make this recurse, and whatever the budget leaves out, the result is valid grammar.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, frozen

from twisted_duck.limits import Limits
from twisted_duck.mime.address import addresses
from twisted_duck.mime.content import Parameters, disposition, languages
from twisted_duck.mime.head import Head
from twisted_duck.mime.header import Fields, first
from twisted_duck.mime.people import SHORT, people, written
from twisted_duck.mime.scan import DEFAULT_LIMITS, Data, Kind, PartTree, heads_of
from twisted_duck.mime.strings import string

_EMPTY_ENVELOPE: Final = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
_EMPTY_TEXT: Final = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
_NO_EXTENSION: Final = b" NIL NIL NIL NIL"
#: What few parts say of themselves, beside their type and how they are encoded.
_SELDOM: Final = frozenset(
    b"content-id content-description content-disposition content-language content-location"
    b" content-md5".split()
)
_US_ASCII: Final = ((b"charset", b"us-ascii"),)
# To find a member in its class takes as long as to call a function, in Python 3.11.
_OTHER, _TEXT, _MESSAGE, _MULTIPART = Kind
_SHORT_NAMES: Final = {
    Kind.OTHER: (b'"application"', b'"octet-stream"'),
    Kind.TEXT: (b'"text"', b'"plain"'),
    Kind.MESSAGE: (b'"message"', b'"rfc822"'),
    Kind.MULTIPART: (b'"multipart"', b'"mixed"'),
}


@frozen
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


def structure(tree: PartTree, heads: Sequence[Head], limits: Limits = DEFAULT_LIMITS) -> Structure:
    """All three for the message of `tree`; `heads` are what `scan_with_heads` read of its parts."""
    budget = _Budget(limits.mime_structure, limits.mime_addresses)
    own = [_own(tree, number, head, budget) for number, head in enumerate(heads)]
    whole = [(b"", b"")] * len(own)
    for number in range(len(own) - 1, -1, -1):
        one, kind = own[number], tree.parts[number].kind
        if kind is not _MULTIPART and kind is not _MESSAGE:
            whole[number] = (
                b"(%b%b%b)" % (one.before, one.after, one.extension),
                b"(%b%b)" % (one.before, one.after),
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
    return Structure(
        _envelope(heads[0].fields, _Budget(limits.mime_structure, limits.mime_addresses)),
        whole[0][0],
        whole[0][1],
    )


def envelope(data: Data, tree: PartTree, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """ENVELOPE of the message `data`."""
    return structure(tree, heads_of(data, tree, limits), limits).envelope


def bodystructure(data: Data, tree: PartTree, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """BODYSTRUCTURE of the message `data`, with extension data."""
    return structure(tree, heads_of(data, tree, limits), limits).bodystructure


def body(data: Data, tree: PartTree, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """BODY of the message `data`: BODYSTRUCTURE without extension data."""
    return structure(tree, heads_of(data, tree, limits), limits).body


# --- ENVELOPE ---------------------------------------------------------------------------------------------------------


def _envelope(found: Fields, budget: _Budget) -> bytes:
    subject = first(found, b"subject")
    if subject is not None:
        subject = b" ".join(subject.split())
    date, sender = _nstring(first(found, b"date"), budget), _people(found, b"from", budget)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        date,
        _nstring(subject, budget),
        sender,
        _or(_people(found, b"sender", budget), sender),
        _or(_people(found, b"reply-to", budget), sender),
        _people(found, b"to", budget),
        _people(found, b"cc", budget),
        _people(found, b"bcc", budget),
        _nstring(first(found, b"in-reply-to"), budget),
        _nstring(first(found, b"message-id"), budget),
    )


def _or(value: bytes, default: bytes) -> bytes:
    return default if value == b"NIL" else value


def _nstring(value: bytes | None, budget: _Budget) -> bytes:
    if value is None:
        return b"NIL"
    text = string(value)
    return text if budget.take(text) else b"NIL"


def _people(found: Fields, name: bytes, budget: _Budget) -> bytes:
    values = found.get(name)
    if values is None:
        return b"NIL"
    pieces: list[bytes] = []
    for value in values:
        value = budget.readable(value)
        if len(value) <= SHORT and budget.take(whole := people(value).written):
            pieces.append(whole)
            continue
        for one in addresses(value):
            item = written(one)
            if not budget.take(item):
                return _list(pieces)
            pieces.append(item)
    return _list(pieces)


def _list(pieces: list[bytes]) -> bytes:
    whole = b"".join(pieces)
    return b"(%b)" % whole if whole else b"NIL"


# --- BODYSTRUCTURE ----------------------------------------------------------------------------------------------------


@frozen
class _Own:
    """What a part says of itself, to be put around what is inside it."""

    before: bytes
    after: bytes
    extension: bytes
    #: ENVELOPE where the part is an embedded message.
    envelope: bytes


def _own(tree: PartTree, number: int, head: Head, budget: _Budget) -> _Own:
    part = tree.parts[number]
    kind = part.kind
    found = head.fields
    type_ = head.type
    names = string(type_.type), string(type_.subtype)
    if not budget.take(names[0] + names[1]):
        names = _SHORT_NAMES[kind]
    said = type_.parameters
    if kind is _TEXT and type_.charset is None:
        said += _US_ASCII
    parameters = _parameters(said, budget)
    is_plain = _SELDOM.isdisjoint(found)
    extension = b" NIL NIL NIL" if is_plain else _extension(found, budget)
    embedded = part.parent >= 0 and tree.parts[part.parent].kind is _MESSAGE
    own_envelope = _envelope(found, budget) if embedded else b""
    if kind is _MULTIPART:
        return _Own(b"", b" " + names[1], b" " + parameters + extension, own_envelope)
    id_ = description = digest = b"NIL"
    if not is_plain:
        id_ = _nstring(first(found, b"content-id"), budget)
        description = _nstring(first(found, b"content-description"), budget)
    encoding = _encoding(head.encoding, budget)
    if not is_plain:
        digest = _nstring(first(found, b"content-md5"), budget)
    return _Own(
        b"%b %b %b %b %b %b %d"
        % (*names, parameters, id_, description, encoding, part.end - part.body),
        b"" if kind is _OTHER else b" %d" % part.lines,
        b" " + digest + extension,
        own_envelope,
    )


def _extension(found: Fields, budget: _Budget) -> bytes:
    return b" %b %b %b" % (
        _disposition(found, budget),
        _languages(found, budget),
        _nstring(first(found, b"content-location"), budget),
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


def _encoding(value: bytes | None, budget: _Budget) -> bytes:
    name = string(value or b"7bit")
    return name if budget.take(name) else b'"8bit"'


def _parameters(parameters: Parameters, budget: _Budget) -> bytes:
    items = []
    for name, value in parameters:
        item = string(name) + b" " + string(value)
        if not budget.take(item):
            break
        items.append(item)
    return b"(%b)" % b" ".join(items) if items else b"NIL"


def _disposition(found: Fields, budget: _Budget) -> bytes:
    value = first(found, b"content-disposition")
    parsed = None if value is None else disposition(value)
    if parsed is None:
        return b"NIL"
    name = string(parsed.value)
    if not budget.take(name):
        return b"NIL"
    return b"(%b %b)" % (name, _parameters(parsed.parameters, budget))


def _languages(found: Fields, budget: _Budget) -> bytes:
    value = first(found, b"content-language")
    tags = b"" if value is None else b" ".join(map(string, languages(value)))
    return b"(%b)" % tags if tags and budget.take(tags) else b"NIL"
