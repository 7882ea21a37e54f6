"""Transactions take effect as a whole and once, or not at all, whatever gets in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, cast

from bson.binary import Binary
from pymongo.errors import ConnectionFailure
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from tests.store.base import StoreTestCase, simple, together
from twisted_duck import errors
from twisted_duck.store.connection import Mongo, Times
from twisted_duck.store.driver import Document, Wire
from twisted_duck.store.failures import CommandFailed
from twisted_duck.store.transaction import Transaction


class TransactionTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.store = await self.make_store()
        self.mongo = self.store.mongo

    async def count(self, mongo: Mongo) -> int:
        async def work(transaction: Transaction) -> int:
            found = await transaction.change(
                "schema", {"_id": "schema"}, {"$inc": {"n": 1}}, fields={"n": 1}
            )
            assert found is not None
            return cast(int, found["n"])

        return await mongo.transaction(work)

    async def test_conflicts_are_tried_again(self) -> None:
        other = (await self.make_store()).mongo
        counts = await gatherResults(
            together(*(self.count(mongo) for mongo in (self.mongo, other) for _ in range(20)))
        )
        self.assertEqual(sorted(counts), list(range(1, 41)))

    async def test_conflicts_without_end_are_contention(self) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.change("schema", {"_id": "schema"}, {"$inc": {"n": 1}})
            # Somebody else writes the same document, in vain: this one was first.
            impatient = Mongo(self.uri, reactor, times=Times(1.0, 0.1, 1.0, 1.0))
            await impatient.open()
            try:
                with self.assertRaises(errors.Contention):
                    await self.count(impatient)
            finally:
                await impatient.close()

        await self.mongo.transaction(work)

    async def test_what_needs_nothing_of_each_other_is_sent_at_once_and_done_in_order(self) -> None:
        events: list[str] = []
        self.mongo.on_command = lambda database, command: events.append("sent")

        async def write(transaction: Transaction, number: int) -> int:
            await transaction.insert("schema", [{"_id": f"x{number}"}])
            events.append("answered")
            return number

        async def work(transaction: Transaction) -> list[int]:
            return await transaction.at_once(*(write(transaction, number) for number in range(5)))

        self.assertEqual(await self.mongo.transaction(work), [0, 1, 2, 3, 4])
        self.assertEqual(events[:10], ["sent"] * 5 + ["answered"] * 5)

    async def test_who_cancels_one_of_several_cancels_all(self) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.at_once(*map(self.never, range(3)))

        await self.cancelled(work, 3)

    async def test_who_cancels_what_has_failed_in_part_cancels_the_rest(self) -> None:
        failures = [
            errors.TryCreate("no"),
            # That would be tried again.
            CommandFailed("find", {"code": 112, "errorLabels": ["TransientTransactionError"]}),
        ]
        for failure in failures:

            async def fail(transaction: Transaction, failure: Exception = failure) -> None:
                await transaction.find("schema", {})
                raise failure

            async def work(transaction: Transaction) -> None:
                await transaction.at_once(self.never(0), self.never(1), fail(transaction))

            await self.cancelled(work, 2)

    async def never(self, number: int) -> None:
        self.started.append(Deferred())
        try:
            await self.started[-1]
        finally:
            self.ended.append(number)

    async def cancelled(self, work: Callable[[Transaction], Awaitable[None]], endless: int) -> None:
        """Run it, and cancel it when so many `never` are under way, all of which are to end."""
        self.started: list[Deferred[None]] = []
        self.ended: list[int] = []
        changing = Deferred.fromCoroutine(self.mongo.transaction(work))
        await self.until(lambda: len(self.started) == endless)
        await self.pause(0.1)
        changing.cancel()
        await self.assertFailure(changing, CancelledError)
        self.assertEqual(sorted(self.ended), list(range(endless)))

    async def test_sessions_are_used_again_however_a_change_ends(self) -> None:
        """The server has room for a million, for half an hour."""
        sessions: set[bytes] = set()

        def sent(_: str, command: Document) -> None:
            if "lsid" in command:
                sessions.add(command["lsid"]["id"])

        async def refuse(transaction: Transaction) -> None:
            await transaction.find("schema", {})
            raise errors.Cannot("no")

        async def fail(transaction: Transaction) -> None:
            await transaction.insert("schema", [{"_id": "schema"}])

        async def nothing(transaction: Transaction) -> None:
            raise errors.Cannot("no")

        await self.count(self.mongo)
        self.mongo.on_command = sent
        for work in (refuse, fail, nothing):
            for _ in range(5):
                with self.assertRaises(errors.DuckError):
                    await self.mongo.transaction(work)
                # What is done in the background is done.
                await self.until(lambda: not self.mongo._transactions.leaving)
        await self.count(self.mongo)
        self.assertEqual(len(sessions), 1)

    async def test_what_ends_a_transaction_does_not_come_before_it(self) -> None:
        """It has not been looked at when it is cancelled: an end that was quicker would end nothing."""
        sent: list[tuple[str, Wire]] = []
        ask = Wire.ask

        def asked(wire: Wire, command: Document, end: float) -> Deferred[Document]:
            sent.append((next(iter(command)), wire))
            return ask(wire, command, end)

        self.patch(Wire, "ask", asked)

        async def work(transaction: Transaction) -> None:
            await transaction.change("schema", {"_id": "schema"}, {"$inc": {"n": 1}})

        for _ in range(20):
            sent.clear()
            changing = Deferred.fromCoroutine(self.mongo.transaction(work))
            await self.until(lambda: bool(sent))
            changing.cancel()
            await self.assertFailure(changing, CancelledError)
            # At once, and not when somebody has found a transaction that nobody ended.
            await self.count(self.mongo)
            names, wires = zip(*sent[:2], strict=True)
            self.assertEqual(names, ("findAndModify", "abortTransaction"))
            self.assertIs(wires[0], wires[1])

    async def test_a_late_command_begins_nothing_that_nobody_ends(self) -> None:
        """Its connection is held up, so that it is given up before the server has looked at it."""
        mongo = Mongo(self.uri, reactor)
        await mongo.open()
        self.addCleanup(mongo.close)
        wire = await mongo.wire()
        self.patch(mongo, "times", Times(command=0.3))
        held = self.hold_up(wire, 1.0)
        sessions: list[Binary] = []

        async def work(transaction: Transaction) -> None:
            transaction.wire = wire
            sessions.append(transaction.lease.id["id"])
            await transaction.change("schema", {"_id": "schema"}, {"$inc": {"n": 1}})

        with self.assertRaises(errors.Unavailable):
            await mongo.transaction(work)
        await held
        await self.until(lambda: not mongo._transactions.leaving)
        await self.count(self.mongo)
        open_ones = [
            {"$currentOp": {"allUsers": False, "idleSessions": True}},
            {"$match": {"transaction": {"$exists": True}, "lsid.id": {"$in": sessions}}},
        ]
        found = await self.mongo.send(
            {"aggregate": 1, "pipeline": open_ones, "cursor": {}}, "admin"
        )
        self.assertEqual(found["cursor"]["firstBatch"], [])

    def hold_up(self, wire: Wire, seconds: float) -> Deferred[Document]:
        """Have the server at something else for so long on a connection."""
        sleep = {"body": f"function() {{ sleep({seconds * 1000}) }}", "args": [], "lang": "js"}
        pipeline = [{"$limit": 1}, {"$project": {"x": {"$function": sleep}}}]
        command = {"aggregate": "schema", "pipeline": pipeline, "cursor": {}}
        return wire.ask({**command, "$db": self.mongo.target.database}, inf)

    async def test_of_several_that_fail_at_once_the_first_is_told(self) -> None:
        async def fail(transaction: Transaction, error: Exception) -> None:
            await transaction.insert("schema", [{"_id": str(error)}])
            raise error

        async def work(transaction: Transaction) -> None:
            await transaction.at_once(
                fail(transaction, errors.Cannot("one")), fail(transaction, errors.TryCreate("two"))
            )

        with self.assertRaises(errors.Cannot):
            await self.mongo.transaction(work)
        self.assertEqual(await self.mongo.find("schema", {"_id": {"$in": ["one", "two"]}}), [])
        await self.count(self.mongo)

    async def test_what_fails_behind_another_failure_is_not_what_is_told(self) -> None:
        sent: list[str] = []

        async def on_and_on(transaction: Transaction) -> None:
            while True:
                await transaction.find("schema", {"_id": "schema"})

        async def work(transaction: Transaction) -> None:
            twice = [{"_id": "schema"}]
            self.mongo.on_command = lambda database, command: sent.append(next(iter(command)))
            # The server knows of no transaction any more when it comes to the second one's.
            await transaction.at_once(
                on_and_on(transaction), transaction.insert("schema", twice), on_and_on(transaction)
            )

        with self.assertRaises(errors.AlreadyExists):
            await self.mongo.transaction(work)
        self.assertEqual(sent, ["find", "insert", "find", "find", "killSessions"])
        await self.count(self.mongo)

    async def test_who_is_at_work_beside_what_fails_is_stopped(self) -> None:
        sent: list[str] = []

        async def fail(transaction: Transaction) -> None:
            await transaction.find("schema", {"_id": "schema"})
            raise errors.Cannot("no")

        async def write(transaction: Transaction, number: int) -> None:
            while True:
                await transaction.insert("schema", [{"_id": f"{number} {len(sent)}"}])

        async def work(transaction: Transaction) -> None:
            self.mongo.on_command = lambda database, command: sent.append(next(iter(command)))
            await transaction.at_once(
                fail(transaction),
                transaction.at_once(write(transaction, 1), write(transaction, 2)),
            )

        with self.assertRaises(errors.Cannot):
            await self.mongo.transaction(work)
        self.assertEqual(sent, ["find", "insert", "insert", "abortTransaction"])
        self.assertEqual(await self.mongo.find("schema", {"_id": {"$regex": " "}}), [])

    async def test_a_failure_undoes_all(self) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.insert("schema", [{"_id": "x"}])
            raise errors.Cannot("no")

        with self.assertRaises(errors.Cannot):
            await self.mongo.transaction(work)
        self.assertIsNone(await self.mongo.find_one("schema", {"_id": "x"}))
        await self.count(self.mongo)

    async def test_a_commit_whose_reply_was_lost_is_settled(self) -> None:
        account = await self.make_user(self.store)
        pool = self.mongo._pool
        assert pool is not None
        commits: list[int] = []

        def lose_the_reply(database: str, command: dict[str, Any]) -> None:
            if "commitTransaction" in command and not commits:
                commits.append(1)
                for wire in pool.wires:
                    wire._answered = lambda *reply, wire=wire: wire.transport.abortConnection()

        self.mongo.on_command = lose_the_reply
        [uid] = await self.put(account, "INBOX", simple())
        self.mongo.on_command = None
        self.assertEqual((uid, commits), (1, [1]))
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.uidnext), (1, 2))

    def answer_commits(self, *answers: Exception) -> list[Document]:
        """The first ones; further commits reach the server.  All of them, as they are asked for."""
        asked: list[Document] = []
        send = self.mongo.send

        async def answer(command: Document, *more: Any, **options: Any) -> Document:
            if "commitTransaction" in command:
                asked.append(command)
                if len(asked) <= len(answers):
                    raise answers[len(asked) - 1]
            return await send(command, *more, **options)

        self.patch(self.mongo, "send", answer)
        return asked

    async def test_no_answer_to_a_commit_is_final_before_a_majority_knows_of_it(self) -> None:
        account = await self.make_user(self.store)
        unmet = {"code": 91, "errmsg": "the primary is shutting down"}
        asked = self.answer_commits(
            CommandFailed("commitTransaction", {"code": 251, "writeConcernError": unmet}),
            CommandFailed("commitTransaction", {"ok": 1, "code": 100, "writeConcernError": unmet}),
        )
        self.assertEqual(await self.put(account, "INBOX", simple()), [1])
        # It was one transaction: another would have another number.
        self.assertEqual(len(asked), 3)
        self.assertEqual(len({command["txnNumber"] for command in asked}), 1)

    async def test_a_transaction_that_the_new_primary_does_not_know_is_run_again(self) -> None:
        account = await self.make_user(self.store)
        asked = self.answer_commits(CommandFailed("commitTransaction", {"code": 251}))
        self.assertEqual(await self.put(account, "INBOX", simple()), [1])
        self.assertEqual(len({command["txnNumber"] for command in asked}), 2)

    async def test_a_commit_that_can_not_be_settled_is_no_failure_that_could_be_told(self) -> None:
        account = await self.make_user(self.store)
        self.answer_commits(*(ConnectionFailure("lost") for _ in range(10_000)))
        self.mongo.times = Times(settle=0.1)
        with self.assertRaises(errors.Unsettled):
            await self.put(account, "INBOX", simple())

    async def test_a_commit_that_broke_is_no_failure_that_could_be_told_either(self) -> None:
        account = await self.make_user(self.store)
        self.answer_commits(KeyError("a bug"))
        with self.assertRaises(errors.Unsettled):
            await self.put(account, "INBOX", simple())
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    async def test_a_commit_that_nobody_wants_any_more_has_not_broken(self) -> None:
        def give_up(database: str, command: Document) -> None:
            if "commitTransaction" in command:
                reactor.callLater(0, counting.cancel)  # type: ignore[attr-defined]

        self.mongo.on_command = give_up
        counting = Deferred.fromCoroutine(self.count(self.mongo))
        with self.assertRaises(CancelledError):
            await counting

    async def test_a_change_under_way_is_made_before_the_store_is_closed(self) -> None:
        account = await self.make_user(self.store)
        committing: Deferred[None] = Deferred()

        def told(database: str, command: Document) -> None:
            if "commitTransaction" in command:
                committing.callback(None)

        self.mongo.on_command = told
        putting = Deferred.fromCoroutine(self.put(account, "INBOX", simple()))
        await committing
        closing = [Deferred.fromCoroutine(self.store.close()) for _ in range(2)]
        self.assertTrue(self.mongo.is_open)
        with self.assertRaises(errors.Unavailable):
            await self.count(self.mongo)
        self.assertEqual(await putting, [1])
        await gatherResults(closing)
        self.assertFalse(self.mongo.is_open)

    async def test_a_transaction_that_lost_its_connection_is_run_again(self) -> None:
        account = await self.make_user(self.store)
        pool = self.mongo._pool
        assert pool is not None
        for number in range(1, 7):
            sent: list[str] = []

            def cut_off(
                database: str, command: dict[str, Any], sent: list[str] = sent, at: int = number
            ) -> None:
                sent.append(next(iter(command)))
                if len(sent) == at:
                    for wire in list(pool.wires):
                        wire.transport.abortConnection()

            self.mongo.on_command = cut_off
            [uid] = await self.put(account, "INBOX", simple())
            self.assertEqual(uid, number)
        self.mongo.on_command = None
        self.assertEqual((await account.status("INBOX")).messages, 6)

    async def test_errors_never_carry_what_was_sent(self) -> None:
        with self.assertRaises(errors.ServerError) as caught:
            await self.mongo.find("messages", {"$nonsense": "secret"})
        self.assertNotIn("nonsense", str(caught.exception))

    async def test_what_bson_cannot_hold_is_a_server_error(self) -> None:
        with self.assertRaises(errors.ServerError):
            await self.mongo.find("messages", {"user": object()})
