"""Password hashes: Argon2id (RFC 9106) as PHC strings, made and checked in threads, a few at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import ParamSpec, TypeVar

from attrs import field, frozen
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from twisted_duck.auth.turns import Turns
from twisted_duck.auth.verifiers import make_verifiers
from twisted_duck.errors import Corruption, Unavailable
from twisted_duck.limits import Limits

P = ParamSpec("P")
T = TypeVar("T")

_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
)


class TooManyLogins(Unavailable):
    """More than are let wait: this one was not looked at."""


@frozen
class Argon2Parameters:
    """What a guess costs.  The default is OWASP's first choice: 50 ms of one core."""

    #: KiB.
    memory: int = 19 * 1024
    iterations: int = 2
    lanes: int = 1

    @classmethod
    def of(cls, encoded: str) -> Argon2Parameters:
        """Those of a PHC string.  Fails with Corruption for anything else."""
        match = _PHC.fullmatch(encoded)
        if match is None:
            raise Corruption("a stored password hash is not an Argon2id PHC string")
        return cls(*map(int, match.groups()))


DEFAULT = Argon2Parameters()


def hash_password(password: str, parameters: Argon2Parameters = DEFAULT) -> str:
    """A PHC string with a salt of its own.  Takes its time; see `PasswordHasher`."""
    return Argon2id(
        salt=os.urandom(16),
        length=32,
        iterations=parameters.iterations,
        lanes=parameters.lanes,
        memory_cost=parameters.memory,
    ).derive_phc_encoded(password.encode())


def verify_password(password: str, encoded: str) -> bool:
    """Whether `encoded` is a hash of `password`.  Takes its time; fails with Corruption for what is no PHC string."""
    Argon2Parameters.of(encoded)
    try:
        Argon2id.verify_phc_encoded(password.encode(), encoded)
    except InvalidKey:
        return False
    except ValueError as error:
        raise Corruption(f"a stored password hash has impossible parameters: {error}") from None
    return True


def needs_rehash(encoded: str, parameters: Argon2Parameters = DEFAULT) -> bool:
    """Whether a hash was made with other parameters than are wanted now."""
    return Argon2Parameters.of(encoded) != parameters


@frozen(eq=False)
class PasswordHasher:
    """Hashes in threads, its own or the reactor's, at most `Limits.hashing_threads` at once, in the order they were asked for.

    With more than `Limits.hashing_queue` waiting it fails with `TooManyLogins`.  A job whose Deferred is cancelled while it waits is
    forgotten; one that has begun keeps its place until the thread is done with it, so that no client can start more
    by going away.
    """

    reactor: IReactorThreads
    limits: Limits = field(factory=Limits)
    parameters: Argon2Parameters = DEFAULT
    _threads: ThreadPool | None = field(default=None, repr=False)
    #: What unknown users are checked against, so that they take as long as known ones.
    _nobody: str = field(init=False, repr=False)
    _turns: Turns = field(init=False, repr=False)

    @_nobody.default
    def _hash_of_nobody(self) -> str:
        return hash_password(os.urandom(16).hex(), self.parameters)

    @_turns.default
    def _as_many_turns_as_threads(self) -> Turns:
        return Turns(self.reactor, self.limits.hashing_threads)

    async def hash(self, password: str) -> str:
        return await self._run(hash_password, password, self.parameters)

    async def verifiers(self, password: str, iterations: Mapping[str, int]) -> tuple[str, ...]:
        """What SCRAM needs of a password (`make_verifiers`)."""
        return await self._run(make_verifiers, password, iterations)

    async def verify(
        self, password: str, encoded: str | None, first: Callable[[], bool] | None = None
    ) -> bool:
        """Whether `encoded` is a hash of `password`; for None it takes as long, and is False.

        `first` is called when the turn has come: if it is known by then that the password is good, nothing is hashed; what it
        raises is raised, and nothing is hashed either.
        """
        await self._turn()
        if first is not None:
            try:
                known = first()
            except BaseException:
                self._turns.give_back()
                raise
            if known:
                self._turns.give_back()
                return True
        good = await self._in_thread(verify_password, password, encoded or self._nobody)
        return good and encoded is not None

    def needs_rehash(self, encoded: str) -> bool:
        return needs_rehash(encoded, self.parameters)

    async def _turn(self) -> None:
        if len(self._turns) >= self.limits.hashing_queue:
            raise TooManyLogins("too many logins at once; try again in a moment")
        await self._turns.take()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._turn()
        return await self._in_thread(function, *args, **kwargs)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """In a thread; the turn ends when that is done."""
        result: Deferred[T] = Deferred()

        def done(success: bool, value: T | Failure) -> None:
            # The next one begins when this one's outcome is known to whoever waits for it.
            try:
                if not result.called:
                    result.callback(value)
            finally:
                self._turns.give_back()

        pool = self._threads or self.reactor.getThreadPool()
        pool.callInThreadWithCallback(
            partial(self.reactor.callFromThread, done), function, *args, **kwargs
        )
        return await result
