"""What every mechanism is, and what it answers."""

from __future__ import annotations

from typing import ClassVar, Protocol

from attrs import field, frozen

from twisted_duck.errors import AuthenticationFailed


@frozen
class Challenge:
    """Send this, and call `step` with the answer.  It is empty where the mechanism lets the client speak first."""

    data: bytes = b""


@frozen
class Credentials:
    """A name and the password that is said to be its own, as text; neither is empty or has a NUL."""

    name: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, name: bytes, password: bytes) -> Credentials:
        """From what a client sent, by whatever command.

        The text is taken as it is: a client that prepares strings (RFC 4013) does so when the password is set, too.
        Fails with AuthenticationFailed where no account can have such a name or password: RFC 4616 §2 wants a failure
        of the preparation to be one of the verification.
        """
        try:
            credentials = cls(name.decode("utf-8"), password.decode("utf-8"))
        except UnicodeDecodeError:
            raise AuthenticationFailed("name and password must be UTF-8") from None
        if not name or not password or b"\0" in name or b"\0" in password:
            raise AuthenticationFailed("a name and a password are needed")
        return credentials


#: A mechanism that has to look the user up before it can go on would answer a third kind.
Step = Challenge | Credentials


class Mechanism(Protocol):
    """One exchange, used once."""

    name: ClassVar[str]
    #: Whether who listens learns the password.
    needs_privacy: ClassVar[bool]

    def start(self, initial: bytes | None) -> Step:
        """Begin, with the initial response or without one."""

    def step(self, response: bytes) -> Step:
        """Go on, with the answer to the last challenge."""
