"""What a command to MongoDB may fail with, and what that means."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from bson.errors import BSONError
from pymongo.errors import ConnectionFailure
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.logger import Logger

from twisted_duck import errors
from twisted_duck.store.driver import Document
from twisted_duck.store.uri import Target

log = Logger()

DUPLICATE_KEY = 11000
#: Somebody who is known, or nobody at all, may not do it.
_UNAUTHORIZED = 13
#: Somebody who is not known, or with another password; Atlas has a code of its own.
_NOT_AUTHENTICATED = frozenset({18, 8000})
#: No space left, the server is shutting down, interrupted, memory or time exceeded, a cursor or a snapshot that did not
#: outlive a fail-over: not our doing, and it may pass.
_MAY_PASS = frozenset(
    {14031, 6, 7, 43, 50, 89, 91, 133, 175, 189, 202, 237, 239, 246, 262, 292, 9001}
    | {11600, 11601, 11602, 10107, 13435, 13436}
)
#: A snapshot that is not there yet, right after a start or after an index was made: in a moment it is.
IN_A_MOMENT = frozenset({246})
#: After these the outcome of a commit is not known (write concern not met, time over, interrupted, primary going away).
UNKNOWN_COMMIT = frozenset(
    {64, 50, 6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11601, 11602, 13435, 13436}
)
_NO_SUCH_TRANSACTION = 251
#: A transaction that does not fit into a share of the server's cache, and never will.
_TOO_LARGE = 388


class CommandFailed(Exception):
    """The server refused a command.  Never leaves the storage plane; never carries what was sent."""

    def __init__(self, name: str, reply: Document, target: Target | None = None) -> None:
        self.code = int(reply.get("code") or 0)
        self.labels: Sequence[str] = reply.get("errorLabels") or ()
        #: Whether the server could not say that a majority knows of it, too.
        self.unmet = bool(reply.get("writeConcernError"))
        super().__init__(f"{name}: {reply.get('codeName', self.code)}")
        #: The server's words: for the log only, they may quote mail.
        self.text = str(reply.get("errmsg", ""))
        #: Where it was sent, and as whom.
        self.target = target


#: What a command may fail with before it is translated.
FAILURES: Final = (CommandFailed, ConnectionFailure, OutOfTime, BSONError)


def translate(error: Exception) -> errors.DuckError:
    """The error of `twisted_duck.errors` that says what the driver's says."""
    if isinstance(error, (ConnectionFailure, OutOfTime)):
        return errors.Unavailable("the database is away, try again later")
    if isinstance(error, CommandFailed):
        if error.code == DUPLICATE_KEY:
            return errors.AlreadyExists("it exists already")
        if error.code == _TOO_LARGE:
            return errors.TooMany("that is more than can be done at once; do it in several parts")
        if error.code == _UNAUTHORIZED:
            log.error("MongoDB does not let us: {text}", text=error.text)
            return errors.NotAllowed(_missing(error.target))
        if error.code in _NOT_AUTHENTICATED:
            log.error("MongoDB refuses us: {text}", text=error.text)
            return errors.Unavailable("the database refuses the server's credentials")
        if error.code in _MAY_PASS:
            log.error("MongoDB: {text}", text=error.text)
            return errors.Unavailable("the database can't do it now, try again later")
        log.error("MongoDB refused {command}: {text}", command=str(error), text=error.text)
    else:
        log.error("BSON: {error!r}", error=error)
    return errors.ServerError("the store could not do it; this is a fault of the server")


def _missing(target: Target | None) -> str:
    """What right, and whose."""
    if target is None:
        return "the database does not let the server do that"
    if not target.has_credentials:
        return (
            f"the database {target.database!r} is for those who log in: put user and password into the URI,"
            " as mongodb://user:password@host"
        )
    return f"{target.who} may not do that in the database {target.database!r}: it needs readWrite there"


def is_transient(error: Exception) -> bool:
    if isinstance(error, CommandFailed):
        return "TransientTransactionError" in error.labels or error.code == _NO_SUCH_TRANSACTION
    # Before the commit nothing has taken effect, so a lost connection is no different from a conflict.
    return isinstance(error, ConnectionFailure)


def pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt: growing, and different for everybody."""
    longest = 0.004
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(longest * 1.6, 0.5)
