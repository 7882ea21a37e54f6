"""How connections end: who is told of it, for how long that is waited for, and shutting down."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory

from tests.guard.support import Echo, GuardCase, Socket, TLSClient
from twisted_duck.session import Session


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
