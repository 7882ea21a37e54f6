"""What a client hears that is not let in: its protocol's first words, and last ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from twisted.protocols.policies import WrappingFactory

from twisted_duck.errors import ConnectionRefused
from twisted_duck.wire.lines import one_line

#: An error as the bytes that say it in a protocol's place for a greeting.
Refusal: TypeAlias = Callable[[ConnectionRefused], bytes]


def _imap(error: ConnectionRefused) -> bytes:
    """RFC 3501 §7.1.5: a connection that the server is not willing to accept."""
    return b"* BYE %b%b\r\n" % (_code(error.imap), one_line(error.message))


def _pop3(error: ConnectionRefused) -> bytes:
    """RFC 1939 §4 knows a positive greeting only; every client takes this for what it is (RFC 2449 §8)."""
    return b"-ERR %b%b\r\n" % (_code(error.pop3), one_line(error.message))


def _smtp(error: ConnectionRefused) -> bytes:
    """RFC 5321 §3.8, RFC 2033 §4: a reply code in the greeting's place, and RFC 2034's enhanced one."""
    return b"%b %b\r\n" % (error.smtp.encode("ascii"), one_line(error.message))


def silence(error: ConnectionRefused) -> bytes:
    """For a protocol that is not known here."""
    return b""


def _code(code: str | None) -> bytes:
    return b"[%b] " % code.encode("ascii") if code else b""


REFUSALS: dict[str, Refusal] = {"IMAP": _imap, "POP3": _pop3, "SMTP": _smtp, "LMTP": _smtp}

#: Protocols of others, by their full names, so that they need not be imported.
_NAMES = {
    "twisted.mail.imap4.IMAP4Server": "IMAP",
    "twisted.mail.pop3.POP3": "POP3",
    "twisted.mail.smtp.SMTP": "SMTP",
}


def layers(factory: Any) -> Iterator[Any]:
    """A factory, and what it is wrapped around, down to the one that is wrapped around nothing."""
    yield factory
    while isinstance(factory, WrappingFactory):
        factory = factory.wrappedFactory
        yield factory


def protocol_class(factory: Any) -> type | None:
    """The class of a factory's protocols, where it says so, behind whatever is wrapped around it."""
    *_, innermost = layers(factory)
    kind = getattr(innermost, "protocol", None)
    return kind if isinstance(kind, type) else None


def protocol_name(factory: Any) -> str:
    """What a factory's connections speak: what its protocol class calls it, else that class's own name."""
    kind = protocol_class(factory)
    if kind is None:
        return type(factory).__name__
    for each in kind.__mro__:
        name = getattr(each, "protocol_name", None)
        name = name or _NAMES.get(f"{each.__module__}.{each.__qualname__}")
        if isinstance(name, str):
            return name
    return kind.__name__
