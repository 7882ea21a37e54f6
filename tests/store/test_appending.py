"""Appends of one user that wait for each other: what is known of their messages is bounded, and they are made together."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from bson.objectid import ObjectId
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from tests.store.base import StoreTestCase, simple, together
from twisted_duck import errors, prompt
from twisted_duck.limits import Limits
from twisted_duck.store import changes, incoming
from twisted_duck.store.arrival import THREAD_FROM, known
from twisted_duck.store.changes import Done
from twisted_duck.store.coming import Coming
from twisted_duck.store.connection import Mongo, Times
from twisted_duck.store.driver import Document
from twisted_duck.store.failures import CommandFailed
from twisted_duck.store.opened import Registry
from twisted_duck.store.remembered import Memory
from twisted_duck.store.rope import BLOB_FROM
from twisted_duck.store.writers import Writer
from twisted_duck.values import DELETED, AppendMessage, Change, FlagChange, UIDSet


class RoomTests(StoreTestCase):
    #: As much as two of the messages below have.
    limits = Limits(appending=2 * known(len(simple())))

    def count(self) -> list[int]:
        """The messages that are looked at from now on."""
        looked_at: list[int] = []
        look_at = incoming._look_at

        async def counted(mongo: Mongo, messages: Sequence[AppendMessage], *more: Any) -> Any:
            looked_at.append(len(messages))
            return await look_at(mongo, messages, *more)

        self.patch(incoming, "_look_at", counted)
        return looked_at

    async def test_others_are_looked_at_when_some_are_stored(self) -> None:
        store = await self.make_store(limits=self.limits)
        ada = await self.make_user(store)
        sessions = [await store.account("ada") for _ in range(3)]
        looked_at = self.count()
        async with ada._writer.turn():
            begun = together(
                *(self.put(each, "INBOX", simple(n)) for n in range(4) for each in sessions)
            )
            self.assertEqual(sum(looked_at), 2)
        uids = await gatherResults(begun)
        self.assertEqual(sorted(uid for [uid] in uids), list(range(1, 13)))

    async def test_a_command_of_more_than_there_is_room_for_is_alone(self) -> None:
        store = await self.make_store(limits=self.limits)
        ada = await self.make_user(store)
        looked_at = self.count()
        async with ada._writer.turn():
            begun = together(
                self.put(ada, "INBOX", *map(simple, range(5))),
                self.put(await store.account("ada"), "INBOX", simple()),
            )
            self.assertEqual(looked_at, [5])
        self.assertEqual(await gatherResults(begun), [[1, 2, 3, 4, 5], [6]])

    async def test_one_that_fails_leaves_its_room_to_others(self) -> None:
        store = await self.make_store(limits=self.limits)
        ada = await self.make_user(store)
        for _ in range(3):
            with self.assertRaises(errors.TryCreate):
                await self.put(ada, "missing", simple())
        many = frozenset(f"k{n}" for n in range(self.limits.flags_per_message + 1))
        for _ in range(3):
            with self.assertRaises(errors.TooMany):
                await self.put(ada, "INBOX", simple(), flags=many)
        self.assertEqual(await self.put(ada, "INBOX", simple()), [1])

    async def test_where_those_before_them_fail_all_do(self) -> None:
        store = await self.make_store(limits=self.limits, times=Times(turn=0.2))
        ada = await self.make_user(store)
        sessions = [await store.account("ada") for _ in range(3)]
        async with ada._writer.turn():
            begun = together(*(self.put(each, "INBOX", simple()) for each in sessions))
            outcomes = await DeferredList(begun, consumeErrors=True)
        for done, failure in outcomes:
            self.assertFalse(done)
            failure.trap(errors.Unavailable)
        # Whoever comes while those who waited are told fails with them.
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        self.assertEqual(await self.put(ada, "INBOX", simple()), [1])


class OverlapTests(StoreTestCase):
    """A short message that comes alone is looked at while the database makes room for it."""

    async def setUp(self) -> None:
        await super().setUp()
        self.store = await self.make_store()
        self.ada = await self.make_user(self.store)
        #: Commands, when the first of them have gone out, and when messages are looked at.
        self.events: list[str] = []
        #: What fails, once each.
        self.failing: dict[str, Exception] = {}
        send, look_at, write = self.store.mongo.send, incoming._look_at, prompt.write

        async def sent(command: Document, *where: Any, **how: Any) -> Document:
            self.event(" ".join(map(str, next(iter(command.items())))))
            return await send(command, *where, **how)

        async def looked(*arguments: Any) -> Any:
            self.event("look")
            return await look_at(*arguments)

        def written(transport: Any, data: bytes) -> None:
            if b"findAndModify" in data:
                self.event("written")
            write(transport, data)

        self.patch(prompt, "write", written)
        self.patch(self.store.mongo, "send", sent)
        self.patch(incoming, "_look_at", looked)

    def event(self, name: str) -> None:
        if name.startswith("getMore"):
            return
        self.events.append(name)
        error = self.failing.pop(name, None)
        if error is not None:
            raise error

    TAKEN: ClassVar = ["findAndModify mailboxes", "findAndModify users", "written"]
    WRITTEN: ClassVar = ["insert bodies", "insert messages", "commitTransaction 1"]

    async def test_one_that_is_short_and_alone(self) -> None:
        self.assertEqual(await self.put(self.ada, "INBOX", simple()), [1])
        self.assertEqual(self.events, [*self.TAKEN, "look", *self.WRITTEN])

    async def test_whom_it_answers_is_asked_behind_that(self) -> None:
        await self.put(self.ada, "INBOX", b"Message-ID: <a@b>\r\nSubject: x\r\n\r\n")
        # Whoever is answered goes on before the writer does.
        await self.pause(0)
        self.events.clear()
        answer = b"Message-ID: <c@d>\r\nIn-Reply-To: <a@b>\r\nSubject: Re: x\r\n\r\n"
        await self.put(self.ada, "INBOX", answer)
        self.assertEqual(self.events, [*self.TAKEN, "look", "find bodies", *self.WRITTEN])
        threads = {row.get("thread", row["body"]) for row in await self.messages()}
        self.assertEqual(len(threads), 1)

    async def messages(self) -> list[Document]:
        return await self.store.mongo.find("messages", {"user": self.ada._user})

    def test_what_is_looked_at_meanwhile_has_no_blobs(self) -> None:
        # These would be written while the mailbox is locked.
        self.assertLess(THREAD_FROM, BLOB_FROM)

    async def test_one_that_is_long_is_looked_at_before(self) -> None:
        long = simple() + b"x" * THREAD_FROM
        self.assertEqual(await self.put(self.ada, "INBOX", long), [1])
        self.assertEqual(self.events, ["look", *self.TAKEN, *self.WRITTEN])

    async def test_those_that_come_while_others_are_stored_are_looked_at_before(self) -> None:
        begun = together(*(self.put(self.ada, "INBOX", simple(n)) for n in range(3)))
        self.assertEqual(await gatherResults(begun), [[1], [2], [3]])
        self.assertEqual(self.events[:3], self.TAKEN)
        self.assertEqual(self.events.count("look"), 3)
        again = self.events.index(self.TAKEN[0], 3)
        self.assertNotIn("look", self.events[again:])

    async def test_one_that_the_mailbox_or_the_user_may_not_have(self) -> None:
        with self.assertRaises(errors.TryCreate):
            await self.put(self.ada, "missing", simple())
        await self.store.users.set_quota("ada", 10)
        with self.assertRaises(errors.OverQuota):
            await self.put(self.ada, "INBOX", simple())
        await self.store.users.set_quota("ada", len(simple()))
        self.assertEqual(await self.put(self.ada, "INBOX", simple()), [1])
        with self.assertRaises(errors.OverQuota):
            await self.put(self.ada, "INBOX", simple())
        await self.store.users.set_quota("ada", None)
        self.assertEqual(await self.put(self.ada, "INBOX", simple()), [2])
        self.assertEqual((await self.ada.quota()).used, 2 * len(simple()))

    async def test_what_is_given_back_needs_no_room(self) -> None:
        await self.put(self.ada, "INBOX", *map(simple, range(6)))
        await self.store.users.set_quota("ada", 1)
        mailbox = await self.ada.select("INBOX", False)
        await mailbox.move([1], "Archive")
        await mailbox.store([2], FlagChange("add", frozenset({DELETED})))
        self.assertEqual(await mailbox.expunge(), UIDSet.of([2]))
        self.assertEqual(
            (await self.ada.quota()).used, sum(len(simple(n)) for n in (0, 2, 3, 4, 5))
        )
        await self.store.users.set_quota("ada", 0)
        with self.assertRaises(errors.OverQuota):
            await self.put(self.ada, "INBOX", simple())

    async def test_one_that_breaks_what_looks_at_it(self) -> None:
        self.failing["look"] = RuntimeError("broken")
        with self.assertRaisesRegex(RuntimeError, "broken"):
            await self.put(self.ada, "INBOX", simple())
        self.assertEqual(self.events, [*self.TAKEN, "look", "abortTransaction 1"])
        self.assertEqual((await self.ada.quota()).used, 0)
        self.assertEqual(await self.put(self.ada, "INBOX", simple()), [1])

    async def test_it_is_looked_at_once_however_often_the_change_is_tried(self) -> None:
        self.failing["insert bodies"] = CommandFailed(
            "insert",
            {"code": 112, "errmsg": "WriteConflict", "errorLabels": ["TransientTransactionError"]},
        )
        self.assertEqual(await self.put(self.ada, "INBOX", simple()), [1])
        self.assertEqual(self.events.count("look"), 1)
        self.assertEqual(self.events.count("insert bodies"), 2)


class Turns(Clock):
    """A clock whose turns are a reactor's: what is called later during one has to wait for the next."""

    def turn(self, seconds: float = 0) -> None:
        self.rightNow += seconds
        due = [call for call in self.calls if call.getTime() <= self.rightNow]
        for call in due:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class GatheringTests(SynchronousTestCase):
    """Appends that come one after another are made together."""

    def setUp(self) -> None:
        self.clock = Turns()
        mongo: Any = SimpleNamespace(reactor=self.clock, times=Times())
        self.writer = Writer(mongo, Registry(mongo, 0, Memory(0)), ObjectId(), Limits())
        #: Messages of each transaction.
        self.made: list[int] = []
        #: Transactions under way.
        self.under_way: list[Deferred[None]] = []
        self.done: list[Deferred[Any]] = []
        self.patch(changes, "append", self.append)

    async def append(
        self, mongo: object, user: object, path: str, coming: Sequence[Coming]
    ) -> Done:
        first = 1 + sum(self.made)
        count = sum(each.sums.messages for each in coming)
        self.made.append(count)
        waiting: Deferred[None] = Deferred()
        self.under_way.append(waiting)
        await waiting
        mailbox = {"_id": path, "uidvalidity": 1}
        return Done(mailbox, [Change(first + n, 1, frozenset()) for n in range(count)])

    def put(self, messages: int = 1) -> None:
        some: Any = SimpleNamespace(flags=frozenset(), size=1, weight=1)
        self.done.append(self.writer.append("INBOX", Coming.ready([some] * messages)))

    def commit(self) -> None:
        self.under_way.pop().callback(None)

    def test_one_that_is_alone_waits_for_nobody(self) -> None:
        self.put()
        self.assertEqual(self.made, [1])
        self.put(40)
        self.commit()
        self.assertEqual(self.made, [1, 40])
        self.commit()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_while_each_turn_brings_another_they_are_gathered(self) -> None:
        for _ in range(3):
            self.put()
        self.commit()
        self.assertEqual(self.made, [1])
        for _ in range(5):
            self.put()
            self.clock.turn()
            self.assertEqual(self.made, [1])
            self.assertFalse(self.writer.is_idle)
        self.clock.turn()
        self.assertEqual(self.made, [1, 7])
        self.commit()
        self.assertEqual(
            [self.successResultOf(each).first for each in self.done], list(range(1, 9))
        )
        self.assertTrue(self.writer.is_idle)

    def test_enough_are_enough(self) -> None:
        for _ in range(3):
            self.put()
        self.commit()
        for _ in range(62):
            self.put()
            self.clock.turn()
        self.assertEqual(self.made, [1, 32])
        self.commit()
        self.assertEqual(self.made, [1, 32, 32])

    def test_of_those_that_come_back_half_are_made_while_the_others_are_looked_at(self) -> None:
        for _ in range(20):
            self.put()
        for _ in range(7):
            back = self.made[-1]
            self.commit()
            self.clock.turn()
            for _ in range(back):
                self.put()
        self.assertEqual(self.made, [1, 19, 1, 10, 10, 10, 10, 10])

    def test_as_many_as_last_time_wait_for_no_more(self) -> None:
        for _ in range(5):
            self.put()
        self.commit()
        self.clock.turn()
        for _ in range(4):
            self.put()
        self.commit()
        self.assertEqual(self.made, [1, 4, 4])
        self.put()
        self.commit()
        self.assertEqual(self.made, [1, 4, 4, 1])

    def test_where_turns_take_long_they_do_not_wait_for_many(self) -> None:
        for _ in range(3):
            self.put()
        self.commit()
        self.put()
        self.clock.turn(0.05)
        self.assertEqual(self.made, [1, 3])
