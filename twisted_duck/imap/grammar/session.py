"""Commands about the connection and the user: RFC 3501 §6.1, §6.2 and what extends them."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Final

from attrs import field, frozen

from twisted_duck.imap.grammar.cursor import Cursor

_BASE64 = re.compile(rb"=|[A-Za-z0-9+/]+={0,2}")

# RFC 2971 §3.3: what is longer is no identification.
ID_PAIRS: Final = 30
ID_FIELD: Final = 30
ID_VALUE: Final = 1024


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
class Compress:
    """COMPRESS DEFLATE, RFC 4978 §3: there is no other algorithm."""


@frozen
class Idle:
    """IDLE, RFC 2177; the DONE that ends it is a line of its own."""


def authenticate(cursor: Cursor) -> Authenticate:
    cursor.space("a mechanism")
    mechanism = cursor.keyword("a mechanism")
    if not cursor.take(b" "):
        return Authenticate(mechanism)
    found = cursor.match(_BASE64)
    if found is None:
        cursor.fail("base64")
    if found[0] == b"=":
        return Authenticate(mechanism, b"")
    try:
        return Authenticate(mechanism, binascii.a2b_base64(found[0], strict_mode=True))
    except binascii.Error:
        cursor.refuse("that is not base64")


def login(cursor: Cursor) -> Login:
    cursor.space("a user name")
    user = cursor.astring("a user name")
    cursor.space("a password")
    return Login(user, cursor.astring("a password"))


def identification(cursor: Cursor) -> Id:
    cursor.space("'(' or NIL")
    if not cursor.take(b"("):
        if cursor.keyword("'(' or NIL") != "NIL":
            cursor.refuse("an identification is a list or NIL")
        return Id()
    fields: list[tuple[str, str | None]] = []
    while not cursor.take(b")"):
        if fields:
            cursor.space("a field name, or ')'")
        name = cursor.string("a field name")
        cursor.space("a value")
        value = cursor.nstring("a value")
        if len(fields) == ID_PAIRS or len(name) > ID_FIELD or len(value or b"") > ID_VALUE:
            cursor.refuse("that is more than an identification may have (RFC 2971 section 3.3)")
        fields.append((_readable(name).lower(), None if value is None else _readable(value)))
    return Id(tuple(fields))


def enable(cursor: Cursor) -> Enable:
    names: list[str] = []
    while not names or not cursor.at_end:
        cursor.space("the name of an extension")
        names.append(cursor.keyword("the name of an extension"))
    return Enable(tuple(names))


def compress(cursor: Cursor) -> Compress:
    cursor.space("an algorithm")
    if cursor.keyword("an algorithm") != "DEFLATE":
        cursor.refuse("DEFLATE is the only algorithm there is")
    return Compress()


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace")


PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "CAPABILITY": lambda cursor: Capability(),
    "NOOP": lambda cursor: Noop(),
    "LOGOUT": lambda cursor: Logout(),
    "STARTTLS": lambda cursor: StartTLS(),
    "NAMESPACE": lambda cursor: Namespace(),
    "IDLE": lambda cursor: Idle(),
    "AUTHENTICATE": authenticate,
    "LOGIN": login,
    "ID": identification,
    "ENABLE": enable,
    "COMPRESS": compress,
}
