"""What the tests with POP3 clients share: an INBOX with messages in it, and what came of it."""

from __future__ import annotations

import imaplib
import poplib
import re
from pathlib import Path

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import trusting

#: Lines that POP3 has to take care of among them, and one without an end.
MESSAGES = tuple(
    b"From: a@example.org\r\nSubject: number %d\r\nMessage-ID: <%d@example.org>\r\n\r\n%b"
    % (number, number, body)
    for number, body in enumerate(
        (
            b"one\r\n",
            b".\r\n",
            b"..\r\n.x\r\n",
            b"\r\n.\r\n\r\nQUIT\r\n",
            (b"x" * 900 + b"\r\n") * 300,
            b"",
        )
        + (b"more\r\n",) * 50
    )
)


class POP3ClientCase(ServerTestCase):
    """A server that takes passwords in clear, and an INBOX with `MESSAGES`."""

    options = (
        *("--pop3", "tcp:0:interface=127.0.0.1", "--pop3s", "tcp:0:interface=127.0.0.1"),
        "--allow-cleartext-auth",
    )

    async def setUp(self) -> None:
        await super().setUp()
        await self.blocking(self.fill)

    def fill(self) -> None:
        client = imaplib.IMAP4("127.0.0.1", self.server.ports["imap"], timeout=30)
        client.login(USER, PASSWORD)
        for message in MESSAGES:
            client.append("INBOX", "", "", message)
        client.logout()

    def left(self) -> int:
        """How many messages a POP3 client finds now."""
        client = poplib.POP3_SSL(
            "127.0.0.1", self.server.ports["pop3s"], context=trusting(), timeout=30
        )
        client.user(USER)
        client.pass_(PASSWORD)
        count, _ = client.stat()
        client.quit()
        return count

    def write(self, name: str, text: str) -> Path:
        """A configuration with a password in it: nobody else may read it, or clients refuse it."""
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def assertFetched(self, mailbox: bytes) -> None:
        """Every message is in an mbox file, as text, and none twice."""
        for number, message in enumerate(MESSAGES):
            self.assertEqual(len(re.findall(rb"(?m)^Subject: number %d\r?$" % number, mailbox)), 1)
            body = message.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
            self.assertIn(b"\n\n" + body, mailbox.replace(b"\r\n", b"\n"))
