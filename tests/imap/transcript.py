"""IMAP for `tests.transcript`: sessions of alice, logged in and with a mailbox selected if wanted."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.cred.portal import Portal

from tests.transcript import PASSWORD, USER, Client, TranscriptCase
from twisted_duck.imap.factory import IMAP4Factory


class IMAPCase(TranscriptCase):
    #: This mailbox is selected before the transcript begins, or none.
    selected: str | None = None
    #: More arguments for the factory.
    options: ClassVar[dict[str, Any]] = {"cleartextAuth": "always", "tls": "context"}

    def make_factory(self, portal: Portal) -> IMAP4Factory:
        return IMAP4Factory(portal, limits=self.limits, clock=self.clock, **self.options)

    def enter(self, client: Client) -> None:
        client.say(f"x1 LOGIN {USER} {PASSWORD}")
        if self.selected is not None:
            client.say(f"x2 SELECT {self.selected}")
