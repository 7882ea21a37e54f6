"""`login_failed`: who is told of wrong passwords, and of which."""

from __future__ import annotations

from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin

from tests.auth.support import WEAK
from tests.auth.test_portal import PortalCase
from twisted_duck import errors
from twisted_duck.auth import make_portal
from twisted_duck.auth.checker import LoginFailed, LoginThrottled, UserDisabled, WrongPassword
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import Limits
from twisted_duck.policies import Bans
from twisted_duck.policies.masks import Mask
from twisted_duck.session import Session


class LoginFailedTests(PortalCase):
    def setUp(self) -> None:
        super().setUp()
        self.told: list[tuple[str, str, str]] = []

        def note(session: Session, name: str, password: str) -> None:
            self.told.append((session.remoteAddress, name, password))

        self.tell(note)

    def tell(self, login_failed: LoginFailed | None) -> None:
        self.portal = make_portal(
            self.directory,
            self.account_for,
            self.reactor,
            Limits(throttle_failures=3, hashing_queue=5),
            WEAK,
            login_failed,
        )

    def fails(self, name: str, password: str, kind: type[Exception] = WrongPassword) -> None:
        self.failureResultOf(self.log_in(name, password), kind)

    def test_each_wrong_password_with_the_name_as_the_directory_has_it(self) -> None:
        self.fails("tim", "one")
        self.fails("TIM", "two")
        self.fails("nobody", "three")
        self.assertEqual(
            self.told,
            [
                ("192.0.2.1", "Tim", "one"),
                ("192.0.2.1", "Tim", "two"),
                ("192.0.2.1", "nobody", "three"),
            ],
        )

    def test_nothing_else(self) -> None:
        self.successResultOf(self.log_in("tim", "secret"))
        self.fails("ann", "secret", UserDisabled)
        self.directory.away = True
        self.fails("tim", "wrong", errors.Unavailable)
        self.assertEqual(self.told, [])

    def test_no_password_that_was_not_looked_at(self) -> None:
        for password in "123":
            self.fails("tim", password)
        self.fails("tim", "4", LoginThrottled)
        self.assertEqual([password for _, _, password in self.told], ["1", "2", "3"])

    def test_before_the_client_is(self) -> None:
        self.threads.at_once = False
        login = self.log_in("tim", "wrong")
        seen: list[Any] = []
        login.addErrback(lambda _: seen.extend(self.told))
        self.assertEqual(self.told, [])
        self.threads.run()
        self.assertEqual(seen, self.told)
        self.assertEqual(len(seen), 1)

    def test_stock_credentials_have_no_session(self) -> None:
        login = self.portal.login(UsernamePassword(b"tim", b"wrong"), None, IAccount)
        self.failureResultOf(login, UnauthorizedLogin)
        self.assertEqual(self.told, [("", "Tim", "wrong")])

    def test_a_bug_in_it_changes_nothing_and_tells_the_log_no_password(self) -> None:
        def bug(session: Session, name: str, password: str) -> None:
            raise KeyError(f"{name}:{password}")

        self.tell(bug)
        self.fails("tim", "hunter2")
        self.successResultOf(self.log_in("tim", "secret"))
        [event] = [each for each in self.events if "kind" in each]
        self.assertEqual(event["kind"], "KeyError")
        self.assertIn("in bug", event["trace"])
        self.assertNotIn("hunter2", repr(self.events))

    def test_bans(self) -> None:
        bans = Bans(Mask(32, 64, 2), clock=self.reactor)
        self.tell(bans.loginFailed)
        session = Session("IMAP", remoteAddress="192.0.2.1")
        self.fails("tim", "old")
        self.fails("Tim", "old")
        bans.onConnect(session)
        self.fails("tim", "other")
        self.assertRaises(errors.ConnectionRefused, bans.onConnect, session)
        self.assertNotIn("'old'", repr(self.events))
