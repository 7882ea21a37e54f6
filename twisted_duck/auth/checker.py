"""The cred checker over a directory of users."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from attrs import frozen
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.auth.interfaces import IPasswordUpgrades, IUserDirectory, UserRecord
from twisted_duck.auth.passwords import PasswordHasher
from twisted_duck.auth.throttle import LoginThrottle
from twisted_duck.sasl import Credentials
from twisted_duck.session import Session

#: Told of a wrong password: the session, the user's name as the directory spells it if it has one like it, and the
#: password, or None where a wrong proof is all that there is (SCRAM).  `twisted_duck.policies.Bans.loginFailed` is one.
LoginFailed: TypeAlias = Callable[[Session, str, str | None], object]

# Each refusal is one of our errors, and UnauthorizedLogin, which is what cred lets a checker fail with and what stock
# Twisted protocols understand.


class WrongPassword(errors.AuthenticationFailed, UnauthorizedLogin):
    """Wrong name or password."""


class UserDisabled(errors.AuthorizationFailed, UnauthorizedLogin):
    """The password is right, and the user may not log in."""


class LoginThrottled(errors.TooMany, UnauthorizedLogin):
    """Too many wrong passwords lately: this one was not looked at."""

    # RFC 3206: clients do not ask for a new password then.
    pop3 = "SYS/TEMP"
    # RFC 4954 §6.
    smtp = "454 4.7.0"


@implementer(ICredentialsChecker)
@frozen(eq=False)
class DirectoryChecker:
    """Checks passwords against a directory; the avatar's ID is the user's name as the directory spells it, in UTF-8.

    Fails with WrongPassword, UserDisabled, LoginThrottled, and with Unavailable where the directory or the hashing can't
    answer now.  A user who does not exist takes as long as one who does.

    `login_failed` is told of each password that was looked at and was wrong, before the client is; what it does, or that it
    fails, changes nothing.  Passwords that were not looked at are not told, for one of them may be the right one.
    """

    log: ClassVar[Logger] = Logger()
    credentialInterfaces = (IUsernamePassword,)

    directory: IUserDirectory
    hasher: PasswordHasher
    throttle: LoginThrottle
    login_failed: LoginFailed | None = None

    def requestAvatarId(self, credentials: IUsernamePassword) -> Deferred[bytes | tuple[()]]:
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: IUsernamePassword) -> bytes | tuple[()]:
        # Stock protocols tell no session; then failures are counted by user alone.
        session: Session = getattr(credentials, "session", None) or Session("", id="-")
        try:
            given = Credentials.of(credentials.username, credentials.password)
        except errors.AuthenticationFailed as error:
            raise WrongPassword(error.message) from None
        record = await self.directory.find(given.name)
        # By the directory's name: else each spelling it takes for the same user could be tried anew.
        name = record.name if record else given.name
        address = session.remoteAddress

        def admit() -> None:
            if self.throttle.is_closed(name, address):
                self._refused(session, name, "too many failures")
                raise LoginThrottled("too many failed logins; try again later")

        admit()
        # And again when its turn to be hashed has come: the ones in front may have used up what was left.
        good = await self.hasher.verify(
            given.password, record.password_hash if record else None, first=admit
        )
        if record is None or not good:
            self.throttle.failed(name, address)
            self._refused(session, name, "wrong password" if record else "no such user")
            self._tell(session, name, given.password)
            raise WrongPassword("wrong name or password")
        self.throttle.succeeded(name, address)
        if record.disabled:
            self._refused(session, name, "disabled")
            raise UserDisabled("this account is disabled")
        assert record.password_hash is not None
        if self.hasher.needs_rehash(record.password_hash):
            await self._upgrade(record, given.password)
        return record.name.encode()

    def _tell(self, session: Session, name: str, password: str) -> None:
        if self.login_failed is None:
            return
        try:
            self.login_failed(session, name, password)
        except Exception as error:  # noqa: BLE001 - code of the application's, and no reason to answer otherwise
            # Without the error's own words: they may have the password in them.
            self.log.error(
                "{session.id}: {kind} in what is told of wrong passwords\n{trace}",
                session=session,
                kind=type(error).__qualname__,
                trace="".join(traceback.format_tb(error.__traceback__)),
            )

    async def _upgrade(self, record: UserRecord, password: str) -> None:
        """Store a better hash, if the directory can; that it can't be done now spoils no login."""
        if not IPasswordUpgrades.providedBy(self.directory):
            return
        try:
            await self.directory.replace_hash(record, await self.hasher.hash(password))
        except errors.ServerError as error:
            self.log.warn(
                "the password hash of {user} stays old: {error}", user=record.name, error=error
            )

    def _refused(self, session: Session, name: str, reason: str) -> None:
        self.log.info(
            "{session.id} login of {user!r} from {session.remoteAddress} refused: {reason}",
            session=session,
            user=name,
            reason=reason,
        )
