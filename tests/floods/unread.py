"""Clients that send and never read, until they are ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from tests.floods.crowd import Client, Crowd
from tests.floods.support import FULL, FloodCase, Growth, crowd

#: How the log has it.
_UNREAD = "closed: the client does not read"


class UnreadCase(FloodCase):
    """Five minutes without progress, `limits.reading`, are 3 seconds here in short."""

    limits: ClassVar = {"reading": 3, "farewell": 2}
    #: Seconds after which whoever has not moved is certainly gone: it is looked at twice.
    gone = 2 * 300 + 30 if FULL else 2 * 3 + 20

    def look(self, growth: Growth, what: str) -> None:
        self.figure(f"{what}, of each of {self.count}", growth.peak / self.count, 2, "MiB")

    def unread(self, name: str, begin: tuple[bytes, bytes], data: bytes, what: str) -> list[Client]:
        """Everybody says `begin` and hears the end of its answer, and then sends `data`, whose answers are more than the kernel
        keeps; at the peak they take 2 MiB each.

        The clients, with what they had been sent before they were ended.
        """
        with self.unreading(name, 1, begin, data) as one:
            one.until(lambda client: not client.unsent, patience=5)
        with self.unreading(name, self.count, begin, data) as everybody:
            growth, before = self.growth(), self.server.log.count(_UNREAD)
            self.all_are_ended(everybody, before)
        self.look(growth, what)
        return everybody.clients

    @contextmanager
    def unreading(
        self, name: str, count: int, begin: tuple[bytes, bytes], data: bytes
    ) -> Iterator[Crowd]:
        """So many who have begun, and are to send the rest."""
        with crowd(self.server.ports[name], count) as everybody:
            everybody.ask(*begin)
            everybody.forget()
            for client in everybody.clients:
                client.reads = False
            everybody.say(data)
            yield everybody

    def all_are_ended(self, everybody: Crowd, before: int) -> None:
        """Send, until nobody can send any more, and until all have been ended for that."""
        moved = time.monotonic()
        while self.server.log.count(_UNREAD) - before < len(everybody.clients):
            self.assertLess(time.monotonic() - moved, self.gone, "they are still there")
            if sending := [client for client in everybody.clients if client.unsent]:
                everybody.until(lambda client: not client.unsent, sending, patience=0.2)
                moved = max(moved, *(client.sent_at for client in sending), moved)
            else:
                time.sleep(0.2)
        if FULL:
            print(f"    the last ended {time.monotonic() - moved:.0f} s after it could send")
        for client in everybody.clients:
            client.reads = True
            client.unsent = memoryview(b"")
        self.assertTrue(everybody.until(lambda client: client.over))
