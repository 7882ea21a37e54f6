"""The examples run, and do what they say, for the clients of the standard library."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import sys
import unittest
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.cred.checkers import FilePasswordDB
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests import mongo
from twisted_duck.errors import Unavailable
from twisted_duck.spool import Spool
from twisted_duck.values import AppendMessage

EXAMPLES = Path(__file__).parents[2] / "examples"
ANY_PORT = "tcp:0:interface=127.0.0.1"
MESSAGE = b"From: bob@example.org\r\nSubject: hello\r\n\r\n.a dot, and a line\r\n"


class ExampleCase(TestCase):
    timeout = 60

    def setUp(self) -> None:
        #: What the example has the reactor do before it stops.
        self.stopping: list[Callable[[], Deferred[None]]] = []
        add = reactor.addSystemEventTrigger  # type: ignore[attr-defined]

        def trigger(phase: str, event: str, callable: Any, *args: Any, **kw: Any) -> Any:
            if (phase, event) != ("before", "shutdown"):
                return add(phase, event, callable, *args, **kw)
            return self.stopping.append(callable)

        self.patch(reactor, "addSystemEventTrigger", trigger)

    def load(self, name: str) -> Any:
        """An example as a module, whose neighbours it finds."""
        self.patch(sys, "path", [str(EXAMPLES), *sys.path])
        for each in EXAMPLES.glob("*.py"):
            self.addCleanup(sys.modules.pop, each.stem, None)
        return import_module(name)

    async def stop(self) -> None:
        """As the reactor has it."""
        [stopping] = self.stopping
        await stopping()

    def listen(self, port: Any) -> int:
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        return int(port.getHost().port)

    def blocking(self, work: Any, *given: Any) -> Deferred[Any]:
        """The clients of the standard library wait, so they do that elsewhere."""
        return deferToThread(work, *given)


class ServeNotesTests(ExampleCase):
    async def test_application_s_people_read_and_write_their_notes(self) -> None:
        port = self.listen(await self.load("serve_notes").serve_notes(reactor, ANY_PORT))
        await self.blocking(self.session, port)

    async def test_who_is_connected_when_it_stops_is_told(self) -> None:
        port = self.listen(await self.load("serve_notes").serve_notes(reactor, ANY_PORT))
        client = await self.blocking(imaplib.IMAP4, "127.0.0.1", port, 20)
        await self.stop()
        self.assertRegex(await self.blocking(client.readline), rb"^\* BYE .*shutting down")
        self.assertEqual(await self.blocking(client.readline), b"")
        client.shutdown()
        with self.assertRaises(ConnectionRefusedError):
            await self.blocking(imaplib.IMAP4, "127.0.0.1", port, 20)

    def session(self, port: int) -> None:
        with imaplib.IMAP4("127.0.0.1", port, timeout=20) as client:
            with self.assertRaises(imaplib.IMAP4.error):
                client.login("ada", "wrong")
            client.login("ada", "secret")
            # What such mailboxes cannot do is not promised.
            offered = set(client.capability()[1][0].split())
            self.assertIn(b"IDLE", offered)
            self.assertFalse(
                offered & {b"UIDPLUS", b"MOVE", b"SPECIAL-USE", b"CONDSTORE", b"QUOTA"}
            )
            self.assertEqual(client.select()[1], [b"2"])
            found = client.fetch("1:*", "(UID FLAGS ENVELOPE)")[1]
            self.assertIn(b'"Call the engine maker"', found[1])
            self.assertEqual(client.search("UTF-8", "SUBJECT", "milk")[1], [b"1"])
            client.append("INBOX", "\\Seen", None, b"Subject: third\r\n\r\nthird\r\n")
            client.store("1", "+FLAGS", "\\Deleted")
            self.assertEqual(client.expunge()[1], [b"1"])
            [(_, whole), _] = client.uid("FETCH", "3", "BODY[]")[1]
            self.assertEqual(whole, b"Subject: third\r\n\r\nthird\r\n")
            client.create("SHOPPING")
            client.copy("2", "SHOPPING")
            self.assertEqual(client.status("SHOPPING", "(MESSAGES)")[1], [b"SHOPPING (MESSAGES 1)"])


class StockServersTests(ExampleCase):
    async def test_stock_servers_serve_mail_in_mongodb(self) -> None:
        uri = await mongo.database(self)
        store, imap, pop3 = await self.load("stock_servers").serve_mail(
            reactor, uri, ANY_PORT, ANY_PORT
        )
        self.addCleanup(store.close)
        ports = self.listen(imap), self.listen(pop3)
        await store.users.add("ada", "secret")
        account = await store.account("ada")
        await account.append("INBOX", [AppendMessage(Spool.of(MESSAGE)) for _ in range(3)])
        await self.blocking(self.imap_session, ports[0])
        await self.blocking(self.pop3_session, ports[1])
        while (status := await account.status("INBOX")).messages > 2:
            # Twisted's POP3 server says goodbye before the messages are gone.
            await deferToThread(lambda: None)
        self.assertEqual((status.messages, status.unseen), (2, 1))
        client = await self.blocking(poplib.POP3, "127.0.0.1", ports[1], 20)
        await self.stop()
        self.assertEqual(await self.blocking(client.file.readline), b"")
        client.close()
        with self.assertRaises(Unavailable):
            await store.account("ada")

    def imap_session(self, port: int) -> None:
        with imaplib.IMAP4("127.0.0.1", port, timeout=20) as client:
            client.login("ada", "secret")
            self.assertEqual(client.select()[1], [b"3"])
            [(_, whole), _] = client.fetch("2", "(UID RFC822)")[1]
            self.assertEqual(whole, MESSAGE)
            self.assertEqual(client.search(None, "SUBJECT", "HELLO")[1], [b"1 2 3"])
            client.store("2", "+FLAGS", "\\Seen")
            client.create("Kept")
            client.copy("2", "Kept")
            client.select("Kept")
            client.append("Kept", "\\Flagged", None, b"Subject: by hand\r\n\r\n\r\n")
            self.assertEqual(client.select("Kept")[1][-1], b"2")

    def pop3_session(self, port: int) -> None:
        client = poplib.POP3("127.0.0.1", port, timeout=20)
        client.user("ada")
        client.pass_("secret")
        self.assertEqual(client.stat(), (3, 3 * len(MESSAGE)))
        self.assertEqual(b"\r\n".join(client.retr(1)[1]) + b"\r\n", MESSAGE)
        client.dele(1)
        client.quit()


class MailCase(ExampleCase):
    """Mail for `self.name` comes by LMTP, and is read by IMAP and POP3."""

    name: str

    def deliver(self, port: int, name: str) -> None:
        with smtplib.LMTP("127.0.0.1", port, timeout=20) as client:
            client.sendmail("bob@example.org", name, MESSAGE)

    def read(self, imap: int, pop3: int) -> None:
        with imaplib.IMAP4("127.0.0.1", imap, timeout=20) as client:
            with self.assertRaises(imaplib.IMAP4.error):
                client.login(self.name, "wrong")
            client.login(self.name, "secret")
            self.assertEqual(client.select()[1], [b"1"])
            [(_, whole), _] = client.fetch("1", "(BODY.PEEK[])")[1]
            self.assertTrue(whole.endswith(MESSAGE))
        drop = poplib.POP3("127.0.0.1", pop3, timeout=20)
        drop.user(self.name)
        drop.pass_("secret")
        self.assertEqual(drop.stat()[0], 1)
        drop.quit()


class MemoryMailTests(MailCase):
    name = "ada@example.org"

    async def test_what_is_delivered_is_read(self) -> None:
        serve = self.load("serving").serve
        factories = self.load("memory_mail").make_factories()
        listeners = [(ANY_PORT, factory) for factory in factories]
        imap, pop3, lmtp = map(self.listen, await serve(reactor, listeners))
        await self.blocking(self.deliver, lmtp, self.name)
        await self.blocking(self.read, imap, pop3)
        await self.stop()

    def test_its_own_tests_pass(self) -> None:
        result = unittest.TestResult()
        example = self.load("test_memory_mail").MemoryMailTests
        unittest.TestLoader().loadTestsFromTestCase(example).run(result)
        self.assertEqual((result.failures, result.errors), ([], []))
        self.assertEqual(result.testsRun, 3)


class MongoDBMailTests(MailCase):
    name = "ada"

    async def test_what_is_delivered_is_read_by_whom_another_checker_knows(self) -> None:
        passwords = Path(self.mktemp())
        passwords.write_text("ada:secret\nbob:hidden\n")
        uri = await mongo.database(self)
        store, ports = await self.load("mongodb_mail").serve_mail(
            reactor, uri, FilePasswordDB(str(passwords)), [ANY_PORT] * 3
        )
        self.addCleanup(store.close)
        imap, pop3, lmtp = map(self.listen, ports)
        # Without a password of our own.
        await store.users.add("ada", None)
        await store.addresses.add("ada", "ada@example.org")
        await self.blocking(self.deliver, lmtp, "ada@example.org")
        await self.blocking(self.read, imap, pop3)
        await self.blocking(self.without_mail, imap)
        client = await self.blocking(imaplib.IMAP4, "127.0.0.1", imap, 20)
        await self.stop()
        self.assertRegex(await self.blocking(client.readline), rb"^\* BYE ")
        client.shutdown()
        with self.assertRaises(Unavailable):
            await store.account("ada")

    def without_mail(self, port: int) -> None:
        with (
            imaplib.IMAP4("127.0.0.1", port, timeout=20) as client,
            self.assertRaisesRegex(imaplib.IMAP4.error, "gone"),
        ):
            client.login("bob", "hidden")


class DeliverNotesTests(MailCase):
    async def test_mail_becomes_notes(self) -> None:
        example = self.load("deliver_notes")
        application = example.NotesApplication()
        factory = example.LMTPFactory(example.NotesDelivery(application))
        [port] = map(self.listen, await example.serve(reactor, [(ANY_PORT, factory)]))
        await self.blocking(self.deliver, port, "Ada@example.org")
        notes = application.accounts[b"ada"].select("INBOX").notes
        self.assertEqual(len(notes), 3)
        self.assertTrue(notes[-1].content.endswith(b"\r\n" + MESSAGE))
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            await self.blocking(self.deliver, port, "eve@example.org")
        await self.stop()
