"""I18NLEVEL=1: SEARCH, SORT and THREAD compare by i;unicode-casemap (RFC 5255 §4, RFC 5051)."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase

#: The last two are the same letters, put together and taken apart.
SUBJECTS = ("zoo", "über", "Äpfel", "_", "ÜBER", "U\u0308ber")


class CasemapTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", *(f"Subject: {each}\r\n\r\n".encode() for each in SUBJECTS))

    def test_case_and_composition_make_no_difference(self) -> None:
        self.transcript("""
            C: a1 SEARCH CHARSET UTF-8 SUBJECT {5+}
            C: üBeR
            S: * SEARCH 2 5 6
            S: a1 OK ...
            C: a2 SEARCH CHARSET UTF-8 SUBJECT ZOO
            S: * SEARCH 1
            S: a2 OK ...
            C: a3 SEARCH SUBJECT uber
            S: * SEARCH
            S: a3 OK ...
            C: a4 THREAD ORDEREDSUBJECT UTF-8 2:6
            S: * THREAD (2 (5)(6))(3)(4)
            S: a4 OK ...
        """)

    def test_the_order_is_that_of_title_case_taken_apart(self) -> None:
        self.transcript("""
            C: a1 SORT (SUBJECT) UTF-8 ALL
            S: * SORT 3 2 5 6 1 4
            S: a1 OK ...
        """)
