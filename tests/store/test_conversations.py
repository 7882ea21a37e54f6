"""Threads in the database: whoever writes at the same time, whatever goes away, and what was stored before there were any."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from twisted.internet.defer import gatherResults

from tests.contract.objects import letter
from tests.store.base import StoreTestCase, add, simple, together
from tests.store.recorder import Recorder
from twisted_duck import search
from twisted_duck.spool import Spool
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.collector import Collector
from twisted_duck.store.conversations import named
from twisted_duck.values import DELETED, MessageData


class ConversationTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        self.account = await self.make_user(self.store)

    async def bring(self, *wanted: Any, name: str = "INBOX") -> list[MessageData]:
        mailbox = await self.account.select(name, True)
        batches = mailbox.fetch(list(mailbox.index.uids), frozenset(wanted))
        return [message async for batch in batches for message in batch]

    async def threads(self) -> list[str | None]:
        return [message.thread_id for message in await self.bring("thread id")]

    async def bodies(self) -> list[dict[str, Any]]:
        return await self.store.mongo.find("bodies", {})

    async def remove(self, *uids: int) -> None:
        mailbox = await self.account.select("INBOX", False)
        await mailbox.store(list(uids), add(DELETED))
        await mailbox.expunge()
        for _ in range(2):
            await Collector(self.store.mongo, timedelta(seconds=-1)).run()

    async def test_answers_that_come_at_the_same_time_by_two_processes(self) -> None:
        other = await (await self.make_store()).account("ada")
        answers = [letter(f"r{n}", "Re: Lunch", "a") for n in range(12)]
        putting = [
            self.put(account, mailbox, answer)
            for answer, (account, mailbox) in zip(
                answers,
                [(self.account, "INBOX"), (other, "INBOX"), (other, "Sent")] * 4,
                strict=True,
            )
        ]
        await gatherResults(together(*putting))
        inbox, sent = await self.bring("thread id"), await self.bring("thread id", name="Sent")
        self.assertEqual((len(inbox), len(sent)), (8, 4))
        self.assertEqual(len({message.thread_id for message in inbox + sent}), 1)

    async def test_what_is_delivered_joins_too(self) -> None:
        await self.put(self.account, "Sent", letter("a"))
        delivery = self.store.delivery()
        await self.store.addresses.add("ada", "ada@example.org")
        recipient = await delivery.resolve("ada", "example.org", 100)
        for answer in ("b", "c"):
            spool = Spool.of(letter(answer, "Re: Lunch", "a"))
            await delivery.deliver(
                recipient, await delivery.prepare(spool), b"Return-Path: <>\r\n", False
            )
        [sent] = await self.bring("thread id", name="Sent")
        self.assertEqual(await self.threads(), [sent.thread_id] * 2)

    async def test_one_question_however_many_messages(self) -> None:
        self.recorder.clear()
        await self.put(
            self.account, "INBOX", *(letter(f"m{n}", "Re: Lunch", "a b c") for n in range(50))
        )
        self.assertEqual(self.recorder.names.count("find bodies"), 1)
        self.recorder.clear()
        await self.put(self.account, "INBOX", simple())
        self.assertEqual(self.recorder.names.count("find bodies"), 0)

    async def test_an_id_that_everybody_refers_to_is_kept_a_few_times(self) -> None:
        for n in range(10):
            await self.put(self.account, "INBOX", letter(f"m{n}", "Alert", "alerts"))
        self.assertEqual(len(set(await self.threads())), 1)
        keys = [key for body in await self.bodies() for key in body["threads"]]
        self.assertEqual(len(keys), 10 + 4)

    async def test_references_that_count(self) -> None:
        many = " ".join(f"r{n}" for n in range(60))
        await self.put(self.account, "INBOX", letter("a", "Re: Lunch", many))
        [body] = await self.bodies()
        self.assertEqual(len(body["threads"]), 20)
        for n in (0, 30, 59):
            await self.put(self.account, "INBOX", letter(f"r{n}"))
        first, *rest = await self.threads()
        self.assertEqual([thread == first for thread in rest], [True, False, True])

    async def test_a_thread_ends_with_its_last_message(self) -> None:
        await self.put(self.account, "INBOX", letter("a"), letter("b", "Re: Lunch", "a"))
        [before, _] = await self.threads()
        await self.remove(1)
        await self.put(self.account, "INBOX", letter("c", "Re: Lunch", "a b"))
        self.assertEqual(await self.threads(), [before, before])
        await self.remove(2, 3)
        await self.put(self.account, "INBOX", letter("d", "Re: Lunch", "a b c"))
        [after] = await self.threads()
        self.assertNotEqual(after, before)
        self.assertEqual([f async for f in check(self.store.mongo) if isinstance(f, Finding)], [])

    async def test_a_copy_keeps_a_thread_alive(self) -> None:
        await self.put(self.account, "INBOX", letter("a"))
        [before] = await self.threads()
        mailbox = await self.account.select("INBOX", False)
        await mailbox.copy([1], "Archive")
        await self.remove(1)
        await self.put(self.account, "INBOX", letter("b", "Re: Lunch", "a"))
        self.assertEqual(await self.threads(), [before])

    async def test_messages_that_were_stored_before_any_of_this(self) -> None:
        page = b"Content-Type: text/html\r\n\r\n<style>p{}</style><p>Hello&excl;" + b" " * 70_000
        await self.put(self.account, "INBOX", letter("a"), page, b"")
        for collection in ("messages", "bodies"):
            fields = dict.fromkeys(("thread", "threads", "preview"), "")
            await self.store.mongo.run(
                {
                    "update": collection,
                    "updates": [{"q": {}, "u": {"$unset": fields}, "multi": True}],
                }
            )
        self.recorder.clear()
        found = await self.bring("email id", "thread id", "ready preview")
        self.assertEqual([message.preview for message in found], [None] * 3)
        for message in found:
            assert message.email_id is not None and message.thread_id is not None
            self.assertEqual(message.thread_id[1:], message.email_id[1:])
        # Each is a thread of its own, which nobody joins any more.
        await self.put(self.account, "INBOX", letter("b", "Re: Lunch", "a"))
        old, *_, new = await self.threads()
        assert old is not None
        self.assertNotEqual(new, old)
        mailbox = await self.account.select("INBOX", False)
        self.assertEqual(await mailbox.search(search.ThreadID(old)), [1])
        previews = [message.preview for message in await self.bring("preview", "ready preview")]
        self.assertEqual(previews, ["a", "Hello!", "", "b"])
        self.assertEqual(await self.recorder.problems(self.store.mongo), [])

    def test_ids_that_are_ours(self) -> None:
        id = "64b478a75b7ea9aa64b478a7"
        self.assertEqual(str(named("T", "T" + id)), id)
        for no in ("M" + id, id, "T" + id.upper(), "T" + id[1:], "T" + id[1:] + "g", "", "T"):
            self.assertIsNone(named("T", no), no)
