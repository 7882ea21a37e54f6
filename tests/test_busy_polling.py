"""Looking a few times more before the reactor sleeps."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.imap.transcript import IMAPCase
from twisted_duck.busy_polling import QUICK, BusyPolling
from twisted_duck.memory.mailbox import MemoryMailbox


class Turns:
    """Counts the turns of a reactor that are asked for."""

    def __init__(self, case: SynchronousTestCase, clock: Clock) -> None:
        self.count = 0
        self._later = clock.callLater
        case.patch(clock, "callLater", self._call_later)

    def _call_later(self, when: float, *what: Any, **named: Any) -> IDelayedCall:
        self.count += when == 0
        return self._later(when, *what, **named)


class BusyPollingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = Turns(self, self.clock)
        self.polling = BusyPolling(self.clock)

    def take_turns(self) -> int:
        """Until no more are asked for: how many there were."""
        before, pending = self.turns.count, len(self.clock.getDelayedCalls())
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return self.turns.count - before + pending

    def test_it_looks_a_few_times(self) -> None:
        self.polling.begin()
        turns = self.take_turns()
        self.assertGreater(turns, 10)
        self.assertLess(turns, 50)
        self.polling.begin()
        self.assertEqual(self.take_turns(), turns)

    def test_several_are_waited_for_in_the_same_turns(self) -> None:
        self.polling.begin()
        self.polling.begin()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        both = self.take_turns()
        self.polling.begin()
        self.assertLessEqual(both, self.take_turns() + 1)

    def test_it_ends_when_the_client_goes_on(self) -> None:
        self.polling.begin()
        self.polling.end()
        self.assertEqual(self.take_turns(), 1)

    def test_it_begins_anew_with_each_answer(self) -> None:
        self.polling.begin()
        turns = self.take_turns()
        self.polling.begin()
        self.polling.end()
        self.polling.begin()
        # The turn that was asked for before is one more.
        self.assertEqual(self.take_turns(), turns + 1)

    def test_nothing_is_left_when_it_stops(self) -> None:
        self.polling.stop()
        self.polling.begin()
        self.polling.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.polling.begin()
        self.assertGreater(self.take_turns(), 10)


class ClientTests(IMAPCase):
    """For which clients a connection does that."""

    def setUp(self) -> None:
        super().setUp()
        self.turns = Turns(self, self.clock)

    @property
    def polls(self) -> bool:
        """Whether the reactor is kept awake."""
        return any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls())

    def after(self, seconds: float, line: str) -> None:
        self.clock.advance(seconds)
        self.assertFalse(self.polls)
        self.client().say(line)

    def test_a_client_that_goes_on_at_once(self) -> None:
        self.client()
        self.after(QUICK / 2, "a1 NOOP")
        self.assertTrue(self.polls)

    def test_a_client_that_takes_its_time(self) -> None:
        self.client()
        self.after(2 * QUICK, "a1 NOOP")
        self.assertFalse(self.polls)
        self.after(QUICK / 2, "a2 NOOP")
        self.assertTrue(self.polls)
        self.after(2 * QUICK, "a3 NOOP")
        self.assertFalse(self.polls)

    def test_a_command_that_comes_in_pieces(self) -> None:
        client = self.client()
        self.clock.advance(1)
        client.send(b"a1 NO")
        self.assertFalse(self.polls)
        self.after(QUICK / 2, "OP")
        self.assertTrue(self.polls)

    def test_not_while_the_store_is_waited_for(self) -> None:
        client = self.client()
        client.say("a1 SELECT INBOX")
        held = self.hold(MemoryMailbox, "refresh")
        self.assertTrue(self.polls)
        client.say("a2 CHECK")
        self.assertEqual(held.count, 1)
        # What was begun behind SELECT ends with the next turn.
        turns = self.turns.count
        self.clock.advance(0)
        self.assertEqual(self.turns.count, turns)
        held.let_go()
        self.assertIn(b"a2 OK", client.heard())
        self.assertTrue(self.polls)

    def test_news_are_no_answer(self) -> None:
        client = self.client()
        self.after(QUICK / 2, "a1 SELECT INBOX")
        self.after(QUICK / 2, "a2 IDLE")
        self.clock.advance(60)
        self.deliver("INBOX", b"\r\n")
        self.assertIn(b"EXISTS", client.heard())
        self.assertFalse(self.polls)
        self.after(60, "DONE")
        self.assertFalse(self.polls)

    def test_not_between_the_pieces_of_a_message(self) -> None:
        client = self.client()
        self.after(QUICK / 2, "a1 APPEND INBOX {40}")
        self.assertTrue(self.polls)
        for _ in range(40):
            self.clock.advance(QUICK / 2)
            client.send(b"x")
            self.assertFalse(self.polls)
        self.clock.advance(QUICK / 2)
        self.assertIn("a1 OK", client.say("")[-1])
        self.assertTrue(self.polls)

    def test_a_client_that_is_gone(self) -> None:
        self.client()
        self.after(QUICK / 2, "a1 NOOP")
        self.client().disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_client_that_leaves_later_in_the_same_turn(self) -> None:
        self.client()
        self.after(QUICK / 2, "a1 NOOP")
        self.assertTrue(self.polls)
        # The turns of a reactor may take long.
        self.clock.rightNow += 1
        self.client().say("a2 LOGOUT")
        self.client().disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])
