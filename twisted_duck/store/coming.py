"""Messages on their way into a mailbox, of which the database may hear before anybody has looked at them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted_duck.store.arrival import Arrival
from twisted_duck.store.sums import Sums


class Coming:
    """What some messages add up to, which is known at once, and how to get ready what else is to be stored of them."""

    __slots__ = ("_arrivals", "_look", "_weight", "sums")

    def __init__(
        self, sums: Sums, weight: int, look: Callable[[], Awaitable[Sequence[Arrival]]]
    ) -> None:
        """
        @param weight: bytes that their bodies have at the most
        """
        self.sums = sums
        self._weight = weight
        self._look = look
        self._arrivals: Sequence[Arrival] | None = None

    @classmethod
    def ready(cls, arrivals: Sequence[Arrival]) -> Coming:
        """Messages that were looked at."""

        async def look() -> Sequence[Arrival]:
            return arrivals

        coming = cls(Sums.of((arrival.flags, arrival.size) for arrival in arrivals), 0, look)
        coming._arrivals = arrivals
        return coming

    @property
    def is_ready(self) -> bool:
        return self._arrivals is not None

    @property
    def weight(self) -> int:
        """About how many bytes their bodies have."""
        if self._arrivals is None:
            return self._weight
        return sum(arrival.weight for arrival in self._arrivals)

    async def arrivals(self) -> Sequence[Arrival]:
        """Look at them, if nobody has."""
        if self._arrivals is None:
            self._arrivals = await self._look()
        return self._arrivals
