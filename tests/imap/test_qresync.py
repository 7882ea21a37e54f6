"""QRESYNC (RFC 7162 §3.2)."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase
from twisted_duck.memory.mailbox import MemoryMailbox

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


class QResyncCase(IMAPCase):
    """INBOX has the messages 1 to 6, with the modseqs 2 to 7, \\Recent in none of the sessions.

    Session 2 has it selected, in which nothing is enabled; session 1 has QRESYNC enabled, and nothing selected.
    """

    def setUp(self) -> None:
        super().setUp()
        for _ in range(6):
            self.deliver("INBOX", MESSAGE)
        self.validity = self.do("status", "INBOX").uidvalidity
        self.client("0").say("z0 SELECT INBOX")
        self.client("0").disconnect()
        self.client("2").say("b0 SELECT INBOX")
        self.client().say("a0 ENABLE QRESYNC")

    def say(self, name: str, line: str) -> list[str]:
        """Of what takes several turns."""
        heard = self.client(name).say(line)
        while not heard or not heard[-1].startswith(line.split()[0]):
            self.clock.advance(0)
            heard += self.client(name).heard().decode().split("\r\n")[:-1]
        return heard

    def expunge(self, numbers: str) -> None:
        """By the session that has nothing enabled: one modseq for the flags, and one for the expunge."""
        self.client("2").say(rf"b1 STORE {numbers} +FLAGS.SILENT (\Deleted)")
        self.client("2").say("b2 EXPUNGE")

    def select(self, mailbox: str = "INBOX") -> None:
        self.client().say(f"a0 SELECT {mailbox}")

    def resync(self, arguments: str, *told: str) -> None:
        """What SELECT tells on top of what it always does."""
        lines = self.client().say(f"a1 SELECT INBOX (QRESYNC ({self.validity} {arguments}))")
        start = next(n for n, line in enumerate(lines) if "[MAILBOXID" in line)
        self.assertEqual(lines[start + 1 : -1], list(told), arguments)
        self.assertEqual(lines[-1], "a1 OK [READ-WRITE] SELECT completed")


class EnabledTests(QResyncCase):
    def test_not_enabled(self) -> None:
        self.transcript("""
            C3: c1 SELECT INBOX (QRESYNC (1 2))
            S3: c1 BAD QRESYNC has to be enabled first
            C3: c2 ENABLE CONDSTORE
            S3: * ENABLED CONDSTORE
            S3: c2 OK ...
            C3: c3 EXAMINE INBOX (QRESYNC (1 2))
            S3: c3 BAD QRESYNC has to be enabled first
            C3: c4 EXAMINE INBOX
            S3: ...
            S3: c4 OK ...
            C3: c5 UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)
            S3: c5 BAD QRESYNC has to be enabled first
        """)

    def test_a_bad_select_leaves_the_mailbox_selected(self) -> None:
        self.transcript("""
            C2: b1 SELECT Trash (QRESYNC (1 2))
            S2: b1 BAD QRESYNC has to be enabled first
            C2: b2 FETCH 1 UID
            S2: * 1 FETCH (UID 1)
            S2: b2 OK ...
        """)

    def test_what_can_be_said_only_once_enabled(self) -> None:
        self.transcript("""
            C: a1 SELECT INBOX (CONDSTORE QRESYNC (1 2))
            S: ...
            S: a1 OK ...
            C: a2 FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)
            S: a2 BAD VANISHED belongs to UID FETCH with CHANGEDSINCE...
            C: a3 UID FETCH 1 FLAGS (VANISHED)
            S: a3 BAD VANISHED belongs to UID FETCH with CHANGEDSINCE...
        """)

    def test_every_fetch_has_uid_and_modseq(self) -> None:
        self.select()
        self.client("2").say(r"b1 STORE 2 +FLAGS (\Seen)")
        self.transcript(r"""
            C: a1 NOOP
            S: * 2 FETCH (UID 2 FLAGS (\Seen) MODSEQ (8))
            S: a1 OK ...
            C: a2 STORE 3 +FLAGS (\Seen)
            S: * 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ (9))
            S: a2 OK ...
            C: a3 STORE 4 (UNCHANGEDSINCE 7) +FLAGS.SILENT (\Seen)
            S: * 4 FETCH (UID 4 MODSEQ (10))
            S: a3 OK ...
            C: a4 FETCH 1 FLAGS
            S: * 1 FETCH (UID 1 FLAGS () MODSEQ (2))
            S: a4 OK ...
        """)


class VanishedTests(QResyncCase):
    """VANISHED in the place of EXPUNGE: §3.2.7, §3.2.9, §3.2.10.2."""

    def setUp(self) -> None:
        super().setUp()
        self.select()

    def test_own_expunges(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1,3:4 +FLAGS.SILENT (\Deleted)
            S: * 1 FETCH (UID 1 MODSEQ (8))
            S: * 3 FETCH (UID 3 MODSEQ (8))
            S: * 4 FETCH (UID 4 MODSEQ (8))
            S: a1 OK ...
            C: a2 UID EXPUNGE 1
            S: * VANISHED 1
            S: a2 OK [HIGHESTMODSEQ 9] EXPUNGE completed
            C: a3 EXPUNGE
            S: * VANISHED 3:4
            S: a3 OK [HIGHESTMODSEQ 10] EXPUNGE completed
            C: a4 EXPUNGE
            S: a4 OK EXPUNGE completed
            C: a5 FETCH 1:* UID
            S: * 1 FETCH (UID 2 MODSEQ (3))
            S: * 2 FETCH (UID 5 MODSEQ (6))
            S: * 3 FETCH (UID 6 MODSEQ (7))
            S: a5 OK ...
        """)

    def test_those_of_others(self) -> None:
        self.expunge("2,5")
        self.deliver("INBOX", MESSAGE)
        self.transcript("""
            C: a1 NOOP
            S: * VANISHED 2,5
            S: * 5 EXISTS
            S: * 1 RECENT
            S: a1 OK ...
            C2: b1 NOOP
            S2: * 5 EXISTS
            S2: * 0 RECENT
            S2: b1 OK ...
        """)

    def test_during_idle(self) -> None:
        self.transcript(r"""
            C: a1 IDLE
            S: + idling
            C2: b1 STORE 2 +FLAGS.SILENT (\Deleted)
            S2: b1 OK ...
            S: * 2 FETCH (UID 2 FLAGS (\Deleted) MODSEQ (8))
            C2: b2 EXPUNGE
            S2: * 2 EXPUNGE
            S2: b2 OK EXPUNGE completed
            S: * VANISHED 2
            C: DONE
            S: a1 OK ...
        """)

    def test_move(self) -> None:
        validity = self.do("status", "Trash").uidvalidity
        self.transcript(f"""
            C: a1 MOVE 2:3 Trash
            S: * OK [COPYUID {validity} 2:3 1:2] moved
            S: * VANISHED 2:3
            S: a1 OK [HIGHESTMODSEQ 8] MOVE completed
            C: a2 UID MOVE 4 INBOX
            S: * OK [COPYUID {self.validity} 4 7] moved
            S: * VANISHED 4
            S: * 4 EXISTS
            S: * 1 RECENT
            S: a2 OK [HIGHESTMODSEQ ...] MOVE completed
        """)

    def test_close_says_nothing(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1 +FLAGS.SILENT (\Deleted)
            S: * 1 FETCH (UID 1 MODSEQ (8))
            S: a1 OK ...
            C: a2 CLOSE
            S: a2 OK CLOSE completed
        """)

    def test_not_during_fetch_store_and_search_and_then_the_client_is_told_what_it_knows(
        self,
    ) -> None:
        self.expunge("2")
        self.client("2").say(r"b1 UID STORE 3 +FLAGS (\Seen)")
        self.transcript(r"""
            # It is told of the modseq 10, and not yet of the expunge, which was 9.
            C: a1 FETCH 3 FLAGS
            S: * 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ (10))
            S: * 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ (10))
            S: * OK [HIGHESTMODSEQ 7] known
            S: a1 OK FETCH completed
            C: a2 SEARCH ALL
            S: * SEARCH 1 3 4 5 6
            S: a2 OK ...
            C: a3 STORE 6 +FLAGS.SILENT (\Seen)
            S: * 6 FETCH (UID 6 MODSEQ (11))
            S: * OK [HIGHESTMODSEQ 7] known
            S: a3 OK ...
            C: a4 UID FETCH 3 FLAGS
            S: * 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ (10))
            S: * VANISHED 2
            S: a4 OK ...
        """)

    def test_many_at_once_take_several_lines(self) -> None:
        self.deliver("INBOX", *[b"x"] * 1100)
        for name in ("", "2"):
            self.client(name).say("b1 NOOP")
        numbers = ",".join(str(number) for number in range(8, 1106, 2))
        self.say("2", rf"b2 STORE {numbers} +FLAGS.SILENT (\Deleted)")
        self.say("2", "b3 EXPUNGE")
        told = [line for line in self.say("", "a1 NOOP") if "VANISHED" in line]
        self.assertEqual(len(told), 2)
        self.assertEqual(",".join(line.removeprefix("* VANISHED ") for line in told), numbers)


class SelectTests(QResyncCase):
    """SELECT (QRESYNC (uidvalidity modseq [known-uids] [seq-match-data])): §3.2.5."""

    def test_as_in_the_rfc(self) -> None:
        self.expunge("2,4")
        self.client("2").say(r"b1 UID STORE 5 +FLAGS (\Seen)")
        self.transcript(rf"""
            C: a1 SELECT INBOX (QRESYNC ({self.validity} 7 1:6))
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
            S: * OK [PERMANENTFLAGS ...
            S: * 4 EXISTS
            S: * 0 RECENT
            S: * OK [UNSEEN 1] ...
            S: * OK [UIDVALIDITY {self.validity}] ...
            S: * OK [UIDNEXT 7] ...
            S: * OK [HIGHESTMODSEQ 10] highest modseq
            S: * OK [MAILBOXID ...
            S: * VANISHED (EARLIER) 2,4
            S: * 3 FETCH (UID 5 FLAGS (\Seen) MODSEQ (10))
            S: a1 OK [READ-WRITE] SELECT completed
        """)

    def test_closed_is_between_two_mailboxes(self) -> None:
        self.select("Trash")
        lines = self.client().say(f"a1 SELECT INBOX (QRESYNC ({self.validity} 7))")
        self.assertEqual(lines[0], "* OK [CLOSED] the mailbox before is closed")
        self.client().say("a2 CLOSE")
        self.assertNotIn("CLOSED", " ".join(self.client().say("a3 SELECT INBOX")))

    def test_another_uidvalidity_is_no_resynchronisation(self) -> None:
        self.expunge("2")
        lines = self.client().say(f"a1 SELECT INBOX (QRESYNC ({self.validity - 1} 2))")
        self.assertIn("MAILBOXID", lines[-2])

    def test_known_uids(self) -> None:
        self.expunge("2,4")
        self.client("2").say(r"b1 STORE 1:* +FLAGS.SILENT (\Seen)")
        flags = r"FLAGS (\Seen) MODSEQ (10))"
        one, three = f"* 1 FETCH (UID 1 {flags}", f"* 2 FETCH (UID 3 {flags}"
        five, six = f"* 3 FETCH (UID 5 {flags}", f"* 4 FETCH (UID 6 {flags}"
        gone = "* VANISHED (EARLIER) "
        self.resync("7", gone + "2,4", one, three, five, six)
        self.resync("7 1:6", gone + "2,4", one, three, five, six)
        self.resync("7 1:4294967295", gone + "2,4", one, three, five, six)
        self.resync("7 3:6", gone + "4", three, five, six)
        self.resync("7 1,3,5", one, three, five)
        self.resync("7 2", gone + "2")
        self.resync("9", one, three, five, six)
        self.resync("10")
        self.resync("9223372036854775807 1:6")
        self.resync("7 7:9")

    def test_numbers_and_uids_say_where_to_begin(self) -> None:
        self.expunge("2,4")
        gone = "* VANISHED (EARLIER) "
        self.resync("7 1:6 (1,3,5 1,3,5)", gone + "2,4")
        # Number 2 was UID 3 when the client last looked, and is: it knows of what went before.
        self.resync("7 1:6 (1:2,4 1,3,5)", gone + "4")
        self.resync("7 1:6 (1:4 1,3,5:6)")
        self.resync("7 (1:3 1:3)", gone + "2,4")
        self.resync("7 1:6 (1:4294967295 1:4294967295)", gone + "2,4")
        self.resync("7 1:6 (9 9)", gone + "2,4")

    def test_what_is_not_remembered_is_told_coarsely(self) -> None:
        async def forgotten(mailbox: MemoryMailbox, modseq: int) -> None:
            return None

        self.expunge("2,4")
        self.client("2").say(r"b3 STORE 4 +FLAGS.SILENT (\Deleted)")
        self.client("2").say("b4 EXPUNGE")
        self.patch(MemoryMailbox, "vanished_since", forgotten)
        gone = "* VANISHED (EARLIER) "
        self.resync("9", gone + "2,4,6")
        self.resync("9 1:100", gone + "2,4,6")
        self.resync("9 2:3,6", gone + "2,6")
        self.resync("9 1:6 (1:3 1,3,5)", gone + "6")
        self.resync("11 1,3,5")

    def test_an_empty_mailbox(self) -> None:
        validity = self.do("status", "Trash").uidvalidity
        lines = self.client().say(f"a1 SELECT Trash (QRESYNC ({validity} 1))")
        self.assertIn("HIGHESTMODSEQ 1]", lines[-3])
        self.expunge("1:*")
        self.resync("7", "* VANISHED (EARLIER) 1:6")

    def test_a_change_while_it_looks(self) -> None:
        """The client is told of a modseq that is above HIGHESTMODSEQ, and then what it really knows."""
        self.client("2").say(r"b1 STORE 6 +FLAGS (\Flagged)")
        held = self.hold(MemoryMailbox, "vanished_since")
        client = self.client()
        client.say(f"a1 SELECT INBOX (QRESYNC ({self.validity} 7))")
        self.expunge("2")
        self.client("2").say(r"b3 UID STORE 3 +FLAGS (\Seen)")
        held.let_go()
        lines = client.heard().decode().split("\r\n")
        self.assertEqual(
            lines[:-2],
            [
                r"* 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ (11))",
                r"* 6 FETCH (UID 6 FLAGS (\Flagged) MODSEQ (8))",
                "* OK [HIGHESTMODSEQ 8] known",
            ],
        )
        self.assertIn("* VANISHED 2", client.say("a2 NOOP"))


class FetchTests(QResyncCase):
    """UID FETCH (CHANGEDSINCE n VANISHED): §3.2.6."""

    def test_as_in_the_rfc(self) -> None:
        self.expunge("2,4")
        self.client("2").say(r"b1 UID STORE 5 +FLAGS (\Seen)")
        self.select()
        self.transcript(r"""
            C: a1 UID FETCH 1:5 (FLAGS) (CHANGEDSINCE 7 VANISHED)
            S: * VANISHED (EARLIER) 2,4
            S: * 3 FETCH (UID 5 FLAGS (\Seen) MODSEQ (10))
            S: a1 OK FETCH completed
            C: a2 UID FETCH 3:6 (UID) (CHANGEDSINCE 8 VANISHED)
            S: * VANISHED (EARLIER) 4
            S: * 3 FETCH (UID 5 MODSEQ (10))
            S: a2 OK FETCH completed
            C: a3 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 10 VANISHED)
            S: a3 OK FETCH completed
        """)

    def test_star_is_the_largest_uid_there_can_be(self) -> None:
        self.expunge("5:6")
        self.select()
        self.transcript("""
            C: a1 UID FETCH 5:* (FLAGS) (CHANGEDSINCE 8 VANISHED)
            S: * VANISHED (EARLIER) 5:6
            S: a1 OK FETCH completed
        """)

    def test_what_has_a_number_yet_is_told_in_its_turn(self) -> None:
        self.select()
        self.expunge("2")
        self.transcript("""
            C: a1 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 7 VANISHED)
            S: * VANISHED 2
            S: a1 OK FETCH completed
            C: a2 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 7 VANISHED)
            S: * VANISHED (EARLIER) 2
            S: a2 OK FETCH completed
        """)
