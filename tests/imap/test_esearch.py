"""What SEARCH returns: RFC 4731; RFC 7162 §3.1.10."""

from __future__ import annotations

from tests.imap.searching import SearchCase


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
