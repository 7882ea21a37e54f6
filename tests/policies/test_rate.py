"""How often somebody may connect, and what it costs to know."""

from __future__ import annotations

import time

from tests.policies.support import PolicyCase, address, octets
from twisted_duck.errors import TooManyConnections
from twisted_duck.limits import Limits
from twisted_duck.policies import ConnectionRate, Mask
from twisted_duck.session import Session


class RateTests(PolicyCase):
    def policy(self, *masks: Mask, entries: int = 1000, **options: object) -> ConnectionRate:
        return ConnectionRate(
            masks or (Mask(32, 64, 10),),
            60,
            limits=Limits(rate_entries=entries),
            clock=self.clock,
            **options,  # type: ignore[arg-type]
        )

    def count(self, policy: ConnectionRate, address: str, tries: int) -> int:
        """How many of so many come in."""
        admitted = 0
        for _ in range(tries):
            try:
                policy.onConnect(self.session(address))
                admitted += 1
            except TooManyConnections:
                pass
        return admitted

    def test_so_many_at_once_and_as_many_again_in_that_time(self) -> None:
        policy = self.policy()
        self.assertEqual(self.count(policy, "192.0.2.1", 100), 10)
        self.clock.advance(5.9)
        self.assertEqual(self.count(policy, "192.0.2.1", 10), 0)
        self.clock.advance(0.1)
        self.assertEqual(self.count(policy, "192.0.2.1", 10), 1)
        self.clock.advance(60)
        self.assertEqual(self.count(policy, "192.0.2.1", 100), 10)
        self.clock.advance(3600)
        self.assertEqual(self.count(policy, "192.0.2.1", 100), 10)

    def test_for_a_long_time(self) -> None:
        policy = self.policy()
        admitted = 0
        for _ in range(6000):
            admitted += self.count(policy, "192.0.2.1", 1)
            self.clock.advance(0.1)
        # Ten at once, and one every six seconds in ten minutes.
        self.assertIn(admitted, (109, 110))

    def test_who_was_refused_took_nothing(self) -> None:
        policy = self.policy()
        self.count(policy, "192.0.2.1", 10)
        for _ in range(60):
            self.clock.advance(0.1)
            self.count(policy, "192.0.2.1", 1)
        self.clock.advance(54)
        self.assertEqual(self.count(policy, "192.0.2.1", 100), 9)

    def test_each_mask(self) -> None:
        policy = self.policy(Mask(32, 64, 2), Mask(24, 56, 4), Mask(16, 48, 6))
        for addresses in (
            ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.3.1", "192.0.4.1", "198.51.100.1"),
            (
                "2001:db8::",
                "2001:db8:0:1::",
                "2001:db8:0:2::",
                "2001:db8:0:100::",
                "2001:db8:0:200::",
                "2001:db9::",
            ),
        ):
            counts = [self.count(policy, address, 10) for address in addresses]
            self.assertEqual(counts, [2, 2, 0, 2, 0, 2])

    def test_trusted_and_local(self) -> None:
        policy = self.policy(trusted=["192.0.2.0/24"])
        self.assertEqual(self.count(policy, "192.0.2.1", 100), 100)
        self.assertEqual(self.count(policy, "", 100), 100)
        self.assertEqual(len(policy), 0)

    def test_it_is_said_why(self) -> None:
        policy = self.policy()
        self.count(policy, "192.0.2.1", 10)
        with self.log() as lines:
            self.refused(policy)
        self.assertTrue(
            lines[0].endswith("connection rate refuses: 10 in 60 s from 192.0.2.1/32"), lines
        )

    def test_full_buckets_are_forgotten(self) -> None:
        policy = self.policy()
        for host in range(200):
            self.count(policy, f"192.0.2.{host}", 1)
        self.assertEqual(len(policy), 200)
        self.clock.advance(6)
        for host in range(100):
            self.count(policy, f"198.51.100.{host}", 1)
        self.assertEqual(len(policy), 100)

    def test_where_there_is_no_room_the_oldest_goes(self) -> None:
        policy = self.policy(entries=2)
        for host in ("192.0.2.1", "192.0.2.2"):
            self.count(policy, host, 5)
        self.count(policy, "192.0.2.1", 1)
        self.count(policy, "192.0.2.3", 5)
        self.assertEqual(len(policy), 2)
        self.assertEqual(self.count(policy, "192.0.2.1", 100), 4)
        self.assertEqual(self.count(policy, "192.0.2.2", 100), 10)


class SizeTests(PolicyCase):
    def connect(self, policy: ConnectionRate, numbers: range) -> Session:
        """From addresses that are spread over all there are."""
        session = Session("IMAP")
        for number in numbers:
            session.remoteAddress = address(number * 42_949 % 2**32)
            policy.onConnect(session)
        return session

    def test_what_a_network_takes(self) -> None:
        def made() -> ConnectionRate:
            policy = ConnectionRate(limits=Limits(rate_entries=5_000), clock=self.clock)
            self.connect(policy, range(10_000))
            self.assertEqual(len(policy), 15_000)
            return policy

        self.assertLess(octets(made), 15_000 * 225)

    def test_a_million_addresses(self) -> None:
        policy = ConnectionRate((Mask(32, 64, 60),), clock=self.clock)
        begin = time.process_time()
        last = self.connect(policy, range(1_000_000))
        # Some seconds; anything that grows with what has come before would be hours.
        self.assertTrue(time.process_time() - begin < 100)
        self.assertEqual(len(policy), Limits().rate_entries)
        # It still knows who came last.
        admitted = 0
        for _ in range(100):
            try:
                policy.onConnect(last)
                admitted += 1
            except TooManyConnections:
                pass
        self.assertEqual(admitted, 59)
