"""Sweeps are folded into the messages they are of, and nobody sees a difference."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from tests.store.base import add, simple, state, together
from tests.store.test_sweeps import SWEEPING, WANTED, SweepTestCase
from twisted_duck import errors
from twisted_duck.limits import Limits
from twisted_duck.store import folding
from twisted_duck.store.collector import Collector
from twisted_duck.store.folding import fold
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.store import MailStore
from twisted_duck.values import DELETED, FLAGGED, SEEN, FlagChange


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
        status = await self.account.statuses(["INBOX"], WANTED)
        pieces = 0
        real = folding._fold_piece

        async def look(*given: Any) -> int | None:
            nonlocal pieces
            pieces += 1
            above = await real(*given)
            self.assertEqual(state((await self.elsewhere()).index), was)
            self.assertEqual(await self.account.statuses(["INBOX"], WANTED), status)
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
            await self.until_folded()
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))
        self.assertEqual(await self.findings(), [])

    async def test_it_is_the_mailbox_that_has_many_and_not_a_process(self) -> None:
        limits = Limits(sweep_from=1, sweep_rest=3600, sweeps=6)
        stores = [await self.make_store(limits=limits) for _ in range(3)]
        boxes = [await (await store.account("ada")).select("INBOX", False) for store in stores]
        await self.filled(3)
        for number in range(3):
            await boxes[number].store([1, 2, 3], add(f"k{number}"))
        await self.until_folded()
        # Those of processes that have ended.
        for number in range(2):
            await boxes[number].store([1, 2, 3], add(f"l{number}"))
            await stores[number].close()
        await boxes[2].store([1, 2, 3], add("m"))
        await self.until_folded()

    async def test_a_mailbox_is_folded_by_one_at_a_time(self) -> None:
        """The sweeps that come meanwhile are for the next folding, when there are as many again."""
        begun: list[Deferred[None]] = []
        real = folding.fold

        async def held(*given: Any) -> None:
            begun.append(Deferred())
            await begun[-1]
            await real(*given)

        self.patch(folding, "fold", held)
        store = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=3600, sweeps=8))
        await self.filled(3)
        mailbox = await (await store.account("ada")).select("INBOX", False)
        for number in range(6):
            await mailbox.store([1, 2, 3], add(f"k{number}"))
        self.assertEqual(len(begun), 1)
        # Of those that are there by then.
        begun[0].callback(None)
        await self.until_folded()
        for number in range(4):
            self.assertEqual(len(begun), 1)
            await mailbox.store([1, 2, 3], add(f"l{number}"))
        self.assertEqual(len(begun), 2)
        begun[1].callback(None)
        await self.until_folded()

    async def test_a_mailbox_that_is_full_of_them_is_folded_by_whoever_is_there(self) -> None:
        """What comes behind them, and is for a few messages, is written, so that it is no new one."""
        left = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=3600, sweeps=4))
        left.folder.soon = lambda *_: None  # type: ignore[method-assign]
        await self.filled()
        mailbox = await (await left.account("ada")).select("INBOX", False)
        for number in range(4):
            await mailbox.store(list(range(1, 11)), add(f"k{number}"))
        await left.close()
        self.assertEqual(len((await self.document())["sweeps"]), 4)
        store = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=3600, sweeps=4))
        mailbox = await (await store.account("ada")).select("INBOX", False)
        await mailbox.store([1, 2, 3], add("last"))
        await self.until_folded()
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))

    async def full(
        self, held: list[Deferred[None]] | None = None
    ) -> tuple[MailStore, StoreMailbox]:
        """Ten messages, and as many sweeps as there may be; `held` gets what has to fire before each folding."""
        real = folding.fold

        async def after(*given: Any) -> None:
            if held is not None:
                held.append(Deferred())
                await held[-1]
            await real(*given)

        self.patch(folding, "fold", after)
        store = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=3600, sweeps=4))
        await self.filled()
        mailbox = await (await store.account("ada")).select("INBOX", False)
        real_soon, store.folder.soon = store.folder.soon, lambda *_: None  # type: ignore[method-assign]
        for number in range(4):
            await mailbox.store(list(range(1, 11)), add(f"k{number}"))
        store.folder.soon = real_soon  # type: ignore[method-assign]
        return store, mailbox

    async def test_a_store_of_most_messages_has_a_full_mailbox_folded_first(self) -> None:
        """Which takes as long as to write them, and leaves room for the next ones."""
        held: list[Deferred[None]] = []
        _, mailbox = await self.full(held)
        (stored,) = together(mailbox.store(list(range(1, 6)), add("last")))
        (other,) = together(self.put(self.account, "INBOX", simple()))
        # It keeps nobody else waiting.
        await other
        self.assertFalse(stored.called)
        held[0].callback(None)
        await stored
        self.assertEqual([len(each["uids"]) for each in (await self.document())["sweeps"]], [1])
        await mailbox.store(list(range(1, 11)), add("again"))
        self.assertEqual(len((await self.document())["sweeps"]), 2)
        await mailbox.refresh()
        self.assertEqual(state((await self.elsewhere()).index), state(mailbox.index))
        self.assertEqual(await self.findings(), [])

    async def test_a_store_that_writes_little_waits_for_no_folding(self) -> None:
        held: list[Deferred[None]] = []
        _, mailbox = await self.full(held)
        everything = list(range(1, 11))
        await mailbox.store([1, 2, 3, 4], add("last"))
        # There is nothing to be done but for six, for four, and for none.
        await mailbox.store(everything, add("k1"))
        await mailbox.store(everything, FlagChange("remove", frozenset({"last"})))
        await mailbox.store(everything, FlagChange("add", frozenset({"x"}), unchanged_since=1))
        self.assertEqual(len(held), 1)
        held[0].callback(None)
        await self.until_folded()

    async def test_a_store_waits_for_a_folding_so_long(self) -> None:
        self.patch(folding, "_PATIENCE", 0.05)
        held: list[Deferred[None]] = []
        _, mailbox = await self.full(held)
        await mailbox.store(list(range(1, 11)), add("last"))
        self.assertEqual(len(held), 1)
        self.assertEqual(len((await self.document())["sweeps"]), 4)
        held[0].callback(None)
        await self.until_folded()

    async def test_a_folding_that_is_waited_for_waits_for_nobody_else(self) -> None:
        store, mailbox = await self.full()
        await store.folder._one.acquire()
        await mailbox.store(list(range(1, 11)), add("last"))
        self.assertEqual(len((await self.document())["sweeps"]), 1)
        store.folder._one.release()

    async def test_where_nothing_can_be_folded_a_store_is_written(self) -> None:
        async def fails(*given: Any) -> None:
            raise errors.Unavailable("the database is away")

        store, mailbox = await self.full()
        uids = list(range(1, 11))
        self.patch(folding, "fold", fails)
        await mailbox.store(uids, add("one"))
        await store.folder.close()
        await mailbox.store(uids, add("two"))
        self.assertEqual(len((await self.document())["sweeps"]), 4)
        written = [set(flags) >= {"one", "two"} for _, flags in (await self.written()).values()]
        self.assertEqual(written, [True] * 10)

    async def test_who_waits_for_a_folding_goes_on_where_the_store_is_closed(self) -> None:
        held: list[Deferred[None]] = []
        store, mailbox = await self.full(held)
        (stored,) = together(mailbox.store(list(range(1, 11)), add("last")))
        (cancelled,) = together(mailbox.store(list(range(1, 11)), add("never")))
        cancelled.cancel()
        await self.assertFailure(cancelled, CancelledError)
        await store.folder.close()
        await stored
        self.assertEqual(len((await self.document())["sweeps"]), 4)

    async def test_what_could_not_be_folded_is_later(self) -> None:
        failures = 2
        real = folding._fold_piece

        async def piece(*given: Any) -> int | None:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise errors.Unavailable("the database is away")
            return await real(*given)

        self.patch(folding, "_fold_piece", piece)
        store = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=0))
        await self.filled(3)
        mailbox = await (await store.account("ada")).select("INBOX", False)
        await mailbox.store([1, 2, 3], add(SEEN))
        await self.until_folded()
        self.assertLess(failures, 0)

    async def test_what_inbox_hands_on_is_folded_there(self) -> None:
        store = await self.make_store(limits=Limits(sweep_from=1, sweep_rest=3600, sweeps=2))
        account = await store.account("ada")
        await self.filled(3)
        mailbox = await account.select("INBOX", False)
        await mailbox.store([1, 2, 3], add(SEEN))
        self.patch(store.folder, "_rest", 0)
        await account.rename("INBOX", "old")
        await self.until_folded("old")

    async def until_folded(self, path: str = "INBOX") -> None:
        for _ in range(200):
            if not (await self.document(path)).get("sweeps"):
                return
            await self.pause(0.05)
        self.fail("nobody has folded")

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
