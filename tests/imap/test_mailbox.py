"""SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3691), CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB, STATUS."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import Unavailable
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.values import DELETED, SEEN

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


class SelectTests(IMAPCase):
    def test_everything_that_is_required_in_this_order(self) -> None:
        self.deliver("INBOX", MESSAGE, flags=[SEEN, "$Junk"])
        self.deliver("INBOX", MESSAGE, MESSAGE)
        validity = self.do("status", "INBOX").uidvalidity
        self.transcript(rf"""
            C: a1 SELECT inbox
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Junk)
            S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Junk \*)] ...
            S: * 3 EXISTS
            S: * 3 RECENT
            S: * OK [UNSEEN 2] the first unseen message
            S: * OK [UIDVALIDITY {validity}] valid UIDs
            S: * OK [UIDNEXT 4] predicted next UID
            S: * OK [HIGHESTMODSEQ 3] highest modseq
            S: * OK [MAILBOXID (F...)] identity of the mailbox
            S: a1 OK [READ-WRITE] SELECT completed
        """)
        session = self.client().protocol.session
        self.assertEqual((session.state, session.selected), ("Selected", "INBOX"))

    def test_examine_is_read_only(self) -> None:
        self.deliver("INBOX", MESSAGE, flags=[SEEN])
        self.transcript(r"""
            C: a1 EXAMINE INBOX
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
            S: * OK [PERMANENTFLAGS ()] ...
            S: * 1 EXISTS
            S: * 1 RECENT
            S: * OK [UIDVALIDITY ...
            S: * OK [UIDNEXT 2] ...
            S: * OK [HIGHESTMODSEQ 2] ...
            S: * OK [MAILBOXID ...
            S: a1 OK [READ-ONLY] EXAMINE completed
            C: a2 STORE 1 +FLAGS (\Flagged)
            S: a2 NO the mailbox is open for reading only
            C: a3 EXPUNGE
            S: a3 NO ...
            C: a4 UID EXPUNGE 1
            S: a4 NO ...
            C: a5 MOVE 1 Trash
            S: a5 NO ...
            C: a6 COPY 1 Trash
            S: a6 OK [COPYUID ...
        """)

    def test_examine_leaves_recent_to_others(self) -> None:
        self.deliver("INBOX", MESSAGE)
        self.transcript("""
            C: a1 EXAMINE INBOX
            S: ...
            S: a1 OK ...
            C: a2 SELECT INBOX
            S: ...
            S: * 1 RECENT
            S: ...
            S: a2 OK ...
            C: a3 SELECT INBOX
            S: ...
            S: * 0 RECENT
            S: ...
            S: a3 OK ...
        """)

    def test_failure_leaves_nothing_selected(self) -> None:
        self.transcript("""
            C: a1 SELECT INBOX
            S: ...
            S: a1 OK ...
            C: a2 SELECT Nowhere
            S: * OK [CLOSED] the mailbox before is closed
            S: a2 NO [NONEXISTENT] there is no such mailbox
            C: a3 FETCH 1 FLAGS
            S: a3 BAD FETCH is not allowed in the state Authenticated
            C: a4 CLOSE
            S: a4 BAD CLOSE is not allowed in the state Authenticated
        """)
        self.assertIsNone(self.client().protocol.session.selected)

    def test_nothing_is_said_before_the_mailbox_is_found(self) -> None:
        client = self.client()
        client.say("a1 SELECT INBOX")
        held = self.hold(MemoryAccount, "select")
        self.assertEqual(client.say("a2 SELECT INBOX"), [])
        held.let_go()
        answer = client.heard().splitlines()
        self.assertEqual(answer[0], b"* OK [CLOSED] the mailbox before is closed")
        self.assertEqual(answer[-1], b"a2 OK [READ-WRITE] SELECT completed")

    def test_failure_after_opening_gives_the_mailbox_back(self) -> None:
        closed: list[object] = []

        async def close(mailbox: MemoryMailbox) -> None:
            closed.append(mailbox)

        self.patch(MemoryMailbox, "close", close)
        self.break_(MemoryMailbox, "claim_recent", Unavailable("the database is away"))
        self.transcript("""
            C: a1 SELECT INBOX
            S: a1 NO [UNAVAILABLE] the database is away
            C: a2 CHECK
            S: a2 BAD CHECK is not allowed in the state Authenticated
        """)
        self.assertEqual(len(closed), 1)
        self.flushWarnings()

    def test_names_in_every_form(self) -> None:
        self.do("create", 'a "b" \\c')
        self.do("create", "Entwürfe")
        self.do("create", "R&D")
        self.transcript(r"""
            C: a1 EXAMINE "a \"b\" \\c"
            S: ...
            S: a1 OK ...
            C: a2 EXAMINE {8+}
            C+ a "b" \c
            C:
            S: ...
            S: a2 OK ...
            C: a3 EXAMINE Entw&APw-rfe
            S: ...
            S: a3 OK ...
            C: a4 EXAMINE "Entwürfe"
            S: a4 NO [CANNOT] mailbox name is not modified UTF-7 at octet 5
            C: a5 EXAMINE R&D
            S: a5 NO [CANNOT] ...
            C: a6 EXAMINE R&-D
            S: ...
            S: a6 OK ...
            C: a7 EXAMINE %
            S: a7 BAD ...
        """)


class CloseTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", MESSAGE, flags=[DELETED])
        self.deliver("INBOX", MESSAGE)

    def test_close_expunges_and_says_nothing_of_it(self) -> None:
        self.transcript("""
            C: a1 CLOSE
            S: a1 OK CLOSE completed
            C: a2 STATUS INBOX (MESSAGES)
            S: * STATUS INBOX (MESSAGES 1)
            S: a2 OK STATUS completed
            C: a3 CLOSE
            S: a3 BAD ...
        """)

    def test_close_after_examine_expunges_nothing(self) -> None:
        self.transcript("""
            C: a0 EXAMINE INBOX
            S: ...
            S: a0 OK ...
            C: a1 CLOSE
            S: a1 OK CLOSE completed
            C: a2 STATUS INBOX (MESSAGES)
            S: * STATUS INBOX (MESSAGES 2)
            S: a2 OK ...
        """)

    def test_unselect_expunges_nothing(self) -> None:
        self.transcript("""
            C: a1 UNSELECT
            S: a1 OK UNSELECT completed
            C: a2 STATUS INBOX (MESSAGES)
            S: * STATUS INBOX (MESSAGES 2)
            S: a2 OK ...
            C: a3 UNSELECT
            S: a3 BAD ...
        """)

    def test_selecting_again_expunges_nothing(self) -> None:
        self.transcript("""
            C: a1 SELECT INBOX
            S: ...
            S: * 2 EXISTS
            S: ...
            S: a1 OK ...
        """)


class CreateTests(IMAPCase):
    def test_create_with_parents_and_trailing_delimiter(self) -> None:
        self.transcript("""
            C: a1 CREATE lists/twisted/
            S: a1 OK [MAILBOXID (F...)] CREATE completed
            C: a2 LIST "" lists*
            S: * LIST (\\HasChildren) "/" lists
            S: * LIST (\\HasNoChildren) "/" lists/twisted
            S: a2 OK ...
            C: a3 CREATE lists
            S: a3 NO [ALREADYEXISTS] ...
        """)

    def test_names_that_cannot_be(self) -> None:
        self.transcript("""
            C: a1 CREATE INBOX
            S: a1 NO [ALREADYEXISTS] ...
            C: a2 CREATE ""
            S: a2 NO [CANNOT] ...
            C: a3 CREATE a//b
            S: a3 NO [CANNOT] ...
            C: a4 CREATE "&AAo-"
            S: a4 NO [CANNOT] mailbox name contains a control character
            C: a5 CREATE "&ZeVnLIqe-"
            S: a5 OK ...
            C: a6 CREATE a*
            S: a6 BAD ...
            C: a7 CREATE "a*"
            S: a7 OK ...
        """)


class DeleteTests(IMAPCase):
    def test_mailbox_with_children_stays_as_a_level(self) -> None:
        self.do("create", "a/b")
        self.transcript(r"""
            C: a1 DELETE a
            S: a1 OK DELETE completed
            C: a2 LIST "" a*
            S: * LIST (\Noselect \HasChildren) "/" a
            S: * LIST (\HasNoChildren) "/" a/b
            S: a2 OK ...
            C: a3 DELETE a
            S: a3 NO [HASCHILDREN] ...
            C: a4 SELECT a
            S: a4 NO [NONEXISTENT] ...
        """)

    def test_not_inbox_and_not_what_is_not_there(self) -> None:
        self.transcript("""
            C: a1 DELETE inbox
            S: a1 NO [CANNOT] ...
            C: a2 DELETE nowhere
            S: a2 NO [NONEXISTENT] ...
        """)

    def test_own_selected_mailbox(self) -> None:
        self.transcript("""
            C: a1 SELECT Junk
            S: ...
            S: a1 OK ...
            C: a2 DELETE Junk
            S: a2 OK DELETE completed
            C: a3 CHECK
            S: a3 BAD CHECK is not allowed in the state Authenticated
            C: a4 SELECT INBOX
            S: ...
            S: a4 OK ...
        """)


class RenameTests(IMAPCase):
    def test_children_go_along(self) -> None:
        self.do("create", "a/b")
        self.transcript("""
            C: a1 RENAME a c/d
            S: a1 OK RENAME completed
            C: a2 LIST "" c*
            S: * LIST (\\HasChildren) "/" c
            S: * LIST (\\HasChildren) "/" c/d
            S: * LIST (\\HasNoChildren) "/" c/d/b
            S: a2 OK ...
            C: a3 RENAME a e
            S: a3 NO [NONEXISTENT] ...
            C: a4 RENAME c Junk
            S: a4 NO [ALREADYEXISTS] ...
        """)

    def test_inbox_gives_its_messages_away(self) -> None:
        self.deliver("INBOX", MESSAGE)
        self.transcript("""
            C: a1 RENAME INBOX old
            S: a1 OK RENAME completed
            C: a2 STATUS old (MESSAGES)
            S: * STATUS old (MESSAGES 1)
            S: a2 OK ...
            C: a3 STATUS INBOX (MESSAGES)
            S: * STATUS INBOX (MESSAGES 0)
            S: a3 OK ...
        """)

    def test_selected_mailbox_stays_selected_under_its_new_name(self) -> None:
        self.transcript("""
            C: a1 SELECT Junk
            S: ...
            S: a1 OK ...
            C: a2 RENAME Junk Spam
            S: a2 OK ...
            C: a3 CHECK
            S: a3 OK CHECK completed
        """)
        self.assertEqual(self.client().protocol.session.selected, "Spam")


class SubscriptionTests(IMAPCase):
    def test_names_need_not_exist(self) -> None:
        self.transcript(r"""
            C: a1 SUBSCRIBE news/today
            S: a1 OK SUBSCRIBE completed
            C: a2 LSUB "" news*
            S: * LSUB () "/" news/today
            S: a2 OK LSUB completed
            C: a3 LSUB "" news/%
            S: * LSUB () "/" news/today
            S: a3 OK ...
            C: a4 LSUB "" n%
            S: * LSUB (\Noselect) "/" news
            S: a4 OK ...
            C: a5 UNSUBSCRIBE news/today
            S: a5 OK UNSUBSCRIBE completed
            C: a6 UNSUBSCRIBE news/today
            S: a6 OK UNSUBSCRIBE completed
            C: a7 LSUB "" n*
            S: a7 OK LSUB completed
        """)


class ListTests(IMAPCase):
    def test_attributes_and_special_use(self) -> None:
        self.transcript(r"""
            C: a1 LIST "" %
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * LIST (\HasNoChildren \Archive) "/" Archive
            S: * LIST (\HasNoChildren \Drafts) "/" Drafts
            S: * LIST (\HasNoChildren \Junk) "/" Junk
            S: * LIST (\HasNoChildren \Sent) "/" Sent
            S: * LIST (\HasNoChildren \Trash) "/" Trash
            S: a1 OK LIST completed
        """)

    def test_the_delimiter(self) -> None:
        self.transcript(r"""
            C: a1 LIST "" ""
            S: * LIST (\Noselect) "/" ""
            S: a1 OK ...
            C: a2 LIST anything ""
            S: * LIST (\Noselect) "/" ""
            S: a2 OK ...
        """)

    def test_names_go_out_as_they_must(self) -> None:
        for name in ("NIL", 'a "b" \\c', "日本", "R&D", "a]b", "(x)", "50%", "{5}"):
            self.do("create", name)
        self.transcript(r"""
            C: a1 LIST "" *
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * LIST (\HasNoChildren) "/" "(x)"
            S: * LIST (\HasNoChildren) "/" "50%"
            S: * LIST (\HasNoChildren \Archive) "/" Archive
            S: * LIST (\HasNoChildren \Drafts) "/" Drafts
            S: * LIST (\HasNoChildren \Junk) "/" Junk
            S: * LIST (\HasNoChildren) "/" "NIL"
            S: * LIST (\HasNoChildren) "/" R&-D
            S: * LIST (\HasNoChildren \Sent) "/" Sent
            S: * LIST (\HasNoChildren \Trash) "/" Trash
            S: * LIST (\HasNoChildren) "/" "a \"b\" \\c"
            S: * LIST (\HasNoChildren) "/" "a]b"
            S: * LIST (\HasNoChildren) "/" "{5}"
            S: * LIST (\HasNoChildren) "/" &ZeVnLA-
            S: a1 OK ...
        """)

    def test_references_and_patterns_in_any_form(self) -> None:
        self.do("create", "a/b")
        self.transcript(r"""
            C: a1 LIST a/ %
            S: * LIST (\HasNoChildren) "/" a/b
            S: a1 OK ...
            C: a2 LIST "" "a/%"
            S: * LIST (\HasNoChildren) "/" a/b
            S: a2 OK ...
            C: a3 LIST {0+}
            C:  {3+}
            C+ a/*
            C:
            S: * LIST (\HasNoChildren) "/" a/b
            S: a3 OK ...
            C: a4 LIST "" nothing*
            S: a4 OK LIST completed
            C: a5 LIST "" inbox
            S: * LIST (\HasNoChildren) "/" INBOX
            S: a5 OK ...
        """)


class StatusTests(IMAPCase):
    def test_every_item_in_the_order_asked(self) -> None:
        self.deliver("INBOX", MESSAGE, flags=[SEEN])
        self.deliver("INBOX", MESSAGE, date=datetime(2000, 1, 1, tzinfo=UTC))
        validity = self.do("status", "INBOX").uidvalidity
        self.transcript(f"""
            C: a1 STATUS inbox (UNSEEN UIDNEXT MESSAGES RECENT UIDVALIDITY APPENDLIMIT)
            S: * STATUS INBOX (UNSEEN 1 UIDNEXT 3 MESSAGES 2 RECENT 2 UIDVALIDITY {validity} APPENDLIMIT 67108864)
            S: a1 OK STATUS completed
        """)

    def test_refused(self) -> None:
        self.transcript("""
            C: a1 STATUS nowhere (MESSAGES)
            S: a1 NO [NONEXISTENT] ...
            C: a2 STATUS INBOX ()
            S: a2 BAD ...
            C: a3 STATUS INBOX (WEIGHT)
            S: a3 BAD WEIGHT is no status item...
            C: a4 STATUS INBOX MESSAGES
            S: a4 BAD ...
        """)
