"""The protocols of `twisted.mail` and our own, guarded without a change to them."""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import fail
from twisted.mail import imap4, pop3, smtp

from tests.guard.support import GuardCase, Socket
from twisted_duck.errors import TooManyConnections
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.memory import MemoryStore
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.session import Session

SORRY = TooManyConnections("ten are enough")


class ESMTP(smtp.ESMTP):
    """As an application writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.host = b"mx.example"


#: The protocol's name, its class, the beginning of its greeting, a command with its answer's, and the refusal.
STOCK: list[tuple[str, Any, bytes, bytes, bytes, bytes]] = [
    (
        "IMAP",
        imap4.IMAP4Server,
        b"* OK [CAPABILITY ",
        b"a1 NOOP\r\n",
        b"a1 OK",
        b"* BYE [LIMIT] ten are enough\r\n",
    ),
    ("POP3", pop3.POP3, b"+OK <", b"CAPA\r\n", b"+OK", b"-ERR [SYS/TEMP] ten are enough\r\n"),
    ("SMTP", ESMTP, b"220 mx.example", b"RSET\r\n", b"250 ", b"421 4.7.0 ten are enough\r\n"),
]


class StockTests(GuardCase):
    def test_admitted(self) -> None:
        for name, kind, greeting, command, answer, _ in STOCK:
            with self.subTest(name):
                waiting = self.wait()
                socket = self.connect(self.guard(kind))
                # Ahead of time.
                socket.send(command)
                self.assertEqual(socket.heard(), b"")
                waiting.callback(None)
                said = socket.heard()
                self.assertTrue(said.startswith(greeting), said)
                self.assertTrue(said.partition(b"\r\n")[2].startswith(answer), said)
                session = self.hooks.connected[-1]
                self.assertEqual((session.protocol, session.accepted), (name, True))
                self.assertEqual((session.bytesIn, session.bytesOut), (len(command), len(said)))

    def test_refused(self) -> None:
        for name, kind, _, command, _, refusal in STOCK:
            with self.subTest(name):
                waiting = self.wait()
                socket = self.connect(self.guard(kind))
                socket.send(command)
                waiting.errback(SORRY)
                self.assertEqual(socket.heard(), refusal)
                self.clock.advance(0)
                self.assertEqual(socket.lost, 1)

    def test_the_end_is_theirs(self) -> None:
        for name, kind, *_ in STOCK:
            with self.subTest(name):
                end = b"a2 LOGOUT\r\n" if name == "IMAP" else b"QUIT\r\n"
                socket = self.connect(self.guard(kind))
                socket.send(end)
                self.clock.advance(0)
                self.assertEqual(socket.lost, 1)
                self.assertEqual(self.hooks.closed[-1].closeReason, "the server closed it")


class OwnCase(GuardCase):
    def setUp(self) -> None:
        super().setUp()
        self.store = MemoryStore(limits=self.limits)
        self.store.add_user("alice", "wonderland")
        self.portal = Portal(self.store, [self.store])

    def own(self, kind: Any, **options: Any) -> Any:
        return kind(self.portal, limits=self.limits, clock=self.clock, **options)

    def say(self, socket: Socket, line: bytes) -> bytes:
        socket.send(line + b"\r\n")
        self.clock.advance(0)
        return socket.heard()


class OwnTests(OwnCase):
    def test_IMAP_keeps_the_session_that_the_hook_was_shown(self) -> None:
        waiting = self.wait()
        socket = self.connect(self.guard(self.own(IMAP4Factory, cleartextAuth="always")))
        [session] = self.hooks.connected
        session.data["mine"] = 1
        self.assertEqual((session.protocol, session.accepted), ("IMAP", False))
        self.assertEqual(session.state, "Not Authenticated")
        waiting.callback(None)
        greeting = socket.heard()
        self.assertIn(session.id.encode(), greeting)
        self.assertEqual(session.state, "Not Authenticated")
        heard = len(greeting)
        heard += len(self.say(socket, b"a1 LOGIN alice wonderland"))
        self.assertEqual((session.state, session.user), ("Authenticated", "alice"))
        heard += len(self.say(socket, b"a2 SELECT INBOX"))
        self.assertEqual((session.state, session.selected), ("Selected", "INBOX"))
        heard += len(self.say(socket, b"a3 LOGOUT"))
        self.assertEqual(session.commands, 3)
        self.assertEqual((session.bytesIn, session.bytesOut), (27 + 17 + 11, heard))
        self.assertEqual(self.hooks.closed, [session])
        self.assertEqual(session.state, "Logout")
        self.assertEqual(session.data, {"mine": 1})
        self.assertIsNotNone(session.closeReason)

    def test_POP3_likewise(self) -> None:
        socket = self.connect(self.guard(self.own(POP3Factory, cleartextAuth="always")))
        [session] = self.hooks.connected
        self.assertIn(session.id.encode(), socket.heard())
        self.assertEqual((session.protocol, session.state), ("POP3", "AUTHORIZATION"))
        self.say(socket, b"USER alice")
        self.say(socket, b"PASS wonderland")
        self.assertEqual((session.state, session.user), ("TRANSACTION", "alice"))
        self.say(socket, b"QUIT")
        self.assertEqual((socket.lost, self.hooks.closed), (1, [session]))

    def test_LMTP_likewise(self) -> None:
        factory = LMTPFactory(MemoryStore().delivery(), hostname="mx.example", clock=self.clock)
        socket = self.connect(self.guard(factory))
        [session] = self.hooks.connected
        self.assertTrue(socket.heard().startswith(b"220 mx.example"))
        self.say(socket, b"LHLO client.example")
        self.assertEqual((session.protocol, session.commands), ("LMTP", 1))
        self.hooks.answer = lambda session: fail(SORRY)
        self.assertEqual(self.connect(self.guard(factory)).heard(), b"421 4.7.0 ten are enough\r\n")

    def test_refused(self) -> None:
        for kind, refusal in (
            (IMAP4Factory, b"* BYE [LIMIT] ten are enough\r\n"),
            (POP3Factory, b"-ERR [SYS/TEMP] ten are enough\r\n"),
        ):
            waiting = self.wait()
            socket = self.connect(self.guard(self.own(kind)))
            waiting.errback(SORRY)
            self.assertEqual(socket.heard(), refusal)

    def test_addresses_behind_a_proxy(self) -> None:
        for kind in (IMAP4Factory, POP3Factory):
            socket = self.connect(self.proxied(self.guard(self.own(kind))))
            socket.send(b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 993\r\n")
            protocol = socket.protocol.inner.inner
            self.assertIs(protocol.session, self.hooks.connected[-1])
            self.assertEqual(protocol.session.remoteAddress, "198.51.100.7")

    def test_unguarded_they_look_after_their_session_themselves(self) -> None:
        for kind in (IMAP4Factory, POP3Factory):
            socket = self.connect(self.own(kind))
            session: Session = socket.protocol.session
            self.assertTrue(session.accepted)
            self.assertEqual(session.remoteAddress, "192.0.2.1")
            said = len(socket.heard()) + len(self.say(socket, b"a b"))
            socket.hang_up()
            self.assertEqual((session.bytesIn, session.bytesOut), (5, said))
            self.assertEqual(session.closeReason, "the client closed it")

    def test_shutdown_is_theirs(self) -> None:
        factory = self.guard(self.own(IMAP4Factory))
        socket = self.connect(factory)
        socket.heard()
        done = factory.shutDown("maintenance")
        self.assertEqual(socket.heard(), b"* BYE maintenance\r\n")
        self.clock.advance(0)
        self.successResultOf(done)
        self.assertEqual(self.hooks.closed[0].closeReason, "maintenance")
