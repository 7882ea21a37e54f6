"""SASL mechanisms (RFC 4422), the server's side, as state machines without I/O.

A protocol that has been asked for a mechanism makes one of its class, calls `start` with the initial response (RFC 4959;
None where none was sent), and for as long as it gets a `Challenge`, sends that and calls `step` with the answer.  What
comes last is `Credentials`, which somebody else must check.  Base64 and the `*` that cancels are the protocol's affair.

Both methods raise `BadSyntax` for a response that is not the mechanism's, and `AuthenticationFailed` for one that is and
can never be right; after either the mechanism is used up.
"""

from __future__ import annotations

from types import MappingProxyType

from twisted_duck.sasl.login import Login
from twisted_duck.sasl.mechanism import Challenge, Credentials, Mechanism, Step
from twisted_duck.sasl.plain import Plain

#: Name (upper case) -> class, in the order in which they are advertised.  `needs_privacy` of a class says that it must
#: not be used over a clear connection.
MECHANISMS: MappingProxyType[str, type[Mechanism]] = MappingProxyType(
    {mechanism.name: mechanism for mechanism in (Plain, Login)}
)

__all__ = ["MECHANISMS", "Challenge", "Credentials", "Mechanism", "Step"]
