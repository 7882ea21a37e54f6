"""What a client shows of itself, as cred takes it, with the connection it came from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hmac import compare_digest

from attrs import field, frozen
from twisted.cred.credentials import IUsernamePassword
from zope.interface import implementer

from twisted_duck import sasl
from twisted_duck.auth.interfaces import IScramCredentials
from twisted_duck.errors import BadSyntax
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


@implementer(IScramCredentials)
@frozen(eq=False)
class ScramCredentials:
    """An exchange that has begun, for any checker that takes L{IScramCredentials}.

    `ask` sends the client a challenge and gives its response.
    """

    exchange: sasl.Scram = field(repr=False)
    session: Session = field(repr=False)
    ask: Callable[[bytes], Awaitable[bytes]] = field(repr=False)

    @property
    def name(self) -> str:
        return self.exchange.username

    @property
    def scheme(self) -> str:
        return self.exchange.scheme

    async def prove(self, verifier: sasl.Verifier, first: Callable[[], None]) -> bool:
        response = await self.ask(self.exchange.challenge(verifier))
        first()
        return self.exchange.prove(response)

    async def confirm(self) -> None:
        """Show the client that we know the user, after a proof that was good.

        Fails with BadSyntax for a client that is not content with that.
        """
        if await self.ask(self.exchange.final):
            raise BadSyntax("there is nothing left to say")
