"""Counting wrong passwords."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.auth.throttle import LoginThrottle
from twisted_duck.limits import Limits


class ThrottleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.throttle = LoginThrottle(
            self.clock, Limits(throttle_failures=3, throttle_window=60, throttle_entries=100)
        )

    def fail(self, times: int, user: str = "tim", address: str = "192.0.2.1") -> None:
        for _ in range(times):
            self.throttle.failed(user, address)

    def is_closed(self, user: str = "tim", address: str = "192.0.2.1") -> bool:
        return self.throttle.is_closed(user, address)

    def test_the_third_failure_closes_the_door(self) -> None:
        self.fail(2)
        self.assertFalse(self.is_closed())
        self.fail(1)
        self.assertTrue(self.is_closed())

    def test_only_for_that_user_from_that_address(self) -> None:
        self.fail(3)
        self.assertFalse(self.is_closed(user="ann"))
        self.assertFalse(self.is_closed(address="192.0.2.2"))

    def test_the_door_opens_sixty_seconds_after_the_first_failure(self) -> None:
        self.fail(1)
        self.clock.advance(59)
        self.fail(2)
        self.assertTrue(self.is_closed())
        self.clock.advance(1)
        self.assertFalse(self.is_closed())
        self.fail(2)
        self.assertFalse(self.is_closed())

    def test_a_good_login_forgets_the_failures(self) -> None:
        self.fail(2)
        self.throttle.succeeded("tim", "192.0.2.1")
        self.fail(2)
        self.assertFalse(self.is_closed())

    def test_neighbours_in_an_ipv6_64_are_one(self) -> None:
        for last in range(3):
            self.throttle.failed("tim", f"2001:db8::{last}")
        self.assertTrue(self.is_closed(address="2001:db8:0:0:ffff::1"))
        self.assertFalse(self.is_closed(address="2001:db8:0:1::1"))

    def test_any_text_is_an_address(self) -> None:
        for address in ("", "/run/socket", "fe80::1%eth0"):
            self.fail(3, address=address)
            self.assertTrue(self.is_closed(address=address))

    def test_no_more_than_a_hundred_entries_and_the_oldest_goes_first(self) -> None:
        self.fail(3)
        self.fail(3, user="ann")
        self.fail(1)
        for number in range(99):
            self.fail(1, user=str(number))
        self.assertEqual(len(self.throttle), 100)
        self.assertTrue(self.is_closed())
        self.assertFalse(self.is_closed(user="ann"))
