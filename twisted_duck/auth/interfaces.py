"""What logging in needs to know of users: the MongoDB store and the in-memory store provide it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from attrs import field, frozen
from zope.interface import Interface

# Methods of a zope Interface take no `self`.
# mypy: disable-error-code="empty-body,misc"


@frozen
class UserRecord:
    """One user."""

    #: Whatever the directory tells users apart by; hashable.
    id: Any
    #: In the spelling that the directory keeps.
    name: str
    #: A PHC string (`passwords.hash_password`), or None: nobody can log in by password.
    password_hash: str | None = field(repr=False)
    disabled: bool = False


class IUserDirectory(Interface):
    def find(name: str) -> Awaitable[UserRecord | None]:
        """The user who logs in as `name`, which may be of any form and length.

        Fails with Unavailable, never with None, where it can't tell.
        """


class IPasswordUpgrades(IUserDirectory):
    """A directory that stores better hashes when a login has shown the password."""

    def replace_hash(record: UserRecord, password_hash: str) -> Awaitable[None]:
        """Store a new hash of the same password, unless the user's hash is not `record.password_hash` any more."""
