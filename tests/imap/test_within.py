"""OLDER and YOUNGER: RFC 5032."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.imap.searching import MESSAGES
from tests.imap.transcript import IMAPCase


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
