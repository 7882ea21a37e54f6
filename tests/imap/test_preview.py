"""PREVIEW: RFC 8970."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from typing import Any

import attrs
from twisted.cred.portal import Portal

from tests.adapters.application import Account
from tests.imap.test_savedate import Realm
from tests.imap.transcript import IMAPCase
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.values import FetchWant, MessageData

PLAIN = b"Subject: x\r\n\r\nPreview text!\r\n\r\n-- \r\nAda\r\n"
PAGE = 'Content-Type: text/html; charset=utf-8\r\n\r\n<p>Grüße, "A\\B"</p>'.encode()
ENCRYPTED = b"Content-Type: application/pkcs7-mime\r\n\r\nMII\r\n"
LONG = b"Subject: x\r\n\r\n" + b"lorem ipsum " * 100


class PreviewTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", PLAIN, PAGE, ENCRYPTED, LONG)
        self.client("0").disconnect()

    def test_fetch(self) -> None:
        whole = ("lorem ipsum " * 17)[:199].rsplit(" ", 1)[0]
        self.transcript(rf"""
            C: a1 FETCH 1 (RFC822.SIZE PREVIEW)
            S: * 1 FETCH (RFC822.SIZE 41 PREVIEW "Preview text!")
            S: a1 OK FETCH completed
            C: a2 UID FETCH 2 preview
            S: * 2 FETCH (UID 2 PREVIEW {{14}}
            S: Grüße, "A\B")
            S: a2 OK ...
            # Nothing can be shown of it: that is no NIL.
            C: a3 FETCH 3 (PREVIEW)
            S: * 3 FETCH (PREVIEW "")
            S: a3 OK ...
            C: a4 FETCH 4 PREVIEW
            S: * 4 FETCH (PREVIEW "{whole}")
            S: a4 OK ...
        """)
        self.assertLessEqual(len(whole), 200)

    def test_it_does_not_set_seen(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (FLAGS PREVIEW)
            S: * 1 FETCH (FLAGS () PREVIEW "Preview text!")
            S: a1 OK ...
        """)

    def test_lazy(self) -> None:
        self.transcript("""
            C: a1 FETCH 1:3:1 (PREVIEW (LAZY))
            S: a1 BAD ...
            C: a2 FETCH 1,3 (UID PREVIEW (LAZY) FLAGS)
            S: * 1 FETCH (UID 1 PREVIEW "Preview text!" FLAGS ())
            S: * 3 FETCH (UID 3 PREVIEW "" FLAGS ())
            S: a2 OK ...
            C: a3 FETCH 1 PREVIEW (lazy)
            S: * 1 FETCH (PREVIEW "Preview text!")
            S: a3 OK ...
            C: a4 FETCH 1 (PREVIEW (LAZY LAZY))
            S: * 1 FETCH (PREVIEW "Preview text!")
            S: a4 OK ...
        """)

    def test_what_is_not_at_hand_is_nil_for_the_lazy(self) -> None:
        original = MemoryMailbox.fetch

        async def as_of_old(
            mailbox: MemoryMailbox, uids: Sequence[int], wanted: frozenset[FetchWant]
        ) -> AsyncIterator[list[MessageData]]:
            async for batch in original(mailbox, uids, wanted):
                if "preview" not in wanted:
                    batch = [attrs.evolve(message, preview=None) for message in batch]
                yield batch

        self.patch(MemoryMailbox, "fetch", as_of_old)
        self.transcript("""
            C: a1 FETCH 1 (PREVIEW (LAZY))
            S: * 1 FETCH (PREVIEW NIL)
            S: a1 OK ...
            C: a2 FETCH 1 (PREVIEW)
            S: * 1 FETCH (PREVIEW "Preview text!")
            S: a2 OK ...
            # Who asks both ways is told once.
            C: a3 FETCH 1 (PREVIEW (LAZY) PREVIEW)
            S: * 1 FETCH (PREVIEW "Preview text!")
            S: a3 OK ...
        """)

    def test_with_modifiers_of_fetch(self) -> None:
        self.transcript("""
            C: a1 FETCH 1:* PREVIEW (CHANGEDSINCE 4)
            S: * OK [HIGHESTMODSEQ ...
            S: a1 OK ...
            C: a2 FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 1)
            S: * 1 FETCH (UID 1 PREVIEW "Preview text!" MODSEQ (2))
            S: a2 OK ...
            C: a3 FETCH 1 (PREVIEW (LAZY)) (CHANGEDSINCE 1)
            S: * 1 FETCH (UID 1 PREVIEW "Preview text!" MODSEQ (2))
            S: a3 OK ...
        """)

    def test_errors(self) -> None:
        for command in (
            "FETCH 1 (PREVIEW (EAGER))",
            "FETCH 1 PREVIEW (EAGER)",
            "FETCH 1 (PREVIEW ())",
            "FETCH 1 (PREVIEW(LAZY))",
            "FETCH 1 (PREVIEW (LAZY)",
            "FETCH 1 (PREVIEW  (LAZY))",
            "FETCH 1 (FLAGS (LAZY))",
            "FETCH 1 PREVIEWS",
            "SEARCH PREVIEW x",
        ):
            with self.subTest(command=command):
                self.transcript(f"""
                    C: a1 {command}
                    S: a1 BAD ...
                """)


class ApplicationTests(IMAPCase):
    """Mailboxes of an application: each preview means to read a message."""

    selected = "INBOX"

    def make_factory(self, portal: Portal) -> Any:
        account = Account("alice")
        account.mailboxes["INBOX"].addMessage(BytesIO(PLAIN))
        return super().make_factory(Portal(Realm(account), [self.store]))

    def test_fetch(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (PREVIEW)
            S: * 1 FETCH (PREVIEW "Preview text!")
            S: a1 OK ...
            C: a2 FETCH 1 (PREVIEW (LAZY))
            S: * 1 FETCH (PREVIEW NIL)
            S: a2 OK ...
            # Here it is read in any case.
            C: a3 FETCH 1 (PREVIEW (LAZY) BODY.PEEK[]<0.1>)
            S: * 1 FETCH (PREVIEW "Preview text!" BODY[]<0> {1}
            S: S)
            S: a3 OK ...
        """)
