"""What one session is told, and must not be told, while another changes the mailbox (RFC 3501 §5.2, §7.4.1)."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import Unavailable
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.memory.model import Mailbox
from twisted_duck.values import Change, Changes

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


class TwoSessionsCase(IMAPCase):
    """Two sessions have INBOX open, with three messages that are \\Recent in neither."""

    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", MESSAGE, MESSAGE, MESSAGE)
        self.client("0").disconnect()
        self.client("")
        self.client("2")


class ExpungeTests(TwoSessionsCase):
    def expunge_the_second(self) -> None:
        self.client("2").say(r"b1 STORE 2 +FLAGS.SILENT (\Deleted)")
        self.client("2").say("b2 EXPUNGE")

    def test_fetch_store_and_search_do_not_tell(self) -> None:
        self.expunge_the_second()
        self.transcript(r"""
            C: a1 FETCH 1:3 UID
            S: * 1 FETCH (UID 1)
            S: * 3 FETCH (UID 3)
            S: a1 OK [EXPUNGEISSUED] FETCH completed
            C: a2 STORE 2:3 +FLAGS (\Seen)
            S: * 3 FETCH (FLAGS (\Seen))
            S: a2 OK [EXPUNGEISSUED] STORE completed
            C: a3 STORE 2 +FLAGS.SILENT (\Seen)
            S: a3 OK [EXPUNGEISSUED] STORE completed
            C: a4 SEARCH ALL
            S: * SEARCH 1 3
            S: a4 OK SEARCH completed
            C: a5 FETCH 3 BODY.PEEK[]<0.1>
            S: * 3 FETCH (BODY[]<0> {1}
            S: S)
            S: a5 OK FETCH completed
            C: a6 NOOP
            S: * 2 EXPUNGE
            S: a6 OK NOOP completed
            C: a7 FETCH 2 UID
            S: * 2 FETCH (UID 3)
            S: a7 OK FETCH completed
        """)

    def test_uid_commands_may_tell_when_they_are_done(self) -> None:
        for command, answer in (
            ("UID FETCH 2:3 FLAGS", "* 3 FETCH (UID 3 FLAGS ())"),
            ("UID SEARCH ALL", "* SEARCH 1 3"),
            (r"UID STORE 3 -FLAGS (\Seen)", "* 3 FETCH (UID 3 FLAGS ())"),
        ):
            with self.subTest(command=command):
                self.setUp()
                self.expunge_the_second()
                self.transcript(f"""
                    C: a1 {command}
                    S: {answer}
                    S: * 2 EXPUNGE
                    S: a1 OK ...
                """)

    def test_commands_that_name_no_numbers_tell(self) -> None:
        for command in ("NOOP", "CHECK", "EXPUNGE", "COPY 1 Trash", "MOVE 1 Trash"):
            with self.subTest(command=command):
                self.setUp()
                self.expunge_the_second()
                self.assertIn("* 2 EXPUNGE", self.client().say(f"a1 {command}"))

    def test_copy_of_a_message_that_is_gone(self) -> None:
        self.expunge_the_second()
        self.transcript("""
            C: a1 COPY 1:3 Trash
            S: a1 NO [EXPUNGEISSUED] some of the messages do not exist any more
            C: a2 MOVE 2 Trash
            S: a2 NO [EXPUNGEISSUED] ...
            C: a3 STATUS Trash (MESSAGES)
            S: * STATUS Trash (MESSAGES 0)
            S: a3 OK ...
            C: a4 UID COPY 1:3 Trash
            S: * 2 EXPUNGE
            S: a4 OK [COPYUID ... 1,3 1:2] COPY completed
        """)

    def test_numbers_hold_until_the_expunge_is_told_whatever_arrives(self) -> None:
        self.expunge_the_second()
        self.deliver("INBOX", MESSAGE)
        self.transcript("""
            C: a1 FETCH 3 UID
            S: * 3 FETCH (UID 3)
            S: * 4 EXISTS
            S: * 1 RECENT
            S: a1 OK ...
            C: a2 FETCH 4 UID
            S: * 4 FETCH (UID 4)
            S: a2 OK ...
            C: a3 NOOP
            S: * 2 EXPUNGE
            S: a3 OK ...
            C: a4 FETCH 3 UID
            S: * 3 FETCH (UID 4)
            S: a4 OK ...
        """)

    def test_uid_expunge_spares_what_the_client_has_not_been_told_of(self) -> None:
        self.deliver("INBOX", MESSAGE, flags=["\\Deleted"])
        self.transcript(r"""
            C: a1 UID EXPUNGE 1:4
            S: * 4 EXISTS
            S: * 1 RECENT
            S: a1 OK ...
            C: a2 UID EXPUNGE 1:4
            S: * 4 EXPUNGE
            S: a2 OK ...
        """)

    def test_close_says_nothing_to_itself_and_all_to_others(self) -> None:
        self.transcript(r"""
            C2: b1 STORE 1,3 +FLAGS.SILENT (\Deleted)
            S2: b1 OK ...
            C2: b2 CLOSE
            S2: b2 OK CLOSE completed
            C: a1 NOOP
            S: * 3 EXPUNGE
            S: * 1 EXPUNGE
            S: a1 OK ...
        """)

    def test_mailbox_that_moves_while_a_client_reads_slowly(self) -> None:
        self.deliver("INBOX", *[b"\r\n" + b"x" * 100_000] * 2, flags=["Work"])
        client = self.client()
        client.say("a0 NOOP")
        client.transport.slow = True
        client.send(b"a1 FETCH 4:5 (FLAGS BODY.PEEK[TEXT])\r\n")
        for command in (
            "NOOP",
            r"STORE 1 +FLAGS.SILENT (\Deleted)",
            "EXPUNGE",
            r"STORE 3:4 FLAGS.SILENT (\Draft)",
            r"STORE 1 FLAGS.SILENT (\Flagged)",
            r"STORE 2 FLAGS.SILENT (\Answered)",
        ):
            self.assertIn("b1 OK", self.client("2").say(f"b1 {command}")[-1])
        said = b""
        while b"a1 OK" not in said[-100:]:
            said += client.take()
        said = said.replace(b"x", b"")
        self.assertIn(rb"* 4 FETCH (FLAGS (\Recent Work) BODY[TEXT] {100000}", said)
        self.assertIn(rb"* 5 FETCH (FLAGS (\Recent Work) BODY[TEXT] {100000}", said)
        # And then, as they are now.
        self.assertIn(rb"* 4 FETCH (FLAGS (\Recent \Draft))", said)
        self.assertIn(rb"* 5 FETCH (FLAGS (\Recent \Draft))", said)


class ArrivalTests(TwoSessionsCase):
    def test_every_command_of_the_mailbox_tells(self) -> None:
        for command in ("FETCH 1 UID", "SEARCH 77", r"STORE 1 FLAGS.SILENT ()", "COPY 1 Trash"):
            with self.subTest(command=command):
                self.setUp()
                self.deliver("INBOX", MESSAGE)
                said = self.client().say(f"a1 {command}")
                self.assertIn("* 4 EXISTS", said)
                self.assertIn("* 1 RECENT", said)

    def test_recent_for_one_session_only(self) -> None:
        self.deliver("INBOX", MESSAGE)
        self.transcript(r"""
            C2: b1 NOOP
            S2: * 4 EXISTS
            S2: * 1 RECENT
            S2: b1 OK ...
            C: a1 NOOP
            S: * 4 EXISTS
            S: * 0 RECENT
            S: a1 OK ...
            C2: b2 FETCH 4 FLAGS
            S2: * 4 FETCH (FLAGS (\Recent))
            S2: b2 OK ...
            C: a2 FETCH 4 FLAGS
            S: * 4 FETCH (FLAGS ())
            S: a2 OK ...
            C2: b3 SEARCH RECENT
            S2: * SEARCH 4
            S2: b3 OK ...
            C: a3 SEARCH RECENT
            S: * SEARCH
            S: a3 OK ...
        """)

    def test_search_finds_only_what_the_client_knows(self) -> None:
        self.deliver("INBOX", MESSAGE)
        self.transcript("""
            C: a1 UID SEARCH ALL
            S: * SEARCH 1 2 3
            S: * 4 EXISTS
            S: * 1 RECENT
            S: a1 OK ...
        """)

    def test_fetch_of_the_last_is_of_the_last_known(self) -> None:
        self.deliver("INBOX", MESSAGE)
        self.transcript("""
            C: a1 UID FETCH * UID
            S: * 3 FETCH (UID 3)
            S: * 4 EXISTS
            S: * 1 RECENT
            S: a1 OK ...
        """)

    def test_recent_is_not_worth_failing_a_command(self) -> None:
        self.deliver("INBOX", MESSAGE)
        self.break_(MemoryMailbox, "claim_recent", Unavailable("away"))
        self.transcript("""
            C: a1 NOOP
            S: * 4 EXISTS
            S: * 0 RECENT
            S: a1 OK NOOP completed
        """)


class FlagsTests(TwoSessionsCase):
    def test_changes_of_others_are_told_once(self) -> None:
        self.transcript(r"""
            C2: b1 STORE 2:3 +FLAGS.SILENT (\Flagged)
            S2: b1 OK ...
            C: a1 NOOP
            S: * 2 FETCH (FLAGS (\Flagged))
            S: * 3 FETCH (FLAGS (\Flagged))
            S: a1 OK ...
            C: a2 NOOP
            S: a2 OK ...
            C2: b2 NOOP
            S2: b2 OK ...
        """)

    def test_silent_hides_nothing_that_others_did(self) -> None:
        self.transcript(r"""
            C2: b1 STORE 1 +FLAGS.SILENT (\Flagged)
            S2: b1 OK ...
            C: a1 STORE 1 +FLAGS.SILENT (\Seen)
            S: * 1 FETCH (FLAGS (\Flagged))
            S: a1 OK ...
            C: a2 NOOP
            S: a2 OK ...
            C2: b2 NOOP
            S2: * 1 FETCH (FLAGS (\Flagged \Seen))
            S2: b2 OK ...
        """)

    def test_silent_hides_nothing_that_came_with_it_from_another_process(self) -> None:
        """The other process's change and ours reach the index in one step, and one change of a message hides another."""

        def commit(mailbox, *, changed):  # type: ignore[no-untyped-def]
            modseq = mailbox.index.highest_modseq + 2
            steps = [Change(uid, modseq, flags | {"\\Flagged"}) for uid, flags in changed]
            mailbox.index.apply(Changes(modseq, 4, 4, steps))

        self.patch(Mailbox, "commit", commit)
        self.transcript(r"""
            C: a1 STORE 1 +FLAGS.SILENT (\Seen)
            S: * 1 FETCH (FLAGS (\Flagged \Seen))
            S: a1 OK ...
        """)

    def test_reading_tells_others_that_it_was_seen(self) -> None:
        self.transcript(r"""
            C2: b1 FETCH 1 BODY[]<0.1>
            S2: * 1 FETCH (FLAGS (\Seen) BODY[]<0> {1}
            S2: S)
            S2: b1 OK ...
            C: a1 NOOP
            S: * 1 FETCH (FLAGS (\Seen))
            S: a1 OK ...
        """)

    def test_keywords_of_others_are_defined_first(self) -> None:
        self.transcript(r"""
            C2: b1 STORE 1 +FLAGS.SILENT (Later)
            S2: ...
            S2: b1 OK ...
            C: a1 NOOP
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft Later)
            S: * OK [PERMANENTFLAGS (... Later \*)] ...
            S: * 1 FETCH (FLAGS (Later))
            S: a1 OK ...
        """)

    def test_more_news_than_fit_between_two_breaths(self) -> None:
        self.deliver("INBOX", *[MESSAGE] * 1200)
        self.client().say("a0 NOOP")
        self.client("2").say("b0 NOOP")
        self.client("2").say(r"b1 STORE 1:1203 +FLAGS.SILENT (\Seen)")
        said = self.client().say("a1 NOOP")
        self.assertEqual(len(said), 1204)
        self.assertEqual(said[-1], "a1 OK NOOP completed")


class MailboxTests(TwoSessionsCase):
    def test_deleted_mailbox_ends_the_session_that_has_it_open(self) -> None:
        self.transcript("""
            C: a1 SELECT Junk
            S: ...
            S: a1 OK ...
            C2: b1 DELETE Junk
            S2: b1 OK ...
            C: a2 NOOP
            S: * BYE the selected mailbox was deleted, or renamed
        """)
        self.assertTrue(self.client().transport.closed)

    def test_deleted_mailbox_can_be_left(self) -> None:
        for command in ("SELECT INBOX", "UNSELECT", "CLOSE"):
            with self.subTest(command=command):
                self.setUp()
                self.client().say("a1 SELECT Junk")
                self.client("2").say("b1 DELETE Junk")
                self.assertIn("a2 OK", self.client().say(f"a2 {command}")[-1])

    def test_mailbox_of_the_same_name_is_another(self) -> None:
        self.transcript("""
            C: a1 SELECT Junk
            S: ...
            S: a1 OK ...
            C2: b1 DELETE Junk
            S2: b1 OK ...
            C2: b2 CREATE Junk
            S2: b2 OK ...
            C: a2 FETCH 1:* FLAGS
            S: a2 OK ...
            C: a3 CHECK
            S: * BYE the selected mailbox was deleted, or renamed
        """)

    def test_renamed_mailbox_stays_open(self) -> None:
        self.transcript("""
            C: a1 SELECT Junk
            S: ...
            S: a1 OK ...
            C2: b1 RENAME Junk Spam
            S2: b1 OK ...
            C2: b2 APPEND Spam {1+}
            C2: x
            S2: b2 OK ...
            C: a2 NOOP
            S: * 1 EXISTS
            S: * 1 RECENT
            S: a2 OK ...
            C: a3 CLOSE
            S: a3 OK ...
        """)

    def test_renamed_inbox_loses_its_messages(self) -> None:
        self.transcript("""
            C2: b1 RENAME INBOX Old
            S2: b1 OK ...
            C: a1 NOOP
            S: * 3 EXPUNGE
            S: * 2 EXPUNGE
            S: * 1 EXPUNGE
            S: a1 OK ...
        """)
