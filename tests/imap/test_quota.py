"""QUOTA: RFC 9208, and RFC 2087 before it."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase
from tests.transcript import Client
from twisted_duck.limits import Limits

MESSAGE = b"y" * 1020


class QuotaTests(IMAPCase):
    limits = Limits(append_unasked=1)

    def setUp(self) -> None:
        super().setUp()
        self.store.add_user("ann", "secret", quota=3000)

    def enter(self, client: Client) -> None:
        client.say("x1 LOGIN ann secret")

    def test_units_are_rounded_up(self) -> None:
        self.transcript(f"""
            C: G1 GETQUOTA ""
            S: * QUOTA "" (STORAGE 0 3)
            S: G1 OK GETQUOTA completed
            C: G2 APPEND INBOX {{{len(MESSAGE)}+}}
            C+ {MESSAGE.decode()}
            C:
            S: G2 OK ...
            C: G3 GETQUOTA ""
            S: * QUOTA "" (STORAGE 1 3)
            S: G3 OK GETQUOTA completed
            C: G4 COPY 1 Trash
            S: G4 BAD ...
        """)

    def test_roots_of_mailboxes_that_are_and_are_not(self) -> None:
        self.transcript("""
            C: G1 GETQUOTAROOT inbox
            S: * QUOTAROOT INBOX ""
            S: * QUOTA "" (STORAGE 0 3)
            S: G1 OK GETQUOTAROOT completed
            C: G2 GETQUOTAROOT Entw&APw-rfe
            S: * QUOTAROOT Entw&APw-rfe ""
            S: * QUOTA "" (STORAGE 0 3)
            S: G2 OK GETQUOTAROOT completed
            C: G3 GETQUOTA "!partition/sda4"
            S: G3 NO [NONEXISTENT] there is no such quota root
            C: G4 SETQUOTA "" (STORAGE 512)
            S: G4 NO [NOPERM] only an administrator can set a quota
        """)

    def test_what_does_not_fit(self) -> None:
        self.transcript(f"""
            C: G1 SELECT INBOX
            S: ...
            S: G1 OK ...
            C: G2 APPEND INBOX {{{len(MESSAGE)}+}}
            C+ {MESSAGE.decode()}
            C:
            S: ...
            S: G2 OK ...
            C: G3 COPY 1 Trash
            S: G3 OK ...
            C: G4 COPY 1 Trash
            S: G4 NO [OVERQUOTA] ...
            C: G5 APPEND INBOX {{{len(MESSAGE)}}}
            S: G5 NO [OVERQUOTA] ...
            C: G6 STATUS Trash (DELETED DELETED-STORAGE)
            S: * STATUS Trash (DELETED 0 DELETED-STORAGE 0)
            S: G6 OK ...
            C: G7 STORE 1 +FLAGS.SILENT (\\Deleted)
            S: G7 OK ...
            C: G8 STATUS INBOX (DELETED DELETED-STORAGE)
            S: * STATUS INBOX (DELETED 1 DELETED-STORAGE {len(MESSAGE)})
            S: G8 OK ...
            C: G9 EXPUNGE
            S: * 1 EXPUNGE
            S: G9 OK ...
            C: G10 GETQUOTA ""
            S: * QUOTA "" (STORAGE 1 3)
            S: G10 OK ...
        """)


class NoQuotaTests(IMAPCase):
    def test_there_is_no_root(self) -> None:
        self.transcript("""
            C: G1 GETQUOTAROOT INBOX
            S: * QUOTAROOT INBOX
            S: G1 OK GETQUOTAROOT completed
            C: G2 GETQUOTA ""
            S: G2 NO [NONEXISTENT] there is no such quota root
        """)
