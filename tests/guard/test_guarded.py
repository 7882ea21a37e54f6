"""The two hooks: when they are called, what they decide, and what the client sees of it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.guard.support import Echo, GuardCase, Socket, TLSClient, server_tls
from twisted_duck.errors import ConnectionRefused, NotWelcome, TooManyConnections
from twisted_duck.guard import GuardedFactory
from twisted_duck.limits import Limits
from twisted_duck.session import Session

REFUSAL = "closed for today"


def refused(session: Session) -> None:
    raise ConnectionRefused(REFUSAL)


async def refused_later(session: Session) -> None:
    raise ConnectionRefused(REFUSAL)


class AdmittedTests(GuardCase):
    def test_a_value_a_coroutine_and_a_deferred(self) -> None:
        async def coroutine(session: Session) -> bool:
            return False

        for answer in (
            lambda session: None,
            lambda session: False,
            coroutine,
            lambda session: succeed(None),
        ):
            self.hooks.answer = answer
            socket = self.connect(self.guard())
            socket.send(b"one\r\n")
            self.assertEqual(socket.heard(), b"hello\r\none\r\n")

    def test_until_the_hook_has_answered_there_is_no_protocol(self) -> None:
        waiting = self.wait()
        socket = self.connect(self.guard())
        socket.send(b"one\r\n")
        socket.send(b"two\r\n")
        self.assertEqual((socket.heard(), Echo.made), (b"", []))
        waiting.callback(None)
        self.assertEqual(socket.heard(), b"hello\r\none\r\ntwo\r\n")
        socket.send(b"three\r\n")
        self.assertEqual(socket.heard(), b"three\r\n")

    def test_the_session(self) -> None:
        socket = self.connect(self.guard(), "::ffff:192.0.2.9")
        [session] = self.hooks.connected
        self.assertEqual(
            (session.remoteAddress, session.remotePort, session.localAddress, session.localPort),
            ("192.0.2.9", 50000, "192.0.2.143", 143),
        )
        self.assertEqual((session.protocol, session.secure, session.tls), ("Echo", False, None))
        self.assertTrue(session.accepted)
        self.assertIsNone(session.closeReason)
        socket.send(b"12345\r\n")
        self.assertEqual((session.bytesIn, session.bytesOut), (7, 14))
        socket.hang_up()
        self.assertIs(self.hooks.closed[0], session)

    def test_while_the_hook_is_asked_nobody_is_accepted(self) -> None:
        seen: list[bool] = []
        self.hooks.answer = lambda session: seen.append(session.accepted)
        self.connect(self.guard())
        self.assertEqual(seen, [False])

    def test_sessions_have_different_ids(self) -> None:
        factory = self.guard()
        for _ in range(100):
            self.connect(factory)
        self.assertEqual(len({session.id for session in self.hooks.connected}), 100)

    def test_without_hooks(self) -> None:
        socket = self.connect(
            GuardedFactory(Factory.forProtocol(Echo), limits=self.limits, clock=self.clock)
        )
        self.assertEqual(socket.heard(), b"hello\r\n")

    def test_without_onConnect_onClose_is_told_of_everybody(self) -> None:
        factory = self.guard()
        factory.onConnect = None
        self.connect(factory).hang_up()
        self.assertEqual([session.accepted for session in self.hooks.closed], [True])

    def test_the_factory_is_told_whose_protocol_it_makes(self) -> None:
        addresses: list[Any] = []

        class Asking(Factory[Any]):
            def buildProtocol(self, addr: Any) -> Any:
                addresses.append(addr)
                return Echo()

        socket = self.connect(self.guard(Asking()))
        self.assertEqual(addresses, [socket.peer])


class RefusedTests(GuardCase):
    def check_refused(self, socket: Socket, said: bytes, reason: str) -> None:
        self.assertEqual(socket.heard(), said)
        self.assertTrue(socket.disconnecting)
        self.assertEqual(self.hooks.closed, [])
        self.clock.advance(0)
        [session] = self.hooks.closed
        self.assertEqual((session.accepted, session.closeReason), (False, reason))
        self.assertEqual(Echo.made, [])

    def test_the_message_is_told(self) -> None:
        for answer in (refused, refused_later, lambda _: fail(ConnectionRefused(REFUSAL))):
            self.hooks.closed.clear()
            self.hooks.answer = answer
            socket = self.connect(self.guard(protocol="IMAP"))
            words = b"* BYE [UNAVAILABLE] closed for today\r\n"
            self.check_refused(socket, words, "refused: closed for today")
            self.assertEqual(self.hooks.closed[0].bytesOut, len(words))

    def test_later(self) -> None:
        waiting = self.wait()
        socket = self.connect(self.guard(protocol="IMAP"))
        socket.send(b"a1 LOGIN alice wonderland\r\n")
        waiting.errback(TooManyConnections("ten are enough"))
        self.check_refused(socket, b"* BYE [LIMIT] ten are enough\r\n", "refused: ten are enough")

    def test_what_is_not_for_the_client_is_logged_and_not_told(self) -> None:
        self.hooks.answer = lambda session: {}["secret"]
        socket = self.connect(self.guard(protocol="POP3"))
        words = b"-ERR [SYS/TEMP] the service is not available now; try again later\r\n"
        reason = "refused: the service is not available now; try again later"
        self.check_refused(socket, words, reason)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_a_hook_that_was_cancelled_by_others_has_failed(self) -> None:
        self.wait().cancel()
        socket = self.connect(self.guard(protocol="SMTP"))
        self.assertTrue(socket.heard().startswith(b"421 4.3.2 "))
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_what_the_client_sent_and_sends_is_not_looked_at(self) -> None:
        waiting = self.wait()
        socket = self.connect(self.guard(protocol="IMAP"))
        socket.send(b"a1 NOOP\r\n" * 5000)
        self.assertTrue(socket.paused)
        waiting.errback(ConnectionRefused(REFUSAL))
        self.check_refused(
            socket, b"* BYE [UNAVAILABLE] closed for today\r\n", f"refused: {REFUSAL}"
        )

    def test_each_refusal_is_logged(self) -> None:
        self.hooks.answer = refused
        with capturedLogs() as events:
            self.connect(self.guard(protocol="IMAP"))
        [event] = events
        session = event["session"]
        self.assertEqual(
            event["log_format"].format_map({"session": session}),
            f"{session.id} IMAP from 192.0.2.1: refused: closed for today",
        )

    def test_a_factory_that_makes_no_protocol(self) -> None:
        class Unwilling(Factory[Any]):
            def buildProtocol(self, addr: Any) -> Any:
                return None

        socket = self.connect(self.guard(Unwilling()))
        self.check_refused(socket, b"", "refused by its factory")

    def test_a_factory_that_breaks(self) -> None:
        class Broken(Factory[Any]):
            def buildProtocol(self, addr: Any) -> Any:
                raise ValueError("a bug")

        socket = self.connect(self.guard(Broken(), protocol="IMAP"))
        self.assertTrue(socket.heard().startswith(b"* BYE [UNAVAILABLE] the service"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_who_does_not_go_is_cut_off(self) -> None:
        self.hooks.answer = refused
        socket = self.connect(self.in_tls(self.guard(protocol="IMAP")))
        client = TLSClient(socket)
        client.shake_hands()
        # TLS waits for the client's goodbye, which never comes.
        self.assertEqual(client.heard(), b"* BYE [UNAVAILABLE] closed for today\r\n")
        self.clock.advance(self.limits.farewell - 1)
        self.assertEqual((socket.lost, self.hooks.closed), (0, []))
        self.clock.advance(1)
        self.clock.advance(0)
        self.assertEqual((socket.lost, socket.aborted, len(self.hooks.closed)), (1, True, 1))


class DeadlineTests(GuardCase):
    def test_refuse(self) -> None:
        cancelled: list[Any] = []
        waiting: Deferred[None] = Deferred(cancelled.append)
        self.hooks.answer = lambda session: waiting
        socket = self.connect(self.guard(protocol="IMAP"))
        self.clock.advance(self.limits.on_connect - 0.5)
        self.assertEqual((socket.heard(), cancelled), (b"", []))
        self.clock.advance(0.5)
        self.assertEqual(cancelled, [waiting])
        self.assertTrue(socket.heard().startswith(b"* BYE [UNAVAILABLE] "))
        self.clock.advance(0)
        [session] = self.hooks.closed
        self.assertEqual(
            (session.accepted, session.closeReason), (False, "no answer from onConnect in time")
        )

    def test_admit(self) -> None:
        waiting = self.wait()
        socket = self.connect(self.guard(onDeadline="admit"))
        socket.send(b"one\r\n")
        self.clock.advance(self.limits.on_connect)
        self.assertEqual(socket.heard(), b"hello\r\none\r\n")
        self.assertTrue(waiting.called)
        self.assertTrue(self.hooks.connected[0].accepted)

    def test_the_time_is_a_limit(self) -> None:
        self.wait()
        socket = self.connect(self.guard(protocol="IMAP", limits=Limits(on_connect=3)))
        self.clock.advance(3)
        self.assertTrue(socket.heard().startswith(b"* BYE"))

    def test_an_answer_that_comes_later_changes_nothing(self) -> None:
        async def stubborn(session: Session) -> None:
            for seconds in (20, 30):
                try:
                    await deferLater(self.clock, seconds)
                except CancelledError:
                    pass

        self.hooks.answer = stubborn
        socket = self.connect(self.guard())
        self.clock.advance(10)
        self.clock.advance(0)
        self.assertEqual((socket.lost, len(self.hooks.closed)), (1, 1))
        self.clock.advance(30)
        self.assertEqual((Echo.made, len(self.hooks.closed)), ([], 1))

    def test_a_bug_that_comes_later_is_logged(self) -> None:
        async def broken(session: Session) -> None:
            try:
                await deferLater(self.clock, 20)
            finally:
                raise ValueError("a bug in the cleaning up")

        self.hooks.answer = broken
        self.connect(self.guard()).reset()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.hooks.closed), 1)

    def test_a_canceller_that_breaks(self) -> None:
        def broken(deferred: object) -> None:
            raise ValueError("a bug")

        self.hooks.answer = lambda session: Deferred(broken)
        self.connect(self.guard()).reset()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.hooks.closed), 1)


class GoneTests(GuardCase):
    def test_while_the_hook_is_asked(self) -> None:
        waiting = self.wait()
        order: list[str] = []
        waiting.addErrback(lambda failure: order.append("cancelled"))
        self.hooks.close_answer = lambda session: order.append("closed")
        socket = self.connect(self.guard())
        socket.hang_up()
        self.assertEqual(order, ["cancelled", "closed"])
        [session] = self.hooks.closed
        self.assertEqual((session.accepted, session.closeReason), (False, "the client closed it"))
        self.assertEqual(socket.said, b"")

    def test_reasons(self) -> None:
        ways = {
            "the client closed it": Socket.hang_up,
            ConnectionLost.__doc__: Socket.reset,
            "the server closed it": lambda socket: socket.send(b"quit\r\n"),
        }
        for reason, way in ways.items():
            self.hooks.closed.clear()
            way(self.connect(self.guard()))
            self.clock.advance(0)
            [session] = self.hooks.closed
            self.assertTrue(session.accepted)
            self.assertIn(session.closeReason.rstrip("."), reason)

    def test_the_protocol_is_told_before_onClose(self) -> None:
        told: list[int] = []
        self.hooks.close_answer = lambda session: told.append(len(Echo.made[0].reasons))
        self.connect(self.guard()).hang_up()
        self.assertEqual(told, [1])

    def test_onClose_runs_though_the_protocol_breaks_at_its_end(self) -> None:
        class Broken(Echo):
            def connectionLost(self, reason: Any) -> None:
                raise ValueError("a bug")

        socket = self.connect(self.guard(Broken))
        with self.assertRaises(ValueError):
            socket.hang_up()
        self.assertEqual(len(self.hooks.closed), 1)

    def test_a_protocol_that_breaks_at_its_beginning(self) -> None:
        class Broken(Echo):
            def connectionMade(self) -> None:
                raise ValueError("a bug")

        waiting = self.wait()
        socket = self.connect(self.guard(Broken))
        waiting.callback(None)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.clock.advance(0)
        self.assertEqual((socket.lost, socket.aborted), (1, True))
        self.assertEqual(self.hooks.closed[0].closeReason, "the protocol failed")

    def test_a_protocol_that_breaks_over_what_was_held(self) -> None:
        waiting = self.wait()
        socket = self.connect(self.guard())
        socket.send(b"break\r\n")
        waiting.callback(None)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.clock.advance(0)
        self.assertEqual((socket.lost, len(self.hooks.closed)), (1, 1))


class OnCloseTests(GuardCase):
    def test_its_failure_is_logged(self) -> None:
        async def broken(session: Session) -> None:
            raise ValueError("a bug")

        for answer in (broken, lambda session: {}["missing"]):
            self.hooks.close_answer = answer
            self.connect(self.guard()).hang_up()
        self.assertEqual(len(self.flushLoggedErrors(ValueError, KeyError)), 2)

    def test_nobody_waits_for_it_for_ever(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.hooks.close_answer = lambda session: waiting
        self.connect(self.guard()).hang_up()
        self.clock.advance(self.limits.on_close - 1)
        self.assertFalse(waiting.called)
        self.clock.advance(1)
        self.assertTrue(waiting.called)

    def test_one_that_does_not_heed_cancelling(self) -> None:
        self.hooks.close_answer = lambda session: Deferred(lambda d: None).addErrback(
            lambda failure: Deferred()
        )
        factory = self.guard()
        self.connect(factory).hang_up()
        self.clock.advance(self.limits.on_close)
        self.successResultOf(factory.shutDown())


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
        with self.assertRaises(ValueError):
            self.guard(behind)


class ShutDownTests(GuardCase):
    def test_everybody_goes_and_is_seen_off(self) -> None:
        factory = self.guard(protocol="IMAP")
        served = self.connect(factory)
        waiting = self.wait()
        asking = self.connect(factory)
        shaking = self.connect(self.in_tls(factory))
        seen_off: Deferred[None] = Deferred()
        self.hooks.close_answer = lambda session: seen_off
        done = factory.shutDown("maintenance")
        self.assertTrue(waiting.called)
        self.assertEqual(served.heard(), b"hello\r\n")
        self.assertEqual(asking.heard(), b"* BYE [UNAVAILABLE] maintenance\r\n")
        self.clock.advance(0)
        self.assertEqual([each.lost for each in (served, asking, shaking)], [1, 1, 1])
        self.assertEqual(
            [session.closeReason for session in self.hooks.closed],
            ["maintenance", "refused: maintenance"],
        )
        self.assertNoResult(done)
        seen_off.callback(None)
        self.successResultOf(done)

    def test_nobody_is_let_in_any_more(self) -> None:
        factory = self.guard(protocol="IMAP")
        self.successResultOf(factory.shutDown())
        socket = self.connect(factory)
        self.assertEqual(socket.heard(), b"* BYE [UNAVAILABLE] the server is shutting down\r\n")
        self.clock.advance(0)
        self.assertEqual((self.hooks.connected, self.hooks.closed), ([], []))
        factory.doStart()
        self.assertEqual(self.connect(factory).heard(), b"hello\r\n")

    def test_who_does_not_go_is_cut_off(self) -> None:
        factory = self.guard()
        socket = self.connect(self.in_tls(factory))
        TLSClient(socket).shake_hands()
        done = factory.shutDown()
        self.clock.advance(self.limits.shut_down)
        self.clock.advance(0)
        self.assertEqual((socket.lost, socket.aborted), (1, True))
        self.successResultOf(done)

    def test_onClose_is_waited_for_up_to_its_bound(self) -> None:
        factory = self.guard()
        self.connect(factory)
        self.hooks.close_answer = lambda session: Deferred()
        done = factory.shutDown()
        self.clock.advance(0)
        self.clock.advance(self.limits.on_close - 1)
        self.assertNoResult(done)
        self.clock.advance(1)
        self.successResultOf(done)

    def test_a_factory_that_sees_its_connections_off_itself(self) -> None:
        reasons: list[str] = []
        gone: Deferred[None] = Deferred()

        class Caring(Factory[Any]):
            protocol = Echo

            def shutDown(self, reason: str) -> Deferred[None]:
                reasons.append(reason)
                return gone

        factory = self.guard(Caring())
        socket = self.connect(factory)
        done = factory.shutDown("maintenance")
        self.assertEqual((reasons, socket.disconnecting), (["maintenance"], False))
        socket.hang_up()
        self.assertNoResult(done)
        gone.callback(None)
        self.successResultOf(done)

    def test_a_factory_that_never_comes_to_an_end_with_it(self) -> None:
        class Careless(Factory[Any]):
            protocol = Echo

            def shutDown(self, reason: str) -> Deferred[None]:
                return Deferred()

        factory = self.guard(Careless())
        socket = self.connect(factory)
        done = factory.shutDown()
        self.clock.advance(self.limits.shut_down)
        self.clock.advance(0)
        self.assertEqual(socket.lost, 1)
        self.clock.advance(self.limits.on_close)
        self.successResultOf(done)
        # One that is slow is no bug.
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_hook_that_shuts_the_server_down(self) -> None:
        factory = self.guard(protocol="IMAP")
        done: list[Deferred[None]] = []

        def shut_down(session: Session) -> Deferred[None]:
            done.append(factory.shutDown())
            return Deferred()

        self.hooks.answer = shut_down
        socket = self.connect(factory)
        self.assertEqual(socket.heard(), b"* BYE [UNAVAILABLE] the server is shutting down\r\n")
        self.clock.advance(0)
        self.successResultOf(done[0])
        self.assertEqual(len(self.hooks.closed), 1)


class WordsTests(GuardCase):
    def test_they_are_one_line(self) -> None:
        message = "a\r\n* OK come in\x00\x07\u2028é" + "x" * 1000
        self.hooks.answer = lambda session: fail(NotWelcome(message))
        cut = b"a * OK come in " + b"x" * 285 + b"\r\n"
        for name, beginning in {
            "IMAP": b"* BYE [NOPERM] ",
            "POP3": b"-ERR [SYS/PERM] ",
            "SMTP": b"421 4.7.1 ",
            "LMTP": b"421 4.7.1 ",
        }.items():
            self.assertEqual(self.connect(self.guard(protocol=name)).heard(), beginning + cut)

    def test_a_refusal_without_a_reason_is_one_too(self) -> None:
        for error in (NotWelcome(), NotWelcome(None)):
            self.hooks.answer = lambda session, error=error: fail(error)
            said = b"* BYE [NOPERM] connections like this one are not let in\r\n"
            self.assertEqual(self.connect(self.guard(protocol="IMAP")).heard(), said)

    def test_a_protocol_that_is_not_known_is_closed_without_a_word(self) -> None:
        self.hooks.answer = refused
        socket = self.connect(self.guard())
        self.assertEqual((socket.heard(), socket.disconnecting), (b"", True))

    def test_words_of_the_applications_own(self) -> None:
        self.hooks.answer = refused
        socket = self.connect(self.guard(refusal=lambda error: b"no: %b\n" % str(error).encode()))
        self.assertEqual(socket.heard(), b"no: closed for today\n")

    def test_words_that_cannot_be_found(self) -> None:
        self.hooks.answer = refused
        socket = self.connect(self.guard(refusal=lambda error: {}["missing"]))
        self.assertEqual((socket.heard(), socket.disconnecting), (b"", True))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
