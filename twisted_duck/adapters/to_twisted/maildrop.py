"""`twisted.mail.pop3.IMailbox` over an account's INBOX."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.mail.interfaces import IMailboxPOP3
from zope.interface import implementer

from twisted_duck.adapters.to_twisted.contents import Contents, Extent
from twisted_duck.names import INBOX
from twisted_duck.values import DELETED, FlagChange, UIDSet


@attrs.define(eq=False)
class MessageFile:
    """A message to be read for RETR and TOP, with LF for its line ends.

    The server makes CRLF of LF and doubles the dots that follow, within what is read at once.  So nothing that is read
    begins with a dot that it would overlook.
    """

    extent: Extent
    _at: int = 0

    def read(self, size: int) -> bytes:
        at = self._at
        stop = min(at + size, self.extent.size)
        data = self.extent.read(at, stop)
        # A line end must not be cut in two, nor from a dot that follows it.
        while stop < self.extent.size and data[-1:] in (b"\r", b"\n"):
            following = self.extent.read(stop, stop + 1)
            if data[-1:] == b"\r" and following != b"\n":
                break
            data += following
            stop += 1
        self._at = stop
        if at == 0 and data.startswith(b"."):
            data = b"." + data
        return data.replace(b"\r\n", b"\n")


@implementer(IMailboxPOP3)
class Maildrop:
    """INBOX as it was at login.  Messages keep their numbers whatever is deleted (RFC 1939 §5)."""

    log = Logger()

    def __init__(self, account: Any, mailbox: Any, uids: list[int], sizes: list[int]) -> None:
        self._account = account
        self._mailbox = mailbox
        self._uids = uids
        self._sizes = sizes
        self._deleted: set[int] = set()
        self._lock = DeferredLock()

    @classmethod
    async def open(cls, account: Any) -> Maildrop:
        mailbox = await account.select(INBOX, False)
        uids: list[int] = []
        sizes: list[int] = []
        async for batch in mailbox.fetch(list(mailbox.index.uids), frozenset({"size"})):
            uids += [data.uid for data in batch]
            sizes += [data.size for data in batch]
        return cls(account, mailbox, uids, sizes)

    def _uid(self, index: int) -> int:
        if not 0 <= index < len(self._uids):
            raise ValueError("no such message")
        if index in self._deleted:
            raise ValueError("message deleted")
        return self._uids[index]

    def listMessages(self, i: int | None = None) -> Any:
        """Octets of a message, or of each; 0 for those that are marked for deletion.  Raises ValueError."""
        if i is None:
            return [0 if n in self._deleted else size for n, size in enumerate(self._sizes)]
        if not 0 <= i < len(self._sizes):
            raise ValueError("no such message")
        return 0 if i in self._deleted else self._sizes[i]

    def getMessage(self, index: int) -> Deferred[MessageFile]:
        """Raises ValueError; it fails with that, too, where the message is gone."""
        uid = self._uid(index)

        async def work() -> MessageFile:
            contents = Contents()
            async for batch in self._mailbox.fetch([uid], frozenset({"content"})):
                for data in batch:
                    extent = await contents.add(data.content)
                    contents.finish()
                    return MessageFile(extent)
            raise ValueError("the message does not exist any more")

        return Deferred.fromCoroutine(work())

    def getUidl(self, index: int) -> bytes:
        """UIDVALIDITY and UID: the same for ever, and nobody else's.  Raises ValueError."""
        return b"%08x%08x" % (self._mailbox.index.uidvalidity, self._uid(index))

    def deleteMessage(self, index: int) -> None:
        """Raises ValueError."""
        self._uid(index)
        self._deleted.add(index)

    def undeleteMessages(self) -> None:
        self._deleted.clear()

    def sync(self) -> Deferred[None]:
        """Remove what is marked for deletion.  The server does not wait for it: failures are logged."""
        doomed, self._deleted = sorted(self._uids[index] for index in self._deleted), set()

        async def work() -> None:
            await self._lock.acquire()
            try:
                if doomed:
                    await self._mailbox.store(doomed, FlagChange("add", frozenset({DELETED})))
                    await self._mailbox.expunge(UIDSet.of(doomed))
            finally:
                self._lock.release()

        return Deferred.fromCoroutine(work()).addErrback(self._failed, len(doomed))

    def _failed(self, failure: Any, count: int) -> None:
        self.log.failure("{count} messages could not be deleted", failure, count=count)

    def logout(self) -> Deferred[None]:
        """The session is over, once what is being deleted is gone."""

        async def work() -> None:
            await self._lock.acquire()
            try:
                await self._mailbox.close()
                await self._account.logout()
            finally:
                self._lock.release()

        return Deferred.fromCoroutine(work())
