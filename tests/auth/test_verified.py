"""Passwords that were good a moment ago: when they are hashed again, and when what is kept of them is good for nothing."""

from __future__ import annotations

import gc
from typing import Any

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.auth.support import WEAK
from tests.auth.test_portal import PortalCase
from twisted_duck.auth import UserRecord, VerifiedPasswords, make_portal
from twisted_duck.auth.checker import LoginThrottled, UserDisabled, WrongPassword
from twisted_duck.auth.passwords import hash_password
from twisted_duck.limits import Limits

TIM = UserRecord(1, "tim", "$argon2id$one")


class VerifiedCase(PortalCase):
    """Counts what is hashed; the queue takes a thousand."""

    def setUp(self) -> None:
        super().setUp()
        self.verified = VerifiedPasswords(self.reactor)
        self.threads.at_once = False
        self.portal = make_portal(
            self.directory,
            self.account_for,
            self.reactor,
            Limits(throttle_failures=3, hashing_queue=1000),
            WEAK,
            verified=self.verified,
        )

    def hashed(self, name: str, password: str, kind: type[Exception] | None = None) -> bool:
        """Whether a login, which fails with `kind` or does not, was hashed."""
        login = self.log_in(name, password)
        hashed = bool(self.threads.jobs)
        self.threads.run()
        if kind is None:
            self.successResultOf(login)
        else:
            self.failureResultOf(login, kind)
        return hashed


class CheckerTests(VerifiedCase):
    def test_the_second_login_within_a_minute_is_not_hashed(self) -> None:
        self.assertTrue(self.hashed("tim", "secret"))
        self.assertFalse(self.hashed("TIM", "secret"))
        self.reactor.advance(59)
        self.assertFalse(self.hashed("tim", "secret"))

    def test_a_minute_after_it_was_hashed_it_is_hashed_again_however_often_it_was_used(
        self,
    ) -> None:
        self.hashed("tim", "secret")
        for _ in range(5):
            self.reactor.advance(10)
            self.assertFalse(self.hashed("tim", "secret"))
        self.reactor.advance(10)
        self.assertTrue(self.hashed("tim", "secret"))

    def test_a_wrong_password_is_hashed_each_time(self) -> None:
        self.hashed("tim", "secret")
        for _ in range(3):
            self.assertTrue(self.hashed("tim", "wrong", WrongPassword))

    def test_an_unknown_user_is_hashed_each_time(self) -> None:
        for _ in range(3):
            self.assertTrue(self.hashed("nobody", "secret", WrongPassword))
        self.assertEqual(len(self.verified), 0)

    def test_a_changed_password_is_good_for_nothing_at_once(self) -> None:
        self.hashed("tim", "secret")
        changed = evolve(self.directory.users["tim"], password_hash=hash_password("new", WEAK))
        self.directory.users["tim"] = changed
        self.assertTrue(self.hashed("tim", "secret", WrongPassword))
        self.assertTrue(self.hashed("tim", "new"))
        self.assertFalse(self.hashed("tim", "new"))

    def test_a_disabled_user_is_hashed_each_time_and_refused(self) -> None:
        self.hashed("tim", "secret")
        self.directory.users["tim"] = evolve(self.directory.users["tim"], disabled=True)
        for _ in range(3):
            self.assertTrue(self.hashed("tim", "secret", UserDisabled))

    def test_a_deleted_user_is_unknown(self) -> None:
        self.hashed("tim", "secret")
        record = self.directory.users.pop("tim")
        self.assertTrue(self.hashed("tim", "secret", WrongPassword))
        # One of the same name that comes later is another one.
        self.directory.users["tim"] = evolve(record, id=99)
        self.assertTrue(self.hashed("tim", "secret"))

    def test_the_throttle_holds_for_a_password_that_was_good(self) -> None:
        self.hashed("tim", "secret")
        for _ in range(3):
            self.hashed("tim", "wrong", WrongPassword)
        self.assertFalse(self.hashed("tim", "secret", LoginThrottled))

    def test_a_password_that_is_known_makes_failures_forgotten(self) -> None:
        self.hashed("tim", "secret")
        for _ in range(2):
            for _ in range(2):
                self.hashed("tim", "wrong", WrongPassword)
            self.assertFalse(self.hashed("tim", "secret"))

    def test_five_hundred_logins_at_once_of_one_user_are_hashed_twice(self) -> None:
        """As many as there are threads; the others find it known when their turn has come, and no stack overflows."""
        logins = [self.log_in("tim", "secret") for _ in range(500)]
        hashed = 0
        while self.threads.jobs:
            hashed += 1
            self.threads.run(1)
        for login in logins:
            self.successResultOf(login)
        self.assertEqual(hashed, Limits().hashing_threads)

    def test_without_it_each_login_is_hashed(self) -> None:
        self.portal = make_portal(self.directory, self.account_for, self.reactor, parameters=WEAK)
        for _ in range(3):
            self.assertTrue(self.hashed("tim", "secret"))


class VerifiedPasswordsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.verified = VerifiedPasswords(self.clock, 60, Limits(verified_passwords=3))

    def test_user_hash_and_password_have_to_be_the_same(self) -> None:
        self.verified.keep(TIM, "secret")
        self.assertTrue(self.verified.holds(TIM, "secret"))
        self.assertFalse(self.verified.holds(TIM, "Secret"))
        self.assertFalse(self.verified.holds(evolve(TIM, id=2), "secret"))
        self.assertFalse(self.verified.holds(evolve(TIM, password_hash="$argon2id$two"), "secret"))
        # Nothing moves from one to the other.
        self.assertFalse(self.verified.holds(evolve(TIM, password_hash="$argon2id$onese"), "cret"))

    def test_what_is_over_is_removed_with_nobody_looking(self) -> None:
        self.verified.keep(TIM, "secret")
        self.clock.advance(30)
        self.verified.keep(evolve(TIM, id=2), "secret")
        self.assertEqual(len(self.verified), 2)
        self.clock.advance(30)
        self.assertEqual(len(self.verified), 1)
        self.clock.advance(30)
        self.assertEqual((len(self.verified), self.clock.getDelayedCalls()), (0, []))

    def test_no_more_than_limits_verified_passwords(self) -> None:
        for id in range(5):
            self.verified.keep(evolve(TIM, id=id), "secret")
        self.assertEqual(len(self.verified), 3)
        self.assertFalse(self.verified.holds(evolve(TIM, id=1), "secret"))
        self.assertTrue(self.verified.holds(evolve(TIM, id=4), "secret"))

    def test_clear_leaves_nothing_and_no_timer(self) -> None:
        self.verified.keep(TIM, "secret")
        self.verified.clear()
        self.assertFalse(self.verified.holds(TIM, "secret"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.verified.clear()

    def test_neither_the_password_nor_a_plain_hash_of_it_is_kept(self) -> None:
        one, other = (VerifiedPasswords(self.clock) for _ in range(2))
        for each in (one, other):
            each.keep(TIM, "hunter2")

        def kept(of: Any) -> str:
            return repr([gc.get_referents(each) for each in gc.get_referents(of)])

        self.assertNotIn("hunter2", kept(one))
        self.assertNotEqual(one._known[1][0], other._known[1][0])

    def test_a_password_that_is_no_text_is_one(self) -> None:
        self.verified.keep(TIM, "\udcff")
        self.assertTrue(self.verified.holds(TIM, "\udcff"))
