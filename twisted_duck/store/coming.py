"""Messages on their way into a mailbox, of which the database may hear before anybody has looked at them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs

from twisted_duck.store.arrival import Arrival
from twisted_duck.store.sums import Sums


@attrs.define(eq=False)
class Coming:
    """What some messages add up to, which is known at once, and how to get ready what else is to be stored of them."""

    sums: Sums
    #: Looks at them; None once that is done.
    _look: Callable[[], Awaitable[Sequence[Arrival]]] | None
    _arrivals: Sequence[Arrival] = ()

    @classmethod
    def ready(cls, arrivals: Sequence[Arrival]) -> Coming:
        """Messages that were looked at."""
        sums = Sums.of((arrival.flags, arrival.size) for arrival in arrivals)
        return cls(sums, None, arrivals)

    @property
    def is_ready(self) -> bool:
        return self._look is None

    @property
    def weight(self) -> int:
        """About how many bytes their bodies have, where they were looked at."""
        return sum(arrival.weight for arrival in self._arrivals)

    async def arrivals(self) -> Sequence[Arrival]:
        """Look at them, if nobody has; fails as that does."""
        if self._look is not None:
            self._arrivals = await self._look()
            self._look = None
        return self._arrivals
