"""Sections of a message as IMAP names them (RFC 3501 §6.4.5, `section-spec`)."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

SectionText = Literal["HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]


@frozen
class Section:
    """What stands between the brackets of `BODY[...]`.

    `part` is the part number (`2.1` is `(2, 1)`, the whole message `()`), `text` the specifier after
    it, `fields` the field names of HEADER.FIELDS and HEADER.FIELDS.NOT as the client sent them.
    """

    part: tuple[int, ...] = ()
    text: SectionText | None = None
    fields: tuple[bytes, ...] = field(default=())
