"""How the store bears a database that is away, slow, wrong, or changed by somebody else at the same time."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from math import inf
from socket import socket
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock
from urllib.parse import quote

import bson
from bson.errors import BSONError
from bson.objectid import ObjectId
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymongo.errors import ConnectionFailure
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock, deferLater
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from txmongo.connection import ConnectionPool, _Connection
from txmongo.protocol import Msg

from tests.store.base import StoreTestCase, simple, together
from tests.store.server import OwnServer
from twisted_duck import errors
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.store import schema
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.connection import Mongo, Times
from twisted_duck.store.driver import Document, Pool, Wire
from twisted_duck.store.failures import CommandFailed
from twisted_duck.store.schema import MESSAGES
from twisted_duck.store.store import MailStore
from twisted_duck.store.transaction import Transaction
from twisted_duck.store.uri import BadURI, parse
from twisted_duck.values import AppendMessage

QUICK = Times(command=1.0, transaction=1.0, settle=4.0, turn=4.0, closing=0.5)


class URITests(SynchronousTestCase):
    def test_what_is_understood(self) -> None:
        target = parse("mongodb://ada:se%2Fcret@a.example,b.example:27018/mail?replicaSet=rs0&w=1")
        self.assertEqual(target.hosts, (("a.example", 27017), ("b.example", 27018)))
        self.assertEqual((target.database, target.auth_database), ("mail", "mail"))
        self.assertEqual((target.username, target.password), ("ada", "se/cret"))
        self.assertEqual(
            target.bare_uri, "mongodb://a.example:27017,b.example:27018/?replicaSet=rs0"
        )
        self.assertNotIn("cret", repr(target) + target.address)

    def test_defaults(self) -> None:
        target = parse("mongodb://ada:x@localhost")
        self.assertEqual((target.database, target.auth_database), ("duckmail", "admin"))
        self.assertEqual(parse("mongodb://[::1]:1/a", "b").database, "b")
        self.assertEqual(parse("mongodb://[::1]:1/").bare_uri, "mongodb://[::1]:1/")
        self.assertEqual(parse("mongodb://h/mail?authSource=users").auth_database, "users")

    def test_what_can_not_be_done_is_refused(self) -> None:
        for uri in (
            "nonsense",
            "http://localhost/",
            "mongodb://",
            "mongodb://%2Ftmp%2Fmongodb.sock/",
            "mongodb://ada@localhost/",
            "mongodb://localhost/?readPreference=secondary",
            "mongodb://localhost/?readPreference=primary",
            "mongodb://localhost/?tlsAllowInvalidCertificates=true&tls=true",
            "mongodb://localhost/?compressors=zlib",
            "mongodb://ada:secret@localhost/?authMechanism=SCRAM-SHA-256",
            "mongodb://ada:secret@localhost:99999/",
        ):
            error = self.assertRaises(BadURI, parse, uri)
            self.assertNotIn("\n", str(error))
            self.assertNotIn("secret", str(error))


class WireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.made: list[_Connection] = []
        self.patch(ConnectionPool, "__init__", lambda *_, **__: None)
        self.patch(ConnectionPool, "getprotocols", lambda _: self.made)
        self.pool = Pool(parse("mongodb://localhost/"), 1, self.clock)

    def wire(self, transport: Any = None) -> Wire:
        """A connection of the pool."""
        wire = Wire()
        wire.factory = SimpleNamespace(pool=self.pool, setInstance=lambda *_: None)
        wire.transport = transport or StringTransport()
        self.pool.wires.add(wire)
        return wire

    def ask(self, wire: Wire, seconds: float) -> Deferred[Document]:
        return Deferred.fromCoroutine(self.pool.send({"ping": 1}, seconds, wire))

    def reply(self, number: int, body: Document | None = None) -> bytes:
        message = Msg(response_to=number, body=bson.encode(body or {"ok": 1.0}))
        encoded: bytes = message.encode(1000 + number)
        return encoded

    def test_replies_in_any_pieces(self) -> None:
        stream = b"".join(self.reply(number, {"x": "y" * 100 * number}) for number in (1, 3, 2))
        for size in (1, 7, 100, len(stream)):
            wire = self.wire()
            asked = [wire.ask({"ping": 1}, inf) for _ in range(3)]
            for at in range(0, len(stream), size):
                wire.dataReceived(stream[at : at + size])
            lengths = [len(self.successResultOf(each)["x"]) for each in asked]
            self.assertEqual(lengths, [100, 200, 300])
            self.assertEqual(wire.busy, 0)

    def test_a_reply_that_makes_no_sense_is_the_failure_of_who_waits_for_it(self) -> None:
        wire = self.wire()
        broken, whole = (wire.ask({"ping": 1}, inf) for _ in range(2))
        wire.dataReceived(self.reply(1)[:-1] + b"x" + self.reply(2))
        self.failureResultOf(broken, BSONError)
        self.assertEqual(self.successResultOf(whole), {"ok": 1.0})

    def test_what_is_lost_with_the_connection_fails(self) -> None:
        wire = self.wire()
        asked = [self.ask(wire, 1.0) for _ in range(2)]
        wire.connectionLost(Failure(ConnectionLost()))
        for each in asked:
            self.failureResultOf(each, ConnectionFailure)

    def test_what_is_sent_together_is_one_piece(self) -> None:
        reactor: Any = MemoryReactorClock()
        pieces: list[bytes] = []
        transport = Server(socket(), Wire(), ("127.0.0.1", 1), cast(Any, None), 0, reactor)
        self.addCleanup(transport.socket.close)
        self.patch(transport, "writeSomeData", lambda data: pieces.append(bytes(data)) or len(data))
        wire = self.wire(transport)
        for number in range(3):
            wire.ask({"ping": number}, inf)
        self.assertEqual(len(pieces), 3)
        with wire.together():
            for number in range(3):
                wire.ask({"ping": number}, inf)
        self.assertEqual(list(map(len, pieces[3:])), [sum(map(len, pieces[:3]))])

    def test_a_piece_that_is_part_of_another_goes_out_with_that_and_in_its_place(self) -> None:
        wire = self.wire()
        with wire.together():
            wire.ask({"ping": 1}, inf)
            with wire.together():
                wire.ask({"ping": 2}, inf)
            self.assertEqual(wire.transport.value(), b"")
            wire.ask({"ping": 3}, inf)
        self.assertEqual(self.pings(wire), [1, 2, 3])

    def pings(self, wire: Wire) -> list[int]:
        """What was sent since it was last asked."""
        sent = wire.transport.value()
        wire.transport.clear()
        found = []
        while sent:
            size = int.from_bytes(sent[:4], "little")
            found.append(bson.decode(sent[21:size])["ping"])
            sent = sent[size:]
        return found

    def test_what_waits_for_others_of_its_piece_may_be_handed_on_before(self) -> None:
        wire = self.wire()
        with wire.together():
            wire.hand_on()
            wire.ask({"ping": 1}, inf)
            with wire.together():
                wire.ask({"ping": 2}, inf)
                self.assertEqual(self.pings(wire), [])
                wire.hand_on()
                self.assertEqual(self.pings(wire), [1, 2])
                wire.ask({"ping": 3}, inf)
            self.assertEqual(self.pings(wire), [])
        self.assertEqual(self.pings(wire), [3])
        wire.hand_on()
        wire.ask({"ping": 4}, inf)
        self.assertEqual(self.pings(wire), [4])

    def test_a_piece_that_can_not_be_sent_does_not_keep_the_next_ones(self) -> None:
        wire = self.wire()
        write = wire.transport.write
        wire.transport.write = Mock(side_effect=MemoryError)
        with self.assertRaises(MemoryError), wire.together():
            wire.ask({"ping": 1}, inf)
        wire.transport.write = write
        with wire.together():
            wire.ask({"ping": 2}, inf)
        wire.ask({"ping": 3}, inf)
        self.assertEqual(self.pings(wire), [2, 3])

    def test_nothing_is_sent_over_a_connection_that_is_lost(self) -> None:
        wire = self.wire()
        wire.is_lost = True
        with self.assertRaises(ConnectionFailure), wire.together():
            wire.ask({"ping": 1}, inf)
        self.assertEqual(wire.transport.value(), b"")

    def test_the_connection_with_the_least_to_do_is_chosen_and_none_that_is_lost(self) -> None:
        self.made = [_Connection(None, {"nodelist": []}, number, 1, 1) for number in range(3)]
        for each in self.made:
            each.instance = self.wire()

        def chosen() -> Deferred[Wire]:
            return Deferred.fromCoroutine(self.pool.wire(1.0))

        one, two, three = (each.instance for each in self.made)
        for wire, busy in ((one, 3), (two, 1), (three, 2)):
            for _ in range(busy):
                wire.ask({"ping": 1}, inf)
        self.assertIs(self.successResultOf(chosen()), two)
        two.is_lost = True
        self.assertIs(self.successResultOf(chosen()), three)
        one.is_lost = three.is_lost = True
        self.failureResultOf(chosen(), ConnectionFailure)

    def test_a_connection_that_owes_an_answer_is_chosen_last_though_nobody_waits(self) -> None:
        self.made = [_Connection(None, {"nodelist": []}, number, 1, 1) for number in range(2)]
        for each in self.made:
            each.instance = self.wire()
        silent, other = (each.instance for each in self.made)
        late = self.ask(silent, 1.0)
        self.clock.advance(1.0)
        self.failureResultOf(late, TimeoutError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(self.pool.ready(), other)
        other.ask({"ping": 1}, inf)
        other.ask({"ping": 1}, inf)
        self.assertIs(self.pool.ready(), silent)
        silent.dataReceived(self.reply(1))
        self.assertEqual(silent.busy, 0)

    def test_what_was_given_up_is_not_told_that_the_connection_is_lost(self) -> None:
        wire = self.wire()
        late, waiting = self.ask(wire, 1.0), self.ask(wire, 2.0)
        self.clock.advance(1.0)
        self.failureResultOf(late, TimeoutError)
        wire.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(waiting, ConnectionFailure)

    def test_a_pool_that_gets_no_connection_is_not_waited_for_without_end(self) -> None:
        self.made = [_Connection(None, {"nodelist": []}, number, 1, 1) for number in range(2)]
        asked = Deferred.fromCoroutine(self.pool.send({"ping": 1}, 5.0))
        self.clock.advance(4.9)
        self.assertNoResult(asked)
        self.clock.advance(0.1)
        self.failureResultOf(asked, TimeoutError)

    def test_each_command_has_its_time_and_all_have_one_timer(self) -> None:
        wires = [self.wire(), self.wire()]
        asked = {
            seconds: self.ask(wires[seconds % 2], float(seconds)) for seconds in (10, 7, 2, 3, 9)
        }
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        answered = asked.pop(7)
        wires[1].dataReceived(self.reply(1))
        self.assertEqual(self.successResultOf(answered), {"ok": 1.0})
        for second in range(1, 11):
            self.clock.advance(1.0)
            for seconds, each in list(asked.items()):
                if seconds == second:
                    self.failureResultOf(asked.pop(seconds), TimeoutError)
                else:
                    self.assertNoResult(each)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1 if asked else 0)

    def test_no_timer_is_set_for_a_command_while_one_is_due_sooner(self) -> None:
        wire = self.wire()
        last = self.ask(wire, 10.0)
        [timer] = self.clock.getDelayedCalls()
        for number in range(1, 100):
            wire.dataReceived(self.reply(number))
            self.successResultOf(last)
            self.clock.advance(0.01)
            last = self.ask(wire, 10.0)
        self.assertEqual(self.clock.getDelayedCalls(), [timer])
        self.clock.advance(10.0)
        self.failureResultOf(last, TimeoutError)

    def test_a_reply_that_is_late_is_passed_over(self) -> None:
        wire = self.wire()
        late = self.ask(wire, 1.0)
        self.clock.advance(1.0)
        self.failureResultOf(late, TimeoutError)
        next = self.ask(wire, 1.0)
        wire.dataReceived(self.reply(1, {"late": 1}) + self.reply(2))
        self.assertEqual(self.successResultOf(next), {"ok": 1.0})

    def test_who_is_not_interested_any_more_hurts_nobody(self) -> None:
        wire = self.wire()
        one, two = self.ask(wire, 1.0), self.ask(wire, 1.0)
        one.cancel()
        self.failureResultOf(one, CancelledError)
        wire.dataReceived(self.reply(1) + self.reply(2))
        self.assertEqual(self.successResultOf(two), {"ok": 1.0})

    def test_who_is_given_up_may_ask_again_at_once(self) -> None:
        wire = self.wire()
        again: list[Deferred[Document]] = []
        self.ask(wire, 1.0).addErrback(lambda _: again.append(self.ask(wire, 2.0)))
        self.clock.advance(1.0)
        self.assertNoResult(again[0])
        self.clock.advance(2.0)
        self.failureResultOf(again[0], TimeoutError)


class StartTests(TestCase):
    """Each of these ends with one line that says what to do."""

    async def refused(self, uri: str) -> str:
        mongo = Mongo(uri, reactor, times=QUICK)
        try:
            await mongo.open()
        except errors.Unavailable as error:
            self.assertNotIn("\n", str(error))
            self.assertNotIn("wrong", str(error))
            return str(error)
        finally:
            await mongo.close()
        raise self.failureException("it was opened")

    async def test_a_server_that_is_not_there(self) -> None:
        self.assertIn("can't be reached", await self.refused("mongodb://127.0.0.1:1/"))

    async def test_a_standalone_server(self) -> None:
        server = await OwnServer.start(self, member=False)
        self.assertIn("--replSet", await self.refused(server.uri))

    async def test_a_wrong_password(self) -> None:
        server = await OwnServer.start(self)
        line = await self.refused(server.uri.replace("secret", "wrong"))
        self.assertIn("refuses the user 'tests'", line)
        self.assertIn("refuses the user", await self.refused(server.uri.replace("tests", "nobody")))
        line = await self.refused(server.uri.replace("=duckmail", "=other"))
        self.assertIn("requested replicaSet", line)


class SchemaTests(StoreTestCase):
    async def test_a_newer_schema_is_left_alone(self) -> None:
        store = await self.make_store()
        newer = {"$set": {"version": schema.VERSION + 1}}
        await store.mongo.run(
            {"update": "schema", "updates": [{"q": {"_id": "schema"}, "u": newer}]}
        )
        with self.assertRaises(errors.Unavailable) as caught:
            await MailStore(self.uri).open()
        self.assertIn("upgrade", str(caught.exception))

    async def test_a_sharded_cluster_is_known_as_one(self) -> None:
        class Router(Mongo):
            async def send(self, command: Document, *arguments: Any, **more: Any) -> Document:
                reply = await super().send(command, *arguments, **more)
                if "hello" in command:
                    del reply["setName"]
                    reply["msg"] = "isdbgrid"
                return reply

        found = []
        for kind in (Mongo, Router):
            mongo = kind(self.uri, reactor)
            await mongo.open()
            found.append(mongo.is_sharded)
            await mongo.close()
        self.assertEqual(found, [False, True])

    async def test_two_processes_that_start_at_once(self) -> None:
        stores = [MailStore(self.uri) for _ in range(3)]
        await gatherResults(together(*(store.open() for store in stores)))
        for store in stores:
            await store.close()


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
        started: list[Deferred[None]] = []
        ended: list[int] = []

        async def never(number: int) -> None:
            started.append(Deferred())
            try:
                await started[-1]
            finally:
                ended.append(number)

        async def work(transaction: Transaction) -> None:
            await transaction.at_once(*map(never, range(3)))

        changing = Deferred.fromCoroutine(self.mongo.transaction(work))
        await self.until(lambda: len(started) == 3)
        changing.cancel()
        await self.assertFailure(changing, CancelledError)
        self.assertEqual(sorted(ended), [0, 1, 2])

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


class TLSTests(TestCase):
    """A server that speaks TLS only, with a certificate for its address by an authority of its own."""

    async def setUp(self) -> None:
        self.server = await OwnServer.start(self)
        self.server.kill()
        self.authority = _key()
        self.issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
        self.ca_file = self.write("ca.pem", self.certificate(self.issuer, self.authority, None))
        own = _key()
        pem = self.certificate(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mongod")]), own, "127.0.0.1"
        )
        pair = self.write("server.pem", pem + _pem(own))
        await self.server.restart("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", pair)

    def write(self, name: str, content: bytes) -> str:
        path = self.server.directory / name
        path.write_bytes(content)
        return str(path)

    def certificate(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, address: str | None
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(address is None, None), critical=True)
        )
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.authority, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)

    async def test_a_certificate_by_the_authority(self) -> None:
        store = MailStore(f"{self.server.uri}&tls=true&tlsCAFile={quote(self.ca_file)}")
        await store.open()
        self.addCleanup(store.close)
        await store.users.add("ada", None)
        pool: Any = store.mongo._pool
        # As it does after ten seconds, to the address of a host that it knows by its name.
        pool._ConnectionPool__discovery_nodes_to_ping()
        await deferLater(reactor, 0.3)  # type: ignore[arg-type]
        self.assertTrue(all(wire.connected for wire in pool.wires))
        self.assertEqual((await (await store.account("ada")).status("INBOX")).messages, 0)

    async def test_a_certificate_by_nobody(self) -> None:
        for options in ("&tls=true", ""):
            with self.assertRaises(errors.Unavailable):
                await MailStore(self.server.uri + options, times=QUICK).open()

    async def test_files_that_can_not_be_read(self) -> None:
        broken = self.write(
            "broken.pem", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"
        )
        for options in (
            f"tlsCAFile={quote(broken)}",
            "tlsCAFile=/nowhere",
            f"tlsCertificateKeyFile={quote(broken)}",
        ):
            with self.assertRaises(BadURI) as caught:
                await MailStore(f"{self.server.uri}&tls=true&{options}").open()
            self.assertNotIn("\n", str(caught.exception))


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class OutageTests(TestCase):
    async def setUp(self) -> None:
        self.server = await OwnServer.start(self)
        self.store = MailStore(self.server.uri, times=QUICK)
        await self.store.open()
        self.addCleanup(self.store.close)
        await self.store.users.add("ada", None)
        self.account = await self.store.account("ada")

    async def append(self) -> int | None:
        try:
            message = AppendMessage(
                Spool.of(b"Subject: x\r\n\r\n" + bytes(ObjectId().binary.hex(), "ascii"))
            )
            return (await self.account.append("INBOX", [message])).uids[0]
        except errors.Unavailable:
            return None

    async def test_killed_and_started_again_in_the_middle(self) -> None:
        mailbox = await self.account.select("INBOX", False)
        given = [await self.append()]
        started = reactor.seconds()  # type: ignore[attr-defined]
        pending = together(*(self.append() for _ in range(30)))
        self.server.kill()
        given += await gatherResults(pending)
        with self.assertRaises(errors.Unavailable):
            await mailbox.refresh()
        with self.assertRaises(errors.Unavailable):
            await self.account.status("INBOX")
        self.assertLess(reactor.seconds() - started, 16)  # type: ignore[attr-defined]
        await self.server.restart()
        uid = None
        while uid is None:
            uid = await self.append()
            self.assertLess(reactor.seconds() - started, 60)  # type: ignore[attr-defined]
        await mailbox.refresh()
        acknowledged = [u for u in given if u is not None] + [uid]
        self.assertEqual(len(set(acknowledged)), len(acknowledged))
        self.assertLessEqual(set(acknowledged), set(mailbox.index.uids))
        found = [f async for f in check(self.store.mongo) if isinstance(f, Finding)]
        self.assertEqual(found, [])

    async def test_a_server_that_does_not_answer(self) -> None:
        self.server.signal(signal.SIGSTOP)
        started = reactor.seconds()  # type: ignore[attr-defined]
        with self.assertRaises(errors.Unavailable):
            await self.account.status("INBOX")
        self.assertLess(reactor.seconds() - started, 3)  # type: ignore[attr-defined]
        self.server.signal(signal.SIGCONT)
        self.assertEqual((await self.account.status("INBOX")).messages, 0)

    async def test_a_change_that_is_not_made_does_not_keep_the_store_open(self) -> None:
        self.server.signal(signal.SIGSTOP)
        putting = Deferred.fromCoroutine(self.append())
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        await self.store.close()
        self.assertIsNone(await putting)
        self.server.signal(signal.SIGCONT)

    async def test_a_store_that_is_closed(self) -> None:
        await self.store.close()
        with self.assertRaises(errors.Unavailable):
            await self.account.status("INBOX")


class LimitsOfOpening(StoreTestCase):
    async def test_a_store_that_was_closed_may_be_opened_again(self) -> None:
        store = MailStore(self.uri, limits=Limits())
        self.addCleanup(store.close)
        for name in ("ada", "bob"):
            await store.open()
            await store.users.add(name, None)
            account = await store.account(name)
            self.assertEqual(await self.put(account, "INBOX", simple()), [1])
            mailbox = await account.select("INBOX", False)
            await mailbox.remove([1])
            # What is done in the background is done again, too.
            while await store.mongo.find_one(MESSAGES, {"user": mailbox._opened.user}):
                await deferLater(reactor, 0.01)  # type: ignore[arg-type]
            await store.close()

    async def test_what_was_opened_is_closed_again(self) -> None:
        store = MailStore(self.uri, limits=Limits())
        await store.open()
        wires = list(store.mongo._pool.wires)  # type: ignore[union-attr]
        await store.close()
        self.assertTrue(wires)
        self.assertTrue(all(wire.transport.disconnected for wire in wires))
