"""The cred realm whose avatars are accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from attrs import frozen
from twisted.cred.checkers import ANONYMOUS
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import Interface, implementer

from twisted_duck import errors
from twisted_duck.auth.interfaces import KnownUser, UserRecord
from twisted_duck.interfaces import IAccount
from twisted_duck.session import Session

_log = Logger()

#: An interface, the avatar that provides it, and what is to be called when the session is over.
Login = tuple[type[Interface], object, Callable[[], None]]


class UserGone(errors.AuthorizationFailed, UnauthorizedLogin):
    """The checker knows the user and the store does not."""


@implementer(IRealm)
@frozen(eq=False)
class AccountRealm:
    """Gives the first of the interfaces asked for that the user's L{IAccount} provides or has an adapter to.

    `account_for` takes a user's name and opens the account; it fails with NonExistent or Unavailable.  With `account_of`,
    which takes what our own checker has found in the directory, nobody is looked for a second time.
    """

    account_for: Callable[[str], Awaitable[IAccount]]
    account_of: Callable[[UserRecord], IAccount] | None = None

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> Deferred[Login]:
        """Fails with NotImplementedError, as cred has it, where none of the interfaces can be had, and with TypeError where
        a checker has answered with what is no avatar's ID of ours.
        """
        # Stock protocols tell no session.
        session = mind if isinstance(mind, Session) else Session("", id="-")
        return Deferred.fromCoroutine(self._open(avatarId, session, interfaces))

    async def _open(
        self,
        avatar_id: bytes | tuple[()],
        session: Session,
        interfaces: tuple[type[Interface], ...],
    ) -> Login:
        if avatar_id == ANONYMOUS:
            raise UserGone("anonymous users have no mail")
        if not isinstance(avatar_id, bytes):
            raise TypeError(
                "a cred checker is to answer with the user's name as bytes, in UTF-8, or with"
                f" ANONYMOUS, not with {avatar_id!r}"
            )
        try:
            account: Any = await self._account(avatar_id)
        except errors.NonExistent:
            raise UserGone("this account is gone") from None
        for interface in interfaces:
            avatar = interface(account, None)
            if avatar is account:
                return interface, account, _nothing
            if avatar is not None:
                return interface, avatar, partial(_log_out, account, session)
        await account.logout()
        names = ", ".join(interface.__name__ for interface in interfaces)
        raise NotImplementedError(f"accounts provide none of {names}")

    async def _account(self, avatar_id: bytes) -> IAccount:
        if self.account_of is not None and isinstance(avatar_id, KnownUser):
            return self.account_of(avatar_id.record)
        return await self.account_for(avatar_id.decode())


def _nothing() -> None:
    """Who has the account itself ends the session by `IAccount.logout`."""


def _log_out(account: Any, session: Session) -> None:
    """cred does not wait for this."""
    Deferred.fromCoroutine(_leave(account, session))


async def _leave(account: Any, session: Session) -> None:
    try:
        await account.logout()
    except errors.DuckError as error:
        _log.warn(
            "{session.id} {user} left something behind: {error}",
            session=session,
            user=account.name,
            error=error,
        )
