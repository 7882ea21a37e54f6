"""`onAuthenticated`: who may log in is asked when it is known who it is, and before the client hears that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import evolve
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, fail, succeed

from tests.imap.transcript import IMAPCase
from tests.pop3.transcript import POP3Case
from tests.transcript import TranscriptCase
from twisted_duck.auth import LoginRefused, LoginThrottled, TooManyLogins
from twisted_duck.errors import AuthorizationFailed, NotWelcome, TooManyConnections, Unavailable
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryAccount, MemoryStore
from twisted_duck.policies import Policies, UserLimit
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.session import Session

SORRY = "logging in is not possible now; try again later"


class HookCase(TranscriptCase):
    limits = evolve(Limits(), on_authenticated=7, failed_logins=4)
    log_in = False

    #: How a client logs in, and what it hears then; where a `Session` was before and is after.
    login: str
    ok: str
    no: str
    before: str
    after: str
    #: Something for which one has to be logged in, and what is heard by whoever is not.
    command: str
    forbidden: str

    def setUp(self) -> None:
        self.asked: list[Session] = []
        self.answer: Callable[[Session], Any] = lambda session: None
        self.logouts = 0
        super().setUp()
        original = MemoryAccount.logout

        async def logout(account: MemoryAccount) -> None:
            self.logouts += 1
            await original(account)

        self.patch(MemoryAccount, "logout", logout)

    def ask(self, session: Session) -> Any:
        self.asked.append(session)
        return self.answer(session)

    def wait(self) -> tuple[Deferred[Any], list[Deferred[Any]]]:
        """From now on the hook answers when this does; and a list of what was cancelled."""
        cancelled: list[Deferred[Any]] = []
        waiting: Deferred[Any] = Deferred(cancelled.append)
        self.answer = lambda session: waiting
        return waiting, cancelled

    @property
    def session(self) -> Session:
        session: Session = self.client().protocol.session
        return session

    def said(self, *lines: str) -> None:
        """These, after everything that was said before."""
        self.transcript("\n".join(lines))

    def admitted(self) -> None:
        self.said(self.login, self.ok)
        self.assertEqual((self.session.user, self.session.state), ("alice", self.after))

    def refused(self, text: str = SORRY) -> None:
        self.said(self.login, self.no + text)
        self.assertEqual((self.session.user, self.session.state), (None, self.before))
        self.assertIsNone(self.client().protocol.account)


class Rules:
    """What holds in each protocol.  No tests by themselves: a protocol's class below makes them run."""

    def test_it_sees_who_and_from_where_before_the_client_hears_anything(self: Any) -> None:
        waiting, cancelled = self.wait()
        self.said(self.login)
        [session] = self.asked
        self.assertIs(session, self.session)
        self.assertEqual((session.user, session.remoteAddress), ("alice", "192.0.2.1"))
        self.assertEqual(session.state, self.before)
        waiting.callback("whatever")
        self.said(self.ok)
        self.assertEqual((session.user, session.state), ("alice", self.after))
        self.assertEqual((cancelled, self.logouts), ([], 0))
        self.client().disconnect()
        self.assertEqual(self.logouts, 1)

    def test_any_answer_is_a_yes(self: Any) -> None:
        async def look(session: Session) -> bool:
            return False

        for answer in (look, lambda session: succeed(None), lambda session: False):
            self.answer = answer
            self.admitted()
            self.clients.pop("").disconnect()
        self.assertEqual(len(self.asked), 3)

    def test_a_generator_is_none(self: Any) -> None:
        def forgotten(session: Session) -> Iterator[None]:
            yield

        self.answer = forgotten
        self.refused()
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_wrong_credentials_are_none_of_its_business(self: Any) -> None:
        self.said(self.login.replace("wonderland", "looking-glass"), "S: ...")
        self.assertEqual(self.asked, [])

    def test_a_refusal_is_told_and_the_connection_lives(self: Any) -> None:
        for error in (
            TooManyConnections("ten are enough"),
            NotWelcome("ten are enough"),
            AuthorizationFailed("ten are enough"),
        ):
            self.answer = lambda session, error=error: fail(error)
            self.refused("ten are enough")
        self.assertEqual(self.logouts, 3)
        self.said(self.command, self.forbidden)
        self.answer = lambda session: None
        self.admitted()
        self.assertEqual(self.logouts, 3)

    def test_who_is_refused_again_and_again_is_sent_away(self: Any) -> None:
        """Each try costs a password check and a question: it counts as a wrong password does."""
        self.answer = lambda session: fail(NotWelcome("not here"))
        for _ in range(2):
            self.refused("not here")
            self.said(self.login.replace("wonderland", "looking-glass"), "S: ...")
        self.assertTrue(self.client().transport.closed)
        self.assertEqual(self.session.closeReason, "too many failed logins")

    def test_a_login_that_was_not_looked_at_counts_as_one_that_failed(self: Any) -> None:
        kinds = iter((LoginThrottled, TooManyLogins) * 2)
        self.patch(MemoryStore, "requestAvatarId", lambda *args: fail(next(kinds)("later")))
        for _ in range(4):
            self.assertIn("later", self.client().say(self.login.removeprefix("C: "))[0])
        self.assertTrue(self.client().transport.closed)
        self.assertEqual(self.session.closeReason, "too many failed logins")

    def test_where_nobody_may_log_in_any_more_the_connection_ends(self: Any) -> None:
        self.patch(MemoryStore, "requestAvatarId", lambda *args: fail(LoginRefused("go away")))
        self.assertIn("go away", self.client().say(self.login.removeprefix("C: "))[0])
        self.assertTrue(self.client().transport.closed)
        self.assertEqual(self.session.closeReason, "go away")
        self.assertEqual(self.asked, [])

    def test_a_refusal_is_one_line(self: Any) -> None:
        text = "ten\r\n* OK are\0\x1benough " + "!" * 1000
        self.answer = lambda session: fail(TooManyConnections(text))
        self.refused("ten * OK are enough !!!...")

    def test_a_long_refusal_is_cut(self: Any) -> None:
        self.answer = lambda session: fail(TooManyConnections("[ALERT] " + "x" * 10000))
        [line] = self.client().say(self.login.removeprefix("C: "))
        self.assertLess(len(line), 400)

    def test_a_bug_in_it_is_logged_and_not_told(self: Any) -> None:
        async def bug(session: Session) -> None:
            raise KeyError("dn=alice,ou=secret")

        self.answer = bug
        self.refused()
        self.answer = lambda session: 1 // 0
        self.refused()
        self.answer = lambda session: fail(Unavailable("mongodb://10.0.0.1 is away"))
        self.refused()
        for kind in (KeyError, ZeroDivisionError, Unavailable):
            self.assertEqual(len(self.flushLoggedErrors(kind)), 1, kind)
        self.assertEqual(self.logouts, 3)

    def test_without_an_answer_in_time_the_user_is_not_let_in(self: Any) -> None:
        _, cancelled = self.wait()
        self.said(self.login)
        self.clock.advance(6.9)
        self.said()
        self.assertEqual(cancelled, [])
        self.clock.advance(0.1)
        self.said(self.no + SORRY)
        self.assertEqual((self.session.user, self.logouts, len(cancelled)), (None, 1, 1))
        self.answer = lambda session: None
        self.admitted()

    def test_what_it_says_when_it_is_cancelled_is_too_late(self: Any) -> None:
        waiting: Deferred[None] = Deferred(lambda waiting: waiting.callback(None))
        self.answer = lambda session: waiting
        self.said(self.login)
        self.clock.advance(7)
        self.said(self.no + SORRY)
        self.assertIsNone(self.session.user)

    def test_one_that_cannot_be_cancelled_is_not_waited_for(self: Any) -> None:
        def stay(waiting: Deferred[None]) -> None:
            raise ZeroDivisionError

        self.answer = lambda session: Deferred(stay)
        self.said(self.login)
        self.clock.advance(7)
        self.said(self.no + SORRY)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_client_that_leaves_while_it_is_asked(self: Any) -> None:
        _, cancelled = self.wait()
        self.said(self.login)
        client, session = self.client(), self.session
        client.disconnect()
        self.assertEqual(len(cancelled), 1)
        self.assertEqual((session.user, self.logouts), (None, 1))
        self.assertEqual(session.closeReason, "the client closed it")
        self.assertEqual(client.heard(), b"")
        # Nothing of it is left.
        self.successResultOf(self.factory.shutDown())

    def test_a_bug_behind_a_client_that_has_left_is_one(self: Any) -> None:
        waiting: Deferred[None] = Deferred(lambda waiting: waiting.errback(ZeroDivisionError()))
        self.answer = lambda session: waiting
        self.said(self.login)
        self.client().disconnect()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_connection_that_is_lost_by_what_it_does(self: Any) -> None:
        cancelled: list[Deferred[Any]] = []

        def leave(session: Session) -> Any:
            self.client().disconnect()
            return Deferred(cancelled.append)

        self.answer = leave
        self.said(self.login)
        self.assertEqual((len(cancelled), self.logouts), (1, 1))
        self.successResultOf(self.factory.shutDown())

    def test_shutdown_waits_for_the_answer(self: Any) -> None:
        waiting, cancelled = self.wait()
        self.said(self.login)
        done = self.factory.shutDown("maintenance")
        self.said()
        waiting.callback(None)
        self.said(self.ok, "S: ...maintenance", "S: (closed)")
        self.client().disconnect()
        self.successResultOf(done)
        self.assertEqual((cancelled, self.logouts), ([], 1))

    def test_the_policies_of_a_user(self: Any) -> None:
        limit = UserLimit(1)
        self.answer = Policies(limit).onAuthenticated
        self.admitted()
        first = self.clients.pop("")
        self.refused("too many connections of this user")
        self.assertEqual(len(limit), 1)
        limit.onClose(first.protocol.session)
        self.admitted()
        first.disconnect()


class IMAPTests(Rules, HookCase, IMAPCase):
    login = "C: a1 LOGIN alice wonderland"
    ok = "S: a1 OK [CAPABILITY ...] ..."
    no = "S: a1 NO [AUTHORIZATIONFAILED] "
    before, after = "Not Authenticated", "Authenticated"
    command = "C: a2 SELECT INBOX"
    forbidden = "S: a2 BAD ..."

    def make_factory(self, portal: Portal) -> IMAP4Factory:
        return IMAP4Factory(
            portal,
            limits=self.limits,
            clock=self.clock,
            cleartextAuth="always",
            onAuthenticated=self.ask,
        )

    def test_by_authenticate_as_well(self) -> None:
        self.answer = lambda session: fail(TooManyConnections("ten are enough"))
        self.transcript("""
            C: a1 AUTHENTICATE PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=
            S: a1 NO [AUTHORIZATIONFAILED] ten are enough
        """)


class POP3Tests(Rules, HookCase, POP3Case):
    login = "C: AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ="
    ok = "S: +OK 2 messages (81 octets)"
    no = "S: -ERR [AUTH] "
    before, after = "AUTHORIZATION", "TRANSACTION"
    command = "C: STAT"
    forbidden = "S: -ERR ..."

    def make_factory(self, portal: Portal) -> POP3Factory:
        return POP3Factory(
            portal,
            limits=self.limits,
            clock=self.clock,
            cleartextAuth="always",
            onAuthenticated=self.ask,
        )

    def test_wrong_credentials_are_none_of_its_business(self) -> None:
        self.transcript("""
            C: USER alice
            S: +OK ...
            C: PASS looking-glass
            S: -ERR [AUTH] ...
        """)
        self.assertEqual(self.asked, [])

    def test_by_pass_as_well_and_then_user_comes_first_again(self) -> None:
        self.answer = lambda session: fail(TooManyConnections("ten are enough"))
        self.transcript("""
            C: USER alice
            S: +OK ...
            C: PASS wonderland
            S: -ERR [AUTH] ten are enough
            C: PASS wonderland
            S: -ERR USER comes before PASS
        """)
