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
        self._hear(listener, (1, b"EXISTS"))
        writer.select_folder("INBOX")
        writer.add_flags([1], [b"\\Flagged"])
        self._hear(listener, (1, b"FETCH", (b"FLAGS", (b"\\Recent", b"\\Flagged"))))
        writer.delete_messages([1])
        writer.expunge()
        self._hear(listener, (1, b"EXPUNGE"))
        listener.idle_done()
        for client in (listener, writer):
            client.logout()

    def _hear(self, listener: IMAPClient, news: object) -> None:
        """Wait until `news` is told.

        It takes milliseconds, which is printed; what is asserted leaves room for a machine that is busy, and none for
        a server that polls or waits for the IDLE's keep-alive.
        """
        heard: list[object] = []
        began = time.monotonic()
        while news not in heard and time.monotonic() < began + 5:
            heard += listener.idle_check(timeout=1)
        self.assertIn(news, heard)
        print(f"{news} after {1000 * (time.monotonic() - began):.1f} ms")
