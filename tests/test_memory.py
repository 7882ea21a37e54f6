"""The in-memory store keeps the contract of every store, and needs neither a reactor nor a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.contract import LIMITS, StoreContract
from twisted_duck.errors import AlreadyExists, NonExistent
from twisted_duck.interfaces import IAccount
from twisted_duck.memory import MemoryStore
from twisted_duck.spool import Spool
from twisted_duck.values import AppendMessage


class MemoryStoreTests(StoreContract, TestCase):
    def setUp(self) -> None:
        self.store = MemoryStore(LIMITS)

    async def make_account(self, name: str, quota: int | None = None) -> Any:
        try:
            return self.store.account(name)
        except NonExistent:
            self.store.add_user(name, "secret", quota)
            return self.store.account(name)


class UsersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = datetime(2024, 5, 1, tzinfo=UTC)
        self.store = MemoryStore(clock=lambda: self.now)
        self.store.add_user("ada", "secret")
        self.store.add_user("Zoë", "пароль")

    def log_in(self, name: bytes, password: bytes) -> Deferred[Any]:
        portal = Portal(self.store, [self.store])
        return portal.login(UsernamePassword(name, password), None, IAccount)

    def test_portal_gives_the_account(self) -> None:
        for name, password in (("ada", "secret"), ("Zoë", "пароль")):
            interface, account, logout = self.successResultOf(
                self.log_in(name.encode(), password.encode())
            )
            self.assertIs(interface, IAccount)
            self.assertEqual(account.name, name)
            logout()

    def test_portal_refuses_everybody_else(self) -> None:
        for name, password in (
            (b"ada", b"wrong"),
            (b"ada", b""),
            (b"nobody", b""),
            (b"", b""),
            (b"ada", b"\xff"),
            (b"\xff\xfe", b"secret"),
        ):
            self.failureResultOf(self.log_in(name, password), UnauthorizedLogin)

    def test_user_is_added_once(self) -> None:
        self.assertRaises(AlreadyExists, self.store.add_user, "ada", "other")
        self.assertRaises(NonExistent, self.store.account, "nobody")

    def test_results_are_immediate(self) -> None:
        async def session() -> datetime | None:
            account = self.store.account("ada")
            await account.append("INBOX", [AppendMessage(Spool.of(b"Subject: x\r\n\r\n"))])
            mailbox = await account.select("INBOX", False)
            await mailbox.copy([1], "Archive")
            batches = [batch async for batch in mailbox.fetch([1], frozenset({"date"}))]
            return batches[0][0].internal_date

        coroutine = session()
        with self.assertRaises(StopIteration) as done:
            coroutine.send(None)
        self.assertEqual(done.exception.value, self.now)
