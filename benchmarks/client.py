"""An IMAP client as small as can be, so that what is measured is the server.

    client = Client(host, port, tls=True)
    client.login("alice", "secret")
    lines, literals = client.command(b"UID FETCH 1:* (FLAGS)")

Sockets of the standard library; nothing of what a response says is taken apart.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable

#: A line that announces a literal, and how long that is (RFC 3501 §4.3).
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


class Refused(Exception):
    """The server answered NO or BAD, or broke off."""


class Client:
    """One connection, and one command at a time.

    @param tls: TLS from the first byte, else STARTTLS if `starttls`; certificates are not looked at
    """

    def __init__(self, host: str, port: int, *, tls: bool = False, starttls: bool = False) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self._secure()
        self._file = self._socket.makefile("rb", buffering=256 * 1024)
        self._tag = 0
        self._line()
        if starttls:
            self.command(b"STARTTLS")
            self._secure()
            self._file = self._socket.makefile("rb", buffering=256 * 1024)

    def _secure(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket)

    def login(self, user: str, password: str) -> None:
        """With literals, which take any name and password."""
        self.command(b"LOGIN ", user.encode(), b" ", password.encode())

    def command(self, first: bytes, *rest: bytes) -> tuple[list[bytes], list[bytes]]:
        """Its untagged lines, a literal's place in them marked as sent, and the literals.

        `rest` is a literal, what comes behind it, a literal, and so on.
        """
        self._tag += 1
        tag = b"b%d" % self._tag
        self._socket.sendall(tag + b" " + first)
        for number, part in enumerate(rest):
            if number % 2 == 0:
                self._socket.sendall(b"{%d}\r\n" % len(part))
                if not (answer := self._line()).startswith(b"+"):
                    raise Refused(answer)
            self._socket.sendall(part)
        self._socket.sendall(b"\r\n")
        return self._answer(tag)

    def _answer(self, tag: bytes) -> tuple[list[bytes], list[bytes]]:
        lines: list[bytes] = []
        literals: list[bytes] = []
        while True:
            line = self._line()
            if line.startswith(tag + b" "):
                if not line.startswith(tag + b" OK"):
                    raise Refused(line)
                return lines, literals
            while announced := _LITERAL.search(line):
                size = int(announced[1])
                literal = self._file.read(size)
                if len(literal) < size:
                    raise Refused(b"the connection was lost in a literal")
                literals.append(literal)
                line += self._line()
            lines.append(line)

    def _line(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise Refused(b"the connection was lost")
        return line

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def message(number: int, size: int) -> bytes:
    """A plain message of about `size` bytes; no two numbers have the same."""
    head = (
        b"From: Ada <ada%d@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: message %d\r\n"
        b"Date: Mon, 2 Nov 2026 10:00:00 +0100\r\nMessage-ID: <%d@example.org>\r\n\r\n"
    ) % (number % 50, number, number)
    line = b"line of message %d, with some words in it that a search may look for\r\n" % number
    return head + line * max(1, (size - len(head)) // len(line))


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Two columns."""
    given = list(rows)
    width = max(len(name) for name, _ in given)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in given)
