"""The longest BODYSTRUCTURE that anybody can have us send is one that clients read."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.limits import Limits
from twisted_duck.mime.scan import scan_with_heads
from twisted_duck.mime.structure import structure

#: Bytes of a line at which Python's imaplib breaks off.
_IMAPLIB = 1_000_000


class LongestStructureTests(SynchronousTestCase):
    def test_it_has_less_than_a_million_bytes(self) -> None:
        limits = Limits()
        # Half of the parts are messages without anything in them, which take the most room; strings take all of theirs.
        message = b"--b\r\nContent-Type: message/rfc822\r\n\r\n\r\n"
        strings = b"--b\r\nContent-Type: a/b; c=" + b"x" * 900 + b"\r\n\r\n\r\n"
        for body in (message * 12_000, b"--b\r\n\r\n\r\n" * 12_000):
            data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings * 300 + body
            tree, heads = scan_with_heads(data, limits)
            self.assertEqual(len(tree.parts), limits.mime_parts)
            made = structure(tree, heads, limits)
            self.assertGreater(len(made.bodystructure), limits.mime_structure)
            self.assertLess(len(made.bodystructure), _IMAPLIB)
            self.assertLess(len(made.body), _IMAPLIB)
