"""Two server processes on one MongoDB are one server."""

from __future__ import annotations

import time

from imapclient import IMAPClient

from tests.clients.server import PASSWORD, USER, Server, ServerTestCase
from tests.clients.test_imaplib import PLAIN, trusting


def connect(server: Server) -> IMAPClient:
    client = IMAPClient("127.0.0.1", server.ports["imaps"], ssl=True, ssl_context=trusting())
    client.login(USER, PASSWORD)
    return client


class TwoProcessesTests(ServerTestCase):
    async def test_idle_hears_what_the_other_process_does(self) -> None:
        other = await self.start()
        await self.blocking(self._idle, other)

    def _idle(self, other: Server) -> None:
        listener, writer = connect(self.server), connect(other)
        listener.select_folder("INBOX")
        listener.idle()
        writer.append("INBOX", PLAIN)
        self.assertIn((1, b"EXISTS"), self._hear(listener))
        writer.select_folder("INBOX")
        writer.add_flags([1], [b"\\Flagged"])
        self.assertIn((1, b"FETCH", (b"FLAGS", (b"\\Recent", b"\\Flagged"))), self._hear(listener))
        writer.delete_messages([1])
        writer.expunge()
        self.assertIn((1, b"EXPUNGE"), self._hear(listener, until=b"EXPUNGE"))
        listener.idle_done()
        for client in (listener, writer):
            client.logout()

    def _hear(self, listener: IMAPClient, until: bytes | None = None) -> list[object]:
        """What is told within a second; `until` that is among it."""
        heard: list[object] = []
        end = time.monotonic() + 1
        while time.monotonic() < end:
            heard += listener.idle_check(timeout=end - time.monotonic())
            if heard and (until is None or any(until in news for news in heard)):
                break
        return heard
