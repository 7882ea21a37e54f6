"""What holds of each archive that this state opens."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from tests.migrations.archive import dump, restore
from tests.migrations.mail import PASSWORD, fill, told
from tests.mongo import database
from tests.store.base import LIMITS, StoreTestCase, add, simple
from twisted_duck import search
from twisted_duck.auth.passwords import verify_password
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.collector import Collector
from twisted_duck.store.connection import Mongo, Times
from twisted_duck.store.schema import VERSION
from twisted_duck.store.store import MailStore
from twisted_duck.store.uri import parse
from twisted_duck.values import DELETED

ARCHIVES = Path(__file__).parent / "archives"

_SEARCHES: tuple[search.SearchKey, ...] = (
    search.Text("needle"),
    search.Body("NEEDLE"),
    search.Body("well"),
    search.Header("subject", "a TALK"),
    search.Header("to", "r999@"),
    search.SentDate("on", datetime.date(2026, 6, 1)),
    search.InternalDate("since", datetime.date(2026, 5, 10)),
    search.Size("larger", 20_000),
    search.HasFlag("a-keyword"),
)


async def _found(store: MailStore) -> dict[str, Any]:
    """What only later states can tell of the mail, made from it where nothing is stored."""
    found: dict[str, Any] = {}
    async for user in store.users.all():
        account = await store.account(user.name)
        for info in await account.mailboxes():
            if not info.selectable:
                continue
            mailbox = await account.select(info.name, True)
            wanted = frozenset({"order", "ids", "preview"})
            found[f"{user.name}: {info.name}"] = (
                [
                    (data.uid, data.order, data.ids, data.preview)
                    async for batch in mailbox.fetch(list(mailbox.index.uids), wanted)
                    for data in batch
                ],
                [list(await mailbox.search(key)) for key in _SEARCHES],
            )
            await mailbox.close()
    return found


class ArchiveTests(StoreTestCase):
    """The archive is in `archive`."""

    archive: str

    async def setUp(self) -> None:
        await super().setUp()
        await self._restore()
        self.store = await self.make_store()

    async def _restore(self) -> None:
        mongo = Mongo(parse(self.uri, None), reactor, times=Times(), on_command=None)
        await mongo.open()
        try:
            await restore(mongo, ARCHIVES / f"{self.archive}.bson.gz")
        finally:
            await mongo.close()

    async def findings(self) -> list[str]:
        checked = check(self.store.mongo, contents=True)
        return [
            found.text
            async for found in checked
            if isinstance(found, Finding) and not found.garbage
        ]

    async def test_tells_what_it_told_then(self) -> None:
        then = json.loads((ARCHIVES / f"{self.archive}.json").read_text())
        self.assertEqual(await told(self.store), then)
        self.assertEqual(await self.findings(), [])

    async def test_opened_again_and_again_it_stays_the_same(self) -> None:
        first = Path(self.mktemp())
        await dump(self.store.mongo, first)
        again = await self.make_store()
        second = Path(self.mktemp())
        await dump(again.mongo, second)
        self.assertEqual(first.read_bytes(), second.read_bytes())

    async def test_what_was_not_thought_of_then_is_found_as_in_mail_of_today(self) -> None:
        fresh = MailStore(await database(self), limits=LIMITS)
        await fresh.open()
        self.addCleanup(fresh.close)
        await fill(fresh)
        self.assertEqual(await _found(self.store), await _found(fresh))

    async def test_migrated_it_tells_the_same_and_lacks_nothing(self) -> None:
        before = await told(self.store), await _found(self.store)
        await self.store.migrator.run()
        mongo = self.store.mongo
        self.assertEqual((await mongo.find("schema", {"_id": "schema"}))[0]["version"], VERSION)
        without = await mongo.find("messages", {"fields": None, "cut": None})
        # A thousand recipients are not kept twice.
        self.assertEqual([row["envelope"] for row in without if "envelope" in row], [])
        self.assertEqual((await told(self.store), await _found(self.store)), before)
        self.assertEqual(await self.findings(), [])
        first = Path(self.mktemp())
        await dump(mongo, first)
        await self.store.migrator.run()
        second = Path(self.mktemp())
        await dump(mongo, second)
        self.assertEqual(first.read_bytes(), second.read_bytes())

    async def test_passwords_of_then_are_right(self) -> None:
        for name in ("ada", "bob"):
            record = await self.store.users.find(name)
            assert record is not None and record.password_hash is not None
            self.assertTrue(verify_password(PASSWORD, record.password_hash))
            self.assertEqual(record.disabled, name == "bob")

    async def test_its_mail_can_be_changed_and_collected(self) -> None:
        ada = await self.store.account("ada")
        inbox = await ada.select("From the inbox", False)
        uids = list(inbox.index.uids)
        before = await self.contents(ada, "From the inbox")
        bob = await self.store.account("bob")
        others = await self.contents(bob, "INBOX")
        await inbox.copy(uids, "Work")
        await inbox.move(uids[:10], "Records")
        await inbox.store(uids[10:20], add(DELETED, "new"))
        await inbox.expunge()
        await self.put(ada, "From the inbox", simple(1))
        await inbox.close()
        await ada.rename("Work", "Later")
        await ada.delete("Records/März")
        await Collector(self.store.mongo, datetime.timedelta(seconds=-1)).run()
        self.assertEqual(await self.findings(), [])
        self.assertEqual(await self.contents(ada, "From the inbox"), [*before[20:], simple(1)])
        later = await self.contents(ada, "Later")
        self.assertEqual(later[-len(before) :], before)
        await self.store.users.delete("ada")
        await Collector(self.store.mongo, datetime.timedelta(seconds=-1)).run()
        # The attachments that both had are still his.
        self.assertEqual(await self.contents(bob, "INBOX"), others)
        self.assertEqual(await self.findings(), [])
