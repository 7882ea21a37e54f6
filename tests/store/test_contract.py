"""The MongoDB store keeps the contract that the in-memory store keeps."""

from __future__ import annotations

from typing import ClassVar

from twisted.trial.unittest import TestCase

from tests import mongo
from tests.contract import LIMITS, StoreContract
from tests.contract.base import Account
from tests.store.recorder import Recorder
from twisted_duck.store.store import MailStore


class MailStoreTests(StoreContract, TestCase):
    """Whatever a test does, every command of it names its user and has an index."""

    fine: ClassVar[set[str]] = set()

    async def setUp(self) -> None:
        self.recorder = Recorder(self.fine)
        self.store = MailStore(await mongo.database(self), limits=LIMITS, on_command=self.recorder)
        await self.store.open()
        self.addCleanup(self.store.close)
        self.addCleanup(self.look_at_commands)
        self.known: set[str] = set()

    async def look_at_commands(self) -> None:
        self.assertEqual(await self.recorder.problems(self.store.mongo), [])

    async def make_account(self, name: str, quota: int | None = None) -> Account:
        if name not in self.known:
            self.known.add(name)
            await self.store.users.add(name, None, quota)
        return await self.store.account(name)
