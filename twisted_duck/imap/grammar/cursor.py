"""Reading one command's text from left to right: the words of RFC 3501 §9.

A `Cursor` stands somewhere in a command. Each reader takes one thing and moves on, or raises
`BadSyntax` saying what was expected and where, and never looks at an octet twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NoReturn

from attrs import field

from twisted_duck.errors import BadSyntax
from twisted_duck.light import light
from twisted_duck.limits import Limits

NUMBER_MAX: Final = 2**32 - 1
NUMBER64_MAX: Final = 2**63 - 1

# Controls, NUL and all that has 8 bits are in none of these.
ATOM: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
ASTRING: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
LIST_MAILBOX: Final = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
# Eight bits are let through here: passwords and search strings come like that from many clients.
_QUOTED = re.compile(rb'"([^"\\\r\n\0]*(?:\\["\\][^"\\\r\n\0]*)*)"')
_ESCAPED = re.compile(rb'\\(["\\])')
_DIGITS = re.compile(rb"[0-9]+")


@light
class Literal:
    """A literal inside a command: its bytes, or what the owner streamed them into.

    Exactly one of `data` and `spool` is set. The grammar looks at `data` only; `spool` is handed
    through untouched, and is accepted where APPEND takes a message and nowhere else. `binary` is
    the literal8 of RFC 3516 (`~{n}`).
    """

    size: int
    data: bytes | None = None
    spool: object | None = field(default=None, eq=False)
    binary: bool = False

    @classmethod
    def of(cls, data: bytes, *, binary: bool = False) -> Literal:
        """A literal whose bytes are held in memory."""
        return cls(len(data), data, None, binary)


class Cursor:
    """Where we are in a command: in one of its texts, behind each of which stands a literal."""

    def __init__(
        self, parts: Sequence[bytes | Literal], limits: Limits, *, utf8: bool = False
    ) -> None:
        """@param utf8: whether names of mailboxes and quoted strings are in UTF-8 (RFC 6855 §3)"""
        self.limits = limits
        self.utf8 = utf8
        self._texts = [b""]
        self._literals: list[Literal] = []
        for part in parts:
            if isinstance(part, Literal):
                self._literals.append(part)
                self._texts.append(b"")
            else:
                # There is one between two literals.
                self._texts[-1] += part
        self._number = 0
        self._text = self._texts[0]
        self._at = 0

    # --- the least steps ----------------------------------------------------------------------

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._text) and self._number == len(self._literals)

    def sees(self, octet: bytes) -> bool:
        """Whether `octet` is next."""
        return self._text.startswith(octet, self._at)

    def sees_any(self, octets: bytes) -> bool:
        """Whether one of `octets` is next."""
        return self._at < len(self._text) and self._text[self._at] in octets

    def take(self, octet: bytes) -> bool:
        """Step over `octet` if it is next."""
        if not self._text.startswith(octet, self._at):
            return False
        self._at += len(octet)
        return True

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Step over what `pattern` matches here, if it does."""
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def expect(self, octet: bytes, what: str | None = None) -> None:
        if not self.take(octet):
            self.fail(what or f"'{octet.decode('ascii')}'")

    def space(self, before: str) -> None:
        """Step over the one space that stands before something."""
        if not self._text.startswith(b" ", self._at):
            self.fail(f"a space and {before}")
        self._at += 1

    def end(self) -> None:
        if self._at != len(self._text) or self._number != len(self._literals):
            self.fail("the end of the command")

    def give_up(self) -> None:
        """Step over all that is left: the command is refused, whatever stands there."""
        self._number = len(self._literals)
        self._text = self._texts[self._number]
        self._at = len(self._text)

    def fail(self, expected: str) -> NoReturn:
        """Raise BadSyntax: this was expected here."""
        found = self._text[self._at : self._at + 1]
        why = {b"\0": " (NUL is never allowed)", b"\r": " (a bare CR is never allowed)"}
        raise BadSyntax(f"expected {expected} at octet {self._position()}{why.get(found, '')}")

    def refuse(self, why: str) -> NoReturn:
        """Raise BadSyntax: what was just read follows the grammar and can't be meant."""
        raise BadSyntax(f"{why}, before octet {self._position()}")

    def _position(self) -> int:
        """Counted from 1, the octets of literals included and their announcements not."""
        before = sum(map(len, self._texts[: self._number]))
        return before + sum(each.size for each in self._literals[: self._number]) + self._at + 1

    # --- words --------------------------------------------------------------------------------

    def atom(self, what: str) -> bytes:
        found = self.match(ATOM)
        if found is None:
            self.fail(what)
        return found[0]

    def keyword(self, what: str) -> str:
        """An atom that is a word of the protocol: in upper case."""
        return self.atom(what).decode("ascii").upper()

    def is_string(self) -> bool:
        """Whether a quoted string or a literal is next."""
        return self.sees(b'"') or self.is_literal()

    def is_literal(self) -> bool:
        return self._at == len(self._text) and self._number < len(self._literals)

    def literal(self, what: str) -> Literal:
        """A literal of any kind."""
        if not self.is_literal():
            self.fail(what)
        literal = self._literals[self._number]
        self._number += 1
        self._text = self._texts[self._number]
        self._at = 0
        return literal

    def string(self, what: str) -> bytes:
        """A quoted string, or a literal whose bytes are held in memory."""
        quoted = self.match(_QUOTED)
        if quoted is not None:
            value = _ESCAPED.sub(rb"\1", quoted[1])
            if self.utf8:
                self.text(value, what)
            return value
        if not self.is_literal():
            self.fail(f"{what} (a quoted string without its end?)" if self.sees(b'"') else what)
        literal = self.literal(what)
        if literal.binary or literal.data is None:
            self.refuse(f"binary data can't be {what}")
        if 0 in literal.data:
            self.refuse(f"NUL can't be in {what}")
        return literal.data

    def text(self, octets: bytes, what: str) -> str:
        """What octets that were just read mean in UTF-8."""
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            self.refuse(f"{what} is not UTF-8")

    def astring(self, what: str) -> bytes:
        """An atom, in which `]` is allowed, or a string."""
        found = self.match(ASTRING)
        return self.string(what) if found is None else found[0]

    def nstring(self, what: str) -> bytes | None:
        """A string or NIL."""
        if self.is_string():
            return self.string(what)
        if self.keyword(f"{what} or NIL") != "NIL":
            self.refuse(f"{what} is a string or NIL")
        return None

    def number(self, what: str, least: int = 0, most: int = NUMBER_MAX) -> int:
        found = self.match(_DIGITS)
        if found is None:
            self.fail(what)
        # 20 digits are more than 64 bits; the time to read a number is quadratic in its digits.
        value = int(found[0]) if len(found[0]) <= 20 else most + 1
        if not least <= value <= most:
            self.refuse(f"{what} has to be from {least} to {most}")
        return value
