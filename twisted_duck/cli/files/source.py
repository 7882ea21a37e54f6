"""What a mailbox in files gives and takes, whatever its format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol

from attrs import frozen

from twisted_duck.limits import Limits
from twisted_duck.values import Flags

_ATOM = re.compile(r"[^\x00-\x20\x7f-\U0010ffff(){%*\"\\\]]+")


class NotThisFormat(Exception):
    """A path does not have what it was said to have; the message is one line that says why."""


@frozen
class Loaded:
    """A message as it goes into the store: lines end in CRLF.  `date` is aware, None if the file tells none."""

    data: bytes
    flags: Flags
    date: datetime | None


class SourceMessage(Protocol):
    """One message that was found.  Both methods read it, and fail with OSError."""

    @property
    def label(self) -> str:
        """Where it is, for people."""

    @property
    def size(self) -> int:
        """Bytes in the file, about what it will have in the store; known without reading them."""

    def key(self) -> bytes:
        """What is the same whenever this message is found again, and different for every other in its mailbox."""

    def load(self) -> Loaded: ...


class SourceMailbox(Protocol):
    @property
    def label(self) -> str:
        """Where it is, for people."""

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels of its name below whatever it is imported to; () for the top."""

    def __len__(self) -> int:
        """How many messages it has."""

    def __iter__(self) -> Iterator[SourceMessage]:
        """Them, in the order in which they arrived, as far as the files tell."""


class Writer(Protocol):
    """Writes one mailbox."""

    def add(self, uid: int, data: bytes, flags: Flags, date: datetime) -> None:
        """`data` as it is in the store.  Fails with OSError."""

    def close(self) -> None:
        """Nothing more will be added."""


def keywords(names: Iterable[str], limits: Limits) -> Iterator[str]:
    """Those that can be keywords in the store: IMAP atoms (RFC 3501 §9) within the bound."""
    return (name for name in names if _ATOM.fullmatch(name) and len(name) <= limits.keyword)
