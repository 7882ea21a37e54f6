"""FETCH from a mailbox that remembers what was said: the answers are the same, and what changes is as it is now."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from itertools import permutations
from typing import Any

from tests.imap.test_fetch import SIMPLE
from tests.imap.transcript import IMAPCase
from twisted_duck.imap.commands import fetch
from twisted_duck.index import living
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.store.recall import Recall
from twisted_duck.store.remembered import Memory, Remembered
from twisted_duck.values import SEEN, FetchWant

NESTED = (
    b"From: a@example.org\r\nSubject: two\r\n\tlines\r\nDate: Mon, 1 Jan 2024 10:00:00 +0100\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
    b"Content-Type: text/html\r\n\r\n<b>two</b>\r\n--b--\r\n"
)


class AnyMailbox:
    """In place of the interface: what `setUp` made remembers."""

    @staticmethod
    def providedBy(mailbox: object) -> bool:
        return True


class RecallTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.remembered = remembered = Remembered(Memory(1 << 20))
        self.read = 0
        test = self

        def recall(
            mailbox: MemoryMailbox,
            uids: Sequence[int],
            wanted: frozenset[FetchWant],
            what: Hashable,
        ) -> Any:
            async def read(some: Sequence[int]) -> Any:
                test.read += len(some)
                async for batch in mailbox.fetch(some, wanted):
                    yield batch

            async def is_sure() -> bool:
                return True

            def alive(some: Sequence[int]) -> Collection[int]:
                return living(mailbox.index, some)

            return Recall(remembered, what, read, is_sure, alive).messages(uids)

        MemoryMailbox.recall = recall  # type: ignore[attr-defined]
        self.addCleanup(delattr, MemoryMailbox, "recall")
        self.patch(fetch, "IRecallingMailbox", AnyMailbox)
        for content in (SIMPLE, NESTED, SIMPLE):
            self.deliver("INBOX", content, flags=[SEEN])

    def asked(self, what: str) -> bytes:
        client = self.client()
        client.send(b"a FETCH 1:* " + what.encode() + b"\r\n")
        return client.heard()

    def test_every_answer_is_the_same_and_nothing_is_read_for_it(self) -> None:
        for what in (
            "ENVELOPE",
            "FULL",
            "(UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)",
            "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From Subject)] INTERNALDATE)",
            "(BODY.PEEK[HEADER.FIELDS.NOT (Date)] FLAGS)",
            "(BODY.PEEK[HEADER.FIELDS (X)] BODY.PEEK[HEADER])",
            "(PREVIEW RFC822.SIZE)",
            "(PREVIEW (LAZY))",
            "(BODY.PEEK[HEADER.FIELDS (from subject)])",
        ):
            with self.subTest(what=what):
                self.read = 0
                first = self.asked(what)
                self.assertEqual(first.count(b" FETCH ("), 3)
                self.assertEqual(self.read, 3)
                self.assertEqual(self.asked(what), first)
                self.assertEqual(self.read, 3)

    def test_items_are_told_where_they_were_asked_for_whatever_stood_between_them_before(
        self,
    ) -> None:
        items = ("ENVELOPE", "RFC822.SIZE", "BODY.PEEK[HEADER.FIELDS (Subject)]", "FLAGS", "UID")
        orders = [f"({' '.join(order)})" for order in permutations(items)]
        read = {}
        for what in orders:
            read[what] = self.asked(what)
            self.remembered.clear()
        for what in orders:
            with self.subTest(what=what):
                self.assertEqual(self.asked(what), read[what])

    def test_flags_and_modseqs_are_those_of_now(self) -> None:
        self.asked("(FLAGS RFC822.SIZE MODSEQ)")
        self.transcript(r"""
            C: a1 STORE 2 +FLAGS.SILENT (\Flagged)
            S: ...
            S: a1 OK ...
            C: a2 FETCH 2 (FLAGS RFC822.SIZE MODSEQ)
            S: * 2 FETCH (UID 2 FLAGS (\Recent \Flagged \Seen) RFC822.SIZE 189 MODSEQ (5))
            S: ...
            S: a2 OK FETCH completed
        """)
        self.assertEqual(self.read, 3)

    def test_what_is_read_or_sets_flags_is_read_each_time(self) -> None:
        for what in (
            "BODY.PEEK[]",
            "(ENVELOPE BODY.PEEK[1])",
            "BODY.PEEK[HEADER]<0.5>",
            "BODY[HEADER]",
            f"BODY.PEEK[HEADER.FIELDS ({' '.join(f'X-{n}' for n in range(200))})]",
        ):
            with self.subTest(what=what):
                first = self.asked(what)
                self.assertEqual(first.count(b" FETCH ("), 3)
                self.assertEqual(self.asked(what), first)
                self.assertEqual(self.read, 0)

    def test_what_was_expunged_is_not_told(self) -> None:
        self.asked("ENVELOPE")
        self.client("2")
        self.transcript(r"""
            C2: b1 STORE 2 +FLAGS.SILENT (\Deleted)
            S2: ...
            S2: b1 OK ...
            C2: b2 EXPUNGE
            S2: ...
            S2: b2 OK ...
            C: a1 FETCH 1:* ENVELOPE
            S: * 1 FETCH (ENVELOPE ...)
            S: * 3 FETCH (ENVELOPE ...)
            S: ...
            S: a1 OK [EXPUNGEISSUED] ...
        """)
