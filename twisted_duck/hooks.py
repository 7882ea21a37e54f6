"""Calling what an application has given us to be asked: a hook may answer with a value, a Deferred, or anything to be awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isasyncgen, isawaitable, isgenerator
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred


def ask(hook: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """What a hook answers, once it has; cancelling it reaches what the hook waits for.

    Fails as the hook does, and with TypeError where it made a generator: nobody would run it, and what it was to decide would be
    taken for decided.
    """
    return maybeDeferred(_called, hook, arguments)


def _called(hook: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    answer = hook(*arguments)
    if isinstance(answer, Deferred):
        return answer
    if isawaitable(answer):
        return _awaited(answer)
    if isgenerator(answer) or isasyncgen(answer):
        raise TypeError(
            f"{hook!r} has made a generator, which is not run: inlineCallbacks is missing, or there is a yield too many"
        )
    return answer


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer
