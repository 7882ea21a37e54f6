"""A strict reader of the parenthesised lists that FETCH sends, and of their grammar (RFC 3501 §9)."""

from __future__ import annotations

import re

Value = None | int | bytes | list["Value"]

_ITEM = re.compile(rb'(NIL)|(\d+)|"((?:[^"\\\r\n\0\x80-\xff]|\\["\\])*)"|\{(\d+)\}\r\n|(\()|(\))')


def parse(data: bytes) -> Value:
    """The one value that `data` is; AssertionError where it is not exactly that."""
    done: list[Value] = []
    stack = [done]
    place = 0
    while place < len(data):
        if data[place : place + 1] == b" ":
            assert stack[-1] and len(stack) > 1 and data[place + 1 : place + 2] not in (b" ", b")")
            place += 1
        else:
            # Only lists follow each other without a space (1*address, 1*body).
            before = data[place - 1 : place]
            assert (
                before in (b"", b" ", b"(")
                or data[place : place + 1] == b")"
                or (before == b")" and data[place : place + 1] == b"(")
            ), data[max(0, place - 40) : place + 40]
        match = _ITEM.match(data, place)
        assert match is not None, data[max(0, place - 40) : place + 40]
        place = match.end()
        nil, number, quoted, literal, opens, _closes = match.groups()
        if nil:
            stack[-1].append(None)
        elif number:
            stack[-1].append(int(number))
        elif quoted is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted))
        elif literal:
            value = data[place : place + int(literal)]
            assert len(value) == int(literal) and b"\0" not in value
            place += len(value)
            stack[-1].append(value)
        elif opens:
            inner: list[Value] = []
            stack[-1].append(inner)
            stack.append(inner)
        else:
            assert stack[-1] != [], "an empty list"
            stack.pop()
            assert stack
    assert len(stack) == 1 and len(done) == 1, data[:80]
    return done[0]


def check_envelope(value: Value) -> None:
    assert isinstance(value, list) and len(value) == 10
    for number, item in enumerate(value):
        if 2 <= number <= 7:
            assert item is None or isinstance(item, list)
            for address in item or ():
                assert isinstance(address, list) and len(address) == 4
                assert all(part is None or isinstance(part, bytes) for part in address)
        else:
            assert item is None or isinstance(item, bytes)


def check_body(value: Value, extended: bool) -> None:
    """`body` of the grammar; with `extended`, all the extension data must be there (without recursion)."""
    todo = [value]
    while todo:
        body = todo.pop()
        assert isinstance(body, list)
        rest = list(body)
        if isinstance(rest[0], list):
            while rest and isinstance(rest[0], list):
                todo.append(rest.pop(0))
            assert isinstance(rest.pop(0), bytes)
            if extended:
                _check_parameters(rest.pop(0))
        else:
            kind, subtype = rest.pop(0), rest.pop(0)
            assert isinstance(kind, bytes) and isinstance(subtype, bytes)
            _check_parameters(rest.pop(0))
            for _ in range(2):
                item = rest.pop(0)
                assert item is None or isinstance(item, bytes)
            assert isinstance(rest.pop(0), bytes) and isinstance(rest.pop(0), int)
            if kind.lower() == b"message" and subtype.lower() in (b"rfc822", b"global"):
                check_envelope(rest.pop(0))
                todo.append(rest.pop(0))
                assert isinstance(rest.pop(0), int)
            elif kind.lower() == b"text":
                assert isinstance(rest.pop(0), int)
            if extended:
                digest = rest.pop(0)
                assert digest is None or isinstance(digest, bytes)
        if extended:
            disposition, language, location = rest
            if disposition is not None:
                assert isinstance(disposition, list) and len(disposition) == 2
                assert isinstance(disposition[0], bytes)
                _check_parameters(disposition[1])
            assert language is None or all(isinstance(tag, bytes) for tag in language)  # type: ignore[union-attr]
            assert location is None or isinstance(location, bytes)
        else:
            assert rest == []


def _check_parameters(value: Value) -> None:
    if value is not None:
        assert isinstance(value, list) and len(value) % 2 == 0
        assert all(isinstance(item, bytes) for item in value)
