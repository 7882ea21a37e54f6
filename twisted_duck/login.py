"""Logging in, for the protocols that have it: by name and password or by a SASL mechanism, through any cred portal.

    command or exchange -> Credentials -> the portal -> onAuthenticated -> account

Passwords travel only where they are private.  What failed is counted for the connection, which ends when there was too
much of it, whether a password was wrong or was right and its user may not log in.
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, ClassVar, Literal

import attrs
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError, Deferred
from twisted.mail.interfaces import IAccountIMAP

from twisted_duck import connection, errors
from twisted_duck.auth import log_in
from twisted_duck.authorization import Authorization
from twisted_duck.connection import Connection, Inbox
from twisted_duck.guard.guarded import Hook
from twisted_duck.interfaces import IAccount
from twisted_duck.outflow import ConnectionOver
from twisted_duck.sasl import MECHANISMS, Challenge, Credentials

CleartextAuth = Literal["never", "loopback", "always"]


@attrs.frozen(kw_only=True)
class Settings(connection.Settings):
    portal: Portal
    #: On which clear connections passwords may be sent: none, those from this machine, or all.
    cleartext_auth: CleartextAuth = "never"
    #: Asked about each user whose credentials are good, before that is said; fails if the user may not log in.
    on_authenticated: Hook | None = None


class LoginConnection(Connection):
    """A connection whose client is to log in within `Limits.login` seconds."""

    has_login: ClassVar[bool] = True

    settings: Settings

    def __init__(self, settings: Settings, inbox: Inbox, *, idle: float) -> None:
        super().__init__(settings, inbox, idle=idle)
        #: The avatar, providing IAccount; None before login.
        self.account: Any = None
        self._logout: Callable[[], Any] | None = None
        #: What `onAuthenticated` has not answered yet.
        self._asking: Deferred[None] | None = None
        self._failed_logins = 0

    # --- what a protocol uses -----------------------------------------------------------------------------------------

    def may_authenticate(self) -> bool:
        """Whether a password may be sent now."""
        match self.settings.cleartext_auth:
            case "always":
                return True
            case "loopback" if _is_loopback(self.session.remoteAddress):
                return True
        return self.session.secure

    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms that can be used now."""
        private = self.may_authenticate()
        return tuple(name for name, each in MECHANISMS.items() if private or not each.needs_privacy)

    def check_privacy(self) -> None:
        if not self.may_authenticate():
            raise errors.PrivacyRequired("send no password over a clear connection: use TLS")

    async def exchange(
        self, name: str, initial: bytes | None, continuation: Callable[[bytes], bytes]
    ) -> Credentials:
        """What a SASL exchange (RFC 4422) shows; `continuation` puts a challenge in base64 into the protocol's words.

        Fails with Cannot, PrivacyRequired, BadSyntax, AuthenticationFailed.
        """
        found = MECHANISMS.get(name)
        if found is None:
            raise errors.Cannot(
                f"the mechanism is not supported; these are: {' '.join(MECHANISMS)}"
            )
        if found.needs_privacy:
            self.check_privacy()
        mechanism = found()
        step = mechanism.start(initial)
        while isinstance(step, Challenge):
            self.send(continuation(b64encode(step.data)))
            line = await self.read_line("response to a challenge")
            if line == b"*":
                raise errors.BadSyntax("the exchange was cancelled")
            step = mechanism.step(decode_response(line))
        return step

    async def log_in(self, credentials: Credentials) -> None:
        """Fails with AuthenticationFailed, AuthorizationFailed and whatever the portal fails with."""
        assert self.settings.portal is not None
        _, avatar, self._logout = await log_in(
            self.settings.portal, credentials, self.session, IAccount, IAccountIMAP
        )
        self.account = IAccount(avatar)
        self.check_alive()
        self.session.user = self.account.name
        try:
            await self._authorize()
        except (errors.AuthorizationFailed, ConnectionOver):
            self.log.info("{session.id} is not let in as {session.user}", session=self.session)
            self.session.user = None
            await self._leave_account()
            raise
        self.timer.logged_in()
        self.log.info("{session.id} is {session.user}", session=self.session)

    async def _authorize(self) -> None:
        hook = self.settings.on_authenticated
        if hook is None:
            return
        clock, patience = self.settings.clock, self.limits.on_authenticated
        self._asking = Authorization(hook, self.session, clock, patience).done
        if self.is_over:
            # By something that the hook did.
            self.interrupt()
        try:
            await self._asking
        except CancelledError:
            raise ConnectionOver from None
        finally:
            self._asking = None
        self.check_alive()

    # --- what `Connection` asks for -----------------------------------------------------------------------------------

    def interrupt(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    async def give_back(self) -> None:
        await super().give_back()
        await self._leave_account()

    async def _leave_account(self) -> None:
        """Nobody is logged in any more."""
        account, self.account = self.account, None
        logout, self._logout = self._logout, None
        if account is not None:
            await self.release(account.logout)
        if logout is not None:
            await self.release(logout)

    def failed(self, error: errors.DuckError, *, bad: bool) -> str | None:
        if isinstance(error, errors.AuthenticationFailed | errors.AuthorizationFailed):
            self._failed_logins += 1
            if self._failed_logins >= self.limits.failed_logins:
                return "too many failed logins"
        return super().failed(error, bad=bad)


def decode_response(data: bytes) -> bytes:
    """A SASL response; raises BadSyntax for what is not base64."""
    try:
        return a2b_base64(data, strict_mode=True)
    except Base64Error:
        raise errors.BadSyntax("that is not base64") from None


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
