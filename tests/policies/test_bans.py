"""Bans for whoever tries passwords."""

from __future__ import annotations

from tests.policies.support import PolicyCase, address, octets
from twisted_duck.errors import ConnectionRefused
from twisted_duck.limits import Limits
from twisted_duck.policies import Bans, Mask


class BansTests(PolicyCase):
    def policy(self, entries: int = 1000, **options: object) -> Bans:
        return Bans(
            Mask(32, 64, 5),
            600,
            3600,
            limits=Limits(ban_entries=entries),
            clock=self.clock,
            **options,  # type: ignore[arg-type]
        )

    def fail_with(self, policy: Bans, *passwords: str, host: str = "192.0.2.1") -> None:
        for password in passwords:
            policy.loginFailed(self.session(host), "alice", password)

    def test_five_different_passwords(self) -> None:
        policy = self.policy()
        self.fail_with(policy, *"1234")
        connected = self.admitted(policy)
        self.fail_with(policy, "5")
        self.refused(policy, kind=ConnectionRefused)
        self.admitted(policy, "192.0.2.2")
        [ban] = policy.bans()
        self.assertEqual(
            (ban.network, ban.reason, ban.until), ("192.0.2.1/32", "5 wrong passwords", 3600)
        )
        # Who was there stays.
        self.close(policy, connected)

    def test_it_ends(self) -> None:
        policy = self.policy()
        self.fail_with(policy, *"12345")
        self.clock.advance(3599)
        self.refused(policy, kind=ConnectionRefused)
        self.clock.advance(1)
        self.admitted(policy)
        self.assertEqual((policy.bans(), len(policy)), ([], 0))

    def test_an_old_password_is_one_password(self) -> None:
        policy = self.policy()
        self.fail_with(policy, *["old"] * 1000, *"123")
        self.admitted(policy)

    def test_one_password_for_many_users_is_many(self) -> None:
        policy = self.policy()
        for user in ("a", "b", "c", "d", "e"):
            policy.loginFailed(self.session(), user, "123456")
        self.refused(policy, kind=ConnectionRefused)

    def test_where_the_name_ends_and_the_password_begins(self) -> None:
        policy = self.policy()
        for user, password in (("a", "b c d"), ("a b", "c d"), ("a b c", "d"), ("a", "b c d")):
            policy.loginFailed(self.session(), user, password)
        self.admitted(policy)
        self.fail_with(policy, *"12")
        self.refused(policy, kind=ConnectionRefused)

    def test_after_a_while_they_are_forgotten(self) -> None:
        policy = self.policy()
        self.fail_with(policy, *"1234")
        self.clock.advance(600)
        self.fail_with(policy, *"5678")
        self.admitted(policy)
        self.fail_with(policy, "9")
        self.refused(policy, kind=ConnectionRefused)

    def test_a_network_of_IPv6(self) -> None:
        policy = self.policy()
        for host in range(5):
            self.fail_with(policy, str(host), host=f"2001:db8::{host}")
        self.refused(policy, "2001:db8::ffff", ConnectionRefused)
        self.admitted(policy, "2001:db8:0:1::1")

    def test_trusted(self) -> None:
        policy = self.policy(trusted=["192.0.2.0/24"])
        self.fail_with(policy, *map(str, range(100)))
        self.fail_with(policy, *map(str, range(100)), host="")
        self.admitted(policy)
        self.assertEqual(len(policy), 0)

    def test_lifted(self) -> None:
        policy = self.policy()
        self.fail_with(policy, *"12345")
        self.assertTrue(policy.lift("192.0.2.1/32"))
        self.assertFalse(policy.lift("192.0.2.1"))
        self.admitted(policy)
        self.fail_with(policy, *"1234")
        self.admitted(policy)
        with self.assertRaises(ValueError):
            policy.lift("alice")

    def test_the_log(self) -> None:
        policy = self.policy()
        with self.log() as lines:
            self.fail_with(policy, *"12345")
            self.clock.advance(600)
            session = self.refused(policy, kind=ConnectionRefused)
        first, _, lines[0] = lines[0].partition(": ")
        # Of the connection on which the last one was tried.
        self.assertEqual(len(first), len(session.id))
        self.assertEqual(
            lines,
            [
                "192.0.2.1/32 is banned for 3600 s: 5 wrong passwords",
                f"{session.id} IMAP from 192.0.2.1: bans refuses: 192.0.2.1/32 is banned for"
                " another 3000 s: 5 wrong passwords",
            ],
        )

    def test_no_password_is_kept(self) -> None:
        policy = self.policy()
        self.fail_with(policy, "wonderland")
        self.assertNotIn("wonderland", repr(vars(policy)))

    def test_anything_may_be_a_password(self) -> None:
        self.fail_with(self.policy(), "\udcff", "", "\0", "é" * 10_000)

    def test_what_a_network_takes(self) -> None:
        """At the default of twenty: as many with nineteen failures as there is room for, and as many bans."""

        def made() -> Bans:
            policy = Bans(limits=Limits(ban_entries=1_000), clock=self.clock)
            session = self.session()
            for number in range(3_000):
                session.remoteAddress = address(number)
                for password in range(20 if number < 1_000 else 19):
                    policy.loginFailed(session, "alice", str(password))
            self.assertEqual(len(policy), 2_000)
            return policy

        self.assertLess(octets(made), 2_000 * 500)

    def test_a_million_addresses(self) -> None:
        policy = Bans(Mask(32, 64, 2), clock=self.clock)
        session = self.session()
        for number in range(1_000_000):
            session.remoteAddress = address(number)
            policy.loginFailed(session, "alice", "1")
        self.assertEqual(len(policy), Limits().ban_entries)
