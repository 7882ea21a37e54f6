"""Save dates of messages that came long ago, and what becomes of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from bson.objectid import ObjectId

from tests.store.base import StoreTestCase, simple
from twisted_duck import search
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.saved import condition

DAYS = [datetime(2020, 2, day, 23, 59, 59, tzinfo=UTC) for day in (27, 28, 29)]
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


class SavedTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.store = await self.make_store()
        self.account = await self.make_user(self.store)
        await self.run_("mailboxes", {}, {"$set": {"created": LONG_AGO}})
        await self.put(self.account, "INBOX", *map(simple, range(len(DAYS))))
        rows = await self.store.mongo.find("messages", {})
        await self.store.mongo.run({"delete": "messages", "deletes": [{"q": {}, "limit": 0}]})
        for row, day in zip(rows, DAYS, strict=True):
            row["_id"] = ObjectId(int(day.timestamp()).to_bytes(4, "big") + row["_id"].binary[4:])
        await self.store.mongo.run({"insert": "messages", "documents": rows})

    async def run_(self, collection: str, q: Any, u: Any) -> None:
        await self.store.mongo.run(
            {"update": collection, "updates": [{"q": q, "u": u, "multi": True}]}
        )

    async def saved(self, name: str) -> list[datetime | None]:
        mailbox = await self.account.select(name, True)
        uids = list(mailbox.index.uids)
        wanted = mailbox.fetch(uids, frozenset({"saved"}))
        return [message.saved async for batch in wanted for message in batch]

    async def test_it_is_told_and_stays(self) -> None:
        self.assertEqual(await self.saved("INBOX"), DAYS)
        await self.put(self.account, "INBOX", simple())
        self.assertEqual((await self.saved("INBOX"))[:-1], DAYS)

    async def test_a_copy_is_saved_anew_and_the_source_is_not(self) -> None:
        mailbox: StoreMailbox = await self.account.select("INBOX", False)
        before = datetime.now(UTC).replace(microsecond=0)
        await mailbox.copy([1], "Archive")
        await mailbox.copy([1], "INBOX")
        await mailbox.move([2], "Archive")
        await mailbox.move([3], "INBOX")
        [old, *new] = [*await self.saved("INBOX"), *await self.saved("Archive")]
        self.assertEqual(old, DAYS[0])
        self.assertEqual(len(new), 4)
        for each in new:
            assert each is not None
            self.assertGreaterEqual(each, before)

    async def test_rename_moves_mailboxes_with_what_is_in_them_and_saves_those_of_inbox_anew(
        self,
    ) -> None:
        account: StoreAccount = self.account
        before = datetime.now(UTC).replace(microsecond=0)
        await account.rename("INBOX", "Old")
        for each in await self.saved("Old"):
            assert each is not None
            self.assertGreaterEqual(each, before)
        mailbox = await account.select("Old", True)
        self.assertEqual(await mailbox.search(search.SaveDate("before", before.date())), [])
        self.assertEqual(
            await mailbox.search(search.SaveDate("since", before.date())), list(mailbox.index.uids)
        )

    async def test_rename_of_another_saves_nothing(self) -> None:
        mailbox = await self.account.select("INBOX", False)
        await mailbox.copy([1, 2], "Archive")
        kept = await self.saved("Archive")
        await self.account.rename("Archive", "Kept")
        self.assertEqual(await self.saved("Kept"), kept)

    async def test_search(self) -> None:
        mailbox = await self.account.select("INBOX", True)
        day = date(2020, 2, 28)
        for key, expected in (
            (search.SaveDate("before", day), [1]),
            (search.SaveDate("on", day), [2]),
            (search.SaveDate("since", day), [2, 3]),
            (search.SaveDate("on", date(2001, 1, 1)), []),
            (search.SaveDate("since", date(2001, 1, 1)), [1, 2, 3]),
            (search.SaveDate("since", date(1900, 1, 1)), [1, 2, 3]),
            (search.SaveDate("before", date(2001, 1, 1)), []),
        ):
            self.assertEqual(await mailbox.search(key), expected, key)

    async def test_what_the_mailbox_is_too_young_for_is_not_asked_for(self) -> None:
        created = datetime(2020, 2, 28, 12, tzinfo=UTC)
        self.assertIsNone(condition("before", date(2020, 2, 28), created))
        self.assertIsNone(condition("on", date(2020, 2, 27), created))
        self.assertEqual(condition("since", date(2020, 2, 28), created), {})
        self.assertEqual(
            condition("on", date(2020, 2, 28), created),
            {"_id": {"$lt": ObjectId("5e59a9800000000000000000")}},
        )
