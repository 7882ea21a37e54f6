"""Many clients at once, in a thread: sockets and nothing else."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HOST = "127.0.0.1"
#: Seconds that a server may take for whatever is waited for.
PATIENCE = 120
#: Connections that are begun before the server has taken the first: more do not fit in its queue.
_AT_ONCE = 50


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        # Little that is not read fits into our own half of the kernel's buffers.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((HOST, port))
        self.socket.setblocking(False)
        self.heard = bytearray()
        #: What is still to be sent.
        self.unsent = memoryview(b"")
        #: Octets that the kernel has taken, when the last of them were, and when it was the other side's turn to end it.
        self.sent = 0
        self.sent_at = self.over_at = self.heard_at = 0.0
        #: Whether it reads what it is told.
        self.reads = True

    @property
    def over(self) -> bool:
        return self.over_at > 0

    @property
    def lines(self) -> list[bytes]:
        return bytes(self.heard).splitlines()

    def read(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.heard += data
            self.heard_at = time.monotonic()
        else:
            self.over_at = time.monotonic()

    def write(self) -> None:
        try:
            sent = self.socket.send(self.unsent[: 1 << 16])
        except BlockingIOError:
            return
        except OSError:
            # It has been ended: what was said before is there to be read.
            self.unsent = memoryview(b"")
            self.reads = True
            return
        self.unsent = self.unsent[sent:]
        self.sent += sent
        self.sent_at = time.monotonic()


class Crowd:
    """Clients of one port."""

    def __init__(self, port: int, count: int) -> None:
        self.clients: list[Client] = []
        while len(self.clients) < count:
            some = [Client(port) for _ in range(min(_AT_ONCE, count - len(self.clients)))]
            self.clients += some
            # Every protocol greets.
            self.until(lambda client: client.over or b"\n" in client.heard, some)

    def say(self, data: bytes) -> None:
        """Everybody is to send it, as `until` has time."""
        for client in self.clients:
            client.unsent = memoryview(data)

    def forget(self) -> None:
        """What was heard."""
        for client in self.clients:
            client.heard.clear()

    def ask(self, data: bytes, answered: bytes) -> None:
        """Send it and wait for what ends the answer, or for the end."""
        self.forget()
        self.say(data)
        self.until(lambda client: client.over or answered in client.heard)

    def until(
        self,
        done: Callable[[Client], bool],
        clients: list[Client] | None = None,
        patience: float = PATIENCE,
    ) -> bool:
        """Send and read until it is so for each of them; whether it came to that."""
        deadline = time.monotonic() + patience
        waiting = {each for each in clients or self.clients if not done(each)}
        with selectors.DefaultSelector() as selector:
            for client in waiting:
                selector.register(client.socket, _wanted(client), client)
            while waiting and time.monotonic() < deadline:
                for key, ready in selector.select(0.05):
                    client = key.data
                    if ready & selectors.EVENT_WRITE:
                        client.write()
                    if ready & selectors.EVENT_READ and client.reads:
                        client.read()
                    if client.over or done(client):
                        waiting.discard(client)
                        selector.unregister(client.socket)
                    elif _wanted(client) != key.events:
                        selector.modify(client.socket, _wanted(client), client)
        return not waiting and all(done(each) for each in clients or self.clients)

    def close(self) -> None:
        for client in self.clients:
            client.socket.close()


def _wanted(client: Client) -> int:
    wanted = selectors.EVENT_READ if client.reads else 0
    return wanted | (selectors.EVENT_WRITE if client.unsent or not wanted else 0)


@contextmanager
def crowd(port: int, count: int) -> Iterator[Crowd]:
    """Gone at the end."""
    found = Crowd(port, count)
    try:
        yield found
    finally:
        found.close()
