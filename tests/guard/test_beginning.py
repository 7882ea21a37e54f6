"""Before there is a protocol: the handshake, and what the client sends early."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs
from twisted.protocols.policies import WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.guard.support import Echo, GuardCase, TLSClient, server_tls
from twisted_duck.guard import GuardedFactory, ProxyFactory
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.memory import MemoryStore


class EarlyTests(GuardCase):
    def test_what_is_read_early_is_bounded(self) -> None:
        waiting = self.wait()
        socket = self.connect(self.guard())
        for _ in range(100):
            socket.send(b"x" * 1022 + b"\r\n")
        # 4 KiB, and the read that went beyond them.
        self.assertEqual(len(socket.waiting), 100 - 5)
        self.assertTrue(socket.paused)
        waiting.callback(None)
        self.clock.advance(0)
        self.assertEqual(socket.waiting, [])
        self.assertEqual(len(socket.heard()), 7 + 100 * 1024)

    def test_who_paused_the_transport_gets_nothing_before_he_resumes(self) -> None:
        class Slow(Echo):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()

        waiting = self.wait()
        socket = self.connect(self.guard(Slow))
        socket.send(b"one\r\n")
        waiting.callback(None)
        self.clock.advance(0)
        self.assertEqual((socket.heard(), socket.paused), (b"", True))
        socket.send(b"two\r\n")
        Echo.made[0].transport.resumeProducing()
        self.assertEqual(socket.heard(), b"")
        self.clock.advance(0)
        self.assertEqual((socket.heard(), socket.paused), (b"one\r\ntwo\r\n", False))

    def test_who_pauses_again_waits_on(self) -> None:
        class Undecided(Echo):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()
                self.transport.resumeProducing()
                self.transport.pauseProducing()

        waiting = self.wait()
        socket = self.connect(self.guard(Undecided))
        socket.send(b"one\r\n")
        waiting.callback(None)
        self.clock.advance(0)
        self.assertEqual(socket.heard(), b"")
        socket.reset()
        self.assertEqual(Echo.made[0].reasons[0].type, ConnectionLost)

    def test_who_pauses_over_what_was_held_has_the_last_word(self) -> None:
        class Full(Echo):
            def lineReceived(self, line: bytes) -> None:
                super().lineReceived(line)
                self.transport.pauseProducing()

        waiting = self.wait()
        socket = self.connect(self.guard(Full))
        socket.send(b"one\r\n")
        socket.send(b"x" * 9000 + b"\r\n")
        socket.send(b"two\r\n")
        waiting.callback(None)
        self.clock.advance(0)
        self.assertTrue(socket.paused)
        self.assertEqual(socket.waiting, [b"two\r\n"])

    def test_who_ends_the_connection_at_once_gets_nothing(self) -> None:
        class Short(Echo):
            def connectionMade(self) -> None:
                self.transport.loseConnection()

        waiting = self.wait()
        socket = self.connect(self.guard(Short))
        socket.send(b"one\r\n")
        waiting.callback(None)
        self.clock.advance(0)
        self.assertEqual((socket.heard(), socket.lost), (b"", 1))


class HandshakeTests(GuardCase):
    def test_the_hook_is_asked_after_it_and_sees_it(self) -> None:
        socket = self.connect(self.in_tls(self.guard()))
        self.assertEqual(self.hooks.connected, [])
        client = TLSClient(socket, b"imap.example")
        client.shake_hands()
        [session] = self.hooks.connected
        self.assertTrue(session.secure)
        assert session.tls is not None
        self.assertEqual(session.tls.version, "TLSv1.3")
        self.assertTrue(session.tls.cipher.startswith("TLS_"), session.tls.cipher)
        self.assertEqual(session.tls.serverName, "imap.example")
        self.assertIsNone(session.tls.clientCertificate)
        self.assertEqual(session.remoteAddress, "192.0.2.1")
        client.send(b"one\r\n")
        self.assertEqual(client.heard(), b"hello\r\none\r\n")
        self.assertEqual((session.bytesIn, session.bytesOut), (5, 12))
        client.say_goodbye()
        self.clock.advance(0)
        self.assertEqual(self.hooks.closed, [session])
        self.assertEqual(session.closeReason, "the client closed it")

    def test_a_certificate_of_the_client(self) -> None:
        socket = self.connect(self.in_tls(self.guard(), wants_certificate=True))
        TLSClient(socket, shows=True).shake_hands()
        tls = self.hooks.connected[0].tls
        assert tls is not None
        self.assertIsNone(tls.serverName)
        subject = tls.clientCertificate.getSubject()
        self.assertEqual(subject.commonName, b"duck.example")

    def test_a_failed_one_never_reaches_the_hooks(self) -> None:
        socket = self.connect(self.in_tls(self.guard()))
        with capturedLogs() as events:
            socket.send(b"a1 LOGIN alice wonderland\r\n")
            self.clock.advance(0)
        self.assertEqual((socket.lost, self.hooks.connected, self.hooks.closed), (1, [], []))
        self.assertIn("no TLS", events[0]["log_format"])

    def test_one_that_is_overdue(self) -> None:
        socket = self.connect(self.in_tls(self.guard()))
        socket.send(TLSClient(socket).hello()[:100])
        self.clock.advance(self.limits.tls_handshake - 1)
        self.assertFalse(socket.disconnecting)
        self.clock.advance(1)
        self.clock.advance(0)
        self.assertEqual((socket.lost, self.hooks.connected, self.hooks.closed), (1, [], []))

    def test_one_that_is_reset(self) -> None:
        socket = self.connect(self.in_tls(self.guard()))
        socket.send(TLSClient(socket).hello())
        socket.reset()
        self.assertEqual((self.hooks.connected, self.hooks.closed), ([], []))

    def test_TLS_behind_the_guard_is_a_mistake(self) -> None:
        behind = TLSMemoryBIOFactory(server_tls(), False, Factory.forProtocol(Echo))
        self.refused(behind, "put TLS around the guard, not behind it")

    def test_a_proxy_behind_the_guard_likewise(self) -> None:
        for behind in (
            self.proxied(Factory.forProtocol(Echo)),
            self.proxied(self.in_tls(Factory.forProtocol(Echo))),
        ):
            self.refused(behind, "put ProxyFactory around the guard, not behind it, ")

    def test_a_guard_behind_the_guard_likewise(self) -> None:
        self.refused(self.guard(), "guard a factory once: this GuardedFactory is guarded already")
        delivery = MemoryStore().delivery()
        for hook in ("onConnect", "onClose"):
            behind = LMTPFactory(delivery, clock=self.clock, **{hook: print})
            self.refused(behind, "guard a factory once: this LMTPFactory is guarded already")
        self.guard(LMTPFactory(delivery, clock=self.clock))

    def test_what_is_wrapped_around_the_mistake_hides_it_not(self) -> None:
        for behind in (
            self.in_tls(Factory.forProtocol(Echo)),
            self.proxied(Factory.forProtocol(Echo)),
            self.guard(),
        ):
            self.refused(WrappingFactory(behind), "")

    def refused(self, behind: Any, message: str) -> None:
        raised = self.assertRaises(ValueError, self.guard, behind)
        self.assertEqual(str(raised)[: len(message)], message)


class ArgumentTests(GuardCase):
    def refused(self, error: type[Exception], message: str, **options: Any) -> None:
        raised = self.assertRaises(error, GuardedFactory, Factory.forProtocol(Echo), **options)
        self.assertEqual(str(raised), message)

    def test_of_a_guard(self) -> None:
        for name in ("onConnect", "onClose", "refusal"):
            message = f"{name} must be callable or None, not 5"
            self.refused(TypeError, message, **{name: 5})
        message = "onDeadline must be one of 'refuse', 'admit', not None"
        self.refused(ValueError, message, onDeadline=None)
        self.refused(TypeError, "limits must be a Limits or None, not {}", limits={})

    def test_of_a_proxy(self) -> None:
        raised = self.assertRaises(
            TypeError, ProxyFactory, Factory.forProtocol(Echo), ["192.0.2.0/24"], limits=60
        )
        self.assertEqual(str(raised), "limits must be a Limits or None, not 60")
