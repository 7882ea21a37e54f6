"""What SEARCH returns: RFC 4731, RFC 5182, RFC 9394; RFC 7162 §3.1.10; OLDER and YOUNGER: RFC 5032."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import Unavailable
from twisted_duck.memory.mailbox import MemoryMailbox

MESSAGES = [b"Subject: number %d\r\n\r\n%s\r\n" % (n, b"x" * n) for n in range(1, 8)]


class SearchCase(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", *MESSAGES)
        # UIDs are not message numbers: 2 3 5 6 7 are left, as 1 to 5.
        self.do_expunge(1, 4)

    def do_expunge(self, *uids: int) -> None:
        client = self.client("expunging")
        client.say(f"y1 UID STORE {','.join(map(str, uids))} +FLAGS.SILENT (\\Deleted)")
        client.say("y2 EXPUNGE")


class ReturnTests(SearchCase):
    def test_what_is_returned(self) -> None:
        self.transcript(r"""
            C: a1 SEARCH RETURN (MIN MAX COUNT) LARGER 0
            S: * ESEARCH (TAG "a1") MIN 1 MAX 5 COUNT 5
            S: a1 OK SEARCH completed
            C: a2 UID SEARCH RETURN (MIN MAX COUNT ALL) LARGER 0
            S: * ESEARCH (TAG "a2") UID MIN 2 MAX 7 ALL 2:3,5:7 COUNT 5
            S: a2 OK SEARCH completed
            C: a3 SEARCH RETURN () 2:4 NOT 3
            S: * ESEARCH (TAG "a3") ALL 2,4
            S: a3 OK SEARCH completed
            C: a4 uid search return (min) uid 4:*
            S: * ESEARCH (TAG "a4") UID MIN 5
            S: a4 OK SEARCH completed
            C: a5 SEARCH RETURN (ALL) CHARSET utf-8 SUBJECT "number 7"
            S: * ESEARCH (TAG "a5") ALL 5
            S: a5 OK SEARCH completed
            # Nobody has asked for anything of the kind:
            C: a6 SEARCH 1:2
            S: * SEARCH 1 2
            S: a6 OK SEARCH completed
        """)

    def test_nothing_found(self) -> None:
        self.transcript(r"""
            C: a1 SEARCH RETURN (MIN MAX ALL) DRAFT
            S: * ESEARCH (TAG "a1")
            S: a1 OK SEARCH completed
            C: a2 UID SEARCH RETURN (ALL COUNT) DRAFT
            S: * ESEARCH (TAG "a2") UID COUNT 0
            S: a2 OK SEARCH completed
        """)

    def test_mistakes(self) -> None:
        self.transcript(r"""
            C: a1 SEARCH RETURN (MINIMUM) ALL
            S: a1 BAD MINIMUM can't be returned...
            C: a2 SEARCH RETURN MIN ALL
            S: a2 BAD ...
            C: a3 SEARCH RETURN (MIN)
            S: a3 BAD ...
            C: a4 SEARCH RETURN (MIN ) ALL
            S: a4 BAD ...
            C: a5 SEARCH RETURN (UPDATE) ALL
            S: a5 BAD UPDATE can't be returned...
            C: a6 SEARCH CHARSET UTF-8 RETURN (MIN) ALL
            S: a6 BAD RETURN is no search key...
            C: a7 SEARCH RETURN (MIN) CHARSET KLINGON TEXT x
            S: a7 NO [BADCHARSET (US-ASCII UTF-8 ...
        """)

    def test_a_tag_is_a_string(self) -> None:
        self.transcript(r"""
            C: a]1 SEARCH RETURN (COUNT) ALL
            S: * ESEARCH (TAG "a]1") COUNT 5
            S: a]1 OK ...
        """)

    def test_modseq(self) -> None:
        # The messages have the modseq 2; these changes are 5, 6 and 7.
        for uid in (3, 6, 5):
            self.client("2").say(f"x UID STORE {uid} +FLAGS.SILENT (\\Flagged)")
        self.transcript(r"""
            C: a0 NOOP
            S: ...
            S: a0 OK ...
            C: a1 SEARCH RETURN (MIN) MODSEQ 3
            S: * OK [HIGHESTMODSEQ 7] highest modseq
            S: * ESEARCH (TAG "a1") MIN 2 MODSEQ 5
            S: a1 OK ...
            C: a2 SEARCH RETURN (MAX) MODSEQ "/flags/\\flagged" all 3
            S: * ESEARCH (TAG "a2") MAX 4 MODSEQ 6
            S: a2 OK ...
            C: a3 UID SEARCH RETURN (MIN MAX) MODSEQ 3
            S: * ESEARCH (TAG "a3") UID MIN 3 MAX 6 MODSEQ 6
            S: a3 OK ...
            C: a4 SEARCH RETURN (MIN COUNT) MODSEQ 3
            S: * ESEARCH (TAG "a4") MIN 2 COUNT 3 MODSEQ 7
            S: a4 OK ...
            C: a5 SEARCH RETURN (ALL) MODSEQ 3
            S: * ESEARCH (TAG "a5") ALL 2:4 MODSEQ 7
            S: a5 OK ...
            C: a6 SEARCH RETURN (PARTIAL 1:1) MODSEQ 3
            S: * ESEARCH (TAG "a6") PARTIAL (1:1 2) MODSEQ 5
            S: a6 OK ...
            C: a7 SEARCH RETURN (COUNT MIN) MODSEQ 8
            S: * ESEARCH (TAG "a7") COUNT 0
            S: a7 OK ...
            C: a8 SEARCH MODSEQ 3
            S: * SEARCH 2 3 4 (MODSEQ 7)
            S: a8 OK ...
        """)

    def test_no_number_moves_during_search(self) -> None:
        self.client()
        self.do_expunge(2)
        self.transcript(r"""
            C: a1 SEARCH RETURN (ALL) ALL
            S: * ESEARCH (TAG "a1") ALL 2:5
            S: a1 OK ...
            C: a2 UID SEARCH RETURN (ALL) ALL
            S: * ESEARCH (TAG "a2") UID ALL 3,5:7
            S: * 1 EXPUNGE
            S: a2 OK ...
            C: a3 SEARCH RETURN (ALL) ALL
            S: * ESEARCH (TAG "a3") ALL 1:4
            S: a3 OK ...
        """)

    def test_message_numbers_hold_while_they_are_searched_for(self) -> None:
        for n, command in enumerate(
            ("SEARCH", "SORT (ARRIVAL) UTF-8", "THREAD REFERENCES UTF-8"), 1
        ):
            client = self.client(f"numbers {n}")
            client.say("a0 ENABLE QRESYNC")
            client.heard()
            self.do_expunge([2, 3, 5][n - 1])
            # RFC 7162 §3.2.10.2: not even where the answer tells UIDs.
            for criteria in ("1:*", "OR 1 DRAFT", "NOT (UID 7 1)"):
                said = client.say(f"a1 UID {command} {criteria}")
                self.assertEqual([line for line in said if "VANISHED" in line], [], criteria)
            # In `$` there are UIDs; RFC 5182 §2.1.
            client.say("a2 SEARCH RETURN (SAVE) ALL")
            said = client.say(f"a3 UID {command} $")
            self.assertIn(f"* VANISHED {[2, 3, 5][n - 1]}", said)

    def test_rev2(self) -> None:
        self.client().protocol.enabled.rev2 = True
        self.transcript(r"""
            C: a1 UID SEARCH LARGER 0
            S: * ESEARCH (TAG "a1") UID ALL 2:3,5:7
            S: a1 OK ...
            C: a2 SEARCH DRAFT
            S: * ESEARCH (TAG "a2")
            S: a2 OK ...
            C: a3 SORT (SIZE) UTF-8 1:2
            S: * SORT 1 2
            S: a3 OK ...
        """)


class PartialTests(SearchCase):
    def test_pages(self) -> None:
        self.transcript(r"""
            C: a1 UID SEARCH RETURN (PARTIAL 1:2) ALL
            S: * ESEARCH (TAG "a1") UID PARTIAL (1:2 2:3)
            S: a1 OK SEARCH completed
            C: a2 UID SEARCH RETURN (PARTIAL 4:3 COUNT) ALL
            S: * ESEARCH (TAG "a2") UID COUNT 5 PARTIAL (4:3 5:6)
            S: a2 OK ...
            C: a3 SEARCH RETURN (PARTIAL 4:100) ALL
            S: * ESEARCH (TAG "a3") PARTIAL (4:100 4:5)
            S: a3 OK ...
            C: a4 SEARCH RETURN (PARTIAL 6:100) ALL
            S: * ESEARCH (TAG "a4") PARTIAL (6:100 NIL)
            S: a4 OK ...
            C: a5 UID SEARCH RETURN (PARTIAL -1:-3 MIN) ALL
            S: * ESEARCH (TAG "a5") UID MIN 2 PARTIAL (-1:-3 5:7)
            S: a5 OK ...
            C: a6 UID SEARCH RETURN (PARTIAL -100:-4) ALL
            S: * ESEARCH (TAG "a6") UID PARTIAL (-100:-4 2:3)
            S: a6 OK ...
            C: a7 UID SEARCH RETURN (PARTIAL -6:-7) ALL
            S: * ESEARCH (TAG "a7") UID PARTIAL (-6:-7 NIL)
            S: a7 OK ...
            C: a8 UID SEARCH RETURN (PARTIAL 1:7) DRAFT
            S: * ESEARCH (TAG "a8") UID PARTIAL (1:7 NIL)
            S: a8 OK ...
        """)

    def test_mistakes(self) -> None:
        for option in (
            "PARTIAL",
            "PARTIAL 1",
            "PARTIAL 1:*",
            "PARTIAL 0:1",
            "PARTIAL -1:1",
            "PARTIAL 1:-1",
            "PARTIAL 1:4294967296",
            "ALL PARTIAL 1:2",
            "PARTIAL 1:2 ALL",
            "PARTIAL 1:2 PARTIAL 3:4",
        ):
            with self.subTest(option=option):
                [line] = self.client().say(f"a1 SEARCH RETURN ({option}) ALL")
                self.assertTrue(line.startswith("a1 BAD "), line)

    def test_fetch(self) -> None:
        self.transcript(r"""
            C: a1 UID FETCH 1:* (UID FLAGS) (PARTIAL 2:3)
            S: * 2 FETCH (UID 3 FLAGS ())
            S: * 3 FETCH (UID 5 FLAGS ())
            S: a1 OK FETCH completed
            C: a2 UID FETCH 1:6 UID (PARTIAL -1:-2)
            S: * 3 FETCH (UID 5)
            S: * 4 FETCH (UID 6)
            S: a2 OK ...
            C: a3 UID FETCH 1:* RFC822.SIZE (PARTIAL 6:9)
            S: a3 OK ...
            C: a4 FETCH 1:* FLAGS (PARTIAL 1:2)
            S: a4 BAD PARTIAL belongs to UID FETCH...
            C: a5 UID FETCH 1:* FLAGS (PARTIAL 1:2 PARTIAL 3:4)
            S: a5 BAD PARTIAL stands there twice...
        """)

    def test_fetch_of_what_changed_on_a_page(self) -> None:
        self.client("2").say("x UID STORE 3,7 +FLAGS.SILENT (\\Flagged)")
        self.transcript(r"""
            C: a1 UID FETCH 1:* (FLAGS) (PARTIAL -1:-2 CHANGEDSINCE 4)
            S: * OK [HIGHESTMODSEQ 5] highest modseq
            S: * 5 FETCH (UID 7 FLAGS (\Flagged) MODSEQ (5))
            S: a1 OK FETCH completed
            C: a2 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4 PARTIAL 1:2)
            S: * 2 FETCH (UID 3 FLAGS (\Flagged) MODSEQ (5))
            S: a2 OK FETCH completed
        """)


class SavedTests(SearchCase):
    def saved(self) -> str:
        """The UIDs that `$` stands for."""
        [line, _] = self.client().say("s1 UID SEARCH RETURN (ALL) $")
        return line.removeprefix('* ESEARCH (TAG "s1") UID').removeprefix(" ALL ")

    def test_nothing_is_saved_at_first(self) -> None:
        self.transcript(r"""
            C: a1 FETCH $ FLAGS
            S: a1 OK ...
            C: a2 SEARCH $
            S: * SEARCH
            S: a2 OK ...
            C: a3 COPY $ Archive
            S: a3 OK COPY completed: no messages
        """)

    def test_where_it_may_stand(self) -> None:
        self.transcript(r"""
            C: a1 SEARCH RETURN (SAVE) 2:3
            S: a1 OK SEARCH completed
            C: a2 FETCH $ UID
            S: * 2 FETCH (UID 3)
            S: * 3 FETCH (UID 5)
            S: a2 OK ...
            C: a3 UID FETCH $ FLAGS
            S: * 2 FETCH (UID 3 FLAGS ())
            S: * 3 FETCH (UID 5 FLAGS ())
            S: a3 OK ...
            C: a4 STORE $ +FLAGS (\Seen)
            S: * 2 FETCH (FLAGS (\Seen))
            S: * 3 FETCH (FLAGS (\Seen))
            S: a4 OK ...
            C: a5 UID SEARCH UID $ NOT UID 5
            S: * SEARCH 3
            S: a5 OK ...
            C: a6 SEARCH (OR $ 5) NOT 3
            S: * SEARCH 2 5
            S: a6 OK ...
            C: a7 UID SEARCH $
            S: * SEARCH 3 5
            S: a7 OK ...
            C: a8 COPY $ Archive
            S: a8 OK [COPYUID ... 3,5 1:2] COPY completed
            C: a9 UID STORE $ +FLAGS.SILENT (\Deleted)
            S: a9 OK ...
            C: b1 UID EXPUNGE $
            S: * 3 EXPUNGE
            S: * 2 EXPUNGE
            S: b1 OK ...
            C: b2 FETCH $ UID
            S: b2 OK ...
            C: b3 UID SEARCH RETURN (SAVE) UID 6
            S: b3 OK ...
            C: b4 MOVE $ Archive
            S: * OK [COPYUID ... 6 3] moved
            S: * 2 EXPUNGE
            S: b4 OK ...
        """)

    def test_it_stands_by_itself(self) -> None:
        for command in ("FETCH 1,$ FLAGS", "FETCH $,1 FLAGS", "FETCH $:2 FLAGS", "FETCH $$ FLAGS"):
            with self.subTest(command=command):
                [line] = self.client().say(f"a1 {command}")
                self.assertTrue(line.startswith("a1 BAD "), line)

    def test_what_changed_of_it(self) -> None:
        self.transcript(r"""
            C: a1 SEARCH RETURN (SAVE) 1:3
            S: a1 OK ...
            C: a2 STORE 2,5 +FLAGS.SILENT (\Seen)
            S: a2 OK ...
            C: a3 FETCH $ (FLAGS) (CHANGEDSINCE 4)
            S: * OK [HIGHESTMODSEQ 5] highest modseq
            S: * 2 FETCH (UID 3 FLAGS (\Seen) MODSEQ (5))
            S: a3 OK ...
        """)

    def test_what_is_expunged_leaves_it(self) -> None:
        self.client().say("a1 SEARCH RETURN (SAVE) 1:4")
        self.do_expunge(3, 6)
        self.transcript(r"""
            # Not told yet, and gone all the same:
            C: a2 FETCH $ UID
            S: * 1 FETCH (UID 2)
            S: * 3 FETCH (UID 5)
            S: a2 OK [EXPUNGEISSUED] ...
            C: a3 NOOP
            S: * 4 EXPUNGE
            S: * 2 EXPUNGE
            S: a3 OK ...
            C: a4 FETCH $ UID
            S: * 1 FETCH (UID 2)
            S: * 2 FETCH (UID 5)
            S: a4 OK FETCH completed
        """)

    def test_what_is_expunged_is_not_copied(self) -> None:
        self.client().say("a1 SEARCH RETURN (SAVE) 1:2")
        self.do_expunge(3)
        self.transcript(r"""
            C: a2 COPY $ Archive
            S: * 2 EXPUNGE
            S: a2 OK [COPYUID ... 2 1] COPY completed
        """)

    def test_what_arrives_does_not_enter_it(self) -> None:
        self.client().say("a1 SEARCH RETURN (SAVE) ALL")
        self.deliver("INBOX", MESSAGES[0])
        self.client().say("a2 NOOP")
        self.assertEqual(self.saved(), "2:3,5:7")

    def test_what_is_saved_beside_what_is_returned(self) -> None:
        for options, saved in {
            "SAVE": "3,5:7",
            "SAVE MIN": "3",
            "SAVE MAX": "7",
            "MAX SAVE MIN": "3,7",
            "ALL SAVE": "3,5:7",
            "SAVE COUNT": "3,5:7",
            "MIN MAX COUNT SAVE": "3,5:7",
            "ALL SAVE MIN": "3,5:7",
            "SAVE PARTIAL 2:3": "5:6",
            "SAVE PARTIAL 2:3 MIN": "3,5:6",
            "SAVE PARTIAL 2:2 MIN MAX": "3,5,7",
            "SAVE PARTIAL 2:3 COUNT": "3,5:7",
            "SAVE PARTIAL 20:30": "",
        }.items():
            with self.subTest(options=options):
                self.client().say(f"a1 SEARCH RETURN ({options}) NOT 1")
                self.assertEqual(self.saved(), saved)

    def test_an_answer_comes_all_the_same(self) -> None:
        self.transcript(r"""
            C: a1 SEARCH RETURN (MAX SAVE MIN) ALL
            S: * ESEARCH (TAG "a1") MIN 1 MAX 5
            S: a1 OK ...
            C: a2 SEARCH RETURN (SAVE) MODSEQ 3
            S: * OK [HIGHESTMODSEQ 4] ...
            S: a2 OK ...
        """)

    def test_what_does_not_change_it(self) -> None:
        client = self.client()
        client.say("a1 SEARCH RETURN (SAVE) 2")
        for command in (
            "SEARCH ALL",
            "SEARCH RETURN (ALL) ALL",
            "SEARCH RETURN (SAVE) FROB",
            "SEARCH RETURN (SAVE ALL PARTIAL 1:2) ALL",
            "SEARCH CHARSET KLINGON TEXT x",
            "SEARCH RETURN (ALL) CHARSET KLINGON TEXT x",
            "NOOP",
        ):
            with self.subTest(command=command):
                client.say(f"a2 {command}")
                self.assertEqual(self.saved(), "3")

    def test_what_empties_it(self) -> None:
        client = self.client()
        for command, answer in {
            "SEARCH RETURN (SAVE) CHARSET KLINGON TEXT x": "a2 NO [BADCHARSET ",
            f"SEARCH RETURN (SAVE) KEYWORD {'x' * 200}": "a2 NO [LIMIT] ",
            "SORT RETURN (SAVE) (DATE) KLINGON TEXT x": "a2 NO [BADCHARSET ",
            "SEARCH RETURN (SAVE) DRAFT": "a2 OK ",
            "SELECT INBOX": "a2 OK ",
            "EXAMINE INBOX": "a2 OK ",
        }.items():
            with self.subTest(command=command):
                client.say("a1 SEARCH RETURN (SAVE) 2")
                self.assertEqual(self.saved(), "3")
                line = client.say(f"a2 {command}")[-1]
                self.assertTrue(line.startswith(answer), line)
                self.assertEqual(self.saved(), "")

    def test_a_store_that_fails_empties_it(self) -> None:
        self.client().say("a1 SEARCH RETURN (SAVE) 2")
        mend = self.break_(MemoryMailbox, "search", Unavailable("the store is away"))
        self.transcript("""
            C: a2 SEARCH RETURN (COUNT) ALL
            S: a2 NO [UNAVAILABLE] the store is away
            C: a3 SEARCH RETURN (SAVE) ALL
            S: a3 NO [UNAVAILABLE] the store is away
        """)
        mend()
        self.assertEqual(self.saved(), "")

    def test_commands_that_are_sent_together(self) -> None:
        client = self.client()
        client.send(
            b"a1 SEARCH RETURN (SAVE) 2\r\na2 FETCH $ UID\r\n"
            b"a3 SEARCH RETURN (SAVE) 4\r\na4 FETCH $ UID\r\n"
        )
        self.transcript("""
            S: a1 OK ...
            S: * 2 FETCH (UID 3)
            S: a2 OK ...
            S: a3 OK ...
            S: * 4 FETCH (UID 6)
            S: a4 OK ...
        """)


class WithinTests(IMAPCase):
    """RFC 5032."""

    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.clock.advance(1_000_000_000)
        now = datetime.fromtimestamp(1_000_000_000, UTC)
        for seconds in (10, 60, 3600):
            when = now - timedelta(seconds=seconds)
            self.deliver("INBOX", MESSAGES[0], date=when)

    def test_older_and_younger_include_the_moment(self) -> None:
        self.transcript("""
            C: a1 SEARCH YOUNGER 60
            S: * SEARCH 1 2
            S: a1 OK ...
            C: a2 SEARCH OLDER 60
            S: * SEARCH 2 3
            S: a2 OK ...
            C: a3 SEARCH YOUNGER 59
            S: * SEARCH 1
            S: a3 OK ...
            C: a4 SEARCH UNSEEN NOT OLDER 61 NOT YOUNGER 11
            S: * SEARCH 2
            S: a4 OK ...
            C: a5 SEARCH OLDER 4294967295
            S: * SEARCH
            S: a5 OK ...
            C: a6 SEARCH OLDER 0
            S: a6 BAD ...
            C: a7 SEARCH YOUNGER -1
            S: a7 BAD ...
            C: a8 SEARCH YOUNGER
            S: a8 BAD ...
        """)

    def test_time_passes(self) -> None:
        self.transcript("""
            C: a1 SEARCH YOUNGER 100
            S: * SEARCH 1 2
            S: a1 OK ...
        """)
        self.clock.advance(41)
        self.transcript("""
            C: a2 SEARCH YOUNGER 100
            S: * SEARCH 1
            S: a2 OK ...
        """)
