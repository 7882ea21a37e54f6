"""APPEND (RFC 3501 §6.3.11), in a shape that MULTIAPPEND (RFC 3502) fits too."""

from __future__ import annotations

import datetime

from attrs import frozen

from twisted_duck.imap.grammar.cursor import Literal
from twisted_duck.values import Flags


@frozen
class AppendArgument:
    """One message to be appended; `date` is aware, None where the client left it to the server."""

    literal: Literal
    flags: Flags = frozenset()
    date: datetime.datetime | None = None


@frozen
class Append:
    mailbox: str
    messages: tuple[AppendArgument, ...]
