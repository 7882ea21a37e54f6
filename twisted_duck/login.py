"""Logging in, for the protocols that have it: by name and password or by a SASL mechanism, through any cred portal.

    command or exchange -> Credentials -> the portal -> onAuthenticated -> account

SCRAM's exchange is not over then: it is the checker, inside of the portal, that has the client prove that it knows the
password, and only when the user may log in, the client is shown that we know it, too.

Passwords travel only where they are private.  What failed is counted for the connection, which ends when there was too
much of it, whether a password was wrong, was not looked at, or was right and its user may not log in.
"""

from __future__ import annotations

import secrets
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
from zope.interface import Interface

from twisted_duck import connection, errors
from twisted_duck.auth import (
    IScramCredentials,
    LoginRefused,
    LoginThrottled,
    ScramCredentials,
    TooManyLogins,
    log_in,
)
from twisted_duck.auth.channel import channel_bindings, has_bindings
from twisted_duck.authorization import Authorization
from twisted_duck.connection import Connection
from twisted_duck.guard.guarded import Hook
from twisted_duck.interfaces import IAccount
from twisted_duck.outflow import ConnectionOver
from twisted_duck.sasl import MECHANISMS, SCRAM, Challenge, Credentials, Scram

CleartextAuth = Literal["never", "loopback", "always"]


@attrs.frozen(kw_only=True)
class Settings(connection.Settings):
    portal: Portal
    #: On which clear connections passwords may be sent: none, those from this machine, or all.
    cleartext_auth: CleartextAuth = "never"
    #: Asked about each user whose credentials are good, before that is said; fails if the user may not log in.
    on_authenticated: Hook | None = None


#: What too many of end a connection: also what costs us nothing, for each has its line in the log.
_FAILED = errors.AuthenticationFailed | errors.AuthorizationFailed | LoginThrottled | TooManyLogins


class LoginConnection(Connection):
    """A connection whose client is to log in within `Limits.login` seconds."""

    has_login: ClassVar[bool] = True
    #: What an avatar may provide, the best of it first.
    avatars: ClassVar[tuple[type[Interface], ...]] = (IAccount, IAccountIMAP)

    settings: Settings

    #: The avatar, as `account_of` has it; None before login.
    account: Any = None
    _logout: Callable[[], Any] | None = None
    #: What `onAuthenticated` has not answered yet.
    _asking: Deferred[None] | None = None
    _failed_logins = 0

    def account_of(self, interface: type[Interface], avatar: Any) -> Any:
        """What the protocol works with, of an avatar that was given for one of `avatars`."""
        return IAccount(avatar)

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
        """The SASL mechanisms that can be used now: SCRAM shows no password, and is for clear connections, too."""
        private = self.may_authenticate()
        return (
            *self._scram(),
            *(name for name, each in MECHANISMS.items() if private or not each.needs_privacy),
        )

    def _scram(self) -> tuple[str, ...]:
        if IScramCredentials not in self.settings.portal.listCredentialsInterfaces():
            return ()
        bound = has_bindings(self.transport)
        return tuple(name for name in SCRAM if bound or not name.endswith("-PLUS"))

    def check_privacy(self) -> None:
        if not self.may_authenticate():
            raise errors.PrivacyRequired("send no password over a clear connection: use TLS")

    async def exchange(
        self, name: str, initial: bytes | None, continuation: Callable[[bytes], bytes]
    ) -> Credentials | ScramCredentials:
        """What a SASL exchange (RFC 4422) shows; `continuation` puts a challenge in base64 into the protocol's words.

        Fails with Cannot, PrivacyRequired, BadSyntax, AuthenticationFailed.
        """

        async def ask(challenge: bytes) -> bytes:
            self.send(continuation(b64encode(challenge)))
            line = await self.read_line("response to a challenge")
            if line == b"*":
                raise errors.BadSyntax("the exchange was cancelled")
            return decode_response(line)

        if name in self._scram():
            bindings = channel_bindings(self.transport)
            scram = Scram(name, secrets.token_urlsafe(24), bindings)
            scram.begin(await ask(b"") if initial is None else initial)
            return ScramCredentials(scram, self.session, ask)
        found = MECHANISMS.get(name)
        if found is None:
            known = " ".join((*self._scram(), *MECHANISMS))
            raise errors.Cannot(f"the mechanism is not supported; these are: {known}")
        if found.needs_privacy:
            self.check_privacy()
        mechanism = found()
        step = mechanism.start(initial)
        while isinstance(step, Challenge):
            step = mechanism.step(await ask(step.data))
        return step

    async def log_in(self, credentials: Credentials | ScramCredentials) -> None:
        """Fails with AuthenticationFailed, AuthorizationFailed and whatever the portal fails with, with BadSyntax for an
        exchange that goes wrong.
        """
        assert self.settings.portal is not None
        interface, avatar, self._logout = await log_in(
            self.settings.portal, credentials, self.session, *self.avatars
        )
        self.account = self.account_of(interface, avatar)
        self.check_alive()
        self.session.user = self.account.name
        try:
            await self._authorize()
            if isinstance(credentials, ScramCredentials):
                await self._confirm(credentials)
        except (errors.DuckError, ConnectionOver):
            self.log.info("{session.id} is not let in as {session.user}", session=self.session)
            self.session.user = None
            await self._leave_account()
            raise
        self.timer.logged_in()
        self.allow(self.limits.pipeline)
        self.log.info("{session.id} is {session.user}", session=self.session)

    async def _confirm(self, credentials: ScramCredentials) -> None:
        try:
            await credentials.confirm()
        except errors.DuckError:
            # `onAuthenticated` has counted the user; what ends that is the end of the connection.
            self.finish("the exchange was not brought to its end")
            raise

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
        if isinstance(error, LoginRefused):
            # Nothing that could be done on it is left.
            return error.message
        if isinstance(error, _FAILED):
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
