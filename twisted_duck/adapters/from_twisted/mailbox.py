"""A mailbox that provides `IMailboxIMAP`, opened by one of our sessions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.mail.imap4 import MessageSet
from twisted.mail.interfaces import (
    ICloseableMailboxIMAP,
    IMailboxIMAPListener,
    IMessageIMAPCopier,
    IMessageIMAPFile,
    ISearchableIMAPMailbox,
)
from zope.interface import implementer

from twisted_duck import search
from twisted_duck.adapters import dates
from twisted_duck.adapters.from_twisted.calls import call, call_list
from twisted_duck.adapters.from_twisted.message import read
from twisted_duck.adapters.from_twisted.queries import query
from twisted_duck.errors import (
    Cannot,
    Corruption,
    DuckError,
    ExpungeIssued,
    MailboxGone,
    ReadOnly,
    Refused,
)
from twisted_duck.held import HeldMessage
from twisted_duck.index import MailboxIndex, living
from twisted_duck.interfaces import IMailbox
from twisted_duck.limits import DEFAULTS
from twisted_duck.matching import match
from twisted_duck.predicates import predicate
from twisted_duck.search import SearchKey
from twisted_duck.values import (
    DELETED,
    RECENT,
    SYSTEM_FLAGS,
    Change,
    Changes,
    Expunged,
    FetchWant,
    FlagChange,
    FlagMode,
    Flags,
    MessageData,
    StoreResult,
    UIDSet,
)

if TYPE_CHECKING:
    from twisted_duck.adapters.from_twisted.account import AdaptedAccount

T = TypeVar("T")

#: Messages that are read at once where their content is wanted.
BATCH = 20
_MODES: dict[FlagMode, int] = {"replace": 0, "add": 1, "remove": -1}
_SPELLING = {flag.lower(): flag for flag in (*SYSTEM_FLAGS, RECENT)}
_FLAG = re.compile(r"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+\Z")
_NOSELECT = "\\noselect"


@attrs.frozen
class _Seen:
    """What the mailbox says of a message."""

    flags: Flags
    recent: bool


def text_of(value: bytes | str) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def flags_of(names: Iterable[bytes | str]) -> Flags:
    """Flags as we spell them; what could not be said to a client is left out."""
    texts = map(text_of, names)
    return frozenset(_SPELLING.get(flag.lower(), flag) for flag in texts if _FLAG.match(flag))


def message_set(uids: Iterable[int]) -> MessageSet:
    return MessageSet(list(UIDSet.of(uids).ranges))


@implementer(IMailbox, IMailboxIMAPListener)
class AdaptedMailbox:
    """One session with the application's mailbox `provider`, which it listens to."""

    log = Logger()
    mailbox_id = None

    def __init__(
        self,
        account: AdaptedAccount,
        provider: Any,
        name: str,
        uidvalidity: int,
        *,
        readonly: bool,
        new_keywords: bool,
    ) -> None:
        self.name = name
        self.readonly = readonly
        self.new_keywords = new_keywords
        self.index = MailboxIndex(uidvalidity)
        self._account = account
        self._provider = provider
        self._recent: set[int] = set()
        self._watchers: list[Callable[[], None]] = []
        self._closed = False
        #: One thing at a time: what is read must not be older than what is known.
        self._lock = DeferredLock()
        #: Whether the mailbox may have moved since it was last read.
        self._dirty = True
        self._counts: tuple[int, int] = (0, 0)
        #: The largest UID there has been.
        self._last = 0

    @classmethod
    async def open(
        cls, account: AdaptedAccount, provider: Any, name: str, *, readonly: bool
    ) -> AdaptedMailbox:
        defined = {text_of(flag).lower() for flag in await call(provider.getFlags)}
        mailbox = cls(
            account,
            provider,
            name,
            int(await call(provider.getUIDValidity)),
            readonly=readonly or not await call(provider.isWriteable),
            new_keywords="\\*" in defined,
        )
        # Before the first look, so that nothing is missed after it.
        await call(provider.addListener, mailbox)
        await mailbox.refresh()
        recent = int(await call(provider.getRecentCount))
        if recent and not mailbox._recent:
            mailbox._recent.update(mailbox.index.uids[-recent:])
        return mailbox

    # --- keeping the index true -----------------------------------------------------------------------

    async def _alone(self, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> T:
        await self._lock.acquire()
        try:
            return await work()
        finally:
            self._lock.release()

    async def refresh(self, *, exact: bool = True) -> None:
        await self._alone(self._refresh)

    async def _refresh(self) -> None:
        provider = self._provider
        flags = {text_of(flag).lower() for flag in await call(provider.getFlags)}
        if _NOSELECT in flags or await call(provider.getUIDValidity) != self.index.uidvalidity:
            raise MailboxGone("the mailbox was deleted")
        counts = await call(provider.getMessageCount), await call(provider.getUIDNext)
        if self._dirty or counts != self._counts:
            self._dirty, self._counts = False, counts
            await self._compare()

    async def _compare(self) -> None:
        """Look at every message, and take what is different into the index."""
        count = int(await call(self._provider.getMessageCount))
        found = await self._look(MessageSet(1, count), uid=False) if count else {}
        self._take(found, UIDSet.of(uid for uid in self.index.uids if uid not in found))

    async def _look(self, messages: MessageSet, *, uid: bool) -> dict[int, _Seen]:
        """The flags of messages."""
        provided = await self._messages(messages, uid=uid)
        flagged = await call_list(lambda: [(m.getUID(), m.getFlags()) for _, m in provided])
        found: dict[int, _Seen] = {}
        for key, names in flagged:
            flags = flags_of(names)
            if key in found or key < 1:
                raise Corruption("a message has no UID of its own")
            found[key] = _Seen(flags - {RECENT}, RECENT in flags)
        return found

    async def _messages(self, messages: MessageSet, *, uid: bool) -> list[tuple[int, Any]]:
        return await call_list(self._provider.fetch, messages, uid=uid)

    def _take(self, found: dict[int, _Seen], gone: UIDSet) -> None:
        """Make one step of the index of what is different in `found`, and of what is gone."""
        index = self.index
        first_load = index.highest_modseq == 0
        modseq = index.highest_modseq + 1
        known = {uid: flags for uid, _, flags in index.rows(sorted(found))}
        if any(uid <= self._last and uid not in known for uid in found):
            raise Corruption("a message has come with a UID below those of others")
        self._last = max([self._last, *found])
        changed = [
            Change(uid, modseq, seen.flags)
            for uid, seen in found.items()
            if known.get(uid) != seen.flags
        ]
        self._recent.update(uid for uid, seen in found.items() if seen.recent and uid not in known)
        if not changed and not gone and not first_load:
            return
        expunged = (Expunged(modseq, gone),) if gone else ()
        uidnext = max(self._last + 1, self._counts[1])
        index.apply(Changes(modseq, uidnext, index.first_recent, changed, expunged))
        for watcher in list(self._watchers):
            watcher()

    def watch(self, callback: Callable[[], None]) -> None:
        self._watchers.append(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        if callback in self._watchers:
            self._watchers.remove(callback)

    # --- IMailboxIMAPListener -------------------------------------------------------------------------

    def modeChanged(self, writeable: bool) -> None:
        self.readonly = self.readonly or not writeable

    def flagsChanged(self, newFlags: object) -> None:
        self._moved()

    def newMessages(self, exists: int | None, recent: int | None) -> None:
        self._moved()

    def _moved(self) -> None:
        """Look at once, for whoever is idling; and again with the next command, when the mailbox is surely done."""
        self._dirty = True
        if self._closed or self._lock.locked:
            return

        async def look() -> None:
            await self._compare()
            self._dirty = True

        Deferred.fromCoroutine(self._alone(look)).addErrback(self._could_not_look)

    def _could_not_look(self, failure: Any) -> None:
        failure.trap(DuckError)
        self.log.warn("{name}: {error}", name=self.name, error=failure.value)

    # --- messages -------------------------------------------------------------------------------------

    async def claim_recent(self) -> tuple[int, int]:
        index = self.index
        unclaimed = [uid for uid in self._recent if uid >= index.first_recent]
        claim = min(unclaimed, default=index.uidnext), index.uidnext
        if not self.readonly:
            index.apply(Changes(index.highest_modseq, index.uidnext, first_recent=index.uidnext))
            self._recent.clear()
        return claim

    async def fetch(
        self, uids: Sequence[int], wanted: frozenset[FetchWant]
    ) -> AsyncIterator[list[MessageData]]:
        for start in range(0, len(uids), BATCH):
            batch = living(self.index, uids[start : start + BATCH])
            found = await self._messages(message_set(batch), uid=True) if batch else []
            told = [await self._tell(message, wanted) for _, message in found]
            if told:
                yield sorted(told, key=lambda data: data.uid)

    async def _tell(self, message: Any, wanted: frozenset[FetchWant]) -> MessageData:
        uid = int(await call(message.getUID))
        date = await self._date(message) if "date" in wanted else None
        exact = IMessageIMAPFile(message, None) is not None
        at_hand = {"date", "saved", "ready preview", *(["size"] if exact else [])}
        if not wanted - at_hand:
            size = int(await call(message.getSize)) if "size" in wanted else None
            return MessageData(uid, date, size)
        held = HeldMessage.of(await read(message), date or datetime.now(UTC), DEFAULTS)
        return held.tell(uid, wanted)

    async def _date(self, message: Any) -> datetime:
        given = await call(message.getInternalDate)
        # The epoch says as clearly as a date can that there is none.
        return dates.parse(given or b"") or datetime.fromtimestamp(0, UTC)

    async def search(self, key: SearchKey) -> list[int]:
        return await match(key, self.index, self)

    async def _searched(self, leaf: SearchKey) -> set[int] | None:
        """The messages that the mailbox itself finds; None where it cannot search, or not for this."""
        searchable = ISearchableIMAPMailbox(self._provider, None)
        words = query(leaf)
        if searchable is None or words is None:
            return None
        try:
            numbers = await call_list(searchable.search, words, uid=False)
        except Refused:
            return None
        return set(await call_list(lambda: [self._provider.getUID(int(n)) for n in numbers]))

    async def select(self, leaf: SearchKey, uids: Sequence[int]) -> set[int]:
        """`twisted_duck.matching.Leaves`."""
        match leaf:
            case search.SaveDateSupported() | search.EmailID() | search.ThreadID():
                return set()
            case search.SaveDate(operator, day):
                # What the provider doesn't know is asked as RFC 8514 §4.3 has it.
                leaf = search.InternalDate(operator, day)
        found = await self._searched(leaf)
        if found is not None:
            return found.intersection(uids)
        matches = predicate(leaf)
        found = set()
        for start in range(0, len(uids), BATCH):
            batch = living(self.index, uids[start : start + BATCH])
            for _, message in await self._messages(message_set(batch), uid=True) if batch else ():
                date = await self._date(message)
                if matches(HeldMessage.of(await read(message), date, DEFAULTS).facts):
                    found.add(int(await call(message.getUID)))
        return found

    # --- changes --------------------------------------------------------------------------------------

    def _check_writable(self) -> None:
        if self.readonly:
            raise ReadOnly("the mailbox is read-only")

    async def store(self, uids: Sequence[int], change: FlagChange) -> StoreResult:
        self._check_writable()
        return await self._alone(lambda: self._store(uids, change))

    async def _store(self, uids: Sequence[int], change: FlagChange) -> StoreResult:
        modified: list[int] = []
        before: dict[int, Flags] = {}
        for uid, modseq, flags in self.index.rows(uids):
            if change.unchanged_since is not None and modseq > change.unchanged_since:
                modified.append(uid)
            else:
                before[uid] = flags
        changing = [uid for uid, flags in before.items() if change.apply(flags) != flags]
        after: dict[int, _Seen] = {}
        if changing:
            flags_given = sorted(change.flags)
            mode = _MODES[change.mode]
            await call(self._provider.store, message_set(changing), flags_given, mode, uid=True)
            after = await self._look(message_set(changing), uid=True)
            self._take(after, UIDSet())
        changed = [uid for uid in changing if uid in after and after[uid].flags != before[uid]]
        # What the mailbox would not change is no change; what is gone will be told by the next look.
        unchanged = [
            uid for uid in before if uid not in changed and (uid not in changing or uid in after)
        ]
        modseq = self.index.highest_modseq if changed else 0
        return StoreResult(modseq, changed, unchanged, modified)

    async def expunge(self, uids: UIDSet | None = None) -> UIDSet:
        self._check_writable()
        if uids is not None and any(uid not in uids for uid in self.index.with_flag(DELETED)):
            raise Cannot("this mailbox can only expunge all its deleted messages")
        return await self._alone(self._expunge)

    async def _expunge(self) -> UIDSet:
        before = set(self.index.uids)
        await call(self._provider.expunge)
        await self._compare()
        return UIDSet.of(before.difference(self.index.uids))

    async def remove(self, uids: Sequence[int]) -> UIDSet:
        """In two steps, the first of which is taken back if the second one fails: there is no such change over there."""
        await self.refresh()
        doomed = living(self.index, uids)
        marked = await self.store(doomed, FlagChange("add", frozenset({DELETED})))
        try:
            return await self.expunge(UIDSet.of(doomed))
        except DuckError:
            await self._unmark(marked.changed)
            raise

    async def _unmark(self, uids: Sequence[int]) -> None:
        """Nothing was expunged: no client should believe that it soon will be."""
        try:
            await self.store(uids, FlagChange("remove", frozenset({DELETED})))
        except DuckError as error:
            self.log.warn("messages stay marked as deleted: {error}", error=error)

    async def copy(self, uids: Sequence[int], destination: str) -> None:
        target = await self._account.provider(destination)
        messages = await self._messages(message_set(uids), uid=True) if uids else []
        if len(messages) != len(uids):
            raise ExpungeIssued("some of the messages do not exist any more")
        copier = IMessageIMAPCopier(target, None)
        for _, message in messages:
            if copier is not None:
                await call(copier.copy, message)
            else:
                flags = sorted(flags_of(await call(message.getFlags)) - {RECENT})
                date = await call(message.getInternalDate)
                await call(target.addMessage, BytesIO(await read(message)), flags, date)
        self._dirty = True

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._watchers.clear()
        await call(self._provider.removeListener, self)
        closeable = ICloseableMailboxIMAP(self._provider, None)
        if closeable is not None:
            await call(closeable.close)
