"""Commands that change or copy messages: RFC 3501 §6.4.3, §6.4.6 to §6.4.8; RFC 4315; RFC 6851."""

from __future__ import annotations

from attrs import frozen

from twisted_duck.sequence import SequenceSet
from twisted_duck.values import FlagMode, Flags


@frozen
class Store:
    """STORE and UID STORE. `\\\\Recent` is never among `flags`."""

    set: SequenceSet
    mode: FlagMode
    flags: Flags
    silent: bool = False
    uid: bool = False


@frozen
class Copy:
    """COPY and UID COPY."""

    set: SequenceSet
    mailbox: str
    uid: bool = False


@frozen
class Move:
    """MOVE and UID MOVE, RFC 6851."""

    set: SequenceSet
    mailbox: str
    uid: bool = False


@frozen
class Expunge:
    """EXPUNGE, and UID EXPUNGE (RFC 4315 §2.1) with the UIDs it is limited to."""

    uids: SequenceSet | None = None
