"""The lines that say how often each policy has refused somebody."""

from __future__ import annotations

from tests.policies.support import PolicyCase
from twisted_duck.policies import Policy
from twisted_duck.service.refusals import Refusals


class RefusalsTests(PolicyCase):
    def setUp(self) -> None:
        super().setUp()
        self.refusals = Refusals()
        self.a, self.b = Policy("networks"), Policy("bans")

    def said(self, *policies: Policy, last: bool = False) -> list[str]:
        with self.log() as lines:
            self.refusals.count(policies)
            if last:
                self.refusals.sum_up()
            else:
                self.refusals.report()
        return lines

    def test_nobody(self) -> None:
        self.assertEqual(self.said(self.a, self.b) + self.said(self.a, last=True), [])

    def test_lines(self) -> None:
        """What is new, the most frequent first, and no line where nothing is."""
        self.a.refused, self.b.refused = 2, 1200
        said = "1,200 by bans, 2 by networks"
        self.assertEqual(
            self.said(self.a, self.b), [f"refused lately: {said}; since the start: {said}"]
        )
        self.assertEqual(self.said(self.a, self.b), [])
        self.a.refused = 5
        self.assertEqual(
            self.said(self.a, self.b),
            [
                "refused lately: 3 by networks; since the start: 1,200 by bans, 5 by networks",
            ],
        )
        self.a.refused = 6
        self.assertEqual(
            self.said(self.a, self.b, last=True),
            ["refused since the start: 1,200 by bans, 6 by networks"],
        )

    def test_one_that_takes_the_place_of_another(self) -> None:
        """Two of one name are added up, and nothing is lost with one that goes."""
        self.a.refused = 2
        self.refusals.count([self.a])
        new = Policy("networks")
        new.refused = 1
        self.assertEqual(
            self.said(new, last=True),
            ["refused since the start: 3 by networks"],
        )
