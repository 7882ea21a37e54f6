"""Message IDs of THREAD=REFERENCES, RFC 5256 §3."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.references import NONE, WIDTH, ids, split


def own(value: bytes) -> bytes:
    return ids({b"message-id": [value]}, 10)


class IDsTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        self.assertEqual(ids({}, 10), NONE)
        for value in (
            b"",
            b"x@y",
            b"<x>",
            b"<@y>",
            b"<x@>",
            b"<x y@z>",
            b"<x@y",
            b"<a@" + b"x" * 999 + b">",
        ):
            with self.subTest(value=value):
                self.assertEqual(own(value), NONE)

    def test_quotes_make_no_difference(self) -> None:
        expected = own(b"<ab@c.example>")
        self.assertEqual(len(expected), WIDTH)
        self.assertNotEqual(expected, NONE)
        for value in (b'<"ab"@c.example>', b'<"a\\b"@c.example>', b" \r\n <ab@c.example> (x)"):
            self.assertEqual(own(value), expected, value)

    def test_case_does(self) -> None:
        self.assertNotEqual(own(b"<ab@c>"), own(b"<Ab@c>"))

    def test_references_go_before_in_reply_to(self) -> None:
        a, b, c = own(b"<a@x>"), own(b"<b@x>"), own(b"<c@x>")
        fields = {
            b"message-id": [b"<c@x>"],
            b"references": [b"<a@x>\r\n\t<b@x> <a@x>"],
            b"in-reply-to": [b"<d@x>"],
        }
        self.assertEqual(split(ids(fields, 10)), (c, a, b))

    def test_only_the_first_of_in_reply_to_counts(self) -> None:
        fields = {
            b"references": [b"nothing that is one"],
            b"in-reply-to": [b"your mail <a@x> of <someone@x>"],
        }
        self.assertEqual(split(ids(fields, 10)), (NONE, own(b"<a@x>")))

    def test_of_too_many_the_first_and_the_last_are_kept(self) -> None:
        named = [b"<%d@x>" % number for number in range(20)]
        kept = split(ids({b"references": [b" ".join(named)]}, 5))[1:]
        self.assertEqual(list(kept), [own(each) for each in (named[0], *named[-4:])])

    def test_the_longest_field_takes_no_time(self) -> None:
        for value in (
            b"<" * 250_000,
            b'<"' * 120_000,
            b"<a" * 120_000,
            b'<"a' + b"\\" * 250_000,
            b"<a@" * 80_000,
        ):
            began = time.process_time()
            ids({b"references": [value]}, 100)
            self.assertLess(time.process_time() - began, 2, value[:10])
