"""What is remembered of messages: what is not asked for again, how much memory that takes, and who forgets it when."""

from __future__ import annotations

import gc
import random
import tracemalloc
from array import array
from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import SynchronousTestCase

from tests.store.base import simple
from tests.store.test_current import CurrentTestCase
from twisted_duck import errors, search
from twisted_duck.sequence import SequenceSet
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.opened import Seen
from twisted_duck.store.recall import Recall
from twisted_duck.store.remembered import Memory, Remembered, _Column
from twisted_duck.values import DELETED, FlagChange, MessageData, UIDSet

LARGE = 1 << 30


def said(*uids: int, size: int = 500) -> list[MessageData]:
    return [MessageData(uid, said=(b"%d." % uid + bytes(size),)) for uid in uids]


class RememberedTests(SynchronousTestCase):
    def known(self, remembered: Remembered, what: str, uids: Sequence[int]) -> list[int]:
        return [
            data.uid
            for uid in uids
            for data in remembered.said(what, [uid])
            if data.said and data.said[0].startswith(b"%d." % uid)
        ]

    def test_what_was_said_is_known_by_uid_and_items(self) -> None:
        remembered = Remembered(Memory(LARGE))
        remembered.learn("a", said(1, 2, 63, 64, 70_000))
        remembered.learn("b", said(3))
        everything = [1, 2, 3, 4, 63, 64, 65, 70_000]
        self.assertEqual(self.known(remembered, "a", everything), [1, 2, 63, 64, 70_000])
        self.assertEqual(self.known(remembered, "b", everything), [3])
        self.assertEqual(self.known(remembered, "c", everything), [])

    def test_it_never_takes_more_than_it_may_and_what_was_used_longest_ago_goes_first(self) -> None:
        memory = Memory(100_000)
        remembered = Remembered(memory)
        for first in range(0, 64 * 100, 64):
            remembered.learn("a", said(*range(first or 1, first + 20)))
            self.assertLessEqual(memory.size, memory.most)
            # Somebody looks at these again and again.
            self.assertEqual(self.known(remembered, "a", [5]), [5])
        pages = [p for p in range(100) if self.known(remembered, "a", [p * 64 + 5])]
        self.assertEqual(pages, [0, *range(101 - len(pages), 100)])
        self.assertGreater(memory.size, 80_000)

    def test_size_is_what_it_takes(self) -> None:
        for size, uids in (
            (100, range(1, 20_000)),
            (900, range(1, 5_000)),
            (300, range(1, 99_999, 64)),
        ):
            with self.subTest(size=size):
                memory = Memory(LARGE)
                remembered = Remembered(memory)
                gc.collect()
                tracemalloc.start()
                for first in range(0, len(uids), 500):
                    remembered.learn("a", said(*uids[first : first + 500], size=size))
                gc.collect()
                taken = tracemalloc.get_traced_memory()[0]
                tracemalloc.stop()
                # What the allocator has beside it is not traced.
                self.assertGreater(memory.size, taken * 0.98)
                self.assertLess(memory.size, taken * 1.25)

    def test_size_of_hits_is_what_they_take(self) -> None:
        memory = Memory(LARGE)
        remembered = Remembered(memory)
        tracemalloc.start()
        for number in range(1_000):
            key = search.Header("subject", f"{number}{'ж' * 50}")
            remembered.learn_hits(key, 9, array("I", range(number)))
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        self.assertGreater(memory.size, taken * 0.98)
        self.assertLess(memory.size, taken * 1.25)

    def test_what_is_learnt_twice_is_counted_once(self) -> None:
        memory = Memory(LARGE)
        remembered = Remembered(memory)
        remembered.learn("a", said(1, 2))
        remembered.learn_hits(search.Size("larger", 9), 2, array("I", [1]))
        size = memory.size
        remembered.learn("a", said(1, 2))
        remembered.learn_hits(search.Size("larger", 9), 2, array("I", [2]))
        self.assertEqual(memory.size, size)
        self.assertEqual(remembered.hits(search.Size("larger", 9)), (2, array("I", [2])))

    def test_the_last_one_that_goes_gives_everything_back(self) -> None:
        memory = Memory(LARGE)
        remembered = Remembered(memory)
        for ranges in (
            ((1, 4_000_000_000),),
            ((1, 100), (101, 900)),
            tuple((n, n) for n in range(1, 901)),
        ):
            with self.subTest(ranges=len(ranges)):
                remembered.learn("a", said(*range(1, 900, 3)))
                remembered.learn("b", said(64))
                remembered.forget(UIDSet(ranges))
                self.assertEqual(memory.size, 0)
        remembered.learn("a", said(*range(1, 900, 3)))
        remembered.learn_hits(search.Size("larger", 9), 2, array("I", [1]))
        remembered.clear()
        self.assertEqual(memory.size, 0)

    def test_what_is_expunged_is_forgotten_and_nothing_else(self) -> None:
        memory = Memory(LARGE)
        remembered, other = Remembered(memory), Remembered(memory)
        remembered.learn("a", said(*range(1, 300)))
        other.learn("a", said(*range(1, 300)))
        before = memory.size
        remembered.forget(UIDSet(((10, 10), (60, 130))))
        left = [*range(1, 10), *range(11, 60), *range(131, 300)]
        self.assertEqual(self.known(remembered, "a", range(1, 300)), left)
        self.assertEqual(self.known(other, "a", range(1, 300)), list(range(1, 300)))
        self.assertGreater(before - memory.size, 72 * 500)

    def test_many_ranges_are_not_looked_for_in_many_lists_of_items(self) -> None:
        memory = Memory(LARGE)
        remembered = Remembered(memory)
        for number in range(500):
            remembered.learn(b"BODY[HEADER.FIELDS (%d)]" % number, said(7))
        looks: list[int] = []
        original = _Column.forget

        def forget(column: _Column, first: int, last: int) -> None:
            looks.append(first)
            original(column, first, last)

        self.patch(_Column, "forget", forget)
        remembered.forget(UIDSet(tuple((n, n) for n in range(1, 1_000, 2))))
        self.assertLessEqual(len(looks), 10_000)
        self.assertEqual(memory.size, 0)

    def test_a_very_long_answer_is_not_remembered(self) -> None:
        memory = Memory(LARGE)
        remembered = Remembered(memory)
        remembered.learn("a", said(1, size=100_000))
        self.assertEqual((self.known(remembered, "a", [1]), memory.size), ([], 0))

    def test_no_memory_is_fine(self) -> None:
        memory = Memory(0)
        remembered = Remembered(memory)
        remembered.learn("a", said(1, 2))
        remembered.learn_hits(search.Size("larger", 9), 2, array("I", [1]))
        self.assertEqual((self.known(remembered, "a", [1, 2]), memory.size), ([], 0))
        self.assertIsNone(remembered.hits(search.Size("larger", 9)))

    def test_hits_that_would_take_most_of_it_are_not_remembered(self) -> None:
        remembered = Remembered(Memory(10_000))
        remembered.learn_hits(search.Size("larger", 9), 2, array("I", range(1_000)))
        self.assertIsNone(remembered.hits(search.Size("larger", 9)))


class RecallTests(SynchronousTestCase):
    """Without a database: what is read, and in which order it comes."""

    def setUp(self) -> None:
        self.memory = Memory(LARGE)
        self.remembered = Remembered(self.memory)
        self.there = set(range(1, 1_000))
        self.read: list[list[int]] = []
        self.sure = True

    def recall(self, uids: Sequence[int], size: int = 10) -> list[int]:
        """The UIDs in the order of their coming; whatever is read is said."""

        async def read(some: Sequence[int]) -> Any:
            self.read.append(list(some))
            for at in range(0, len(some), 50):
                yield [MessageData(uid) for uid in some[at : at + 50] if uid in self.there]

        async def is_sure() -> bool:
            return self.sure

        def living(some: Sequence[int]) -> Collection[int]:
            return [uid for uid in some if uid in self.there]

        found: list[int] = []

        async def run() -> None:
            batches = Recall(self.remembered, "a", read, is_sure, living).messages(uids)
            async for batch in batches:
                found.extend(data.uid for data in batch)
                for data in batch:
                    data.said = data.said or (bytes(size),)

        self.read.clear()
        self.successResultOf(Deferred.fromCoroutine(run()))
        return found

    def test_what_is_known_is_not_read(self) -> None:
        uids = [*range(5, 200), *range(300, 320)]
        self.assertEqual(self.recall(uids), uids)
        self.assertEqual(self.read, [uids])
        self.assertEqual(self.recall(uids), uids)
        self.assertEqual(self.recall(uids[3::7]), uids[3::7])
        self.assertEqual(self.read, [])

    def test_of_what_is_partly_known_the_rest_is_read_in_order(self) -> None:
        self.recall([*range(100, 150), 152, 400])
        self.assertEqual(self.recall(range(1, 500)), list(range(1, 500)))
        asked = [uid for some in self.read for uid in some]
        self.assertEqual(asked, [*range(1, 100), 150, 151, *range(153, 400), *range(401, 500)])
        self.recall(range(1, 500))
        self.assertEqual(self.read, [])

    def test_where_it_is_not_sure_that_they_are_there_all_is_read(self) -> None:
        self.recall(range(1, 100))
        self.sure = False
        self.there -= {7}
        self.assertEqual(self.recall(range(1, 100)), [uid for uid in range(1, 100) if uid != 7])

    def test_what_goes_while_it_is_told_is_not_remembered(self) -> None:
        for uid in self.recall(range(1, 10)):
            self.there.discard(uid)
            break
        self.remembered.clear()
        original = self.remembered.learn
        learnt: list[int] = []

        def learn(what: Any, messages: Any) -> int:
            learnt.extend(data.uid for data in messages)
            return original(what, messages)

        self.patch(self.remembered, "learn", learn)
        self.recall(range(1, 10))
        self.assertEqual(learnt, list(range(2, 10)))

    def test_one_command_has_a_quarter_of_the_memory_at_the_most(self) -> None:
        self.there = set(range(1, 20_000))
        self.memory.most = 1_000_000
        self.remembered.learn("other", said(*range(1, 600)))
        others = self.memory.size
        for _ in range(5):
            self.recall(range(1, 20_000), size=300)
            self.assertLess(self.memory.size, others + 300_000)
            asked = [uid for some in self.read for uid in some]
            self.assertEqual(asked, list(range(asked[0], 20_000)))
        self.assertEqual(len(self.remembered.said("other", range(1, 64))), 63)


class MailboxTests(CurrentTestCase):
    """On a database: what it is asked for."""

    async def fetched(
        self, mailbox: StoreMailbox, uids: Sequence[int], what: str = "x"
    ) -> dict[int, bytes]:
        """What is said of the envelopes of messages."""
        found: dict[int, bytes] = {}
        async for batch in mailbox.recall(uids, frozenset({"envelope", "size"}), what):
            for data in batch:
                if data.said is None:
                    assert data.envelope is not None
                    data.said = (data.envelope, b"%d" % (data.size or 0))
                found[data.uid] = b" ".join(data.said)
        return found

    async def filled(self, count: int = 5) -> StoreMailbox:
        await self.put(self.account, "INBOX", *map(simple, range(count)))
        return await self.current()

    async def test_a_second_fetch_asks_nothing(self) -> None:
        mailbox = await self.filled(100)
        first = await self.fetched(mailbox, mailbox.index.uids)
        self.assertEqual(self.asked, ["find messages"])
        self.assertEqual(await self.fetched(mailbox, mailbox.index.uids), first)
        self.assertEqual(await self.fetched(mailbox, [2, 77]), {2: first[2], 77: first[77]})
        self.assertEqual(self.asked, [])
        self.assertEqual(len(set(first.values())), 100)
        await self.fetched(mailbox, [2], "other items")
        self.assertEqual(self.asked, ["find messages"])

    async def test_other_sessions_of_the_mailbox_have_it_and_later_ones(self) -> None:
        mailbox = await self.filled()
        first = await self.fetched(mailbox, mailbox.index.uids)
        other = await (await self.store.account("ada")).select("INBOX", True)
        await mailbox.close()
        await other.close()
        later = await self.current()
        self.assertEqual(await self.fetched(later, later.index.uids), first)
        self.assertEqual(self.asked, [])

    async def test_of_what_has_arrived_that_alone_is_asked_for(self) -> None:
        mailbox = await self.filled()
        await self.fetched(mailbox, mailbox.index.uids)
        await self.put(self.account, "INBOX", simple(9))
        self.recorder.clear()
        self.assertEqual(len(await self.fetched(mailbox, mailbox.index.uids)), 6)
        [asked] = self.recorder.commands
        self.assertEqual(asked["filter"]["uid"], {"$in": [6]})

    async def test_what_was_expunged_elsewhere_is_not_told(self) -> None:
        mailbox = await self.filled()
        uids = list(mailbox.index.uids)
        await self.fetched(mailbox, uids)
        theirs = await self.elsewhere.select("INBOX", False)
        await theirs.store([2], FlagChange("add", frozenset({DELETED})))
        # Nobody hears of it, so that it has to be asked for.
        await self.break_stream()
        await theirs.expunge()
        self.assertEqual(list(await self.fetched(mailbox, uids)), [1, 3, 4, 5])
        self.assertEqual(self.store._registry._memory.size, self.taken(mailbox))
        self.assertFalse(mailbox._opened.remembered.said("x", [2]))

    def taken(self, mailbox: StoreMailbox) -> int:
        size = 2_000
        return size + mailbox._opened.remembered.size("x", 1)

    async def test_a_mailbox_that_was_emptied_and_filled_again(self) -> None:
        mailbox = await self.filled(3)
        await self.fetched(mailbox, mailbox.index.uids)
        box = mailbox._opened.box
        await mailbox.remove([1, 2, 3])
        self.assertNotEqual(mailbox._opened.box, box)
        self.assertEqual(self.store._registry._memory.size, 0)
        await self.put(self.account, "INBOX", simple(7))
        self.recorder.clear()
        [(uid, told)] = (await self.fetched(mailbox, mailbox.index.uids)).items()
        self.assertEqual(uid, 4)
        self.assertIn(b"message 7", told)
        # Others of that name are the collector's, which removes what was in the old box.
        self.assertIn("find messages", self.asked)

    async def test_a_mailbox_of_the_same_name_has_nothing_of_the_one_before(self) -> None:
        await self.account.create("again")
        await self.put(self.account, "again", simple(1))
        key = search.Header("subject", "message 1")
        mailbox = await self.current("again")
        await self.fetched(mailbox, [1])
        self.assertEqual(await mailbox.search(key), [1])
        await self.account.delete("again")
        self.assertEqual(self.store._registry._memory.size, 0)
        await self.account.create("again")
        await self.put(self.account, "again", simple(2))
        mailbox = await self.current("again")
        self.assertIn(b"message 2", (await self.fetched(mailbox, [1]))[1])
        self.assertEqual(await mailbox.search(key), [])

    async def test_a_mailbox_that_was_deleted_elsewhere_is_read_as_ever(self) -> None:
        await self.account.create("gone")
        await self.put(self.account, "gone", simple())
        mailbox = await self.current("gone")
        key = search.Size("larger", 1)
        self.assertEqual(
            (len(await self.fetched(mailbox, [1])), await mailbox.search(key)), (1, [1])
        )
        await self.elsewhere.delete("gone")
        await self.until(lambda: mailbox._opened.gone)
        self.recorder.clear()
        await self.fetched(mailbox, [1])
        await mailbox.search(key)
        self.assertEqual(self.asked, ["find messages"] * 2)
        with self.assertRaises(errors.MailboxGone):
            await mailbox.refresh(exact=False)

    async def test_another_user_has_nothing_of_it(self) -> None:
        mailbox = await self.filled(1)
        key = search.Header("subject", "message 0")
        await self.fetched(mailbox, [1])
        self.assertEqual(await mailbox.search(key), [1])
        bob: StoreAccount = await self.make_user(self.store, "bob")
        await self.put(bob, "INBOX", simple(8))
        theirs = await bob.select("INBOX", False)
        self.assertIn(b"message 8", (await self.fetched(theirs, [1]))[1])
        self.assertEqual(await theirs.search(key), [])

    async def test_a_mailbox_that_is_closed_for_good_gives_its_memory_back(self) -> None:
        mailbox = await self.filled()
        await self.fetched(mailbox, mailbox.index.uids)
        await mailbox.search(search.Size("larger", 1))
        self.assertGreater(self.store._registry._memory.size, 0)
        self.store._registry._budget = 0
        await mailbox.close()
        self.assertEqual(self.store._registry._memory.size, 0)

    # --- searching ----------------------------------------------------------------------------------------------------

    async def test_a_second_search_asks_nothing(self) -> None:
        mailbox = await self.filled(30)
        for key in (
            search.Header("subject", "message 1"),
            search.Header("x-other", "1"),
            search.Body("text of 1"),
            search.Text("of 2"),
            search.InternalDate("since", date(2020, 1, 1)),
            search.SentDate("on", date(2020, 1, 1)),
            search.SaveDate("since", date(2020, 1, 1)),
            search.Size("larger", 20),
        ):
            with self.subTest(key=key):
                first = await mailbox.search(key)
                self.assertNotEqual(self.asked, [])
                self.assertEqual(await mailbox.search(key), first)
                some = search.And((search.UIDs(SequenceSet.of(2, 3, 12)), key))
                self.assertEqual(await mailbox.search(some), [u for u in first if u in (2, 3, 12)])
                none = search.And((search.Not(key), key))
                self.assertEqual(await mailbox.search(none), [])
                self.assertEqual(self.asked, [])

    async def test_a_search_among_few_messages_is_about_them_alone(self) -> None:
        mailbox = await self.filled(30)
        few = search.And((search.UIDs(SequenceSet.of(2, 3, 12)), search.Size("larger", 1)))
        for _ in range(2):
            self.assertEqual(await mailbox.search(few), [2, 3, 12])
            self.assertEqual(self.recorder.commands[0]["filter"]["uid"], {"$in": [2, 3, 12]})
            self.assertEqual(self.asked, ["find messages"])

    async def test_after_an_arrival_the_new_message_alone_is_looked_at(self) -> None:
        mailbox = await self.filled(5)
        key = search.Header("subject", "message 2")
        self.assertEqual(await mailbox.search(key), [3])
        await self.put(self.account, "INBOX", simple(1), simple(2))
        await self.put(self.elsewhere, "INBOX", simple(2))
        await self.until(lambda: len(mailbox.index) == 8)
        self.recorder.clear()
        self.assertEqual(await mailbox.search(key), [3, 7, 8])
        [asked] = self.recorder.commands
        self.assertEqual(asked["filter"]["uid"], {"$in": [6, 7, 8]})

    async def test_what_was_expunged_is_not_found(self) -> None:
        mailbox = await self.filled(3)
        key = search.Size("larger", 1)
        self.assertEqual(await mailbox.search(key), [1, 2, 3])
        await mailbox.remove([2])
        self.assertEqual(await mailbox.search(key), [1, 3])
        theirs = await self.elsewhere.select("INBOX", False)
        await self.break_stream()
        await theirs.remove([3])
        self.assertEqual(await mailbox.search(key), [1])

    async def test_a_search_that_fails_is_not_remembered(self) -> None:
        mailbox = await self.filled(3)
        key = search.Size("larger", 1)
        original = self.store.mongo.batches

        async def fails(*arguments: Any, **options: Any) -> Any:
            raise errors.Unavailable("no")
            yield

        self.patch(self.store.mongo, "batches", fails)
        with self.assertRaises(errors.Unavailable):
            await mailbox.search(key)
        self.patch(self.store.mongo, "batches", original)
        self.assertEqual(await mailbox.search(key), [1, 2, 3])

    async def test_what_a_new_primary_does_not_show_yet_is_not_remembered_as_no_match(self) -> None:
        mailbox = await self.filled(3)
        opened, key = mailbox._opened, search.Size("larger", 1)
        await self.break_stream()
        original = opened._look

        async def before() -> Seen | None:
            """What a majority is not known to have any more."""
            seen = await original()
            assert seen is not None
            return Seen({**seen.document, "modseq": seen.document["modseq"] - 1}, seen.time)

        async def nothing(*arguments: Any, **options: Any) -> Any:
            for none in ():
                yield none

        self.patch(opened, "_look", before)
        self.patch(self.store._registry, "hears_all", lambda: False)
        batches = self.store.mongo.batches
        self.patch(self.store.mongo, "batches", nothing)
        self.assertEqual(await mailbox.search(key), [])
        self.patch(opened, "_look", original)
        self.patch(self.store.mongo, "batches", batches)
        self.assertEqual(await mailbox.search(key), [1, 2, 3])

    async def test_whatever_is_done_what_is_remembered_is_what_would_be_read(self) -> None:
        chance = random.Random(20)
        mailbox = await self.filled(9)
        theirs = await self.elsewhere.select("INBOX", False)
        await self.account.create("other")
        keys = (
            search.Header("subject", "message 1"),
            search.Body("text of 2"),
            search.Size("larger", 1),
            search.InternalDate("since", date(2020, 1, 1)),
        )

        async def append(account: StoreAccount, there: StoreMailbox) -> None:
            await self.put(account, "INBOX", *(simple(chance.randrange(4)) for _ in range(3)))

        async def remove(account: StoreAccount, there: StoreMailbox) -> None:
            await there.remove([uid for uid in there.index.uids if chance.random() < 0.3])

        async def empty(account: StoreAccount, there: StoreMailbox) -> None:
            await there.remove(list(there.index.uids))

        async def copy(account: StoreAccount, there: StoreMailbox) -> None:
            await there.copy(list(there.index.uids)[:3], "INBOX")

        async def move(account: StoreAccount, there: StoreMailbox) -> None:
            await there.move(list(there.index.uids)[-3:], "other")

        async def give_away(account: StoreAccount, there: StoreMailbox) -> None:
            await account.rename("INBOX", f"before {chance.random()}")

        async def found(key: search.SearchKey, remembered: Remembered) -> list[int]:
            self.patch(mailbox._opened, "remembered", remembered)
            return await mailbox.search(key)

        kept = mailbox._opened.remembered
        nothing = Remembered(Memory(0))
        works = [append] * 6 + [remove] * 4 + [copy, copy, move, move, empty, give_away]
        for _ in range(60):
            side = chance.choice(((self.account, mailbox), (self.elsewhere, theirs)))
            key = chance.choice(keys)
            self.patch(mailbox._opened, "remembered", kept)
            done = chance.choice(works)(*side)
            # What is asked meanwhile may say either, and has to be right afterwards.
            meanwhile = (mailbox.search(key), self.fetched(mailbox, list(mailbox.index.uids)))
            await DeferredList(
                [Deferred.fromCoroutine(each) for each in (done, *meanwhile)], consumeErrors=True
            )
            await mailbox.refresh()
            uids = list(mailbox.index.uids)
            told = await self.fetched(mailbox, uids)
            read = {data.uid: data async for data in self.each(mailbox, uids)}
            self.assertEqual(list(told), uids)
            for uid, data in read.items():
                self.assertEqual(told[uid], b"%b %d" % (data.envelope or b"", data.size or 0))
            self.assertEqual(list(read), uids)
            for key in keys:
                self.assertEqual(await found(key, kept), await found(key, nothing))
        kept.clear()
        self.assertEqual(self.store._registry._memory.size, 0)

    async def each(self, mailbox: StoreMailbox, uids: Sequence[int]) -> Any:
        async for batch in mailbox.fetch(uids, frozenset({"envelope", "size"})):
            for data in batch:
                yield data
