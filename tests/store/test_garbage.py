"""What is garbage is removed, what is in use is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bson.objectid import ObjectId
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from tests.store.base import StoreTestCase, add, simple, together
from tests.store.test_rope import attachment, cut_base64
from twisted_duck import errors
from twisted_duck.spool import Spool
from twisted_duck.store import background, collector, copying
from twisted_duck.store import users as store_users
from twisted_duck.store.blobs import CHUNK
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.collector import Collected, Collector
from twisted_duck.store.coming import Coming
from twisted_duck.store.connection import Mongo
from twisted_duck.values import DELETED, AppendMessage

#: Garbage is old at once.
NOW = timedelta(seconds=-5)
SHARED = attachment(cut_base64(b"the same for all " * 40_000, 76, b"\r\n"))


class Jumping:
    """A clock that somebody sets whenever it is looked at."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._set = 0.0
        self.callLater = reactor.callLater

    def seconds(self) -> float:
        self._set += self._step
        return self._set


class ByAnotherClock:
    """The database, for whoever looks at this clock."""

    def __init__(self, mongo: Mongo, clock: Jumping) -> None:
        self._mongo = mongo
        self.reactor = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mongo, name)


class GarbageTestCase(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.store = await self.make_store()
        self.mongo = self.store.mongo
        self.ada = await self.make_user(self.store)

    async def count(self, collection: str, **filter: Any) -> int:
        found = await self.mongo.aggregate(
            collection, [{"$match": filter}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
        )
        return found[0]["n"] if found else 0

    async def collect(self, grace: timedelta = NOW) -> Collected:
        """Two runs: the first one remembers which bodies are of no message."""
        await Collector(self.mongo, grace).run()
        return await Collector(self.mongo, grace).run()

    async def expunge_all(self, account: Any, name: str = "INBOX") -> None:
        mailbox = await account.select(name, False)
        await mailbox.store(list(mailbox.index.uids), add(DELETED))
        await mailbox.expunge()
        await mailbox.close()

    async def findings(self) -> list[Finding]:
        return [found async for found in check(self.mongo) if isinstance(found, Finding)]


class SharingTests(GarbageTestCase):
    async def test_an_attachment_is_stored_once_for_all_users(self) -> None:
        bob = await self.make_user(self.store, "bob")
        await self.put(self.ada, "INBOX", SHARED, SHARED)
        chunks = await self.count("blobs")
        self.assertEqual(chunks, -(-17 * 40_000 // CHUNK))
        await self.put(bob, "INBOX", SHARED)
        self.assertEqual(await self.count("blobs"), chunks)
        for account in (self.ada, bob):
            self.assertEqual(set(await self.contents(account, "INBOX")), {SHARED})

    async def test_two_processes_store_one_attachment_at_once(self) -> None:
        stores = [await self.make_store() for _ in range(3)]
        accounts = [await store.account("ada") for store in stores]
        await gatherResults(together(*(self.put(a, "INBOX", SHARED) for a in accounts)))
        self.assertEqual(await self.contents(self.ada, "INBOX"), [SHARED] * 3)
        self.assertEqual(await self.findings(), [])

    async def test_copies_share_the_body(self) -> None:
        await self.put(self.ada, "INBOX", SHARED, simple())
        mailbox = await self.ada.select("INBOX", False)
        await mailbox.copy([1, 2], "Archive")
        await mailbox.move([1, 2], "Trash")
        self.assertEqual(await self.count("bodies"), 2)
        self.assertEqual(await self.contents(self.ada, "Trash"), [SHARED, simple()])

    async def test_a_chunk_that_is_missing_is_written_again(self) -> None:
        await self.put(self.ada, "INBOX", SHARED)
        await self.mongo.run({"delete": "blobs", "deletes": [{"q": {"n": 1}, "limit": 1}]})
        await self.put(self.ada, "INBOX", SHARED)
        self.assertEqual(await self.contents(self.ada, "INBOX"), [SHARED] * 2)

    async def test_a_blob_that_was_collected_before_the_commit_is_written_again(self) -> None:
        """The collector runs when the blob is there and the transaction is not."""
        work = self.store._writers.of(self.ada._user)
        original = work.append

        async def append(path: str, coming: Coming) -> Any:
            await self.mongo.run({"delete": "blobs", "deletes": [{"q": {}, "limit": 0}]})
            return await original(path, coming)

        self.patch(work, "append", append)
        await self.put(self.ada, "INBOX", SHARED)
        self.assertEqual(await self.contents(self.ada, "INBOX"), [SHARED])

    async def test_a_blob_that_was_collected_before_a_replacement_is_written_again(self) -> None:
        [uid] = await self.put(self.ada, "INBOX", simple())
        mailbox = await self.ada.select("INBOX", False)
        original, tries = copying.replace, 0
        message = AppendMessage(Spool.of(SHARED))

        async def replace(*arguments: Any) -> Any:
            nonlocal tries
            tries += 1
            if tries <= lost:
                await self.mongo.run({"delete": "blobs", "deletes": [{"q": {}, "limit": 0}]})
            return await original(*arguments)

        self.patch(copying, "replace", replace)
        lost = 2
        with self.assertRaises(errors.Unavailable):
            await mailbox.replace(uid, "INBOX", message)
        self.assertEqual(await self.contents(self.ada, "INBOX"), [simple()])
        tries, lost = 0, 1
        await mailbox.replace(uid, "INBOX", message)
        self.assertEqual(await self.contents(self.ada, "INBOX"), [SHARED])

    async def test_a_lost_blob_is_no_matter_of_other_appends(self) -> None:
        work = self.store._writers.of(self.ada._user)
        original = work.append
        lost: list[int] = []

        async def append(path: str, coming: Coming) -> Any:
            [arrival] = await coming.arrivals()
            if arrival.sources and not lost:
                lost.append(1)
                await self.mongo.run({"delete": "blobs", "deletes": [{"q": {}, "limit": 0}]})
            return await original(path, coming)

        self.patch(work, "append", append)
        messages = [simple(n) for n in range(20)]
        await gatherResults(
            together(
                *(self.put(self.ada, "INBOX", each) for each in [*messages, SHARED, *messages])
            )
        )
        self.assertEqual(
            sorted(await self.contents(self.ada, "INBOX")), sorted([*messages, SHARED, *messages])
        )

    async def test_a_blob_that_was_touched_long_ago_is_not_relied_on(self) -> None:
        work = self.store._writers.of(self.ada._user)
        original = work.append

        async def append(path: str, coming: Coming) -> Any:
            old = {"$set": {"touched": (await self.store.collector._now()) - timedelta(hours=13)}}
            await self.mongo.run(
                {"update": "blobs", "updates": [{"q": {}, "u": old, "multi": True}]}
            )
            return await original(path, coming)

        self.patch(work, "append", append)
        await self.put(self.ada, "INBOX", SHARED)
        recent = (await self.store.collector._now()) - timedelta(hours=1)
        self.assertEqual(await self.count("blobs", touched={"$lt": recent}), 0)


class CollectorTests(GarbageTestCase):
    async def test_what_is_in_use_stays(self) -> None:
        await self.put(self.ada, "INBOX", SHARED, *map(simple, range(5)))
        mailbox = await self.ada.select("INBOX", False)
        await mailbox.copy([1, 2, 3], "Archive")
        await self.expunge_all(self.ada)
        await self.ada.rename("INBOX", "Old")
        collected = await self.collect()
        self.assertEqual((collected.messages, collected.bodies, collected.blobs), (0, 3, 0))
        self.assertEqual(await self.contents(self.ada, "Archive"), [SHARED, simple(0), simple(1)])
        self.assertEqual(await self.findings(), [])

    async def test_all_goes_in_the_end(self) -> None:
        await self.put(self.ada, "INBOX", SHARED, simple())
        await self.expunge_all(self.ada)
        collected = await self.collect()
        self.assertEqual((collected.bodies, collected.blobs), (2, 1))
        for collection in ("messages", "bodies", "blobs"):
            self.assertEqual(await self.count(collection), 0)

    async def test_messages_of_a_deleted_mailbox_go(self) -> None:
        await self.ada.create("gone")
        await self.put(self.ada, "gone", SHARED, *map(simple, range(600)))
        await self.expunge_all(self.ada, "gone")
        await self.removed()
        await self.put(self.ada, "gone", *map(simple, range(600)))
        # As if the process had died before it could remove them.
        self.patch(self.ada, "_discard", lambda user, box: None)
        await self.ada.delete("gone")
        self.assertEqual(await self.count("messages"), 600)
        findings = await self.findings()
        self.assertTrue(findings)
        self.assertTrue(all(finding.garbage for finding in findings), findings)
        collected = await self.collect()
        self.assertEqual((collected.bodies, await self.count("messages")), (1_201, 0))
        self.assertEqual(await self.count("tombstones"), 0)
        self.assertEqual(await self.findings(), [])

    async def test_a_deleted_mailbox_is_emptied_at_once(self) -> None:
        await self.ada.create("gone")
        await self.put(self.ada, "gone", *map(simple, range(3)))
        await self.ada.delete("gone")
        await self.removed()

    async def test_others_have_their_turn_between_its_pieces(self) -> None:
        self.patch(collector, "_AT_ONCE", 2)
        rests: list[float] = []

        async def rest(_clock: Any, seconds: float) -> None:
            rests.append(seconds)

        self.patch(background, "deferLater", rest)
        await self.ada.create("gone")
        await self.put(self.ada, "gone", *map(simple, range(5)))
        await self.ada.delete("gone")
        await self.removed()
        self.assertEqual(len(rests), 2)
        self.assertTrue(all(rests))

    async def test_a_clock_that_is_set_meanwhile_neither_stops_it_nor_has_it_rest_for_long(
        self,
    ) -> None:
        self.patch(collector, "_AT_ONCE", 2)
        self.patch(background, "_LONGEST_REST", 0.01)
        self.patch(self.ada, "_discard", lambda user, box: None)
        for step in (-3_600.0, 3_600.0):
            await self.ada.create("gone")
            await self.put(self.ada, "gone", *map(simple, range(5)))
            await self.ada.delete("gone")
            mongo: Any = ByAnotherClock(self.mongo, Jumping(step))
            collected = await Collector(mongo, NOW).run()
            self.assertEqual(collected.messages, 5)

    async def test_it_gets_to_all_users_however_long_one_takes(self) -> None:
        # More than there are in the first batch of a cursor, which the server forgets after ten minutes.
        users = [{"_id": ObjectId(), "name": f"user {number}"} for number in range(120)]
        await self.mongo.run({"insert": "users", "documents": users})
        self.patch(store_users, "_AT_ONCE", 50)
        seen: list[ObjectId] = []

        async def visit(_self: Collector, user: ObjectId) -> int:
            seen.append(user)
            return 0

        async def nothing(*_: Any) -> int:
            return 0

        self.patch(Collector, "_messages", visit)
        for step in ("_sweeps", "_of_mailboxes", "_tombstones", "_bodies"):
            self.patch(Collector, step, nothing)
        commands: list[Any] = []
        self.patch(self.mongo, "on_command", lambda _, command: commands.append(command))
        await Collector(self.mongo).run()
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual({user["_id"] for user in users}, set(seen))
        self.assertEqual([each for each in commands if each.get("collection") == "users"], [])

    async def test_not_all_that_is_emptied_waits_while_one_takes_long(self) -> None:
        self.patch(collector, "_WAITING", 3)
        begun: list[ObjectId] = []
        first: Deferred[None] = Deferred()

        async def purge(_self: Collector, user: ObjectId, box: ObjectId) -> int:
            begun.append(box)
            if len(begun) == 1:
                await first
            return 0

        self.patch(Collector, "_purge", purge)
        emptying = Collector(self.mongo)
        boxes = [ObjectId() for _ in range(10)]
        for box in boxes:
            emptying.discard(ObjectId(), box)
        self.assertEqual(begun, boxes[:1])
        first.callback(None)
        self.assertEqual(begun, boxes[:4])
        emptying.discard(ObjectId(), boxes[-1])
        self.assertEqual(begun, [*boxes[:4], boxes[-1]])

    async def removed(self) -> None:
        """All messages are removed, which is begun at once and which nobody waits for."""
        for _ in range(1_000):
            if not await self.count("messages"):
                break
        self.assertEqual(await self.count("messages"), 0)

    async def test_garbage_is_left_alone_for_a_day(self) -> None:
        await self.put(self.ada, "INBOX", SHARED, simple())
        await self.expunge_all(self.ada)
        collected = await self.collect(timedelta(days=1))
        self.assertEqual((collected.bodies, collected.blobs), (0, 0))

    async def test_a_body_that_is_of_a_message_again_is_left_alone(self) -> None:
        await self.put(self.ada, "INBOX", simple())
        await Collector(self.mongo, NOW).run()
        mailbox = await self.ada.select("INBOX", False)
        body = (await self.mongo.find_one("bodies", {}) or {})["_id"]
        await self.mongo.run(
            {
                "update": "bodies",
                "updates": [{"q": {"_id": body}, "u": {"$currentDate": {"orphan": True}}}],
            }
        )
        await mailbox.refresh()
        self.assertEqual((await self.collect()).bodies, 0)
        self.assertEqual(await self.count("bodies", orphan={"$exists": True}), 0)

    async def test_a_copy_that_is_under_way_when_its_source_goes(self) -> None:
        """COPY has read the message; it is expunged; the collector looks: one of the two has to give way."""
        await self.put(self.ada, "INBOX", simple())
        mailbox = await self.ada.select("INBOX", False)
        other = await (await self.make_store()).account("ada")
        collector = Collector(self.mongo, NOW)
        hook = self.mongo.on_command
        collected: list[Deferred[Any]] = []

        async def expunge_and_collect() -> None:
            await self.expunge_all(other)
            third = await self.make_store()
            for _ in range(2):
                await Collector(third.mongo, NOW).run()

        def see(database: str, command: dict[str, Any]) -> None:
            # The messages to copy have been read; nothing was written yet.
            if next(iter(command.items())) == ("findAndModify", "mailboxes") and not collected:
                collected.append(Deferred.fromCoroutine(expunge_and_collect()))

        self.mongo.on_command = see
        try:
            await mailbox.copy([1], "Archive")
            copied = True
        except errors.Refused:
            copied = False
        self.mongo.on_command = hook
        await collected[0]
        await collector.run()
        await collector.run()
        self.assertEqual(await self.contents(self.ada, "Archive"), [simple()] if copied else [])
        self.assertEqual(await self.findings(), [])

    async def test_the_collector_among_copies_and_expunges(self) -> None:
        await self.put(self.ada, "INBOX", *map(simple, range(8)))
        names = ["INBOX", "Archive", "Trash"]
        stop: list[int] = []

        async def collect() -> None:
            third = await self.make_store()
            while not stop:
                await Collector(third.mongo, NOW).run()

        async def shuffle() -> None:
            """Each message is at every moment in one mailbox at least, and in ever different ones."""
            store = await self.make_store()
            account = await store.account("ada")
            for number in range(18):
                source, target = names[number % 3], names[(number + 1) % 3]
                mailbox = await account.select(source, False)
                uids = list(mailbox.index.uids)
                await mailbox.copy(uids, target)
                await mailbox.store(uids, add(DELETED))
                await mailbox.expunge()
                copied = await account.select(target, False)
                await copied.store(list(copied.index.uids), add("x"))
                await mailbox.close()

        collecting = Deferred.fromCoroutine(collect())
        await shuffle()
        stop.append(1)
        await collecting
        self.assertEqual(await self.contents(self.ada, "INBOX"), [simple(n) for n in range(8)])
        self.assertEqual([f for f in await self.findings() if not f.garbage], [])

    async def test_only_one_process_takes_its_turn(self) -> None:
        one, two = Collector(self.mongo), Collector((await self.make_store()).mongo)
        turns = [await one._is_my_turn(60), await two._is_my_turn(60), await one._is_my_turn(60)]
        self.assertEqual(turns, [True, False, False])


class CheckerTests(GarbageTestCase):
    """Planted damage is found, and mended where that is safe."""

    async def setUp(self) -> None:
        await super().setUp()
        await self.put(self.ada, "INBOX", SHARED, *map(simple, range(4)))
        mailbox = await self.ada.select("INBOX", False)
        await mailbox.store([5], add(DELETED))
        await mailbox.expunge()
        await mailbox.close()
        # The body of what was expunged.
        await self.collect()

    async def plant(self, collection: str, filter: dict[str, Any], update: dict[str, Any]) -> None:
        reply = await self.mongo.run(
            {"update": collection, "updates": [{"q": filter, "u": update, "multi": True}]}
        )
        self.assertGreater(reply["n"], 0)

    async def remove(self, collection: str, filter: dict[str, Any]) -> None:
        reply = await self.mongo.run({"delete": collection, "deletes": [{"q": filter, "limit": 1}]})
        self.assertEqual(reply["n"], 1)

    async def kinds(self, repair: bool = False, contents: bool = False) -> set[str]:
        return {
            found.kind
            async for found in check(self.mongo, repair=repair, contents=contents)
            if isinstance(found, Finding) and found.repaired == repair
        }

    async def mended(self, *kinds: str) -> None:
        """These are found, are mended, and are gone then."""
        self.assertEqual(await self.kinds(), set(kinds))
        self.assertEqual(await self.kinds(repair=True), set(kinds))
        self.assertEqual(await self.findings(), [])

    async def test_a_sound_store(self) -> None:
        self.assertEqual(await self.kinds(contents=True), set())

    async def test_counters(self) -> None:
        inbox = {"path": "INBOX"}
        await self.plant("mailboxes", inbox, {"$inc": {"messages": 1, "unseen": -1, "deleted": 2}})
        mailbox = await self.ada.select("INBOX", False)
        await self.mended("counter")
        await mailbox.refresh()
        status = await self.ada.status("INBOX")
        self.assertEqual((status.messages, status.unseen, status.deleted), (4, 4, 0))
        self.assertEqual(status.highest_modseq, mailbox.index.highest_modseq)

    async def test_bytes(self) -> None:
        await self.plant("mailboxes", {"path": "INBOX"}, {"$inc": {"bytes": 1}})
        self.assertEqual(await self.kinds(), {"counter", "used"})
        # What a mailbox has is counted first, and the sum is right then.
        self.assertEqual(await self.kinds(repair=True), {"counter"})
        self.assertEqual(await self.findings(), [])

    async def test_used(self) -> None:
        await self.plant("users", {}, {"$inc": {"used": -10}})
        await self.mended("used")

    async def test_uidnext_and_modseq(self) -> None:
        await self.plant("mailboxes", {"path": "INBOX"}, {"$set": {"uidnext": 2, "modseq": 1}})
        await self.mended("uidnext", "modseq")
        # The UID that was expunged is not given again.
        self.assertEqual(await self.put(self.ada, "INBOX", simple()), [6])

    async def test_uidvalidity(self) -> None:
        await self.plant("users", {}, {"$set": {"uidvalidity": 3}})
        await self.mended("uidvalidity")

    async def test_recent(self) -> None:
        await self.plant("mailboxes", {"path": "INBOX"}, {"$set": {"recent": 100}})
        await self.mended("recent")

    async def test_inbox(self) -> None:
        await self.remove("mailboxes", {"path": "INBOX"})
        self.assertLessEqual({"inbox", "used", "mailbox-gone"}, await self.kinds())
        await self.kinds(repair=True)
        self.assertEqual((await self.ada.status("INBOX")).messages, 0)

    async def test_addresses(self) -> None:
        await self.plant("addresses", {"_id": "ada"}, {"$set": {"user": 4711}})
        self.assertEqual(await self.kinds(repair=True), {"address"})
        await self.kinds(repair=True)
        self.assertEqual(await self.kinds(), set())

    async def test_indexes(self) -> None:
        await self.mongo.run({"dropIndexes": "messages", "index": "user_body"})
        await self.mended("index")

    async def test_fields_that_are_not_those_of_the_body(self) -> None:
        mailbox = await self.ada.select("INBOX", False)
        uids = list(mailbox.index.uids)
        await mailbox.copy(uids, "Archive")
        self.assertEqual(await self.kinds(), set())
        await self.plant("messages", {"uid": uids[0]}, {"$set": {"fields": "\nsubject:another\n"}})
        await self.mended("fields")
        # Those of old have none.
        await self.plant("messages", {}, {"$unset": {"fields": ""}})
        self.assertEqual(await self.kinds(), set())

    async def test_the_list_of_blobs(self) -> None:
        await self.plant("bodies", {"blobs": {"$exists": True}}, {"$unset": {"blobs": ""}})
        self.assertEqual(await self.kinds(), {"blob-list", "blob-unused"})
        self.assertEqual(await self.kinds(repair=True), {"blob-list"})
        self.assertEqual(await self.findings(), [])

    async def test_what_can_not_be_mended(self) -> None:
        body = await self.mongo.find_one("messages", {"uid": 2})
        assert body is not None
        await self.remove("bodies", {"_id": body["body"]})
        await self.plant("messages", {"uid": 3}, {"$inc": {"size": 7}})
        await self.remove("blobs", {"n": 1})
        found = await self.kinds()
        self.assertLessEqual({"body", "size", "blob"}, found)
        await self.kinds(repair=True)
        self.assertEqual(await self.kinds(), {"body", "size", "blob"})

    async def test_threads(self) -> None:
        for planted in ({"$set": {"thread": ObjectId()}}, {"$unset": {"thread": ""}}):
            for uid in (1, 2):
                await self.plant("messages", {"uid": uid}, planted)
            self.assertEqual(await self.kinds(), {"thread"})
            await self.kinds(repair=True)
            self.assertEqual(await self.kinds(), set())

    async def test_damaged_contents(self) -> None:
        await self.plant("blobs", {"n": 0}, {"$set": {"data": b"x" * CHUNK}})
        self.assertEqual(await self.kinds(), set())
        self.assertEqual(await self.kinds(contents=True), {"blob"})

    async def test_a_buried_message_that_lives(self) -> None:
        await self.plant("tombstones", {}, {"$set": {"uids": [[1, 1]]}})
        self.assertEqual(await self.kinds(), {"buried"})

    async def test_two_mailboxes_with_the_same_messages(self) -> None:
        inbox = await self.mongo.find_one("mailboxes", {"path": "INBOX"})
        assert inbox is not None
        await self.plant("mailboxes", {"path": "Sent"}, {"$set": {"box": inbox["box"]}})
        self.assertIn("box", await self.kinds())

    async def test_what_is_left_of_a_user(self) -> None:
        await self.remove("users", {})
        findings = await self.findings()
        self.assertEqual({f.kind for f in findings if f.garbage}, {"user-gone"})
        await self.collect()
        for collection in (
            "messages",
            "bodies",
            "mailboxes",
            "subscriptions",
            "blobs",
            "tombstones",
        ):
            self.assertEqual(await self.count(collection), 0, collection)
