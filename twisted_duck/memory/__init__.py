"""A mail store in memory: for tests, for applications that want no database, and as the model of what a store does.

Everything happens at once: each method is a coroutine that never waits, so that it needs no reactor.

What is kept of a mailbox is its index, which has the flags and modseqs, and its messages by UID, which never change.
Every change to it goes through `Mailbox.commit`, with one modseq.  A name that has children and no mailbox of its own
is not kept at all: it follows from the names below it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import Interface, implementer

from twisted_duck.addresses import AddressRules, form_of_name
from twisted_duck.errors import AlreadyExists, NonExistent
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.memory.addresses import MemoryAddresses
from twisted_duck.memory.delivery import MemoryDelivery
from twisted_duck.memory.model import User
from twisted_duck.names import DEFAULT_MAILBOXES

__all__ = ["MemoryAccount", "MemoryStore"]


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@implementer(IRealm, ICredentialsChecker)
class MemoryStore:
    """Users and their mail.  Also a cred realm and a checker, so that `Portal(store, [store])` serves them.

    @param clock: tells the date of messages that come without one
    """

    credentialInterfaces: ClassVar = (IUsernamePassword,)

    def __init__(self, limits: Limits | None = None, clock: Callable[[], datetime] = _now) -> None:
        self._limits = limits or DEFAULTS
        self._clock = clock
        self._users: dict[str, User] = {}
        self.addresses = MemoryAddresses(self._users)

    def add_user(self, name: str, password: str, quota: int | None = None) -> None:
        """A new user with the default mailboxes; `quota` in bytes.  Raises AlreadyExists."""
        if name in self._users:
            raise AlreadyExists("there is a user of that name already")
        self.addresses.claim(form_of_name(name), name)
        user = User(name, password, quota, self._limits, self._clock)
        for mailbox, special_use in DEFAULT_MAILBOXES.items():
            user.add(mailbox, special_use)
        user.subscriptions.update(DEFAULT_MAILBOXES)
        self._users[name] = user

    def account(self, name: str) -> MemoryAccount:
        """A new session of a user.  Raises NonExistent."""
        user = self._users.get(name)
        if user is None:
            raise NonExistent("there is no such user")
        return MemoryAccount(user)

    def delivery(self, rules: AddressRules | None = None) -> MemoryDelivery:
        """An L{twisted_duck.interfaces.IDelivery} to all users."""
        return MemoryDelivery(self.addresses, rules or AddressRules(), self._limits)

    def set_disabled(self, name: str, disabled: bool) -> None:
        """A disabled user can't log in, and gets no mail.  Raises NonExistent."""
        self.account(name)
        self._users[name].disabled = disabled

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        name, password = _bytes(credentials.username), _bytes(credentials.password)
        user = self._users.get(name.decode("utf-8", "surrogateescape"))
        expected = b"" if user is None else user.password.encode()
        if not hmac.compare_digest(expected, password) or user is None or user.disabled:
            return fail(UnauthorizedLogin("wrong user name or password"))
        return succeed(user.name.encode())

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], MemoryAccount, Callable[[], None]]:
        if IAccount not in interfaces:
            raise NotImplementedError("this realm has mail accounts only")
        if not avatarId:
            raise UnauthorizedLogin("nobody's mail")
        return IAccount, self.account(avatarId.decode()), lambda: None


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
