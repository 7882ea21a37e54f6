"""A blocking IMAP client for tests: it sends what it is told to, and reads answers strictly."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_NAME = re.compile(rb"[A-Z0-9.]+(?:\[[^\]]*\])?(?:<\d+>)?")
_ATOM = re.compile(rb"NIL|\d+")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_ANNOUNCED = re.compile(rb"\{(\d+)\}\r\n")


class Client:
    """Commands go out with a tag of their own; what comes back is whole responses, literals included."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self._socket = self._connect(port)
        self._file = self._socket.makefile("rb")
        self._tags = 0
        assert self._response().startswith(b"* OK ")
        self.command(f'LOGIN {user} "{password}"'.encode())

    def _connect(self, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=120)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def command(self, text: bytes) -> list[bytes]:
        """The untagged responses to a command, which must be answered with OK."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self._socket.sendall(tag + b" " + text + b"\r\n")
        untagged = []
        while not (response := self._response()).startswith(tag + b" "):
            assert response.startswith(b"* "), response[:80]
            untagged.append(response[2:])
        assert response.startswith(tag + b" OK "), response
        return untagged

    def append(self, mailbox: str, message: bytes) -> None:
        self.command(b"APPEND %b {%d+}\r\n%b" % (mailbox.encode(), len(message), message))

    def fetch(self, what: bytes) -> Iterator[tuple[int, dict[bytes, bytes]]]:
        """`(number, {item: its value's bytes})` of each message, as `fetch` is answered."""
        for response in self.command(b"FETCH " + what):
            number, name, rest = response.split(b" ", 2)
            assert name == b"FETCH"
            yield int(number), dict(items(rest.removesuffix(b"\r\n")))

    def search(self, query: bytes) -> list[int]:
        [response] = [r for r in self.command(b"SEARCH " + query) if r.startswith(b"SEARCH")]
        return [int(number) for number in response.split()[1:]]

    def _response(self) -> bytes:
        pieces = []
        while True:
            line = self._file.readline()
            assert line.endswith(b"\r\n"), line
            pieces.append(line)
            announced = _LITERAL.search(line)
            if announced is None:
                return b"".join(pieces)
            pieces.append(self._file.read(int(announced[1])))


def items(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The items of a FETCH response, `(name value name value ...)`."""
    assert data.startswith(b"(") and data.endswith(b")"), data[:80]
    at = 1
    while True:
        name = _NAME.match(data, at)
        assert name is not None and data[name.end() : name.end() + 1] == b" ", data[at : at + 80]
        end = _value_end(data, name.end() + 1)
        yield name[0], data[name.end() + 1 : end]
        if end == len(data) - 1:
            return
        assert data[end : end + 1] == b" ", data[end : end + 80]
        at = end + 1


def _value_end(data: bytes, at: int) -> int:
    """Where the value ends that begins at `at`: a number, a string, NIL, or a list of such."""
    depth = 0
    while True:
        if data[at : at + 1] == b"(":
            depth += 1
            at += 1
        elif data[at : at + 1] == b")":
            depth -= 1
            at += 1
        elif data[at : at + 1] == b" " and depth:
            at += 1
        elif announced := _ANNOUNCED.match(data, at):
            at = announced.end() + int(announced[1])
        else:
            value = (
                _QUOTED.match(data, at)
                or _ATOM.match(data, at)
                or re.compile(rb"[\\$\w]+").match(data, at)
            )
            assert value is not None, data[at : at + 80]
            at = value.end()
        if depth == 0:
            return at


def string(value: bytes) -> bytes | None:
    """An nstring's bytes."""
    if value == b"NIL":
        return None
    announced = _ANNOUNCED.match(value)
    if announced:
        return value[announced.end() :]
    return re.sub(rb"\\(.)", rb"\1", value[1:-1])


def literal(text: str) -> bytes:
    data = text.encode("utf-8")
    return b"{%d+}\r\n%b" % (len(data), data)
