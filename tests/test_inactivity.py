"""Time-outs of a connection."""

from __future__ import annotations

from math import inf

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.inactivity import Inactivity


class InactivityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ended: list[str] = []
        #: What the client has taken of an answer that waits for it.
        self.taken: int | None = None
        self.timer = Inactivity(
            self.clock,
            self.ended.append,
            login=10,
            command=100,
            reading=30,
            progress=lambda: self.taken,
        )

    def pass_(self, seconds: int) -> None:
        self.clock.pump([1] * seconds)

    def test_login_is_counted_absolutely(self) -> None:
        for _ in range(9):
            self.pass_(1)
            self.timer.working()
            self.timer.idle()
            self.timer.received()
        self.assertEqual(self.ended, [])
        self.pass_(1)
        self.assertEqual(self.ended, ["no login in time"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_commands_are_counted_from_the_end_of_the_last_one(self) -> None:
        self.timer.logged_in()
        self.pass_(60)
        self.timer.working()
        self.pass_(500)
        self.timer.idle()
        self.pass_(99)
        self.assertEqual(self.ended, [])
        self.pass_(1)
        self.assertEqual(self.ended, ["idle for too long"])

    def test_how_long_the_client_was_waited_for(self) -> None:
        self.pass_(2)
        self.assertEqual(self.timer.waited, 2)
        self.timer.received()
        self.assertEqual(self.timer.waited, 0)
        self.timer.working()
        self.assertEqual(self.timer.waited, inf)
        self.pass_(1)
        self.timer.idle()
        self.assertEqual(self.timer.waited, 0)

    def test_what_arrives_is_a_sign_of_life(self) -> None:
        self.timer.logged_in()
        for _ in range(10):
            self.pass_(99)
            self.timer.received()
        self.pass_(99)
        self.assertEqual(self.ended, [])

    def test_looking_at_the_clock_twice_does_not_make_it_later(self) -> None:
        self.timer.logged_in()
        self.timer.idle()
        self.pass_(50)
        self.timer.idle()
        self.pass_(50)
        self.assertEqual(self.ended, ["idle for too long"])

    def test_client_that_takes_something_now_and_then(self) -> None:
        self.timer.logged_in()
        self.timer.working()
        for self.taken in range(20):
            self.pass_(29)
        self.assertEqual(self.ended, [])

    def test_client_that_takes_nothing_is_gone_soon_after_its_time(self) -> None:
        self.timer.logged_in()
        self.timer.working()
        self.pass_(7)
        self.taken = 1
        self.pass_(29)
        self.assertEqual(self.ended, [])
        self.pass_(8)
        self.assertEqual(self.ended, ["the client does not read"])

    def test_client_that_reads_is_not_asked_how_much(self) -> None:
        self.timer.logged_in()
        self.timer.working()
        self.pass_(1000)
        self.assertEqual(self.ended, [])

    def test_stopped_for_good(self) -> None:
        self.timer.logged_in()
        self.timer.stop()
        self.timer.stop()
        self.pass_(1000)
        self.assertEqual((self.ended, self.clock.getDelayedCalls()), ([], []))
