"""Mail that comes in by LMTP in one process is there by IMAP in another, and by POP3."""

from __future__ import annotations

import imaplib
import poplib
import smtplib

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import trusting

MESSAGE = b"Subject: .\r\n\r\n.\r\n..\r\n"


class DeliveryTests(ServerTestCase):
    async def test_from_lmtp_to_imap_and_pop3(self) -> None:
        await self.duckmail("address", "add", USER, f"{USER}@example.org")
        await self.duckmail("domain", "alias", "example.net", "example.org")
        other = await self.start(
            *("--lmtp", "tcp:0:interface=127.0.0.1", "--pop3s", "tcp:0:interface=127.0.0.1")
        )

        def deliver() -> None:
            with smtplib.LMTP("127.0.0.1", other.ports["lmtp"], timeout=30) as client:
                client.sendmail("sender@example.com", f"{USER}+x@example.net", MESSAGE)
                with self.assertRaises(smtplib.SMTPRecipientsRefused) as refused:
                    client.sendmail("sender@example.com", "nobody@example.net", MESSAGE)
                self.assertEqual(refused.exception.recipients["nobody@example.net"][0], 550)

        def by_imap() -> bytes:
            client = imaplib.IMAP4_SSL(
                "127.0.0.1", self.server.ports["imaps"], ssl_context=trusting(), timeout=30
            )
            client.login(USER, PASSWORD)
            client.select("INBOX")
            _, data = client.fetch("1", "(BODY.PEEK[])")
            client.logout()
            return data[0][1]  # type: ignore[index,return-value]

        def by_pop3() -> bytes:
            client = poplib.POP3_SSL(
                "127.0.0.1", other.ports["pop3s"], context=trusting(), timeout=30
            )
            client.user(USER)
            client.pass_(PASSWORD)
            lines = client.retr(1)[1]
            client.quit()
            return b"\r\n".join([*lines, b""])

        await self.blocking(deliver)
        expected = (
            b"Return-Path: <sender@example.com>\r\nDelivered-To: alice+x@example.net\r\n" + MESSAGE
        )
        self.assertEqual(await self.blocking(by_imap), expected)
        self.assertEqual(await self.blocking(by_pop3), expected)
