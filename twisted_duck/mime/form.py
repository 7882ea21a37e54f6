"""What a part is by what it says of itself: its Content-Type and its Content-Transfer-Encoding, read together.

The same few stand above most parts of all mail.  What is short is read once, for the part tree and for BODYSTRUCTURE.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Final

from attrs import field, frozen

from twisted_duck.mime.content import ContentType, Parameters, content_type, transfer_encoding
from twisted_duck.mime.strings import string


class Kind(IntEnum):
    """What a part is built like."""

    OTHER = 0
    TEXT = 1
    #: message/rfc822 or message/global; it has one child, the embedded message, unless it is encoded or too deep.
    MESSAGE = 2
    MULTIPART = 3


class Encoding(IntEnum):
    """Content-Transfer-Encoding (RFC 2045 §6); IDENTITY is 7bit, 8bit and binary."""

    IDENTITY = 0
    BASE64 = 1
    QUOTED_PRINTABLE = 2
    OTHER = 3


_ENCODINGS: Final = {
    b"7bit": Encoding.IDENTITY,
    b"8bit": Encoding.IDENTITY,
    b"binary": Encoding.IDENTITY,
    b"base64": Encoding.BASE64,
    b"quoted-printable": Encoding.QUOTED_PRINTABLE,
}
_DIGEST: Final = (b"multipart", b"digest")
_MESSAGES: Final = {(b"message", b"rfc822"), (b"message", b"global")}
_TEXT: Final = ContentType(b"text", b"plain")
_OPAQUE: Final = ContentType(b"application", b"octet-stream")
_EMBEDDED: Final = ContentType(b"message", b"rfc822")
_US_ASCII: Final = ((b"charset", b"us-ascii"),)
#: Bytes of the two fields together that are remembered, and how many of them.
_SHORT: Final = 128
_REMEMBERED: Final = 512


@frozen
class Form:
    """`type` and `mechanism` (None where there is none) are as they were written; all else is what they say."""

    type: ContentType
    mechanism: bytes | None
    kind: Kind
    encoding: Encoding = field(init=False, eq=False)
    #: Whether there may be parts inside.
    is_open: bool = field(init=False, eq=False)
    #: What BODYSTRUCTURE has: type and subtype, the parameters, the mechanism.
    names: tuple[bytes, bytes] = field(init=False, eq=False)
    parameters: Parameters = field(init=False, eq=False)
    encoded: bytes = field(init=False, eq=False)

    @encoding.default
    def _by_mechanism(self) -> Encoding:
        if self.mechanism is None:
            return Encoding.IDENTITY
        return _ENCODINGS.get(self.mechanism.lower(), Encoding.OTHER)

    @is_open.default
    def _may_have_parts(self) -> bool:
        """A message may not be encoded at all (RFC 2046 §5.2.1), so an encoding that nobody knows is most likely a
        misspelt `8bit`."""
        if self.kind is Kind.MESSAGE:
            return self.encoding in (Encoding.IDENTITY, Encoding.OTHER)
        return self.kind is Kind.MULTIPART

    @names.default
    def _quoted_names(self) -> tuple[bytes, bytes]:
        return string(self.type.type), string(self.type.subtype)

    @parameters.default
    def _with_charset(self) -> Parameters:
        said = self.type.parameters
        return said + _US_ASCII if self.kind is Kind.TEXT and self.type.charset is None else said

    @encoded.default
    def _quoted_mechanism(self) -> bytes:
        return string(self.mechanism or b"7bit")

    @cached_property
    def listed(self) -> bytes:
        """All the parameters, however many, as a list."""
        return parameter_list([parameter(name, value) for name, value in self.parameters])

    def settled(self, kind: Kind) -> Form:
        """With the type that goes with `kind`.

        A multipart without a usable boundary is text, as a Content-Type with a syntax error is (RFC 2045 §5.2);
        what is beyond the limits is bytes.
        """
        if kind is self.kind:
            return self
        return Form(_TEXT if kind is Kind.TEXT else _OPAQUE, self.mechanism, kind)

    @property
    def is_digest(self) -> bool:
        """Whether its parts are messages unless they say what they are (RFC 2046 §5.1.5)."""
        return self.type.kind == _DIGEST


def form(type_: bytes | None, mechanism: bytes | None, in_digest: bool = False) -> Form:
    """Of the values of the two fields, None where there is none."""
    if len(type_ or b"") + len(mechanism or b"") > _SHORT:
        return _form(type_, mechanism, in_digest)
    return _usual(type_, mechanism, in_digest)


def _form(type_: bytes | None, mechanism: bytes | None, in_digest: bool) -> Form:
    if type_ is None:
        read = _EMBEDDED if in_digest else _TEXT
    else:
        read = content_type(type_) or _TEXT
    return Form(read, None if mechanism is None else transfer_encoding(mechanism), _kind(read))


_usual = lru_cache(_REMEMBERED)(_form)


def _kind(type_: ContentType) -> Kind:
    kind = type_.kind
    if kind[0] == b"text":
        return Kind.TEXT
    if kind[0] == b"multipart":
        return Kind.MULTIPART
    return Kind.MESSAGE if kind in _MESSAGES else Kind.OTHER


def parameter(name: bytes, value: bytes) -> bytes:
    """As BODYSTRUCTURE has it."""
    return string(name) + b" " + string(value)


def parameter_list(written: list[bytes]) -> bytes:
    return b"(%b)" % b" ".join(written) if written else b"NIL"
