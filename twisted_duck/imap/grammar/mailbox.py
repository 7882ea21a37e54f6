"""Commands about mailboxes: RFC 3501 §6.3, §6.4.1, §6.4.2; UNSELECT (RFC 3691).

A mailbox is a `str`, decoded from modified UTF-7, with INBOX in upper case.
"""

from __future__ import annotations

import enum

from attrs import frozen


@frozen
class Select:
    """SELECT and EXAMINE, RFC 3501 §6.3.1, §6.3.2."""

    mailbox: str
    readonly: bool = False


@frozen
class Create:
    """CREATE, RFC 3501 §6.3.3. The delimiter that may stand at the end of the name is taken off."""

    mailbox: str


@frozen
class Delete:
    """DELETE, RFC 3501 §6.3.4."""

    mailbox: str


@frozen
class Rename:
    """RENAME, RFC 3501 §6.3.5."""

    source: str
    target: str


@frozen
class Subscribe:
    """SUBSCRIBE, RFC 3501 §6.3.6."""

    mailbox: str


@frozen
class Unsubscribe:
    """UNSUBSCRIBE, RFC 3501 §6.3.7."""

    mailbox: str


@frozen
class List:
    """LIST, RFC 3501 §6.3.8: decoded, with `*` and `%` still in `patterns`.

    There is one pattern; RFC 5258 allows for several.
    """

    reference: str
    patterns: tuple[str, ...]


@frozen
class Lsub:
    """LSUB, RFC 3501 §6.3.9."""

    reference: str
    pattern: str


class StatusItem(enum.Enum):
    """What STATUS can be asked for, by the name on the wire."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    APPENDLIMIT = "APPENDLIMIT"


@frozen
class Status:
    """STATUS, RFC 3501 §6.3.10 (APPENDLIMIT: RFC 7889): each item once, in the order asked."""

    mailbox: str
    items: tuple[StatusItem, ...]


@frozen
class Check:
    """CHECK, RFC 3501 §6.4.1."""


@frozen
class Close:
    """CLOSE, RFC 3501 §6.4.2."""


@frozen
class Unselect:
    """UNSELECT, RFC 3691."""
