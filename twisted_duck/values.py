"""The values that cross from one plane to another: frozen, plain, without behaviour that needs I/O."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal

import attrs

from twisted_duck.light import light

#: The system flags a client may set (RFC 3501 §2.3.2).  \Recent is the server's own and never stored.
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = (
    "\\Seen",
    "\\Answered",
    "\\Flagged",
    "\\Deleted",
    "\\Draft",
)
SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)
RECENT = "\\Recent"

#: The hierarchy delimiter of our own stores.
DELIMITER = "/"

Flags = frozenset[str]

#: What a mailbox may be made for (RFC 6154 §2).  \\All and \\Flagged would show messages that are elsewhere.
SPECIAL_USES = ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")


@attrs.frozen
class UIDSet:
    """A set of UIDs (or of sequence numbers) as ascending, disjoint, non-adjacent ranges `((first, last), ...)`."""

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, numbers: Iterable[int]) -> UIDSet:
        """From numbers in any order, doubles allowed; ascending input costs one pass."""
        ranges: list[tuple[int, int]] = []
        first = last = 0
        for number in sorted(numbers):
            if first and number <= last + 1:
                last = max(last, number)
            else:
                if first:
                    ranges.append((first, last))
                first = last = number
        if first:
            ranges.append((first, last))
        return cls(tuple(ranges))

    @classmethod
    def of_ranges(cls, pairs: Iterable[tuple[int, int]]) -> UIDSet:
        """From ranges in any order and of either direction, overlapping or not."""
        merged: list[tuple[int, int]] = []
        begin = end = 0
        for low, high in sorted([(a, b) if a <= b else (b, a) for a, b in pairs]):
            if not merged or low > end + 1:
                merged.append((low, high))
                begin, end = low, high
            elif high > end:
                merged[-1] = (begin, high)
                end = high
        return cls(tuple(merged))

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        at = bisect_right(self.ranges, (number, float("inf"))) - 1
        return at >= 0 and self.ranges[at][1] >= number

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def common(self, other: UIDSet) -> UIDSet:
        """What is in both."""
        mine, theirs = self.ranges, other.ranges
        found: list[tuple[int, int]] = []
        at = there = 0
        while at < len(mine) and there < len(theirs):
            low, high = max(mine[at][0], theirs[there][0]), min(mine[at][1], theirs[there][1])
            if low <= high:
                found.append((low, high))
            if mine[at][1] < theirs[there][1]:
                at += 1
            else:
                there += 1
        return UIDSet(tuple(found))

    def without(self, numbers: Sequence[int]) -> UIDSet:
        """What is not among the ascending `numbers`.  Costs a step for each of those that are in a range."""
        left: list[tuple[int, int]] = []
        for first, last in self.ranges:
            for at in range(bisect_left(numbers, first), bisect_right(numbers, last)):
                if first < numbers[at]:
                    left.append((first, numbers[at] - 1))
                first = numbers[at] + 1
            if first <= last:
                left.append((first, last))
        return UIDSet(tuple(left))

    def __str__(self) -> str:
        """`1:3,5`, as it stands in COPYUID, VANISHED and MODIFIED."""
        return told(self.ranges)


def compact(numbers: Iterable[int]) -> str:
    """Numbers **in the order given** as `7,3:5`: COPYUID pairs its two sets by position (RFC 4315 §3)."""
    return told(ascending(numbers))


def ascending(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers in the order given as ranges `(first, last)` of those that ascend by one."""
    ranges: list[tuple[int, int]] = []
    first = last = 0
    for number in numbers:
        if first and number == last + 1:
            last = number
            continue
        if first:
            ranges.append((first, last))
        first = last = number
    if first:
        ranges.append((first, last))
    return ranges


def told(ranges: Iterable[tuple[int, int]]) -> str:
    """`1:3,5`."""
    return ",".join([str(first) if first == last else f"{first}:{last}" for first, last in ranges])


@attrs.frozen
class MailboxInfo:
    """One name in the hierarchy, as LIST needs it (RFC 3501 §7.2.2, RFC 6154)."""

    name: str
    #: False for a name that exists only because it has children (\\Noselect).
    selectable: bool = True
    #: One of \\Drafts \\Sent \\Junk \\Trash \\Archive \\All \\Flagged, or None.
    special_use: str | None = None
    #: False for a name under which a mailbox could be made (\\NonExistent, RFC 5258 §3).
    exists: bool = True


#: What of a `MailboxStatus` has to be counted when it is asked for.
StatusWant = Literal["recent", "deleted_size"]


@attrs.frozen
class MailboxStatus:
    """What STATUS tells (RFC 3501 §6.3.10; RFC 8438: `size`; RFC 9051: `deleted`; RFC 9208: `deleted_size`; RFC 8474).

    Sizes are in bytes.
    """

    messages: int
    recent: int
    uidnext: int
    uidvalidity: int
    unseen: int
    deleted: int
    size: int
    highest_modseq: int
    #: The same for as long as the mailbox lives, under whatever name, and never another's; None where there is no such.
    mailbox_id: str | None = None
    deleted_size: int = 0


@attrs.frozen
class Quota:
    """What a user's mail takes and may take, in bytes."""

    used: int
    #: None: as much as there is room for.
    limit: int | None


@light
class Change:
    """One message's state after a change: new, or with other flags."""

    uid: int
    modseq: int
    flags: Flags


@attrs.frozen
class Uniform:
    """Messages that one change left with the same flags: what may be said of very many at once."""

    modseq: int
    flags: Flags
    #: Ascending.
    uids: Sequence[int]


@attrs.frozen
class Sweep:
    """One change of the flags of very many messages, as it was asked for.

    It concerns the messages of `uids` whose modseq is below its own; of these it changes those that have other flags then.
    """

    modseq: int
    #: UIDs between them that were somebody's once, or that no message of them ever had, do no harm.
    uids: UIDSet
    change: FlagChange


@attrs.frozen
class Expunged:
    """Messages that went away in one change."""

    modseq: int
    uids: UIDSet


@attrs.frozen
class Changes:
    """What the change log holds between two modseqs: everything up to `highest_modseq`, nothing of what is later."""

    highest_modseq: int
    uidnext: int
    #: The lowest UID that no session has been told of as \\Recent.
    first_recent: int
    changed: Sequence[Change] = ()
    expunged: Sequence[Expunged] = ()
    #: Of messages that were there before, none of which is among `changed`.
    uniform: Sequence[Uniform] = ()
    #: What `changed` does not say, in any order: a message that is there stands as it was before each sweep above its modseq.
    sweeps: Sequence[Sweep] = ()


@light
class AppendMessage:
    """A message on its way in: `content` is a `twisted_duck.spool.Spool` that was finished."""

    content: object
    flags: Flags = frozenset()
    #: Aware; None stands for now.
    internal_date: datetime | None = None
    #: What an import knows the message by (`IImportAccount`).
    key: bytes | None = None


@attrs.frozen
class Recipient:
    """Who gets mail that is sent to some address.

    @ivar user: whatever the store tells users apart by; hashable, because who is named several times gets a message once
    @ivar name: the user's name, for log lines
    """

    user: object
    name: str


@light
class AppendResult:
    """APPENDUID (RFC 4315 §3)."""

    uidvalidity: int
    uids: Sequence[int]


@attrs.frozen
class CopyResult:
    """COPYUID (RFC 4315 §3): `destination[i]` is the UID that `source[i]` got."""

    uidvalidity: int
    source: Sequence[int]
    destination: Sequence[int]


FlagMode = Literal["replace", "add", "remove"]


def _spelled_once(flags: Flags) -> Flags:
    """Of keywords that only differ in case one: the same one, whoever asks."""
    once = {flag.lower(): flag for flag in sorted(flags)}
    return flags if len(once) == len(flags) else frozenset(once.values())


@attrs.frozen
class FlagChange:
    """The change a STORE makes (RFC 3501 §6.4.6); `unchanged_since` is RFC 7162 §3.1.3's condition."""

    mode: FlagMode
    flags: Flags = attrs.field(converter=_spelled_once)
    unchanged_since: int | None = None

    def apply(self, flags: Flags) -> Flags:
        """The flags a message has afterwards.  Keywords compare without regard to case and keep their first spelling.

        It is the same in every process, even of a message that has a keyword in two spellings.
        """
        named = {flag.lower(): flag for flag in sorted(flags)}
        given = {flag.lower(): flag for flag in self.flags}
        match self.mode:
            case "replace":
                return frozenset(named.get(key, flag) for key, flag in given.items())
            case "add":
                return frozenset({**given, **named}.values())
            case "remove":
                return frozenset(flag for key, flag in named.items() if key not in given)


@attrs.frozen
class StoreResult:
    """What STORE did.

    `modseq` is the new modseq of the messages in `changed`, 0 where nothing changed.  `changed` had other flags before;
    `unchanged` already had the flags asked for; `modified` failed UNCHANGEDSINCE and were left alone; UIDs that were
    given and live no more are in none of the three.
    """

    modseq: int
    changed: Sequence[int]
    unchanged: Sequence[int]
    modified: Sequence[int] = ()
    #: Modseqs of those of `changed` that were changed before the others, where they were too many for one change.
    earlier: Sequence[int] = ()


@light
class Order:
    """What SORT and THREAD compare of a message.

    Strings are ready to be compared as they stand (`twisted_duck.collation`), and empty where there is nothing.
    """

    #: The Date field in seconds since 1970, UTC (RFC 5256 §2.2); None where it names no day.
    sent: int | None = None
    #: The base subject (RFC 5256 §2.1).
    subject: str = ""
    #: Whether its subject says that the message is a reply or was forwarded.
    answers: bool = False
    #: The mailbox (the part before the @) of the first address in From, To and Cc.
    sender: str = ""
    to: str = ""
    cc: str = ""
    #: What is shown of the first address in From and To (RFC 5957 §3).
    sender_name: str = ""
    to_name: str = ""


#: What `IMailbox.fetch` may be asked to bring beside the UID.
FetchWant = Literal[
    "date",
    "saved",
    "size",
    "envelope",
    "bodystructure",
    "body",
    "content",
    # `MessageData.content`, of which only the header can be read.
    "header",
    "order",
    "ids",
    "preview",
    # Unless the message would have to be read for it.
    "ready preview",
    "email id",
    "thread id",
]


@attrs.define
class MessageData:
    """One message's immutable data, as far as it was asked for; flags and modseq are in the mailbox's index.

    Nobody changes it, but for `said`.  It is not frozen, since one is made for each message, and that takes twice as long.

    `envelope`, `bodystructure` and `body` are the bytes that FETCH sends (RFC 3501 §7.4.2).
    """

    uid: int
    internal_date: datetime | None = None
    size: int | None = None
    envelope: bytes | None = None
    bodystructure: bytes | None = None
    body: bytes | None = None
    #: Provides `twisted_duck.interfaces.IContent`.
    content: object | None = None
    #: When it came into the mailbox (RFC 8514 §3); None where the mailbox can't tell.
    saved: datetime | None = None
    order: Order | None = None
    #: The IDs of the message and of those it refers to, as `twisted_duck.mime.references.ids` has them.
    ids: bytes | None = None
    #: The beginning of what it says, on one line (RFC 8970); empty where there is nothing to be shown.
    preview: str | None = None
    #: What it has in common with its copies (RFC 8474 §5.1), and with its thread (§5.2); of 255 letters and digits at most.
    email_id: str | None = None
    thread_id: str | None = None
    #: Pieces of an answer about it: see `twisted_duck.interfaces.IRecallingMailbox`.
    said: tuple[bytes, ...] | None = None


@attrs.frozen
class Ban:
    """Nobody from `network` may connect before `until`."""

    #: As `ipaddress` writes it: 192.0.2.1/32.
    network: str
    #: For the log, and for administrators.
    reason: str
    #: Seconds since 1970, as the clock that times the ban has it.
    until: float


@attrs.frozen
class Bucket:
    """A token bucket: it holds `size` tokens, and `size` new ones come in `seconds`, one after another.

    Two are the same bucket if everything here is the same.
    """

    #: Whose it is.
    key: str
    size: int
    seconds: float
