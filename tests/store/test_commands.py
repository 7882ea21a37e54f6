"""What the store asks of the database: how often, and by which keys."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import groupby
from typing import Any

from tests.store.base import StoreTestCase, add, simple
from tests.store.recorder import Recorder
from tests.store.test_rope import attachment, cut_base64
from twisted_duck import search
from twisted_duck.sequence import SequenceSet
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.collector import Collector
from twisted_duck.store.driver import Document
from twisted_duck.values import DELETED, FLAGGED, SEEN, UIDSet


class CommandTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        self.account = await self.make_user(self.store)

    def recorded(self) -> list[str]:
        """Without what the change stream asks meanwhile."""
        return [
            name for name in self.recorder.names if name != "getMore" and "mailboxes" not in name
        ] + [n for n in self.recorder.names if "mailboxes" in n and not n.startswith("getMore")]

    async def test_every_command_names_its_user_and_has_an_index(self) -> None:
        account = self.account
        large = attachment(cut_base64(b"content" * 9_000, 76, b"\r\n"))
        await account.check_append("INBOX", 10)
        await self.put(account, "INBOX", *map(simple, range(30)), large, flags=["$Label1"])
        mailbox = await account.select("INBOX", False)
        uids = list(mailbox.index.uids)
        await mailbox.claim_recent()
        await account.status("INBOX")
        await account.status("Sent")
        await mailbox.store(uids[::2], add(SEEN))
        await mailbox.store([*uids[3:9], *uids[20::3]], add(FLAGGED, DELETED))
        for wanted in (["size", "date", "envelope"], ["content"], ["bodystructure", "body"]):
            async for batch in mailbox.fetch(uids, frozenset(wanted)):  # type: ignore[arg-type]
                for message in batch:
                    if message.content is not None:
                        async for _ in message.content.chunks(0, message.content.size):  # type: ignore[attr-defined]
                            pass
        for key in (
            search.Text("text"),
            search.Body("text"),
            search.Header("subject", "message 1"),
            search.Header("subject", "x" * 3_000),
            search.InternalDate("since", date(2020, 1, 1)),
            search.SentDate("on", date(2020, 1, 1)),
            search.Size("larger", 20),
        ):
            await mailbox.search(key)
            await mailbox.search(search.And((search.UIDs(SequenceSet.of(*uids[::9])), key)))
        await mailbox.copy(uids[1::2], "Archive")
        await mailbox.move([*uids[10:16], uids[18]], "Trash")
        await mailbox.expunge(UIDSet.of(uids[:9]))
        await mailbox.expunge()
        await mailbox.refresh()
        await account.create("a/b/c")
        await account.rename("a", "z")
        await account.delete("z/b")
        await account.rename("INBOX", "Old")
        await account.subscribe("x")
        await account.unsubscribe("x")
        await account.subscriptions()
        await account.mailboxes()
        await account.imported("INBOX", [b"key"])
        other = await self.make_store(on_command=self.recorder)
        await (await (await other.account("ada")).select("Old", True)).close()
        await self.store.users.set_disabled("ada", True)
        await self.store.users.set_quota("ada", 10**9)
        self.assertEqual(await self.recorder.problems(self.store.mongo), [])

    async def test_background_jobs_have_indexes(self) -> None:
        large = attachment(cut_base64(b"content" * 9_000, 76, b"\r\n"))
        await self.put(self.account, "INBOX", simple(), large)
        await self.account.create("gone")
        await self.put(self.account, "gone", simple(), large)
        await self.account.delete("gone")
        self.recorder.clear()
        for _ in range(2):
            await Collector(self.store.mongo, timedelta(seconds=-1)).run()
        self.assertEqual(await self.recorder.problems(self.store.mongo, users=False), [])

    async def test_the_recorder_sees_what_is_wrong(self) -> None:
        self.recorder.clear()
        await self.store.mongo.find("messages", {"flags": "x"})
        await self.store.mongo.find("messages", {"user": 1, "size": 3})
        await self.store.mongo.find("blobs", {"size": 1})
        problems = await self.recorder.problems(self.store.mongo)
        self.assertEqual(
            [problem.partition(":")[0] for problem in problems],
            ["collection scan", "collection scan", "find messages without user"],
        )

    async def test_copy_of_a_thousand_is_a_handful_of_commands(self) -> None:
        for at in range(0, 1_000, 250):
            await self.put(self.account, "INBOX", *map(simple, range(at, at + 250)))
        mailbox = await self.account.select("INBOX", False)
        for work in (mailbox.copy, mailbox.move):
            self.recorder.clear()
            await work(list(mailbox.index.uids), "Archive")
            asked = self.recorder.names
            asked = asked[: asked.index("commitTransaction")]
            # Each piece is read and written with a command each.
            pieces = [name for name in asked if name in ("find messages", "insert messages")]
            self.assertEqual(len(pieces), 2 * 16)
            self.assertLessEqual(len(asked) - len(pieces), 5, asked)
        self.assertEqual((await self.account.status("Archive")).messages, 2_000)
        # What MOVE has left behind is being removed, with rests between.
        found = [f async for f in check(self.store.mongo) if isinstance(f, Finding)]
        self.assertEqual([f for f in found if not f.garbage], [])

    async def test_a_copy_reads_its_messages_once_and_waits_three_times(self) -> None:
        await self.put(self.account, "INBOX", *map(simple, range(10)))
        mailbox = await self.account.select("INBOX", False)
        events: list[str] = []
        mongo = self.store.mongo
        send = mongo.send

        async def sent(command: Document, *where: Any, **how: Any) -> Document:
            events.append(" ".join(map(str, next(iter(command.items())))))
            reply = await send(command, *where, **how)
            events.append("answer")
            return reply

        self.patch(mongo, "send", sent)
        await mailbox.copy(list(mailbox.index.uids), "Archive")
        # The user is written to at once, so that whoever else has to waits and not this, and again with the size.
        self.assertEqual(
            [" + ".join(each) for waits, each in groupby(events, "answer".__eq__) if not waits],
            [
                "find mailboxes + findAndModify mailboxes + findAndModify users + find messages",
                "update mailboxes + findAndModify users + insert messages",
                "commitTransaction 1",
            ],
        )

    async def test_store_of_thousands_is_a_handful_of_commands(self) -> None:
        for at in range(0, 2_000, 500):
            await self.put(self.account, "INBOX", *map(simple, range(at, at + 500)))
        mailbox = await self.account.select("INBOX", False)
        uids = list(mailbox.index.uids)
        for given in (uids, uids[::3], uids):
            self.recorder.clear()
            await mailbox.store(given, add(f"k{len(given)}"))
            self.assertLessEqual(len(self.recorded()), 4, self.recorded())
        self.recorder.clear()
        result = await mailbox.store(uids, add(SEEN))
        self.assertEqual(len(result.changed), 2_000)
        self.assertLessEqual(len(self.recorded()), 4, self.recorded())
        await mailbox.store(uids[100:1_900], add(DELETED))
        self.recorder.clear()
        self.assertEqual(len(await mailbox.expunge()), 1_800)
        self.assertLessEqual(len(self.recorded()), 8, self.recorded())

    async def test_an_append_is_a_handful_of_commands(self) -> None:
        self.recorder.clear()
        await self.put(self.account, "INBOX", simple())
        self.assertLessEqual(len(self.recorded()), 6, self.recorded())

    async def test_what_is_known_is_not_asked_for(self) -> None:
        await self.put(self.account, "INBOX", simple(), simple())
        mailbox = await self.account.select("INBOX", False)
        await self.account.select("INBOX", True)
        self.recorder.clear()
        again = await self.account.select("INBOX", True)
        await again.refresh()
        self.assertEqual(self.recorded(), ["find mailboxes", "find mailboxes"])
        self.recorder.clear()
        await mailbox.search(search.HasFlag(SEEN))
        self.assertEqual(self.recorded(), [])
