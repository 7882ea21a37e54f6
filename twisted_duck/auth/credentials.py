"""A name and a password as cred takes them, with the connection they came from."""

from __future__ import annotations

from hmac import compare_digest

from attrs import field, frozen
from twisted.cred.credentials import IUsernamePassword
from zope.interface import implementer

from twisted_duck import sasl
from twisted_duck.session import Session


@implementer(IUsernamePassword)
@frozen
class PasswordCredentials:
    """L{IUsernamePassword} for any checker; ours looks at `session`, too, because cred shows the mind to realms only."""

    username: bytes
    password: bytes = field(repr=False)
    session: Session | None = field(default=None, repr=False)

    @classmethod
    def of(cls, given: sasl.Credentials, session: Session | None) -> PasswordCredentials:
        return cls(given.name.encode(), given.password.encode(), session)

    def checkPassword(self, password: bytes) -> bool:
        """For checkers that keep passwords in clear."""
        return compare_digest(self.password, password)
