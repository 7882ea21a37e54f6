"""An opened mailbox of the in-memory store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import attrs
from zope.interface import implementer

from twisted_duck import search
from twisted_duck.errors import (
    MailboxGone,
    ReadOnly,
    TryCreate,
)
from twisted_duck.index import MailboxIndex, living
from twisted_duck.interfaces import (
    IMoveMailbox,
    IQResyncMailbox,
    IReplaceMailbox,
)
from twisted_duck.matching import match
from twisted_duck.memory.model import Mailbox, User
from twisted_duck.memory.threads import KeptMessage
from twisted_duck.predicates import DAYS, predicate
from twisted_duck.search import SearchKey
from twisted_duck.values import (
    DELETED,
    AppendMessage,
    AppendResult,
    Changes,
    CopyResult,
    FetchWant,
    FlagChange,
    Flags,
    MessageData,
    StoreResult,
    UIDSet,
)

#: Messages that `fetch` brings at once.
BATCH = 100


@implementer(IMoveMailbox, IQResyncMailbox, IReplaceMailbox)
class MemoryMailbox:
    """A session that has a mailbox open."""

    def __init__(self, user: User, mailbox: Mailbox, readonly: bool) -> None:
        self._user = user
        self._mailbox = mailbox
        self._watching: list[Callable[[], None]] = []
        self.readonly = readonly

    @property
    def name(self) -> str:
        return self._mailbox.name

    @property
    def new_keywords(self) -> bool:
        return len(self.index.keywords()) < self._user.limits.keywords_per_mailbox

    @property
    def mailbox_id(self) -> str:
        return self._mailbox.id

    @property
    def index(self) -> MailboxIndex:
        return self._mailbox.index

    def _check(self, *, writing: bool) -> Mailbox:
        if self._mailbox.gone:
            raise MailboxGone("the mailbox was deleted")
        if writing and self.readonly:
            raise ReadOnly("the mailbox was opened read-only")
        return self._mailbox

    async def refresh(self, *, exact: bool = True) -> None:
        self._check(writing=False)

    def watch(self, callback: Callable[[], None]) -> None:
        self._mailbox.watchers.append(callback)
        self._watching.append(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        if callback in self._watching:
            self._watching.remove(callback)
            self._mailbox.watchers.remove(callback)

    async def claim_recent(self) -> tuple[int, int]:
        index = self._check(writing=False).index
        claim = index.first_recent, index.uidnext
        if not self.readonly:
            index.apply(Changes(index.highest_modseq, index.uidnext, first_recent=index.uidnext))
        return claim

    async def fetch(
        self, uids: Sequence[int], wanted: frozenset[FetchWant]
    ) -> AsyncIterator[list[MessageData]]:
        mailbox = self._check(writing=False)
        for start in range(0, len(uids), BATCH):
            batch = [uid for uid in uids[start : start + BATCH] if uid in mailbox.messages]
            if batch:
                yield [_tell(mailbox, uid, wanted) for uid in batch]

    async def store(self, uids: Sequence[int], change: FlagChange) -> StoreResult:
        mailbox = self._check(writing=True)
        changed: dict[int, Flags] = {}
        unchanged: list[int] = []
        modified: list[int] = []
        for uid, modseq, flags in mailbox.index.rows(uids):
            after = change.apply(flags)
            if change.unchanged_since is not None and modseq > change.unchanged_since:
                modified.append(uid)
            elif after == flags:
                unchanged.append(uid)
            else:
                changed[uid] = after
        if not changed:
            return StoreResult(0, (), unchanged, modified)
        self._user.check_flags(mailbox, changed.values())
        mailbox.commit(changed=changed.items())
        return StoreResult(mailbox.index.highest_modseq, list(changed), unchanged, modified)

    async def expunge(self, uids: UIDSet | None = None) -> UIDSet:
        mailbox = self._check(writing=True)
        deleted = mailbox.index.with_flag(DELETED)
        return self._remove([uid for uid in deleted if uids is None or uid in uids])

    async def remove(self, uids: Sequence[int]) -> UIDSet:
        mailbox = self._check(writing=True)
        return self._remove(living(mailbox.index, uids))

    def _remove(self, uids: Sequence[int]) -> UIDSet:
        if uids:
            self._mailbox.commit(leaving=uids)
        return UIDSet.of(uids)

    async def copy(self, uids: Sequence[int], destination: str) -> CopyResult:
        mailbox = self._check(writing=False)
        target = self._user.get(destination, TryCreate)
        messages = mailbox.living(uids)
        self._user.check_quota(sum(message.content.size for message, _ in messages))
        return self._give(target, uids, messages)

    async def move(self, uids: Sequence[int], destination: str) -> CopyResult:
        mailbox = self._check(writing=True)
        target = self._user.get(destination, TryCreate)
        result = self._give(target, uids, mailbox.living(uids))
        if uids:
            mailbox.commit(leaving=uids)
        return result

    async def replace(self, uid: int, destination: str, message: AppendMessage) -> AppendResult:
        mailbox, user = self._check(writing=True), self._user
        target = user.get(destination, TryCreate)
        [(old, _)] = mailbox.living([uid])
        new, flags = user.receive(message)
        user.check_flags(target, [flags])
        user.check_quota(new.content.size - old.content.size)
        if target is mailbox:
            uids = mailbox.commit(arriving=[(new, flags)], leaving=[uid])
        else:
            uids = target.commit(arriving=[(new, flags)])
            mailbox.commit(leaving=[uid])
        return AppendResult(target.index.uidvalidity, uids)

    def _give(
        self, target: Mailbox, uids: Sequence[int], messages: Sequence[tuple[KeptMessage, Flags]]
    ) -> CopyResult:
        self._user.check_flags(target, (flags for _, flags in messages))
        given = target.commit(arriving=messages) if messages else []
        return CopyResult(target.index.uidvalidity, list(uids), given)

    async def vanished_since(self, modseq: int) -> UIDSet | None:
        gone = self._check(writing=False).index.expunged_since(modseq)
        return None if gone is None else UIDSet.of(gone)

    async def search(self, key: SearchKey) -> list[int]:
        self._check(writing=False)
        return await match(key, self.index, self)

    async def select(self, leaf: SearchKey, uids: Sequence[int]) -> list[int]:
        """`twisted_duck.matching.Leaves`."""
        messages, saved = self._mailbox.messages, self._mailbox.saved
        there = [uid for uid in uids if uid in messages]
        match leaf:
            case search.SaveDateSupported():
                return there
            case search.SaveDate(operator, day):
                compare = DAYS[operator]
                return [uid for uid in there if compare(saved[uid].date(), day)]
            case search.EmailID(id):
                return [uid for uid in there if messages[uid].email_id == id]
            case search.ThreadID(id):
                return [uid for uid in there if messages[uid].thread.id == id]
        matches = predicate(leaf)
        return [uid for uid in there if matches(messages[uid].facts)]

    async def close(self) -> None:
        for callback in list(self._watching):
            self.unwatch(callback)


def _tell(mailbox: Mailbox, uid: int, wanted: frozenset[FetchWant]) -> MessageData:
    told = mailbox.messages[uid].tell(uid, wanted)
    return attrs.evolve(told, saved=mailbox.saved[uid]) if "saved" in wanted else told
