"""Results by pages: RFC 9394."""

from __future__ import annotations

from tests.imap.searching import SearchCase


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
