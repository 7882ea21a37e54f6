"""`twisted.mail.pop3.IMailbox` over an account's INBOX."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.mail.interfaces import IMailboxPOP3
from zope.interface import implementer

from twisted_duck.adapters.to_twisted.contents import Contents, Extent
from twisted_duck.errors import NonExistent
from twisted_duck.pop3.inbox import Inbox


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

    def __init__(self, account: Any, inbox: Inbox) -> None:
        self._account = account
        self._inbox = inbox
        self._deleted: set[int] = set()
        self._lock = DeferredLock()

    @classmethod
    async def open(cls, account: Any) -> Maildrop:
        return cls(account, await Inbox.open(account))

    def _check(self, index: int) -> None:
        # Bytes, as Twisted's server has them in its answer to DELE.
        if not 0 <= index < len(self._inbox.sizes):
            raise ValueError(b"no such message")
        if index in self._deleted:
            raise ValueError(b"message deleted")

    def listMessages(self, i: int | None = None) -> Any:
        """Octets of a message, or of each; 0 for those that are marked for deletion.  Raises ValueError."""
        sizes = self._inbox.sizes
        if i is None:
            return [0 if n in self._deleted else size for n, size in enumerate(sizes)]
        if not 0 <= i < len(sizes):
            raise ValueError(b"no such message")
        return 0 if i in self._deleted else sizes[i]

    def getMessage(self, index: int) -> Deferred[MessageFile]:
        """Raises ValueError; it fails with that, too, where the message is gone."""
        self._check(index)

        async def work() -> MessageFile:
            try:
                content = await self._inbox.content(index)
            except NonExistent:
                raise ValueError("the message does not exist any more") from None
            contents = Contents()
            extent = await contents.add(content)
            contents.finish()
            return MessageFile(extent)

        return Deferred.fromCoroutine(work())

    def getUidl(self, index: int) -> bytes:
        """What our own server says.  Raises ValueError."""
        self._check(index)
        return self._inbox.unique_id(index).encode("ascii")

    def deleteMessage(self, index: int) -> None:
        """Raises ValueError."""
        self._check(index)
        self._deleted.add(index)

    def undeleteMessages(self) -> None:
        self._deleted.clear()

    def sync(self) -> Deferred[None]:
        """Remove what is marked for deletion.  The server does not wait for it: failures are logged."""
        doomed, self._deleted = sorted(self._deleted), set()

        async def work() -> None:
            await self._lock.acquire()
            try:
                if doomed:
                    await self._inbox.remove(doomed)
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
                await self._inbox.close()
                await self._account.logout()
            finally:
                self._lock.release()

        return Deferred.fromCoroutine(work())
