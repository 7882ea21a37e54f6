"""What the tests of what a SEARCH returns have in common."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase

MESSAGES = [b"Subject: number %d\r\n\r\n%s\r\n" % (n, b"x" * n) for n in range(1, 8)]


class SearchCase(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", *MESSAGES)
        # UIDs are not message numbers: 2 3 5 6 7 are left, as 1 to 5.
        self.do_expunge(1, 4)

    def do_expunge(self, *uids: int) -> None:
        client = self.client("expunging")
        client.say(f"y1 UID STORE {','.join(map(str, uids))} +FLAGS.SILENT (\\Deleted)")
        client.say("y2 EXPUNGE")
