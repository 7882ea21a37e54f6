"""Connections as policies see them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import ConnectionRefused, TooManyConnections
from twisted_duck.policies import Policy
from twisted_duck.session import Session


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
