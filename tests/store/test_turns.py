"""Pieces of work, one in each turn of the reactor."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.store.turns import Turns


class Reactor:
    """As a reactor does it, and `task.Clock` does not: what is called later in a turn is called in the next one."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callLater(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.turns = Turns(self.reactor)  # type: ignore[arg-type]
        self.done: list[str] = []

    def ask(self, *names: str) -> None:
        for name in names:
            Deferred.fromCoroutine(self.work(name))

    async def work(self, name: str) -> None:
        await self.turns.mine()
        self.done.append(name)

    def turn(self) -> str:
        """What was done in one turn."""
        del self.done[:]
        self.reactor.turn()
        return "".join(self.done)

    def test_the_first_one_at_once_and_one_a_turn(self) -> None:
        self.ask("a", "b", "c")
        self.assertEqual(self.done, ["a"])
        self.assertEqual(self.turn(), "b")
        self.ask("d")
        self.assertEqual([self.turn() for _ in range(3)], ["c", "d", ""])

    def test_where_nobody_waits_nothing_is_left_to_do(self) -> None:
        self.ask("a")
        self.turn()
        self.assertEqual(self.reactor.calls, [])
        self.ask("b")
        self.assertEqual(self.done, ["b"])

    def test_who_asks_when_a_piece_is_done_comes_later(self) -> None:
        async def twice() -> None:
            await self.work("x")
            await self.work("y")

        Deferred.fromCoroutine(twice())
        self.ask("a")
        self.assertEqual(self.done, ["x"])
        self.assertEqual([self.turn() for _ in range(3)], ["y", "a", ""])

    def test_who_does_not_want_it_any_more_has_no_turn(self) -> None:
        self.ask("a")
        waiting = Deferred.fromCoroutine(self.work("b"))
        self.ask("c")
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        self.assertEqual([self.turn() for _ in range(3)], ["", "c", ""])
