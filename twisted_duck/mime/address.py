"""Addresses as ENVELOPE shows them (RFC 5322 §3.4, §4.4; RFC 3501 §7.4.2).

The field is cut into tokens once; a comma, a semicolon or the colon of a group then ends what stands before it.
What is no address is still shown: words alone are a name, one word alone is a mailbox without a host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from attrs import define, frozen

from twisted_duck.mime.header import unfold


@frozen
class Address:
    """One address structure: `adl` is the source route, None stands for NIL.

    A group begins with its name as `mailbox` and no `host`, and ends with neither.
    What is missing in an address that is none is b"", for NIL would say that it is a group.
    """

    name: bytes | None
    adl: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END = Address(None, None, None, None)

_TOKEN = rb"""(?P<space>\s++)
    |(?P<comment>\()
    |(?P<literal>\[[^\[\]\\<>]*+\])
    |(?P<special>[<>@,;:])
    |(?P<atom>[^\s"(<>@,;:\[]++|.)"""
_PLAIN = re.compile(_TOKEN, re.VERBOSE | re.DOTALL)
_QUOTING = re.compile(rb"""(?P<quoted>"(?:[^"\\]++|\\.)*+")|""" + _TOKEN, re.VERBOSE | re.DOTALL)
_MOST_TOKENS = 1_000
"""Words of one address that are looked at; the others are left out."""
#: What nearly all addresses are, with the comma behind: `local@domain` alone, or in angle brackets behind words or one quoted
#: string.  It is what its tokens would say, in one step; the words are too short to be too many.
_COMMON = re.compile(
    rb"""\s*+(?:(?:"(?P<quoted>(?:[^"\\]++|\\.)*+)"\s*+|(?P<words>[^"(<>@,;:\[]{0,998}+))(?P<angle><))?
    (?P<local>[^\s"(<>@,;:\[]++)@(?P<domain>[^\s"(<>@,;:\[]++)(?(angle)>)\s*+(?:,|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_PAREN = re.compile(rb"\\.|[()]", re.DOTALL)
# As a number, which is looked for faster (`header._LF`).
_BACKSLASH = b"\\"[0]
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@define
class _Token:
    kind: str
    text: bytes
    #: Whether white space or a comment stands before it.
    apart: bool


def addresses(raw: bytes) -> Iterator[Address]:
    """The addresses in the value of an address field, in order, with marks around groups. Never fails."""
    value = unfold(raw)
    place, size = 0, len(value)
    while place < size:
        match = _COMMON.match(value, place)
        if match is None:
            # What is behind a comma does not depend on what is before it, as long as no group was begun.
            yield from by_tokens(value[place:])
            return
        quoted, words, _, local, domain = match.groups()
        if quoted is not None:
            name = _unescaped(quoted).strip()
        else:
            name = b" ".join(words.split()) if words else b""
        yield Address(name or None, None, local, domain)
        place = match.end()


def by_tokens(value: bytes) -> Iterator[Address]:
    """What `addresses` gives of an unfolded value, whatever is in it."""
    pending: list[_Token] = []
    comment = b""
    in_angle = in_route = in_group = with_at = False
    for token in _tokens(value):
        special = token.text if token.kind == "special" else b""
        if token.kind == "comment":
            comment = token.text.strip()
            continue
        if special == b":" and not (in_angle or in_group or with_at):
            yield Address(None, None, _phrase(pending), None)
            in_group = True
        elif (special == b";" and (in_group or not in_angle)) or (special == b"," and not in_route):
            yield from _address(pending, comment)
            if special == b";" and in_group:
                in_group = False
                yield GROUP_END
        else:
            if special == b"<":
                in_angle = True
            elif special == b"@":
                in_route = in_route or (in_angle and _is_special(pending[-1], b"<"))
                with_at = True
            elif special:
                in_route = False
                in_angle = in_angle and special != b">"
            if len(pending) < _MOST_TOKENS:
                pending.append(token)
            continue
        pending, comment = [], b""
        in_angle = in_route = with_at = False
    yield from _address(pending, comment)
    if in_group:
        yield GROUP_END


def _tokens(value: bytes) -> Iterator[_Token]:
    place, apart = 0, False
    pattern = _QUOTING
    while place < len(value):
        match = pattern.match(value, place)
        assert match is not None and match.lastgroup is not None
        kind, text = match.lastgroup, match[0]
        place = match.end()
        if kind == "space":
            apart = True
            continue
        if kind == "comment":
            place, text = _comment(value, match.start())
        elif kind == "quoted":
            text = _unescaped(text[1:-1])
        elif text == b'"':
            # Nothing closes this one; to look again at each quote that follows would be quadratic.
            pattern = _PLAIN
        yield _Token(kind, text, apart)
        apart = kind == "comment"


def _comment(value: bytes, start: int) -> tuple[int, bytes]:
    """Where the comment at `start` ends, and what is in it; one without an end goes on to the end."""
    depth = 0
    for match in _PAREN.finditer(value, start):
        if match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth -= 1
            if depth == 0:
                return match.end(), _unescaped(value[start + 1 : match.start()])
    return len(value), value[start + 1 :]


def _unescaped(text: bytes) -> bytes:
    return _ESCAPED.sub(rb"\1", text) if _BACKSLASH in text else text


def _is_special(token: _Token, special: bytes) -> bool:
    return token.kind == "special" and token.text == special


def _index(tokens: list[_Token], special: bytes) -> int:
    for number, token in enumerate(tokens):
        if _is_special(token, special):
            return number
    return -1


def _phrase(tokens: list[_Token]) -> bytes:
    """The words as they stand, quotes removed, with one space where there was white space."""
    return b"".join(
        (b" " if token.apart and number else b"") + token.text
        for number, token in enumerate(tokens)
    )


def _address(tokens: list[_Token], comment: bytes) -> Iterator[Address]:
    if not tokens:
        return
    start = _index(tokens, b"<")
    if start < 0:
        yield _bare(tokens, comment)
        return
    words = tokens[:start]
    inside = tokens[start + 1 :]
    end = _index(inside, b">")
    if end >= 0:
        inside = inside[:end]
    if not inside and _index(words, b"@") >= 0:
        yield _bare(words, comment)
        return
    route = None
    if inside and _is_special(inside[0], b"@"):
        colon = _index(inside, b":")
        if colon >= 0:
            route = b"".join(token.text for token in inside[:colon])
            inside = inside[colon + 1 :]
    yield _spec(_phrase(words).strip() or comment, route, inside)


def _bare(tokens: list[_Token], comment: bytes) -> Address:
    """An address without angle brackets, or what stands where one should be."""
    stray = _index(tokens, b">")
    if stray > 0:
        tokens = tokens[:stray]
    at = _index(tokens, b"@")
    if at < 0:
        if any(token.apart for token in tokens[1:]):
            return Address(_phrase(tokens), None, b"", b"")
        return _spec(comment, None, tokens)
    local = at - 1
    while local > 0 and not _two_words(tokens[local - 1], tokens[local]):
        local -= 1
    return _spec(_phrase(tokens[: max(local, 0)]) or comment, None, tokens[max(local, 0) :])


def _two_words(one: _Token, other: _Token) -> bool:
    """Whether white space parts them for good: around dots it is allowed in a mailbox (RFC 5322 §4.4)."""
    return other.apart and not one.text.endswith(b".") and not other.text.startswith(b".")


def _spec(name: bytes, route: bytes | None, tokens: list[_Token]) -> Address:
    at = _index(tokens, b"@")
    local, domain = (tokens, []) if at < 0 else (tokens[:at], _domain(tokens[at + 1 :]))
    return Address(
        name or None,
        route,
        b"".join(token.text for token in local),
        b"".join(token.text for token in domain),
    )


def _domain(tokens: list[_Token]) -> list[_Token]:
    """What follows a domain without a comma is not part of it."""
    for number, (one, other) in enumerate(pairwise(tokens), 1):
        if other.kind != "atom" or _two_words(one, other):
            return tokens[:number]
    return tokens
