"""Logging in: how often MongoDB is asked."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor

from tests.auth.support import WEAK
from tests.store.base import StoreTestCase, simple
from tests.store.recorder import Recorder
from twisted_duck.auth import log_in, make_portal
from twisted_duck.interfaces import IAccount
from twisted_duck.pop3.inbox import Inbox
from twisted_duck.sasl import Credentials
from twisted_duck.session import Session


class RoundTripTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        await self.store.users.add("tim", "secret")

    async def log_in(self, **options: Any) -> Any:
        portal = make_portal(
            self.store.directory, self.store.account, reactor, parameters=WEAK, **options
        )
        session = Session("IMAP", remoteAddress="192.0.2.1")
        _, account, _ = await log_in(portal, Credentials("tim", "secret"), session, IAccount)
        self.assertEqual(account.name, "tim")
        return account

    async def test_a_login_is_one_look_at_the_user(self) -> None:
        # What is stored of the password becomes what the portal wants it to be.
        await self.log_in(account_of=self.store.account_of)
        self.recorder.clear()
        await self.log_in(account_of=self.store.account_of)
        self.assertEqual(self.recorder.names, ["find users"])

    async def test_without_account_of_it_is_two(self) -> None:
        await self.log_in()
        self.recorder.clear()
        await self.log_in()
        self.assertEqual(self.recorder.names, ["find users"] * 2)

    async def test_a_maildrop_is_two_more(self) -> None:
        account = await self.log_in(account_of=self.store.account_of)
        await self.put(account, "INBOX", simple())
        await (await Inbox.open(account)).close()
        self.recorder.clear()
        await (await Inbox.open(account)).close()
        self.assertEqual(self.recorder.names, ["find mailboxes", "find messages"])
