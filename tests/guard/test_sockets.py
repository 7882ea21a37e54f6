"""The guard on real sockets: in clear, in TLS from the first byte, with STARTTLS, and each behind a proxy as well."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import deferLater
from twisted.mail.imap4 import IMAP4Server
from twisted.mail.pop3 import POP3
from twisted.protocols.basic import LineReceiver
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.guard.support import certificate, server_tls
from twisted_duck.errors import ConnectionRefused
from twisted_duck.guard import GuardedFactory, ProxyFactory
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.session import Session

HEADER = b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 993\r\n"


class Client(LineReceiver):
    """Lines, one after the other, until the connection is lost."""

    MAX_LENGTH = 2**20

    def __init__(self, proxied: bool) -> None:
        self._proxied = proxied
        self.lines: list[bytes] = []
        self._waiting: Deferred[bytes] | None = None
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        if self._proxied:
            self.transport.write(HEADER)

    def lineReceived(self, line: bytes) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(line)
        else:
            self.lines.append(line)

    async def line(self) -> bytes:
        if self.lines:
            return self.lines.pop(0)
        self._waiting = Deferred()
        return await self._waiting

    async def say(self, line: bytes, until: bytes) -> bytes:
        """Send a line; the line of the answer that begins so."""
        self.sendLine(line)
        while not (answer := await self.line()).startswith(until):
            pass
        return answer

    def start_tls(self) -> None:
        self.transport.startTLS(client_tls())

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self._waiting is not None:
            self._waiting.errback(reason)
        self.lost.callback(None)


def client_tls() -> Any:
    return optionsForClientTLS("duck.example", trustRoot=certificate())


class STARTTLSServer(IMAP4Server):
    def __init__(self) -> None:
        super().__init__(contextFactory=server_tls())


class SocketsTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        store = MemoryStore(limits=Limits())
        store.add_user("alice", "wonderland")
        portal = Portal(store, [store])
        self.imap = IMAP4Factory(portal, tls=server_tls())
        self.pop3 = POP3Factory(portal, tls=server_tls())
        self.connected: list[Session] = []
        self.seen_off: list[Session] = []
        self.seen: Deferred[Session] = Deferred()
        self.answer: Callable[[Session], Any] = lambda session: None

    def onConnect(self, session: Session) -> Any:
        self.connected.append(session)
        return self.answer(session)

    def onClose(self, session: Session) -> None:
        self.seen_off.append(session)
        self.seen.callback(session)

    def guard(self, factory: Any, **options: Any) -> GuardedFactory:
        return GuardedFactory(factory, self.onConnect, self.onClose, **options)

    def serve(self, factory: Any, *, tls: bool, proxied: bool) -> int:
        if tls:
            factory = TLSMemoryBIOFactory(server_tls(), False, factory)
        if proxied:
            factory = ProxyFactory(factory, ["127.0.0.0/8"])
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def client(self, port: int, *, tls: bool = False, proxied: bool = False) -> Client:
        client = Client(proxied)
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), client)
        self.addCleanup(self.leave, client)
        if tls:
            client.start_tls()
        return client

    def leave(self, client: Client) -> Deferred[None]:
        client.transport.loseConnection()
        return client.lost

    async def check(
        self, factory: Any, greeting: bytes, conversation: list[tuple[bytes, bytes]]
    ) -> None:
        """A conversation in each of the four ways, ended by the server."""
        for tls in (False, True):
            for proxied in (False, True):
                self.seen = Deferred()
                port = self.serve(self.guard(factory), tls=tls, proxied=proxied)
                client = await self.client(port, tls=tls, proxied=proxied)
                self.assertTrue((await client.line()).startswith(greeting))
                session = self.connected[-1]
                self.assertEqual(session.secure, tls)
                self.assertEqual(session.tls is not None, tls)
                self.assertEqual(session.remoteAddress, "198.51.100.7" if proxied else "127.0.0.1")
                for line, answer in conversation:
                    await client.say(line, answer)
                await client.lost
                self.assertIs(await self.seen, session)
                said = sum(len(line) + 2 for line, _ in conversation)
                self.assertEqual(session.bytesIn, said)
        self.assertEqual(len(self.connected), 4)

    async def test_stock_IMAP(self) -> None:
        await self.check(
            Factory.forProtocol(IMAP4Server),
            b"* OK",
            [(b"a1 CAPABILITY", b"a1 OK"), (b"a2 LOGOUT", b"a2 OK")],
        )

    async def test_stock_POP3(self) -> None:
        await self.check(Factory.forProtocol(POP3), b"+OK", [(b"CAPA", b"."), (b"QUIT", b"+OK")])

    async def test_our_IMAP(self) -> None:
        await self.check(
            self.imap, b"* OK", [(b"a1 CAPABILITY", b"a1 OK"), (b"a2 LOGOUT", b"a2 OK")]
        )

    async def test_our_POP3(self) -> None:
        await self.check(self.pop3, b"+OK", [(b"CAPA", b"."), (b"QUIT", b"+OK")])

    async def check_starttls(
        self, factory: Any, commands: tuple[bytes, bytes], conversation: list[tuple[bytes, bytes]]
    ) -> None:
        """The hook is asked once, in clear; the session becomes secure later."""
        for proxied in (False, True):
            self.connected.clear()
            self.seen = Deferred()
            port = self.serve(self.guard(factory), tls=False, proxied=proxied)
            client = await self.client(port, proxied=proxied)
            await client.line()
            [session] = self.connected
            self.assertEqual((session.secure, session.tls), (False, None))
            await client.say(*commands)
            client.start_tls()
            for line, answer in conversation:
                await client.say(line, answer)
            self.assertEqual(self.connected, [session])
            self.assertTrue(session.secure)
            assert session.tls is not None
            self.assertEqual(
                (session.tls.version, session.tls.serverName), ("TLSv1.3", "duck.example")
            )
            self.assertEqual(session.remoteAddress, "198.51.100.7" if proxied else "127.0.0.1")
            await client.lost
            self.assertIs(await self.seen, session)

    async def test_STARTTLS_in_stock_IMAP(self) -> None:
        await self.check_starttls(
            Factory.forProtocol(STARTTLSServer),
            (b"a1 STARTTLS", b"a1 OK"),
            [(b"a2 NOOP", b"a2 OK"), (b"a3 LOGOUT", b"a3 OK")],
        )

    async def test_STARTTLS_in_our_IMAP(self) -> None:
        await self.check_starttls(
            self.imap,
            (b"a1 STARTTLS", b"a1 OK"),
            [(b"a2 LOGIN alice wonderland", b"a2 OK"), (b"a3 LOGOUT", b"a3 OK")],
        )

    async def test_STLS_in_our_POP3(self) -> None:
        await self.check_starttls(
            self.pop3,
            (b"STLS", b"+OK"),
            [(b"USER alice", b"+OK"), (b"PASS wonderland", b"+OK"), (b"QUIT", b"+OK")],
        )

    async def test_refused(self) -> None:
        async def refuse(session: Session) -> None:
            await deferLater(reactor, 0.01)
            raise ConnectionRefused("closed for today")

        self.answer = refuse
        for tls in (False, True):
            for proxied in (False, True):
                self.seen = Deferred()
                port = self.serve(
                    self.guard(Factory.forProtocol(IMAP4Server)), tls=tls, proxied=proxied
                )
                client = await self.client(port, tls=tls, proxied=proxied)
                self.assertEqual(await client.line(), b"* BYE [UNAVAILABLE] closed for today")
                await client.lost
                session = await self.seen
                self.assertFalse(session.accepted)

    async def test_who_resets_the_connection_while_the_hook_is_asked(self) -> None:
        waiting: Deferred[None] = Deferred()
        asked: Deferred[None] = Deferred()

        def ask(session: Session) -> Deferred[None]:
            asked.callback(None)
            return waiting

        self.answer = ask
        port = self.serve(self.guard(self.imap), tls=False, proxied=False)
        client = socket.create_connection(("127.0.0.1", port))
        await asked
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        session = await self.seen
        self.assertTrue(waiting.called)
        self.assertFalse(session.accepted)

    async def test_much_that_is_sent_early_stays_in_the_socket(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.answer = lambda session: waiting
        factory = self.guard(self.imap, limits=Limits(early=1024))
        port = self.serve(factory, tls=False, proxied=False)
        client = await self.client(port)
        client.transport.write(b"a1 NOOP\r\n" * 100_000 + b"a2 LOGOUT\r\n")
        await deferLater(reactor, 0.1)
        [session] = self.connected
        # One read of 64 KiB at the most, and nothing beyond.
        self.assertTrue(0 < session.bytesIn <= 1024 + 65536, session.bytesIn)
        waiting.callback(None)
        await client.lost
        self.assertEqual(session.bytesIn, 900_011)
        self.assertEqual(client.lines.count(b"a1 OK NOOP completed"), 100_000)

    async def test_a_UNIX_socket(self) -> None:
        path = self.mktemp()
        port = reactor.listenUNIX(path, self.guard(self.imap))  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        client = Client(proxied=False)
        await connectProtocol(UNIXClientEndpoint(reactor, path), client)
        await client.line()
        [session] = self.connected
        self.assertEqual((session.remoteAddress, session.remotePort), ("", 0))
        await client.say(b"a1 LOGOUT", b"a1 OK")
        await client.lost
        self.assertIs(await self.seen, session)

    async def test_shutdown(self) -> None:
        for factory in (Factory.forProtocol(IMAP4Server), self.imap):
            for tls in (False, True):
                self.seen = Deferred()
                guarded = self.guard(factory)
                client = await self.client(self.serve(guarded, tls=tls, proxied=False), tls=tls)
                await client.line()
                await guarded.shutDown("maintenance")
                await client.lost
                self.assertEqual((await self.seen).closeReason, "maintenance")
