"""Bans that hold over several processes: two stores on one database are two processes."""

from __future__ import annotations

import math
import signal
import time
from ipaddress import ip_network
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from zope.interface.verify import verifyObject

from tests.auth.support import WEAK
from tests.store.base import LIMITS, StoreTestCase, together
from tests.store.recorder import Recorder
from tests.store.server import OwnServer
from twisted_duck.auth import log_in, make_portal
from twisted_duck.errors import AuthenticationFailed, ConnectionRefused, Unavailable
from twisted_duck.interfaces import IAccount, IBans
from twisted_duck.limits import Limits
from twisted_duck.policies import Mask, SharedBans
from twisted_duck.sasl import Credentials
from twisted_duck.session import Session
from twisted_duck.store.store import MailStore
from twisted_duck.values import Ban, Bucket

HOST = "192.0.2.1"
NETWORK = "192.0.2.1/32"


class BansCase(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.one = await self.make_store(on_command=self.recorder)
        self.other = await self.make_store(on_command=self.recorder)


class StoreBansTests(BansCase):
    async def all(self, store: MailStore) -> list[Ban]:
        return [ban async for ban in store.bans.all()]

    async def listed(self, store: MailStore) -> list[str]:
        return [ban.network for ban in await self.all(store)]

    async def test_what_the_interface_promises(self) -> None:
        verifyObject(IBans, self.one.bans)

    async def test_the_same_key_for_all(self) -> None:
        found = await gatherResults(
            together(*(store.bans.secret() for store in [self.one, self.other] * 5))
        )
        self.assertEqual(len({*found}), 1)
        self.assertEqual(len(found[0]), 16)
        third = await self.make_store()
        self.assertEqual(await third.bans.secret(), found[0])

    async def test_different_attempts_are_counted_and_equal_ones_are_one(self) -> None:
        counts = [
            await store.bans.failed(NETWORK, attempt, 60)
            for attempt in (b"ab", b"cd", b"ab")
            for store in (self.one, self.other)
        ]
        self.assertEqual(counts, [1, 1, 2, 2, 2, 2])
        self.assertEqual(await self.one.bans.failed("192.0.2.2/32", b"ab", 60), 1)

    async def test_at_the_same_time(self) -> None:
        attempts = [bytes([number, 0]) for number in range(20)]
        counts = await gatherResults(
            together(
                *(s.bans.failed(NETWORK, a, 60) for a in attempts for s in (self.one, self.other))
            )
        )
        self.assertEqual(max(counts), 20)

    async def test_attempts_are_forgotten_after_the_window(self) -> None:
        await self.one.bans.failed(NETWORK, b"ab", 0.05)
        await self.pause(0.1)
        self.assertEqual(await self.one.bans.failed(NETWORK, b"ef", 60), 1)

    async def test_a_ban_is_known_to_all_and_survives(self) -> None:
        ban = await self.one.bans.ban(NETWORK, "$reason", 60)
        self.assertEqual((ban.network, ban.reason), (NETWORK, "$reason"))
        self.assertTrue(math.isclose(ban.until, time.time() + 60, abs_tol=10))
        self.assertEqual(await self.other.bans.find(NETWORK), ban)
        self.assertIsNone(await self.other.bans.find("192.0.2.2/32"))
        await self.one.close()
        third = await self.make_store()
        self.assertEqual(await third.bans.find(NETWORK), ban)

    async def test_it_ends_before_it_is_removed(self) -> None:
        await self.one.bans.ban(NETWORK, "why", 0.05)
        await self.pause(0.1)
        self.assertIsNone(await self.one.bans.find(NETWORK))
        self.assertEqual(await self.all(self.one), [])
        self.assertEqual(await self.one.bans.lift(ip_network(NETWORK)), [])

    async def test_a_ban_forgets_the_attempts(self) -> None:
        await self.one.bans.failed(NETWORK, b"ab", 60)
        await self.other.bans.ban(NETWORK, "why", 60)
        self.assertEqual(await self.one.bans.failed(NETWORK, b"cd", 60), 1)

    async def test_a_ban_for_good(self) -> None:
        await self.one.bans.ban(NETWORK, "why", 1 << 40)
        (ban,) = await self.all(self.other)
        self.assertTrue(ban.until > time.time() + 50 * 365 * 86_400)

    async def test_another_ban_is_counted_from_now(self) -> None:
        first = await self.one.bans.ban(NETWORK, "first", 1)
        second = await self.other.bans.ban(NETWORK, "second", 60)
        self.assertTrue(second.until > first.until)
        self.assertEqual(await self.all(self.one), [second])

    async def test_listed_in_the_order_in_which_they_end(self) -> None:
        for network, seconds in (("192.0.2.2/32", 90), ("2001:db8::/64", 30), (NETWORK, 60)):
            await self.one.bans.ban(network, "why", seconds)
        self.assertEqual(await self.listed(self.other), ["2001:db8::/64", NETWORK, "192.0.2.2/32"])

    async def test_lifted_by_an_address_or_a_network(self) -> None:
        for given, stays in [
            (NETWORK, ["192.0.2.2/32", "198.51.100.0/24", "2001:db8::/64"]),
            ("192.0.2.0/24", ["198.51.100.0/24", "2001:db8::/64"]),
            ("198.51.100.7", [NETWORK, "192.0.2.2/32", "2001:db8::/64"]),
            ("2001:db8::ffff", [NETWORK, "192.0.2.2/32", "198.51.100.0/24"]),
            ("2001:db8::/32", [NETWORK, "192.0.2.2/32", "198.51.100.0/24"]),
            ("0.0.0.0/0", ["2001:db8::/64"]),
            ("203.0.113.1", [NETWORK, "192.0.2.2/32", "198.51.100.0/24", "2001:db8::/64"]),
        ]:
            for network in (NETWORK, "192.0.2.2/32", "198.51.100.0/24", "2001:db8::/64"):
                await self.one.bans.ban(network, "why", 60)
                await self.one.bans.failed(network, b"ab", 60)
            lifted = await self.other.bans.lift(ip_network(given))
            self.assertEqual(await self.listed(self.one), stays)
            self.assertEqual(len(lifted) + len(stays), 4)
            for ban in lifted:
                self.assertIsNone(await self.one.bans.find(ban.network))
                self.assertEqual(await self.one.bans.failed(ban.network, b"cd", 60), 1)

    async def test_the_database_removes_what_is_over(self) -> None:
        server = await OwnServer.start(self)
        server.kill()
        await server.restart("--setParameter", "ttlMonitorSleepSecs=1")
        store = MailStore(server.uri, limits=LIMITS)
        await store.open()
        self.addCleanup(store.close)
        for network, seconds in ((NETWORK, 0.1), ("192.0.2.2/32", 600)):
            await store.bans.ban(network, "why", seconds)
            await store.bans.failed(network, b"ab", seconds)
            await store.rates.take([Bucket(network, 1, seconds)])
        for _ in range(100):
            left = [
                len(await store.mongo.find(collection, {}))
                for collection in ("attempts", "bans", "rates")
            ]
            if left == [1, 1, 1]:
                break
            await self.pause(0.1)
        self.assertEqual(left, [1, 1, 1])

    async def test_a_database_that_does_not_answer_is_not_waited_for(self) -> None:
        server = await OwnServer.start(self)
        store = MailStore(server.uri, limits=Limits(policy_answer=1))
        await store.open()
        self.addCleanup(store.close)
        self.addCleanup(server.kill)
        server.signal(signal.SIGSTOP)
        begin = time.monotonic()
        for question in (store.bans.find(NETWORK), store.rates.take([Bucket("a", 1, 1)])):
            with self.assertRaises(Unavailable):
                await question
        # Twice one second, on a machine that may be busy; a command may take ten.
        self.assertTrue(2 <= time.monotonic() - begin < 9)

    async def test_no_collection_is_scanned(self) -> None:
        bans = self.one.bans
        await bans.secret()
        await bans.failed(NETWORK, b"ab", 60)
        await bans.ban(NETWORK, "why", 60)
        await bans.find(NETWORK)
        await self.all(self.one)
        await bans.lift(ip_network(NETWORK))
        self.assertEqual(await self.recorder.problems(self.one.mongo), [])


class SharedBansTests(BansCase):
    """The policy of each of the two processes."""

    def policy(self, store: MailStore, **options: Any) -> SharedBans:
        return SharedBans(store.bans, Mask(32, 64, 5), 60, 60, **options)

    async def fail_with(
        self, policy: SharedBans, *passwords: str | None, user: str = "ada"
    ) -> None:
        for password in passwords:
            await policy.loginFailed(Session("IMAP", remoteAddress=HOST), user, password)

    async def admits(self, policy: SharedBans, host: str = HOST) -> bool:
        try:
            await policy.onConnect(Session("IMAP", remoteAddress=host))
        except ConnectionRefused:
            return False
        return True

    async def test_spread_over_the_processes(self) -> None:
        one, other = self.policy(self.one), self.policy(self.other)
        await self.fail_with(one, "1", "2")
        await self.fail_with(other, "3", "4")
        self.assertEqual([await self.admits(one), await self.admits(other)], [True, True])
        await self.fail_with(one, "5")
        self.assertEqual([await self.admits(one), await self.admits(other)], [False, False])
        self.assertTrue(await self.admits(one, "192.0.2.2"))
        third = self.policy(await self.make_store())
        self.assertFalse(await self.admits(third))

    async def test_logins_that_fail_on_any_process(self) -> None:
        """Through the portal that checks passwords."""
        await self.make_user(self.one)
        told: list[Deferred[None]] = []
        processes = []
        for store in (self.one, self.other):
            policy = self.policy(store)

            def tell(*what: Any, policy: SharedBans = policy) -> None:
                told.append(policy.loginFailed(*what))

            portal = make_portal(store.directory, store.account, reactor, LIMITS, WEAK, tell)
            processes.append((policy, portal))
        for number, (user, password) in enumerate(
            [("ada", "a"), ("Ada", "a"), ("ada", "b"), ("ada", "c"), ("bob", "c"), ("bob", "d")]
        ):
            policy, portal = processes[number % 2]
            self.assertTrue(await self.admits(policy))
            session = Session("IMAP", remoteAddress=HOST)
            with self.assertRaises(AuthenticationFailed):
                await log_in(portal, Credentials(user, password), session, IAccount)
            await told.pop()
        for policy, _ in processes:
            self.assertFalse(await self.admits(policy))

    async def test_one_old_password_is_one_in_all_processes(self) -> None:
        policies = self.policy(self.one), self.policy(self.other)
        for _ in range(10):
            for policy in policies:
                await self.fail_with(policy, "old")
        await self.fail_with(policies[0], "1", "2", "3")
        self.assertTrue(await self.admits(policies[1]))

    async def test_lifted(self) -> None:
        one, other = self.policy(self.one), self.policy(self.other)
        await self.fail_with(one, *"12345")
        await self.one.bans.lift(ip_network(HOST))
        self.assertTrue(await self.admits(other))
        await self.fail_with(other, *"1234")
        self.assertTrue(await self.admits(other))

    async def test_no_password_is_kept(self) -> None:
        await self.fail_with(self.policy(self.one), "wonderland", "", "\udcff\0", None)
        (kept,) = await self.one.mongo.find("attempts", {"_id": NETWORK}, readConcern={})
        self.assertEqual({*kept}, {"_id", "tried", "until"})
        self.assertEqual([len(each) for each in kept["tried"]], [2, 2, 2, 2])
        sent = repr(self.recorder.commands)
        self.assertNotIn("wonderland", sent)
        self.assertNotIn("ada", sent)

    async def test_a_connection_is_one_question(self) -> None:
        policy = self.policy(self.one)
        self.recorder.clear()
        await self.admits(policy)
        self.assertEqual([n for n in self.recorder.names if "bans" in n], ["find bans"])
