"""Floods of logins: how many passwords are hashed, and how many at a time.  `benchmarks.logins` has the figures of time."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.auth.support import WEAK
from tests.auth.test_portal import PortalCase
from twisted_duck import errors
from twisted_duck.auth import LoginRefused, LoginThrottled, log_in, make_portal
from twisted_duck.auth.checker import UserDisabled, WrongPassword
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import Limits
from twisted_duck.policies import Bans, Mask, Policies
from twisted_duck.sasl import Credentials
from twisted_duck.session import Session

LIMITS = Limits()


class FloodCase(PortalCase):
    def setUp(self) -> None:
        super().setUp()
        self.threads.at_once = False
        #: Passwords that were hashed, and the most at a time.
        self.hashed = self.most = 0
        self.make_portal()

    def make_portal(self, **options: Any) -> None:
        self.portal = make_portal(
            self.directory, self.account_for, self.reactor, LIMITS, WEAK, **options
        )

    def hash(self) -> None:
        while self.threads.jobs:
            self.most = max(self.most, len(self.threads.jobs))
            self.hashed += 1
            self.threads.run(1)

    def kind(self, login: Deferred[Any]) -> type[BaseException]:
        return self.failureResultOf(login).type


class WrongPasswordTests(FloodCase):
    def test_of_a_thousand_in_a_minute_ten_are_hashed(self) -> None:
        """Two hundred are there at the same time, five times."""
        kinds: list[type[BaseException]] = []
        for _ in range(5):
            logins = [self.log_in("tim", f"wrong {number}") for number in range(200)]
            self.hash()
            kinds += map(self.kind, logins)
            self.reactor.advance(10)
        self.assertEqual(self.hashed, LIMITS.throttle_failures)
        self.assertEqual(kinds.count(WrongPassword), LIMITS.throttle_failures)
        self.assertEqual(kinds.count(LoginThrottled), 1000 - LIMITS.throttle_failures)

    def test_of_a_thousand_for_nobody_ten_are_hashed_as_well(self) -> None:
        for number in range(1000):
            login = self.log_in("nobody", f"wrong {number}")
            self.hash()
            self.failureResultOf(login)
        self.assertEqual(self.hashed, LIMITS.throttle_failures)

    def test_another_user_waits_for_ten_of_them_at_the_most(self) -> None:
        self.directory.add("bob", "secret")
        logins = [self.log_in("tim", f"wrong {number}") for number in range(200)]
        bob = self.log_in("bob", "secret", address="198.51.100.1")
        while not bob.called:
            self.hashed += 1
            self.threads.run(1)
        self.successResultOf(bob)
        self.assertTrue(self.hashed <= LIMITS.throttle_failures + 1, self.hashed)
        for login in logins:
            self.failureResultOf(login)

    def test_a_right_one_between_wrong_ones_is_let_in(self) -> None:
        logins = [self.log_in("tim", "wrong") for _ in range(LIMITS.throttle_failures - 1)]
        right = self.log_in("tim", "secret")
        self.hash()
        self.successResultOf(right)
        for login in logins:
            self.failureResultOf(login, WrongPassword)

    def test_who_can_not_log_in_costs_one_hash_whatever_the_reason(self) -> None:
        for name, password, kind in (
            ("tim", "wrong", WrongPassword),
            ("nobody", "secret", WrongPassword),
            ("ann", "wrong", WrongPassword),
            ("ann", "secret", UserDisabled),
        ):
            before = self.hashed
            login = self.log_in(name, password)
            self.hash()
            self.failureResultOf(login, kind)
            self.assertEqual(self.hashed - before, 1, (name, password))


class RightPasswordTests(FloodCase):
    def test_two_hundred_at_once_are_let_in_and_hashed_two_at_a_time(self) -> None:
        """Memory is that of two, 19 MiB each, and of two hundred that wait."""
        for number in range(200):
            self.directory.add(f"user{number}", "secret")
        logins = [self.log_in(f"user{number}", "secret") for number in range(200)]
        self.hash()
        for login in logins:
            self.successResultOf(login)
        self.assertEqual((self.hashed, self.most), (200, LIMITS.hashing_threads))

    def test_more_than_can_wait_are_told_to_come_again(self) -> None:
        many = LIMITS.hashing_threads + LIMITS.hashing_queue
        logins = [self.log_in("tim", "secret", address=f"2001:db8:0:{n:x}::1") for n in range(many)]
        late = self.log_in("tim", "secret")
        self.failureResultOf(late, errors.Unavailable)
        self.hash()
        for login in logins:
            self.successResultOf(login)


class BannedTests(FloodCase):
    """A ban holds on connections that are there."""

    def setUp(self) -> None:
        super().setUp()
        self.bans = Bans(Mask(32, 64, 3), clock=self.reactor)
        self.policies = Policies(self.bans)
        self.make_portal(
            login_failed=self.policies.loginFailed, before_login=self.policies.beforeLogin
        )

    def test_on_two_hundred_connections_that_are_there_no_more_are_hashed(self) -> None:
        sessions = [Session("IMAP", remoteAddress="192.0.2.1") for _ in range(200)]
        kinds = []
        for number, session in enumerate(sessions):
            credentials = Credentials(f"user{number}", "123456")
            login = Deferred.fromCoroutine(log_in(self.portal, credentials, session, IAccount))
            self.hash()
            kinds.append(self.kind(login))
        self.assertEqual(kinds, [WrongPassword] * 3 + [LoginRefused] * 197)
        self.assertEqual((self.hashed, self.policies.refused), (3, 197))

    def test_elsewhere_nobody_notices(self) -> None:
        for number in range(3):
            login = self.log_in(f"user{number}", "123456")
            self.hash()
            self.failureResultOf(login, WrongPassword)
        login = self.log_in("tim", "secret", address="192.0.2.2")
        self.hash()
        self.successResultOf(login)

    def test_a_hook_that_fails_lets_nobody_in_and_hashes_nothing(self) -> None:
        def bug(session: Session) -> None:
            raise KeyError("a bug")

        self.make_portal(before_login=bug)
        self.failureResultOf(self.log_in("tim", "secret"), errors.Unavailable)
        self.assertEqual(self.threads.jobs, [])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_a_database_that_is_away_is_what_is_told(self) -> None:
        self.directory.away = True
        for _ in range(3):
            self.failureResultOf(self.log_in("tim", "secret"), errors.Unavailable)
