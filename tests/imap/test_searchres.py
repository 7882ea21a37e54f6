"""What a SEARCH has saved, as `$`: RFC 5182."""

from __future__ import annotations

from tests.imap.searching import MESSAGES, SearchCase
from twisted_duck.errors import Unavailable
from twisted_duck.memory.mailbox import MemoryMailbox


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
