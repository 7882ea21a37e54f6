"""POP3 for `tests.transcript`: sessions of alice, whose INBOX has what `messages` says."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred

from tests.transcript import PASSWORD, USER, Client, TranscriptCase
from twisted_duck.names import INBOX
from twisted_duck.pop3.factory import POP3Factory

FIRST = b"Subject: one\r\n\r\nfirst line\r\nsecond line\r\n"
SECOND = b"Subject: two\r\n\r\n.a dot\r\n.\r\n..\r\nthe end\r\n"


class POP3Case(TranscriptCase):
    #: What INBOX has before anybody logs in.
    messages: tuple[bytes, ...] = (FIRST, SECOND)
    #: More arguments for the factory.
    options: ClassVar[dict[str, Any]] = {"cleartextAuth": "always"}

    def setUp(self) -> None:
        super().setUp()
        self.deliver(INBOX, *self.messages)

    def make_factory(self, portal: Portal) -> POP3Factory:
        return POP3Factory(portal, limits=self.limits, clock=self.clock, **self.options)

    def enter(self, client: Client) -> None:
        client.say(f"USER {USER}")
        [answer] = client.say(f"PASS {PASSWORD}")
        self.assertTrue(answer.startswith("+OK "), answer)

    def count(self, mailbox: str = INBOX) -> int:
        """Messages that are really there."""
        messages: int = self.do("status", mailbox).messages
        return messages

    def run_(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What comes of work that waits for nothing."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def flags(self) -> list[frozenset[str]]:
        """Of the messages of INBOX, in order."""
        index = self.do("select", INBOX, True).index
        return [flags for _, _, flags in index.rows(index.uids)]
