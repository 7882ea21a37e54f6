"""Clients of IMAP, POP3 and LMTP as small as can be, so that what is measured is the server.

    client = Imap(host, port, tls=True)
    client.login("alice", "secret")
    lines, literals = client.command(b"UID FETCH 1:* (FLAGS)")

Sockets of the standard library; what a response says is taken apart only where somebody asks for it.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import select
import socket
import ssl
from collections.abc import Iterable, Sequence

#: A line that announces a literal, and how long that is (RFC 3501 §4.3).
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
#: Bytes that are asked for at once.
_CHUNK = 1 << 20
#: Bytes at the end of what has come among which the last line begins.
_LAST = 16 * 1024
#: Seconds after which a server that says nothing is given up.
_PATIENCE = 600
#: Linux delays acknowledgements by 40 ms, and a server that leaves Nagle's algorithm on waits for them: off, since that
#: would be the measure of two kernels.
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
#: What a socket that does not wait answers instead of waiting.
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Refused(Exception):
    """The server said no, or broke off."""


class Connection:
    """Bytes and lines."""

    def __init__(self, host: str, port: int, *, tls: bool = False) -> None:
        self.socket = socket.create_connection((host, port), _PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""
        #: What is sent while answers are waited for.
        self._unsent = memoryview(b"")
        if tls:
            self.secure()

    def secure(self) -> None:
        """TLS from here on; certificates are not looked at."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        while (end := self._held.find(b"\n") + 1) == 0:
            self._held += self._receive()
        line, self._held = self._held[:end], self._held[end:]
        return line

    def until(self, begin: bytes) -> bytes:
        """All that comes, with the line that begins so at its end.

        Only the last line of what has come is looked at: nothing may be on its way behind the one that is waited for.
        """
        chunks = [self._held]
        last, self._held = self._held[-_LAST:], b""
        while not (last.endswith(b"\r\n") and last.startswith(begin, last.rfind(b"\n", 0, -1) + 1)):
            chunk = self._receive()
            chunks.append(chunk)
            last = chunk if len(chunk) >= _LAST else last[-_LAST:] + chunk
        return b"".join(chunks)

    def _receive(self) -> bytes:
        if _QUICKACK is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        if not (data := self._exchange() if self._unsent else self.socket.recv(_CHUNK)):
            raise Refused(b"the connection was lost")
        return data

    def _exchange(self) -> bytes:
        """What comes while there is more to send: in one thread, since TLS is not to be shared by two."""
        self.socket.setblocking(False)
        try:
            while True:
                with contextlib.suppress(*_NOT_NOW):
                    while self._unsent:
                        self._unsent = self._unsent[self.socket.send(self._unsent) :]
                with contextlib.suppress(*_NOT_NOW):
                    return self.socket.recv(_CHUNK)
                writing = [self.socket] if self._unsent else []
                if not any(select.select([self.socket], writing, [], _PATIENCE)):
                    raise TimeoutError
        finally:
            self.socket.settimeout(_PATIENCE)

    def close(self) -> None:
        self.socket.close()


class Imap(Connection):
    """One session, and one command at a time.

    @param tls: TLS from the first byte, else STARTTLS if `starttls`
    """

    def __init__(self, host: str, port: int, *, tls: bool = False, starttls: bool = False) -> None:
        super().__init__(host, port, tls=tls)
        # No message has it at the beginning of a line.
        self._prefix = b"b" + secrets.token_hex(4).encode()
        self._commands = 0
        self.line()
        if starttls:
            self.run(b"STARTTLS")
            self.secure()

    def login(self, user: str, password: str) -> None:
        self.run(b"LOGIN %b %b" % (quoted(user), quoted(password)))

    def capabilities(self) -> set[bytes]:
        lines, _ = self.command(b"CAPABILITY")
        return {word for line in lines for word in line.upper().split()}

    def run(self, command: bytes) -> bytes:
        """What comes back, the tagged OK at its end."""
        tag = self._next()
        self.send(b"%b %b\r\n" % (tag, command))
        return self._answer(tag)

    def command(self, first: bytes, *rest: bytes) -> tuple[list[bytes], list[bytes]]:
        """Its untagged lines, a literal's place in them marked as sent, and the literals.

        `rest` is a literal, what comes behind it, a literal, and so on.
        """
        tag = self._next()
        self.send(tag + b" " + first)
        for number, part in enumerate(rest):
            if number % 2 == 0:
                self.send(b"{%d}\r\n" % len(part))
                if not (answer := self.line()).startswith(b"+"):
                    raise Refused(answer)
            self.send(part)
        self.send(b"\r\n")
        lines, literals = taken_apart(self._answer(tag))
        return lines[:-1], literals

    def pipeline(self, commands: Sequence[bytes]) -> bytes:
        """All are sent without waiting for an answer; all must succeed."""
        tags = [self._next() for _ in commands]
        data = b"".join(b"%b %b\r\n" % each for each in zip(tags, commands, strict=True))
        # A server may stop to read until its answers are read.
        self._unsent = memoryview(data)
        said = self._answer(tags[-1])
        if (good := len(re.findall(rb"(?m)^%b\w+ OK" % self._prefix, said))) != len(commands):
            raise Refused(b"%d of %d commands succeeded" % (good, len(commands)))
        return said

    def logout(self) -> None:
        self.run(b"LOGOUT")
        self.close()

    def _next(self) -> bytes:
        self._commands += 1
        return b"%bx%d" % (self._prefix, self._commands)

    def _answer(self, tag: bytes) -> bytes:
        said = self.until(tag + b" ")
        last = said[said.rfind(b"\n", 0, -1) + 1 :]
        if not last.startswith(tag + b" OK"):
            raise Refused(last)
        return said


class Pop3(Connection):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._good(self.line())

    def login(self, user: str, password: str) -> None:
        self.run(b"USER " + user.encode())
        self.run(b"PASS " + password.encode())

    def run(self, command: bytes) -> bytes:
        """Its one line."""
        self.send(command + b"\r\n")
        return self._good(self.line())

    def lines(self, command: bytes) -> bytes:
        """The lines behind the first, stuffed with dots as they come."""
        self.run(command)
        return self.until(b".\r\n")[: -len(b".\r\n")]

    def logout(self) -> None:
        self.run(b"QUIT")
        self.close()

    def _good(self, line: bytes) -> bytes:
        if not line.startswith(b"+OK"):
            raise Refused(line)
        return line


class Lmtp(Connection):
    """Commands are sent ahead to who offers PIPELINING, as mail transfer agents do (RFC 2920 §3.1): MAIL, RCPT and DATA are
    one question, the message is the other.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._reply()
        self.send(b"LHLO localhost\r\n")
        self._together = b"PIPELINING" in self._reply().upper()

    def deliver(self, address: str, mail: bytes) -> None:
        """@param mail: stuffed with dots, its last line ended"""
        self._ask(b"MAIL FROM:<>", b"RCPT TO:<%b>" % address.encode(), b"DATA")
        self._ask(mail + b".")

    def logout(self) -> None:
        self._ask(b"QUIT")
        self.close()

    def _ask(self, *commands: bytes) -> None:
        for some in [commands] if self._together else [[each] for each in commands]:
            self.send(b"".join(each + b"\r\n" for each in some))
            for _ in some:
                self._reply()

    def _reply(self) -> bytes:
        """All of its lines."""
        said = b""
        while (line := self.line())[3:4] == b"-":
            said += line
        if line[:1] not in b"23":
            raise Refused(line)
        return said + line


def taken_apart(said: bytes) -> tuple[list[bytes], list[bytes]]:
    """Lines, with the places of literals marked as sent, and the literals."""
    lines: list[bytes] = []
    literals: list[bytes] = []
    at, line = 0, b""
    while at < len(said):
        end = said.index(b"\n", at) + 1
        line += said[at:end]
        at = end
        if announced := _LITERAL.search(line):
            at = end + int(announced[1])
            literals.append(said[end:at])
        else:
            lines.append(line)
            line = b""
    return lines, literals


def quoted(text: str) -> bytes:
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text.encode()) + b'"'


def stuffed(mail: bytes) -> bytes:
    """With a dot before each line that begins with one (RFC 5321 §4.5.2), and the last line ended."""
    return re.sub(rb"(?m)^\.", b"..", mail) + (b"" if mail.endswith(b"\r\n") else b"\r\n")


def unstuffed(mail: bytes) -> bytes:
    return re.sub(rb"(?m)^\.\.", b".", mail)


def check(right: bool, what: str) -> None:
    """A server that is wrong quickly has won nothing."""
    if not right:
        raise SystemExit(f"the server's answer to {what} is wrong")


def table(rows: Iterable[Sequence[str]]) -> str:
    """Columns, the first to the left, the others to the right."""
    given = list(rows)
    widths = [max(map(len, column)) for column in zip(*given, strict=True)]
    return "\n".join(
        "  ".join([f"{row[0]:<{widths[0]}}", *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in given
    )
