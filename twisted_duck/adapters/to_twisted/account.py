"""`IAccountIMAP` over an `IAccount`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.mail.interfaces import IAccountIMAP, IMailboxIMAPInfo, INamespacePresenter
from zope.interface import implementer

from twisted_duck.adapters.to_twisted.calls import at_once, deferred
from twisted_duck.adapters.to_twisted.mailbox import TwistedMailbox
from twisted_duck.errors import NonExistent
from twisted_duck.imap.listing import list_mailboxes
from twisted_duck.names import canonical
from twisted_duck.values import DELIMITER

T = TypeVar("T")


@implementer(IMailboxIMAPInfo)
@attrs.frozen
class ListedMailbox:
    """What LIST tells of a mailbox."""

    attributes: tuple[str, ...]

    def getFlags(self) -> list[str]:
        return list(self.attributes)

    def getHierarchicalDelimiter(self) -> str:
        return DELIMITER


async def _no_pause() -> None:
    """The answer is had at once where the account's is: some callers do not wait."""


@implementer(IAccountIMAP, INamespacePresenter)
class TwistedAccount:
    """One user's mail as `IMAP4Server` wants it.

    Calls run in the order in which they were made, each when the one before it is done.  Each answers at once where the
    store does, and by a Deferred where it does not.
    """

    def __init__(self, account: Any) -> None:
        self._account = account
        self._lock = DeferredLock()
        self._subscribed: frozenset[str] | None = None
        #: The server opens mailboxes for STATUS, APPEND and COPY too, and never closes those.
        self._opened: list[TwistedMailbox] = []

    async def _in_order(self, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> T:
        await self._lock.acquire()
        try:
            return await work()
        finally:
            self._lock.release()

    def _call(self, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> Deferred[T] | T:
        return at_once(self._in_order(work))

    def addMailbox(self, name: str, mbox: object = None) -> Any:
        """Make a mailbox; `mbox` cannot be taken over."""
        if mbox is not None:
            raise TypeError("mailboxes of others cannot be put into this store")
        return self.create(name)

    def create(self, pathspec: str) -> Any:
        name = canonical(pathspec.removesuffix(DELIMITER))

        async def work() -> bool:
            await self._account.create(name)
            return True

        return self._call(work)

    def delete(self, name: str) -> Any:
        async def work() -> bool:
            await self._account.delete(canonical(name))
            return True

        return self._call(work)

    def rename(self, oldname: str, newname: str) -> Any:
        async def work() -> bool:
            await self._account.rename(canonical(oldname), canonical(newname))
            return True

        return self._call(work)

    def subscribe(self, name: str) -> Any:
        async def work() -> bool:
            await self._account.subscribe(canonical(name))
            self._subscribed = await self._account.subscriptions()
            return True

        return self._call(work)

    def unsubscribe(self, name: str) -> Any:
        async def work() -> bool:
            await self._account.unsubscribe(canonical(name))
            self._subscribed = await self._account.subscriptions()
            return True

        return self._call(work)

    def isSubscribed(self, name: str) -> Any:
        """As it was when mailboxes were last listed, since LSUB does not wait for the answer."""
        if self._subscribed is not None:
            return canonical(name) in self._subscribed

        async def work() -> bool:
            return canonical(name) in await self._account.subscriptions()

        return self._call(work)

    def listMailboxes(self, ref: str, wildcard: str) -> Any:
        async def work() -> list[tuple[str, ListedMailbox]]:
            self._subscribed = await self._account.subscriptions()
            mailboxes = await self._account.mailboxes()
            listed = await list_mailboxes(mailboxes, ref, wildcard, _no_pause)
            return [(each.name, ListedMailbox(each.attributes)) for each in listed]

        return self._call(work)

    def select(self, name: str, rw: object = True) -> Any:
        """A L{TwistedMailbox}, or None where there is none of that name."""

        async def work() -> TwistedMailbox | None:
            await self._sweep()
            try:
                mailbox = await self._account.select(canonical(name), not rw)
            except NonExistent:
                return None
            opened = TwistedMailbox(self._account, mailbox)
            self._opened.append(opened)
            return opened

        return self._call(work)

    async def _sweep(self) -> None:
        """Close what was opened and nobody listens to: it was used for one command, which is over."""
        for mailbox in [each for each in self._opened if not each.listened]:
            await mailbox.leave()
            self._opened.remove(mailbox)

    def logout(self) -> Deferred[None]:
        """Close everything: the session is over."""

        async def work() -> None:
            while self._opened:
                await self._opened.pop().leave()
            await self._account.logout()

        return deferred(self._in_order(work))

    def getPersonalNamespaces(self) -> list[list[bytes]]:
        return [[b"", DELIMITER.encode("ascii")]]

    def getSharedNamespaces(self) -> None:
        return None

    def getUserNamespaces(self) -> None:
        return None
