"""STORE of many messages writes one document, and whoever looks sees what he would if all of them had been written."""

from __future__ import annotations

from typing import Any

from tests.store.base import StoreTestCase, add, simple, state
from tests.store.recorder import Recorder
from twisted_duck import search
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.store import copying
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.collector import Collector
from twisted_duck.store.connection import Mongo
from twisted_duck.store.folding import fold
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.store import MailStore
from twisted_duck.values import (
    ANSWERED,
    DELETED,
    FLAGGED,
    SEEN,
    AppendMessage,
    FlagChange,
    StatusWant,
)

#: Every STORE of more than one is a sweep if it can be, and nobody folds before he is told to.
SWEEPING = Limits(sweep_from=2, sweep_rest=3600)

WANTED: frozenset[StatusWant] = frozenset({"recent", "deleted_size"})


class SweepTestCase(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self._forgetful: MailStore | None = None
        self.store = await self.make_store(limits=SWEEPING, on_command=self.recorder)
        self.account = await self.make_user(self.store)

    @property
    def mongo(self) -> Mongo:
        return self.store.mongo

    async def filled(self, count: int = 10) -> StoreMailbox:
        await self.put(self.account, "INBOX", *map(simple, range(count)))
        return await self.account.select("INBOX", False)

    async def document(self, path: str = "INBOX") -> dict[str, Any]:
        found = await self.mongo.find_one("mailboxes", {"path": path})
        assert found is not None
        return found

    async def written(self) -> dict[int, tuple[int, list[str]]]:
        """What the documents of messages say."""
        rows = await self.mongo.find("messages", {}, sort={"uid": 1})
        return {row["uid"]: (row["modseq"], row["flags"]) for row in rows}

    async def folded(self, path: str = "INBOX") -> None:
        document = await self.document(path)
        await fold(self.mongo, document["user"], document["_id"])

    async def elsewhere(self, name: str = "INBOX", user: str = "ada") -> StoreMailbox:
        """The mailbox as a process has it that opens it now."""
        if self._forgetful is None:
            limits = Limits(sweep_from=1, sweep_rest=3600, index_cache=1)
            self._forgetful = await self.make_store(limits=limits)
        mailbox = await (await self._forgetful.account(user)).select(name, False)
        # It is not known any more to the next one.
        await mailbox.close()
        return mailbox

    async def findings(self) -> list[str]:
        return [
            found.text
            async for found in check(self.mongo)
            if isinstance(found, Finding) and not found.garbage
        ]


class SweepTests(SweepTestCase):
    async def test_no_message_is_written_before_the_answer(self) -> None:
        for at in range(0, 2_000, 500):
            await self.put(self.account, "INBOX", *map(simple, range(at, at + 500)))
        store = await self.make_store(limits=Limits(sweep_rest=3600), on_command=self.recorder)
        mailbox = await (await store.account("ada")).select("INBOX", False)
        self.recorder.clear()
        result = await mailbox.store(list(range(1, 2_001)), add(SEEN))
        self.assertEqual(
            self.recorder.names,
            ["find mailboxes", "findAndModify mailboxes", "commitTransaction"],
        )
        self.assertEqual(len(result.changed), 2_000)
        self.assertEqual((await self.account.status("INBOX")).unseen, 0)
        self.assertEqual(mailbox.index.unseen, 0)

    async def test_few_are_written_at_once(self) -> None:
        store = await self.make_store(limits=Limits(sweep_from=5, sweep_rest=3600))
        await self.filled()
        mailbox = await (await store.account("ada")).select("INBOX", False)
        await mailbox.store([1, 2, 3, 4], add(SEEN))
        self.assertNotIn("sweeps", await self.document())
        # Of ten, four have it already.
        await mailbox.store(list(range(1, 11)), add(SEEN))
        [sweep] = (await self.document())["sweeps"]
        self.assertEqual(sweep["uids"], [[1, 10]])

    async def test_scattered_messages_are_written_at_once(self) -> None:
        mailbox = await self.filled(40)
        await mailbox.store(list(range(1, 40, 2)), add(SEEN))
        self.assertNotIn("sweeps", await self.document())
        await mailbox.store(list(range(1, 30, 2)), add(FLAGGED))
        [sweep] = (await self.document())["sweeps"]
        self.assertEqual(len(sweep["uids"]), 15)
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))

    async def test_a_gap_of_the_dead_is_none(self) -> None:
        mailbox = await self.filled(40)
        await mailbox.remove(list(range(2, 40, 2)))
        await mailbox.store(list(mailbox.index.uids), add(SEEN))
        [sweep] = (await self.document())["sweeps"]
        self.assertEqual(sweep["uids"], [[1, 40]])

    async def test_more_than_there_is_room_for_are_written(self) -> None:
        mailbox = await self.filled()
        # Nobody folds them.
        await self.store.folder.close()
        for number in range(SWEEPING.sweeps):
            await mailbox.store(list(range(1, 11)), add(f"k{number}"))
        self.assertEqual(len((await self.document())["sweeps"]), SWEEPING.sweeps)
        before = await self.written()
        await mailbox.store(list(range(1, 11)), add("one-more"))
        self.assertEqual(len((await self.document())["sweeps"]), SWEEPING.sweeps)
        self.assertNotEqual(await self.written(), before)
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))
        await self.folded()
        await mailbox.store(list(range(1, 11)), add("and-another"))
        self.assertEqual(len((await self.document())["sweeps"]), 1)
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))

    async def test_more_than_may_be_swept_at_a_time_are_several_sweeps(self) -> None:
        limits = Limits(sweep_from=2, sweep_most=4, sweep_rest=3600)
        store = await self.make_store(limits=limits)
        await self.put(self.account, "INBOX", *map(simple, range(10)))
        mailbox = await (await store.account("ada")).select("INBOX", False)
        result = await mailbox.store(range(1, 11), FlagChange("add", frozenset({FLAGGED})))
        self.assertEqual(list(result.changed), list(range(1, 11)))
        self.assertEqual(mailbox.index.with_flag(FLAGGED), list(range(1, 11)))
        swept = [each["uids"] for each in (await self.document())["sweeps"]]
        self.assertEqual(swept, [[[1, 4]], [[5, 8]], [[9, 10]]])

    async def test_very_many_are_one_sweep_and_else_several_changes(self) -> None:
        limits = Limits(messages_per_change=4, sweep_from=1, sweep_rest=3600, sweep_ranges=1)
        store = await self.make_store(limits=limits)
        await self.filled(12)
        mailbox = await (await store.account("ada")).select("INBOX", False)
        known = mailbox.index.highest_modseq
        result = await mailbox.store(list(range(1, 13)), add(SEEN))
        self.assertEqual((result.modseq, result.earlier), (known + 1, ()))
        # A condition that all meet, and one that two fail.
        change = FlagChange("add", frozenset({ANSWERED}), unchanged_since=known + 1)
        result = await mailbox.store(list(range(1, 13)), change)
        self.assertEqual((result.modseq, result.earlier), (known + 2, ()))
        await mailbox.store([6], add("alone"))
        await mailbox.store([11], add("alone"))
        change = FlagChange("remove", frozenset({ANSWERED}), unchanged_since=known + 2)
        result = await mailbox.store(list(range(1, 13)), change)
        self.assertEqual([*result.earlier, result.modseq], [known + 5, known + 6, known + 7])
        self.assertEqual(list(result.modified), [6, 11])
        known += 6
        result = await mailbox.store([1, 2, 3, 4, 5, 7, 8, 9, 10, 12], add(FLAGGED))
        self.assertEqual(result.modseq, mailbox.index.highest_modseq)
        self.assertEqual([*result.earlier, result.modseq], [known + 2, known + 3, known + 4])
        self.assertEqual(list(result.changed), [1, 2, 3, 4, 5, 7, 8, 9, 10, 12])
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))

    async def test_what_is_written_is_never_more_than_one_change_may_have(self) -> None:
        limits = Limits(messages_per_change=4, sweep_from=8)
        store = await self.make_store(limits=limits)
        await self.filled(10)
        mailbox = await (await store.account("ada")).select("INBOX", False)
        known = mailbox.index.highest_modseq
        result = await mailbox.store(list(range(1, 8)), add(SEEN))
        self.assertNotIn("sweeps", await self.document())
        self.assertEqual([*result.earlier, result.modseq], [known + 1, known + 2])
        self.assertEqual(list(result.changed), list(range(1, 8)))

    async def test_the_database_counts_with_as_many_as_there_may_be(self) -> None:
        mailbox = await self.filled(64)
        await self.store.folder.close()
        await self.put(self.account, "Archive", simple(0))
        for number in range(SWEEPING.sweeps):
            # Pairs: 16 ranges.
            uids = [uid for uid in range(1, 65) if ((uid - 1) // 2 + number) % 2]
            flags = frozenset({(SEEN, DELETED, FLAGGED)[number % 3]})
            await mailbox.store(uids, FlagChange("replace", flags))
        sweeps = (await self.document())["sweeps"]
        self.assertEqual(len(sweeps), SWEEPING.sweeps)
        self.assertEqual({len(each["uids"]) for each in sweeps}, {SWEEPING.sweep_ranges})
        self.assertEqual(await self.findings(), [])
        status = await self.account.statuses(["INBOX"], WANTED)
        self.assertEqual(status["INBOX"].deleted, mailbox.index.deleted)
        size = sum(len(simple(uid - 1)) for uid in mailbox.index.with_flag(DELETED))
        self.assertEqual(status["INBOX"].deleted_size, size)
        self.patch(copying, "_PIECE", 5)
        await mailbox.copy(list(range(1, 65)), "Archive")
        there = await self.elsewhere("Archive")
        self.assertEqual(
            [there.index.flags(uid + 1) for uid in range(1, 65)],
            [mailbox.index.flags(uid) for uid in range(1, 65)],
        )
        self.assertEqual(await self.findings(), [])

    async def test_what_fails_unchangedsince_is_not_swept(self) -> None:
        mailbox = await self.filled()
        known = mailbox.index.highest_modseq
        await mailbox.store([4], add(FLAGGED))
        change = FlagChange("add", frozenset({SEEN}), unchanged_since=known)
        result = await mailbox.store(list(range(1, 11)), change)
        self.assertEqual(list(result.modified), [4])
        [sweep] = (await self.document())["sweeps"]
        self.assertEqual(sweep["uids"], [[1, 3], [5, 10]])
        there = await self.elsewhere()
        self.assertEqual(state(there.index), state(mailbox.index))
        # By what a sweep made of it, a message has changed.
        change = FlagChange("add", frozenset({ANSWERED}), unchanged_since=result.modseq - 1)
        self.assertEqual(
            list((await there.store(list(range(1, 11)), change)).modified), [1, 2, 3, *range(5, 11)]
        )

    async def test_before_the_database_is_of_this_version_there_are_none(self) -> None:
        mongo = self.mongo
        older = {"q": {"_id": "schema"}, "u": {"$set": {"version": 2}}}
        await mongo.run({"update": "schema", "updates": [older]})
        mailbox = await self.filled()
        store = await self.make_store(limits=SWEEPING)
        there = await (await store.account("ada")).select("INBOX", False)
        await there.store(list(range(1, 11)), add(SEEN))
        self.assertNotIn("sweeps", await self.document())
        await store.migrator.run()
        await there.store(list(range(1, 11)), add(FLAGGED))
        self.assertEqual(len((await self.document())["sweeps"]), 1)
        await mailbox.refresh()
        self.assertEqual(state(there.index), state(mailbox.index))

    async def test_each_command_names_its_user_and_has_an_index(self) -> None:
        mailbox = await self.filled()
        await mailbox.store(list(range(1, 11)), add(SEEN, DELETED))
        await self.account.statuses(["INBOX"], WANTED)
        await mailbox.copy([1, 2, 3], "Archive")
        await self.folded()
        await mailbox.store(list(range(1, 11)), add(FLAGGED))
        self.recorder.commands = [
            each for each in self.recorder.commands if each.get("filter") != {"path": "INBOX"}
        ]
        self.assertEqual(await self.recorder.problems(self.mongo), [])
        self.recorder.clear()
        await Collector(self.mongo).run()
        self.assertEqual(await self.recorder.problems(self.mongo, users=False), [])

    async def test_keywords_that_differ_in_case_come_out_the_same_everywhere(self) -> None:
        mailbox = await self.filled(3)
        await mailbox.store([2], add("WORK"))
        await mailbox.store([1, 2, 3], FlagChange("add", frozenset({"Work", "work", "wOrk"})))
        self.assertEqual([mailbox.index.flags(u) for u in (1, 2)], [{"work"}, {"WORK"}])
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))


class LeavingTests(SweepTestCase):
    """What leaves a mailbox, or goes on in another, is what the sweeps have made of it."""

    async def setUp(self) -> None:
        await super().setUp()
        self.mailbox = await self.filled(6)
        # 1 and 2 are seen, 3 and 4 deleted, 5 and 6 have nothing; the documents say nothing of that.
        await self.put(self.account, "Archive", simple(90))
        await self.mailbox.store([1, 2, 3, 4, 5], add(SEEN))
        await self.mailbox.store([3, 4, 5], FlagChange("replace", frozenset({DELETED})))
        await self.mailbox.store([5, 6], FlagChange("remove", frozenset({DELETED})))
        self.assertEqual({tuple(flags) for _, flags in (await self.written()).values()}, {()})

    async def counted(self) -> list[tuple[int, int, int | None]]:
        """Unseen, deleted, and what the deleted ones take, of each mailbox; they are what they should be."""
        self.assertEqual(await self.findings(), [])
        paths = ["INBOX", "Archive"]
        found = await self.account.statuses(paths, WANTED)
        return [(found[p].unseen, found[p].deleted, found[p].deleted_size) for p in paths]

    async def flags(self, path: str) -> list[set[str]]:
        index = (await self.elsewhere(path)).index
        return [set(flags) for _, _, flags in index.rows(index.uids)]

    async def test_nothing_has_left(self) -> None:
        size = len(simple())
        self.assertEqual(await self.counted(), [(4, 2, 2 * size), (1, 0, 0)])

    async def test_copy(self) -> None:
        size = len(simple())
        await self.mailbox.copy([2, 3, 6], "Archive")
        self.assertEqual(await self.flags("Archive"), [set(), {SEEN}, {DELETED}, set()])
        self.assertEqual(await self.counted(), [(4, 2, 2 * size), (3, 1, size)])

    async def test_copy_and_move_in_pieces(self) -> None:
        self.patch(copying, "_PIECE", 2)
        size = len(simple())
        await self.mailbox.copy([1, 2, 3, 4, 5], "Archive")
        seen, deleted, none = {SEEN}, {DELETED}, set[str]()
        self.assertEqual(await self.flags("Archive"), [none, seen, seen, deleted, deleted, none])
        self.assertEqual(await self.counted(), [(4, 2, 2 * size), (4, 2, 2 * size)])
        await self.mailbox.move([1, 2, 3, 4, 5], "Archive")
        self.assertEqual(
            await self.flags("Archive"), [none, *[seen, seen, deleted, deleted, none] * 2]
        )
        self.assertEqual(await self.counted(), [(1, 0, 0), (7, 4, 4 * size)])

    async def test_move(self) -> None:
        size = len(simple())
        await self.mailbox.move([2, 3, 6], "Archive")
        self.assertEqual(await self.flags("Archive"), [set(), {SEEN}, {DELETED}, set()])
        self.assertEqual(await self.flags("INBOX"), [{SEEN}, {DELETED}, set()])
        self.assertEqual(await self.counted(), [(2, 1, size), (3, 1, size)])

    async def test_move_of_all(self) -> None:
        size = len(simple())
        await self.mailbox.move([1, 2, 3, 4, 5, 6], "Archive")
        self.assertNotIn("sweeps", await self.document())
        self.assertEqual(await self.counted(), [(0, 0, 0), (5, 2, 2 * size)])

    async def test_replace(self) -> None:
        size = len(simple())
        for uid, flag in ((1, FLAGGED), (3, SEEN), (6, DELETED)):
            message = AppendMessage(Spool.of(simple(uid)), frozenset({flag}))
            await self.mailbox.replace(uid, "INBOX", message)
        self.assertEqual(
            await self.flags("INBOX"), [{SEEN}, {DELETED}, set(), {FLAGGED}, {SEEN}, {DELETED}]
        )
        self.assertEqual(await self.counted(), [(4, 2, 2 * size), (1, 0, 0)])

    async def test_expunge(self) -> None:
        size = len(simple())
        self.assertEqual(list(await self.mailbox.expunge()), [3, 4])
        self.assertEqual(await self.counted(), [(2, 0, 0), (1, 0, 0)])
        await self.mailbox.store([1, 2, 5, 6], add(DELETED))
        self.assertEqual(await self.counted(), [(2, 4, 4 * size), (1, 0, 0)])
        await self.mailbox.expunge()
        self.assertNotIn("sweeps", await self.document())
        self.assertEqual(await self.counted(), [(0, 0, 0), (1, 0, 0)])

    async def test_search_and_fetch_elsewhere(self) -> None:
        there = await self.elsewhere()
        for key, found in (
            (search.HasFlag(SEEN), [1, 2]),
            (search.HasFlag(DELETED), [3, 4]),
            (search.Not(search.HasFlag(SEEN)), [3, 4, 5, 6]),
            (search.ModSeq(there.index.highest_modseq), [5]),
        ):
            self.assertEqual(list(await there.search(key)), found)
