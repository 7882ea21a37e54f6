"""The mark of spam."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.lmtp.transcript import LMTPCase
from twisted_duck.limits import Limits
from twisted_duck.lmtp.spam import SpamMark


class SpamMarkTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for text, header, marked in [
            ("X-Spam-Flag: YES", b"X-Spam-Flag: YES", True),
            ("X-Spam-Flag:yes", b"x-spam-flag:\r\n YES", True),
            ("X-Spam", b"X-Spam: Yes", True),
            ("X-Spam", b"X-Spam: No", False),
            ("X-Spam-Status", b"X-Spam-Status: Yes, score=9.5", True),
            ("X-Spam-Status", b"X-Spam-Status: Yesterday", False),
            ("X-Spam-Level: *****", b"X-Spam-Level: *******", True),
            ("X-Spam-Level: *****", b"X-Spam-Level: ***", False),
            ("X-Spam", b"X-Spam: No\r\nX-Spam: Yes", True),
        ]:
            mark = SpamMark.parse(text)
            for end in (b"\r\n\r\ntext", b"\r\n", b""):
                self.assertEqual(
                    mark.is_on(b"Subject: x\r\n" + header + end, Limits()), marked, header
                )

    def test_what_is_no_field(self) -> None:
        for text in (
            "",
            ":",
            "X Spam: Yes",
            ": Yes",
            "X-Sp\u00e4m: Yes",
            "X-Spam: a\nb",
            "X-Spam\r\n"[:-2] + "\0",
        ):
            self.assertRaises(ValueError, SpamMark.parse, text)

    def test_it_is_looked_for_in_the_first_256_kib(self) -> None:
        mark, limits = SpamMark.parse("X-Spam"), Limits()
        for size, marked in ((limits.lmtp_header - 40, True), (limits.lmtp_header, False)):
            self.assertEqual(
                mark.is_on(b"A: " + b"a" * size + b"\r\nX-Spam: Yes\r\n\r\n", limits), marked
            )


class SpamTests(LMTPCase):
    options: ClassVar[dict[str, Any]] = {"spamHeader": "X-Spam-Flag: YES"}

    def deliver_(self, message: bytes) -> None:
        client = self.begin()
        client.send(b"BDAT %d LAST\r\n%b" % (len(message), message))
        self.assertEqual(client.heard()[:9], b"250 2.0.0")

    def test_spam_goes_to_junk(self) -> None:
        spam = b"Subject: buy\r\nX-SPAM-flag:  yes\r\n\r\nnow\r\n"
        self.deliver_(spam)
        self.assertEqual((self.mail(), self.mail(mailbox="Junk")), ([], [self.trace() + spam]))

    def test_what_only_looks_like_it(self) -> None:
        messages = [
            b"X-Spam-Flag: NO\r\n\r\n",
            b"X-Spam-Flag: YESTERDAY\r\n\r\n",
            b"X-Spam-Flags: YES\r\n\r\n",
            b"Subject: X-Spam-Flag: YES\r\n\r\nX-Spam-Flag: YES\r\n",
            b"\r\nX-Spam-Flag: YES\r\n",
        ]
        for message in messages:
            self.deliver_(message)
        self.assertEqual((len(self.mail()), self.mail(mailbox="Junk")), (len(messages), []))

    def test_without_a_mark(self) -> None:
        self.factory = type(self.factory)(self.store.delivery(), clock=self.clock, hostname="x")
        self.deliver_(b"X-Spam-Flag: YES\r\n\r\n")
        self.assertEqual(len(self.mail()), 1)
