"""REPLACE and UID REPLACE: a message comes and another goes, as one change (RFC 8508)."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import Unavailable
from twisted_duck.imap.commands import append
from twisted_duck.interfaces import IImportAccount
from twisted_duck.limits import Limits
from twisted_duck.memory.mailbox import MemoryMailbox


class ReplaceTests(IMAPCase):
    selected = "Drafts"

    def setUp(self) -> None:
        super().setUp()
        for number in range(1, 5):
            self.deliver("Drafts", b"draft %d" % number, flags=["\\Draft"])
        self.validity = self.do("status", "Drafts").uidvalidity

    def test_in_the_same_mailbox(self) -> None:
        self.transcript(rf"""
            C: a1 REPLACE 2 Drafts (\Seen \Draft) "17-Jul-1996 02:44:25 -0700" {{7}}
            S: + go ahead
            C: draft 5
            S: * OK [APPENDUID {self.validity} 5] the replacement is stored
            S: * 5 EXISTS
            S: * 5 RECENT
            S: * 2 EXPUNGE
            S: a1 OK REPLACE completed
            C: a2 FETCH 1:* (UID FLAGS)
            S: * 1 FETCH (UID 1 FLAGS (\Recent \Draft))
            S: * 2 FETCH (UID 3 FLAGS (\Recent \Draft))
            S: * 3 FETCH (UID 4 FLAGS (\Recent \Draft))
            S: * 4 FETCH (UID 5 FLAGS (\Recent \Draft \Seen))
            S: a2 OK FETCH completed
            C: a3 FETCH 4 (INTERNALDATE BODY.PEEK[])
            S: * 4 FETCH (INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {{7}}
            S: draft 5)
            S: a3 OK FETCH completed
        """)

    def test_by_uid_and_with_everything_in_one_go(self) -> None:
        self.client().say(r"x3 UID STORE 1 +FLAGS.SILENT (\Deleted)")
        self.client().say("x4 UID EXPUNGE 1")
        self.client().send(b"a1 UID REPLACE 4 Drafts {7+}\r\ndraft 5\r\na2 UID SEARCH ALL\r\n")
        self.transcript(f"""
            S: * OK [APPENDUID {self.validity} 5] the replacement is stored
            S: * 4 EXISTS
            S: * 4 RECENT
            S: * 3 EXPUNGE
            S: a1 OK REPLACE completed
            S: * SEARCH 2 3 5
            S: a2 OK SEARCH completed
        """)

    def test_into_another_mailbox(self) -> None:
        validity = self.do("status", "Sent").uidvalidity
        self.transcript(rf"""
            C2: b1 SELECT Sent
            S2: ...
            S2: b1 OK ...
            C: a1 REPLACE * Sent (\Seen) {{4+}}
            C: sent
            S: * OK [APPENDUID {validity} 1] the replacement is stored
            S: * 4 EXPUNGE
            S: a1 OK REPLACE completed
            C2: b2 NOOP
            S2: * 1 EXISTS
            S2: * 1 RECENT
            S2: b2 OK NOOP completed
            C2: b3 FETCH 1 (FLAGS BODY.PEEK[])
            S2: * 1 FETCH (FLAGS (\Recent \Seen) BODY[] {{4}}
            S2: sent)
            S2: b3 OK FETCH completed
        """)

    def test_other_sessions_are_told_once(self) -> None:
        self.transcript("""
            C2: b1 SELECT Drafts
            S2: ...
            S2: b1 OK ...
            C: a1 REPLACE 1 Drafts {1+}
            C: x
            S: ...
            S: a1 OK REPLACE completed
            C2: b2 NOOP
            S2: * 1 EXPUNGE
            S2: * 4 EXISTS
            S2: * 0 RECENT
            S2: b2 OK NOOP completed
        """)

    def test_flags_are_not_inherited_and_other_deleted_messages_stay(self) -> None:
        self.client().say(r"x3 STORE 1:2 +FLAGS.SILENT (\Deleted \Flagged)")
        self.transcript(r"""
            C: a1 REPLACE 1 Drafts {1+}
            C: x
            S: ...
            S: a1 OK REPLACE completed
            C: a2 FETCH 1:* FLAGS
            S: * 1 FETCH (FLAGS (\Recent \Deleted \Draft \Flagged))
            S: * 2 FETCH (FLAGS (\Recent \Draft))
            S: * 3 FETCH (FLAGS (\Recent \Draft))
            S: * 4 FETCH (FLAGS (\Recent))
            S: a2 OK FETCH completed
        """)

    # --- RFC 8508 §4.5 --------------------------------------------------------------------------------------------------

    def test_who_has_enabled_condstore(self) -> None:
        self.transcript(rf"""
            C: a1 ENABLE CONDSTORE
            S: ...
            S: a1 OK ...
            C: a2 REPLACE 2 Drafts {{1+}}
            C: x
            S: * OK [APPENDUID {self.validity} 5] ...
            S: * 5 EXISTS
            S: * 5 RECENT
            S: * 2 EXPUNGE
            S: a2 OK [HIGHESTMODSEQ 6] REPLACE completed
        """)

    def test_who_has_enabled_qresync(self) -> None:
        self.transcript(rf"""
            C: a1 ENABLE QRESYNC
            S: ...
            S: a1 OK ...
            C: a2 UID REPLACE 2 Drafts {{1+}}
            C: x
            S: * OK [APPENDUID {self.validity} 5] ...
            S: * 5 EXISTS
            S: * 5 RECENT
            S: * VANISHED 2
            S: a2 OK [HIGHESTMODSEQ 6] REPLACE completed
            C: a3 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5 VANISHED)
            S: * VANISHED (EARLIER) 2
            S: * 4 FETCH (UID 5 FLAGS (\Recent) MODSEQ (6))
            S: a3 OK FETCH completed
            C: a4 UID REPLACE 3 Sent {{1+}}
            C: x
            S: * OK [APPENDUID ... 1] ...
            S: * VANISHED 3
            S: a4 OK [HIGHESTMODSEQ 7] REPLACE completed
        """)


class RefusedTests(IMAPCase):
    """Nothing has changed, and as a rule the message need not be sent."""

    selected = "Drafts"
    limits = Limits(message=1000, append_unasked=1)

    def setUp(self) -> None:
        super().setUp()
        self.deliver("Drafts", b"draft 1", b"draft 2")

    def nothing_changed(self) -> None:
        self.transcript("""
            C: z1 STATUS Sent (MESSAGES UIDNEXT)
            S: * STATUS Sent (MESSAGES 0 UIDNEXT 1)
            S: z1 OK ...
            C: z2 STATUS Drafts (MESSAGES UIDNEXT HIGHESTMODSEQ)
            S: ...
            S: * STATUS Drafts (MESSAGES 2 UIDNEXT 3 HIGHESTMODSEQ 2)
            S: z2 OK ...
        """)

    def test_before_it_is_sent(self) -> None:
        self.transcript(r"""
            C: a1 REPLACE 3 Drafts {5}
            S: a1 BAD there is no message 3, the last one is 2
            C: a2 UID REPLACE 3 Drafts {5}
            S: a2 NO there is no message of this UID
            C: a3 REPLACE 1 Nowhere {5}
            S: a3 NO [TRYCREATE] there is no such mailbox
            C: a4 REPLACE 1 Sent {1001}
            S: a4 NO [TOOBIG] ...
            C: a5 REPLACE 1 Sent (\Recent) {5}
            S: a5 BAD ...
            C: a6 REPLACE 1:2 Sent {5}
            S: a6 BAD ...
            C: a7 REPLACE 1 Sent {0}
            S: a7 NO an empty message is not stored...
            C: a8 REPLACE 1 Sent {1}
            S: + go ahead
            C: x {1}
            S: a8 BAD ...
        """)
        self.nothing_changed()

    def test_nul(self) -> None:
        self.client().send(
            b"a1 REPLACE 1 Sent {1+}\r\n\0\r\na2 REPLACE 1 Sent ~{1+}\r\n\0\r\na3 NOOP\r\n"
        )
        self.transcript("""
            S: a1 NO [CANNOT] ...
            S: a2 NO [UNKNOWN-CTE] ...
            S: a3 OK NOOP completed
        """)
        self.nothing_changed()

    def test_message_that_somebody_else_removed(self) -> None:
        self.transcript(r"""
            C: a1 NOOP
            S: a1 OK ...
            C: a2 REPLACE 1 Sent {1}
            S: + go ahead
            C2: b1 STORE 1 +FLAGS.SILENT \Deleted
            S2: b1 OK ...
            C2: b2 EXPUNGE
            S2: ...
            S2: b2 OK ...
            C: x
            S: a2 NO [EXPUNGEISSUED] ...
            C: a3 REPLACE 1 Sent {1}
            S: a3 NO [EXPUNGEISSUED] ...
            C: a4 NOOP
            S: * 1 EXPUNGE
            S: a4 OK NOOP completed
        """)
        self.assertEqual(self.do("status", "Sent").messages, 0)

    def test_empty_mailbox(self) -> None:
        self.selected = "INBOX"
        self.transcript("""
            C: a1 REPLACE 1 Sent {5}
            S: a1 BAD there is no message in the mailbox
            C: a2 UID REPLACE * Sent {5}
            S: a2 NO there is no message of this UID
        """)

    def test_mailbox_that_may_not_be_changed(self) -> None:
        self.transcript("""
            C: a1 EXAMINE Drafts
            S: ...
            S: a1 OK ...
            C: a2 REPLACE 1 Sent {5}
            S: a2 NO the mailbox is open for reading only
        """)

    def test_no_mailbox_is_selected(self) -> None:
        self.selected = None
        self.transcript("""
            C: a1 REPLACE 1 Sent {5}
            S: a1 BAD no mailbox is selected
            C: a2 UID REPLACE 1 Sent "x"
            S: a2 BAD ...
        """)

    def test_failure_in_the_store(self) -> None:
        self.break_(MemoryMailbox, "replace", Unavailable("away"))
        self.client().send(b"a1 REPLACE 1 Sent {1+}\r\nx\r\na2 NOOP\r\n")
        self.transcript("""
            S: a1 NO [UNAVAILABLE] away
            S: a2 OK NOOP completed
        """)

    def test_mailbox_that_can_not(self) -> None:
        self.patch(append, "IReplaceMailbox", IImportAccount)
        self.transcript("""
            C: a1 REPLACE 1 Sent {5}
            S: a1 BAD REPLACE is not supported here
        """)


class BeforeLoginTests(IMAPCase):
    log_in = False

    def test_it_is_not_allowed(self) -> None:
        self.client().send(b"a1 REPLACE 1 INBOX {9+}\r\na2 LOGOUT\r\na3 NOOP\r\n")
        self.transcript("""
            S: a1 BAD REPLACE is not allowed before login
            S: a3 OK NOOP completed
        """)


class QuotaTests(IMAPCase):
    limits = Limits(append_unasked=1)

    def test_only_what_the_mail_grows_by_counts(self) -> None:
        self.store.add_user("bob", "builder", quota=1000)
        self.log_in = False
        self.transcript(f"""
            C: a0 LOGIN bob builder
            S: a0 OK ...
            C: a1 APPEND Drafts {{900+}}
            C: {"x" * 900}
            S: a1 OK ...
            C: a2 SELECT Drafts
            S: ...
            S: a2 OK ...
            C: a3 REPLACE 1 Drafts {{1001}}
            S: a3 NO [OVERQUOTA] ...
            C: a4 REPLACE 1 Sent {{1000+}}
            C: {"x" * 1000}
            S: ...
            S: a4 OK REPLACE completed
        """)
