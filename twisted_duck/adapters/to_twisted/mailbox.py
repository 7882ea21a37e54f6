"""`IMailboxIMAP` over an `IMailbox`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import IO, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.mail.imap4 import MessageSet
from twisted.mail.interfaces import (
    ICloseableMailboxIMAP,
    IMailboxIMAP,
    IMessageIMAPCopier,
    ISearchableIMAPMailbox,
)
from zope.interface import implementer

from twisted_duck.adapters import dates
from twisted_duck.adapters.to_twisted.calls import deferred
from twisted_duck.adapters.to_twisted.contents import Contents, Extent
from twisted_duck.adapters.to_twisted.message import TwistedMessage
from twisted_duck.adapters.to_twisted.queries import search_key
from twisted_duck.errors import Cannot, DuckError
from twisted_duck.imap.view import ExistsNews, ExpungeNews, FlagsNews, View
from twisted_duck.limits import DEFAULTS
from twisted_duck.search import at
from twisted_duck.sequence import STAR, SequenceSet
from twisted_duck.spool import Spool
from twisted_duck.values import (
    DELIMITER,
    RECENT,
    SYSTEM_FLAGS,
    AppendMessage,
    FlagChange,
    FlagMode,
    Flags,
    MessageData,
)

_MODES: dict[int, FlagMode] = {-1: "remove", 0: "replace", 1: "add"}
#: Bytes of an arriving message that are read at once.
_CHUNK = 64 * 1024
_STATUS = {
    "MESSAGES": "messages",
    "RECENT": "recent",
    "UIDNEXT": "uidnext",
    "UIDVALIDITY": "uidvalidity",
    "UNSEEN": "unseen",
}


def _flags(names: Iterable[bytes | str]) -> Flags:
    """Flags as given by a client; \\Recent is not for clients to give."""
    texts = {name.decode("ascii") if isinstance(name, bytes) else name for name in names}
    spelling = {flag.lower(): flag for flag in (*SYSTEM_FLAGS, RECENT)}
    return frozenset(spelling.get(text.lower(), text) for text in texts) - {RECENT}


def _numbers(messages: MessageSet) -> SequenceSet:
    return SequenceSet(
        tuple(
            (STAR if low is None else int(low), STAR if high is None else int(high))
            for low, high in messages.ranges
        )
    )


@implementer(IMailboxIMAP, ISearchableIMAPMailbox, IMessageIMAPCopier, ICloseableMailboxIMAP)
class TwistedMailbox:
    """A mailbox opened for one client of a stock server, with the sequence numbers that this client knows."""

    log = Logger()

    def __init__(self, account: Any, mailbox: Any) -> None:
        self._account = account
        self._mailbox = mailbox
        self._view = View(mailbox.index)
        # What would be claimed: whether it is, is settled when somebody listens.
        self._view.add_recent(mailbox.index.first_recent, mailbox.index.uidnext)
        self._claimed = mailbox.index.uidnext
        self._listeners: list[Any] = []
        self._watching = False
        #: Operations of our own that are going on: they tell what they did.
        self._busy = 0

    # --- IMailboxIMAP: what is known ------------------------------------------------------------------

    def getFlags(self) -> list[str]:
        return [*SYSTEM_FLAGS, *self._mailbox.index.keywords()]

    def getHierarchicalDelimiter(self) -> str:
        return DELIMITER

    def getUIDValidity(self) -> int:
        return int(self._mailbox.index.uidvalidity)

    def getUIDNext(self) -> int:
        return int(self._mailbox.index.uidnext)

    def getUID(self, message: int) -> int:
        """Raises IndexError."""
        if not 1 <= message <= len(self._view):
            raise IndexError(message)
        return self._view.uid(message)

    def getMessageCount(self) -> int:
        return len(self._view)

    def getRecentCount(self) -> int:
        return self._view.count_recent()

    def getUnseenCount(self) -> int:
        return int(self._mailbox.index.unseen)

    def isWriteable(self) -> bool:
        return not self._mailbox.readonly

    def requestStatus(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        async def work() -> dict[str, int]:
            status = await self._account.status(self._mailbox.name)
            return {name: getattr(status, _STATUS[name.upper()]) for name in names}

        return deferred(work())

    # --- listeners ------------------------------------------------------------------------------------

    @property
    def listened(self) -> bool:
        return bool(self._listeners)

    def addListener(self, listener: Any) -> None:
        self._listeners.append(listener)
        if len(self._listeners) == 1:
            self._watch(True)
            self._later(self._claim)

    def removeListener(self, listener: Any) -> None:
        """Raises ValueError."""
        self._listeners.remove(listener)
        if not self._listeners:
            self._watch(False)

    def _watch(self, wanted: bool) -> None:
        if wanted is not self._watching:
            self._watching = wanted
            (self._mailbox.watch if wanted else self._mailbox.unwatch)(self._moved)

    async def _claim(self) -> None:
        first, stop = await self._mailbox.claim_recent()
        self._view.add_recent(max(first, self._claimed), stop)

    def _moved(self) -> None:
        if not self._busy:
            self._later(self._tell)

    def _later(self, work: Any) -> None:
        Deferred.fromCoroutine(work()).addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        failure.trap(DuckError)
        self.log.warn("{name}: {error}", name=self._mailbox.name, error=failure.value)

    async def _tell(self) -> None:
        """Tell listeners what they do not know, but for expunges, of which they cannot be told."""
        view = self._view
        if view.has_arrivals and self._listeners:
            view.add_recent(*await self._mailbox.claim_recent())
        for news in view.news(expunges=False):
            for listener in list(self._listeners):
                match news:
                    case ExistsNews(exists, recent):
                        listener.newMessages(exists, recent)
                    case FlagsNews(number, uid, _, flags):
                        listener.flagsChanged({number: self._said(uid, flags)})

    def _said(self, uid: int, flags: Flags) -> list[str]:
        return [*sorted(flags), *([RECENT] if self._view.is_recent(uid) else [])]

    # --- IMailboxIMAP: what is done -------------------------------------------------------------------

    def addMessage(
        self, message: IO[bytes], flags: Iterable[bytes | str] = (), date: bytes | str | None = None
    ) -> Deferred[int | None]:
        """Fires with the UID where the account can tell it."""

        async def work() -> int | None:
            internal_date = None if date is None else dates.parse(date)
            if date is not None and internal_date is None:
                raise Cannot("the date cannot be understood")
            spool = Spool(DEFAULTS)
            try:
                while chunk := message.read(_CHUNK):
                    spool.write(chunk)
                spool.finish()
                arriving = AppendMessage(spool, _flags(flags), internal_date)
                result = await self._account.append(self._mailbox.name, [arriving])
            finally:
                spool.close()
            await self._mailbox.refresh()
            await self._tell()
            return None if result is None else int(result.uids[0])

        return deferred(work())

    def expunge(self) -> Deferred[list[int]]:
        """Fires with sequence numbers, each counted after those before it were taken away."""

        async def work() -> list[int]:
            self._busy += 1
            try:
                await self._mailbox.expunge()
            finally:
                self._busy -= 1
            await self._tell()
            news = self._view.news(expunges=True)
            return [each.number for each in news if isinstance(each, ExpungeNews)]

        return deferred(work())

    def store(
        self, messages: MessageSet, flags: Iterable[bytes | str], mode: int, uid: bool
    ) -> Deferred[dict[int, list[str]]]:
        async def work() -> dict[int, list[str]]:
            uids = self._view.select(_numbers(messages), uid=bool(uid))
            self._busy += 1
            try:
                change = FlagChange(_MODES[mode], _flags(flags))
                result = await self._mailbox.store(uids, change)
            finally:
                self._busy -= 1
            if result.modseq:
                self._view.knows(result.modseq)
            await self._tell()
            rows = self._mailbox.index.rows(uids)
            named = {each: self._said(each, now) for each, _, now in rows}
            return {number: named[each] for number, each in self._view.numbered(sorted(named))}

        return deferred(work())

    def fetch(self, messages: MessageSet, uid: bool) -> Deferred[list[tuple[int, TwistedMessage]]]:
        async def work() -> list[tuple[int, TwistedMessage]]:
            uids = self._view.select(_numbers(messages), uid=bool(uid))
            contents = Contents()
            found: list[tuple[MessageData, Extent]] = []
            wanted = frozenset({"date", "content"})
            async for batch in self._mailbox.fetch(uids, wanted):
                for data in batch:
                    found.append((data, await contents.add(data.content)))
            contents.finish()
            return [
                (number, message)
                for data, extent in found
                if (message := self._message(data, extent)) is not None
                and (number := self._view.number(data.uid)) is not None
            ]

        return deferred(work())

    def _message(self, data: MessageData, extent: Extent) -> TwistedMessage | None:
        index = self._mailbox.index
        if data.uid not in index:
            return None
        content: Any = data.content
        assert data.internal_date is not None
        return TwistedMessage(
            self,
            data.uid,
            index.flags(data.uid),
            recent=self._view.is_recent(data.uid),
            internal_date=data.internal_date,
            extent=extent,
            tree=content.tree,
        )

    def search(self, query: list[Any], uid: bool) -> Deferred[list[int]]:
        """Sequence numbers in any case: the server makes UIDs of them itself."""

        async def work() -> list[int]:
            key = at(search_key(query), datetime.now(UTC))
            found = await self._mailbox.search(self._view.resolve(key))
            return [number for number, _ in self._view.numbered(found)]

        return deferred(work())

    def copy(self, messageObject: TwistedMessage) -> Deferred[int | None]:
        """Fires with the new UID where the store can tell it."""

        async def work() -> int | None:
            source: TwistedMailbox = messageObject.mailbox
            result = await source._mailbox.copy([messageObject.getUID()], self._mailbox.name)
            await source._mailbox.refresh()
            await source._tell()
            return None if result is None else int(result.destination[0])

        if (
            isinstance(messageObject, TwistedMessage)
            and messageObject.mailbox._account is self._account
        ):
            return deferred(work())
        message: Any = messageObject
        return self.addMessage(message.open(), message.getFlags(), message.getInternalDate())

    def destroy(self) -> Deferred[None]:
        async def work() -> None:
            await self._account.delete(self._mailbox.name)

        return deferred(work())

    def close(self) -> Deferred[None]:
        return deferred(self.leave())

    async def leave(self) -> None:
        """Give the mailbox back; safe more than once.  Listeners stay to be removed by whoever added them."""
        self._watch(False)
        await self._mailbox.close()
