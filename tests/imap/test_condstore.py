"""CONDSTORE (RFC 7162 §3.1) and ENABLE (RFC 5161)."""

from __future__ import annotations

from typing import Any

from zope.interface import classImplementsOnly, implementedBy

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import Unavailable
from twisted_duck.interfaces import ICondstoreAccount
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.memory.mailbox import MemoryMailbox

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


class CondstoreCase(IMAPCase):
    """INBOX is selected by two sessions; its messages 1 to 4 have the modseqs 2 to 5, and are \\Recent in neither."""

    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        for _ in range(4):
            self.deliver("INBOX", MESSAGE)
        self.client("0").disconnect()
        self.client("")
        self.client("2")


class EnableTests(IMAPCase):
    def test_what_is_known_is_enabled_and_named(self) -> None:
        self.transcript("""
            C: a1 ENABLE X-GOOD-IDEA condstore CONDSTORE
            S: * ENABLED CONDSTORE
            S: a1 OK ENABLE completed
            C: a2 ENABLE QRESYNC
            S: * ENABLED QRESYNC
            S: a2 OK ENABLE completed
            C: a3 ENABLE MOVE STARTTLS
            S: * ENABLED
            S: a3 OK ENABLE completed
        """)

    def test_not_before_login(self) -> None:
        self.log_in = False
        self.transcript("""
            C: a1 ENABLE CONDSTORE
            S: a1 BAD ENABLE is not allowed in the state Not Authenticated
        """)


class EnablingTests(CondstoreCase):
    """Each command of §3.1 makes the client one that is told modseqs, once and for all."""

    def told(self, command: str) -> str:
        """What the session is told of somebody else's change, after a command."""
        self.setUp()
        self.client().say(f"a1 {command}")
        self.client("2").say(r"b1 STORE 4 +FLAGS (\Seen)")
        return self.client().say("a2 NOOP")[0]

    def test_commands_that_enable(self) -> None:
        for command in (
            "ENABLE CONDSTORE",
            "SELECT INBOX (CONDSTORE)",
            "EXAMINE INBOX (CONDSTORE)",
            "STATUS Trash (HIGHESTMODSEQ)",
            "FETCH 1 MODSEQ",
            "FETCH 1 (FLAGS MODSEQ)",
            "FETCH 1 FLAGS (CHANGEDSINCE 1)",
            r"STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\Seen)",
            "SEARCH MODSEQ 3",
            "UID SEARCH NOT MODSEQ 3",
        ):
            with self.subTest(command=command):
                self.assertEqual(
                    self.told(command), r"* 4 FETCH (UID 4 FLAGS (\Seen) MODSEQ (6))", command
                )

    def test_others_do_not(self) -> None:
        for command in (
            "NOOP",
            "SELECT INBOX",
            "STATUS Trash (UIDNEXT)",
            "FETCH 1 FLAGS",
            "SEARCH ALL",
            "ENABLE X-FOO",
        ):
            with self.subTest(command=command):
                self.assertEqual(self.told(command), r"* 4 FETCH (FLAGS (\Seen))")

    def test_the_first_one_tells_where_the_selected_mailbox_is(self) -> None:
        self.transcript("""
            C: a1 FETCH 2:3 MODSEQ
            S: * OK [HIGHESTMODSEQ 5] highest modseq
            S: * 2 FETCH (UID 2 MODSEQ (3))
            S: * 3 FETCH (UID 3 MODSEQ (4))
            S: a1 OK FETCH completed
            C: a2 FETCH 4 (MODSEQ UID)
            S: * 4 FETCH (MODSEQ (5) UID 4)
            S: a2 OK FETCH completed
        """)

    def test_who_has_enabled_it_is_not_told_again(self) -> None:
        self.transcript("""
            C: a1 ENABLE CONDSTORE
            S: * ENABLED CONDSTORE
            S: * OK [HIGHESTMODSEQ 5] highest modseq
            S: a1 OK ENABLE completed
            C: a2 ENABLE CONDSTORE QRESYNC
            S: * ENABLED CONDSTORE QRESYNC
            S: a2 OK ENABLE completed
            C: a3 STATUS INBOX (HIGHESTMODSEQ)
            S: * STATUS INBOX (HIGHESTMODSEQ 5)
            S: a3 OK STATUS completed
        """)

    def test_from_then_on_every_fetch_has_modseq_also_in_the_next_mailbox(self) -> None:
        self.transcript(r"""
            C: a1 ENABLE CONDSTORE
            S: * ENABLED CONDSTORE
            S: * OK [HIGHESTMODSEQ 5] highest modseq
            S: a1 OK ...
            C: a2 FETCH 1 FLAGS
            S: * 1 FETCH (UID 1 FLAGS () MODSEQ (2))
            S: a2 OK ...
            C: a3 STORE 1 +FLAGS (\Seen)
            S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (6))
            S: a3 OK ...
            C: a4 STORE 1:2 +FLAGS.SILENT (\Seen)
            S: * 2 FETCH (UID 2 MODSEQ (7))
            S: a4 OK ...
            C: a5 FETCH 3 BODY[]<0.1>
            S: * 3 FETCH (FLAGS (\Seen) UID 3 BODY[]<0> {1}
            S: S MODSEQ (8))
            S: a5 OK ...
            C: a6 UID STORE 3 -FLAGS (\Seen)
            S: * 3 FETCH (UID 3 FLAGS () MODSEQ (9))
            S: a6 OK ...
            C: a7 COPY 1 Trash
            S: a7 OK ...
            C: a8 SELECT Trash
            S: * OK [CLOSED] the mailbox before is closed
            S: * FLAGS ...
            S: * OK [PERMANENTFLAGS ...
            S: * 1 EXISTS
            S: * 1 RECENT
            S: * OK [UIDVALIDITY ...
            S: * OK [UIDNEXT 2] ...
            S: * OK [HIGHESTMODSEQ 2] highest modseq
            S: * OK [MAILBOXID ...
            S: a8 OK ...
            C: a9 FETCH 1 RFC822.SIZE
            S: * 1 FETCH (UID 1 RFC822.SIZE 17 MODSEQ (2))
            S: a9 OK ...
        """)

    def test_expunges_are_told_as_ever(self) -> None:
        self.transcript(r"""
            C: a1 SELECT INBOX (CONDSTORE)
            S: ...
            S: a1 OK ...
            C: a2 STORE 2 +FLAGS.SILENT (\Deleted)
            S: * 2 FETCH (UID 2 MODSEQ (6))
            S: a2 OK ...
            C: a3 EXPUNGE
            S: * 2 EXPUNGE
            S: a3 OK [HIGHESTMODSEQ 7] EXPUNGE completed
            C: a4 CREATE Elsewhere
            S: a4 OK ...
            C: a5 MOVE 1 Elsewhere
            S: * OK [COPYUID ...] moved
            S: * 1 EXPUNGE
            S: a5 OK [HIGHESTMODSEQ 8] MOVE completed
        """)


class FetchTests(CondstoreCase):
    def test_changed_since(self) -> None:
        self.client("2").say(r"b1 STORE 2,4 +FLAGS (\Flagged)")
        self.client().say("a0 NOOP")
        self.transcript(r"""
            C: a1 FETCH 1:* (FLAGS) (CHANGEDSINCE 4)
            S: * OK [HIGHESTMODSEQ 6] ...
            S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (6))
            S: * 4 FETCH (UID 4 FLAGS (\Flagged) MODSEQ (6))
            S: a1 OK FETCH completed
            C: a2 UID FETCH 1:3 (MODSEQ RFC822.SIZE) (CHANGEDSINCE 3)
            S: * 2 FETCH (UID 2 MODSEQ (6) RFC822.SIZE 17)
            S: * 3 FETCH (UID 3 MODSEQ (4) RFC822.SIZE 17)
            S: a2 OK FETCH completed
            C: a3 FETCH 1:* FLAGS (CHANGEDSINCE 6)
            S: a3 OK FETCH completed
            C: a4 FETCH 1:2 UID (CHANGEDSINCE 0)
            S: * 1 FETCH (UID 1 MODSEQ (2))
            S: * 2 FETCH (UID 2 MODSEQ (6))
            S: a4 OK FETCH completed
            C: a5 FETCH 9 FLAGS (CHANGEDSINCE 1)
            S: a5 BAD there is no message 9, the last one is 4
        """)

    def test_vanished_belongs_to_qresync(self) -> None:
        self.transcript("""
            C: a1 UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)
            S: a1 BAD QRESYNC has to be enabled first
        """)


class StoreTests(CondstoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.client().say("a0 ENABLE CONDSTORE")

    def test_what_succeeds_is_told_silent_or_not(self) -> None:
        self.transcript(r"""
            C: a1 UID STORE 2,4 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Deleted)
            S: * 2 FETCH (UID 2 MODSEQ (6))
            S: * 4 FETCH (UID 4 MODSEQ (6))
            S: a1 OK STORE completed
            C: a2 STORE 1 (UNCHANGEDSINCE 5) FLAGS (\Seen)
            S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (7))
            S: a2 OK STORE completed
        """)

    def test_a_message_that_has_the_flags_succeeds_and_keeps_its_modseq(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1 +FLAGS (\Seen)
            S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (6))
            S: a1 OK STORE completed
            C: a2 STORE 1:2 (UNCHANGEDSINCE 6) +FLAGS.SILENT (\Seen)
            S: * 1 FETCH (UID 1 MODSEQ (6))
            S: * 2 FETCH (UID 2 MODSEQ (7))
            S: a2 OK STORE completed
        """)

    def test_what_was_changed_meanwhile_is_left_alone(self) -> None:
        self.client("2").say(r"b1 STORE 2 +FLAGS (\Flagged)")
        self.transcript(r"""
            # By the numbers of messages:
            C: a1 STORE 1:3 (UNCHANGEDSINCE 5) +FLAGS (\Seen)
            S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (6))
            S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (7))
            S: * 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ (7))
            S: a1 OK [MODIFIED 2] STORE completed, but for messages that were changed
            # The client tries again with what it was told:
            C: a2 STORE 2 (UNCHANGEDSINCE 6) +FLAGS (\Seen)
            S: * 2 FETCH (UID 2 FLAGS (\Flagged \Seen) MODSEQ (8))
            S: a2 OK STORE completed
        """)

    def test_why_messages_failed_is_told(self) -> None:
        """Also where that was so before the mailbox was selected, and with .SILENT: nobody has to ask."""
        self.client("2").say(r"b1 STORE 2 +FLAGS (\Flagged)")
        self.transcript(r"""
            C: a1 SELECT INBOX
            S: ...
            S: a1 OK ...
            C: a2 STORE 1:2 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen)
            S: * 1 FETCH (UID 1 MODSEQ (7))
            S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (6))
            S: a2 OK [MODIFIED 2] ...
            C: a3 UID STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS (\Draft)
            S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (7))
            S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (6))
            S: a3 OK [MODIFIED 1:2] ...
        """)

    def test_what_changes_at_the_last_moment_is_told_once(self) -> None:
        original = MemoryMailbox.store

        async def store(mailbox: MemoryMailbox, *arguments: Any) -> Any:
            MemoryMailbox.store = original  # type: ignore[method-assign]
            self.client("2").say(r"b1 STORE 2 +FLAGS (\Flagged)")
            return await original(mailbox, *arguments)

        self.patch(MemoryMailbox, "store", store)
        self.transcript(r"""
            C: a1 STORE 1:2 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen)
            S: * 1 FETCH (UID 1 MODSEQ (7))
            S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (6))
            S: a1 OK [MODIFIED 2] ...
        """)

    def test_by_uid_what_failed_is_told_by_uid(self) -> None:
        self.client("2").say(r"b1 STORE 1 +FLAGS (\Deleted)")
        self.client("2").say("b2 EXPUNGE")
        self.client("2").say(r"b3 UID STORE 3 +FLAGS (\Flagged)")
        self.transcript(r"""
            C: a1 UID STORE 2:4 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen)
            S: * 3 FETCH (UID 3 FLAGS (\Flagged) MODSEQ (8))
            S: * 2 FETCH (UID 2 MODSEQ (9))
            S: * 4 FETCH (UID 4 MODSEQ (9))
            S: * 1 EXPUNGE
            S: a1 OK [MODIFIED 3] ...
        """)

    def test_messages_that_are_gone(self) -> None:
        self.client("2").say(r"b1 STORE 3:4 +FLAGS (\Deleted)")
        self.client("2").say("b2 EXPUNGE")
        self.client("2").say(r"b3 STORE 2 +FLAGS (\Answered)")
        self.transcript(r"""
            C: a1 STORE 1:4 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen)
            S: * 2 FETCH (UID 2 FLAGS (\Answered) MODSEQ (8))
            S: * 1 FETCH (UID 1 MODSEQ (9))
            S: a1 NO [MODIFIED 2] some of the messages do not exist any more
            C: a2 NOOP
            S: * 4 EXPUNGE
            S: * 3 EXPUNGE
            S: a2 OK ...
            C: a3 STORE 2 (UNCHANGEDSINCE 8) +FLAGS.SILENT (\Seen)
            S: * 2 FETCH (UID 2 MODSEQ (10))
            S: a3 OK STORE completed
        """)

    def test_nothing_but_messages_that_are_gone(self) -> None:
        self.client("2").say(r"b1 STORE 4 +FLAGS (\Deleted)")
        self.client("2").say("b2 EXPUNGE")
        self.transcript(r"""
            C: a1 STORE 4 (UNCHANGEDSINCE 5) +FLAGS (\Seen)
            S: a1 OK [EXPUNGEISSUED] STORE completed
            C: a2 UID STORE 4 (UNCHANGEDSINCE 5) +FLAGS (\Seen)
            S: * 4 EXPUNGE
            S: a2 OK [EXPUNGEISSUED] STORE completed
        """)

    def test_of_two_clients_one_wins(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT ($Mine)
            S: * FLAGS ...
            S: * OK [PERMANENTFLAGS ...
            S: * 1 FETCH (UID 1 MODSEQ (6))
            S: a1 OK STORE completed
            C2: b1 STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT ($Yours)
            S2: * OK [HIGHESTMODSEQ 5] highest modseq
            S2: * FLAGS ...
            S2: * OK [PERMANENTFLAGS ...
            S2: * 1 FETCH (UID 1 FLAGS ($Mine) MODSEQ (6))
            S2: b1 OK [MODIFIED 1] ...
        """)


class SearchTests(CondstoreCase):
    def test_results_end_with_their_highest_modseq(self) -> None:
        self.client("2").say(r"b1 STORE 1 +FLAGS (\Flagged)")
        self.client().say("a0 ENABLE CONDSTORE")
        self.transcript(r"""
            C: a1 SEARCH MODSEQ 5
            S: * SEARCH 1 4 (MODSEQ 6)
            S: * 1 FETCH (UID 1 FLAGS (\Flagged) MODSEQ (6))
            S: a1 OK SEARCH completed
            C: a2 UID SEARCH MODSEQ 3 UNFLAGGED
            S: * SEARCH 2 3 4 (MODSEQ 5)
            S: a2 OK SEARCH completed
            C: a3 SEARCH OR MODSEQ "/flags/\\draft" all 6 NOT MODSEQ "/flags/$Work" priv 3
            S: * SEARCH 1 (MODSEQ 6)
            S: a3 OK SEARCH completed
            C: a4 SEARCH MODSEQ 7
            S: * SEARCH
            S: a4 OK SEARCH completed
            C: a5 SEARCH MODSEQ 0
            S: * SEARCH 1 2 3 4 (MODSEQ 6)
            S: a5 OK SEARCH completed
            C: a6 SEARCH ALL
            S: * SEARCH 1 2 3 4
            S: a6 OK SEARCH completed
        """)


class StatusTests(CondstoreCase):
    def test_highestmodseq(self) -> None:
        self.transcript(r"""
            C: a1 STATUS INBOX (MESSAGES HIGHESTMODSEQ)
            S: * OK [HIGHESTMODSEQ 5] highest modseq
            S: * STATUS INBOX (MESSAGES 4 HIGHESTMODSEQ 5)
            S: a1 OK STATUS completed
            C: a2 STATUS Trash (HIGHESTMODSEQ)
            S: * STATUS Trash (HIGHESTMODSEQ 1)
            S: a2 OK STATUS completed
        """)


class UnfinishedTests(CondstoreCase):
    def test_a_command_that_fails_says_what_the_client_knows(self) -> None:
        """Somebody's change of message 1 has the modseq 6, and could not be told; that of message 2 has 7, and was."""
        self.client().say("a0 ENABLE CONDSTORE")
        fetch = MemoryMailbox.fetch

        async def fail_after_the_first(self: MemoryMailbox, *arguments: Any) -> Any:
            async for batch in fetch(self, *arguments):
                yield batch
                raise Unavailable("the store is away")

        self.client("2").say(r"b1 STORE 1 +FLAGS (\Seen)")
        self.client("2").say(r"b2 STORE 2 +FLAGS (\Seen)")
        self.patch(MemoryMailbox, "fetch", fail_after_the_first)
        self.transcript("""
            C: a1 FETCH 2 RFC822.SIZE
            S: * 2 FETCH (UID 2 RFC822.SIZE 17 MODSEQ (7))
            S: * OK [HIGHESTMODSEQ 5] known
            S: a1 NO [UNAVAILABLE] the store is away
        """)


class NoModseqTests(IMAPCase):
    """An account that keeps no modseqs."""

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", MESSAGE)
        provided = list(implementedBy(MemoryAccount))
        others = [each for each in provided if each is not ICondstoreAccount]
        classImplementsOnly(MemoryAccount, *others)
        self.addCleanup(classImplementsOnly, MemoryAccount, *provided)

    def test_it_says_so_and_refuses_what_needs_them(self) -> None:
        self.assertNotIn("CONDSTORE", " ".join(self.client().say("a0 CAPABILITY")))
        self.transcript(r"""
            C: a1 ENABLE CONDSTORE QRESYNC
            S: * ENABLED
            S: a1 OK ...
            C: a2 STATUS INBOX (HIGHESTMODSEQ)
            S: * STATUS INBOX (HIGHESTMODSEQ 0)
            S: a2 OK ...
            C: a3 SELECT INBOX (CONDSTORE)
            S: ...
            S: * OK [NOMODSEQ] modseqs are not kept here
            S: * OK [MAILBOXID ...
            S: a3 OK [READ-WRITE] SELECT completed
            C: a4 FETCH 1 (MODSEQ)
            S: a4 BAD there are no modseqs in this mailbox
            C: a5 FETCH 1 FLAGS (CHANGEDSINCE 1)
            S: a5 BAD ...
            C: a6 SEARCH NOT MODSEQ 1
            S: a6 BAD ...
            C: a7 STORE 1 (UNCHANGEDSINCE 9) +FLAGS (\Seen)
            S: a7 BAD ...
            C: a8 SELECT INBOX (QRESYNC (1 1))
            S: a8 BAD QRESYNC has to be enabled first
            C: a9 STORE 1 +FLAGS (\Seen \Deleted)
            S: * 1 FETCH (FLAGS (\Recent \Deleted \Seen))
            S: a9 OK ...
            C: a10 EXPUNGE
            S: * 1 EXPUNGE
            S: a10 OK EXPUNGE completed
        """)
