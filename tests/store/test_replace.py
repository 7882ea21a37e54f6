"""REPLACE where several processes want the same message."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import DeferredList

from tests.store.base import StoreTestCase, add, simple, together
from twisted_duck import errors
from twisted_duck.spool import Spool
from twisted_duck.store.checker import Finding, check
from twisted_duck.values import DELETED, AppendMessage


class ReplaceTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.stores = [await self.make_store() for _ in range(2)]
        self.account = await self.make_user(self.stores[0])
        self.others = await self.stores[1].account("ada")

    def new(self, number: int) -> AppendMessage:
        return AppendMessage(Spool.of(simple(number)))

    async def in_order(self) -> None:
        async for each in check(self.stores[0].mongo):
            # The bodies of what is gone wait for the collector.
            self.assertTrue(not isinstance(each, Finding) or each.garbage, each)

    async def outcomes(self, *calls: Any) -> list[Any]:
        results = await DeferredList(together(*calls), consumeErrors=True)
        return [result if good else type(result.value) for good, result in results]

    async def test_of_many_at_once_one_wins_each_time(self) -> None:
        [uid] = await self.put(self.account, "Drafts", simple())
        boxes = [await each.select("Drafts", False) for each in (self.account, self.others) * 3]
        for turn in range(5):
            found = await self.outcomes(
                *(
                    box.replace(uid, ("Drafts", "Sent")[turn == 4], self.new(number))
                    for number, box in enumerate(boxes)
                )
            )
            [won] = [each for each in found if each is not errors.ExpungeIssued]
            [uid] = won.uids
        self.assertEqual((await self.account.status("Drafts")).messages, 0)
        self.assertEqual((await self.account.status("Sent")).messages, 1)
        await self.in_order()

    async def test_either_it_is_replaced_or_it_is_expunged(self) -> None:
        for number in range(5):
            [uid] = await self.put(self.account, "INBOX", simple(number))
            here = await self.account.select("INBOX", False)
            there = await self.others.select("INBOX", False)
            await here.store([uid], add(DELETED))
            await self.outcomes(here.replace(uid, "INBOX", self.new(number)), there.expunge())
            status = await self.account.status("INBOX")
            self.assertIn(status.messages, (0, 1))
            await here.refresh()
            self.assertNotIn(uid, here.index.uids)
            await here.remove(list(here.index.uids))
        await self.in_order()
