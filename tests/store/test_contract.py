"""The MongoDB store keeps the contract that the in-memory store keeps."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from tests import mongo
from tests.contract import LIMITS, StoreContract
from tests.contract.base import Account
from twisted_duck.store.store import MailStore


class MailStoreTests(StoreContract, TestCase):
    async def setUp(self) -> None:
        self.store = MailStore(await mongo.database(self), limits=LIMITS)
        await self.store.open()
        self.addCleanup(self.store.close)
        self.known: set[str] = set()

    async def make_account(self, name: str, quota: int | None = None) -> Account:
        if name not in self.known:
            self.known.add(name)
            await self.store.users.add(name, None, quota)
        return await self.store.account(name)
