"""Several policies as one, and policies behind a guard."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred

from tests.guard.support import Echo, GuardCase, Socket
from tests.policies.support import PolicyCase
from twisted_duck.errors import ConnectionRefused, TooManyConnections
from twisted_duck.policies import (
    ConnectionLimit,
    ConnectionRate,
    Delay,
    Hooks,
    Mask,
    Networks,
    Only,
    Policies,
    Policy,
    UserLimit,
)
from twisted_duck.session import Session


class Recorder(Policy):
    """Writes down what it is asked; `answer` is what it says."""

    def __init__(self, name: str, calls: list[str]) -> None:
        super().__init__(name)
        self.calls = calls
        self.answer: Any = None
        self.close_answer: Any = None

    def _say(self, what: str, answer: Any) -> Any:
        self.calls.append(f"{self.name} {what}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def onConnect(self, session: Session) -> Any:
        return self._say("connect", self.answer)

    def onAuthenticated(self, session: Session) -> Any:
        return self._say("authenticated", self.answer)

    def onUnauthenticated(self, session: Session) -> Any:
        return self._say("unauthenticated", self.close_answer)

    def onRefused(self, session: Session) -> Any:
        return self._say("refused", self.close_answer)

    def onClose(self, session: Session) -> Any:
        return self._say("close", self.close_answer)


class PoliciesTests(PolicyCase):
    def setUp(self) -> None:
        super().setUp()
        self.calls: list[str] = []
        self.a, self.b, self.c = (Recorder(name, self.calls) for name in "abc")
        self.policy = Policies(self.a, self.b, self.c)

    def test_from_left_to_right_and_back(self) -> None:
        session = self.admitted(self.policy)
        self.assertEqual(self.calls, ["a connect", "b connect", "c connect"])
        self.calls.clear()
        self.close(self.policy, session)
        self.close(self.policy, session)
        self.assertEqual(self.calls, ["c close", "b close", "a close"])

    def test_the_first_refusal_wins_and_is_told_at_once(self) -> None:
        for answer in (TooManyConnections("no"), fail(TooManyConnections("no"))):
            self.calls.clear()
            self.b.answer = answer
            session = self.session()
            connected = maybeDeferred(self.policy.onConnect, session)
            self.failureResultOf(connected, TooManyConnections)
            self.assertEqual(self.calls, ["a connect", "b connect", "b refused", "a refused"])
            self.calls.clear()
            for _ in range(2):
                self.close(self.policy, session)
            self.assertEqual(self.calls, ["b close", "a close"])
        self.assertEqual(self.policy.refused, 2)

    def test_one_that_breaks_is_no_refusal_but_told_as_well(self) -> None:
        self.b.answer = ValueError("a bug")
        session = self.session()
        self.failureResultOf(maybeDeferred(self.policy.onConnect, session), ValueError)
        self.assertEqual(self.calls, ["a connect", "b connect", "b refused", "a refused"])
        self.assertEqual(self.policy.refused, 0)

    def test_one_that_cannot_adopt_keeps_none_of_the_others_from_it(self) -> None:
        session = self.admitted(self.policy)
        limit = ConnectionLimit()
        broken = Recorder("d", self.calls)
        self.patch(broken, "adopt", lambda session: 1 / 0)
        self.policy.replace(broken, limit)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(limit), 3)
        self.calls.clear()
        self.close(self.policy, session)
        self.assertEqual(self.calls, ["d close", "c close", "b close", "a close"])
        self.assertEqual(len(limit), 0)

    def test_one_after_the_other(self) -> None:
        self.a.answer = waiting = Deferred()
        session = self.session()
        connected = maybeDeferred(self.policy.onConnect, session)
        self.assertEqual(self.calls, ["a connect"])
        waiting.callback(None)
        self.successResultOf(connected)
        self.assertEqual(self.calls, ["a connect", "b connect", "c connect"])

    def test_who_leaves_in_the_middle(self) -> None:
        self.b.answer = Deferred()
        session = self.session()
        connected = maybeDeferred(self.policy.onConnect, session)
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        # A guard says so, and not before.
        self.assertEqual(self.calls, ["a connect", "b connect"])
        self.close(self.policy, session)
        self.assertEqual(self.calls[2:], ["b close", "a close"])

    def test_who_asks_on_though_it_is_over_asks_nobody_else(self) -> None:
        self.b.answer = waiting = Deferred(lambda deferred: None)
        session = self.session()
        connected = maybeDeferred(self.policy.onConnect, session)
        self.close(self.policy, session)
        waiting.callback(None)
        self.successResultOf(connected)
        self.assertEqual(self.calls, ["a connect", "b connect", "b close", "a close"])

    def test_one_that_cannot_let_go_does_not_hinder_the_others(self) -> None:
        self.b.close_answer = ValueError("a bug")
        session = self.admitted(self.policy)
        self.calls.clear()
        self.close(self.policy, session)
        self.assertEqual(self.calls, ["c close", "b close", "a close"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_the_end_of_a_refused_one_is_waited_for(self) -> None:
        self.a.close_answer = waiting = Deferred()
        self.b.answer = ConnectionRefused("no")
        session = self.session()
        self.failureResultOf(maybeDeferred(self.policy.onConnect, session), ConnectionRefused)
        closed = self.policy.onClose(session)
        self.assertNoResult(closed)
        waiting.callback(None)
        self.successResultOf(closed)

    def test_logins(self) -> None:
        session = self.session(user="alice")
        self.successResultOf(maybeDeferred(self.policy.onAuthenticated, session))
        self.assertEqual(self.calls, ["a authenticated", "b authenticated", "c authenticated"])
        self.calls.clear()
        self.successResultOf(self.policy.onUnauthenticated(session))
        self.assertEqual(
            self.calls, ["c unauthenticated", "b unauthenticated", "a unauthenticated"]
        )

    def test_a_login_that_is_refused(self) -> None:
        self.b.answer = TooManyConnections("no")
        session = self.session(user="alice")
        authenticated = maybeDeferred(self.policy.onAuthenticated, session)
        self.failureResultOf(authenticated, TooManyConnections)
        self.assertEqual(self.calls, ["a authenticated", "b authenticated", "a unauthenticated"])

    def test_of_policies_of_policies(self) -> None:
        """Each is told once, whichever of the combinations has refused."""
        self.c.answer = ConnectionRefused("no")
        for outer in (
            Policies(Policies(self.a, self.b), self.c),
            Policies(self.a, Policies(self.b, self.c)),
        ):
            self.calls.clear()
            self.refused(outer, kind=ConnectionRefused)
            expected = ["a connect", "b connect", "c connect"]
            expected += ["c refused", "b refused", "a refused", "c close", "b close", "a close"]
            self.assertEqual(self.calls, expected)

    def test_a_refusal_is_told_through_policies_around_policies(self) -> None:
        limit = ConnectionLimit()
        self.b.answer = ConnectionRefused("no")
        for around in (Delay(limit, 1, clock=self.clock), Only(limit, frozenset({"IMAP"}))):
            policy, session = Policies(around, self.b), self.session()
            self.failureResultOf(maybeDeferred(policy.onConnect, session), ConnectionRefused)
            self.assertEqual(len(limit), 0)
            self.close(policy, session)

    def test_who_is_refused_is_not_counted_by_policies_that_come(self) -> None:
        self.b.answer = ConnectionRefused("no")
        session, limit = self.session(), ConnectionLimit()
        self.failureResultOf(maybeDeferred(self.policy.onConnect, session), ConnectionRefused)
        self.policy.replace(limit)
        self.assertEqual(len(limit), 0)
        self.close(self.policy, session)

    def test_functions_of_the_applications(self) -> None:
        async def connect(session: Session) -> None:
            self.calls.append("connect")

        policy = Policies(
            Hooks(connect, lambda session: self.calls.append("close")),
            Hooks(onAuthenticated=lambda session: self.calls.append("authenticated")),
        )
        session = self.admitted(policy)
        self.successResultOf(maybeDeferred(policy.onAuthenticated, session))
        self.close(policy, session)
        self.assertEqual(self.calls, ["connect", "authenticated", "close"])

    def test_a_refusal_by_a_function_is_counted_and_logged(self) -> None:
        def refuse(session: Session) -> None:
            raise ConnectionRefused("not on\r\nSundays")

        policy = Hooks(refuse, name="calendar")
        with self.log() as lines:
            self.refused(policy, kind=ConnectionRefused)
        self.assertTrue(lines[0].endswith("calendar refuses: not on Sundays"), lines)

    def test_wrong_passwords(self) -> None:
        """Each policy is told, and a bug in one shows nothing of the password."""

        class Told(Policy):
            def loginFailed(self, session: Session, user: str, password: str) -> None:
                told.append(self.name)
                raise ValueError(password)

        told: list[str] = []
        policy = Policies(Delay(Told("a"), 1, clock=self.clock), Told("b"))
        with self.log() as lines:
            policy.loginFailed(self.session(), "alice", "hunter2")
        self.assertEqual(told, ["a", "b"])
        self.assertIn("ValueError in loginFailed of b", lines[1])
        self.assertNotIn("hunter2", "".join(lines))

    def test_a_policy_by_itself_lets_everybody_in(self) -> None:
        policy = Policy("nothing")
        session = self.admitted(policy)
        policy.onAuthenticated(session)
        policy.onUnauthenticated(session)
        self.close(policy, session)


class ReplaceTests(PolicyCase):
    """Other policies while there are connections."""

    def test_connections_that_are_there_are_counted_by_the_new_ones(self) -> None:
        old = ConnectionLimit((Mask(32, 64, 5),))
        policy = Policies(old)
        first, second = self.admitted(policy), self.admitted(policy)
        new = ConnectionLimit((Mask(32, 64, 3),))
        policy.replace(Delay(new, 3, clock=self.clock))
        policy.replace(new)
        third = self.admitted(policy)
        self.refused(policy)
        for session in (first, second, third):
            self.close(policy, session)
        self.assertEqual((len(old), len(new)), (0, 0))

    def test_one_that_stays_counts_nothing_twice(self) -> None:
        limit = ConnectionLimit((Mask(32, 64, 2),))
        policy = Policies(limit)
        first = self.admitted(policy)
        policy.replace(Networks(deny=["192.0.2.7"]), limit)
        self.admitted(policy)
        self.refused(policy)
        self.close(policy, first)
        self.admitted(policy)
        self.refused(policy)

    def test_users(self) -> None:
        policy = Policies()
        session = self.admitted(policy)
        session.user = "alice"
        limit = UserLimit(1)
        policy.replace(limit)
        second = self.admitted(policy)
        second.user = "alice"
        authenticated = maybeDeferred(policy.onAuthenticated, second)
        self.failureResultOf(authenticated, TooManyConnections)
        self.close(policy, session)
        self.successResultOf(maybeDeferred(policy.onAuthenticated, second))
        self.close(policy, second)
        self.assertEqual(len(limit), 0)

    def test_in_the_middle_of_being_asked(self) -> None:
        """The old ones decide; the new ones count, and let go if it is refused."""
        for refused in (False, True):
            waiting: Deferred[None] = Deferred()
            old, new = ConnectionLimit(), ConnectionLimit()
            policy = Policies(Hooks(lambda session, waiting=waiting: waiting), old)
            session = self.session()
            connected = maybeDeferred(policy.onConnect, session)
            policy.replace(new)
            if refused:
                waiting.errback(ConnectionRefused("no"))
                self.failureResultOf(connected, ConnectionRefused)
            else:
                waiting.callback(None)
                self.successResultOf(connected)
                self.assertEqual((len(old), len(new)), (3, 3))
                self.close(policy, session)
            self.assertEqual((len(old), len(new)), (0, 0))

    def test_in_the_middle_of_a_login(self) -> None:
        waiting: Deferred[None] = Deferred()
        policy = Policies(Hooks(onAuthenticated=lambda session: waiting))
        session = self.admitted(policy)
        session.user = "alice"
        authenticated = maybeDeferred(policy.onAuthenticated, session)
        limit = UserLimit(1)
        policy.replace(limit)
        self.assertEqual(len(limit), 1)
        waiting.errback(ConnectionRefused("no"))
        self.failureResultOf(authenticated, ConnectionRefused)
        self.assertEqual(len(limit), 0)

    def test_who_is_asked_about_a_login_is_told_of_the_end(self) -> None:
        """Whether or not it was asked about the connection; and nobody who was asked about nothing."""
        calls: list[str] = []
        policy = Policies()
        session, other = self.admitted(policy), self.admitted(policy)
        policy.replace(Hooks(onClose=lambda session: calls.append("close")))
        session.user = "alice"
        self.successResultOf(maybeDeferred(policy.onAuthenticated, session))
        self.close(policy, other)
        self.assertEqual(calls, [])
        self.close(policy, session)
        self.assertEqual(calls, ["close"])


class DelayTests(PolicyCase):
    def setUp(self) -> None:
        super().setUp()
        self.limit = ConnectionLimit((Mask(32, 64, 1),))
        self.policy = Delay(self.limit, 3, clock=self.clock)

    def test_who_would_be_refused_waits(self) -> None:
        first = self.admitted(self.policy)
        second = self.session()
        with self.log() as lines:
            connected = maybeDeferred(self.policy.onConnect, second)
        self.assertIn("waits for 3 s instead", lines[-1])
        self.clock.advance(2.9)
        self.assertNoResult(connected)
        self.clock.advance(0.1)
        self.successResultOf(connected)
        for session in (first, second):
            self.close(self.policy, session)
        self.assertEqual(len(self.limit), 0)

    def test_who_does_not_wait(self) -> None:
        self.admitted(self.policy)
        connected = maybeDeferred(self.policy.onConnect, self.session())
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_logins(self) -> None:
        policy = Delay(UserLimit(1), 3, clock=self.clock)
        first, second = self.session(user="alice"), self.session(user="alice")
        self.successResultOf(maybeDeferred(policy.onAuthenticated, first))
        waiting = maybeDeferred(policy.onAuthenticated, second)
        self.assertNoResult(waiting)
        self.clock.advance(3)
        self.successResultOf(waiting)
        policy.onUnauthenticated(first)
        self.successResultOf(maybeDeferred(policy.onAuthenticated, second))


def quit(socket: Socket) -> None:
    socket.send(b"quit\r\n")


class GuardedTests(GuardCase):
    def test_however_a_connection_ends_it_gives_back_what_it_took(self) -> None:
        random = Random(4711)
        # Wide enough for most of them, and not for all.
        limit = ConnectionLimit((Mask(32, 64, 3), Mask(24, 56, 15)))
        late: list[Deferred[None]] = []

        def wait(session: Session) -> Any:
            match random.randrange(5):
                case 0:
                    raise ConnectionRefused("not you")
                case 1:
                    raise ValueError("a bug")
                case 2:
                    late.append(Deferred())
                    return late[-1]
            return None

        policy = Policies(
            Networks(deny=["192.0.2.7"]),
            ConnectionRate((Mask(32, 64, 12),), clock=self.clock),
            limit,
            Hooks(wait),
        )
        factory = self.guard()
        factory.onConnect, factory.onClose = policy.onConnect, policy.onClose
        living: list[Any] = []
        for _ in range(3000):
            living.append(self.connect(factory, f"192.0.2.{random.randrange(20)}"))
            if len(living) > 25:
                socket = living.pop(random.randrange(len(living)))
                random.choice([Socket.reset, Socket.hang_up, quit])(socket)
            if late and random.randrange(3) == 0:
                waiting = late.pop(random.randrange(len(late)))
                if not waiting.called:
                    waiting.callback(None)
            self.clock.advance(random.choice([0, 0, 0, 1]))
            present = sum(not each.disconnecting and not each.lost for each in self.sockets[-500:])
            self.assertTrue(len(limit) <= 2 * present)
        self.assertTrue(len(limit) > 0)
        self.assertTrue(min(each.refused for each in policy.policies[:3]) > 20)
        done = factory.shutDown()
        self.clock.advance(20)
        self.successResultOf(done)
        self.assertEqual(len(limit), 0)
        self.assertTrue(len(self.flushLoggedErrors(ValueError)) > 100)

    def test_the_end_of_a_refused_connection_is_told_when_it_has_come(self) -> None:
        """By then the session says why, and how much there was; what it took was given back before."""
        limit, told = ConnectionLimit(), []

        def refuse(session: Session) -> None:
            raise ConnectionRefused("not\r\nyou")

        def close(session: Session) -> None:
            told.append((session.accepted, session.closeReason, session.bytesOut))

        policy = Policies(Hooks(None, close), limit, Hooks(refuse, close))
        factory = self.guard(Echo, protocol="IMAP")
        factory.onConnect, factory.onClose = policy.onConnect, policy.onClose
        words = self.connect(factory).heard()
        self.assertEqual(words, b"* BYE [UNAVAILABLE] not you\r\n")
        self.assertEqual((told, len(limit)), ([], 0))
        self.clock.advance(0)
        self.assertEqual(told, [(False, "refused: not you", len(words))] * 2)

    def test_what_the_client_is_told(self) -> None:
        policy = Policies(ConnectionLimit((Mask(32, 64, 1),)))
        factory = self.guard(Echo, protocol="IMAP")
        factory.onConnect, factory.onClose = policy.onConnect, policy.onClose
        first = self.connect(factory)
        words = b"* BYE [LIMIT] too many connections from your network\r\n"
        self.assertEqual(self.connect(factory).heard(), words)
        first.hang_up()
        self.assertEqual(self.connect(factory).heard(), b"hello\r\n")
