"""What is kept of a password for SCRAM, beside its Argon2id hash, where SCRAM is wanted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from twisted_duck.errors import Cannot
from twisted_duck.sasl.scram import SALT, Verifier

#: Scheme -> how often a password is hashed.  RFC 7677 §3 wants 4,096 at least, OWASP ten times this for PBKDF2; but with
#: more than this, Cyrus SASL, which most mail programs of Linux use, refuses to log in.  A client needs 50 ms for it; the
#: server has nothing of it but where a password is set.
ITERATIONS: Final[Mapping[str, int]] = MappingProxyType(
    {"SCRAM-SHA-256": 65_536, "SCRAM-SHA-1": 65_536}
)


def make_verifiers(password: str, iterations: Mapping[str, int] = ITERATIONS) -> tuple[str, ...]:
    """One for each scheme, as RFC 5803 writes them; none for a password that can't be prepared (RFC 4013).

    Takes its time, a tenth of a second.
    """
    try:
        return tuple(
            Verifier.of(scheme, password, os.urandom(SALT), count).encoded
            for scheme, count in iterations.items()
        )
    except Cannot:
        return ()


def find_verifier(stored: tuple[str, ...], scheme: str) -> Verifier | None:
    """The one for a scheme.  Fails with Corruption where what is stored is none."""
    return next((each for each in map(Verifier.parse, stored) if each.scheme == scheme), None)


def are_current(stored: tuple[str, ...], iterations: Mapping[str, int] = ITERATIONS) -> bool:
    """Whether they are what `make_verifiers` would make now.  Fails with Corruption where what is stored is none."""
    return {each.scheme: each.iterations for each in map(Verifier.parse, stored)} == iterations
