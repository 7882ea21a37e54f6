"""Dates as `twisted.mail` passes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.adapters import dates

WEST = timezone(-timedelta(hours=7))
moments = st.builds(
    lambda moment, minutes: moment.replace(
        microsecond=0, tzinfo=timezone(timedelta(minutes=minutes))
    ),
    st.datetimes(datetime(1990, 1, 2), datetime(2100, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)


class DatesTests(SynchronousTestCase):
    def test_both_forms_are_read(self) -> None:
        expected = datetime(1996, 7, 17, 2, 44, 25, tzinfo=WEST)
        for given_ in (
            b"17-Jul-1996 02:44:25 -0700",
            b'"17-Jul-1996 02:44:25 -0700"',
            "Wed, 17 Jul 1996 02:44:25 -0700",
            b"17 Jul 1996 02:44:25 -0700 (PDT)",
        ):
            self.assertEqual(dates.parse(given_), expected)
        self.assertEqual(
            dates.parse(b" 1-jan-2000 00:00:00 +0000"), datetime(2000, 1, 1, tzinfo=UTC)
        )
        self.assertEqual(dates.parse("1 Jan 2000 00:00:00"), datetime(2000, 1, 1, tzinfo=UTC))

    def test_what_is_no_date_is_none(self) -> None:
        for given_ in (
            b"",
            "yesterday",
            b"31-Feb-2000 00:00:00 +0000",
            b"1-Xyz-2000 00:00:00 +0000",
            b"1-Jan-2000 00:00:00 +9999",
            "Wed, 99 Jul 99999 99:99:99",
            b"\xff\xfe",
        ):
            self.assertIsNone(dates.parse(given_), given_)

    @given(st.text(max_size=40))
    def test_nothing_makes_it_fail(self, given_: str) -> None:
        dates.parse(given_)

    @given(moments)
    def test_what_is_written_is_read(self, moment: datetime) -> None:
        for written in (dates.date_time(moment), dates.rfc5322(moment)):
            read = dates.parse(written)
            assert read is not None
            self.assertEqual((read, read.utcoffset()), (moment, moment.utcoffset()))
