"""Memory that is given out in turn."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import Unavailable
from twisted_duck.store.room import Room


class RoomTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.room = Room(10)

    def test_what_fits_is_had_at_once(self) -> None:
        self.assertEqual(self.successResultOf(self.room.take(6)), 6)
        self.assertEqual(self.successResultOf(self.room.take(4)), 4)

    def test_others_wait_until_enough_is_given_back(self) -> None:
        self.successResultOf(self.room.take(8))
        second = self.room.take(5)
        self.assertNoResult(second)
        self.room.give_back(8)
        self.assertEqual(self.successResultOf(second), 5)

    def test_they_come_in_their_order_whether_or_not_there_is_room_for_a_small_one(self) -> None:
        self.successResultOf(self.room.take(8))
        came: list[int] = []
        for size in (5, 1, 4):
            self.room.take(size).addCallback(came.append)
        self.assertEqual(came, [])
        self.room.give_back(8)
        self.assertEqual(came, [5, 1, 4])

    def test_who_wants_more_than_there_is_has_all_of_it(self) -> None:
        self.successResultOf(self.room.take(1))
        much = self.room.take(99)
        self.assertNoResult(much)
        self.room.give_back(1)
        self.assertEqual(self.successResultOf(much), 10)
        self.assertNoResult(self.room.take(1))

    def test_those_who_wait_may_be_refused_and_others_come(self) -> None:
        self.successResultOf(self.room.take(8))
        waiting = [self.room.take(5), self.room.take(2)]
        self.room.refuse("it is away")
        for each in waiting:
            error = self.failureResultOf(each, Unavailable).value
            self.assertEqual(error.message, "it is away")
        self.assertEqual(self.successResultOf(self.room.take(2)), 2)

    def test_who_gives_up_takes_nothing_with_it(self) -> None:
        self.successResultOf(self.room.take(6))
        first, second = self.room.take(9), self.room.take(4)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.successResultOf(second), 4)
        self.room.give_back(10)
        self.assertEqual(self.successResultOf(self.room.take(10)), 10)
