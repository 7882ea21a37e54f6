"""How often somebody may connect."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from twisted.internet.interfaces import IReactorTime

from twisted_duck.clock import reactor_clock
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.policies.base import Policy
from twisted_duck.policies.masks import Address, Mask, Network, Trusted, parse
from twisted_duck.session import Session

MASKS = (Mask(32, 64, 60), Mask(24, 56, 300), Mask(16, 48, 3_000))


class Buckets:
    """Token buckets, as many as there is room for.

    A bucket is one number: the time at which it will be full again.  It holds `size` tokens and gets a new one every
    `interval` seconds; one whose time has come is full, which is what a bucket is that nobody has touched, and so can be
    forgotten.  Where there is no room, the one that was touched longest ago is filled up and forgotten.
    """

    def __init__(self, size: int, interval: float, entries: int) -> None:
        self._interval = interval
        self._depth = size * interval
        self._entries = entries
        self._full_at: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def has(self, key: int, now: float) -> bool:
        """Whether there is a token."""
        # A little more than there is room for, for what was lost in adding up.
        return self._full_at.get(key, now) - now <= self._depth - self._interval * 0.999

    def take(self, key: int, now: float) -> None:
        full_at = self._full_at
        full_at[key] = max(full_at.get(key, now), now) + self._interval
        full_at.move_to_end(key)
        # Two for each one that is new: what is full goes sooner than it comes.
        for _ in range(2):
            oldest = next(iter(full_at))
            if len(full_at) <= self._entries and full_at[oldest] > now:
                break
            del full_at[oldest]


class ConnectionRate(Policy):
    """Connections in a time, for each network of some sizes: at most `mask.most` at once, and as many again in `seconds`.

    An attempt that a policy to the right refuses has taken place, and counts; one that this policy refuses does not, so
    that whoever keeps trying comes in now and then.

    @param trusted: networks that are not limited
    """

    def __init__(
        self,
        masks: Sequence[Mask] = MASKS,
        seconds: float = 60,
        *,
        trusted: Iterable[Network] = (),
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
        name: str = "connection rate",
    ) -> None:
        super().__init__(name)
        self._clock = clock or reactor_clock()
        self._trusted = Trusted(trusted)
        self._seconds = seconds
        entries = (limits or DEFAULTS).rate_entries
        self._masks = tuple(masks)
        self._buckets = [Buckets(mask.most, seconds / mask.most, entries) for mask in masks]

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    def onConnect(self, session: Session) -> Any:
        address = parse(session.remoteAddress)
        if address is not None and address not in self._trusted:
            self._look(session, address)
            self._take(address)

    def _look(self, session: Session, address: Address) -> None:
        now = self._clock.seconds()
        for mask, buckets in zip(self._masks, self._buckets, strict=True):
            if not buckets.has(mask.key(address), now):
                self._refuse(session, address, mask)

    def _take(self, address: Address) -> None:
        now = self._clock.seconds()
        for mask, buckets in zip(self._masks, self._buckets, strict=True):
            buckets.take(mask.key(address), now)

    def _refuse(self, session: Session, address: Address, mask: Mask) -> NoReturn:
        self.refuse(
            session,
            f"{mask.most} in {self._seconds:g} s from {mask.network(address)}",
            "too many connections from your network; try again later",
        )
