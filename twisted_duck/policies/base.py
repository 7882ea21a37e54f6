"""What a policy is, and several of them as one."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_duck.errors import ConnectionRefused, TooManyConnections
from twisted_duck.hooks import ask
from twisted_duck.session import Session
from twisted_duck.wire.lines import one_line


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

    def beforeLogin(self, session: Session) -> Any:
        """Somebody wants to log in, on a connection that is there: fails with ConnectionRefused, and no password is looked at."""

    def onAuthenticated(self, session: Session) -> Any:
        """Fails with ConnectionRefused."""

    def onUnauthenticated(self, session: Session) -> Any:
        """Take `onAuthenticated` back."""

    def onRefused(self, session: Session) -> Any:
        """The connection is not let in, by this policy or by one behind it: give back what `onConnect` took.

        Now, for the client may take its time to go; `onClose` is called as well, when it has gone.
        """

    def onClose(self, session: Session) -> Any:
        """The connection is over.  Called in any case."""

    def loginFailed(self, session: Session, user: str, password: str | None) -> Any:
        """Told of each wrong password that was looked at; the answer is not waited for."""

    def adopt(self, session: Session) -> bool:
        """Count a connection that was let in before this policy was there; it is not refused.

        Answers whether `onClose` is to be called for it.
        """
        return False

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
        self.count(session, reason)
        raise kind(message)

    def count(self, session: Session, reason: str) -> None:
        """Note that somebody is refused."""
        self.refused += 1
        self.log.info(
            "{session.id} {session.protocol} from {session.origin}: {policy} refuses: {reason}",
            session=session,
            policy=self.name,
            reason=reason,
        )


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

    async def onConnect(self, session: Session) -> None:
        await self._ask(self._connect, session)

    async def onAuthenticated(self, session: Session) -> None:
        await self._ask(self._authenticated, session)

    async def _ask(self, hook: Callable[[Session], Any] | None, session: Session) -> None:
        if hook is None:
            return
        try:
            await ask(hook, session)
        except ConnectionRefused as error:
            # The client's own words may be in it.
            self.count(session, one_line(error.message).decode())
            raise

    def onClose(self, session: Session) -> Any:
        return self._close(session) if self._close is not None else None


class Policies(Policy):
    """Several as one, asked from left to right; the first refusal wins, and those that were asked are told of it."""

    def __init__(self, *policies: Policy, name: str = "policies") -> None:
        super().__init__(name)
        self.policies = policies
        #: Those that `onConnect` was called for, and that are neither refused nor over.
        self._sessions: set[Session] = set()

    def replace(self, *policies: Policy) -> None:
        """Ask these from now on.

        Connections that are there stay: those of the policies that are new `adopt` them, and every policy that was asked
        about a connection is told of its end, whether or not it is still one of these.
        """
        new = [policy for policy in policies if policy not in self.policies]
        self.policies = policies
        for session in self._sessions:
            asked = session.data[self]
            asked += [each for each in new if each not in asked and self._adopted(each, session)]

    async def onConnect(self, session: Session) -> None:
        asked: list[Policy] = []
        session.data[self] = asked
        self._sessions.add(session)
        try:
            for policy in self.policies:
                if session.data.get(self) is not asked:
                    # It was over while somebody asked on, though nobody wanted to know any more.
                    return
                if policy not in asked:
                    asked.append(policy)
                await ask(policy.onConnect, session)
        except CancelledError:
            # Nobody was refused: the guard may let the client in, and is heard of at the end in any case.
            raise
        except Exception as error:
            self.refused += isinstance(error, ConnectionRefused)
            # Nobody that a policy which comes meanwhile should count.
            self._sessions.discard(session)
            self._each(asked, "onRefused", session)
            raise

    async def beforeLogin(self, session: Session) -> None:
        try:
            for policy in self.policies:
                await ask(policy.beforeLogin, session)
        except ConnectionRefused:
            self.refused += 1
            raise

    async def onAuthenticated(self, session: Session) -> None:
        asked: list[Policy] = []
        policies = self.policies
        try:
            for policy in policies:
                asked.append(policy)
                self._will_be_told(policy, session)
                await ask(policy.onAuthenticated, session)
        except Exception as error:
            self.refused += isinstance(error, ConnectionRefused)
            # Those that came in the meantime have adopted the user as well.
            new = [policy for policy in self.policies if policy not in policies]
            await self._each([*asked[:-1], *new], "onUnauthenticated", session)
            raise

    def _will_be_told(self, policy: Policy, session: Session) -> None:
        """Whoever is asked about the user is told of the end, even if it came after the connection."""
        asked = session.data.get(self)
        if asked is not None and policy not in asked:
            asked.append(policy)

    def onUnauthenticated(self, session: Session) -> Deferred[None]:
        return self._each(self.policies, "onUnauthenticated", session)

    def loginFailed(self, session: Session, user: str, password: str | None) -> None:
        for policy in self.policies:
            ask(policy.loginFailed, session, user, password).addErrback(
                self._not_told, policy, session
            )

    def adopt(self, session: Session) -> bool:
        asked = [policy for policy in self.policies if self._adopted(policy, session)]
        session.data[self] = asked
        self._sessions.add(session)
        return True

    def _adopted(self, policy: Policy, session: Session) -> bool:
        try:
            return policy.adopt(session)
        except Exception:  # noqa: BLE001 - the application's bug, and the others must count
            self._failed(Failure(), policy, "adopt", session)
            # For what it may have taken before it failed.
            return True

    def onRefused(self, session: Session) -> Any:
        # Unless it is one of these that has refused.
        if session in self._sessions:
            self._sessions.discard(session)
            return self._each(session.data[self], "onRefused", session)
        return None

    def onClose(self, session: Session) -> Deferred[None]:
        """Tell those that were asked, once."""
        self._sessions.discard(session)
        return self._each(session.data.pop(self, ()), "onClose", session)

    def _each(self, policies: Any, method: str, session: Session) -> Deferred[None]:
        """Call a method of each, from right to left, whether or not the one before it could do it."""
        done = [
            ask(getattr(policy, method), session).addErrback(self._failed, policy, method, session)
            for policy in reversed(policies)
        ]
        return DeferredList(done).addCallback(lambda _: None)

    def _not_told(self, failure: Failure, policy: Policy, session: Session) -> None:
        # Without the error's own words: they may have the password in them.
        self.log.error(
            "{session.id}: {kind} in loginFailed of {policy}\n{trace}",
            session=session,
            kind=type(failure.value).__qualname__,
            policy=policy.name,
            trace="".join(traceback.format_tb(failure.getTracebackObject())),
        )

    def _failed(self, failure: Failure, policy: Policy, method: str, session: Session) -> None:
        self.log.failure(
            "{session.id}: {method} of {policy} failed",
            failure,
            session=session,
            method=method,
            policy=policy.name,
        )
