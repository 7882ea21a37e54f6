"""Connections as policies see them, and what several processes share."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_duck.errors import ConnectionRefused, TooManyConnections
from twisted_duck.interfaces import IBans, IRates
from twisted_duck.policies import Policy
from twisted_duck.session import Session
from twisted_duck.values import Ban, Bucket


def address(number: int) -> str:
    """One of all those of IPv4."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


class PolicyCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def session(self, address: str = "192.0.2.1", user: str | None = None) -> Session:
        return Session("IMAP", remoteAddress=address, user=user)

    def admitted(self, policy: Policy, address: str = "192.0.2.1") -> Session:
        session = self.session(address)
        self.successResultOf(maybeDeferred(policy.onConnect, session))
        return session

    def refused(
        self,
        policy: Policy,
        address: str = "192.0.2.1",
        kind: type[ConnectionRefused] = TooManyConnections,
    ) -> Session:
        """Seen off, as a guard does it."""
        session, before = self.session(address), policy.refused
        self.failureResultOf(maybeDeferred(policy.onConnect, session), kind)
        self.assertEqual(policy.refused, before + 1)
        self.close(policy, session)
        return session

    def close(self, policy: Policy, session: Session) -> None:
        self.successResultOf(maybeDeferred(policy.onClose, session))
        self.assertEqual(session.data, {})

    @contextmanager
    def log(self) -> Iterator[list[Any]]:
        lines: list[Any] = []
        with capturedLogs() as events:
            yield lines
        lines += [formatEvent(event) for event in events]


class Database:
    """What several processes share, in memory.  `away` is what it fails with."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.away: Exception | None = None
        self.slow: Deferred[None] | None = None
        self.asked = 0

    async def ask(self) -> None:
        self.asked += 1
        if self.slow is not None:
            await self.slow
        if self.away is not None:
            raise self.away


@implementer(IBans)
class MemoryBans(Database):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.bans: dict[str, Ban] = {}
        self.attempts: dict[str, set[bytes]] = {}
        self.windows: set[float] = set()

    async def secret(self) -> bytes:
        await self.ask()
        return b"sixteen octets .."

    async def failed(self, network: str, attempt: bytes, window: float) -> int:
        await self.ask()
        self.windows.add(window)
        self.attempts.setdefault(network, set()).add(attempt)
        return len(self.attempts[network])

    async def ban(self, network: str, reason: str, seconds: float) -> Ban:
        await self.ask()
        self.bans[network] = Ban(network, reason, self.clock.seconds() + seconds)
        return self.bans[network]

    async def find(self, network: str) -> Ban | None:
        await self.ask()
        return self.bans.get(network)

    async def all(self) -> AsyncIterator[Ban]:
        for ban in self.bans.values():
            yield ban

    async def lift(self, network: Any) -> list[Ban]:
        return [self.bans.pop(str(network))]


@implementer(IRates)
class MemoryRates(Database):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.left: dict[Bucket, int] = {}
        self.empty: int | None = None

    async def take(self, buckets: Sequence[Bucket]) -> int | None:
        await self.ask()
        self.left.update({each: self.left.get(each, each.size) - 1 for each in buckets})
        return self.empty


def octets(make: Callable[[], Policy]) -> int:
    """How much memory goes when the policy goes: what somebody else has kept meanwhile (a log) does not count."""
    tracemalloc.start()
    try:
        policy: Policy | None = make()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        policy = None  # noqa: F841 - it goes here
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return held - left
