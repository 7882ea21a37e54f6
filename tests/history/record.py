"""What clients asked for and were answered: the one thing that the checker believes.

Times are seconds of one clock, that of the process the clients are in.  `began` is before the first byte was sent that could
have had the effect, `ended` after the answer was read, or the connection lost: whatever became of it did so in between, or
(UNKNOWN) later.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import attrs


class Outcome(enum.Enum):
    """What the client knows."""

    #: 250, OK: it was done.
    DONE = "done"
    #: 4xx, NO for now: it was not done.
    LATER = "later"
    #: 5xx, NO for good: it was not done.
    NEVER = "never"
    #: The connection was lost before the answer.
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Event:
    """One request, as far as it concerns one user."""

    client: str
    #: The server process that was asked.
    server: str
    began: float
    ended: float
    outcome: Outcome
    #: The last line of the server, or why there is none.
    answer: str
    user: str

    @property
    def messages(self) -> tuple[str, ...]:
        """The names of those it is about."""
        return ()

    def __str__(self) -> str:
        shared = {each.name for each in attrs.fields(Event)}
        own = ", ".join(
            f"{field.name}={getattr(self, field.name)!r}"
            for field in attrs.fields(type(self))
            if field.name not in shared
        )
        return (
            f"{self.began:9.3f} - {self.ended:9.3f} {self.client} at {self.server}: {self.user}"
            f" {type(self).__name__}({own}) {self.outcome.value}: {self.answer}"
        )


@attrs.frozen(kw_only=True)
class Delivered(Event):
    """A message for one recipient, by LMTP, into INBOX."""

    message: str

    @property
    def messages(self) -> tuple[str, ...]:
        return (self.message,)


@attrs.frozen(kw_only=True)
class Appended(Event):
    """All messages of an APPEND; `validity` and `uids` are of APPENDUID, if it was done."""

    mailbox: str
    names: tuple[str, ...]
    flags: frozenset[str]
    validity: int = 0
    uids: tuple[int, ...] = ()

    @property
    def messages(self) -> tuple[str, ...]:
        return self.names


@attrs.frozen(kw_only=True)
class Copied(Event):
    """COPY or (`move`) MOVE of a message; `validity` and `new_uid` are of COPYUID, if it was done."""

    mailbox: str
    uid: int
    message: str
    #: Those that it had.
    flags: frozenset[str]
    destination: str
    move: bool
    validity: int = 0
    new_uid: int = 0

    @property
    def messages(self) -> tuple[str, ...]:
        return (self.message,)


@attrs.frozen(kw_only=True)
class Stored(Event):
    """A message got other flags: these.  `modseq` is 0 where none was told."""

    mailbox: str
    uid: int
    message: str
    flags: frozenset[str]
    modseq: int = 0

    @property
    def messages(self) -> tuple[str, ...]:
        return (self.message,)


@attrs.frozen(kw_only=True)
class Expunged(Event):
    mailbox: str
    uid: int
    message: str

    @property
    def messages(self) -> tuple[str, ...]:
        return (self.message,)


@attrs.frozen(kw_only=True)
class Shown(Event):
    """What a client was shown of a message.  DONE always."""

    mailbox: str
    validity: int
    uid: int
    message: str
    flags: frozenset[str]

    @property
    def messages(self) -> tuple[str, ...]:
        return (self.message,)


@attrs.frozen
class Fault:
    """Something that was done to the server."""

    kind: str
    at: float
    what: str

    def __str__(self) -> str:
        return f"{self.at:9.3f} *** {self.kind}: {self.what}"


@attrs.frozen
class Found:
    """A message that is there in the end."""

    user: str
    mailbox: str
    validity: int
    uid: int
    message: str
    #: SHA-256 of its bytes, in hexadecimal digits.
    digest: str
    flags: frozenset[str]
    modseq: int

    def __str__(self) -> str:
        return f"in the end: {self.user} {self.mailbox} UID {self.uid}: {self.message} {sorted(self.flags)}"


@attrs.define
class Record:
    events: list[Event] = attrs.field(factory=list)
    faults: list[Fault] = attrs.field(factory=list)
    #: (user, message) -> the digest of what that user is to have.
    digests: dict[tuple[str, str], str] = attrs.field(factory=dict)

    def lines(self, user: str | None = None, messages: Iterable[str] = ()) -> list[str]:
        """All of it in the order of time, or what is about some messages of a user, and the faults."""
        wanted = set(messages)
        chosen: list[tuple[float, str]] = [(fault.at, str(fault)) for fault in self.faults]
        for event in self.events:
            if user is None or (event.user == user and not wanted.isdisjoint(event.messages)):
                chosen.append((event.began, str(event)))
        return [line for _, line in sorted(chosen)]
