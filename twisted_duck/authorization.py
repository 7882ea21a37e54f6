"""Asking `onAuthenticated` whether a user whose credentials are good may log in, here and now."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_duck.errors import AuthorizationFailed, ConnectionRefused
from twisted_duck.guard.guarded import Hook
from twisted_duck.hooks import ask
from twisted_duck.session import Session

_SORRY = "logging in is not possible now; try again later"


class Authorization:
    """One question.

    Whatever the hook answers is a yes, and that it fails is a no.  Without an answer in `seconds` it is a no as well:
    this is the one question that must not be answered by default.
    """

    log = Logger()

    def __init__(self, hook: Hook, session: Session, clock: IReactorTime, seconds: float) -> None:
        #: Fires at a yes, fails with AuthorizationFailed at a no, and with CancelledError if it is cancelled by whoever
        #: does not want to know any more.  Unless it has answered, the hook's own Deferred is cancelled then.
        self.done: Deferred[None] = Deferred(lambda _: self._give_up(CancelledError()))
        self._session = session
        self._waiting = True
        self._timer = clock.callLater(seconds, self._overdue)
        self._asked = ask(hook, session)
        self._asked.addBoth(self._answered)

    def _answered(self, answer: Any) -> None:
        if not isinstance(answer, Failure):
            self._settle(None)
        elif isinstance(answer.value, AuthorizationFailed | ConnectionRefused):
            self._settle(AuthorizationFailed(answer.value.message))
        else:
            # A bug in it is one, even if nobody waits for it any more.
            if self._waiting or not answer.check(CancelledError):
                self._log_failure("onAuthenticated failed", answer)
            self._settle(AuthorizationFailed(_SORRY))

    def _overdue(self) -> None:
        self.log.warn("{session.id}: no answer from onAuthenticated in time", session=self._session)
        self._give_up(AuthorizationFailed(_SORRY))

    def _give_up(self, error: Exception) -> None:
        # Before the hook is told: what it makes of that is no answer.
        self._settle(error)
        try:
            self._asked.cancel()
        except Exception:  # noqa: BLE001 - the application's canceller
            self._log_failure("onAuthenticated could not be cancelled", Failure())

    def _log_failure(self, what: str, failure: Failure) -> None:
        self.log.failure("{session.id}: {what}", failure, session=self._session, what=what)

    def _settle(self, error: Exception | None) -> None:
        if not self._waiting:
            return
        self._waiting = False
        if self._timer.active():
            self._timer.cancel()
        if error is None:
            self.done.callback(None)
        else:
            self.done.errback(error)
