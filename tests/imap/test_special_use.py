"""SPECIAL-USE and CREATE-SPECIAL-USE: RFC 6154; and XLIST, which was before them."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase


class SpecialUseTests(IMAPCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ("Archive", "Junk"):
            self.do("delete", name)
        self.do("create", "Projects")
        self.do("rename", "Drafts", "Work/Drafts")

    def test_list(self) -> None:
        self.transcript(r"""
            C: t2 LIST "" "%" RETURN (SPECIAL-USE)
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * LIST (\HasNoChildren) "/" Projects
            S: * LIST (\HasNoChildren \Sent) "/" Sent
            S: * LIST (\HasNoChildren \Trash) "/" Trash
            S: * LIST (\HasChildren) "/" Work
            S: t2 OK LIST completed
            C: t3 LIST (SPECIAL-USE) "" "*"
            S: * LIST (\HasNoChildren \Sent) "/" Sent
            S: * LIST (\HasNoChildren \Trash) "/" Trash
            S: * LIST (\HasNoChildren \Drafts) "/" Work/Drafts
            S: t3 OK LIST completed
        """)

    def test_beside_other_options(self) -> None:
        self.do("unsubscribe", "Sent")
        self.do("subscribe", "Projects")
        self.transcript(r"""
            C: t1 LIST (SPECIAL-USE SUBSCRIBED) "" "*" RETURN (STATUS (MESSAGES))
            S: * LIST (\HasNoChildren \Subscribed \Trash) "/" Trash
            S: * STATUS Trash (MESSAGES 0)
            S: t1 OK LIST completed
            C: t2 LIST (SPECIAL-USE RECURSIVEMATCH) "" "%"
            S: * LIST (\HasNoChildren \Sent) "/" Sent
            S: * LIST (\HasNoChildren \Trash) "/" Trash
            S: * LIST (\HasChildren) "/" Work ("CHILDINFO" ("SPECIAL-USE"))
            S: t2 OK LIST completed
        """)

    def test_create(self) -> None:
        self.transcript(r"""
            C: t1 CREATE Spam (USE (\junk))
            S: t1 OK [MAILBOXID ...
            C: t2 CREATE Deep/Archive (USE (\Archive))
            S: t2 OK ...
            C: t3 CREATE Nothing (USE ())
            S: t3 OK ...
            C: t4 LIST (SPECIAL-USE) "" (S% D*)
            S: * LIST (\HasNoChildren \Archive) "/" Deep/Archive
            S: * LIST (\HasNoChildren \Sent) "/" Sent
            S: * LIST (\HasNoChildren \Junk) "/" Spam
            S: t4 OK LIST completed
        """)

    def test_create_for_what_can_not_be(self) -> None:
        self.transcript(r"""
            C: t1 CREATE Everything (USE (\All))
            S: t1 NO [USEATTR] no mailbox can be made for \All
            C: t2 CREATE Stars (USE (\Flagged))
            S: t2 NO [USEATTR] ...
            C: t3 CREATE Odd (USE (\Odd))
            S: t3 NO [USEATTR] ...
            C: t4 CREATE Both (USE (\Archive \Junk))
            S: t4 NO [USEATTR] a mailbox can be for one special use only
            C: t5 CREATE MySent (USE (\Sent))
            S: t5 NO [USEATTR] Sent is the mailbox for \Sent already
            C: t6 CREATE Sent (USE (\Archive))
            S: t6 NO [ALREADYEXISTS] ...
            C: t7 CREATE MySent (USE Sent)
            S: t7 BAD ...
            C: t8 LIST "" (E% St% O% B% M%)
            S: t8 OK LIST completed
        """)


class XListTests(IMAPCase):
    def test_names_as_gmail_had_them(self) -> None:
        self.transcript(r"""
            C: x1 XLIST "" "*"
            S: * XLIST (\HasNoChildren \Inbox) "/" INBOX
            S: * XLIST (\HasNoChildren \Archive) "/" Archive
            S: * XLIST (\HasNoChildren \Drafts) "/" Drafts
            S: * XLIST (\HasNoChildren \Spam) "/" Junk
            S: * XLIST (\HasNoChildren \Sent) "/" Sent
            S: * XLIST (\HasNoChildren \Trash) "/" Trash
            S: x1 OK XLIST completed
            C: x2 XLIST "" ""
            S: * XLIST (\Noselect) "/" ""
            S: x2 OK XLIST completed
            C: x3 XLIST (SUBSCRIBED) "" *
            S: x3 BAD ...
        """)
