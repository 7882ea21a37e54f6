"""SORT: RFC 5256 §3, RFC 5267 §3 (ESORT), RFC 5957 (SORT=DISPLAY)."""

from __future__ import annotations

from datetime import UTC, datetime

from attrs import evolve

from tests.imap.transcript import IMAPCase
from twisted_duck.limits import Limits
from twisted_duck.memory.mailbox import MemoryMailbox

#: Number, INTERNALDATE, header.
MESSAGES = [
    (
        5,
        "From: Zoe <bea@pond.example>\nTo: al@x\nSubject: Re: lake\nDate: 3 Jan 2020 10:00:00 +0000",
    ),
    (3, "From: anna@pond.example\nTo: Al <zed@x>\nSubject: Pond\nDate: 3 Jan 2020 10:30:00 +0200"),
    (
        4,
        "From: =?utf-8?q?=C3=84lva?= <Carl@x>\nCc: bo@x\nSubject: [list] LAKE\nDate: 1 Jan 2020 00:00:00 +0000",
    ),
    (1, "From: Dora <dora@x>\nSubject: =?utf-8?q?=C3=84nder?=\nDate: nonsense"),
    (2, "X: without anything"),
]


class SortCase(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", b"Subject: not for long\r\n\r\n")
        for number, (day, header) in enumerate(MESSAGES):
            raw = header.replace("\n", "\r\n").encode() + b"\r\n\r\n" + b"x" * (100 - number)
            self.deliver("INBOX", raw, date=datetime(2020, 1, day, tzinfo=UTC))
        # So that UIDs are not message numbers: 2 to 6 are left, as 1 to 5.
        client = self.client("expunging")
        client.say(r"y1 STORE 1 +FLAGS (\Deleted)")
        client.say("y2 EXPUNGE")

    def order(self, criteria: str) -> str:
        line, done = self.client().say(f"a1 SORT ({criteria}) UTF-8 ALL")
        self.assertEqual(done, "a1 OK SORT completed")
        return line.removeprefix("* SORT ")


class CriteriaTests(SortCase):
    def test_each(self) -> None:
        for criteria, expected in {
            "ARRIVAL": "4 5 2 3 1",
            "REVERSE ARRIVAL": "1 3 2 5 4",
            # Nothing comes before everything else, and the number decides.
            "CC": "1 2 4 5 3",
            # 4 and 5 have no date of their own: they are of 1 and 2 January.
            "DATE": "3 4 5 2 1",
            "reverse date": "1 2 5 3 4",
            "FROM": "5 2 1 3 4",
            "REVERSE FROM": "4 3 1 2 5",
            "TO": "3 4 5 1 2",
            "SUBJECT": "5 4 1 3 2",
            "REVERSE SUBJECT": "2 1 3 4 5",
            # An address without a name stands by itself.
            "DISPLAYFROM": "5 2 3 4 1",
            "DISPLAYTO": "3 4 5 2 1",
            "REVERSE DISPLAYTO": "1 2 3 4 5",
            "SUBJECT DATE": "5 4 3 1 2",
            "SUBJECT REVERSE DATE": "5 4 1 3 2",
            "REVERSE SUBJECT REVERSE ARRIVAL": "2 1 3 4 5",
        }.items():
            with self.subTest(criteria=criteria):
                self.assertEqual(self.order(criteria), expected)

    def test_size(self) -> None:
        lines = self.client().say("s1 FETCH 1:* RFC822.SIZE")[:-1]
        sizes = {line.split()[1]: int(line.split()[4].rstrip(")")) for line in lines}
        self.assertEqual(len(set(sizes.values())), 5)
        self.assertEqual(self.order("SIZE").split(), sorted(sizes, key=lambda each: sizes[each]))
        self.assertEqual(
            self.order("REVERSE SIZE").split(), sorted(sizes, key=lambda each: -sizes[each])
        )

    def test_reverse_does_not_turn_what_is_equal(self) -> None:
        self.assertEqual(self.order("CC"), "1 2 4 5 3")
        self.assertEqual(self.order("REVERSE CC"), "3 1 2 4 5")

    def test_a_string_that_another_one_begins_with(self) -> None:
        for subject in (b"a", b"ab", b"", b"\xc3\xa9", b"abc"):
            self.deliver("Drafts", b"Subject: %b\r\n\r\n" % subject)
        self.client().say("a0 SELECT Drafts")
        self.assertEqual(self.order("SUBJECT"), "3 1 2 5 4")
        self.assertEqual(self.order("REVERSE SUBJECT"), "4 5 2 1 3")


class SortTests(SortCase):
    def test_uids_and_keys(self) -> None:
        self.transcript("""
            C: a1 UID SORT (REVERSE DATE) US-ASCII 1:3
            S: * SORT 2 3 4
            S: a1 OK SORT completed
            C: a2 SORT (SUBJECT) "iso-8859-1" SUBJECT lake UNSEEN
            S: * SORT 1 3
            S: a2 OK SORT completed
            C: a3 SORT (SUBJECT) UTF-8 TEXT "nowhere"
            S: * SORT
            S: a3 OK SORT completed
        """)

    def test_mistakes(self) -> None:
        self.transcript("""
            C: a1 SORT (SUBJECT) KLINGON ALL
            S: a1 NO [BADCHARSET (US-ASCII UTF-8 ...
            C: a2 SORT (SUBJECTS) UTF-8 ALL
            S: a2 BAD SUBJECTS is no sort criterion...
            C: a3 SORT (REVERSE) UTF-8 ALL
            S: a3 BAD ...
            C: a4 SORT (REVERSE REVERSE DATE) UTF-8 ALL
            S: a4 BAD ...
            C: a5 SORT () UTF-8 ALL
            S: a5 BAD ...
            C: a6 SORT DATE UTF-8 ALL
            S: a6 BAD ...
            C: a7 SORT (DATE) UTF-8
            S: a7 BAD ...
            C: a8 SORT (DATE) UTF-8 99
            S: * SORT
            S: a8 OK ...
        """)

    def test_no_number_moves_during_sort(self) -> None:
        self.client()
        other = self.client("2")
        other.say(r"y1 UID STORE 2 +FLAGS (\Deleted)")
        other.say("y2 EXPUNGE")
        self.transcript("""
            C: a1 SORT (ARRIVAL) UTF-8 ALL
            S: * SORT 4 5 2 3
            S: a1 OK ...
            C: a2 UID SORT (ARRIVAL) UTF-8 ALL
            S: * SORT 5 6 3 4
            S: * 1 EXPUNGE
            S: a2 OK ...
        """)

    def test_modseq(self) -> None:
        self.client("2").say(r"y UID STORE 3,5 +FLAGS.SILENT (\Flagged)")
        self.transcript("""
            C: a0 NOOP
            S: a0 OK ...
            C: a1 SORT (SUBJECT) UTF-8 MODSEQ 9
            S: * OK [HIGHESTMODSEQ ...
            S: * SORT 4 2 (MODSEQ ...)
            S: a1 OK ...
            C: a2 SORT RETURN (ALL) (SUBJECT) UTF-8 MODSEQ 9
            S: * ESEARCH (TAG "a2") ALL 4,2 MODSEQ ...
            S: a2 OK ...
            C: a3 SORT (SUBJECT) UTF-8 MODSEQ 100
            S: * SORT
            S: a3 OK ...
        """)

    def test_a_message_that_goes_meanwhile_is_not_told(self) -> None:
        held = self.hold(MemoryMailbox, "search")
        client = self.client()
        client.send(b"a1 SORT (ARRIVAL) UTF-8 ALL\r\n")
        other = self.client("2")
        other.say(r"y1 UID STORE 2 +FLAGS (\Deleted)")
        other.say("y2 EXPUNGE")
        held.let_go()
        self.transcript("""
            S: * SORT 4 5 2 3
            S: a1 OK ...
        """)


class ESortTests(SortCase):
    def test_what_is_returned(self) -> None:
        self.transcript("""
            C: a1 SORT RETURN () (REVERSE DATE) UTF-8 ALL
            S: * ESEARCH (TAG "a1") ALL 1:2,5,3:4
            S: a1 OK SORT completed
            C: a2 UID SORT RETURN (MIN MAX COUNT) (DATE) UTF-8 ALL
            S: * ESEARCH (TAG "a2") UID MIN 4 MAX 2 COUNT 5
            S: a2 OK SORT completed
            C: a3 SORT RETURN (PARTIAL 2:3) (DATE) UTF-8 ALL
            S: * ESEARCH (TAG "a3") PARTIAL (2:3 4:5)
            S: a3 OK SORT completed
            C: a4 SORT RETURN (PARTIAL -1:-2) (DATE) UTF-8 ALL
            S: * ESEARCH (TAG "a4") PARTIAL (-1:-2 2,1)
            S: a4 OK SORT completed
            C: a5 SORT RETURN (COUNT ALL) (DATE) UTF-8 DRAFT
            S: * ESEARCH (TAG "a5") COUNT 0
            S: a5 OK SORT completed
            C: a6 SORT RETURN (UPDATE) (DATE) UTF-8 ALL
            S: a6 BAD UPDATE can't be returned...
            C: a7 UID SORT RETURN (SAVE MIN MAX) (DATE) UTF-8 ALL
            S: * ESEARCH (TAG "a7") UID MIN 4 MAX 2
            S: a7 OK ...
            C: a8 UID SEARCH $
            S: * SEARCH 2 4
            S: a8 OK ...
        """)


class BoundTests(SortCase):
    limits = evolve(Limits(), sort_memory=1_200, sort_criteria=2)

    def test_too_many_messages(self) -> None:
        self.transcript("""
            C: a1 SORT (DATE DISPLAYFROM) UTF-8 ALL
            S: a1 NO [LIMIT] so many messages can't be put in order at once...
            C: a2 THREAD REFERENCES UTF-8 ALL
            S: a2 NO [LIMIT] so many messages can't be put in order at once...
            C: a3 SORT (DATE) UTF-8 1:3
            S: * SORT 3 2 1
            S: a3 OK ...
            C: a4 SORT (DATE SIZE FROM) UTF-8 1:3
            S: a4 NO [LIMIT] more than 2 criteria...
        """)
