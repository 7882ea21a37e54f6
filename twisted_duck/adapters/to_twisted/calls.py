"""From our coroutines and errors to what `twisted.mail` expects."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from twisted.internet.defer import Deferred
from twisted.mail import imap4
from twisted.python.failure import Failure

from twisted_duck import errors

T = TypeVar("T")

#: Which exception says an error over there, more special ones first; MailboxException says the rest.
_EXCEPTIONS: tuple[tuple[type[errors.DuckError], type[imap4.MailboxException]], ...] = (
    (errors.AlreadyExists, imap4.MailboxCollision),
    (errors.ReadOnly, imap4.ReadOnlyMailbox),
)


def deferred(coroutine: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    """What `coroutine` answers; errors of ours become MailboxExceptions."""
    return Deferred.fromCoroutine(coroutine).addErrback(_translate)


def _translate(failure: Failure) -> NoReturn:
    failure.trap(errors.DuckError)
    for error, exception in _EXCEPTIONS:
        if failure.check(error):
            raise exception(failure.getErrorMessage()) from failure.value
    raise imap4.MailboxException(failure.getErrorMessage()) from failure.value


def at_once(coroutine: Coroutine[Deferred[Any], Any, T]) -> Deferred[T] | T:
    """The same for callers that do not wait: the answer itself, or the exception, where it is there already."""
    answer: list[T | Failure] = []
    waiting = deferred(coroutine)

    def keep(result: T | Failure) -> T | Failure:
        answer.append(result)
        return result

    waiting.addBoth(keep)
    if not answer:
        return waiting
    waiting.addErrback(lambda _: None)
    if isinstance(answer[0], Failure):
        answer[0].raiseException()
    return answer[0]
