"""What the tests of the MongoDB store share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests import mongo
from twisted_duck.index import MailboxIndex
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.store import MailStore
from twisted_duck.values import AppendMessage, FlagChange, Flags

LIMITS = Limits()


def state(index: MailboxIndex) -> dict[int, tuple[int, Flags]]:
    """All that an index says of messages."""
    return {uid: (modseq, flags) for uid, modseq, flags in index.rows(index.uids)}


def add(*flags: str) -> FlagChange:
    return FlagChange("add", frozenset(flags))


def simple(number: int = 0) -> bytes:
    return b"Subject: message %d\r\n\r\ntext of %d\r\n" % (number, number)


class StoreTestCase(TestCase):
    """A database of its own, and stores on it."""

    async def setUp(self) -> None:
        self.uri = await mongo.database(self)

    async def make_store(self, **options: Any) -> MailStore:
        store = MailStore(self.uri, **{"limits": LIMITS, **options})
        await store.open()
        self.addCleanup(store.close)
        return store

    async def make_user(self, store: MailStore, name: str = "ada") -> StoreAccount:
        await store.users.add(name, None)
        return await store.account(name)

    async def put(
        self, account: StoreAccount, mailbox: str, *contents: bytes, flags: Iterable[str] = ()
    ) -> list[int]:
        result = await account.append(
            mailbox, [AppendMessage(Spool.of(c), frozenset(flags)) for c in contents]
        )
        return list(result.uids)

    async def contents(self, account: StoreAccount, name: str) -> list[bytes]:
        mailbox = await account.select(name, True)
        found = []
        async for batch in mailbox.fetch(list(mailbox.index.uids), frozenset({"content"})):
            for message in batch:
                content: Any = message.content
                found.append(b"".join([c async for c in content.chunks(0, content.size)]))
        await mailbox.close()
        return found

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """For what another process is told by the database: that takes as long as it takes."""
        for _ in range(int(seconds * 200)):
            if condition():
                return
            await self.pause(0.005)
        self.fail("it did not happen in time")

    async def pause(self, seconds: float) -> None:
        await deferLater(reactor, seconds)  # type: ignore[arg-type]


def together(*coroutines: Any) -> list[Deferred[Any]]:
    """Start them all."""
    return [Deferred.fromCoroutine(each) for each in coroutines]
