"""STORE of many messages writes one document, and whoever looks sees what he would if all of them had been written."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred

from tests.store.base import StoreTestCase, add, simple, state, together
from tests.store.recorder import Recorder
from twisted_duck import search
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.store import copying, folding
from twisted_duck.store.account import StoreAccount
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
    StoreResult,
    UIDSet,
)

#: Every STORE of more than one is a sweep if it can be, and nobody folds before he is told to.
SWEEPING = Limits(sweep_from=2, sweep_rest=3600)
#: None is.
PLAIN = Limits(sweep_from=10**9)

_WANTED: frozenset[StatusWant] = frozenset({"recent", "deleted_size"})


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
        status = await self.account.statuses(["INBOX"], _WANTED)
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
        await self.account.statuses(["INBOX"], _WANTED)
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
        found = await self.account.statuses(paths, _WANTED)
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


class FoldingTests(SweepTestCase):
    async def swept(self) -> StoreMailbox:
        mailbox = await self.filled()
        uids = list(range(1, 11))
        await mailbox.store(uids[:6], add(SEEN))
        await mailbox.store(uids[2:], FlagChange("replace", frozenset({FLAGGED, DELETED})))
        await mailbox.store([4], add("single"))
        await mailbox.store(uids[:8], FlagChange("remove", frozenset({FLAGGED})))
        return mailbox

    async def test_it_writes_what_there_is_and_tells_nobody(self) -> None:
        mailbox = await self.swept()
        watching = await self.elsewhere()
        heard: list[int] = []
        for each in (mailbox, watching):
            each.watch(lambda: heard.append(1))
        before = await self.document()
        self.assertEqual(len(before.pop("sweeps")), 3)
        was = state(mailbox.index)
        await self.folded()
        after = await self.document()
        self.assertEqual(after.pop("sweeps"), [])
        self.assertEqual(after, before)
        written = {uid: (m, frozenset(flags)) for uid, (m, flags) in (await self.written()).items()}
        self.assertEqual(written, was)
        await watching.refresh()
        await self.pause(0.1)
        self.assertEqual((state(mailbox.index), state(watching.index)), (was, was))
        self.assertEqual(heard, [])
        self.assertEqual(await self.findings(), [])

    async def test_at_every_piece_everybody_sees_the_same(self) -> None:
        self.patch(folding, "_AT_ONCE", 3)
        mailbox = await self.swept()
        was = state(mailbox.index)
        status = await self.account.statuses(["INBOX"], _WANTED)
        pieces = 0
        real = folding._fold_piece

        async def look(*given: Any) -> int | None:
            nonlocal pieces
            pieces += 1
            above = await real(*given)
            self.assertEqual(state((await self.elsewhere()).index), was)
            self.assertEqual(await self.account.statuses(["INBOX"], _WANTED), status)
            self.assertEqual(await self.findings(), [])
            return above

        self.patch(folding, "_fold_piece", look)
        await self.folded()
        self.assertEqual(pieces, 4)

    async def test_what_is_done_in_the_middle_of_it_stays(self) -> None:
        self.patch(folding, "_AT_ONCE", 3)
        mailbox = await self.swept()
        uids = list(range(1, 11))
        works = [
            lambda: mailbox.store([2], add("alone")),
            lambda: mailbox.store(uids, add("swept")),
            lambda: mailbox.copy([1, 3, 9], "INBOX"),
            lambda: mailbox.remove([7]),
        ]
        real = folding._fold_piece

        async def between(*given: Any) -> int | None:
            if works:
                await works.pop(0)()
            return await real(*given)

        self.patch(folding, "_fold_piece", between)
        await self.folded()
        self.assertEqual(works, [])
        # The one that came in the middle is left for the next time.
        self.assertEqual(len((await self.document())["sweeps"]), 1)
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))
        await self.folded()
        self.assertEqual((await self.document())["sweeps"], [])
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))
        self.assertEqual(await self.findings(), [])

    async def test_several_at_once_do_no_harm(self) -> None:
        self.patch(folding, "_AT_ONCE", 2)
        mailbox = await self.swept()
        was = state(mailbox.index)
        user, id = (await self.document())["user"], (await self.document())["_id"]
        stores = [await self.make_store(limits=SWEEPING) for _ in range(3)]
        for done in together(*(fold(store.mongo, user, id) for store in stores)):
            await done
        self.assertEqual((await self.document())["sweeps"], [])
        self.assertEqual(state((await self.elsewhere()).index), was)
        self.assertEqual(await self.findings(), [])

    async def test_a_mailbox_that_got_another_box_in_the_middle(self) -> None:
        self.patch(folding, "_AT_ONCE", 3)
        mailbox = await self.swept()
        was = state(mailbox.index)
        works = [lambda: self.account.rename("INBOX", "Old")]
        real = folding._fold_piece

        async def between(*given: Any) -> int | None:
            above = await real(*given)
            if works:
                await works.pop()()
                await self.put(self.account, "INBOX", simple(77), simple(78))
                await mailbox.refresh()
                await mailbox.store(list(mailbox.index.uids), add(SEEN))
            return above

        self.patch(folding, "_fold_piece", between)
        await self.folded()
        self.assertEqual(len((await self.document("Old"))["sweeps"]), 3)
        self.assertEqual(state((await self.elsewhere("Old")).index), was)
        self.assertEqual(len((await self.document())["sweeps"]), 1)
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))
        await self.folded("Old")
        await self.folded()
        self.assertEqual((await self.document("Old"))["sweeps"], [])
        self.assertEqual(state((await self.elsewhere("Old")).index), was)
        self.assertEqual(await self.findings(), [])

    async def test_who_is_shown_an_older_state_takes_nothing_out(self) -> None:
        """As by a server that does not know yet that another is the primary."""
        await self.filled()
        older = await self.document()
        mailbox = await self.account.select("INBOX", False)
        await mailbox.store(list(range(1, 11)), add(SEEN))
        now = await self.document()
        real = folding._fold_piece

        async def put(document: dict[str, Any]) -> None:
            update = {"q": {"_id": document["_id"]}, "u": document}
            await self.mongo.run({"update": "mailboxes", "updates": [update]})

        async def of_old(*given: Any) -> int | None:
            await put(older)
            try:
                return await real(*given)
            finally:
                await put(now)

        self.patch(folding, "_fold_piece", of_old)
        await self.folded()
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))
        self.assertEqual(len((await self.document())["sweeps"]), 1)

    async def test_the_process_that_swept_folds_after_a_while(self) -> None:
        await self.filled()
        store = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=1))
        account = await store.account("ada")
        mailbox = await account.select("INBOX", False)
        other = await account.select("Archive", False)
        await mailbox.copy([1, 2], "Archive")
        await mailbox.store(list(range(1, 11)), add(SEEN))
        await mailbox.store(list(range(1, 11)), add(FLAGGED))
        await other.refresh()
        await other.store([1, 2], add(SEEN))
        self.assertEqual(len((await self.document())["sweeps"]), 2)
        for _ in range(200):
            documents = [await self.document(path) for path in ("INBOX", "Archive")]
            if not any(each["sweeps"] for each in documents):
                break
            await self.pause(0.05)
        else:
            self.fail("nobody has folded")
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))

    async def test_many_sweeps_are_not_left_for_so_long(self) -> None:
        await self.filled()
        store = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=3600, sweeps=6))
        mailbox = await (await store.account("ada")).select("INBOX", False)
        uids = list(range(1, 11))
        for number in range(9):
            change = add(SEEN) if number % 2 == 0 else FlagChange("remove", frozenset({SEEN}))
            await mailbox.store(uids, change)
            sweeps = len((await self.document())["sweeps"])
            if number % 3 < 2:
                self.assertEqual(sweeps, number % 3 + 1)
                continue
            for _ in range(200):
                if not (await self.document())["sweeps"]:
                    break
                await self.pause(0.05)
            else:
                self.fail("nobody has folded")
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))
        self.assertEqual(await self.findings(), [])

    async def test_a_process_folds_one_piece_at_a_time(self) -> None:
        store = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=0))
        most = busy = pieces = 0
        done: Deferred[None] = Deferred()
        real = folding._fold_piece

        async def count(*given: Any) -> int | None:
            nonlocal most, busy, pieces
            busy += 1
            most = max(most, busy)
            try:
                return await real(*given)
            finally:
                busy -= 1
                pieces += 1
                if pieces == 4:
                    done.callback(None)

        self.patch(folding, "_fold_piece", count)
        boxes = []
        for name in ("bob", "eve", "joe", "pat"):
            account = await self.make_user(store, name)
            await self.put(account, "INBOX", *map(simple, range(3)))
            boxes.append(await account.select("INBOX", False))
        for stored in together(*(box.store([1, 2, 3], add(SEEN)) for box in boxes)):
            await stored
        await done
        self.assertEqual(most, 1)

    async def test_the_collector_folds_what_was_left(self) -> None:
        mailbox = await self.swept()
        was = state(mailbox.index)
        await self.store.close()
        store = await self.make_store(limits=SWEEPING)
        await Collector(store.mongo).run()
        self.store = store
        self.assertEqual((await self.document())["sweeps"], [])
        self.assertEqual(state((await self.elsewhere()).index), was)


class _Pair:
    """A user whose mail is swept, and one to whose mail the same is done message by message."""

    def __init__(self, case: SweepTestCase, swept: StoreAccount, plain: StoreAccount) -> None:
        self.case = case
        self.accounts = swept, plain
        self.boxes: list[StoreMailbox] = []

    async def open(self) -> None:
        self.boxes = [await account.select("INBOX", False) for account in self.accounts]

    async def both(self, work: Any) -> None:
        results = [await work(*each) for each in zip(self.accounts, self.boxes, strict=True)]
        self.case.assertEqual(results[0], results[1])


class SameTests(SweepTestCase):
    """Random changes of two mailboxes, one of them swept, and folded or half folded now and then."""

    async def test_swept_or_not_it_is_the_same(self) -> None:
        await self.same(random.Random(1))

    async def test_swept_or_not_it_is_the_same_in_another_order(self) -> None:
        await self.same(random.Random(2))

    async def same(self, chance: random.Random, steps: int = 48) -> None:
        names = ["swept", "plain"]
        accounts = []
        stores = []
        for name, limits in zip(names, (SWEEPING, PLAIN), strict=True):
            store = await self.make_store(limits=limits)
            accounts.append(await self.make_user(store, name))
            stores.append(store)
        pair = _Pair(self, accounts[0], accounts[1])
        for account in accounts:
            await self.put(account, "INBOX", *map(simple, range(12)))
        await pair.open()
        # A process that has them open now and then, and does not hear of what happens in between.
        later = await self.make_store(limits=SWEEPING)
        known = 0
        swept = 0
        for step in range(steps):
            await self.change(chance, pair, step)
            [document] = await self.mongo.find(
                "mailboxes", {"path": "INBOX", "user": accounts[0]._user}
            )
            swept += len(document.get("sweeps", ()))
            if chance.random() < 0.3:
                await self.fold_some(chance, stores[0], document)
            await self.compare(pair.boxes)
            if chance.random() < 0.3:
                late = [await (await later.account(n)).select("INBOX", False) for n in names]
                await self.compare(late)
                for modseq in {known, max(known - 3, 1)}:
                    self.assertEqual(*(each.index.latest_since(modseq) for each in late))
                known = late[0].index.highest_modseq
                for each in late:
                    await each.close()
            if step % 8 == 7:
                for path in ("INBOX", "Archive"):
                    fresh = [await self.elsewhere(path, name) for name in names]
                    await self.compare(fresh)
                    for modseq in range(1, fresh[0].index.highest_modseq, 4):
                        self.assertEqual(*(each.index.latest_since(modseq) for each in fresh))
                    statuses = [await each.statuses([path], _WANTED) for each in accounts]
                    alike = [
                        (s[path].messages, s[path].unseen, s[path].deleted, s[path].deleted_size)
                        for s in statuses
                    ]
                    self.assertEqual(alike[0], alike[1])
                self.assertEqual(await self.findings(), [])
        self.assertGreater(swept, steps)

    async def compare(self, mailboxes: list[StoreMailbox]) -> None:
        one, other = (each.index for each in mailboxes)
        self.assertEqual(state(one), state(other))
        self.assertEqual(one.highest_modseq, other.highest_modseq)
        self.assertEqual((one.unseen, one.deleted), (other.unseen, other.deleted))

    async def fold_some(
        self, chance: random.Random, store: MailStore, document: dict[str, Any]
    ) -> None:
        """All of it, or so many pieces."""
        pieces = chance.randrange(6)
        real = folding._fold_piece

        class Enough(Exception):
            pass

        async def piece(*given: Any) -> int | None:
            nonlocal pieces
            pieces -= 1
            if not pieces:
                raise Enough
            return await real(*given)

        with self.patching(_AT_ONCE=3, _fold_piece=piece):
            try:
                await fold(store.mongo, document["user"], document["_id"])
            except Enough:
                pass

    def patching(self, **values: Any) -> Any:
        from unittest.mock import patch

        return patch.multiple(folding, **values)

    async def change(self, chance: random.Random, pair: _Pair, step: int) -> None:
        uids = list(pair.boxes[0].index.uids)
        if len(uids) < 4:
            arriving = [simple(step), simple(step + 100), simple(step + 200)]
            for account, box in zip(pair.accounts, pair.boxes, strict=True):
                await self.put(account, "INBOX", *arriving, flags=[DELETED])
                await box.refresh()
            return
        at = chance.randrange(len(uids) - 2)
        some = uids[at : at + chance.randint(2, len(uids))]
        if chance.random() < 0.3:
            some = some[::2]
        flags = frozenset(chance.sample([SEEN, FLAGGED, DELETED, "work", "WORK", "$x"], 2))
        mode: Any = chance.choice(["add", "add", "remove", "replace"])
        since = pair.boxes[0].index.highest_modseq - chance.randrange(4)
        kind = chance.randrange(12)

        async def work(account: StoreAccount, box: StoreMailbox) -> object:
            match kind:
                case 0 | 1 | 2 | 3 | 4 | 5:
                    return await box.store(some, FlagChange(mode, flags))
                case 6:
                    return await box.store(some, FlagChange(mode, flags, unchanged_since=since))
                case 7:
                    return await box.store(some[:1], FlagChange(mode, flags))
                case 8:
                    return (await box.copy(some[:3], chosen)).source
                case 9:
                    return (await box.move(some[:2], chosen)).source
                case 10:
                    return await box.expunge(UIDSet.of(uids[: len(uids) // 2]))
                case _:
                    message = AppendMessage(Spool.of(simple(step)), frozenset({SEEN}))
                    await box.replace(some[0], chosen, message)
                    return await box.refresh()

        chosen = chance.choice(["INBOX", "Archive"])
        await pair.both(work)


class AtOnceTests(SweepTestCase):
    """Several processes change one mailbox at the same moments, and fold it meanwhile."""

    async def test_each_change_has_its_place_and_none_gets_lost(self) -> None:
        self.patch(folding, "_AT_ONCE", 3)
        chance = random.Random(3)
        mailbox = await self.filled(24)
        expected = state(mailbox.index)
        boxes = []
        for _ in range(3):
            store = await self.make_store(limits=SWEEPING)
            boxes.append(await (await store.account("ada")).select("INBOX", False))
        swept = 0
        for step in range(16):
            uids = list(mailbox.index.uids)
            gone = chance.sample(uids, 1 if step % 4 == 3 else 0)
            works = [self.change(chance, box, uids) for box in boxes]
            others = [self.folded(), self.folded(), mailbox.remove(gone)]
            *made, one, other, removed = together(*works, *others)
            results = [each for done in made for each in await done]
            for done in (one, other, removed):
                await done
            await mailbox.refresh()
            swept += len((await self.document()).get("sweeps", ()))
            for result, change in sorted(results, key=lambda each: each[0].modseq):
                for uid in result.changed:
                    expected[uid] = (result.modseq, change.apply(expected[uid][1]))
            for uid in gone:
                del expected[uid]
            for box in [*boxes, mailbox, await self.elsewhere()]:
                await box.refresh()
                self.assertEqual(state(box.index), expected)
            self.assertEqual(await self.findings(), [])
        self.assertGreater(swept, 0)

    async def change(
        self, chance: random.Random, box: StoreMailbox, uids: list[int]
    ) -> list[tuple[StoreResult, FlagChange]]:
        """Some changes, one after another, and what came of each."""
        made = []
        for _ in range(3):
            at = chance.randrange(len(uids))
            mode: Any = chance.choice(["add", "remove", "replace"])
            flags = chance.sample([SEEN, FLAGGED, DELETED, "a", "b"], 2)
            change = FlagChange(mode, frozenset(flags))
            some = uids[at : at + chance.choice([1, 4, 12])]
            made.append((await box.store(some, change), change))
        return made
