"""The examples run, and do what they say, for the clients of the standard library."""

from __future__ import annotations

import imaplib
import poplib
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests import mongo
from twisted_duck.spool import Spool
from twisted_duck.values import AppendMessage

EXAMPLES = Path(__file__).parents[2] / "examples"
ANY_PORT = "tcp:0:interface=127.0.0.1"
MESSAGE = b"From: bob@example.org\r\nSubject: hello\r\n\r\n.a dot, and a line\r\n"


class ExampleCase(TestCase):
    timeout = 60

    def load(self, name: str) -> Any:
        """An example as a module, whose neighbours it finds."""
        self.patch(sys, "path", [str(EXAMPLES), *sys.path])
        self.addCleanup(sys.modules.pop, name, None)
        return import_module(name)

    def listen(self, port: Any) -> int:
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        return int(port.getHost().port)

    def blocking(self, work: Any, *given: Any) -> Deferred[Any]:
        """The clients of the standard library wait, so they do that elsewhere."""
        return deferToThread(work, *given)


class ServeNotesTests(ExampleCase):
    async def test_application_s_people_read_and_write_their_notes(self) -> None:
        port = self.listen(await self.load("serve_notes").serve(reactor, ANY_PORT))
        await self.blocking(self.session, port)

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
        store, imap, pop3 = await self.load("stock_servers").serve(reactor, uri, ANY_PORT, ANY_PORT)
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
