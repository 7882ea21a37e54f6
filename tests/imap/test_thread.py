"""THREAD: RFC 5256 §3; its algorithms are in `test_threads`."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase

#: Message-ID, In-Reply-To, References, Subject, day of January 2020.
MESSAGES = [
    ("1", "", "", "pond", 1),
    ("2", "<1@x>", "", "Re: pond", 3),
    ("3", "", "<1@x>", "Re: pond", 2),
    ("4", "your mail <2@x> of <nobody@x>", "", "something else", 4),
    ("5", "", "<gone@x>", "lake", 2),
    ("6", "", "<gone@x>", "Re: lake", 1),
    ("7", "", "", "Re: POND", 9),
]


class ThreadTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", b"Subject: not for long\r\n\r\n")
        for id, answer, references, subject, day in MESSAGES:
            raw = f"Date: {day} Jan 2020 10:00:00 +0000\r\nSubject: {subject}\r\nMessage-ID: <{id}@x>\r\n"
            raw += f"In-Reply-To: {answer}\r\n" if answer else ""
            raw += f"References: {references}\r\n" if references else ""
            self.deliver("INBOX", raw.encode() + b"\r\nquack\r\n")
        client = self.client("expunging")
        client.say(r"y1 STORE 1 +FLAGS (\Deleted)")
        client.say("y2 EXPUNGE")

    def test_references(self) -> None:
        self.transcript("""
            C: a1 THREAD REFERENCES UTF-8 ALL
            S: * THREAD (1 (3)(2 4)(7))((6)(5))
            S: a1 OK THREAD completed
            C: a2 UID THREAD references us-ascii 1:3
            S: * THREAD (2 (4)(3))
            S: a2 OK THREAD completed
            C: a3 THREAD REFERENCES UTF-8 SUBJECT lake
            S: * THREAD ((6)(5))
            S: a3 OK THREAD completed
            C: a4 THREAD REFERENCES UTF-8 TEXT "nowhere"
            S: * THREAD
            S: a4 OK THREAD completed
        """)

    def test_orderedsubject(self) -> None:
        self.transcript("""
            C: a1 THREAD ORDEREDSUBJECT UTF-8 ALL
            S: * THREAD (1 (3)(2)(7))(6 5)(4)
            S: a1 OK THREAD completed
            C: a2 UID THREAD ORDEREDSUBJECT UTF-8 NOT 1
            S: * THREAD (7 6)(4 (3)(8))(5)
            S: a2 OK THREAD completed
        """)

    def test_mistakes(self) -> None:
        self.transcript("""
            C: a1 THREAD REFS UTF-8 ALL
            S: a1 BAD REFS is no threading algorithm...
            C: a2 THREAD REFERENCES KLINGON ALL
            S: a2 NO [BADCHARSET (US-ASCII UTF-8 ...
            C: a3 THREAD REFERENCES UTF-8
            S: a3 BAD ...
            C: a4 THREAD RETURN (ALL) REFERENCES UTF-8 ALL
            S: a4 BAD ...
        """)

    def test_modseq_is_a_key_like_others(self) -> None:
        self.client("2").say(r"y UID STORE 4 +FLAGS.SILENT (\Flagged)")
        self.transcript("""
            C: a1 THREAD REFERENCES UTF-8 MODSEQ 12
            S: * OK [HIGHESTMODSEQ ...
            S: * THREAD (3)
            S: a1 OK ...
        """)

    def test_no_number_moves_during_thread(self) -> None:
        self.client()
        other = self.client("2")
        other.say(r"y1 UID STORE 2 +FLAGS (\Deleted)")
        other.say("y2 EXPUNGE")
        self.transcript("""
            C: a1 THREAD ORDEREDSUBJECT UTF-8 2:4
            S: * THREAD (3 2)(4)
            S: a1 OK ...
            C: a2 UID THREAD ORDEREDSUBJECT UTF-8 UID 3:5
            S: * THREAD (4 3)(5)
            S: * 1 EXPUNGE
            S: a2 OK ...
        """)
