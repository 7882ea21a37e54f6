"""What a policy is, and several of them as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger

from twisted_duck.errors import ConnectionRefused, TooManyConnections
from twisted_duck.session import Session


class Policy:
    """Lets everybody in.  What a policy keeps with a connection is in `session.data`, under itself as the key.

    @param name: in the log
    """

    log = Logger()

    def __init__(self, name: str) -> None:
        self.name = name
        #: How often it has refused.
        self.refused = 0

    def onConnect(self, session: Session) -> Any:
        """Fails with ConnectionRefused."""

    def onAuthenticated(self, session: Session) -> Any:
        """Fails with ConnectionRefused."""

    def onUnauthenticated(self, session: Session) -> Any:
        """Take `onAuthenticated` back."""

    def onClose(self, session: Session) -> Any:
        """Called in any case."""

    def refuse(
        self,
        session: Session,
        reason: str,
        message: str,
        kind: type[ConnectionRefused] = TooManyConnections,
    ) -> NoReturn:
        """
        @param reason: for the log
        @param message: for the client
        """
        self.refused += 1
        self.log.info(
            "{session.id} {session.protocol} from {session.remoteAddress}: {policy} refuses: {reason}",
            session=session,
            policy=self.name,
            reason=reason,
        )
        raise kind(message)


class Hooks(Policy):
    """A policy out of functions of the application's."""

    def __init__(
        self,
        onConnect: Callable[[Session], Any] | None = None,
        onClose: Callable[[Session], Any] | None = None,
        onAuthenticated: Callable[[Session], Any] | None = None,
        *,
        name: str = "hooks",
    ) -> None:
        super().__init__(name)
        self._connect = onConnect
        self._close = onClose
        self._authenticated = onAuthenticated

    def onConnect(self, session: Session) -> Any:
        return self._connect(session) if self._connect is not None else None

    def onAuthenticated(self, session: Session) -> Any:
        return self._authenticated(session) if self._authenticated is not None else None

    def onClose(self, session: Session) -> Any:
        return self._close(session) if self._close is not None else None


class Policies(Policy):
    """Several as one, asked from left to right; the first refusal wins, and undoes what those before it have done."""

    def __init__(self, *policies: Policy, name: str = "policies") -> None:
        super().__init__(name)
        self.policies = policies

    async def onConnect(self, session: Session) -> None:
        asked: list[Policy] = []
        session.data[self] = asked
        try:
            for policy in self.policies:
                if session.data.get(self) is not asked:
                    # It was over while somebody asked on, though nobody wanted to know any more.
                    return
                asked.append(policy)
                await maybeDeferred(policy.onConnect, session)
        except CancelledError:
            # Nobody was refused: the guard may let the client in, and is heard of at the end in any case.
            raise
        except Exception as error:
            self.refused += isinstance(error, ConnectionRefused)
            # Now: the client may take its time to go.
            session.data[self] = self._leave(session)
            raise

    async def onAuthenticated(self, session: Session) -> None:
        asked: list[Policy] = []
        try:
            for policy in self.policies:
                asked.append(policy)
                await maybeDeferred(policy.onAuthenticated, session)
        except Exception as error:
            self.refused += isinstance(error, ConnectionRefused)
            await self._each(asked[:-1], "onUnauthenticated", session)
            raise

    def onUnauthenticated(self, session: Session) -> Deferred[None]:
        return self._each(self.policies, "onUnauthenticated", session)

    def onClose(self, session: Session) -> Deferred[None]:
        return self._leave(session)

    def _leave(self, session: Session) -> Deferred[None]:
        """Tell those that were asked, once."""
        asked = session.data.pop(self, [])
        if isinstance(asked, Deferred):
            return asked
        return self._each(asked, "onClose", session)

    def _each(self, policies: Any, method: str, session: Session) -> Deferred[None]:
        """Call a method of each, from right to left, whether or not the one before it could do it."""
        done = [
            maybeDeferred(getattr(policy, method), session).addErrback(
                self._failed, policy, method, session
            )
            for policy in reversed(policies)
        ]
        return DeferredList(done).addCallback(lambda _: None)

    def _failed(self, failure: Any, policy: Policy, method: str, session: Session) -> None:
        self.log.failure(
            "{session.id}: {method} of {policy} failed",
            failure,
            session=session,
            method=method,
            policy=policy.name,
        )
