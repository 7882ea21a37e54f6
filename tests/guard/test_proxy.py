"""Connections through a proxy: whose they are, and which are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs, formatEvent

from tests.guard.support import Echo, GuardCase, Socket, TLSClient
from tests.wire.test_proxy import GOOD
from twisted_duck.errors import ConnectionRefused
from twisted_duck.guard import ProxyFactory
from twisted_duck.session import Session

HEADER = b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 993\r\n"
CLIENT = IPv4Address("TCP", "198.51.100.7", 4711)


class ProxiedCase(GuardCase):
    @contextmanager
    def drops(self, reason: str) -> Iterator[None]:
        """What is done drops the last connection, with a line in the log, and never reaches a hook."""
        with capturedLogs() as events:
            yield
        self.clock.advance(0)
        socket = self.sockets[-1]
        self.assertEqual((socket.lost, socket.aborted, socket.heard()), (1, True, b""))
        self.assertEqual((self.hooks.connected, Echo.made), ([], []))
        [line] = [formatEvent(event) for event in events if event["log_namespace"] != "log_legacy"]
        self.assertIn(socket.peer.host, line)
        self.assertIn(f"was dropped: {reason}", line)


class HeaderTests(ProxiedCase):
    def test_every_kind_in_one_piece_and_octet_by_octet(self) -> None:
        for name, data, header in GOOD:
            for pieces in ([data + b"one\r\n"], [bytes([octet]) for octet in data + b"one\r\n"]):
                with self.subTest(name):
                    Echo.made.clear()
                    socket = self.connect(self.proxied(self.guard()))
                    for piece in pieces:
                        socket.send(piece)
                    self.assertEqual(socket.heard(), b"hello\r\none\r\n")
                    transport = Echo.made[0].transport
                    if header.client is None:
                        self.assertEqual(transport.getPeer(), socket.peer)
                    else:
                        self.assertEqual(transport.getPeer().host, str(header.client.address))
                        self.assertEqual(transport.getPeer().port, header.client.port)

    def test_cut_in_two_anywhere_with_what_is_sent_ahead_in_the_same_segment(self) -> None:
        for name, data, header in GOOD:
            said = data + b"one\r\ntwo\r\nthr"
            for at in range(1, len(said)):
                with self.subTest(name, at=at):
                    Echo.made.clear()
                    socket = self.connect(self.proxied(self.guard()))
                    socket.send(said[:at])
                    socket.send(said[at:])
                    self.assertEqual(socket.heard(), b"hello\r\none\r\ntwo\r\n")
                    socket.send(b"ee\r\n")
                    self.assertEqual(socket.heard(), b"three\r\n")
                    [echo] = Echo.made
                    host = socket.peer.host if header.client is None else header.client.address
                    self.assertEqual(echo.transport.getPeer().host, str(host))

    def test_another_header_is_what_the_client_says(self) -> None:
        socket = self.connect(self.proxied(self.guard()))
        socket.send(HEADER + b"PROXY TCP4 192.0.2.9 203.0.113.1 1 993\r\n")
        self.assertEqual(socket.heard(), b"hello\r\nPROXY TCP4 192.0.2.9 203.0.113.1 1 993\r\n")
        self.assertEqual(Echo.made[0].transport.getPeer(), CLIENT)

    def test_the_session_sees_the_real_client(self) -> None:
        socket = self.connect(self.proxied(self.guard()))
        self.assertEqual(self.hooks.connected, [])
        socket.send(HEADER)
        [session] = self.hooks.connected
        self.assertEqual(
            (session.remoteAddress, session.remotePort, session.localAddress, session.localPort),
            ("198.51.100.7", 4711, "203.0.113.1", 993),
        )
        # The header is none of the protocol's octets.
        self.assertEqual(session.bytesIn, 0)
        self.assertEqual(
            (Echo.made[0].transport.getPeer(), Echo.made[0].transport.getHost()),
            (CLIENT, IPv4Address("TCP", "203.0.113.1", 993)),
        )
        socket.hang_up()
        self.assertEqual(self.hooks.closed, [session])

    def test_IPv6_and_IPv4_mapped(self) -> None:
        socket = self.connect(self.proxied(self.guard()))
        socket.send(b"PROXY TCP6 2001:db8::7 ::ffff:203.0.113.1 4711 993\r\n")
        [session] = self.hooks.connected
        self.assertEqual(
            (session.remoteAddress, session.localAddress), ("2001:db8::7", "203.0.113.1")
        )
        self.assertEqual(Echo.made[0].transport.getPeer(), IPv6Address("TCP", "2001:db8::7", 4711))

    def test_the_factory_is_told_the_real_client(self) -> None:
        addresses: list[object] = []

        class Asking(Factory):  # type: ignore[type-arg]
            def buildProtocol(self, addr: object) -> Echo:
                addresses.append(addr)
                return Echo()

        # Without any guard.
        self.connect(self.proxied(Asking())).send(HEADER)
        self.assertEqual(addresses, [CLIENT])

    def test_a_refusal(self) -> None:
        def refuse(session: Session) -> None:
            raise ConnectionRefused(session.remoteAddress)

        self.hooks.answer = refuse
        socket = self.connect(self.proxied(self.guard(protocol="POP3")))
        socket.send(HEADER)
        self.assertEqual(socket.heard(), b"-ERR [SYS/TEMP] 198.51.100.7\r\n")
        self.clock.advance(0)
        self.assertEqual((socket.lost, len(self.hooks.closed)), (1, 1))

    def test_before_TLS(self) -> None:
        socket = self.connect(self.proxied(self.in_tls(self.guard())))
        client = TLSClient(socket)
        client.shake_hands(HEADER)
        client.send(b"one\r\n")
        self.assertEqual(client.heard(), b"hello\r\none\r\n")
        [session] = self.hooks.connected
        self.assertEqual((session.remoteAddress, session.secure), ("198.51.100.7", True))

    def test_a_factory_that_makes_no_protocol(self) -> None:
        class Unwilling(Factory):  # type: ignore[type-arg]
            def buildProtocol(self, addr: object) -> None:
                return None

        socket = self.connect(self.proxied(Unwilling()))
        socket.send(HEADER + b"more")
        self.clock.advance(0)
        self.assertEqual((socket.lost, socket.heard()), (1, b""))


class DroppedTests(ProxiedCase):
    def test_from_elsewhere(self) -> None:
        for host in ("198.51.100.1", "::1", "2001:db8::1"):
            with self.drops("it is none of the proxies"):
                self.connect(self.proxied(self.guard()), host)
            self.sockets[-1].send(HEADER)
            self.assertEqual(self.hooks.connected, [])

    def test_networks(self) -> None:
        for network, host in (
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.0/24", "::ffff:192.0.2.200"),
            ("2001:db8::/32", "2001:db8::1"),
        ):
            self.connect(self.proxied(self.guard(), network), host).send(HEADER)
        self.assertEqual(len(self.hooks.connected), 3)

    def test_a_network_that_is_none(self) -> None:
        for network in ("192.0.2.1/24", "proxy.example", "192.0.2.0/33"):
            with self.assertRaises(ValueError):
                ProxyFactory(Factory.forProtocol(Echo), [network], clock=self.clock)

    def test_without_a_header(self) -> None:
        with self.drops("no PROXY header"):
            self.connect(self.proxied(self.guard())).send(b"a1 LOGIN alice wonderland\r\n")
        self.sockets[-1].waiting.clear()

    def test_a_bad_header(self) -> None:
        with self.drops("a PROXY line with an address that is none"):
            self.connect(self.proxied(self.guard())).send(HEADER.replace(b"100", b"1000"))

    def test_in_time(self) -> None:
        socket = self.connect(self.proxied(self.guard()))
        for octet in HEADER[:5]:
            socket.send(bytes([octet]))
            self.clock.advance(0.99)
            self.assertFalse(socket.disconnecting)
        with self.drops("no PROXY header in time"):
            self.clock.advance(0.1)

    def test_one_that_leaves_in_the_middle(self) -> None:
        socket = self.connect(self.proxied(self.guard()))
        socket.send(HEADER[:20])
        socket.hang_up()
        self.assertEqual(self.hooks.connected, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_address_that_is_no_network_address(self) -> None:
        class Local(Socket):
            def getPeer(self) -> object:
                return object()

        socket = Local(self.proxied(self.guard()), self.clock)
        self.assertTrue(socket.aborted)
