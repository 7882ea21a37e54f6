"""Our mailboxes as those of `twisted.mail`, and these as ours again: nothing may be lost on the way.

Both adapters keep the contract of messages and of searches, and as much of the rest as `twisted.mail`'s interfaces can
say.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import TestCase

from tests import mongo
from tests.contract import LIMITS, MessagesContract, SearchContract
from twisted_duck.adapters.to_twisted import TwistedAccount
from twisted_duck.errors import NonExistent
from twisted_duck.interfaces import (
    IAccount,
    ICondstoreAccount,
    IMoveAccount,
    IMultiAppendAccount,
    IReplaceAccount,
    ISpecialUseAccount,
    IUIDPlusAccount,
)
from twisted_duck.memory import MemoryStore
from twisted_duck.store.store import MailStore


class RoundTripTests(MessagesContract, SearchContract, TestCase):
    """Over a store that answers at once."""

    def setUp(self) -> None:
        self.store = MemoryStore(LIMITS)

    async def make_account(self, name: str, quota: int | None = None) -> Any:
        try:
            account = self.store.account(name)
        except NonExistent:
            self.store.add_user(name, "secret", quota)
            account = self.store.account(name)
        return IAccount(TwistedAccount(account))

    async def test_extensions_are_not_claimed(self) -> None:
        account = await self.make_account("ada")
        self.assertTrue(IAccount.providedBy(account))
        for extension in (
            ISpecialUseAccount,
            IUIDPlusAccount,
            IMoveAccount,
            ICondstoreAccount,
            IMultiAppendAccount,
            IReplaceAccount,
        ):
            self.assertFalse(extension.providedBy(account))


class RoundTripOverMongoTests(MessagesContract, SearchContract, TestCase):
    """Over a store that does not."""

    async def setUp(self) -> None:
        self.store = MailStore(await mongo.database(self), limits=LIMITS)
        await self.store.open()
        self.addCleanup(self.store.close)
        self.known: set[str] = set()

    async def make_account(self, name: str, quota: int | None = None) -> Any:
        if name not in self.known:
            self.known.add(name)
            await self.store.users.add(name, None, quota)
        return IAccount(TwistedAccount(await self.store.account(name)))
