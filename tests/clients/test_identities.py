"""What messages are known by besides their UIDs, told by a real server to IMAPClient, from PyPI."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from imapclient import IMAPClient

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import trusting
from tests.contract.objects import letter

ITEMS = ["EMAILID", "THREADID", "SAVEDATE", "PREVIEW (LAZY)"]
LONG_AGO = datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)


class IdentitiesTests(ServerTestCase):
    async def test_messages_of_a_thread(self) -> None:
        await self.blocking(self._messages)

    def _messages(self) -> None:
        client = IMAPClient(
            "127.0.0.1", self.server.ports["imaps"], ssl=True, ssl_context=trusting()
        )
        client.login(USER, PASSWORD)
        for name in ("OBJECTID", "SAVEDATE", "PREVIEW"):
            self.assertTrue(client.has_capability(name), name)
        client.append("Sent", letter("a"), (), LONG_AGO)
        for message in (letter("b", "Re: Lunch", "a"), letter("x", "Größe")):
            client.append("INBOX", message, (), LONG_AGO)
        client.select_folder("INBOX")
        found = client.fetch([1, 2], ITEMS)
        self.assertEqual([found[uid][b"PREVIEW"] for uid in (1, 2)], [b"b", b"x"])
        for uid in (1, 2):
            # It has no name for what this is, so it comes as it was said.
            saved = datetime.strptime(found[uid][b"SAVEDATE"].decode(), "%d-%b-%Y %H:%M:%S %z")
            self.assertLess(abs(saved - datetime.now(UTC)), timedelta(minutes=5))
        (email,), (thread,) = found[1][b"EMAILID"], found[1][b"THREADID"]
        self.assertEqual(client.search(["EMAILID", email]), [1])
        self.assertEqual(client.search(["THREADID", thread]), [1])
        self.assertEqual(client.search(["SAVEDSINCE", date(2020, 3, 1)]), [1, 2])
        client.move([1], "Sent")
        client.select_folder("Sent")
        self.assertEqual(client.search(["THREADID", thread]), [1, 2])
        self.assertEqual(client.fetch([2], ["EMAILID"])[2][b"EMAILID"], (email,))
        client.logout()
