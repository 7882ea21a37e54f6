"""Who is let in: when `onConnect` is asked, what it decides, and what the client is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from tests.guard.support import Echo, GuardCase, Socket, TLSClient
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

    def test_a_hook_that_is_a_generator_lets_nobody_in(self) -> None:
        """Nobody would run it, whatever it was to find out."""

        def forgotten(session: Session) -> Iterator[None]:
            yield

        self.hooks.answer = forgotten
        socket = self.connect(self.guard())
        socket.send(b"one\r\n")
        self.assertEqual(Echo.made, [])
        [failure] = self.flushLoggedErrors(TypeError)
        self.assertIn("inlineCallbacks is missing", str(failure.value))

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
