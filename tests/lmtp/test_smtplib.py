"""The standard library's smtplib.LMTP over a real socket, with mail in MongoDB."""

from __future__ import annotations

import shutil
import smtplib
import ssl
import tempfile
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests import mongo
from tests.pop3.test_poplib import certificate
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.names import INBOX
from twisted_duck.store.store import MailStore

T = TypeVar("T")

NAMES = ("ada", "bob", "eve")


def deliver(
    client: smtplib.LMTP, recipients: Sequence[str], message: bytes
) -> list[tuple[int, bytes]]:
    """The reply for each recipient; `sendmail` reads one only, however many were accepted."""
    client.ehlo_or_helo_if_needed()
    client.mail("sender@example.net")
    replies = [client.rcpt(each) for each in recipients]
    accepted = [at for at, (code, _) in enumerate(replies) if code == 250]
    for number, at in enumerate(accepted):
        replies[at] = client.getreply() if number else client.data(message)
    return replies


class SMTPLibTests(TestCase):
    timeout = 60

    async def setUp(self) -> None:
        self.store = MailStore(await mongo.database(self))
        await self.store.open()
        self.addCleanup(self.store.close)
        for name in NAMES:
            await self.store.users.add(f"{name}@example.org", None)
        await self.store.users.set_quota("bob@example.org", 50_000)
        await self.store.users.set_disabled("eve@example.org", True)
        self.factory = LMTPFactory(
            self.store.delivery(), tls=certificate().options(), spamHeader="X-Spam-Flag: YES"
        )
        self.addCleanup(self.factory.shutDown)

    def listen(self) -> Any:
        network: Any = reactor
        port = network.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost()

    async def session(self, work: Callable[[smtplib.LMTP], T], host: str = "", port: int = 0) -> T:
        if not host:
            listening = self.listen()
            host, port = listening.host, listening.port

        def run() -> T:
            with smtplib.LMTP(host, port, local_hostname="client.example.org") as client:
                return work(client)

        return await deferToThread(run)

    async def mail(self, name: str, mailbox: str = INBOX) -> list[bytes]:
        account = await self.store.account(f"{name}@example.org")
        opened = await account.select(mailbox, True)
        found = []
        async for batch in opened.fetch(list(opened.index.uids), frozenset({"content"})):
            for each in batch:
                content: Any = each.content
                found.append(b"".join([piece async for piece in content.chunks(0, content.size)]))
        await opened.close()
        return found

    def trace(self, recipient: str) -> bytes:
        return f"Return-Path: <sender@example.net>\r\nDelivered-To: {recipient}\r\n".encode()

    async def test_recipients_that_fail_are_told_each_why(self) -> None:
        message = b"Subject: .\r\n\r\n.\r\n..\r\n" + b"a line of a long message\r\n" * 4000
        sent = ["ada@example.org", "nobody@example.org", "b.ob+x@example.org", "eve@example.org"]

        def work(client: smtplib.LMTP) -> Any:
            client.ehlo_or_helo_if_needed()
            self.assertTrue(client.has_extn("chunking"))
            return client.sendmail("sender@example.net", sent, message)

        refused = await self.session(work)
        self.assertEqual(
            {address: (code, text[:5]) for address, (code, text) in refused.items()},
            {
                "nobody@example.org": (550, b"5.1.1"),
                "b.ob+x@example.org": (452, b"4.2.2"),
                "eve@example.org": (550, b"5.2.1"),
            },
        )
        self.assertEqual(await self.mail("ada"), [self.trace("ada@example.org") + message])
        self.assertEqual(await self.mail("bob"), [])

    async def test_a_recipient_that_fails_when_the_message_is_there(self) -> None:
        message = b"Subject: x\r\n\r\n" + b"a line of a long message\r\n" * 4000
        sent = ["bob@example.org", "nobody@example.org", "ada@example.org", "bob@example.org"]
        replies = await self.session(lambda client: deliver(client, sent, message))
        self.assertEqual(
            [(code, text.split()[0]) for code, text in replies],
            [(452, b"4.2.2"), (550, b"5.1.1"), (250, b"2.0.0"), (452, b"4.2.2")],
        )
        self.assertEqual(await self.mail("ada"), [self.trace("ada@example.org") + message])

    async def test_many_messages_in_one_session(self) -> None:
        messages = [b"Subject: %d\r\n\r\n%b" % (n, b"." * n + b"\r\n") for n in range(50)]

        def work(client: smtplib.LMTP) -> None:
            for message in messages:
                replies = deliver(client, ["ada@example.org", "bob@example.org"], message)
                self.assertEqual([code for code, _ in replies], [250, 250])

        await self.session(work)
        for name in ("ada", "bob"):
            trace = self.trace(f"{name}@example.org")
            self.assertEqual(await self.mail(name), [trace + message for message in messages])

    async def test_starttls_and_spam(self) -> None:
        message = EmailMessage()
        message["Subject"] = "buy"
        message["X-Spam-Flag"] = "YES"
        message.set_content("now\n")
        data = message.as_bytes(policy=SMTP)

        def work(client: smtplib.LMTP) -> None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            client.starttls(context=context)
            client.ehlo()
            self.assertFalse(client.has_extn("starttls"))
            client.sendmail("sender@example.net", "ada@example.org", data)

        await self.session(work)
        self.assertEqual(await self.mail("ada", "Junk"), [self.trace("ada@example.org") + data])

    async def test_chunks_of_a_message_that_goes_to_a_file(self) -> None:
        message = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" * 300_000

        def work(client: smtplib.LMTP) -> bytes:
            client.ehlo_or_helo_if_needed()
            client.mail("sender@example.net")
            client.rcpt("ada@example.org")
            assert client.sock is not None
            half = len(message) // 2
            client.sock.sendall(b"BDAT %d\r\n%b" % (half, message[:half]))
            self.assertEqual(client.getreply()[0], 250)
            client.sock.sendall(b"BDAT %d LAST\r\n%b" % (len(message) - half, message[half:]))
            return client.getreply()[1]

        self.assertEqual(await self.session(work), b"2.0.0 <ada@example.org> has the message")
        self.assertEqual(await self.mail("ada"), [self.trace("ada@example.org") + message])

    async def test_over_a_unix_socket(self) -> None:
        # A path of a socket may have 107 bytes.
        directory = tempfile.mkdtemp(prefix="duckmail-test-")
        self.addCleanup(shutil.rmtree, directory)
        path = f"{directory}/lmtp"
        network: Any = reactor
        port = network.listenUNIX(path, self.factory)
        self.addCleanup(port.stopListening)
        await self.session(
            lambda client: client.sendmail("", "ada@example.org", b"Subject: x\r\n\r\n"), path
        )
        [message] = await self.mail("ada")
        self.assertTrue(message.startswith(b"Return-Path: <>\r\n"))

    async def test_a_database_that_is_away(self) -> None:
        """Every recipient is to be tried again, accepted or not."""

        def work(client: smtplib.LMTP) -> tuple[int, bytes]:
            client.ehlo_or_helo_if_needed()
            client.mail("sender@example.net")
            return client.rcpt("nobody@example.org")

        await self.store.mongo.close()
        code, text = await self.session(work)
        self.assertEqual((code, text[:5]), (451, b"4.3.0"))
