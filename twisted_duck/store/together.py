"""Questions that many ask at the same time, put to the database as one."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_duck import errors

Q = TypeVar("Q")
A = TypeVar("A")


class Together(Generic[Q, A]):
    """One is under way at a time.  It is about all that was asked in one turn of the reactor, or while the one before was under
    way; so it begins when all who share it have asked, and tells nobody of a state that was over by then.
    """

    def __init__(
        self, answer: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], most: int, reactor: Any
    ) -> None:
        """
        @param answer: answers several questions, in their order
        @param most: how many it is given at a time
        """
        self._answer = answer
        self._most = most
        self._reactor = reactor
        self._waiting: deque[tuple[Q, Deferred[A]]] = deque()
        self._busy = False

    def ask(self, question: Q) -> Deferred[A]:
        """Its answer.  Fails as `answer` does, and with Unavailable if those before it do: what can't be had is not waited for
        again and again.
        """
        asked: Deferred[A] = Deferred()
        self._waiting.append((question, asked))
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._work())
        return asked

    async def _work(self) -> None:
        try:
            await deferLater(self._reactor, 0)
            while self._waiting:
                await self._ask_next()
        finally:
            self._busy = False

    async def _ask_next(self) -> None:
        some = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            answers = await self._answer([question for question, _ in some])
        except errors.Unavailable as error:
            some += self._waiting
            self._waiting.clear()
            for _, asked in some:
                # One of its own for each: an error keeps whatever it came through.
                asked.errback(errors.Unavailable(error.message))
        except Exception:  # noqa: BLE001 - it is passed on to all who asked
            failure = Failure()
            for _, asked in some:
                asked.errback(failure)
        else:
            for (_, asked), answer in zip(some, answers, strict=True):
                asked.callback(answer)
