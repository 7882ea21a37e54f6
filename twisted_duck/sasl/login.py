"""LOGIN (draft-murchison-sasl-login): the name and the password, each asked for.  Old clients know nothing else."""

from __future__ import annotations

from typing import ClassVar

from twisted_duck.sasl.mechanism import Challenge, Credentials, Step


class Login:
    name: ClassVar[str] = "LOGIN"
    needs_privacy: ClassVar[bool] = True

    def __init__(self) -> None:
        self._user: bytes | None = None

    def start(self, initial: bytes | None) -> Step:
        """The draft has no initial response; clients that send one send the name."""
        return Challenge(b"Username:") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        if self._user is None:
            self._user = response
            return Challenge(b"Password:")
        return Credentials.of(self._user, response)
