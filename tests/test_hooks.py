"""What a hook may answer with."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.hooks import ask


class Eventually(Awaitable[str]):
    """Neither a coroutine nor a Deferred."""

    def __init__(self, answer: Deferred[str]) -> None:
        self._answer = answer

    def __await__(self) -> Generator[Any, Any, str]:
        return self._answer.__await__()


class AskTests(SynchronousTestCase):
    def test_values_and_whatever_can_be_waited_for(self) -> None:
        async def coroutine(name: str) -> str:
            return name

        @inlineCallbacks
        def callbacks(name: str) -> Generator[Deferred[str], str, str]:
            return (yield succeed(name))

        @types.coroutine
        def decorated(name: str) -> Generator[Any, Any, str]:
            return (yield from succeed(name).__await__())

        for hook in (
            lambda name: name,
            coroutine,
            callbacks,
            decorated,
            succeed,
            lambda name: Eventually(succeed(name)),
        ):
            self.assertEqual(self.successResultOf(ask(hook, "ada")), "ada")

    def test_it_waits_and_what_is_waited_for_is_cancelled(self) -> None:
        for made in (lambda answer: answer, Eventually):
            cancelled: list[Deferred[str]] = []
            answer: Deferred[str] = Deferred(cancelled.append)
            asked = ask(lambda answer=answer, made=made: made(answer))
            self.assertNoResult(asked)
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
            self.assertEqual(cancelled, [answer])

    def test_it_fails_as_the_hook_does(self) -> None:
        async def later() -> None:
            raise ZeroDivisionError

        for hook in (lambda: 1 / 0, later):
            self.failureResultOf(ask(hook), ZeroDivisionError)

    def test_a_generator_is_no_answer(self) -> None:
        """`inlineCallbacks` was forgotten: what it would say is not known."""

        def generator() -> Iterator[None]:
            yield

        async def several() -> AsyncIterator[None]:
            yield

        for hook in (generator, several):
            failure = self.failureResultOf(ask(hook), TypeError)
            self.assertIn("inlineCallbacks is missing", str(failure.value))
