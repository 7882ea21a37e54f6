"""FETCH and UID FETCH: RFC 3501 §6.4.5, §6.4.8."""

from __future__ import annotations

import enum
from typing import TypeAlias

from attrs import frozen

from twisted_duck.mime.section import Section
from twisted_duck.sequence import SequenceSet


class Attribute(enum.Enum):
    """What FETCH can be asked for besides body text, by the name on the wire.

    BODY is BODYSTRUCTURE without extension data.
    """

    FLAGS = "FLAGS"
    UID = "UID"
    INTERNALDATE = "INTERNALDATE"
    RFC822_SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"


@frozen
class Partial:
    """`<start.count>`: octets from `start` (0-based); `count` is at least 1."""

    start: int
    count: int


@frozen
class FetchBody:
    """A section of the message, or a slice of one.

    Unless `peek`, reading it sets `\\\\Seen`. `label` is the name under which the answer goes out,
    without the slice's origin: `BODY[1.MIME]`, or `RFC822.TEXT` for the items of old that are
    answered under their own names.
    """

    section: Section
    label: bytes
    partial: Partial | None = None
    peek: bool = False

    @property
    def response_name(self) -> bytes:
        """The label with the origin of the slice: `BODY[TEXT]<100>`."""
        if self.partial is None:
            return self.label
        return b"%b<%d>" % (self.label, self.partial.start)


FetchItem: TypeAlias = Attribute | FetchBody


@frozen
class Fetch:
    """Items in the order asked, each once, macros resolved.

    UID FETCH answers with the UID whether `items` name it or not.
    """

    set: SequenceSet
    items: tuple[FetchItem, ...]
    uid: bool = False
