"""Logging in through a portal: ours, and anybody's."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.cred.checkers import ANONYMOUS
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse as StockChecker
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProducer
from twisted.logger import LogEvent, capturedLogs, formatEvent, globalLogPublisher
from twisted.mail.interfaces import IAccountIMAP
from twisted.python.components import registerAdapter
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer

from tests.auth.support import WEAK, Account, Directory, Reactor, Threads
from twisted_duck import errors
from twisted_duck.auth import PasswordCredentials, log_in, make_portal
from twisted_duck.auth.checker import LoginThrottled, UserDisabled, WrongPassword
from twisted_duck.auth.passwords import Argon2Parameters
from twisted_duck.auth.realm import AccountRealm
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import Limits
from twisted_duck.outflow import ConnectionOver
from twisted_duck.sasl import Credentials
from twisted_duck.session import Session


class PortalCase(SynchronousTestCase):
    """tim (secret), ann (disabled), and a directory that takes any case of a name."""

    parameters = WEAK

    def setUp(self) -> None:
        self.directory = Directory()
        self.directory.add("Tim", "secret")
        self.directory.add("ann", "secret", disabled=True)
        self.threads = Threads()
        self.reactor = Reactor(self.threads)
        self.opened: list[Account] = []
        self.portal = make_portal(
            self.directory,
            self.account_for,
            self.reactor,
            Limits(throttle_failures=3, hashing_queue=5),
            self.parameters,
        )
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    async def account_for(self, name: str) -> Account:
        self.opened.append(Account(name))
        return self.opened[-1]

    def log_in(
        self, name: str, password: str, *interfaces: type[Interface], address: str = "192.0.2.1"
    ) -> Deferred[Any]:
        session = Session("IMAP", remoteAddress=address)
        return Deferred.fromCoroutine(
            log_in(self.portal, Credentials(name, password), session, *(interfaces or (IAccount,)))
        )


class LoginTests(PortalCase):
    def test_the_right_password_gives_the_account(self) -> None:
        interface, avatar, _ = self.successResultOf(self.log_in("tim", "secret"))
        self.assertIs(interface, IAccount)
        self.assertEqual(avatar.name, "Tim")

    def test_wrong_password_and_unknown_user_look_the_same(self) -> None:
        refusals = [
            self.failureResultOf(self.log_in(name, "wrong"), WrongPassword).value.message
            for name in ("tim", "nobody")
        ]
        self.assertEqual(refusals, ["wrong name or password"] * 2)

    def test_an_unknown_user_is_hashed_once_as_a_known_one_is(self) -> None:
        self.threads.at_once = False
        for name in ("tim", "nobody", "ann"):
            login = self.log_in(name, "wrong")
            self.assertEqual(len(self.threads.jobs), 1, name)
            self.threads.run()
            self.failureResultOf(login, WrongPassword)

    def test_a_disabled_user_is_told_so_only_with_the_right_password(self) -> None:
        self.failureResultOf(self.log_in("ann", "wrong"), errors.AuthenticationFailed)
        self.failureResultOf(self.log_in("ann", "secret"), UserDisabled)
        self.assertEqual(self.opened, [])

    def test_a_user_without_a_password_cannot_log_in(self) -> None:
        self.directory.users["tim"] = evolve(self.directory.users["tim"], password_hash=None)
        self.failureResultOf(self.log_in("tim", "secret"), WrongPassword)

    def test_a_database_that_is_away_is_no_wrong_password(self) -> None:
        self.directory.away = True
        failure = self.failureResultOf(self.log_in("tim", "secret"), errors.Unavailable)
        self.assertNotIsInstance(failure.value, UnauthorizedLogin)

    def test_a_broken_hash_is_no_wrong_password(self) -> None:
        self.directory.users["tim"] = evolve(self.directory.users["tim"], password_hash="secret")
        self.failureResultOf(self.log_in("tim", "secret"), errors.Corruption)

    def test_a_user_deleted_in_between_is_refused(self) -> None:
        async def gone(name: str) -> Account:
            raise errors.NonExistent("no such user")

        portal = make_portal(self.directory, gone, self.reactor, parameters=WEAK)
        login = log_in(portal, Credentials("tim", "secret"), Session("IMAP"), IAccount)
        self.failureResultOf(Deferred.fromCoroutine(login), errors.AuthorizationFailed)

    def test_stock_credentials_are_taken(self) -> None:
        login = self.portal.login(UsernamePassword(b"tim", b"secret"), None, IAccount)
        self.assertEqual(self.successResultOf(login)[1].name, "Tim")
        for wrong in (b"wrong", b"", b"\xff", b"\0"):
            login = self.portal.login(UsernamePassword(b"tim", wrong), None, IAccount)
            self.failureResultOf(login, UnauthorizedLogin)


class ThrottleTests(PortalCase):
    def test_after_three_failures_nothing_is_hashed(self) -> None:
        for _ in range(3):
            self.failureResultOf(self.log_in("tim", "wrong"), WrongPassword)
        self.threads.at_once = False
        self.failureResultOf(self.log_in("tim", "secret"), LoginThrottled)
        self.assertEqual(self.threads.jobs, [])

    def test_another_address_is_not_shut_out(self) -> None:
        for _ in range(4):
            self.failureResultOf(self.log_in("tim", "wrong"))
        self.successResultOf(self.log_in("tim", "secret", address="192.0.2.2"))

    def test_spellings_of_one_name_count_together(self) -> None:
        for name in ("tim", "TIM", "tIm"):
            self.failureResultOf(self.log_in(name, "wrong"), WrongPassword)
        self.failureResultOf(self.log_in("Tim", "wrong"), LoginThrottled)

    def test_guesses_sent_at_the_same_time_count_one_by_one(self) -> None:
        """All six are in the queue before the first one has failed; three are hashed, though two are at a time."""
        self.threads.at_once = False
        logins = [self.log_in("tim", "wrong") for _ in range(6)]
        while self.threads.jobs:
            self.threads.run(1)
        kinds = [self.failureResultOf(login).type for login in logins]
        self.assertEqual(kinds, [WrongPassword] * 3 + [LoginThrottled] * 3)

    def test_who_has_gone_while_waiting_in_the_queue_is_not_hashed(self) -> None:
        self.threads.at_once = False
        sessions = [Session("IMAP", remoteAddress=f"192.0.2.{number}") for number in range(5)]
        logins = [
            Deferred.fromCoroutine(
                log_in(self.portal, Credentials("tim", "secret"), session, IAccount)
            )
            for session in sessions
        ]
        for session in sessions[:4]:
            session.closeReason = "the client closed it"
        self.threads.run(1)
        for login in logins[2:4]:
            self.failureResultOf(login, ConnectionOver)
        self.threads.run()
        self.successResultOf(logins[4])

    def test_a_window_later_the_door_is_open(self) -> None:
        for _ in range(3):
            self.failureResultOf(self.log_in("tim", "wrong"), WrongPassword)
        self.reactor.advance(300)
        self.successResultOf(self.log_in("tim", "secret"))


class UpgradeTests(PortalCase):
    parameters = Argon2Parameters(memory=16, iterations=1, lanes=1)

    def stored(self) -> str:
        return self.directory.users["tim"].password_hash or ""

    def test_a_good_login_stores_a_hash_with_the_wanted_parameters(self) -> None:
        self.assertIn("$m=8,", self.stored())
        self.successResultOf(self.log_in("tim", "secret"))
        self.assertIn("$m=16,", self.stored())
        new = self.stored()
        self.successResultOf(self.log_in("tim", "secret"))
        self.assertEqual(self.stored(), new)

    def test_a_wrong_password_changes_nothing(self) -> None:
        self.failureResultOf(self.log_in("tim", "wrong"))
        self.assertIn("$m=8,", self.stored())

    def test_that_it_can_not_be_stored_spoils_no_login(self) -> None:
        async def away(record: object, password_hash: str) -> None:
            raise errors.Unavailable("the database is away")

        self.patch(Directory, "replace_hash", lambda self, *args: away(*args))
        self.successResultOf(self.log_in("tim", "secret"))
        [event] = self.events
        self.assertRegex(
            formatEvent(event), r"^[0-9a-f]{16} what is stored of Tim's password stays"
        )


class IOther(Interface):
    pass


@implementer(IOther)
class Other:
    def __init__(self, account: Account) -> None:
        self.account = account


registerAdapter(Other, IAccount, IOther)


class AvatarTests(PortalCase):
    def test_the_first_interface_that_can_be_had(self) -> None:
        interface, avatar, _ = self.successResultOf(
            self.log_in("tim", "secret", IProducer, IAccount)
        )
        self.assertIs(interface, IAccount)
        self.assertIs(avatar, self.opened[0])

    def test_an_account_is_left_by_whoever_has_it(self) -> None:
        _, _, logout = self.successResultOf(self.log_in("tim", "secret"))
        logout()
        self.assertEqual(self.opened[0].logouts, 0)

    def test_an_adapter_is_used_and_its_account_left(self) -> None:
        interface, avatar, logout = self.successResultOf(self.log_in("tim", "secret", IOther))
        self.assertIs(interface, IOther)
        self.assertIsInstance(avatar, Other)
        logout()
        self.assertEqual(self.opened[0].logouts, 1)

    def test_what_an_account_leaves_behind_is_logged(self) -> None:
        async def away(account: Account) -> None:
            raise errors.Unavailable("the database is away")

        self.patch(Account, "logout", away)
        _, _, logout = self.successResultOf(self.log_in("tim", "secret", IOther))
        logout()
        [event] = self.events
        self.assertRegex(
            formatEvent(event), r"^[0-9a-f]{16} Tim left something behind: the database"
        )

    def test_none_can_be_had(self) -> None:
        login = self.portal.login(UsernamePassword(b"tim", b"secret"), None, IProducer)
        self.failureResultOf(login, NotImplementedError)
        self.assertEqual(self.opened[0].logouts, 1)

    def test_anonymous_users_have_no_mail(self) -> None:
        failure = self.failureResultOf(self.answered(ANONYMOUS), errors.AuthorizationFailed)
        self.assertEqual(failure.value.message, "anonymous users have no mail")
        self.assertEqual(self.opened, [])

    def test_a_checker_that_answers_with_what_is_no_name_is_broken(self) -> None:
        for answer in ("tim", None):
            failure = self.failureResultOf(self.answered(answer), errors.Unavailable)
            self.assertNotIsInstance(failure.value, UnauthorizedLogin)
            self.assertIn("try again later", failure.value.message)
            [logged] = self.flushLoggedErrors(TypeError)
            self.assertEqual(
                logged.getErrorMessage(),
                "a cred checker is to answer with the user's name as bytes, in UTF-8, or with ANONYMOUS,"
                f" not with {answer!r}",
            )
        self.assertEqual(self.opened, [])

    def answered(self, avatar_id: Any) -> Deferred[Any]:
        """A login that a checker answers with this."""
        checker = StockChecker(tim=b"secret")
        checker.requestAvatarId = lambda credentials: succeed(avatar_id)
        self.portal = Portal(AccountRealm(self.account_for), [checker])
        return self.log_in("tim", "secret")


class SecrecyTests(PortalCase):
    def test_passwords_are_in_no_repr(self) -> None:
        credentials = PasswordCredentials(b"tim", b"secret", Session("IMAP"))
        self.assertEqual(repr(credentials), "PasswordCredentials(username=b'tim')")
        self.assertNotIn("argon2", repr(self.directory.users["tim"]))

    def test_passwords_are_in_no_log_event(self) -> None:
        self.failureResultOf(self.log_in("tim", "hunter2"))
        self.failureResultOf(self.log_in("nobody", "hunter2"))
        self.directory.add("bob", "hunter2", disabled=True)
        self.failureResultOf(self.log_in("bob", "hunter2"))
        self.assertEqual(len(self.events), 3)
        self.assertNotIn("hunter2", repr(self.events))
        self.assertEqual(self.events[0]["reason"], "wrong password")

    def test_at_most_a_hundred_characters_of_a_name_are_logged(self) -> None:
        self.failureResultOf(self.log_in("\N{GRINNING FACE}" * 8_000, "secret"), WrongPassword)
        [line] = [formatEvent(event) for event in self.events if "log_format" in event]
        self.assertEqual(line.count("\N{GRINNING FACE}"), 100)
        self.assertLess(len(line), 200)


@implementer(IRealm)
class StockRealm:
    """As an existing Twisted application has it."""

    def requestAvatar(self, avatarId: bytes, mind: object, *interfaces: type[Interface]) -> Any:
        if IAccountIMAP in interfaces:
            return IAccountIMAP, (avatarId, mind), lambda: None
        raise NotImplementedError


class OtherPortalTests(SynchronousTestCase):
    """`log_in` with a portal that knows nothing of us."""

    def setUp(self) -> None:
        self.checker = StockChecker(tim=b"secret")
        self.session = Session("IMAP", remoteAddress="192.0.2.1")

    def log_in(self, password: str, portal: Portal | None = None) -> Deferred[Any]:
        portal = portal or Portal(StockRealm(), [self.checker])
        return Deferred.fromCoroutine(
            log_in(portal, Credentials("tim", password), self.session, IAccount, IAccountIMAP)
        )

    def test_a_stock_checker_and_realm(self) -> None:
        interface, avatar, _ = self.successResultOf(self.log_in("secret"))
        self.assertIs(interface, IAccountIMAP)
        self.assertEqual(avatar, (b"tim", self.session))

    def test_its_refusal_is_a_wrong_password(self) -> None:
        self.failureResultOf(self.log_in("wrong"), errors.AuthenticationFailed)

    def test_without_a_checker_for_passwords_nobody_can_log_in(self) -> None:
        with capturedLogs() as events:
            self.failureResultOf(self.log_in("secret", Portal(StockRealm())), errors.Unavailable)
        self.assertEqual(
            [formatEvent(each) for each in events],
            [f"{self.session.id} the portal has no checker for PasswordCredentials"],
        )

    def test_what_else_goes_wrong_in_it_is_logged_and_unavailable(self) -> None:
        self.checker.requestAvatarId = lambda credentials: fail(KeyError("LDAP said: dn=tim"))
        failure = self.failureResultOf(self.log_in("secret"), errors.Unavailable)
        self.assertNotIn("LDAP", failure.value.message)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
