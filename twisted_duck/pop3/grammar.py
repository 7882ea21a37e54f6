"""One line into one command (RFC 1939 §3, RFC 2449 §4): a keyword, and arguments with a space before each.

Keywords are read without regard to case.  Spaces at the end of a line are forgiven, except behind a password.  Numbers
of messages are of any size here: which of them exist is the maildrop's affair.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from typing import Final

from attrs import field, frozen

from twisted_duck.errors import BadSyntax


@frozen
class User:
    """USER, RFC 1939 §7: the rest of the line, since names with spaces exist."""

    name: bytes


@frozen
class Pass:
    """PASS, RFC 1939 §7: the rest of the line, spaces included."""

    password: bytes = field(repr=False)


@frozen
class Apop:
    """APOP, RFC 1939 §7: with whatever came behind it, which is not looked at."""


@frozen
class Auth:
    """AUTH, RFC 5034 §4.

    `mechanism` is in upper case. `initial` is decoded from base64; None where none was sent, and empty where `=` was.
    """

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@frozen
class Stls:
    """STLS, RFC 2595 §4."""


@frozen
class Utf8:
    """UTF8, RFC 6856 §2.1."""


@frozen
class Capa:
    """CAPA, RFC 2449 §5."""


@frozen
class Stat:
    """STAT, RFC 1939 §5."""


@frozen
class List:
    """LIST, RFC 1939 §5; of all messages for None."""

    number: int | None = None


@frozen
class Uidl:
    """UIDL, RFC 1939 §7; of all messages for None."""

    number: int | None = None


@frozen
class Retr:
    """RETR, RFC 1939 §5."""

    number: int


@frozen
class Top:
    """TOP, RFC 1939 §7: the header and so many lines of the body."""

    number: int
    lines: int


@frozen
class Dele:
    """DELE, RFC 1939 §5."""

    number: int


@frozen
class Noop:
    """NOOP, RFC 1939 §5."""


@frozen
class Rset:
    """RSET, RFC 1939 §5."""


@frozen
class Quit:
    """QUIT, RFC 1939 §4 and §6."""


Command = (
    User
    | Pass
    | Apop
    | Auth
    | Stls
    | Utf8
    | Capa
    | Stat
    | List
    | Uidl
    | Retr
    | Top
    | Dele
    | Noop
    | Rset
    | Quit
)

# No line end can be inside, and a NUL ends strings elsewhere.
_NEVER = re.compile(rb"[\0\r\n]")
_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}")
# More digits than any maildrop or message could need; beyond, reading a number costs more than linear time.
_NUMBER = re.compile(rb"[0-9]{1,18}")


def keyword(line: bytes) -> bytes:
    """The command's name in upper case, for a line that may be anything."""
    return line.partition(b" ")[0].upper()


def parse(line: bytes) -> Command:
    """The command of a line without its end.  Raises BadSyntax."""
    if _NEVER.search(line):
        raise BadSyntax("NUL and bare CR are never allowed")
    name, _, argument = line.partition(b" ")
    parser = _PARSERS.get(name.upper())
    if parser is None:
        raise BadSyntax("that is no command of this server" if name else "an empty line")
    return parser(argument)


def _nothing(make: Callable[[], Command]) -> Callable[[bytes], Command]:
    def parser(argument: bytes) -> Command:
        if argument.strip(b" "):
            raise BadSyntax("this command takes no argument")
        return make()

    return parser


def _user(argument: bytes) -> User:
    name = argument.rstrip(b" ")
    if not name:
        raise BadSyntax("a user name was expected")
    return User(name)


def _pass(argument: bytes) -> Pass:
    if not argument:
        raise BadSyntax("a password was expected")
    return Pass(argument)


def _auth(argument: bytes) -> Auth:
    mechanism, _, initial = argument.rstrip(b" ").partition(b" ")
    if not _MECHANISM.fullmatch(mechanism):
        raise BadSyntax("the name of a mechanism was expected")
    name = mechanism.decode("ascii").upper()
    if not initial:
        return Auth(name)
    if initial == b"=":
        return Auth(name, b"")
    try:
        return Auth(name, a2b_base64(initial, strict_mode=True))
    except Base64Error:
        raise BadSyntax("the initial response is not base64") from None


def _numbers(argument: bytes, what: str, *counts: int) -> list[int]:
    """As many numbers as one of `counts` says."""
    argument = argument.rstrip(b" ")
    words = argument.split(b" ") if argument else []
    if len(words) not in counts or not all(map(_NUMBER.fullmatch, words)):
        raise BadSyntax(f"{what} was expected")
    return [int(word) for word in words]


def _one(make: Callable[[int], Command]) -> Callable[[bytes], Command]:
    return lambda argument: make(*_numbers(argument, "the number of a message", 1))


def _one_or_all(make: Callable[[int | None], Command]) -> Callable[[bytes], Command]:
    def parser(argument: bytes) -> Command:
        numbers = _numbers(argument, "the number of a message, or nothing,", 0, 1)
        return make(numbers[0] if numbers else None)

    return parser


def _top(argument: bytes) -> Top:
    return Top(*_numbers(argument, "the number of a message and a number of lines", 2))


_PARSERS: Final[dict[bytes, Callable[[bytes], Command]]] = {
    b"USER": _user,
    b"PASS": _pass,
    b"APOP": lambda argument: Apop(),
    b"AUTH": _auth,
    b"STLS": _nothing(Stls),
    b"UTF8": _nothing(Utf8),
    b"CAPA": _nothing(Capa),
    b"STAT": _nothing(Stat),
    b"LIST": _one_or_all(List),
    b"UIDL": _one_or_all(Uidl),
    b"RETR": _one(Retr),
    b"TOP": _top,
    b"DELE": _one(Dele),
    b"NOOP": _nothing(Noop),
    b"RSET": _nothing(Rset),
    b"QUIT": _nothing(Quit),
}
