"""Messages with UTF-8 headers for clients that do not take them (RFC 6858)."""

from __future__ import annotations

from email import message_from_bytes, policy
from itertools import chain, pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.scan import scan
from twisted_duck.mime.surrogate import Downgrader, downgrade


def parsed(header: bytes) -> Any:
    return message_from_bytes(header, policy=policy.default)


class FieldTests(SynchronousTestCase):
    def test_what_is_ASCII_stays_as_it_is(self) -> None:
        header = b"Subject:  odd \r\n  folding\r\nX: =?utf-8?q?=C3=A9?=\r\nbroken\r\n\r\n"
        self.assertIs(downgrade(header), header)

    def test_only_what_is_not_is_changed(self) -> None:
        self.assertEqual(
            downgrade("Date: now\r\nX-Odd:  é\r\nTo: a@b\r\n\r\n".encode()),
            b"Date: now\r\nTo: a@b\r\n\r\n",
        )

    def test_subject(self) -> None:
        subject = "Grüße aus München, " + "日本語" * 30 + " =?x?="
        told = downgrade(f"Subject: {subject}\r\n\r\n".encode())
        self.assertTrue(told.isascii())
        self.assertLessEqual(max(map(len, told.split(b"\r\n"))), 85)
        self.assertEqual(parsed(told)["subject"], subject)

    def test_latin_1_is_text_as_well(self) -> None:
        self.assertEqual(parsed(downgrade(b"Subject: caf\xe9\r\n\r\n"))["subject"], "café")

    def test_names_of_addresses(self) -> None:
        told = parsed(downgrade('To: "Müller, Jörg" <j@example.org>, x@y.z\r\n\r\n'.encode()))
        self.assertEqual(
            [(each.display_name, each.addr_spec) for each in told["to"].addresses],
            [("Müller, Jörg", "j@example.org"), ("", "x@y.z")],
        )

    def test_addresses_that_are_not_ASCII_belong_to_nobody(self) -> None:
        told = parsed(
            downgrade("From: José <josé@example.org>, ann@müller.example\r\n\r\n".encode())
        )
        self.assertEqual(
            [(each.display_name, each.addr_spec) for each in told["from"].addresses],
            [
                ("José", "invalid@internationalized-address.invalid"),
                ("ann@müller.example", "invalid@internationalized-address.invalid"),
            ],
        )

    def test_groups(self) -> None:
        told = downgrade("Cc: Freunde: ä <a@b.c>, d@e.f;, g@h.i, nobody:;\r\n\r\n".encode())
        self.assertEqual(
            told,
            b'Cc: "Freunde":=?utf-8?b?w6Q=?= <a@b.c>,\r\n <d@e.f>;,\r\n <g@h.i>,\r\n "nobody":;'
            b"\r\n\r\n",
        )

    def test_parameters(self) -> None:
        self.assertEqual(
            downgrade(
                'Content-Type: text/plain; name="é;x.txt"; charset="utf-8"\r\n'
                "Content-Disposition: attachment; filename=é\r\n"
                "Content-Description: é\r\n\r\n".encode()
            ),
            b'Content-Type: text/plain;\r\n charset="utf-8"\r\n'
            b"Content-Disposition: attachment\r\n\r\n",
        )

    @given(st.binary(max_size=200))
    def test_anything_becomes_ASCII(self, header: bytes) -> None:
        self.assertTrue(downgrade(b"To: " + header).isascii())
        self.assertTrue(downgrade(b"Content-Type: " + header).isascii())

    def test_long_fields_take_no_time(self) -> None:
        for part in (b'\xe9"', b"\xe9;", b"\xe9,", b'\\\xe9"', b"\xe9(", b"\xe9<"):
            for name in (b"To: ", b"Content-Type: ", b"Subject: "):
                self.assertTrue(downgrade(name + part * 50_000).isascii())


MESSAGE = (
    "Subject: é\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    "é before\r\n--x\r\nContent-Type: text/plain; name=é\r\n\r\né inside\r\n--x\r\n"
    "Content-Type: message/rfc822\r\n\r\nSubject: ü\r\n\r\nü\r\n--x--\r\né behind\r\n"
).encode()
TOLD = (
    "Subject: =?utf-8?b?w6k=?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    "é before\r\n--x\r\nContent-Type: text/plain\r\n\r\né inside\r\n--x\r\n"
    "Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?b?w7w=?=\r\n\r\nü\r\n--x--\r\n"
    "é behind\r\n"
).encode()


class DowngraderTests(SynchronousTestCase):
    def told(self, cuts: list[int], start: int = 0, limit: int = 1000) -> bytes:
        downgrader = Downgrader(scan(MESSAGE), start, limit)
        at = [start, *(cut for cut in cuts if cut > start), len(MESSAGE)]
        pieces = (downgrader.feed(MESSAGE[one:other]) for one, other in pairwise(at))
        return b"".join(chain.from_iterable(pieces))

    @given(st.lists(st.integers(0, len(MESSAGE))).map(sorted))
    def test_headers_and_nothing_else_wherever_it_is_cut(self, cuts: list[int]) -> None:
        self.assertEqual(self.told(cuts), TOLD)

    def test_from_the_body_on(self) -> None:
        body = MESSAGE.index("é before".encode())
        self.assertEqual(self.told([], body), TOLD[TOLD.index("é before".encode()) :])

    def test_a_header_that_is_too_long_is_not_held(self) -> None:
        told = self.told(list(range(0, len(MESSAGE), 7)), limit=50)
        self.assertTrue(told.startswith(b"Subject: ??\r\nContent-Type: multipart/mixed; b"))
        self.assertIn(b"Content-Type: text/plain\r\n\r\n", told)
        self.assertTrue(told.endswith("é behind\r\n".encode()))
