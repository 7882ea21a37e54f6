"""Several stores on one database: what one changes, the others see, exactly."""

from __future__ import annotations

import random
from typing import Any

from bson.objectid import ObjectId
from twisted.internet.defer import Deferred, gatherResults

from tests.store.base import StoreTestCase, add, simple, state, together
from twisted_duck import errors
from twisted_duck.spool import Spool
from twisted_duck.store import hierarchy
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.checker import Progress, check
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.opened import Opened
from twisted_duck.store.store import MailStore
from twisted_duck.values import (
    DELETED,
    FLAGGED,
    SEEN,
    AppendMessage,
    Changes,
    FlagChange,
    Flags,
)


class TwoProcesses(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.one, self.two = await self.make_store(), await self.make_store()
        self.here = await self.make_user(self.one)
        self.there = await self.two.account("ada")

    async def watched(self, name: str = "INBOX") -> tuple[StoreMailbox, list[int]]:
        """A mailbox opened in the second process; its list grows with each news."""
        mailbox = await self.there.select(name, False)
        heard: list[int] = []
        mailbox.watch(lambda: heard.append(mailbox.index.highest_modseq))
        return mailbox, heard

    async def test_an_append_wakes_the_other_process(self) -> None:
        mailbox, heard = await self.watched()
        await self.put(self.here, "INBOX", simple())
        await self.until(lambda: len(heard) == 1)
        self.assertEqual(list(mailbox.index.uids), [1])

    async def test_flags_and_expunges_wake_the_other_process(self) -> None:
        await self.put(self.here, "INBOX", simple(), simple())
        mailbox, heard = await self.watched()
        mine = await self.here.select("INBOX", False)
        await mine.store([2], add(DELETED))
        await self.until(lambda: len(heard) == 1)
        self.assertEqual(mailbox.index.flags(2), {DELETED})
        await mine.expunge()
        await self.until(lambda: len(heard) == 2)
        self.assertEqual(list(mailbox.index.uids), [1])

    async def test_a_deleted_mailbox_is_gone_in_the_other_process(self) -> None:
        await self.here.create("gone")
        mailbox, heard = await self.watched("gone")
        await self.here.delete("gone")
        await self.until(lambda: len(heard) == 1)
        with self.assertRaises(errors.MailboxGone):
            await mailbox.refresh()
        with self.assertRaises(errors.MailboxGone):
            await mailbox.store([1], add(SEEN))

    async def test_a_rename_reaches_the_other_process(self) -> None:
        await self.here.create("old")
        mailbox, _ = await self.watched("old")
        await self.here.rename("old", "new")
        await self.until(lambda: mailbox.name == "new")

    async def test_rename_of_inbox_reaches_the_other_process(self) -> None:
        await self.put(self.here, "INBOX", simple())
        mailbox, heard = await self.watched()
        await self.here.rename("INBOX", "Old")
        await self.until(lambda: len(heard) == 1)
        self.assertEqual((mailbox.name, list(mailbox.index.uids)), ("INBOX", []))
        self.assertEqual((await self.there.status("Old")).messages, 1)

    async def test_what_was_made_is_no_failure_when_its_index_can_not_follow(self) -> None:
        [first, second, third] = await self.put(self.here, "INBOX", *map(simple, range(3)))
        mailbox, _ = await self.watched()

        async def away() -> None:
            raise errors.Unavailable("the database is away")

        self.patch(mailbox._opened, "refresh", away)
        # Its index has not heard of this, and so can't just be moved on.
        await self.put(self.here, "INBOX", simple(4))
        moved = await mailbox.move([first], "Archive")
        self.assertEqual(list(moved.destination), [1])
        replacement = AppendMessage(Spool.of(simple(5)))
        self.assertEqual(list((await mailbox.replace(second, "INBOX", replacement)).uids), [5])
        copied = await mailbox.copy([third], "INBOX")
        self.assertEqual(list(copied.destination), [6])
        status = await self.here.status("INBOX")
        self.assertEqual((status.messages, status.uidnext), (4, 7))

    async def test_inbox_was_renamed_also_where_its_index_can_not_follow(self) -> None:
        await self.put(self.here, "INBOX", simple())
        give_away, refresh = hierarchy.give_away_inbox, Opened.refresh
        made: list[str] = []

        async def make(mongo: Any, place: Any, uids: Any, path: str, limits: Any) -> Any:
            heir = await give_away(mongo, place, uids, path, limits)
            made.append(path)
            return heir

        async def away(opened: Opened, *seen: Any) -> None:
            if made:
                raise errors.Unavailable("the database is away")
            await refresh(opened, *seen)

        self.patch(hierarchy, "give_away_inbox", make)
        self.patch(Opened, "refresh", away)
        await self.there.rename("INBOX", "Old")
        self.assertEqual(made, ["Old"])
        self.assertEqual((await self.here.status("Old")).messages, 1)

    async def test_claims_of_recent_wake_nobody_and_are_told_once(self) -> None:
        await self.put(self.here, "INBOX", simple())
        mailbox, heard = await self.watched()
        mine = await self.here.select("INBOX", False)
        claims = await gatherResults(together(mine.claim_recent(), mailbox.claim_recent()))
        self.assertEqual(sorted(claims), [(1, 2), (2, 2)])
        await self.put(self.here, "INBOX", simple())
        await self.until(lambda: bool(heard))
        self.assertEqual(len(heard), 1)

    async def test_a_change_computed_from_an_old_index_is_computed_again(self) -> None:
        await self.put(self.here, "INBOX", *map(simple, range(10)))
        mine, mailbox = (
            await self.here.select("INBOX", False),
            await self.there.select("INBOX", False),
        )
        everything = list(mine.index.uids)
        for _ in range(5):
            await gatherResults(
                together(
                    mine.store(everything, FlagChange("add", frozenset({"a"}))),
                    mailbox.store(everything, FlagChange("add", frozenset({"b"}))),
                )
            )
            for each in (mine, mailbox):
                await each.refresh()
                flags = {each.index.flags(uid) for uid in everything}
                self.assertEqual(flags, {frozenset({"a", "b"})})
            await mine.store(everything, FlagChange("replace", frozenset()))

    async def test_one_of_two_conditional_stores_wins(self) -> None:
        await self.put(self.here, "INBOX", simple())
        mine, mailbox = (
            await self.here.select("INBOX", False),
            await self.there.select("INBOX", False),
        )
        for number in range(20):
            await mine.refresh()
            known = mine.index.modseq(1)
            results: list[Any] = await gatherResults(
                together(
                    mine.store([1], FlagChange("replace", frozenset({f"m{number}"}), known)),
                    mailbox.store([1], FlagChange("replace", frozenset({f"t{number}"}), known)),
                )
            )
            self.assertEqual(sorted(len(result.changed) for result in results), [0, 1])
            self.assertEqual(sorted(len(result.modified) for result in results), [0, 1])

    async def test_appends_from_two_processes_have_uids_of_their_own(self) -> None:
        appends = [
            account.append("INBOX", [])
            if number % 7 == 6
            else self.put(account, "INBOX", simple(number), simple(number))
            for number in range(28)
            for account in (self.here, self.there)
        ]
        results = await gatherResults(together(*appends))
        uids = [uid for result in results if isinstance(result, list) for uid in result]
        self.assertEqual(sorted(uids), list(range(1, len(uids) + 1)))
        for result in results:
            if isinstance(result, list):
                self.assertEqual(result[1], result[0] + 1)


class ExactIndexTests(StoreTestCase):
    """Random changes from three processes at once.

    Every index of every process, at every modseq it stops at, is the one state that the mailbox had at that modseq.
    """

    async def setUp(self) -> None:
        await super().setUp()
        self.random = random.Random(4711)
        self.states: dict[tuple[str, int, int], dict[int, tuple[int, Flags]]] = {}
        self.looked = 0

    def look(self, mailbox: StoreMailbox) -> None:
        index = mailbox.index
        key = (mailbox.name, index.uidvalidity, index.highest_modseq)
        now = state(index)
        self.looked += 1
        self.assertEqual(self.states.setdefault(key, now), now, key)

    async def work(self, account: StoreAccount, steps: int) -> None:
        names = ("INBOX", "Archive")
        mailboxes = {name: await account.select(name, False) for name in names}
        for mailbox in mailboxes.values():
            mailbox.watch(lambda mailbox=mailbox: self.look(mailbox))  # type: ignore[misc]
        for _ in range(steps):
            name = self.random.choice(names)
            mailbox = mailboxes[name]
            uids = list(mailbox.index.uids)
            some = sorted(self.random.sample(uids, self.random.randint(0, len(uids))))
            flags = frozenset(self.random.sample([SEEN, FLAGGED, DELETED, "a"], 2))
            mode = self.random.choice(("add", "remove", "replace"))
            try:
                match self.random.randint(0, 7):
                    case 0 | 1 | 2:
                        await self.put(account, name, simple(), simple(), flags=flags)
                    case 3 | 4:
                        await mailbox.store(some, FlagChange(mode, flags))
                    case 5:
                        await mailbox.expunge()
                    case 6:
                        await mailbox.copy(some[:3], self.random.choice(names))
                    case 7:
                        await mailbox.move(some[:3], self.random.choice(names))
            except (errors.Refused, errors.Contention):
                pass
            if self.random.random() < 0.5:
                await mailbox.refresh()
            self.look(mailbox)

    async def test_every_index_is_exact_at_every_modseq(self) -> None:
        stores: list[MailStore] = [await self.make_store() for _ in range(3)]
        await self.make_user(stores[0])
        accounts = [await store.account("ada") for store in stores]
        running: list[Deferred[None]] = together(
            *(self.work(account, 40) for account in accounts for _ in range(2))
        )
        await gatherResults(running).addErrback(lambda failure: failure.value.subFailure)
        fresh = await (await self.make_store()).account("ada")
        for name in ("INBOX", "Archive"):
            loaded = await fresh.select(name, True)
            status = await fresh.status(name)
            self.assertEqual(
                (status.messages, status.unseen, status.deleted),
                (len(loaded.index), loaded.index.unseen, loaded.index.deleted),
            )
            for account in accounts:
                mailbox = await account.select(name, True)
                self.assertEqual(state(mailbox.index), state(loaded.index))
                self.assertEqual(mailbox.index.uidnext, loaded.index.uidnext)
        self.assertGreater(len(self.states), 50)
        self.assertGreater(self.looked, 2 * len(self.states))
        findings = [f async for f in check(stores[0].mongo) if not isinstance(f, Progress)]
        self.assertEqual([finding for finding in findings if not finding.garbage], [])


class StreamTests(StoreTestCase):
    async def test_the_stream_goes_on_after_its_connection_was_lost(self) -> None:
        one, two = await self.make_store(), await self.make_store()
        here = await self.make_user(one)
        mailbox = await (await two.account("ada")).select("INBOX", False)
        # What was under way is cut off; more happens before it is back.
        for wire in list(two._stream.mongo._pool.wires):  # type: ignore[union-attr]
            wire.transport.abortConnection()
        await self.put(here, "INBOX", simple())
        await self.until(lambda: len(mailbox.index) == 1)

    async def test_all_is_looked_at_when_the_stream_cannot_be_resumed(self) -> None:
        one, two = await self.make_store(), await self.make_store()
        here = await self.make_user(one)
        mailbox = await (await two.account("ada")).select("INBOX", False)
        two._stream._token = {"_data": "82" + "00" * 20}
        for wire in list(two._stream.mongo._pool.wires):  # type: ignore[union-attr]
            wire.transport.abortConnection()
        await self.put(here, "INBOX", simple())
        await self.until(lambda: len(mailbox.index) == 1)


class RegistryTests(StoreTestCase):
    async def test_indexes_that_nobody_has_open_are_kept_within_the_budget(self) -> None:
        store = await self.make_store()
        account = await self.make_user(store)
        for name in ("a", "b", "c"):
            await account.create(name)
            await self.put(account, name, *map(simple, range(20)))
        one = await account.select("a", True)
        size = one.index.memory()
        store._registry._budget = 2 * (size + 4_000)
        await one.close()
        for name in ("b", "c"):
            await (await account.select(name, True)).close()
        self.assertEqual(sorted(opened.name for opened in store._registry), ["b", "c"])
        store._registry._budget = 0
        held = await account.select("a", True)
        await (await account.select("b", True)).close()
        self.assertEqual([opened.name for opened in store._registry], ["a"])
        await held.close()
        self.assertEqual([opened.name for opened in store._registry], [])

    async def test_an_index_that_was_kept_is_brought_up_to_date(self) -> None:
        one, two = await self.make_store(), await self.make_store()
        here, there = await self.make_user(one), await two.account("ada")
        await (await there.select("INBOX", True)).close()
        uids = await self.put(here, "INBOX", simple(), simple(), flags=[DELETED])
        await (await here.select("INBOX", False)).expunge()
        [uid] = await self.put(here, "INBOX", simple())
        mailbox = await there.select("INBOX", True)
        self.assertEqual(list(mailbox.index.uids), [uid])
        self.assertGreater(uid, uids[-1])

    async def test_a_watcher_that_fails_harms_nobody_else(self) -> None:
        store = await self.make_store()
        account = await self.make_user(store)
        heard: list[int] = []
        mailbox = await account.select("INBOX", False)
        mailbox.watch(lambda: heard.append(1 // 0))
        mailbox.watch(lambda: heard.append(1))
        self.assertEqual(await self.put(account, "INBOX", simple()), [1])
        self.assertEqual((heard, list(mailbox.index.uids)), ([1], [1]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_a_mailbox_that_is_being_opened_is_not_forgotten(self) -> None:
        store = await self.make_store()
        account = await self.make_user(store)
        store._registry._budget = 0
        opening = together(*(account.select("INBOX", True) for _ in range(5)))
        await (await account.select("Sent", True)).close()
        mailboxes = await gatherResults(opening)
        self.assertEqual(len({id(mailbox.index) for mailbox in mailboxes}), 1)
        self.assertEqual([opened.sessions for opened in store._registry], [5])

    async def test_a_refresh_that_is_overtaken_adds_nothing_twice(self) -> None:
        store = await self.make_store()
        account = await self.make_user(store)
        mailbox = await account.select("INBOX", False)
        opened = mailbox._opened
        for _ in range(10):
            work = [self.put(account, "INBOX", simple()), opened.refresh(), opened.refresh()]
            await gatherResults(together(*work, self.put(account, "INBOX", simple())))
        self.assertEqual(len(mailbox.index), 20)
        # What has been told is not told again.
        box = opened.box
        opened._apply(Changes(1, 1, 1), ObjectId())
        self.assertEqual(opened.box, box)
        self.assertEqual(len(mailbox.index), 20)
