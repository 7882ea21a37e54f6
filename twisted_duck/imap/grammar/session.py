"""Commands about the connection and the user: RFC 3501 §6.1, §6.2 and what extends them."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Capability:
    """CAPABILITY, RFC 3501 §6.1.1."""


@frozen
class Noop:
    """NOOP, RFC 3501 §6.1.2."""


@frozen
class Logout:
    """LOGOUT, RFC 3501 §6.1.3."""


@frozen
class StartTLS:
    """STARTTLS, RFC 3501 §6.2.1."""


@frozen
class Authenticate:
    """AUTHENTICATE, RFC 3501 §6.2.2, with the initial response of RFC 4959.

    `mechanism` is in upper case. `initial` is decoded from base64; None where none was sent, and
    empty where `=` was.
    """

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@frozen
class Login:
    """LOGIN, RFC 3501 §6.2.3: both as the bytes that were sent, in whatever charset."""

    user: bytes
    password: bytes = field(repr=False)


@frozen
class Id:
    """ID, RFC 2971: pairs in the order they were sent, field names in lower case; () for NIL."""

    fields: tuple[tuple[str, str | None], ...] = ()


@frozen
class Namespace:
    """NAMESPACE, RFC 2342."""


@frozen
class Enable:
    """ENABLE, RFC 5161: the names in upper case, known to the server or not."""

    capabilities: tuple[str, ...]


@frozen
class Idle:
    """IDLE, RFC 2177; the DONE that ends it is a line of its own."""
