"""PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`, in one message."""

from __future__ import annotations

from typing import ClassVar

from twisted_duck.errors import AuthenticationFailed, BadSyntax
from twisted_duck.sasl.mechanism import Challenge, Credentials, Step


class Plain:
    name: ClassVar[str] = "PLAIN"
    needs_privacy: ClassVar[bool] = True

    def start(self, initial: bytes | None) -> Step:
        return Challenge() if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        """Nobody may act for another: an authorization identity must be the authentication identity or be left out."""
        fields = response.split(b"\0")
        if len(fields) != 3:
            raise BadSyntax(
                "PLAIN takes an identity, a name and a password with a NUL between them"
            )
        identity, name, password = fields
        if identity not in (b"", name):
            raise AuthenticationFailed("one user cannot log in as another")
        return Credentials.of(name, password)
