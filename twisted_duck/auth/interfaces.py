"""What logging in needs to know of users: the MongoDB store and the in-memory store provide it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import field, frozen
from twisted.cred.credentials import ICredentials
from zope.interface import Attribute, Interface

from twisted_duck.sasl import Verifier

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
    #: What SCRAM needs of the same password (`verifiers.make_verifiers`); empty: nobody can log in by SCRAM.
    verifiers: tuple[str, ...] = field(default=(), repr=False)


class KnownUser(bytes):
    """The avatar ID of a user of a directory: the name in UTF-8, and what the directory said of the user."""

    record: UserRecord

    @classmethod
    def of(cls, record: UserRecord) -> KnownUser:
        known = cls(record.name.encode())
        known.record = record
        return known


class IUserDirectory(Interface):
    def find(name: str) -> Awaitable[UserRecord | None]:
        """The user who logs in as `name`, which may be of any form and length.

        Fails with Unavailable, never with None, where it can't tell.
        """


class IPasswordUpgrades(IUserDirectory):
    """A directory that stores better hashes when a login has shown the password."""

    def replace_hash(record: UserRecord, password_hash: str) -> Awaitable[None]:
        """Store a new hash of the same password, unless the user's hash is not `record.password_hash` any more."""


class IScramDirectory(IPasswordUpgrades):
    """A directory that keeps what SCRAM needs."""

    def replace_verifiers(record: UserRecord, verifiers: tuple[str, ...]) -> Awaitable[None]:
        """Store the verifiers of the user's password, unless the user's hash is not `record.password_hash` any more."""

    def seed(name: str) -> Awaitable[bytes]:
        """32 octets, the same for ever and in every process for all names that `find` takes for one, that nobody can guess.

        A user who does not exist has a salt made from them.
        """


class IScramCredentials(ICredentials):
    """A client that wants to prove that it knows a password.

    A checker looks for the user, and has the client prove it with what it knows of that one, or with what nobody could
    tell from that (`Verifier.pretended`) where there is no such user.
    """

    name: str = Attribute("The user's name, as the client writes it.")
    scheme: str = Attribute("Which verifier is asked for: 'SCRAM-SHA-256'.")
    session = Attribute("The connection's Session.")

    def prove(verifier: Verifier, first: Callable[[], None]) -> Awaitable[bool]:
        """Whether the client knows the password that the verifier was made from; called once.

        `first` is called when the proof has come; what it raises is raised, and the proof is not looked at.  Fails with
        errors of ours for an exchange that goes wrong, and with whatever ends the connection.
        """
