"""One message, one key."""

from __future__ import annotations

from datetime import UTC, date, datetime

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck import search
from twisted_duck.limits import Limits
from twisted_duck.mime.message import analyse
from twisted_duck.predicates import Facts, predicate
from twisted_duck.search import SearchKey
from twisted_duck.sequence import SequenceSet

MESSAGE = (
    b"Date: Wed, 17 Jul 1996 23:23:25 -0700\r\n"
    b"Subject: first\r\n line\xc2\xa0break\r\n"
    b"Received: by one\r\n"
    b"Received: by two\r\n"
    b"X-Empty:\r\n"
    b"\r\n" + b"filler words \r\n" * 50 + b"the needle\r\n"
)


class PredicateTests(SynchronousTestCase):
    def check(self, table: list[tuple[SearchKey, bool]], limits: Limits) -> None:
        facts = Facts(datetime(1996, 7, 18, 6, tzinfo=UTC), MESSAGE, analyse(MESSAGE, limits))
        for key, expected in table:
            self.assertEqual(predicate(key)(facts), expected, key)

    def test_keys(self) -> None:
        size = len(MESSAGE)
        table: list[tuple[SearchKey, bool]] = [
            (search.InternalDate("on", date(1996, 7, 18)), True),
            (search.InternalDate("before", date(1996, 7, 18)), False),
            (search.InternalDate("since", date(1996, 7, 18)), True),
            (search.Arrived("until", datetime(1996, 7, 18, 6, tzinfo=UTC)), True),
            (search.Arrived("until", datetime(1996, 7, 18, 5, 59, 59, tzinfo=UTC)), False),
            (search.Arrived("from", datetime(1996, 7, 18, 6, tzinfo=UTC)), True),
            (search.Arrived("from", datetime(1996, 7, 18, 6, 0, 1, tzinfo=UTC)), False),
            (search.SentDate("on", date(1996, 7, 17)), True),
            (search.SentDate("since", date(1996, 7, 18)), False),
            (search.Size("larger", size - 1), True),
            (search.Size("larger", size), False),
            (search.Size("smaller", size), False),
            (search.Size("smaller", size + 1), True),
            (search.Header("subject", "FIRST line"), True),
            (search.Header("subject", "by one"), False),
            (search.Header("received", "by two"), True),
            (search.Header("x-empty", ""), True),
            (search.Header("x-empty", "x"), False),
            (search.Header("x-absent", ""), False),
            (search.Header("eived", "by"), False),
            (search.Body("Needle"), True),
            (search.Body("by two"), False),
            (search.Body(""), True),
            (search.Text("by two"), True),
            (search.Text("needle"), True),
            (search.Text("nowhere"), False),
        ]
        self.check(table, Limits())
        # What was not kept of a long message is read again.
        self.check(table, Limits(mime_search=20))

    def test_message_without_a_date_was_sent_on_no_day(self) -> None:
        facts = Facts(datetime.now(UTC), b"\r\n", analyse(b"\r\n"))
        for operator in ("before", "on", "since"):
            key = search.SentDate(operator, date(2020, 1, 1))  # type: ignore[arg-type]
            self.assertFalse(predicate(key)(facts))

    def test_what_no_message_can_tell_is_refused(self) -> None:
        for key in (search.All(), search.HasFlag("x"), search.UIDs(SequenceSet.of(1))):
            self.assertRaises(TypeError, predicate, key)
