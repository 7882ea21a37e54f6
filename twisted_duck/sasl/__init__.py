"""SASL mechanisms (RFC 4422), the server's side, as state machines without I/O.

Those that show a password: a protocol that has been asked for one makes one of its class, calls `start` with the initial
response (RFC 4959; None where none was sent), and for as long as it gets a `Challenge`, sends that and calls `step` with
the answer.  What comes last is `Credentials`, which somebody else must check.

Those that prove that the client has a password, SCRAM, need to be told in the middle what is known of the user: see
`twisted_duck.sasl.scram`.

Base64 and the `*` that cancels are the protocol's affair.  What is called with a client's words raises `BadSyntax` for those
that are not the mechanism's, and `AuthenticationFailed` for those that are and can never be right; after either the
mechanism is used up.
"""

from __future__ import annotations

from types import MappingProxyType

from twisted_duck.sasl.login import Login
from twisted_duck.sasl.mechanism import Challenge, Credentials, Mechanism, Step
from twisted_duck.sasl.plain import Plain
from twisted_duck.sasl.scram import SCRAM, Bindings, Scram, Verifier

#: Name (upper case) -> class, in the order in which they are advertised.  `needs_privacy` of a class says that it must
#: not be used over a clear connection.
MECHANISMS: MappingProxyType[str, type[Mechanism]] = MappingProxyType(
    {mechanism.name: mechanism for mechanism in (Plain, Login)}
)

__all__ = [
    "MECHANISMS",
    "SCRAM",
    "Bindings",
    "Challenge",
    "Credentials",
    "Mechanism",
    "Scram",
    "Step",
    "Verifier",
]
