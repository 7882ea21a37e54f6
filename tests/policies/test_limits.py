"""Connections and users at the same time."""

from __future__ import annotations

import tracemalloc
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from tests.policies.support import PolicyCase
from tests.policies.support import address as numbered
from twisted_duck.errors import TooManyConnections
from twisted_duck.policies import ConnectionLimit, Mask, Policies, UserLimit

MASKS = (Mask(32, 64, 2), Mask(24, 56, 3), Mask(16, 48, 4))


class MaskTests(PolicyCase):
    def test_key(self) -> None:
        mask = Mask(24, 56, 1)
        same = [("192.0.2.0", "192.0.2.255"), ("2001:db8::", "2001:db8:0:ff:ffff::")]
        other = [("192.0.2.255", "192.0.3.0"), ("2001:db8:0:ff::", "2001:db8:0:100::")]
        for first, second in same:
            self.assertEqual(mask.key(ip_address(first)), mask.key(ip_address(second)))
        for first, second in other:
            self.assertNotEqual(mask.key(ip_address(first)), mask.key(ip_address(second)))

    @given(st.ip_addresses(v=4), st.ip_addresses(v=6), st.integers(0, 32), st.integers(0, 128))
    def test_IPv4_and_IPv6_have_nothing_in_common(self, four, six, v4, v6) -> None:  # type: ignore[no-untyped-def]
        mask = Mask(v4, v6, 1)
        self.assertTrue(mask.key(six) < 0 <= mask.key(four))

    def test_what_is_no_mask(self) -> None:
        for bad in ((33, 64, 1), (32, 129, 1), (-1, 64, 1), (32, 64, 0)):
            with self.assertRaises(ValueError):
                Mask(*bad)


class ConnectionLimitTests(PolicyCase):
    def test_for_each_of_three_masks(self) -> None:
        for addresses in (
            ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.3.1", "198.51.100.1"],
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:0:100::1", "2001:db9::1"],
        ):
            policy = ConnectionLimit(MASKS)
            first, second, third, fourth, elsewhere = addresses
            sessions = [self.admitted(policy, address) for address in (first, second)]
            self.refused(policy, first)
            sessions.append(self.admitted(policy, third))
            self.refused(policy, third)
            sessions.append(self.admitted(policy, fourth))
            self.refused(policy, fourth)
            sessions.append(self.admitted(policy, elsewhere))
            for session in sessions:
                self.close(policy, session)
            self.assertEqual(len(policy), 0)

    def test_who_goes_makes_room_for_one(self) -> None:
        policy = ConnectionLimit(MASKS)
        first, _ = self.admitted(policy), self.admitted(policy)
        self.close(policy, first)
        self.close(policy, first)
        self.admitted(policy)
        self.refused(policy)

    def test_asked_twice_about_a_connection(self) -> None:
        policy = ConnectionLimit(MASKS)
        session = self.admitted(Policies(policy, Policies(policy)))
        self.admitted(policy)
        self.refused(policy)
        policy.onClose(session)
        policy.onClose(session)
        self.admitted(policy)
        self.refused(policy)

    def test_who_was_refused_took_nothing(self) -> None:
        # Neither of the masks in front of the one that is full.
        policy = ConnectionLimit(MASKS)
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            self.admitted(policy, address)
        before = len(policy)
        for host in range(4, 200):
            self.refused(policy, f"192.0.2.{host}")
        self.assertEqual(len(policy), before)

    def test_trusted(self) -> None:
        policy = ConnectionLimit(MASKS, trusted=["192.0.2.0/24"])
        for _ in range(100):
            self.admitted(policy)
        self.assertEqual(len(policy), 0)

    def test_who_has_no_network_address(self) -> None:
        policy = ConnectionLimit(MASKS)
        for _ in range(100):
            self.close(policy, self.admitted(policy, ""))

    def test_it_is_said_why(self) -> None:
        policy = ConnectionLimit((Mask(24, 56, 1),))
        self.admitted(policy)
        with self.log() as lines:
            self.refused(policy)
        self.assertTrue(lines[0].endswith("connection limit refuses: 1 from 192.0.2.0/24"), lines)


class SizeTests(PolicyCase):
    def test_what_a_connection_takes(self) -> None:
        """One that has nothing in common with another, in three masks."""
        policy = ConnectionLimit()
        sessions = [self.session(numbered(number * 65_537 * 3)) for number in range(10_000)]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for session in sessions:
            policy.onConnect(session)
        size, _ = tracemalloc.get_traced_memory()
        self.assertEqual(len(policy), 30_000)
        self.assertTrue(size < 10_000 * 700, size)

    def test_a_million_addresses(self) -> None:
        """What is there at the same time is all that is remembered."""
        policy = ConnectionLimit((Mask(32, 64, 50),))
        session, most = self.session(), 0
        for number in range(1_000_000):
            session.remoteAddress = numbered(number)
            policy.onConnect(session)
            if not number % 1_000:
                most = max(most, len(policy))
            policy.onClose(session)
        self.assertEqual((most, len(policy), policy.refused), (1, 0, 0))


class UserLimitTests(PolicyCase):
    def test_a_user(self) -> None:
        policy = UserLimit(2)
        sessions = [self.session(user=user) for user in ("alice", "alice", "bob", "alice")]
        for session in sessions[:3]:
            policy.onAuthenticated(session)
        with self.assertRaises(TooManyConnections):
            policy.onAuthenticated(sessions[3])
        self.close(policy, sessions[0])
        policy.onAuthenticated(sessions[3])
        for session in sessions:
            self.close(policy, session)
        self.assertEqual((len(policy), policy.refused), (0, 1))

    def test_a_login_that_did_not_come_about(self) -> None:
        policy = UserLimit(1)
        session = self.session(user="alice")
        policy.onAuthenticated(session)
        policy.onUnauthenticated(session)
        policy.onAuthenticated(self.session(user="alice"))
        self.close(policy, session)
        self.assertEqual(len(policy), 1)

    def test_a_connection_that_logs_in_again(self) -> None:
        policy = UserLimit(1)
        session = self.session(user="alice")
        policy.onAuthenticated(session)
        session.user = "bob"
        policy.onAuthenticated(session)
        policy.onAuthenticated(self.session(user="alice"))

    def test_nobody(self) -> None:
        policy = UserLimit(1)
        for _ in range(2):
            policy.onAuthenticated(self.session())
        self.assertEqual(len(policy), 0)
