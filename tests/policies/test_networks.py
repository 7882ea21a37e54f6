"""Networks that may connect, and networks that may not."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from tests.policies.support import PolicyCase
from twisted_duck.errors import NotWelcome
from twisted_duck.policies import Bans, ConnectionLimit, ConnectionRate, Networks


class NetworksCase(PolicyCase):
    def check(self, policy: Networks, verdicts: dict[str, bool]) -> None:
        for address, welcome in verdicts.items():
            with self.subTest(address):
                if welcome:
                    self.close(policy, self.admitted(policy, address))
                else:
                    self.refused(policy, address, NotWelcome)


class NetworksTests(NetworksCase):
    def test_denied(self) -> None:
        self.check(
            Networks(deny=["198.51.100.0/24", "203.0.113.7", "2001:db8::/32"]),
            {
                "198.51.100.0": False,
                "198.51.100.255": False,
                "198.51.101.0": True,
                "203.0.113.7": False,
                "203.0.113.8": True,
                "2001:db8:ffff::1": False,
                "2001:db9::1": True,
            },
        )

    def test_who_is_allowed_is_the_only_one(self) -> None:
        self.check(
            Networks(allow=["192.0.2.0/24"]),
            {"192.0.2.1": True, "192.0.3.1": False, "2001:db8::1": False},
        )

    def test_the_most_specific_network_decides(self) -> None:
        self.check(
            Networks(
                allow=["192.0.2.128/25", "192.0.2.1", "::/0"],
                deny=["192.0.2.0/24", "192.0.2.129", "2001:db8::/32"],
            ),
            {
                "192.0.2.1": True,
                "192.0.2.2": False,
                "192.0.2.128": True,
                "192.0.2.129": False,
                "10.0.0.1": False,
                "2001:db8::1": False,
                "2001:db9::1": True,
            },
        )

    def test_the_same_one_is_denied(self) -> None:
        both = ["192.0.2.0/24"]
        self.check(Networks(allow=both, deny=both), {"192.0.2.1": False})

    def test_everybody(self) -> None:
        self.check(Networks(), {"192.0.2.1": True, "::1": True})
        self.check(Networks(deny=["0.0.0.0/0"]), {"192.0.2.1": False, "::1": True})

    def test_who_has_no_network_address(self) -> None:
        self.check(Networks(allow=["192.0.2.0/24"]), {"": True})

    def test_it_is_said_why(self) -> None:
        with self.log() as lines:
            session = self.refused(Networks(deny=["192.0.2.0/24"]), "192.0.2.1", NotWelcome)
        self.assertEqual(lines, [f"{session.id} IMAP from 192.0.2.1: networks refuses: denied"])

    def test_what_is_no_network(self) -> None:
        for network in ("192.0.2.1/24", "example.org", "192.0.2.0/33"):
            with self.assertRaises(ValueError):
                Networks(deny=[network])

    def test_what_is_wanted_is_said(self) -> None:
        """The configuration's words are its own, and one network is not a list of them."""
        made: list[Callable[[Any], object]] = [
            lambda given: Networks(allow=given),
            lambda given: Networks(deny=given),
            lambda given: Bans(trusted=given),
            lambda given: ConnectionLimit(trusted=given),
            lambda given: ConnectionRate(trusted=given, clock=self.clock),
        ]
        for make in made:
            with self.assertRaisesRegex(ValueError, "'private' .* written as '192.0.2.0/24'"):
                make(["private"])
            for one in ("192.0.2.0/24", ip_network("192.0.2.0/24")):
                with self.assertRaisesRegex(TypeError, r"in a list, as \['192.0.2.0/24'\]"):
                    make(one)


class FileTests(NetworksCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = Path(self.mktemp())

    def test_read_again(self) -> None:
        self.file.write_text("# from the list of 3 May\n\n 192.0.2.0/24  # noisy\n2001:db8::1\n")
        policy = Networks(denyFile=self.file)
        self.check(policy, {"192.0.2.1": False, "2001:db8::1": False, "198.51.100.1": True})
        self.file.write_text("198.51.100.1")
        policy.reload()
        self.check(policy, {"192.0.2.1": True, "198.51.100.1": False})

    def test_allowed(self) -> None:
        self.file.write_text("192.0.2.0/24")
        policy = Networks(allow=["::1"], allowFile=str(self.file))
        self.check(policy, {"192.0.2.1": True, "::1": True, "198.51.100.1": False})

    def test_a_bad_one_changes_nothing(self) -> None:
        self.file.write_text("192.0.2.0/24")
        policy = Networks(denyFile=self.file)
        self.file.write_text("198.51.100.1\n192.0.2.1/24\n")
        with self.assertRaises(ValueError) as caught:
            policy.reload()
        self.assertIn(f"{self.file}, line 2: ", str(caught.exception))
        self.file.unlink()
        with self.assertRaises(OSError):
            policy.reload()
        self.check(policy, {"192.0.2.1": False, "198.51.100.1": True})
