"""The cred checker over a directory of users."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

from attrs import evolve, frozen
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import Interface, implementer

from twisted_duck import errors
from twisted_duck.auth.interfaces import (
    IPasswordUpgrades,
    IScramCredentials,
    IScramDirectory,
    IUserDirectory,
    KnownUser,
    UserRecord,
)
from twisted_duck.auth.passwords import PasswordHasher
from twisted_duck.auth.throttle import LoginThrottle
from twisted_duck.auth.verified import VerifiedPasswords
from twisted_duck.auth.verifiers import are_current, find_verifier
from twisted_duck.hooks import ask
from twisted_duck.outflow import ConnectionOver
from twisted_duck.sasl import Credentials, Verifier
from twisted_duck.session import Session

#: Asked, with the session, before a password is looked at; fails with ConnectionRefused if none is to be.
#: `twisted_duck.policies.Bans.beforeLogin` is one.
BeforeLogin: TypeAlias = Callable[[Session], Any]

#: Told of a wrong password: the session, the user's name as the directory spells it if it has one like it, and the
#: password, or None where a wrong proof is all that there is (SCRAM).  `twisted_duck.policies.Bans.loginFailed` is one.
LoginFailed: TypeAlias = Callable[[Session, str, str | None], object]

# Each refusal is one of our errors, and UnauthorizedLogin, which is what cred lets a checker fail with and what stock
# Twisted protocols understand.


class WrongPassword(errors.AuthenticationFailed, UnauthorizedLogin):
    """Wrong name or password."""


class UserDisabled(errors.AuthorizationFailed, UnauthorizedLogin):
    """The password is right, and the user may not log in."""


class LoginRefused(errors.ConnectionRefused, UnauthorizedLogin):
    """Nobody logs in from there now: no password was looked at."""


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

    Fails with WrongPassword, UserDisabled, LoginThrottled, LoginRefused, and with Unavailable where the directory or the hashing can't
    answer now.  A user who does not exist takes as long as one who does.

    With `scram`, which says how often passwords are hashed for which scheme, and a directory that keeps verifiers, it takes
    L{IScramCredentials} as well.  A user who does not exist, and one of whom no verifier is stored, has one that no
    password fits.

    `login_failed` is told of each password that was looked at and was wrong, before the client is; what it does, or that it
    fails, changes nothing.  Passwords that were not looked at are not told, for one of them may be the right one.  Of SCRAM
    it is told None, for two wrong proofs may come from one wrong password.

    `before_login` is asked before anything is looked at: where it refuses, so does this, with LoginRefused.

    With `verified`, a password that was good a moment ago is not hashed again, but for a user who is disabled: that takes as
    long as a wrong one.  It counts, and is refused, as any other.
    """

    log: ClassVar[Logger] = Logger()

    directory: IUserDirectory
    hasher: PasswordHasher
    throttle: LoginThrottle
    login_failed: LoginFailed | None = None
    scram: Mapping[str, int] | None = None
    verified: VerifiedPasswords | None = None
    before_login: BeforeLogin | None = None

    @property
    def credentialInterfaces(self) -> tuple[type[Interface], ...]:
        if self.scram is not None and IScramDirectory.providedBy(self.directory):
            return IUsernamePassword, IScramCredentials
        return (IUsernamePassword,)

    def requestAvatarId(
        self, credentials: IUsernamePassword | IScramCredentials
    ) -> Deferred[bytes | tuple[()]]:
        is_scram = IScramCredentials.providedBy(credentials)
        check: Any = self._check_scram if is_scram else self._check_password
        return Deferred.fromCoroutine(check(credentials))

    async def _check_password(self, credentials: IUsernamePassword) -> bytes:
        # Stock protocols tell no session; then failures are counted by user alone.
        session: Session = getattr(credentials, "session", None) or Session("", id="-")
        try:
            given = Credentials.of(credentials.username, credentials.password)
        except errors.AuthenticationFailed as error:
            raise WrongPassword(error.message) from None
        record = await self._find(session, given.name)
        attempt = _Attempt(self, session, given.name, record)

        def is_known() -> bool:
            attempt.admit()
            return attempt.is_verified(given.password)

        def on_its_turn() -> bool:
            # The ones in front may have used up what was left, or have been the same user with the same password.
            known = is_known()
            if not known:
                attempt.begin()
            return known

        if is_known():
            return KnownUser.of(attempt.settle(True, given.password))
        good = await self.hasher.verify(
            given.password, record.password_hash if record else None, first=on_its_turn
        )
        user = attempt.settle(good, given.password)
        if not attempt.is_verified(given.password):
            if self.verified is not None:
                self.verified.keep(user, given.password)
            await self._upgrade(user, given.password, session)
        return KnownUser.of(user)

    async def _check_scram(self, credentials: IScramCredentials) -> bytes:
        directory: Any = self.directory
        assert self.scram is not None
        record = await self._find(credentials.session, credentials.name)
        # For known users as well, so that they take as long as others.
        seed = await directory.seed(credentials.name)
        attempt = _Attempt(self, credentials.session, credentials.name, record)
        attempt.admit()
        scheme = credentials.scheme
        verifier = find_verifier(record.verifiers, scheme) if record is not None else None
        pretended = Verifier.pretended(scheme, seed, self.scram[scheme])
        # And again when the proof is there: others may have come meanwhile.
        good = await credentials.prove(verifier or pretended, first=attempt.begin)
        user = attempt.settle(good and verifier is not None, None)
        return KnownUser.of(user)

    async def _find(self, session: Session, name: str) -> UserRecord | None:
        """Who that is, if anybody may log in on that connection; both are asked at the same time."""
        if self.before_login is None:
            return await self.directory.find(name)
        asked = ask(self.before_login, session)
        try:
            record = await self.directory.find(name)
        except BaseException:
            asked.addErrback(lambda _: None)
            raise
        try:
            await asked
        except errors.ConnectionRefused as error:
            raise LoginRefused(error.message) from None
        return record

    async def _upgrade(self, record: UserRecord, password: str, session: Session) -> None:
        """Store what should be stored of a password that is known now; that it can't be done now spoils no login."""
        directory = self.directory
        assert record.password_hash is not None
        try:
            if IPasswordUpgrades.providedBy(directory) and self.hasher.needs_rehash(
                record.password_hash
            ):
                better = await self.hasher.hash(password)
                await directory.replace_hash(record, better)
                record = evolve(record, password_hash=better)
            if (
                self.scram is not None
                and IScramDirectory.providedBy(directory)
                and not are_current(record.verifiers, self.scram)
            ):
                verifiers = await self.hasher.verifiers(password, self.scram)
                if verifiers:
                    await directory.replace_verifiers(record, verifiers)
        except errors.ServerError as error:
            self.log.warn(
                "{session.id} what is stored of {user}'s password stays old: {error}",
                session=session,
                user=record.name,
                error=error,
            )


#: Characters of a name that are logged.
_LOGGED = 100


@frozen(eq=False)
class _Attempt:
    """Somebody wants to be `record`, or nobody who exists."""

    checker: DirectoryChecker
    session: Session
    given: str
    record: UserRecord | None

    @property
    def name(self) -> str:
        # By the directory's name: else each spelling it takes for the same user could be tried anew.
        return self.record.name if self.record else self.given

    def admit(self) -> None:
        """Fails with LoginThrottled, and with ConnectionOver where nobody waits for the answer any more."""
        if self.session.closeReason is not None:
            # Whoever fills the queue and goes keeps nobody waiting.
            raise ConnectionOver
        if self.checker.throttle.is_closed(self.name, self.session.remoteAddress):
            self._refused("too many failures")
            raise LoginThrottled("too many failed logins; try again later")

    def begin(self) -> None:
        """It is looked at now, and counts as a failure until it is known to be none: others are being looked at as well."""
        self.admit()
        self.checker.throttle.failed(self.name, self.session.remoteAddress)

    def is_verified(self, password: str) -> bool:
        """Whether the password was good a moment ago."""
        verified, record = self.checker.verified, self.record
        if verified is None or record is None or record.disabled:
            return False
        return verified.holds(record, password)

    def settle(self, good: bool, password: str | None) -> UserRecord:
        """What follows from a password, or None for a proof, that was looked at.  Fails with WrongPassword, UserDisabled."""
        throttle, address = self.checker.throttle, self.session.remoteAddress
        if self.record is None or not good:
            self._refused(self._why(password))
            self._tell(password)
            raise WrongPassword("wrong name or password")
        throttle.succeeded(self.name, address)
        if self.record.disabled:
            self._refused("disabled")
            raise UserDisabled("this account is disabled")
        return self.record

    def _why(self, password: str | None) -> str:
        if self.record is None:
            return "no such user"
        if password is None and not self.record.verifiers:
            return "nothing is stored for SCRAM until a login by password"
        return "wrong password"

    def _tell(self, password: str | None) -> None:
        login_failed = self.checker.login_failed
        if login_failed is None:
            return
        try:
            login_failed(self.session, self.name, password)
        except Exception as error:  # noqa: BLE001 - code of the application's, and no reason to answer otherwise
            # Without the error's own words: they may have the password in them.
            self.checker.log.error(
                "{session.id}: {kind} in what is told of wrong passwords\n{trace}",
                session=self.session,
                kind=type(error).__qualname__,
                trace="".join(traceback.format_tb(error.__traceback__)),
            )

    def _refused(self, reason: str) -> None:
        self.checker.log.info(
            "{session.id} login of {user!r} from {session.origin} refused: {reason}",
            session=self.session,
            # Anybody may send names of eight thousand characters, each of which takes ten to be written.
            user=self.name[:_LOGGED],
            reason=reason,
        )
