"""STATUS of many mailboxes: what it tells, and what it asks the database."""

from __future__ import annotations

from twisted.internet.defer import DeferredList

from tests.store.base import StoreTestCase, add, simple, together
from tests.store.recorder import Recorder
from twisted_duck.values import DELETED, StatusWant

EVERYTHING: frozenset[StatusWant] = frozenset({"recent", "deleted_size"})
COUNT = 200


class StatusTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        self.account = await self.make_user(self.store)

    async def many(self) -> list[str]:
        """Mailboxes with nothing in them, but for some."""
        names = [f"box {number:03}" for number in range(COUNT)]
        for name in names:
            await self.account.create(name)
        for name in names[::20]:
            await self.put(self.account, name, *map(simple, range(5)))
        for name in names[::40]:
            mailbox = await self.account.select(name, False)
            await mailbox.store(list(mailbox.index.uids)[1:3], add(DELETED))
            await mailbox.close()
        mailbox = await self.account.select(names[20], False)
        await mailbox.claim_recent()
        await mailbox.close()
        await self.put(self.account, names[20], simple(), simple())
        return names

    def asked(self) -> list[str]:
        """Without what the change stream asks meanwhile, and without clients' reading."""
        streams = ("getMore", "killCursors")
        return [name for name in self.recorder.names if not name.startswith(streams)]

    async def test_two_hundred_are_a_handful_of_commands(self) -> None:
        names = await self.many()
        self.recorder.clear()
        found = await self.account.statuses([*names, "nowhere", "\ud800"], EVERYTHING)
        self.assertEqual(
            self.asked(), ["find mailboxes", "aggregate messages", "aggregate messages"]
        )
        self.assertEqual(await self.recorder.problems(self.store.mongo), [])
        self.assertEqual(set(found), set(names))
        told = {
            name: (status.messages, status.recent, status.deleted, status.deleted_size)
            for name, status in found.items()
            if status.messages
        }
        size = len(simple())
        self.assertEqual(
            told,
            {
                name: (*((7, 2) if n == 1 else (5, 5)), *((0, 0) if n % 2 else (2, 2 * size)))
                for n, name in enumerate(names[::20])
            },
        )
        self.assertEqual(len({status.mailbox_id for status in found.values()}), COUNT)

    async def test_what_is_not_asked_for_is_not_counted(self) -> None:
        names = await self.many()
        self.recorder.clear()
        await self.account.statuses(names)
        self.assertEqual(self.asked(), ["find mailboxes"])
        self.recorder.clear()
        self.assertEqual(await self.account.statuses([], EVERYTHING), {})
        self.assertEqual(self.asked(), [])

    async def test_messages_of_a_mailbox_that_nobody_has_opened_are_not_counted(self) -> None:
        await self.put(self.account, "INBOX", *map(simple, range(5)))
        self.recorder.clear()
        wanted: frozenset[StatusWant] = frozenset({"recent"})
        self.assertEqual((await self.account.statuses(["INBOX"], wanted))["INBOX"].recent, 5)
        self.assertEqual(self.asked(), ["find mailboxes"])

    async def test_one_is_the_same_as_many(self) -> None:
        await self.put(self.account, "INBOX", simple(), simple(1), flags=[DELETED])
        await self.put(self.account, "INBOX", simple(2))
        one = await self.account.status("INBOX")
        self.assertEqual(await self.account.statuses(["INBOX"], EVERYTHING), {"INBOX": one})
        self.assertEqual((one.recent, one.deleted), (3, 2))
        self.assertEqual(one.deleted_size, len(simple()) + len(simple(1)))

    async def test_only_what_is_counted_is_looked_at(self) -> None:
        """The messages of other mailboxes, and those that are not deleted, cost nothing."""
        await self.put(self.account, "INBOX", *map(simple, range(400)))
        mailbox = await self.account.select("INBOX", False)
        await mailbox.claim_recent()
        await mailbox.store([3, 4], add(DELETED))
        await self.put(self.account, "INBOX", simple(), simple())
        await self.put(self.account, "Sent", simple())
        self.recorder.clear()
        await self.account.statuses(["INBOX", "Sent"], EVERYTHING)
        for command in self.recorder.commands:
            if command.get("aggregate") != "messages":
                continue
            plan = await self.store.mongo.run({"explain": command, "verbosity": "executionStats"})
            stats = plan.get("executionStats") or plan["stages"][0]["$cursor"]["executionStats"]
            self.assertLessEqual(stats["totalDocsExamined"], 3, command)
            self.assertLessEqual(stats["totalKeysExamined"], 8, command)

    async def test_of_two_processes_one_gives_a_use_away(self) -> None:
        other = await (await self.make_store()).account("ada")
        await self.account.delete("Junk")
        made = together(self.account.create("a", "\\Junk"), other.create("b", "\\Junk"))
        outcomes = [success for success, _ in await DeferredList(made, consumeErrors=True)]
        self.assertEqual(sorted(outcomes), [False, True])
        uses = [info.special_use for info in await self.account.mailboxes()]
        self.assertEqual(uses.count("\\Junk"), 1)
