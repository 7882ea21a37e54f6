"""COPY and MOVE in pieces, several of which are under way at a time: what goes wrong in one leaves nothing of the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.store.base import StoreTestCase, add, simple, state, together
from tests.store.recorder import Recorder
from twisted_duck import errors
from twisted_duck.store import copying
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.driver import Document
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.transaction import Transaction
from twisted_duck.values import DELETED, FLAGGED, SEEN

#: Messages of a piece, where it is to be several pieces, and pieces that are under way at a time.
_PIECE, _PIECES = 5, 4
#: Three times as many, and one message more.
_MANY = 3 * _PIECE * _PIECES + 1


class CopyingCase(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        self.account = await self.make_user(self.store)
        # Another process.
        self.there = await (await self.make_store()).account("ada")

    def small_pieces(self) -> None:
        self.patch(copying, "_PIECE", _PIECE)
        self.patch(copying, "_PIECES", _PIECES)

    async def filled(self, many: int = _MANY) -> StoreMailbox:
        """Messages of different sizes and flags, one in seven of which has been expunged."""
        put = many + many // 6 + 1
        for at in range(0, put, 250):
            some = range(at, min(at + 250, put))
            await self.put(self.account, "INBOX", *(simple(10 ** (n % 9)) for n in some))
        mailbox = await self.account.select("INBOX", False)
        uids = list(mailbox.index.uids)
        await mailbox.remove(uids[::7])
        uids = list(mailbox.index.uids)
        await mailbox.remove(uids[many:])
        await mailbox.store(uids[::2], add(SEEN))
        await mailbox.store(uids[:many:3], add(FLAGGED, DELETED))
        self.assertEqual(len(mailbox.index), many)
        return mailbox

    async def database(self) -> dict[str, list[Document]]:
        """All that matters in it."""
        names = ("mailboxes", "messages", "tombstones", "users")
        return {n: await self.store.mongo.find(n, {}, sort={"_id": 1}) for n in names}

    async def findings(self) -> list[Finding]:
        found = [each async for each in check(self.store.mongo) if isinstance(each, Finding)]
        # What was expunged waits for the collector.
        return [each for each in found if each.kind != "body-unused"]

    def flags(self, mailbox: StoreMailbox) -> list[frozenset[str]]:
        return [flags for _, _, flags in mailbox.index.rows(mailbox.index.uids)]

    async def sizes(self, mailbox: StoreMailbox) -> list[int]:
        found: list[int] = []
        async for batch in mailbox.fetch(list(mailbox.index.uids), frozenset({"size"})):
            found.extend(message.size for message in batch)
        return found


class ManyTests(CopyingCase):
    async def test_copy_of_1300(self) -> None:
        mailbox = await self.filled(1_300)
        await self.put(self.account, "Archive", simple())
        before = state(mailbox.index)
        archive = await self.account.select("Archive", False)
        result = await mailbox.copy(list(mailbox.index.uids), "Archive")
        self.assertEqual(list(result.source), list(mailbox.index.uids))
        self.assertEqual(list(result.destination), list(range(2, 1_302)))
        await archive.refresh()
        self.assertEqual(self.flags(archive)[1:], self.flags(mailbox))
        self.assertEqual((await self.sizes(archive))[1:], await self.sizes(mailbox))
        self.assertEqual(
            state((await self.there.select("Archive", True)).index), state(archive.index)
        )
        self.assertEqual(state(mailbox.index), before)
        self.assertEqual(await self.findings(), [])

    async def test_move_of_1300(self) -> None:
        mailbox = await self.filled(1_301)
        await self.put(self.account, "Archive", simple())
        uids = list(mailbox.index.uids)
        flags, sizes = self.flags(mailbox), await self.sizes(mailbox)
        archive = await self.account.select("Archive", False)
        result = await mailbox.move(uids[1:], "Archive")
        self.assertEqual(list(result.source), uids[1:])
        self.assertEqual(list(result.destination), list(range(2, 1_302)))
        self.assertEqual(list(mailbox.index.uids), uids[:1])
        await archive.refresh()
        self.assertEqual(self.flags(archive)[1:], flags[1:])
        self.assertEqual((await self.sizes(archive))[1:], sizes[1:])
        for name, mine in (("INBOX", mailbox), ("Archive", archive)):
            theirs = await self.there.select(name, True)
            self.assertEqual(state(theirs.index), state(mine.index))
        self.assertEqual(await self.findings(), [])

    async def test_within_one_mailbox(self) -> None:
        self.small_pieces()
        mailbox = await self.filled()
        uids = list(mailbox.index.uids)
        flags, sizes = self.flags(mailbox), await self.sizes(mailbox)
        modseq = mailbox.index.highest_modseq
        await mailbox.copy(uids, "INBOX")
        self.assertEqual(self.flags(mailbox), flags * 2)
        await mailbox.move(uids, "INBOX")
        self.assertEqual(self.flags(mailbox), flags * 2)
        self.assertEqual(await self.sizes(mailbox), sizes * 2)
        self.assertEqual(mailbox.index.highest_modseq, modseq + 2)
        self.assertEqual(sorted(mailbox.index.expunged_since(modseq) or ()), uids)
        theirs = await self.there.select("INBOX", True)
        self.assertEqual(state(theirs.index), state(mailbox.index))
        self.assertEqual(await self.findings(), [])
        await mailbox.move(list(mailbox.index.uids), "INBOX")
        self.assertEqual(self.flags(mailbox), flags * 2)
        self.assertEqual(await self.findings(), [])

    async def test_what_does_not_come_in_one_answer_is_in_order_all_the_same(self) -> None:
        self.small_pieces()
        mailbox = await self.filled()
        batches = Transaction.batches

        def in_parts(transaction: Transaction, *what: Any, **options: Any) -> Any:
            if what[0] == "messages":
                # The first is all that comes before the other pieces.
                options["batchSize"] = 2
            return batches(transaction, *what, **options)

        self.patch(Transaction, "batches", in_parts)
        await mailbox.copy(list(mailbox.index.uids), "Archive")
        archive = await self.account.select("Archive", True)
        self.assertEqual(self.flags(archive), self.flags(mailbox))
        self.assertEqual(await self.sizes(archive), await self.sizes(mailbox))
        theirs = await self.there.select("Archive", True)
        self.assertEqual(state(theirs.index), state(archive.index))
        self.assertEqual(await self.findings(), [])

    async def test_so_many_pieces_are_held_at_a_time_and_no_more(self) -> None:
        self.small_pieces()
        mailbox = await self.filled()
        held = most = 0
        run = Transaction.run

        async def counting(transaction: Transaction, command: Document) -> Document:
            nonlocal held, most
            held += command.get("find") == "messages"
            most = max(most, held)
            reply = await run(transaction, command)
            held -= command.get("insert") == "messages"
            return reply

        self.patch(Transaction, "run", counting)
        await mailbox.copy(list(mailbox.index.uids), "Archive")
        self.assertEqual((held, most), (0, _PIECES))


class LaterTests(CopyingCase):
    async def test_who_comes_while_it_is_made_has_to_wait_and_not_it(self) -> None:
        self.small_pieces()
        mailbox = await self.filled()
        recorder = Recorder()
        there = await (await self.make_store(on_command=recorder)).account("ada")
        run = Transaction.run
        putting: list[Deferred[Any]] = []
        written = 0

        async def interrupted(transaction: Transaction, command: Document) -> Document:
            nonlocal written
            if transaction._mongo is self.store.mongo and command.get("insert") == "messages":
                written += 1
                # What was sent along with the first pieces has been done by then.
                if written == _PIECES + 1:
                    recorder.clear()
                    putting.extend(together(self.put(there, "INBOX", simple())))
                    # It has been refused, and has come again.
                    await self.until(lambda: recorder.names.count("findAndModify mailboxes") > 1)
            return await run(transaction, command)

        self.patch(Transaction, "run", interrupted)
        for path in ("Archive", "INBOX"):
            self.recorder.clear()
            await mailbox.copy(list(mailbox.index.uids), path)
            self.assertEqual(self.recorder.names.count("findAndModify mailboxes"), 1)
            await putting.pop()
            written = 0
        await mailbox.refresh()
        self.recorder.clear()
        uids = list(mailbox.index.uids)
        result = await mailbox.move(uids[1:], "Archive")
        self.assertEqual(self.recorder.names.count("findAndModify mailboxes"), 2)
        self.assertEqual(len(result.source), len(uids) - 1)
        await putting.pop()
        await mailbox.refresh()
        self.assertEqual(len(mailbox.index), 2)
        self.assertEqual(await self.findings(), [])


class RefusedTests(CopyingCase):
    """Each of these is told, and nothing has happened."""

    async def setUp(self) -> None:
        await super().setUp()
        self.small_pieces()
        self.mailbox = await self.filled()
        self.uids = list(self.mailbox.index.uids)
        # It hears nothing of the other process.
        self.patch(self.mailbox._opened, "wake", lambda: None)

    def works(self) -> list[Callable[..., Awaitable[Any]]]:
        return [self.mailbox.copy, self.mailbox.move]

    async def refused(
        self,
        error: type[Exception],
        work: Callable[..., Awaitable[Any]],
        uids: list[int],
        path: str,
    ) -> list[str]:
        """What was asked of the database meanwhile."""
        before = await self.database()
        self.recorder.clear()
        with self.assertRaises(error):
            await work(uids, path)
        asked = self.recorder.names
        self.assertNotIn("commitTransaction", asked)
        self.assertEqual(await self.database(), before)
        self.assertEqual(await self.findings(), [])
        return asked

    async def test_no_such_mailbox(self) -> None:
        for work in self.works():
            asked = await self.refused(errors.TryCreate, work, self.uids, "Nothing")
            # Nothing but what was sent along with the question for it.
            self.assertEqual(asked.count("find messages"), _PIECES)
            self.assertNotIn("insert messages", asked)

    async def test_one_of_the_last_was_expunged_by_another_process(self) -> None:
        theirs = await self.there.select("INBOX", False)
        await theirs.remove(self.uids[-1:])
        for work in self.works():
            await self.refused(errors.ExpungeIssued, work, self.uids, "Archive")
            await self.refused(errors.ExpungeIssued, work, self.uids, "INBOX")
        await self.mailbox.copy(self.uids[:-1], "Archive")
        self.assertEqual((await self.account.status("Archive")).messages, _MANY - 1)
        self.assertEqual(await self.findings(), [])

    async def test_all_were_expunged_by_another_process(self) -> None:
        await (await self.there.select("INBOX", False)).remove(self.uids)
        for work in self.works():
            await self.until_garbage_is_gone()
            await self.refused(errors.ExpungeIssued, work, self.uids, "Archive")

    async def until_garbage_is_gone(self) -> None:
        for _ in range(500):
            if not await self.findings():
                return
            await self.pause(0.01)
        self.fail("there is still garbage")

    async def test_the_mailbox_is_gone(self) -> None:
        await self.account.create("a")
        await self.mailbox.copy(self.uids, "a")
        mailbox = await self.account.select("a", False)
        self.patch(mailbox._opened, "wake", lambda: None)
        await self.there.delete("a")
        for work in (mailbox.copy, mailbox.move):
            with self.assertRaises(errors.MailboxGone):
                await work(list(mailbox.index.uids), "Archive")
        self.assertEqual((await self.account.status("Archive")).messages, 0)
        self.assertEqual([f for f in await self.findings() if not f.garbage], [])

    async def test_the_quota(self) -> None:
        size = sum(await self.sizes(self.mailbox))
        users = self.store.users
        await users.set_quota("ada", 2 * size - 1)
        await self.refused(errors.OverQuota, self.mailbox.copy, self.uids, "Archive")
        await self.refused(errors.OverQuota, self.mailbox.copy, self.uids, "INBOX")
        await users.set_quota("ada", 2 * size)
        await self.mailbox.copy(self.uids, "Archive")
        # What is moved takes no more than before.
        await self.mailbox.move(self.uids[1:], "Archive")
        await self.refused(errors.OverQuota, self.mailbox.copy, self.uids[:1], "Archive")
        self.assertEqual((await self.account.status("Archive")).messages, 2 * _MANY - 1)
        self.assertEqual(await self.findings(), [])
