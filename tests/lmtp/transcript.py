"""LMTP for `tests.transcript`: alice gets mail as alice@example.org."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred

from tests.transcript import USER, Client, TranscriptCase
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.names import INBOX


class LMTPCase(TranscriptCase):
    """alice, bob (who may have 1,000 bytes) and carol (disabled) have mail in example.org."""

    #: More arguments for the factory.
    options: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        super().setUp()
        self.store.add_user("bob", "x", quota=1000)
        self.store.add_user("carol", "x")
        self.store.set_disabled("carol", True)
        for name in (USER, "bob", "carol"):
            self.run_(self.store.addresses.add(name, f"{name}@example.org"))

    def make_factory(self, portal: Portal) -> LMTPFactory:
        return LMTPFactory(
            self.store.delivery(),
            limits=self.limits,
            clock=self.clock,
            hostname="mx.example.org",
            **self.options,
        )

    def enter(self, client: Client) -> None:
        client.say("LHLO client.example.org")

    def run_(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What comes of work that waits for nothing."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def mail(self, name: str = USER, mailbox: str = INBOX) -> list[bytes]:
        """What a user has got."""

        async def read() -> list[bytes]:
            opened = await self.store.account(name).select(mailbox, True)
            return [
                each.content.data
                async for batch in opened.fetch(list(opened.index.uids), frozenset({"content"}))
                for each in batch
            ]

        found: list[bytes] = self.run_(read())
        return found

    def begin(self, *names: str, sender: str = "sender@example.net") -> Client:
        """MAIL and RCPT of these users."""
        client = self.client()
        self.assertEqual(client.say(f"MAIL FROM:<{sender}>")[0][:3], "250")
        for name in names or (USER,):
            self.assertEqual(client.say(f"RCPT TO:<{name}@example.org>")[0][:3], "250")
        return client

    def trace(self, name: str = USER, sender: str = "sender@example.net") -> bytes:
        return f"Return-Path: <{sender}>\r\nDelivered-To: {name}@example.org\r\n".encode()
