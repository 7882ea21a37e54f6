"""A cred realm for stock servers, around one whose avatars provide `IAccount`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.mail.interfaces import IAccountIMAP, IMailboxPOP3
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from twisted_duck.adapters.to_twisted.account import TwistedAccount
from twisted_duck.adapters.to_twisted.maildrop import Maildrop
from twisted_duck.interfaces import IAccount


@implementer(IRealm)
class TwistedRealm:
    """Gives `IAccountIMAP` and `twisted.mail.pop3.IMailbox` avatars made of the `IAccount`s of `realm`."""

    log = Logger()

    def __init__(self, realm: Any) -> None:
        self._realm = realm

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> Deferred[tuple[type[Interface], Any, Callable[[], None]]]:
        asked = [each for each in (IAccount, IAccountIMAP, IMailboxPOP3) if each in interfaces]
        if not asked:
            raise NotImplementedError("this realm has mail accounts only")
        return Deferred.fromCoroutine(self._avatar(asked[0], avatarId, mind))

    async def _avatar(
        self, interface: Any, avatarId: Any, mind: object
    ) -> tuple[type[Interface], Any, Callable[[], None]]:
        _, account, logout = await maybeDeferred(
            self._realm.requestAvatar, avatarId, mind, IAccount
        )
        if interface is IAccount:
            return IAccount, account, logout
        avatar: TwistedAccount | Maildrop
        if interface is IAccountIMAP:
            avatar = TwistedAccount(account)
        else:
            avatar = await Maildrop.open(account)

        def leave() -> None:
            def done(result: object) -> None:
                if isinstance(result, Failure):
                    self.log.failure("a session could not be closed", result)
                logout()

            avatar.logout().addBoth(done)

        return interface, avatar, leave
