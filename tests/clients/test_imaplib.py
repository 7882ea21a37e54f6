"""The standard library's imaplib."""

from __future__ import annotations

import imaplib
import re
import ssl
import time

from tests.clients.server import PASSWORD, USER, ServerTestCase

PLAIN = b"From: a@example.org\r\nSubject: plain\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\n\r\nHello.\r\n"
#: Nothing that a careless server would leave as it is: 8-bit header, bare CR and LF, no final line end.
ODD = b"From: b@example.org\r\nSubject: f\xfcr dich\r\n\r\nbare \n and \r here\r\nno end"


def trusting() -> ssl.SSLContext:
    """The server's certificate is its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ImaplibTests(ServerTestCase):
    async def test_a_session_over_starttls(self) -> None:
        await self.blocking(self._session)

    def _session(self) -> None:
        client = imaplib.IMAP4("127.0.0.1", self.server.ports["imap"])
        self.assertIn("LOGINDISABLED", client.capabilities)
        client.starttls(trusting())
        self.assertEqual(client.login(USER, PASSWORD)[0], "OK")
        for message in (PLAIN, ODD):
            self.assertEqual(client.append("INBOX", r"(\Flagged $work)", "", message)[0], "OK")
        self.assertEqual(client.select("INBOX"), ("OK", [b"2"]))

        for number, message in ((b"1", PLAIN), (b"2", ODD)):
            _, data = client.fetch(number.decode(), "(BODY.PEEK[])")
            # imaplib makes every line end CRLF before it sends.
            sent = re.sub(b"\r\n|\r|\n", b"\r\n", message)
            self.assertEqual(data[0][1], sent)  # type: ignore[index]
        self.assertEqual(client.search(None, "SUBJECT", '"plain"')[1], [b"1"])
        self.assertEqual(client.search(None, "UNSEEN", "KEYWORD", "$work")[1], [b"1 2"])
        self.assertEqual(client.store("1", "+FLAGS", r"(\Seen)")[0], "OK")
        self.assertEqual(client.search(None, "UNSEEN")[1], [b"2"])

        self.assertEqual(client.create("Work/2026")[0], "OK")
        self.assertEqual(client.copy("1:2", "Work/2026")[0], "OK")
        self.assertEqual(client.uid("MOVE", "1", "Trash")[0], "OK")
        self.assertEqual(client.response("EXPUNGE"), ("EXPUNGE", [b"1"]))
        self.assertEqual(client.status("Trash", "(MESSAGES)")[1], [b"Trash (MESSAGES 1)"])
        self.assertEqual(client.store("1", "+FLAGS.SILENT", r"(\Deleted)")[0], "OK")
        self.assertEqual(client.expunge()[1], [b"1"])
        self.assertEqual(
            client.status("Work/2026", "(MESSAGES UNSEEN)")[1][0].split()[1:],
            [b"(MESSAGES", b"2", b"UNSEEN", b"1)"],
        )
        self.assertEqual(client.rename("Work/2026", "Done")[0], "OK")
        self.assertEqual(client.delete("Done")[0], "OK")
        client.close()
        client.logout()

    async def test_implicit_tls(self) -> None:
        await self.blocking(self._implicit_tls)

    def _implicit_tls(self) -> None:
        port = self.server.ports["imaps"]
        client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trusting())
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.login(USER, "wrong")
        client.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
        self.assertEqual(client.select("INBOX", readonly=True), ("OK", [b"0"]))
        client.logout()

    async def test_a_long_message(self) -> None:
        await self.blocking(self._long_message)

    def _long_message(self) -> None:
        port = self.server.ports["imaps"]
        client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trusting())
        client.login(USER, PASSWORD)
        long = PLAIN + b"".join(b"line %d of a long message\r\n" % n for n in range(400_000))
        self.assertEqual(
            client.append("INBOX", "", imaplib.Time2Internaldate(time.time()), long)[0], "OK"
        )
        client.select("INBOX")
        _, data = client.fetch("1", "(RFC822.SIZE BODY[])")
        self.assertEqual(data[0][1], long)  # type: ignore[index]
        _, data = client.fetch("1", "(BODY[TEXT]<5000000.17>)")
        self.assertEqual(data[0][1], long[len(PLAIN) - 8 + 5_000_000 :][:17])  # type: ignore[index]
        client.logout()
