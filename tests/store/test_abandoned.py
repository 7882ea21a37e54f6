"""A server process that is killed, or suspended, in the middle of a transaction holds nobody up for long."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import bson
from bson.binary import UUID_SUBTYPE, Binary
from pymongo.errors import ConnectionFailure
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.store.base import StoreTestCase, simple
from twisted_duck import errors
from twisted_duck.store.abandoned import Abandoned, session_id
from twisted_duck.store.connection import Mongo, Times
from twisted_duck.store.failures import CommandFailed
from twisted_duck.store.leases import Lease
from twisted_duck.store.store import MailStore
from twisted_duck.store.transaction import Transaction

#: As they are, a tenth as long.
TIMES = Times(patience=0.1, idle=0.5)


async def touch(transaction: Transaction) -> None:
    """What every change of the user's mail does first, and INBOX with it."""
    assert await transaction.change("users", {"name": "ada"}, {"$inc": {"used": 1}})
    assert await transaction.change("mailboxes", {"path": "INBOX"}, {"$inc": {"tests": 1}})


class RealTests(StoreTestCase):
    """On the real server, as a user who has the rights that the embedded server's has, and no more."""

    async def setUp(self) -> None:
        await super().setUp()
        root = Mongo(self.uri, reactor)
        await root.open()
        try:
            role = {"role": "dbOwner", "db": root.target.database}
            await root.run({"createUser": "owner", "pwd": "secret", "roles": [role]})
        finally:
            await root.close()
        parts = urlsplit(self.uri)
        address = parts.netloc.rpartition("@")[2]
        self.uri = f"mongodb://owner:secret@{address}{parts.path}?authSource={root.target.database}"
        self.store = await self.make_store(times=TIMES)
        self.account = await self.make_user(self.store)
        self.other = Mongo(self.uri, reactor, times=TIMES)
        await self.other.open()
        self.addCleanup(self.other.close)

    async def begun(self, lease: Lease) -> Transaction:
        transaction = Transaction(self.other, lease)
        await touch(transaction)
        return transaction

    async def test_a_process_that_was_killed(self) -> None:
        await self.begun(self.other._transactions._leases.take())
        await self.other.close()
        started = reactor.seconds()  # type: ignore[attr-defined]
        self.assertEqual(await self.put(self.account, "INBOX", simple()), [1])
        self.assertLess(reactor.seconds() - started, 5)  # type: ignore[attr-defined]
        self.assertEqual((await self.account.status("INBOX")).messages, 1)

    async def test_a_process_that_was_suspended(self) -> None:
        runs: list[list[int]] = []

        async def work(transaction: Transaction) -> None:
            await touch(transaction)
            runs.append([] if runs else await self.put(self.account, "INBOX", simple()))

        await self.other.transaction(work)
        self.assertEqual(runs, [[1], []])
        found = await self.other.find_one("mailboxes", {"path": "INBOX"})
        assert found is not None
        self.assertEqual(found["tests"], 1)

    async def test_a_process_that_is_slow_is_left_alone(self) -> None:
        impatient = MailStore(self.uri, times=Times(transaction=2.5, patience=0.1, idle=0.9))
        await impatient.open()
        self.addCleanup(impatient.close)
        transaction = await self.begun(self.other._transactions._leases.take())
        append = Deferred.fromCoroutine(self.put(await impatient.account("ada"), "INBOX", simple()))
        while not append.called:
            await self.pause(0.3)
            await touch(transaction)
        with self.assertRaises(errors.Contention):
            await append
        await self.other._transactions._commit(transaction.lease)

    async def test_a_session_that_is_not_ours_is_left_alone(self) -> None:
        store = MailStore(self.uri, times=Times(transaction=2.0, patience=0.1, idle=0.3))
        await store.open()
        self.addCleanup(store.close)
        account = await store.account("ada")
        for other in (session_id("another"), Binary(b"\0" * 16, UUID_SUBTYPE)):
            transaction = await self.begun(Lease({"id": other}))
            with self.assertRaises(errors.Contention):
                await self.put(account, "INBOX", simple())
            self.assertTrue(await self.other._transactions._abort(transaction))


def entry(
    session: Binary, active: float, inactive: float, number: int = 1, shard: str = "a"
) -> dict[str, Any]:
    return {
        "shard": shard,
        "lsid": {"id": session},
        "transaction": {
            "parameters": {"txnNumber": number},
            "timeActiveMicros": int(active * 1e6),
            "timeInactiveMicros": int(inactive * 1e6),
        },
    }


class JudgementTests(SynchronousTestCase):
    """What stands still, by what the server says of it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.entries: list[dict[str, Any]] = []
        self.looks = 0
        self.ended: list[Binary] = []
        self.failure: Exception | None = None
        self.session = session_id("mail")
        self.abandoned = Abandoned(
            self.answer, (CommandFailed, ConnectionFailure), self.clock.seconds, "mail", 5.0
        )

    def answer(self, command: dict[str, Any]) -> Deferred[dict[str, Any]]:
        # What can't be sent is no command.
        bson.encode(command)
        if "killSessions" in command:
            self.ended += [each["id"] for each in command["killSessions"]]
            return succeed({"ok": 1.0})
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return succeed({"cursor": {"id": 0, "firstBatch": self.entries}})

    def look(self, *entries: dict[str, Any], after: float = 1.0) -> list[Binary]:
        """What is ended when these are under way."""
        self.clock.advance(after)
        self.entries = list(entries)
        self.ended = []
        self.successResultOf(Deferred.fromCoroutine(self.abandoned.end()))
        return self.ended

    def test_after_the_bound_and_not_before(self) -> None:
        for inactive in (0.1, 3.0, 5.0):
            self.assertEqual(self.look(entry(self.session, 0.1, inactive)), [])
        self.assertEqual(self.look(entry(self.session, 0.1, 5.1)), [self.session])

    def test_inactivity_before_the_first_look_does_not_count(self) -> None:
        self.assertEqual(self.look(entry(self.session, 0.1, 40)), [])
        self.assertEqual(self.look(entry(self.session, 0.1, 41)), [])

    def test_a_command_in_between(self) -> None:
        self.look(entry(self.session, 0.1, 1))
        self.assertEqual(self.look(entry(self.session, 0.2, 7)), [])
        self.assertEqual(self.look(entry(self.session, 0.2, 11)), [])
        self.assertEqual(self.look(entry(self.session, 0.2, 12)), [self.session])

    def test_another_transaction_of_the_session(self) -> None:
        self.look(entry(self.session, 0.1, 1))
        self.assertEqual(self.look(entry(self.session, 0.1, 7, number=2)), [])

    def test_busy_on_another_shard(self) -> None:
        def shards(active: float, inactive: float, other: float) -> list[Binary]:
            return self.look(
                entry(self.session, 0.1, inactive),
                entry(self.session, active, other, shard="b"),
            )

        self.assertEqual(shards(0.1, 1, 1), [])
        self.assertEqual(shards(0.2, 9, 1), [])
        self.assertEqual(shards(0.2, 15, 5), [])
        self.assertEqual(shards(0.2, 20, 6), [self.session])

    def test_only_what_stands_still_is_ended(self) -> None:
        busy = session_id("mail")
        self.look(entry(self.session, 0.1, 1), entry(busy, 0.1, 1))
        self.assertEqual(
            self.look(entry(busy, 0.2, 7), entry(self.session, 0.1, 7)), [self.session]
        )

    def test_one_look_a_second_however_many_wait(self) -> None:
        for _ in range(30):
            self.look(after=0.1)
        self.assertLessEqual(self.looks, 4)

    def test_what_fails_is_said_once(self) -> None:
        said = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.failure = CommandFailed("aggregate", {"code": 13, "codeName": "Unauthorized"})
        for _ in range(3):
            self.look()
        self.failure = ConnectionFailure("lost")
        self.look()
        self.assertEqual(self.looks, 4)
        [event] = said
        self.assertIn("Unauthorized", event["error"])

    def test_ids_are_different_and_know_their_database(self) -> None:
        one, two, other = session_id("mail"), session_id("mail"), session_id("mail2")
        self.assertNotEqual(one, two)
        self.assertEqual(one[:6], two[:6])
        self.assertNotEqual(one[:6], other[:6])
        self.assertEqual((len(one), one.subtype), (16, UUID_SUBTYPE))
