"""SAVEDATE: RFC 8514."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from twisted.cred.portal import IRealm, Portal
from zope.interface import implementer

import twisted_duck.adapters  # noqa: F401  (registers them)
from tests.adapters.application import Account
from tests.imap.transcript import IMAPCase
from twisted_duck.interfaces import IAccount
from twisted_duck.memory import MemoryStore

MESSAGE = b"Subject: x\r\n\r\ny\r\n"
SENT = datetime(2014, 12, 27, 9, 0, 0, tzinfo=UTC)


class SaveDateTests(IMAPCase):
    """Messages 1 and 2 came on the 28th, message 3 on the 29th."""

    def setUp(self) -> None:
        super().setUp()
        self.now = datetime(2014, 12, 28, 18, 50, 53, tzinfo=UTC)
        self.store = MemoryStore(limits=self.limits, clock=lambda: self.now)
        self.store.add_user("alice", "wonderland")
        self.factory = self.make_factory(Portal(self.store, [self.store]))
        self.deliver("INBOX", MESSAGE, MESSAGE, date=SENT)
        self.now = datetime(2014, 12, 29, 0, 0, 0, tzinfo=UTC)
        self.deliver("INBOX", MESSAGE, date=SENT)
        self.client().say("x3 SELECT INBOX")

    def test_fetch(self) -> None:
        self.transcript("""
            C: a1 FETCH 1:2 (SAVEDATE)
            S: * 1 FETCH (SAVEDATE "28-Dec-2014 18:50:53 +0000")
            S: * 2 FETCH (SAVEDATE "28-Dec-2014 18:50:53 +0000")
            S: a1 OK FETCH completed
            C: a2 UID FETCH 3 (savedate INTERNALDATE)
            S: * 3 FETCH (UID 3 SAVEDATE "29-Dec-2014 00:00:00 +0000" INTERNALDATE "27-Dec-2014 09:00:00 +0000")
            S: a2 OK ...
            C: a3 FETCH 3 SAVEDATE
            S: * 3 FETCH (SAVEDATE "29-Dec-2014 00:00:00 +0000")
            S: a3 OK ...
            C: a4 FETCH 3 SAVEDATES
            S: a4 BAD SAVEDATES can't be fetched...
        """)

    def test_search(self) -> None:
        self.transcript("""
            C: a1 SEARCH SAVEDON 28-Dec-2014
            S: * SEARCH 1 2
            S: a1 OK ...
            C: a2 SEARCH SAVEDSINCE "28-Dec-2014"
            S: * SEARCH 1 2 3
            S: a2 OK ...
            C: a3 UID SEARCH SAVEDBEFORE 29-Dec-2014 NOT 1
            S: * SEARCH 2
            S: a3 OK ...
            C: a4 SEARCH NOT SAVEDON 28-Dec-2014 SAVEDATESUPPORTED
            S: * SEARCH 3
            S: a4 OK ...
            C: a5 SEARCH ON 28-Dec-2014
            S: * SEARCH
            S: a5 OK ...
            C: a6 SEARCH SAVEDON
            S: a6 BAD ...
            C: a7 SEARCH SAVEDON 2014-12-28
            S: a7 BAD ...
            C: a8 SEARCH SAVEDATESUPPORTED yes
            S: a8 BAD ...
        """)

    def test_copy_and_move_save_anew(self) -> None:
        self.now = datetime(2015, 1, 1, 17, 50, 53, tzinfo=UTC)
        self.transcript("""
            C: a1 COPY 1 Archive
            S: a1 OK ...
            C: a2 MOVE 2 Archive
            S: * OK [COPYUID ...
            S: * 2 EXPUNGE
            S: a2 OK ...
            C: a3 FETCH 1 SAVEDATE
            S: * 1 FETCH (SAVEDATE "28-Dec-2014 18:50:53 +0000")
            S: a3 OK ...
            C: a4 SELECT Archive
            S: ...
            S: a4 OK ...
            C: a5 FETCH 1:* (SAVEDATE INTERNALDATE)
            S: * 1 FETCH (SAVEDATE " 1-Jan-2015 17:50:53 +0000" INTERNALDATE "27-Dec-2014 09:00:00 +0000")
            S: * 2 FETCH (SAVEDATE " 1-Jan-2015 17:50:53 +0000" INTERNALDATE "27-Dec-2014 09:00:00 +0000")
            S: a5 OK ...
        """)

    def test_a_message_of_inbox_that_is_renamed_away_is_saved_anew(self) -> None:
        self.now = datetime(2015, 1, 1, 17, 50, 53, tzinfo=UTC)
        self.transcript("""
            C: a1 RENAME INBOX Old
            S: ...
            S: a1 OK ...
            C: a2 SELECT Old
            S: ...
            S: a2 OK ...
            C: a3 FETCH 1 SAVEDATE
            S: * 1 FETCH (SAVEDATE " 1-Jan-2015 17:50:53 +0000")
            S: a3 OK ...
        """)

    def test_with_modseqs(self) -> None:
        self.transcript("""
            C: a1 ENABLE CONDSTORE
            S: * ENABLED CONDSTORE
            S: ...
            S: a1 OK ...
            C: a2 FETCH 3 SAVEDATE
            S: * 3 FETCH (UID 3 SAVEDATE "29-Dec-2014 00:00:00 +0000" MODSEQ (3))
            S: a2 OK ...
        """)


@implementer(IRealm)
class Realm:
    def __init__(self, account: Account) -> None:
        self._account = account

    def requestAvatar(self, avatarId: object, mind: object, *interfaces: Any) -> Any:
        return IAccount, IAccount(self._account), lambda: None


class UnknownTests(IMAPCase):
    """Mailboxes of an application, which don't know."""

    def make_factory(self, portal: Portal) -> Any:
        account = Account("alice")
        account.mailboxes["INBOX"].addMessage(BytesIO(MESSAGE), (), b"27-Dec-2014 09:00:00 +0000")
        return super().make_factory(Portal(Realm(account), [self.store]))

    selected = "INBOX"

    def test_it_is_nil_and_internaldate_stands_in_for_it(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (SAVEDATE)
            S: * 1 FETCH (SAVEDATE NIL)
            S: a1 OK ...
            C: a2 SEARCH SAVEDATESUPPORTED
            S: * SEARCH
            S: a2 OK ...
            C: a3 SEARCH SAVEDON 27-Dec-2014
            S: * SEARCH 1
            S: a3 OK ...
            C: a4 SEARCH SAVEDSINCE 28-Dec-2014
            S: * SEARCH
            S: a4 OK ...
        """)
