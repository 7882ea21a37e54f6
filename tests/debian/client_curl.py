"""curl (Debian package `curl`)."""

from __future__ import annotations

from pathlib import Path

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import ODD, PLAIN


class CurlTests(ServerTestCase):
    async def curl(self, path: str, *arguments: str, tls: bool = True) -> bytes:
        scheme, port = ("imaps", "imaps") if tls else ("imap", "imap")
        url = f"{scheme}://127.0.0.1:{self.server.ports[port]}{path}"
        target = self.directory / "answer"
        target.unlink(missing_ok=True)
        await self.run_program(
            *("curl", "--silent", "--show-error", "--insecure", "--user", f"{USER}:{PASSWORD}"),
            *("--output", str(target), url, *arguments),
        )
        return target.read_bytes() if target.exists() else b""

    def file(self, data: bytes) -> str:
        path = Path(self.directory / "message.eml")
        path.write_bytes(data)
        return str(path)

    async def test_messages_come_back_as_they_went_in(self) -> None:
        for message in (PLAIN, ODD):
            await self.curl("/INBOX", "--upload-file", self.file(message))
        self.assertEqual(await self.curl("/INBOX;UID=1"), PLAIN)
        self.assertEqual(await self.curl("/INBOX;MAILINDEX=2"), ODD)
        self.assertEqual(await self.curl("/INBOX;UID=1;SECTION=TEXT"), b"Hello.\r\n")

    async def test_lists_and_searches(self) -> None:
        await self.curl("/INBOX", "--upload-file", self.file(PLAIN))
        listing = await self.curl("/")
        self.assertIn(b'* LIST (\\HasNoChildren \\Trash) "/" Trash', listing)
        self.assertEqual(await self.curl("/INBOX?SUBJECT%20plain"), b"* SEARCH 1\r\n")
        self.assertIn(b"MESSAGES 1", await self.curl("/", "--request", "STATUS INBOX (MESSAGES)"))

    async def test_starttls(self) -> None:
        await self.curl("/INBOX", "--upload-file", self.file(PLAIN), "--ssl-reqd", tls=False)
        self.assertEqual(await self.curl("/INBOX;UID=1", "--ssl-reqd", tls=False), PLAIN)
