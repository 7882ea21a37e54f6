"""How long expunges are remembered, and what becomes of who knew less."""

from __future__ import annotations

from datetime import timedelta

from tests.store.base import StoreTestCase, add, simple, state
from twisted_duck.limits import Limits
from twisted_duck.store.collector import Collector
from twisted_duck.values import DELETED, SEEN, UIDSet

AT_ONCE, LATER = timedelta(seconds=-5), timedelta(hours=1)


class TombstoneTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.store = await self.make_store()
        self.ada = await self.make_user(self.store)
        await self.put(self.ada, "INBOX", *map(simple, range(6)))

    async def expunge(self, *uids: int) -> int:
        """The modseq before."""
        mailbox = await self.ada.select("INBOX", False)
        await mailbox.store(uids, add(DELETED))
        before = mailbox.index.highest_modseq
        await mailbox.expunge()
        await mailbox.close()
        return before

    async def collect(self, memory: timedelta) -> int:
        return (await Collector(self.store.mongo, memory=memory).run()).tombstones

    async def test_what_vanished_is_read_by_another_process(self) -> None:
        first = await self.expunge(1, 2, 5)
        second = await self.expunge(4)
        account = await (await self.make_store()).account("ada")
        mailbox = await account.select("INBOX", True)
        self.assertIsNone(mailbox.index.expunged_since(second))
        self.assertEqual(await mailbox.vanished_since(1), UIDSet(((1, 2), (4, 5))))
        self.assertEqual(await mailbox.vanished_since(first), UIDSet(((1, 2), (4, 5))))
        self.assertEqual(await mailbox.vanished_since(first + 1), UIDSet(((4, 4),)))
        self.assertEqual(await mailbox.vanished_since(second + 1), UIDSet())

    async def test_they_are_kept_for_their_time(self) -> None:
        before = await self.expunge(1, 2)
        self.assertEqual(await self.collect(LATER), 0)
        account = await (await self.make_store()).account("ada")
        mailbox = await account.select("INBOX", True)
        self.assertEqual(await mailbox.vanished_since(before), UIDSet(((1, 2),)))

    async def test_what_is_older_than_they_reach_is_not_known(self) -> None:
        before = await self.expunge(1, 2)
        self.assertEqual(await self.collect(AT_ONCE), 1)
        later = await self.expunge(4)
        account = await (await self.make_store()).account("ada")
        mailbox = await account.select("INBOX", True)
        self.assertIsNone(await mailbox.vanished_since(before))
        self.assertEqual(await mailbox.vanished_since(before + 1), UIDSet(((4, 4),)))
        self.assertEqual(await mailbox.vanished_since(later), UIDSet(((4, 4),)))

    async def test_an_index_that_is_older_than_they_reach(self) -> None:
        """It is told of what changed, and finds out for itself what is gone."""
        account = await (await self.make_store()).account("ada")
        mailbox = await account.select("INBOX", False)
        self.patch(mailbox._opened, "wake", lambda: None)
        await self.expunge(1, 2, 5)
        there = await self.ada.select("INBOX", False)
        await there.store([3], add(SEEN))
        await self.put(self.ada, "INBOX", simple(7))
        self.assertEqual(await self.collect(AT_ONCE), 1)
        await self.expunge(6)
        await there.refresh()
        await mailbox.refresh()
        self.assertEqual(list(mailbox.index.uids), [3, 4, 7])
        self.assertEqual(state(mailbox.index), state(there.index))
        self.assertEqual(mailbox.index.expunged_since(2), [1, 2, 5, 6])

    async def test_the_time_is_a_limit(self) -> None:
        await self.expunge(1)
        self.assertEqual((await self.store.collector.run()).tombstones, 0)
        forgetful = await self.make_store(limits=Limits(tombstone_days=0))
        self.assertEqual((await forgetful.collector.run()).tombstones, 1)
