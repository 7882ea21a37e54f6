"""SORT, THREAD and what SEARCH returns, in mailboxes that are `twisted.mail`'s."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.cred.portal import IRealm, Portal
from zope.interface import implementer

import twisted_duck.adapters  # noqa: F401  (registers them)
from tests.adapters.application import Account
from tests.imap.transcript import IMAPCase
from twisted_duck.interfaces import IAccount

MESSAGES = [
    b"From: bea@x\r\nSubject: Re: pond\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n\r\n",
    b"From: al@x\r\nSubject: pond\r\nMessage-ID: <1@x>\r\n\r\n",
    b"From: Cid <c@x>\r\nSubject: =?utf-8?q?=C3=84nder?=\r\nDate: 1 Jan 1960 00:00 +0000\r\n\r\n",
]


@implementer(IRealm)
class Realm:
    def __init__(self, account: Account) -> None:
        self._account = account

    def requestAvatar(self, avatarId: object, mind: object, *interfaces: Any) -> Any:
        return IAccount, IAccount(self._account), lambda: None


class ApplicationTests(IMAPCase):
    selected = "INBOX"

    def make_factory(self, portal: Portal) -> Any:
        account = Account("alice")
        for day, message in enumerate(MESSAGES, 1):
            date = b"0%d-Jan-1970 00:00:00 +0000" % day
            account.mailboxes["INBOX"].addMessage(BytesIO(message), (), date)
        return super().make_factory(Portal(Realm(account), [self.store]))

    def test_what_can_be_done(self) -> None:
        [line, _] = self.client().say("a1 CAPABILITY")
        there = set(line.split())
        self.assertLess({"ESEARCH", "SORT", "THREAD=REFERENCES", "WITHIN", "PARTIAL"}, there)
        # How the application compares strings is its own affair.
        self.assertNotIn("I18NLEVEL=1", there)

    def test_it_is_done(self) -> None:
        self.clock.advance(2 * 86_400)
        self.transcript(r"""
            C: a1 SORT (FROM) UTF-8 ALL
            S: * SORT 2 1 3
            S: a1 OK SORT completed
            C: a2 UID SORT RETURN (MIN MAX) (REVERSE DATE) UTF-8 ALL
            S: * ESEARCH (TAG "a2") UID MIN 2 MAX 3
            S: a2 OK SORT completed
            C: a3 THREAD REFERENCES UTF-8 ALL
            S: * THREAD (3)(2 1)
            S: a3 OK THREAD completed
            C: a4 SEARCH RETURN (SAVE COUNT) OLDER 86400
            S: * ESEARCH (TAG "a4") COUNT 2
            S: a4 OK SEARCH completed
            C: a5 FETCH $ UID
            S: * 1 FETCH (UID 1)
            S: * 2 FETCH (UID 2)
            S: a5 OK ...
            C: a6 UID FETCH 1:* FLAGS (PARTIAL -1:-1)
            S: * 3 FETCH (UID 3 FLAGS (\Recent))
            S: a6 OK ...
            C: a7 SEARCH RETURN (ALL) MODSEQ 1
            S: a7 BAD there are no modseqs in this mailbox
        """)
