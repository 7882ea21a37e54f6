"""`onConnect` and `onClose` as arguments of our own factories, and factories that have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, fail

from tests.guard.support import GuardCase, Socket, TLSClient
from twisted_duck.connection import Connection
from twisted_duck.errors import NotWelcome, TooManyConnections
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.memory import MemoryStore
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.pop3.factory import POP3Factory

#: Factory, the protocol's name, the beginning of its greeting, a command with its answer's, the end of a refusal's first
#: words, and of those at the deadline.
OURS: list[tuple[Any, str, bytes, bytes, bytes, bytes, bytes]] = [
    (
        IMAP4Factory,
        "IMAP",
        b"* OK [CAPABILITY ",
        b"a1 NOOP",
        b"a1 OK ",
        b"* BYE [LIMIT] ",
        b"* BYE [UNAVAILABLE] ",
    ),
    (POP3Factory, "POP3", b"+OK ", b"CAPA", b"+OK ", b"-ERR [SYS/TEMP] ", b"-ERR [SYS/TEMP] "),
    (LMTPFactory, "LMTP", b"220 ", b"NOOP", b"250 ", b"421 4.7.0 ", b"421 4.3.2 "),
]
UNAVAILABLE = b"the service is not available now; try again later\r\n"


class FactoryCase(GuardCase):
    limits = evolve(Limits(), on_connect=7)

    def setUp(self) -> None:
        super().setUp()
        self.cancelled: list[Deferred[Any]] = []

    def wait(self) -> Deferred[Any]:
        self.cancelled.clear()
        waiting: Deferred[Any] = Deferred(self.cancelled.append)
        self.hooks.answer = lambda session: waiting
        return waiting

    def make(self, kind: Any, **options: Any) -> Any:
        store = MemoryStore(limits=self.limits)
        if kind is LMTPFactory:
            return kind(store.delivery(), limits=self.limits, clock=self.clock, **options)
        store.add_user("alice", "wonderland")
        portal = Portal(store, [store])
        options = {"cleartextAuth": "always"} | options
        return kind(portal, limits=self.limits, clock=self.clock, **options)

    def hooked(self, kind: Any, **options: Any) -> Any:
        hooks = {"onConnect": self.hooks.onConnect, "onClose": self.hooks.onClose}
        return self.make(kind, **hooks | options)

    def say(self, socket: Socket, line: bytes) -> bytes:
        socket.send(line + b"\r\n")
        self.clock.advance(0)
        return socket.heard()


class HookTests(FactoryCase):
    def test_nothing_is_said_or_looked_at_before_onConnect_has_answered(self) -> None:
        for kind, name, greeting, command, answer, *_ in OURS:
            with self.subTest(name):
                waiting = self.wait()
                socket = self.connect(self.hooked(kind))
                socket.send(command + b"\r\n")
                self.assertEqual(socket.heard(), b"")
                session = self.hooks.connected[-1]
                self.assertEqual((session.protocol, session.accepted), (name, False))
                self.assertEqual(session.commands, 0)
                waiting.callback(None)
                self.clock.advance(0)
                said = socket.heard()
                self.assertTrue(said.startswith(greeting), said)
                self.assertTrue(said.partition(b"\r\n")[2].startswith(answer), said)
                self.assertEqual((session.accepted, session.commands), (True, 1))
                self.assertEqual(session.bytesOut, len(said))

    def test_a_coroutine_or_a_value_will_do(self) -> None:
        async def look(session: object) -> None:
            """At nothing."""

        for kind, name, greeting, *_ in OURS:
            for hook in (look, lambda session: None):
                with self.subTest(name):
                    socket = self.connect(self.make(kind, onConnect=hook))
                    self.assertTrue(socket.heard().startswith(greeting))

    def test_a_refusal_in_the_protocol_s_own_words_cleaned_and_cut(self) -> None:
        for kind, name, *_, refusal, _ in OURS:
            with self.subTest(name):
                self.hooks.answer = lambda session: fail(
                    TooManyConnections("ten\r\na1 OK are\0enough" + "!" * 1000)
                )
                socket = self.connect(self.hooked(kind))
                said = socket.heard()
                self.assertTrue(said.startswith(refusal + b"ten a1 OK are enough!!"), said)
                self.assertEqual((said.count(b"\n"), said.count(b"\r")), (1, 1))
                self.assertLess(len(said), 400)
                self.clock.advance(0)
                self.assertEqual(socket.lost, 1)
                session = self.hooks.closed[-1]
                self.assertFalse(session.accepted)

    def test_a_bug_in_onConnect_is_logged_and_not_told(self) -> None:
        for kind, name, *_, unavailable in OURS:
            with self.subTest(name):
                self.hooks.answer = lambda session: 1 // 0
                socket = self.connect(self.hooked(kind))
                self.assertEqual(socket.heard(), unavailable + UNAVAILABLE)
                self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_at_the_deadline_refused(self) -> None:
        for kind, name, *_, unavailable in OURS:
            with self.subTest(name):
                waiting = self.wait()
                socket = self.connect(self.hooked(kind))
                self.clock.advance(6.9)
                self.assertEqual(socket.heard(), b"")
                self.clock.advance(0.1)
                self.assertEqual(socket.heard(), unavailable + UNAVAILABLE)
                self.assertEqual(self.cancelled, [waiting])

    def test_at_the_deadline_admitted(self) -> None:
        for kind, name, greeting, *_ in OURS:
            with self.subTest(name):
                waiting = self.wait()
                socket = self.connect(self.hooked(kind, onDeadline="admit"))
                self.clock.advance(7)
                self.assertTrue(socket.heard().startswith(greeting))
                self.assertEqual(self.cancelled, [waiting])

    def test_a_client_that_leaves_while_it_waits(self) -> None:
        for kind, name, *_ in OURS:
            with self.subTest(name):
                waiting = self.wait()
                factory = self.hooked(kind)
                socket = self.connect(factory)
                socket.hang_up()
                self.assertEqual(self.cancelled, [waiting])
                session = self.hooks.closed[-1]
                self.assertFalse(session.accepted)
                self.assertEqual(session.closeReason, "the client closed it")
                self.assertEqual(socket.heard(), b"")
                self.successResultOf(factory.shutDown())

    def test_a_policy_s_subclass_says_its_own_code(self) -> None:
        self.hooks.answer = lambda session: fail(NotWelcome("not from there"))
        self.assertEqual(
            self.connect(self.hooked(IMAP4Factory)).heard(), b"* BYE [NOPERM] not from there\r\n"
        )

    def test_behind_a_guard_the_connection_is_the_same_factory_s(self) -> None:
        factory = self.hooked(IMAP4Factory)
        socket = self.connect(factory)
        self.assertIs(socket.protocol.inner.factory, factory)

    def test_onClose_alone(self) -> None:
        for kind, name, greeting, *_ in OURS:
            with self.subTest(name):
                socket = self.connect(self.make(kind, onClose=self.hooks.onClose))
                self.assertTrue(socket.heard().startswith(greeting))
                socket.hang_up()
                [session] = self.hooks.closed
                self.assertTrue(session.accepted)
                self.hooks.closed.clear()

    def test_implicit_TLS_behind_a_proxy(self) -> None:
        for kind, name, greeting, *_ in OURS:
            with self.subTest(name):
                before = len(self.hooks.connected)
                socket = self.connect(self.proxied(self.in_tls(self.hooked(kind))))
                client = TLSClient(socket)
                client.shake_hands(b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 993\r\n")
                self.assertTrue(client.heard().startswith(greeting))
                [session] = self.hooks.connected[before:]
                self.assertTrue(session.secure)
                self.assertIsNotNone(session.tls)
                self.assertEqual(session.remoteAddress, "198.51.100.7")


class ArgumentTests(FactoryCase):
    """What was given is looked at when the factory is made, hooks or not."""

    def check(
        self,
        error: type[Exception],
        message: str,
        make: Callable[..., Any],
        *arguments: Any,
        **options: Any,
    ) -> None:
        raised = self.assertRaises(error, make, *arguments, **options)
        self.assertEqual(str(raised), message)

    def test_hooks(self) -> None:
        for kind, *_ in OURS:
            for name in ("onConnect", "onClose"):
                message = f"{name} must be callable or None, not 5"
                self.check(TypeError, message, self.make, kind, **{name: 5})
        for kind in (IMAP4Factory, POP3Factory):
            message = "onAuthenticated must be callable or None, not 'x'"
            self.check(TypeError, message, self.make, kind, onAuthenticated="x")

    def test_onDeadline(self) -> None:
        for kind, *_ in OURS:
            message = "onDeadline must be one of 'refuse', 'admit', not 'foo'"
            self.check(ValueError, message, self.make, kind, onDeadline="foo")
            self.check(ValueError, message, self.make, kind, onDeadline="foo", onClose=print)

    def test_cleartextAuth(self) -> None:
        for kind in (IMAP4Factory, POP3Factory):
            for wrong in (True, "localhost", None, ["never"]):
                message = (
                    f"cleartextAuth must be one of 'never', 'loopback', 'always', not {wrong!r}"
                )
                self.check(ValueError, message, self.make, kind, cleartextAuth=wrong)

    def test_deleteAction(self) -> None:
        for wrong in ("Trash", None):
            message = f"deleteAction must be one of 'delete', 'trash', not {wrong!r}"
            self.check(ValueError, message, self.make, POP3Factory, deleteAction=wrong)

    def test_limits(self) -> None:
        delivery = MemoryStore().delivery()
        for wrong in ({}, {"on_connect": 5}, 0):
            message = f"limits must be a Limits or None, not {wrong!r}"
            self.check(TypeError, message, LMTPFactory, delivery, limits=wrong)
            for kind in (IMAP4Factory, POP3Factory):
                self.check(TypeError, message, kind, Portal(MemoryStore()), limits=wrong)
        self.assertEqual(LMTPFactory(delivery, limits=None).limits, Limits())

    def test_who_is_served(self) -> None:
        store = MemoryStore()
        for wrong in (store, None):
            message = f"portal must be a twisted.cred.portal.Portal, not {wrong!r}"
            for kind in (IMAP4Factory, POP3Factory):
                self.check(TypeError, message, kind, wrong)
            message = f"delivery must be a provider of IDelivery, not {wrong!r}"
            self.check(TypeError, message, LMTPFactory, wrong)


class ShutDownTests(FactoryCase):
    def test_who_waits_is_refused_and_who_is_served_is_seen_off(self) -> None:
        factory = self.hooked(IMAP4Factory)
        factory.doStart()
        served = self.connect(factory)
        served.heard()
        self.wait()
        waits = self.connect(factory)
        done = factory.shutDown("maintenance")
        self.assertEqual(served.heard(), b"* BYE maintenance\r\n")
        self.assertEqual(waits.heard(), b"* BYE [UNAVAILABLE] maintenance\r\n")
        self.assertNoResult(done)
        self.clock.advance(0)
        self.successResultOf(done)
        self.assertEqual(len(self.hooks.closed), 2)
        # Until it listens again, nobody is asked for.
        late = self.connect(factory)
        self.assertEqual(late.heard(), b"* BYE [UNAVAILABLE] maintenance\r\n")
        self.assertEqual(len(self.hooks.connected), 2)
        factory.doStop()
        factory.doStart()
        self.connect(factory)
        self.assertEqual(len(self.hooks.connected), 3)

    def test_onClose_is_waited_for(self) -> None:
        closing: Deferred[None] = Deferred()
        self.hooks.close_answer = lambda session: closing
        factory = self.hooked(POP3Factory)
        self.connect(factory)
        done = factory.shutDown()
        self.clock.advance(0)
        self.assertNoResult(done)
        closing.callback(None)
        self.successResultOf(done)

    def test_a_command_that_is_worked_on_may_come_to_its_end(self) -> None:
        held: Deferred[None] = Deferred()
        original = MemoryAccount.subscribe

        async def subscribe(*arguments: Any) -> Any:
            await held
            return await original(*arguments)

        self.patch(MemoryAccount, "subscribe", subscribe)
        factory = self.hooked(IMAP4Factory)
        socket = self.connect(factory)
        self.say(socket, b"a1 LOGIN alice wonderland")
        self.say(socket, b"a2 SUBSCRIBE INBOX")
        done = factory.shutDown()
        self.assertEqual(socket.heard(), b"")
        held.callback(None)
        self.assertIn(b"a2 OK ", socket.heard())
        self.clock.advance(0)
        self.successResultOf(done)


class NoHookTests(FactoryCase):
    def test_there_is_no_guard(self) -> None:
        for kind, name, greeting, *_ in OURS:
            with self.subTest(name):
                factory = self.make(kind)
                socket = self.connect(factory)
                self.assertIsInstance(socket.protocol, Connection)
                self.assertIs(socket.protocol.factory, factory)
                self.assertIs(socket.protocol.transport, socket)
                self.assertTrue(socket.heard().startswith(greeting))
