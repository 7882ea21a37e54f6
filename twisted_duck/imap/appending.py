"""APPENDs that a client has sent ahead: begun one after another, so that the store can make them together, and answered in
their order (RFC 3501 §5.5).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from twisted_duck.light import light
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool


@light
class Begun:
    """An APPEND that the store has been asked for; its messages are kept until it is done."""

    tag: bytes
    #: What the store answers.
    result: Deferred[Any]
    spools: tuple[Spool, ...]
    #: Octets of the command, its messages included.
    size: int

    def over(self, result: object) -> None:
        """It is done, or has failed, and nobody is told."""
        self.release()

    def release(self) -> None:
        for spool in self.spools:
            spool.close()


class Appends:
    """Those of one connection that have not been answered."""

    __slots__ = ("_begun", "_limits", "_messages", "_size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._begun: deque[Begun] = deque()
        self._messages = self._size = 0

    def __len__(self) -> int:
        return len(self._begun)

    @property
    def is_full(self) -> bool:
        limits = self._limits
        return self._messages >= limits.appends_ahead or self._size > limits.pipeline

    @property
    def is_done(self) -> bool:
        """Whether the one to be answered next is."""
        return bool(self._begun) and self._begun[0].result.called

    def begin(
        self, tag: bytes, work: Coroutine[Any, Any, Any], spools: tuple[Spool, ...], size: int
    ) -> None:
        begun = Begun(tag, Deferred.fromCoroutine(work), spools, size)
        self._begun.append(begun)
        self._messages += len(spools)
        self._size += size

    def next(self) -> Begun:
        """The one to be answered now; whoever takes it releases it."""
        begun = self._begun.popleft()
        self._messages -= len(begun.spools)
        self._size -= begun.size
        return begun

    async def over(self) -> None:
        """Nobody hears the answers: until all of them are there.  Who connects, sends and leaves has no more begun than who
        stays.
        """
        left = [self.next() for _ in range(len(self._begun))]
        await DeferredList([begun.result.addBoth(begun.over) for begun in left])
