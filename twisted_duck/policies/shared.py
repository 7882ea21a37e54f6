"""Bans and rates that hold over several processes, in what they share (`twisted_duck.interfaces.IBans` and `IRates`).

Each connection asks: an indexed look-up for the ban, an atomic update for each mask of the rate, so that what one process
does, or an administrator, holds for all from the next connection on.

**While the database is away** nobody is kept out by what can't be known: no login can be checked then, and so no password
be tried; and what this process has counted of the rate holds on.  It is logged once, and asked again every few seconds,
so that clients do not wait for an answer that does not come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from twisted_duck.clock import reactor_clock
from twisted_duck.errors import ConnectionRefused, ServerError
from twisted_duck.limits import Limits
from twisted_duck.policies.bans import MASK, MESSAGE, fingerprint
from twisted_duck.policies.base import Policy
from twisted_duck.policies.masks import Address, Mask, Network, Trusted, parse
from twisted_duck.policies.rate import MASKS, ConnectionRate
from twisted_duck.session import Session
from twisted_duck.values import Bucket

T = TypeVar("T")

#: In place of the index of an empty bucket.
_UNKNOWN = -1

#: Seconds between attempts while the database is away.
_AGAIN = 5.0
#: Octets of the hash of an attempt: whoever reads the database, key and all, learns of a password no more than that it is
#: one out of 65,536; and of twenty attempts hardly ever two have the same.
_HASH = 2


class Shared:
    """Asks the database for a policy, and answers in its place while it is away."""

    def __init__(self, policy: Policy, clock: IReactorTime) -> None:
        self._policy = policy
        self._clock = clock
        #: When to ask again, while it is away.
        self._again: float | None = None

    async def ask(self, question: Callable[[], Awaitable[T]], otherwise: T) -> T:
        if self._again is not None:
            if self._clock.seconds() < self._again:
                return otherwise
            # This one; whoever comes meanwhile does not wait.
            self._again = self._clock.seconds() + _AGAIN
        try:
            answer = await question()
        except ServerError as error:
            if self._again is None:
                self._policy.log.warn(
                    "{policy} gets no answer ({error}): until it does, it keeps out nobody on account of other processes",
                    policy=self._policy.name,
                    error=str(error),
                )
            self._again = self._clock.seconds() + _AGAIN
            return otherwise
        if self._again is not None:
            self._again = None
            self._policy.log.info("{policy} gets answers again", policy=self._policy.name)
        return answer


class SharedBans(Policy):
    """Like L{Bans}, for all processes, whichever of them the attempts were made on, and for longer than they run.

    Of a failed login two octets of a hash are kept, whose key is in the database too, for no longer than `window`.

    All processes must have the same masks, or they do not know of each other's bans.

    @param bans: an L{twisted_duck.interfaces.IBans}: `store.bans`
    @param mask: what is one network; its `most` is the number of failures
    @param trusted: networks that are never banned
    """

    def __init__(
        self,
        bans: Any,
        mask: Mask = MASK,
        window: float = 60 * 60,
        seconds: float = 60 * 60,
        *,
        trusted: Iterable[Network] = (),
        clock: IReactorTime | None = None,
        name: str = "bans",
    ) -> None:
        super().__init__(name)
        self._bans = bans
        self._mask = mask
        self._window = window
        self._seconds = seconds
        self._trusted = Trusted(trusted)
        self._shared = Shared(self, clock or reactor_clock())

    async def onConnect(self, session: Session) -> None:
        address = parse(session.remoteAddress)
        if address is None or address in self._trusted:
            return
        network = self._mask.network(address)
        ban = await self._shared.ask(lambda: self._bans.find(network), None)
        if ban is not None:
            until = datetime.fromtimestamp(ban.until, UTC)
            self.refuse(
                session,
                f"{network} is banned until {until:%Y-%m-%d %H:%M:%S} UTC: {ban.reason}",
                MESSAGE,
                ConnectionRefused,
            )

    async def beforeLogin(self, session: Session) -> None:
        await self.onConnect(session)

    def loginFailed(self, session: Session, user: str, password: str | None) -> Deferred[None]:
        address = parse(session.remoteAddress)
        if address is None or address in self._trusted:
            return succeed(None)
        return Deferred.fromCoroutine(
            self._shared.ask(lambda: self._count(session, address, user, password), None)
        )

    async def _count(
        self, session: Session, address: Address, user: str, password: str | None
    ) -> None:
        network = self._mask.network(address)
        attempt = fingerprint(await self._bans.secret(), _HASH, user, password)
        if await self._bans.failed(network, attempt, self._window) < self._mask.most:
            return
        ban = await self._bans.ban(network, f"{self._mask.most} wrong passwords", self._seconds)
        self.log.warn(
            "{session.id}: {network} is banned for {seconds:g} s: {reason}",
            session=session,
            network=ban.network,
            seconds=self._seconds,
            reason=ban.reason,
        )


class SharedRate(ConnectionRate):
    """Like L{ConnectionRate}, for all processes.

    Whoever finds no room for what this process alone has let in is refused without a question to the others.  Policies of
    one name and the same numbers share their buckets.

    @param rates: an L{twisted_duck.interfaces.IRates}: `store.rates`
    @param trusted: networks that are not limited
    """

    def __init__(
        self,
        rates: Any,
        masks: Sequence[Mask] = MASKS,
        seconds: float = 60,
        *,
        trusted: Iterable[Network] = (),
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
        name: str = "connection rate",
    ) -> None:
        super().__init__(masks, seconds, trusted=trusted, limits=limits, clock=clock, name=name)
        self._rates = rates
        self._shared = Shared(self, self._clock)

    async def onConnect(self, session: Session) -> None:
        address = parse(session.remoteAddress)
        if address is None or address in self._trusted:
            return
        self._look(session, address)
        wanted = [
            Bucket(f"{self.name} {mask.network(address)}", mask.most, self._seconds)
            for mask in self._masks
        ]
        empty = await self._shared.ask(lambda: self._rates.take(wanted), _UNKNOWN)
        if empty == _UNKNOWN:
            # Others may have come in while this one waited.
            self._look(session, address)
        elif empty is not None:
            self._refuse(session, address, self._masks[empty])
        self._take(address)
