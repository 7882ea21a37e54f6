"""One connection of a client that blocks: lines out, lines in."""

from __future__ import annotations

import select
import socket
from collections import deque

from tests.clients.server import PASSWORD, USER
from tests.clients.test_imaplib import trusting

#: Seconds.  Nothing here takes that long, also where other work is under way.
PATIENCE = 20


class Wire:
    """`name` says in `transcript` who spoke; the connection is logged in."""

    def __init__(self, name: str, port: int, transcript: deque[str]) -> None:
        self._name = name
        self._transcript = transcript
        raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = trusting().wrap_socket(raw)
        self._received = b""
        self.line()
        self.say(f'LOGIN {USER} "{PASSWORD}"')

    def send(self, text: str) -> None:
        self._transcript.append(f"{self._name} C: {text}")
        self._socket.sendall(text.encode("ascii") + b"\r\n")

    def line(self, patience: float = PATIENCE) -> str:
        """Fails with TimeoutError."""
        self._socket.settimeout(patience)
        while b"\n" not in self._received:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError(f"{self._name}: the server has closed the connection")
            self._received += more
        line, _, self._received = self._received.partition(b"\n")
        text = line.decode("ascii").rstrip("\r")
        self._transcript.append(f"{self._name} S: {text}")
        return text

    def answer(self) -> list[str]:
        """Up to the tagged response."""
        lines = [self.line()]
        while not lines[-1].startswith("a "):
            lines.append(self.line())
        return lines

    def say(self, command: str) -> list[str]:
        self.send(f"a {command}")
        return self.answer()

    @property
    def quiet(self) -> bool:
        """Whether the server has said nothing that was not read."""
        if self._received or self._socket.pending():
            return False
        readable, _, _ = select.select([self._socket], [], [], 0)
        return not readable

    def close(self) -> None:
        self._socket.close()
