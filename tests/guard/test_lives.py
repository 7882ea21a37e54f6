"""Thousands of lives: however a connection goes, its two hooks are called in pairs, and nothing of it is left."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.mail.imap4 import IMAP4Server
from twisted.mail.pop3 import POP3, POP3Error
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from tests.guard.support import Echo, Socket, TLSClient, server_tls
from twisted_duck.errors import ConnectionRefused
from twisted_duck.guard import GuardedFactory, ProxyFactory
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.session import Session

LIMITS = Limits()
PLAIN_LIVES = 6_000
TLS_LIVES = 600
HEADER = b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 993\r\n"


class Counting:
    """Hooks that answer in every way, and count."""

    def __init__(self, random: Random, clock: Clock) -> None:
        self.random = random
        self.clock = clock
        self.calls: Counter[tuple[str, str]] = Counter()
        self.inside = 0
        #: What the hooks wait for.
        self.waiting: list[Deferred[Any]] = []
        self.sessions: weakref.WeakSet[Session] = weakref.WeakSet()

    def onConnect(self, session: Session) -> Any:
        self.calls["connect", session.id] += 1
        self.sessions.add(session)
        self.inside += 1
        assert not session.accepted
        match self.random.randrange(8):
            case 0:
                raise ConnectionRefused("not you")
            case 1:
                return fail(ConnectionRefused("not you either"))
            case 2:
                return self._coroutine()
            case 3 | 4:
                return self._wait()
            case 5:
                return succeed(None)
        return None

    async def _coroutine(self) -> None:
        await self._wait()
        if self.random.randrange(2):
            raise ConnectionRefused("on second thoughts")

    def onClose(self, session: Session) -> Any:
        self.calls["close", session.id] += 1
        self.inside -= 1
        assert session.closeReason is not None
        assert self.calls["connect", session.id] == 1
        if self.random.randrange(4) == 0:
            return self._wait()
        return None

    def _wait(self) -> Deferred[Any]:
        def forget(answer: Any) -> Any:
            self.waiting.remove(waiting)
            return answer

        waiting: Deferred[Any] = Deferred()
        self.waiting.append(waiting)
        return waiting.addBoth(forget)

    def answer_one(self) -> None:
        if self.waiting:
            self.random.choice(self.waiting).callback(None)


class Life:
    """One client, which does one thing after the other until it is gone."""

    def __init__(self, socket: Socket, random: Random, *, tls: bool, proxied: bool) -> None:
        self.socket = socket
        self.random = random
        self._steps: list[Callable[[], None]] = []
        if proxied and random.randrange(10):
            cut = random.randrange(len(HEADER))
            self._steps += [lambda: socket.send(HEADER[:cut]), lambda: socket.send(HEADER[cut:])]
        if tls:
            client = TLSClient(socket)
            self._steps.append(client.shake_hands if random.randrange(5) else self._broken_tls)
            say = client.send
        else:
            say = socket.send
        self._steps += [lambda: self._say(say) for _ in range(random.randrange(4))]
        #: What puts an end to it; where that is the server's part, the client just waits.
        self.end = random.choice([socket.hang_up, socket.reset, socket.reset, lambda: None])
        if random.randrange(3) == 0:
            # In the middle of something.
            del self._steps[random.randrange(len(self._steps) + 1) :]

    def step(self) -> bool:
        """Do the next thing; whether there is another."""
        if self.socket.lost or self.socket.disconnecting:
            return False
        if self._steps:
            self._steps.pop(0)()
            return True
        self.end()
        return False

    def _broken_tls(self) -> None:
        self.socket.send(self.random.randbytes(50))

    def _say(self, say: Callable[[bytes], None]) -> None:
        line = self.random.choice(
            [b"a1 NOOP\r\n", b"CAPA\r\n", b"a2 LOGOUT\r\n", b"QUIT\r\n", b"quit\r\n", b"half a li"]
        )
        try:
            say(line * (1000 if self.random.randrange(20) == 0 else 1))
        except Exception as error:  # noqa: BLE001
            # The handshake was never completed.
            assert type(error).__module__.startswith("OpenSSL"), error


class LivesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.random = Random(4711)
        self.hooks = Counting(self.random, self.clock)
        store = MemoryStore(limits=LIMITS)
        portal = Portal(store, [store])
        self.factories: list[Any] = [
            self.guard(Factory.forProtocol(IMAP4Server)),
            self.guard(Factory.forProtocol(POP3)),
            self.guard(Factory.forProtocol(Echo)),
            self.guard(IMAP4Factory(portal, limits=LIMITS, clock=self.clock), "admit"),
            self.guard(POP3Factory(portal, limits=LIMITS, clock=self.clock)),
        ]
        self.patch(Echo, "made", [])

    def guard(self, factory: Any, onDeadline: Any = "refuse") -> GuardedFactory:
        return GuardedFactory(
            factory,
            self.hooks.onConnect,
            self.hooks.onClose,
            onDeadline=onDeadline,
            limits=LIMITS,
            clock=self.clock,
        )

    def begin(self, *, tls: bool) -> Life:
        factory: Any = self.random.choice(self.factories)
        if tls:
            factory = TLSMemoryBIOFactory(server_tls(), False, factory, self.clock)
        proxied = self.random.randrange(3) == 0
        if proxied:
            factory = ProxyFactory(factory, ["192.0.2.0/24"], limits=LIMITS, clock=self.clock)
        # Some come from where there is no proxy.
        host = self.random.choice(["192.0.2.1", "192.0.2.1", "203.0.113.9"])
        socket = Socket(factory, self.clock, host)
        self.sockets.append(socket)
        return Life(socket, self.random, tls=tls, proxied=proxied)

    def live(self, count: int, *, tls: bool) -> None:
        """A hundred at a time; the last hundred are left in the middle of it."""
        self.sockets: list[Socket] = []
        living: list[Life] = []
        while count:
            while count and len(living) < 100:
                living.append(self.begin(tls=tls))
                count -= 1
            life = self.random.choice(living)
            if not life.step():
                living.remove(life)
            match self.random.randrange(10):
                case 0 | 1 | 2:
                    self.hooks.answer_one()
                case 3:
                    self.clock.advance(self.random.choice([0, 0, 1, 5]))
                case _:
                    self.clock.advance(0)
            life.socket.said = b""

    def check(self) -> None:
        # It goes well with a hundred of them there.
        self.assertTrue(sum(not socket.lost for socket in self.sockets) > 30)
        done = [factory.shutDown() for factory in self.factories]
        self.clock.advance(LIMITS.shut_down)
        self.clock.advance(LIMITS.on_close)
        for each in done:
            self.successResultOf(each)
        # Those that have not said on whose behalf they come are not the guard's yet.
        self.clock.advance(LIMITS.proxy_header)
        self.assertEqual([socket.lost for socket in self.sockets], [1] * len(self.sockets))
        sessions = {session for _, session in self.hooks.calls}
        self.assertEqual(
            self.hooks.calls,
            Counter((call, session) for call in ("connect", "close") for session in sessions),
        )
        self.assertEqual(self.hooks.inside, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.hooks.waiting, [])
        self.assertEqual([list(factory.connections) for factory in self.factories], [[]] * 5)
        # It was worth the trouble.
        self.assertTrue(len(sessions) > len(self.sockets) // 8, len(sessions))
        self.hooks.calls.clear()
        self.sockets.clear()
        for factory in self.factories:
            factory.startFactory()
        Echo.made.clear()
        # Stock POP3 logs whatever a client gets wrong; an assertion that failed in a hook would be logged as well.
        self.flushLoggedErrors(POP3Error)
        gc.collect()
        self.assertEqual(list(self.hooks.sessions), [])

    def test_in_clear(self) -> None:
        for _ in range(3):
            self.live(PLAIN_LIVES // 3, tls=False)
            self.check()

    def test_in_TLS(self) -> None:
        for _ in range(3):
            self.live(TLS_LIVES // 3, tls=True)
            self.check()
