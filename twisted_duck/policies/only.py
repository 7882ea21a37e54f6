"""Policies that are not for everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted_duck.errors import ConnectionRefused
from twisted_duck.hooks import ask
from twisted_duck.policies.base import Policy
from twisted_duck.session import Session


class Only(Policy):
    """A policy for some protocols; the others do not know of it.

    @param protocols: as sessions name them
    """

    def __init__(self, policy: Policy, protocols: frozenset[str]) -> None:
        super().__init__(policy.name)
        self._policy = policy
        self._protocols = protocols

    def _applies(self, session: Session) -> bool:
        return session.protocol in self._protocols

    async def onConnect(self, session: Session) -> None:
        await self._ask(self._policy.onConnect, session)

    async def beforeLogin(self, session: Session) -> None:
        await self._ask(self._policy.beforeLogin, session)

    async def onAuthenticated(self, session: Session) -> None:
        await self._ask(self._policy.onAuthenticated, session)

    async def _ask(self, hook: Callable[[Session], Any], session: Session) -> None:
        if self._applies(session):
            try:
                await ask(hook, session)
            except ConnectionRefused:
                self.refused += 1
                raise

    def onUnauthenticated(self, session: Session) -> Any:
        return self._policy.onUnauthenticated(session) if self._applies(session) else None

    def onRefused(self, session: Session) -> Any:
        return self._policy.onRefused(session) if self._applies(session) else None

    def onClose(self, session: Session) -> Any:
        return self._policy.onClose(session) if self._applies(session) else None

    def loginFailed(self, session: Session, user: str, password: str | None) -> Any:
        if self._applies(session):
            return self._policy.loginFailed(session, user, password)
        return None

    def adopt(self, session: Session) -> bool:
        return self._applies(session) and self._policy.adopt(session)
