"""Calling an application's code: whatever it does, only errors of ours come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.mail import imap4
from twisted.python.failure import Failure

from twisted_duck import errors

log = Logger()

#: What an account or a mailbox may raise by its interface, more special ones first.
_ERRORS: tuple[tuple[type[Exception], type[errors.DuckError]], ...] = (
    (imap4.MailboxCollision, errors.AlreadyExists),
    (imap4.NoSuchMailbox, errors.NonExistent),
    (imap4.ReadOnlyMailbox, errors.ReadOnly),
    (imap4.MailboxException, errors.Refused),
    (imap4.IllegalQueryError, errors.Refused),
    (NotImplementedError, errors.Refused),
)


async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What `function` answers, now or by a Deferred.  Fails with a DuckError and nothing else."""
    return await maybeDeferred(function, *args, **kwargs).addErrback(_translate)


async def call_list(function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
    """Like `call`, for what answers an iterable, which may fail half-way."""
    return await maybeDeferred(function, *args, **kwargs).addCallback(list).addErrback(_translate)


def _translate(failure: Failure) -> Failure:
    if failure.check(errors.DuckError):
        return failure
    for raised, error in _ERRORS:
        if failure.check(raised):
            said = " ".join(str(failure.value).split())
            raise error(said or "the mailbox refuses that")
    log.failure("a mailbox of the application failed", failure)
    raise errors.ServerError("the mailbox is broken; it has been logged")
