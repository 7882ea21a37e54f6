"""Questions that many ask at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck import errors
from twisted_duck.store.together import Together


class TogetherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        #: What was asked of the database, and what it will answer.
        self.asked: list[tuple[list[int], Deferred[list[str]]]] = []
        self.together = Together(self.answer, 3, self.clock)

    async def answer(self, questions: Sequence[int]) -> list[str]:
        answers: Deferred[list[str]] = Deferred()
        self.asked.append((list(questions), answers))
        return await answers

    def ask(self, *questions: int) -> list[Deferred[str]]:
        return [self.together.ask(each) for each in questions]

    def turn(self) -> None:
        self.clock.advance(0)

    def answered(self, at: int) -> None:
        questions, answers = self.asked[at]
        answers.callback([f"{each}!" for each in questions])

    @property
    def questions(self) -> list[list[int]]:
        return [questions for questions, _ in self.asked]

    def test_what_is_asked_in_one_turn_is_one_question(self) -> None:
        one, two = self.ask(1, 2)
        self.assertEqual(self.questions, [])
        self.turn()
        self.assertEqual(self.questions, [[1, 2]])
        self.answered(0)
        self.assertEqual(self.successResultOf(one), "1!")
        self.assertEqual(self.successResultOf(two), "2!")

    def test_who_asks_while_one_is_under_way_is_told_by_the_next(self) -> None:
        """What is under way may have been looked up before they asked."""
        self.ask(1)
        self.turn()
        two, three = *self.ask(2), *self.ask(3)
        self.turn()
        self.assertEqual(self.questions, [[1]])
        self.answered(0)
        self.assertEqual(self.questions, [[1], [2, 3]])
        self.assertNoResult(two)
        self.answered(1)
        self.assertEqual([self.successResultOf(each) for each in (two, three)], ["2!", "3!"])

    def test_a_question_is_about_three_at_the_most(self) -> None:
        asked = self.ask(1, 2, 3, 4)
        self.turn()
        self.answered(0)
        self.answered(1)
        self.assertEqual(self.questions, [[1, 2, 3], [4]])
        self.assertEqual([self.successResultOf(each) for each in asked], ["1!", "2!", "3!", "4!"])

    def test_who_has_an_answer_may_ask_again(self) -> None:
        [one] = self.ask(1)
        again = one.addCallback(lambda _: self.together.ask(2))
        self.turn()
        self.answered(0)
        self.turn()
        self.answered(1)
        self.assertEqual(self.successResultOf(again), "2!")
        [three] = self.ask(3)
        self.turn()
        self.answered(2)
        self.assertEqual(self.successResultOf(three), "3!")

    def test_nobody_waits_for_what_cannot_be_had(self) -> None:
        asked = self.ask(1, 2, 3, 4)
        self.turn()
        self.asked[0][1].errback(errors.Unavailable("away"))
        found = [self.failureResultOf(each, errors.Unavailable).value for each in asked]
        self.assertEqual([each.message for each in found], ["away"] * 4)
        self.assertEqual(len(set(map(id, found))), 4)
        # It is asked for again by whoever comes later.
        [five] = self.ask(5)
        self.turn()
        self.assertEqual(self.questions, [[1, 2, 3], [5]])
        self.answered(1)
        self.assertEqual(self.successResultOf(five), "5!")

    def test_what_is_wrong_with_one_question_is_not_with_the_next(self) -> None:
        asked = self.ask(1, 2, 3, 4)
        self.turn()
        self.asked[0][1].errback(errors.ServerError("broken"))
        for each in asked[:3]:
            self.failureResultOf(each, errors.ServerError)
        self.answered(1)
        self.assertEqual(self.successResultOf(asked[3]), "4!")
