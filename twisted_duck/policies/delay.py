"""Waiting instead of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from twisted_duck.clock import reactor_clock
from twisted_duck.errors import ConnectionRefused
from twisted_duck.hooks import ask
from twisted_duck.policies.base import Policy
from twisted_duck.session import Session


class Delay(Policy):
    """Lets in whom another policy would refuse, after some time; `refused` counts them.

    @param seconds: fewer than a guard's `limits.on_connect`, or everybody is refused after all
    """

    def __init__(
        self, policy: Policy, seconds: float, *, clock: IReactorTime | None = None
    ) -> None:
        super().__init__(f"{policy.name} (delayed)")
        self._policy = policy
        self._seconds = seconds
        self._clock = clock or reactor_clock()

    async def onConnect(self, session: Session) -> None:
        await self._ask(self._policy.onConnect, session)

    async def beforeLogin(self, session: Session) -> None:
        await self._ask(self._policy.beforeLogin, session)

    async def onAuthenticated(self, session: Session) -> None:
        await self._ask(self._policy.onAuthenticated, session)

    async def _ask(self, hook: Callable[[Session], Any], session: Session) -> None:
        try:
            await ask(hook, session)
        except ConnectionRefused:
            self.refused += 1
            self.log.info(
                "{session.id}: waits for {seconds:g} s instead",
                session=session,
                seconds=self._seconds,
            )
            await deferLater(self._clock, self._seconds)

    def onUnauthenticated(self, session: Session) -> Any:
        return self._policy.onUnauthenticated(session)

    def onRefused(self, session: Session) -> Any:
        return self._policy.onRefused(session)

    def onClose(self, session: Session) -> Any:
        return self._policy.onClose(session)

    def loginFailed(self, session: Session, user: str, password: str | None) -> Any:
        return self._policy.loginFailed(session, user, password)

    def adopt(self, session: Session) -> bool:
        return self._policy.adopt(session)
