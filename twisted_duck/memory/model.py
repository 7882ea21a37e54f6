"""What is kept: users, their mailboxes, and messages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from uuid import uuid4
from weakref import WeakValueDictionary

import attrs

from twisted_duck.errors import (
    Cannot,
    ExpungeIssued,
    NonExistent,
    OverQuota,
    TooBig,
    TooMany,
)
from twisted_duck.index import MailboxIndex
from twisted_duck.limits import Limits
from twisted_duck.memory.threads import KeptMessage, Thread, keep
from twisted_duck.names import ancestors, check_name
from twisted_duck.spool import Spool
from twisted_duck.values import (
    AppendMessage,
    Change,
    Changes,
    Expunged,
    Flags,
    UIDSet,
)


@attrs.define(eq=False)
class Mailbox:
    name: str
    index: MailboxIndex
    clock: Callable[[], datetime]
    special_use: str | None = None
    #: An identifier begins with a letter, so that nobody takes it for a number (RFC 8474 §8.1).
    id: str = attrs.field(factory=lambda: f"F{uuid4().hex}")
    messages: dict[int, KeptMessage] = attrs.field(factory=dict)
    #: When each of them came here (RFC 8514).
    saved: dict[int, datetime] = attrs.field(factory=dict)
    watchers: list[Callable[[], None]] = attrs.field(factory=list)
    #: Keys of messages that were imported.
    imported: set[bytes] = attrs.field(factory=set)
    gone: bool = False

    @classmethod
    def new(
        cls,
        name: str,
        uidvalidity: int,
        clock: Callable[[], datetime],
        special_use: str | None = None,
    ) -> Mailbox:
        index = MailboxIndex(uidvalidity)
        # HIGHESTMODSEQ is at least 1 (RFC 7162 §3.1.2.1).
        index.apply(Changes(highest_modseq=1, uidnext=1, first_recent=1))
        return cls(name, index, clock, special_use)

    def commit(
        self,
        *,
        changed: Iterable[tuple[int, Flags]] = (),
        arriving: Sequence[tuple[KeptMessage, Flags]] = (),
        leaving: Collection[int] = (),
    ) -> list[int]:
        """Make one change of what is given, and tell whoever watches; the UIDs of what arrived."""
        index = self.index
        modseq = index.highest_modseq + 1
        uids = [index.uidnext + position for position in range(len(arriving))]
        steps = [Change(uid, modseq, flags) for uid, flags in changed]
        for uid, (message, flags) in zip(uids, arriving, strict=True):
            self.messages[uid] = message
            self.saved[uid] = self.clock()
            steps.append(Change(uid, modseq, flags))
        for uid in leaving:
            del self.messages[uid], self.saved[uid]
        expunged = (Expunged(modseq, UIDSet.of(leaving)),) if leaving else ()
        uidnext = index.uidnext + len(uids)
        index.apply(Changes(modseq, uidnext, index.first_recent, steps, expunged))
        self.notify()
        return uids

    def notify(self) -> None:
        for watcher in list(self.watchers):
            watcher()

    def living(self, uids: Iterable[int]) -> list[tuple[KeptMessage, Flags]]:
        """Messages with their flags, for a copy of them.  Raises ExpungeIssued if one lives no more."""
        wanted = list(uids)
        found = [(self.messages[uid], flags) for uid, _, flags in self.index.rows(wanted)]
        if len(found) != len(wanted):
            raise ExpungeIssued("some of the messages do not exist any more")
        return found

    @property
    def size(self) -> int:
        return self.size_of(self.messages)

    def size_of(self, uids: Iterable[int]) -> int:
        return sum(self.messages[uid].content.size for uid in uids)


@attrs.define(eq=False)
class User:
    name: str
    password: str
    quota: int | None
    limits: Limits
    clock: Callable[[], datetime]
    mailboxes: dict[str, Mailbox] = attrs.field(factory=dict)
    subscriptions: set[str] = attrs.field(factory=set)
    last_uidvalidity: int = 0
    disabled: bool = False
    #: By the keys of their messages.
    threads: WeakValueDictionary[int, Thread] = attrs.field(factory=WeakValueDictionary)

    def add(self, name: str, special_use: str | None = None) -> Mailbox:
        """A new mailbox, with a UIDVALIDITY above all that this user ever had (RFC 3501 §2.3.1.1)."""
        self.last_uidvalidity = max(int(self.clock().timestamp()), self.last_uidvalidity + 1)
        mailbox = Mailbox.new(name, self.last_uidvalidity, self.clock, special_use)
        self.mailboxes[name] = mailbox
        return mailbox

    def get(self, name: str, error: Callable[[str], NonExistent] = NonExistent) -> Mailbox:
        mailbox = self.mailboxes.get(name)
        if mailbox is None:
            raise error("there is no such mailbox")
        return mailbox

    def levels(self) -> set[str]:
        """The names that have children."""
        return {above for name in self.mailboxes for above in ancestors(name)}

    def check_new(self, name: str) -> list[str]:
        """Whether a mailbox may be made under `name`; the missing names above it."""
        check_name(name, self.limits)
        return [above for above in ancestors(name) if above not in self.mailboxes]

    def check_room(self, mailboxes: int) -> None:
        if len(self.mailboxes) + mailboxes > self.limits.mailboxes:
            raise TooMany(f"a user may have {self.limits.mailboxes} mailboxes")

    @property
    def used(self) -> int:
        return sum(mailbox.size for mailbox in self.mailboxes.values())

    def check_quota(self, octets: int) -> None:
        if self.quota is None or octets <= 0:
            return
        if self.used + octets > self.quota:
            raise OverQuota("there is not enough room left")

    def keep(self, data: bytes, date: datetime) -> KeptMessage:
        """A message that has arrived, to be put into a mailbox."""
        return keep(data, date, self.limits, self.threads)

    def receive(self, message: AppendMessage) -> tuple[KeptMessage, Flags]:
        """A message that may be kept, with its flags.  Raises TooBig, Cannot."""
        spool = message.content
        assert isinstance(spool, Spool)
        if spool.size > self.limits.message:
            raise TooBig(f"a message may have {self.limits.message} bytes")
        if spool.has_nul:
            raise Cannot("the message contains a NUL")
        date = message.internal_date or self.clock()
        return self.keep(bytes(spool.data), date), message.flags

    def check_flags(self, mailbox: Mailbox, flag_sets: Iterable[Flags]) -> None:
        """Whether messages in `mailbox` may have these flags."""
        limits = self.limits
        new = set(flag_sets)
        if any(len(flags) > limits.flags_per_message for flags in new):
            raise TooMany(f"a message may have {limits.flags_per_message} flags")
        keywords = {flag.lower() for flags in new for flag in flags if not flag.startswith("\\")}
        if any(len(keyword.encode()) > limits.keyword for keyword in keywords):
            raise TooMany(f"a keyword may have {limits.keyword} bytes")
        known = {keyword.lower() for keyword in mailbox.index.keywords()}
        if not keywords <= known and len(keywords | known) > limits.keywords_per_mailbox:
            raise TooMany(f"a mailbox may have {limits.keywords_per_mailbox} keywords")
