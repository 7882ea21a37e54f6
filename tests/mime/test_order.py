"""What SORT compares, RFC 5256 §2.2, §3, RFC 5957 §3."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.limits import Limits
from twisted_duck.mime.date import sent_moment
from twisted_duck.mime.message import analyse, behind
from twisted_duck.values import Order


def order(header: str) -> Order:
    return analyse(header.replace("\n", "\r\n").encode() + b"\r\n\r\n").order


class OrderTests(SynchronousTestCase):
    def test_a_header(self) -> None:
        self.assertEqual(
            order(
                "From: =?utf-8?q?J=C3=B6rg?= <joerg@duck.example>\n"
                "To: imap@duck.example\n"
                "Cc: Zoe <zoe@duck.example>, al@duck.example\n"
                "Subject: Re: [pond] =?utf-8?q?=C3=9Cber?= uns\n"
                "Date: Mon, 1 Jan 2001 10:00:00 +0100"
            ),
            Order(
                sent=978_339_600,
                subject="U\u0308BER UNS",
                answers=True,
                sender="JOERG",
                to="IMAP",
                cc="ZOE",
                sender_name="JO\u0308RG",
                to_name="IMAP@DUCK.EXAMPLE",
            ),
        )

    def test_nothing(self) -> None:
        self.assertEqual(order("X: y"), Order())

    def test_of_a_group_it_is_the_name(self) -> None:
        found = order("From: The Ducks: a@b, c@d;\nTo: undisclosed-recipients:;")
        self.assertEqual((found.sender, found.sender_name), ("THE DUCKS", "THE DUCKS"))
        self.assertEqual((found.to, found.to_name), ("UNDISCLOSED-RECIPIENTS",) * 2)

    def test_a_key_has_its_bound(self) -> None:
        limits = Limits(mime_sort_key=10)
        found = analyse(b"Subject: " + "ﷺ".encode() * 30 + b"\r\n\r\n", limits).order
        self.assertEqual(len(found.subject), 10)

    def test_a_field_in_front_changes_nothing(self) -> None:
        message = analyse(b"Subject: x\r\nMessage-ID: <a@b>\r\n\r\n")
        shifted = behind(b"Return-Path: <>\r\n", message)
        self.assertEqual((shifted.order, shifted.ids), (message.order, message.ids))


class SentTests(SynchronousTestCase):
    def test_moments(self) -> None:
        day = 978_307_200
        for value, expected in {
            b"1 Jan 2001 00:00:00 +0000": day,
            b"Sun, 31 Dec 2000 16:01:33 -0800": day + 93,
            b"1 Jan 2001 10:00 (morning) +0130 (here)": day + 8 * 3600 + 1800,
            b"1 Jan 2001 10:00:00.25 EST": day + 15 * 3600,
            b"1 Jan 01 10:00:60 GMT": day + 10 * 3600 + 59,
            # Without a zone that is one: UTC.  Without a time that is one: the day begins.
            b"1 Jan 2001 10:00:00": day + 36000,
            b"1 Jan 2001 10:00:00 XYZ": day + 36000,
            b"1 Jan 2001 10:00:00 +9999": day + 36000,
            b"1 Jan 2001": day,
            b"1 Jan 2001 24:00:00 +0100": day,
            b"1 Jan 2001 at noon": day,
            b"1 Jan 1960 00:00:00 +0000": -315_619_200,
        }.items():
            with self.subTest(value=value):
                self.assertEqual(sent_moment(value), expected)

    def test_no_day(self) -> None:
        for value in (b"", b"yesterday", b"31 Feb 2001 10:00:00 +0000", b"10:00:00 +0000"):
            self.assertIsNone(sent_moment(value), value)
