"""One line into one command (RFC 2033, RFC 5321 §4.1.1).

Keywords are read without regard to case, spaces at the end of a line are forgiven, and nothing else is: there are no
spaces around a path, and a path has its angle brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal, NoReturn, cast

from attrs import frozen

from twisted_duck.errors import BadSyntax
from twisted_duck.light import light
from twisted_duck.lmtp.address import Address, read_domain, read_local


class BadArgument(BadSyntax):
    """A command that is known, with arguments it does not take."""

    smtp = "501 5.5.4"


class SenderNeedsUTF8(BadArgument):
    """A sender that is not ASCII, in a transaction that was not begun so (RFC 6531 §3.5)."""

    smtp = "550 5.6.7"


class BadParameter(BadSyntax):
    """MAIL or RCPT with a parameter that was not offered (RFC 5321 §4.1.1.11)."""

    smtp = "555 5.5.4"


Body = Literal["7BIT", "8BITMIME"]


@light
class Lhlo:
    """LHLO, RFC 2033 §4.1: a domain or an address literal."""

    client: str


@light
class Mail:
    """MAIL, RFC 5321 §4.1.1.2; the sender is None for `<>`.

    `size` as RFC 1870 has it, `body` as RFC 6152, `utf8` as RFC 6531; a sender that is not ASCII comes only with it.
    """

    sender: Address | None
    size: int | None = None
    body: Body | None = None
    utf8: bool = False


@light
class Rcpt:
    """RCPT, RFC 5321 §4.1.1.3.  Whether it may be other than ASCII was said by MAIL."""

    recipient: Address


@light
class Data:
    """DATA, RFC 5321 §4.1.1.4, RFC 2033 §4.2."""


@light
class Bdat:
    """BDAT, RFC 3030 §2: so many octets follow the line."""

    size: int
    last: bool


@frozen
class Rset:
    """RSET, RFC 5321 §4.1.1.5."""


@frozen
class Noop:
    """NOOP, RFC 5321 §4.1.1.9; an argument is not looked at."""


@frozen
class Vrfy:
    """VRFY, RFC 5321 §4.1.1.6."""

    query: str


@frozen
class Quit:
    """QUIT, RFC 5321 §4.1.1.10."""


@frozen
class Starttls:
    """STARTTLS, RFC 3207 §4."""


Command = Starttls | Lhlo | Mail | Rcpt | Data | Bdat | Rset | Noop | Vrfy | Quit

#: What a line begins with that octets follow which are no commands.
_OCTETS_FOLLOW = re.compile(rb" *BDAT(?![A-Z])", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# RFC 1870 §3 has 20 digits for SIZE; no message has more than these.
_NUMBER = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(r"[0-9]{1,20}")
_BDAT = re.compile(rf"({_NUMBER.pattern})( LAST)?", re.IGNORECASE)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\xa0-\U0010ffff]+))?")
_BODIES: Final = ("7BIT", "8BITMIME")


def parse(line: bytes) -> Command:
    """The command of a line without its end.  Raises BadSyntax."""
    try:
        text = line.decode("utf-8").rstrip(" ")
    except UnicodeDecodeError:
        raise BadSyntax("a command is ASCII or UTF-8") from None
    if _CONTROL.search(text):
        raise BadSyntax("a command has no control characters")
    name, _, argument = text.partition(" ")
    parser = _PARSERS.get(name.upper())
    if parser is None:
        raise BadSyntax("that is no command of this server" if name else "an empty line")
    return parser(argument)


def announces_octets(line: bytes) -> bool:
    """Whether octets that are no commands follow the line, or its beginning, even where it can't be parsed."""
    return _OCTETS_FOLLOW.match(line) is not None


def _nothing(make: Callable[[], Command]) -> Callable[[str], Command]:
    def parser(argument: str) -> Command:
        if argument:
            raise BadArgument("this command takes no argument")
        return make()

    return parser


def _lhlo(argument: str) -> Lhlo:
    found = read_domain(argument, 0)
    # RFC 6531 §3.7.1: names in Unicode come after it only.
    if found is None or found[1] != len(argument) or not argument.isascii():
        raise BadArgument("the name of a host or [its address] was expected")
    return Lhlo(found[0])


def _mail(argument: str) -> Mail:
    sender, words = _path(argument, "FROM:", nobody=True)
    size: int | None = None
    body: Body | None = None
    utf8 = False
    for name, value in _parameters(words).items():
        match name:
            case "SIZE" if value is not None and _SIZE.fullmatch(value):
                size = int(value)
            case "BODY" if value is not None and value.upper() in _BODIES:
                body = cast(Body, value.upper())
            case "SMTPUTF8" if value is None:
                utf8 = True
            case "SIZE" | "BODY" | "SMTPUTF8":
                raise BadArgument(f"the parameter {name} does not take that value")
            case _:
                raise BadParameter("MAIL has a parameter that was not offered")
    if sender is not None and not sender.is_ascii and not utf8:
        raise SenderNeedsUTF8("an address that is not ASCII needs SMTPUTF8")
    return Mail(sender, size, body, utf8)


def _rcpt(argument: str) -> Rcpt:
    recipient, words = _path(argument, "TO:", nobody=False)
    assert recipient is not None
    if _parameters(words):
        raise BadParameter("RCPT has a parameter that was not offered")
    return Rcpt(recipient)


def _bdat(argument: str) -> Bdat:
    found = _BDAT.fullmatch(argument)
    if found is None:
        raise BadArgument("a number of octets was expected, and LAST behind it for the last ones")
    return Bdat(int(found[1]), found[2] is not None)


def _vrfy(argument: str) -> Vrfy:
    if not argument:
        raise BadArgument("an address was expected")
    return Vrfy(argument)


def _path(argument: str, keyword: str, *, nobody: bool) -> tuple[Address | None, list[str]]:
    """`FROM:<path>` and the words behind it.  A source route is read over (RFC 5321 appendix C)."""
    if argument[: len(keyword)].upper() != keyword:
        raise BadArgument(f"{keyword}<address> was expected")
    at = len(keyword)
    if argument.startswith("<>", at) and nobody:
        return None, _words(argument, at + 2)
    if not argument.startswith("<", at):
        _bad_address()
    at = _after_route(argument, at + 1)
    local = read_local(argument, at)
    if local is None:
        _bad_address()
    name, at = local
    domain: str | None = None
    if argument.startswith("@", at):
        found = read_domain(argument, at + 1)
        if found is None:
            _bad_address()
        domain, at = found
    elif nobody or name.upper() != "POSTMASTER":
        _bad_address()
    if not argument.startswith(">", at):
        _bad_address()
    return Address(name, domain), _words(argument, at + 1)


def _after_route(argument: str, at: int) -> int:
    """Where the mailbox begins: behind `@one,@two:`, if that is there."""
    while argument.startswith("@", at):
        found = read_domain(argument, at + 1)
        if found is None:
            _bad_address()
        at = found[1]
        if argument.startswith(":", at):
            return at + 1
        if not argument.startswith(",@", at):
            _bad_address()
        at += 1
    return at


def _bad_address() -> NoReturn:
    raise BadArgument("that is not an address in angle brackets")


def _words(argument: str, at: int) -> list[str]:
    """The parameters, each with a space before it."""
    rest = argument[at:]
    if rest and not rest.startswith(" "):
        _bad_address()
    return rest[1:].split(" ") if rest else []


def _parameters(words: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for word in words:
        parameter = _PARAMETER.fullmatch(word)
        if parameter is None:
            raise BadArgument("a parameter was expected, with one space before it")
        name = parameter[1].upper()
        if name in found:
            raise BadArgument(f"the parameter {name} was given twice")
        found[name] = parameter[2]
    return found


# HELO and EHLO are not LMTP's (RFC 2033 §4.1).
_PARSERS: Final[dict[str, Callable[[str], Command]]] = {
    "LHLO": _lhlo,
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _nothing(Data),
    "BDAT": _bdat,
    "RSET": _nothing(Rset),
    "NOOP": lambda argument: Noop(),
    "VRFY": _vrfy,
    "QUIT": _nothing(Quit),
    "STARTTLS": _nothing(Starttls),
}
