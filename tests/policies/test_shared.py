"""What shared policies do with the answers they get, and without any; `tests.store` has the database."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from zope.interface.verify import verifyObject

from tests.policies.support import MemoryBans, MemoryRates, PolicyCase
from twisted_duck.errors import ConnectionRefused, TooManyConnections, Unavailable
from twisted_duck.interfaces import IBans, IRates
from twisted_duck.policies import Delay, Mask, Only, Policies, SharedBans, SharedRate
from twisted_duck.session import Session
from twisted_duck.values import Ban, Bucket

NETWORK = "192.0.2.1/32"


class SharedBansTests(PolicyCase):
    def setUp(self) -> None:
        super().setUp()
        self.bans = MemoryBans(self.clock)

    def policy(self, **options: Any) -> SharedBans:
        return SharedBans(self.bans, Mask(32, 64, 5), 600, 3600, clock=self.clock, **options)

    def fail_with(
        self, policy: SharedBans, *passwords: str | None, host: str = "192.0.2.1"
    ) -> None:
        for password in passwords:
            self.successResultOf(policy.loginFailed(self.session(host), "alice", password))

    def test_the_interface_is_what_is_asked(self) -> None:
        verifyObject(IBans, self.bans)

    def test_five_different_passwords(self) -> None:
        policy, other = self.policy(), self.policy()
        self.fail_with(policy, *"1234")
        self.admitted(other)
        self.fail_with(other, "4", "5")
        for each in (policy, other):
            self.refused(each, kind=ConnectionRefused)
            self.admitted(each, "192.0.2.2")
        self.assertEqual(self.bans.windows, {600})
        self.assertEqual(self.bans.bans[NETWORK], Ban(NETWORK, "5 wrong passwords", 3600))

    def test_a_login_on_a_connection_that_is_there_is_refused_as_a_new_connection_is(self) -> None:
        policy = Only(self.policy(), frozenset({"IMAP"}))
        there = self.admitted(policy)
        self.successResultOf(maybeDeferred(policy.beforeLogin, there))
        self.fail_with(policy, *"12345")
        for each in (policy, Policies(policy)):
            before = each.refused
            self.failureResultOf(maybeDeferred(each.beforeLogin, there), ConnectionRefused)
            self.assertEqual(each.refused, before + 1)
        elsewhere = Session("POP3", remoteAddress=there.remoteAddress)
        self.successResultOf(maybeDeferred(policy.beforeLogin, elsewhere))

    def test_who_tries_passwords_may_have_to_wait_instead(self) -> None:
        policy = Delay(self.policy(), 3, clock=self.clock)
        self.fail_with(policy, *"12345")
        asked = maybeDeferred(policy.beforeLogin, self.session())
        self.assertNoResult(asked)
        self.clock.advance(3)
        self.successResultOf(asked)

    def test_passwords_that_did_not_get_to_be_known_are_one_for_each_user(self) -> None:
        policy = self.policy()
        self.fail_with(policy, *[None] * 100, "", "1", "2")
        self.admitted(policy)
        self.successResultOf(policy.loginFailed(self.session(), "bob", None))
        self.refused(policy, kind=ConnectionRefused)

    def test_trusted_and_local_are_not_asked_for(self) -> None:
        policy = self.policy(trusted=["192.0.2.0/24"])
        self.fail_with(policy, *map(str, range(10)))
        self.fail_with(policy, *map(str, range(10)), host="")
        self.admitted(policy)
        self.admitted(policy, "")
        self.assertEqual(self.bans.asked, 0)

    def test_the_log(self) -> None:
        policy = self.policy()
        with self.log() as lines:
            self.fail_with(policy, *"1234")
            failed = self.session()
            self.successResultOf(policy.loginFailed(failed, "alice", "5"))
            session = self.refused(policy, kind=ConnectionRefused)
        self.assertEqual(
            lines,
            [
                f"{failed.id}: 192.0.2.1/32 is banned for 3600 s: 5 wrong passwords",
                f"{session.id} IMAP from 192.0.2.1: bans refuses: 192.0.2.1/32 is banned until"
                " 1970-01-01 01:00:00 UTC: 5 wrong passwords",
            ],
        )

    def test_while_the_database_is_away_everybody_comes_in_and_it_is_said_once(self) -> None:
        policy = self.policy()
        self.fail_with(policy, *"12345")
        self.bans.away = Unavailable("the database is away")
        asked = self.bans.asked
        with self.log() as lines:
            for _ in range(100):
                self.admitted(policy)
                self.fail_with(policy, "6")
                self.clock.advance(0.1)
            # Ten seconds, in which it is asked every five.
            self.assertEqual(self.bans.asked - asked, 2)
            self.bans.away = None
            self.clock.advance(5)
            self.refused(policy, kind=ConnectionRefused)
        away, back, refusal = lines
        self.assertIn("the database is away", away)
        self.assertEqual(back, "bans gets answers again")
        self.assertIn("refuses", refusal)

    def test_one_waits_for_a_database_that_was_away_and_not_everybody(self) -> None:
        policy = self.policy()
        self.bans.away = Unavailable("the database is away")
        self.admitted(policy)
        self.clock.advance(5)
        self.bans.slow = Deferred()
        first = maybeDeferred(policy.onConnect, self.session())
        self.admitted(policy)
        self.assertNoResult(first)
        self.bans.slow.callback(None)
        self.assertIsNone(self.successResultOf(first))

    def test_a_bug_lets_nobody_in(self) -> None:
        policy = self.policy()
        self.bans.away = ZeroDivisionError()
        self.failureResultOf(maybeDeferred(policy.onConnect, self.session()), ZeroDivisionError)

    def test_a_client_that_goes_away_meanwhile(self) -> None:
        policy = Policies(self.policy())
        self.bans.slow = Deferred()
        session = self.session()
        waiting = maybeDeferred(policy.onConnect, session)
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        self.successResultOf(waiting)
        self.close(policy, session)
        self.bans.slow = None
        self.admitted(policy)


class SharedRateTests(PolicyCase):
    def setUp(self) -> None:
        super().setUp()
        self.rates = MemoryRates(self.clock)

    def policy(self, **options: Any) -> SharedRate:
        masks = Mask(32, 64, 2), Mask(24, 56, 8)
        return SharedRate(self.rates, masks, 60, clock=self.clock, **options)

    def test_the_interface_is_what_is_asked(self) -> None:
        verifyObject(IRates, self.rates)

    def test_a_bucket_for_each_mask(self) -> None:
        self.admitted(self.policy(name="mine"), "192.0.2.1")
        self.admitted(self.policy(), "2001:db8::1")
        self.assertEqual(
            self.rates.left,
            {
                Bucket("mine 192.0.2.1/32", 2, 60): 1,
                Bucket("mine 192.0.2.0/24", 8, 60): 7,
                Bucket("connection rate 2001:db8::/64", 2, 60): 1,
                Bucket("connection rate 2001:db8::/56", 8, 60): 7,
            },
        )

    def test_an_empty_bucket_of_all_processes(self) -> None:
        policy = self.policy()
        self.rates.empty = 1
        with self.log() as lines:
            for _ in range(10):
                self.refused(policy)
        self.assertTrue(lines[0].endswith("connection rate refuses: 8 in 60 s from 192.0.2.0/24"))
        # Who was refused took nothing of what this process has counted either.
        self.assertEqual((self.rates.asked, len(policy)), (10, 0))

    def test_while_the_database_is_away_this_process_goes_on_counting(self) -> None:
        policy = self.policy()
        self.rates.away = Unavailable("the database is away")
        with self.log() as lines:
            for _ in range(2):
                self.admitted(policy)
            self.refused(policy)
        self.assertEqual((len(lines), self.rates.asked), (2, 1))
        self.clock.advance(30)
        self.rates.away = None
        self.admitted(policy)
        self.assertEqual(self.rates.asked, 2)

    def test_those_who_waited_in_vain_are_counted_too(self) -> None:
        policy = self.policy()
        self.rates.slow = Deferred()
        waiting = [maybeDeferred(policy.onConnect, self.session()) for _ in range(5)]
        self.rates.away = Unavailable("the database is away")
        self.rates.slow.callback(None)
        for each in waiting[:2]:
            self.assertIsNone(self.successResultOf(each))
        for each in waiting[2:]:
            self.failureResultOf(each, TooManyConnections)

    def test_trusted_and_local(self) -> None:
        policy = self.policy(trusted=["192.0.2.0/24"])
        for address in ("192.0.2.1", "") * 50:
            self.admitted(policy, address)
        self.assertEqual(self.rates.asked, 0)


class TellTests(PolicyCase):
    """Failed logins go through policies that are made of others."""

    def test_all_are_told_whatever_one_of_them_does(self) -> None:
        class Broken(SharedBans):
            def loginFailed(self, session: Session, user: str, password: str | None) -> Any:
                return fail(ZeroDivisionError(password)) if user else succeed(None)

        bans = MemoryBans(self.clock)
        policy = Policies(
            Broken(bans), SharedBans(bans, Mask(32, 64, 1), clock=self.clock), name="all"
        )
        with self.log() as lines:
            policy.loginFailed(self.session(), "alice", "wonderland")
        self.assertIn(NETWORK, bans.bans)
        self.assertNotIn("wonderland", "".join(lines))
