"""Passwords that were found good a moment ago, so that a client's next connection need not be hashed again.

A mail program makes ten connections where one would do, and Argon2id is meant to be dear.  Kept for a minute, for each user,
is a keyed hash of what made the password good: the user, the stored hash and the password.  So it is good for nothing once
the stored hash is another one, and the checker reads that for every login.

Whoever can read the memory of the process finds the key beside it, and can guess at the passwords of those who logged in
within that minute as fast as this hash is: the same who could read the passwords as they arrive.  That is why what is
over is removed by a timer, not when somebody happens to look.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_duck.auth.interfaces import UserRecord
from twisted_duck.limits import DEFAULTS, Limits

#: Seconds.
LIFE = 60.0


class VerifiedPasswords:
    """The last good password of each of the last `Limits.verified_passwords` users.

    @param seconds: how long a password is good for without being hashed, from when it was hashed
    """

    def __init__(
        self, clock: IReactorTime, seconds: float = LIFE, limits: Limits | None = None
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = (limits or DEFAULTS).verified_passwords
        self._secret = secrets.token_bytes(32)
        #: User -> hash, and when it ends, in the order in which they do.
        self._known: OrderedDict[Any, tuple[bytes, float]] = OrderedDict()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._known)

    def holds(self, record: UserRecord, password: str) -> bool:
        """Whether this password was good for this user, whose stored hash is the same still."""
        known, until = self._known.get(record.id, (b"", 0.0))
        good = compare_digest(known, self._digest(record, password))
        return good and self._clock.seconds() < until

    def keep(self, record: UserRecord, password: str) -> None:
        """It was hashed, and is good."""
        until = self._clock.seconds() + self._seconds
        self._known[record.id] = self._digest(record, password), until
        self._known.move_to_end(record.id)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._forget)

    def clear(self) -> None:
        """Forget all of them; no timer is left."""
        self._known.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forget(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._known:
            _, until = next(iter(self._known.values()))
            if until > now:
                self._timer = self._clock.callLater(until - now, self._forget)
                return
            self._known.popitem(last=False)

    def _digest(self, record: UserRecord, password: str) -> bytes:
        # Each with its length, so that nothing of one can be taken for the other.
        parts = (str(record.id), record.password_hash or "", password)
        text = "".join(f"{len(part)} {part}" for part in parts)
        return blake2b(text.encode("utf-8", "surrogatepass"), key=self._secret).digest()
