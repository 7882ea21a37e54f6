"""FETCH and UID FETCH."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from attrs import evolve

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import Unavailable
from twisted_duck.limits import Limits
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.mime.message import analyse
from twisted_duck.outflow import Outflow
from twisted_duck.values import SEEN

SIMPLE = b"From: a@example.org\r\nSubject: hallo\r\nX-Note: 1\r\n\r\nline one\r\nline two\r\n"
MULTIPART = b"""\
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
first\r
--b\r
Content-Type: message/rfc822\r
\r
Subject: inside\r
\r
second\r
--b--\r
"""


class FetchTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        date = datetime(1996, 7, 7, 2, 44, 25, tzinfo=UTC)
        self.deliver("INBOX", SIMPLE, flags=["$Work"], date=date)
        self.deliver("INBOX", MULTIPART)

    def test_attributes_in_the_order_asked(self) -> None:
        self.transcript(r"""
            C: a1 FETCH 1 (UID RFC822.SIZE INTERNALDATE FLAGS)
            S: * 1 FETCH (UID 1 RFC822.SIZE 70 INTERNALDATE " 7-Jul-1996 02:44:25 +0000" FLAGS (\Recent $Work))
            S: a1 OK FETCH completed
        """)

    def test_macros(self) -> None:
        envelope = 'ENVELOPE (NIL "hallo" ((NIL NIL "a" "example.org")) ((NIL ...'
        self.transcript(rf"""
            C: a1 FETCH 1 FAST
            S: * 1 FETCH (FLAGS (...) INTERNALDATE "..." RFC822.SIZE 70)
            S: a1 OK ...
            C: a2 FETCH 1 ALL
            S: * 1 FETCH (FLAGS (...) INTERNALDATE "..." RFC822.SIZE 70 {envelope})
            S: a2 OK ...
            C: a3 FETCH 1 full
            S: * 1 FETCH (FLAGS (...) INTERNALDATE "..." RFC822.SIZE 70 {envelope} BODY ("text" "plain" ...))
            S: a3 OK ...
            C: a4 FETCH 1 (FAST)
            S: a4 BAD FAST can't be fetched...
        """)

    def test_structure(self) -> None:
        self.transcript(r"""
            C: a1 FETCH 2 (BODY BODYSTRUCTURE)
            S: * 2 FETCH (BODY (("text" "plain" ...)("message" "rfc822" ...) "mixed") BODYSTRUCTURE ((...) "mixed" ("boundary" "b") NIL NIL NIL))
            S: a1 OK ...
        """)

    def test_sections(self) -> None:
        self.transcript("""
            C: a1 FETCH 2 (BODY.PEEK[1] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.MIME] BODY.PEEK[2.1])
            S: * 2 FETCH (BODY[1] {5}
            S: first BODY[2.HEADER] {19}
            S: Subject: inside
            S:
            S:  BODY[2.TEXT] {6}
            S: second BODY[2.MIME] {32}
            S: Content-Type: message/rfc822
            S:
            S:  BODY[2.1] {6}
            S: second)
            S: a1 OK ...
        """)

    def test_sections_that_are_not_there(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (BODY.PEEK[2] BODY.PEEK[1.HEADER] BODY.PEEK[3.1.MIME]<0.10>)
            S: * 1 FETCH (BODY[2] NIL BODY[1.HEADER] NIL BODY[3.1.MIME]<0> NIL)
            S: a1 OK ...
            C: a2 FETCH 1 BODY.PEEK[MIME]
            S: a2 BAD ...
            C: a3 FETCH 1 BODY.PEEK[0]
            S: a3 BAD ...
        """)

    def test_header_fields_under_the_names_the_client_used(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 BODY.PEEK[HEADER.FIELDS (subject "FROM" "a b")]
            S: * 1 FETCH (BODY[HEADER.FIELDS (subject FROM "a b")] {39}
            S: From: a@example.org
            S: Subject: hallo
            S:
            S: )
            S: a1 OK ...
            C: a2 FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (From Subject)]<2.4>
            S: * 1 FETCH (BODY[HEADER.FIELDS.NOT (From Subject)]<2> {4}
            S: Note)
            S: a2 OK ...
        """)

    def test_partials(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (BODY.PEEK[TEXT]<0.4> BODY.PEEK[TEXT]<5.1000> BODY.PEEK[TEXT]<1000.1>)
            S: * 1 FETCH (BODY[TEXT]<0> {4}
            S: line BODY[TEXT]<5> {15}
            S: one
            S: line two
            S:  BODY[TEXT]<1000> {0}
            S: )
            S: a1 OK ...
            C: a2 FETCH 1 BODY.PEEK[]<0.0>
            S: a2 BAD ...
        """)

    def test_items_of_old_under_their_own_names(self) -> None:
        self.transcript(r"""
            C: a1 FETCH 1 RFC822.HEADER
            S: * 1 FETCH (RFC822.HEADER {50}
            S: ...
            S: )
            S: a1 OK ...
            C: a2 FETCH 1 (RFC822.TEXT RFC822)
            S: * 1 FETCH (FLAGS (\Recent \Seen $Work) RFC822.TEXT {20}
            S: ...
            S:  RFC822 {70}
            S: ...
            S: )
            S: a2 OK ...
        """)

    def test_reading_sets_seen_and_says_so_once(self) -> None:
        self.transcript(r"""
            C: a1 FETCH 1 BODY.PEEK[]<0.1>
            S: * 1 FETCH (BODY[]<0> {1}
            S: F)
            S: a1 OK ...
            C: a2 FETCH 1 BODY[]<0.1>
            S: * 1 FETCH (FLAGS (\Recent \Seen $Work) BODY[]<0> {1}
            S: F)
            S: a2 OK ...
            C: a3 FETCH 1 BODY[]<0.1>
            S: * 1 FETCH (BODY[]<0> {1}
            S: F)
            S: a3 OK ...
            C: a4 FETCH 2 (BODY[]<0.1> FLAGS)
            S: * 2 FETCH (BODY[]<0> {1}
            S: C FLAGS (\Recent \Seen))
            S: a4 OK ...
        """)

    def test_reading_after_examine_does_not_set_seen(self) -> None:
        self.transcript(r"""
            C: a0 EXAMINE INBOX
            S: ...
            S: a0 OK ...
            C: a1 FETCH 1 (BODY[]<0.1> FLAGS)
            S: * 1 FETCH (BODY[]<0> {1}
            S: F FLAGS ($Work))
            S: a1 OK ...
        """)
        self.assertEqual(self.do("status", "INBOX").unseen, 2)

    def test_uid_fetch_answers_with_the_uid_first(self) -> None:
        self.transcript(r"""
            C: a1 UID FETCH 1:* FLAGS
            S: * 1 FETCH (UID 1 FLAGS (\Recent $Work))
            S: * 2 FETCH (UID 2 FLAGS (\Recent))
            S: a1 OK FETCH completed
            C: a2 UID FETCH 2 (FLAGS UID)
            S: * 2 FETCH (FLAGS (\Recent) UID 2)
            S: a2 OK ...
            C: a3 UID FETCH 2 BODY[]<0.1>
            S: * 2 FETCH (FLAGS (\Recent \Seen) UID 2 BODY[]<0> {1}
            S: C)
            S: a3 OK ...
        """)

    def test_sets(self) -> None:
        self.transcript("""
            C: a1 FETCH 2,1,2:1,* UID
            S: * 1 FETCH (UID 1)
            S: * 2 FETCH (UID 2)
            S: a1 OK ...
            C: a2 FETCH 1:3 UID
            S: a2 BAD there is no message 3, the last one is 2
            C: a3 UID FETCH 7 FLAGS
            S: a3 OK FETCH completed
            C: a4 UID FETCH 7:* UID
            S: * 2 FETCH (UID 2)
            S: a4 OK ...
            C: a5 FETCH 0 UID
            S: a5 BAD ...
            C: a6 FETCH 4294967296 UID
            S: a6 BAD ...
        """)

    def test_empty_mailbox(self) -> None:
        self.transcript("""
            C: a0 SELECT Junk
            S: ...
            S: a0 OK ...
            C: a1 FETCH 1:* FLAGS
            S: a1 OK FETCH completed
            C: a2 UID FETCH 1:* FLAGS
            S: a2 OK FETCH completed
            C: a3 FETCH * (FLAGS BODY[])
            S: a3 OK FETCH completed
        """)

    def test_uids_and_flags_ask_the_store_nothing(self) -> None:
        def fetch(*arguments: object) -> None:
            self.fail("the store was asked")

        self.client()
        self.patch(MemoryMailbox, "fetch", fetch)
        self.transcript("""
            C: a1 FETCH 1:2 (UID FLAGS)
            S: ...
            S: a1 OK ...
        """)

    def test_new_keywords_are_defined_before_they_are_used(self) -> None:
        self.client()
        self.client("2")
        self.transcript(r"""
            C2: b1 STORE 2 +FLAGS.SILENT (New)
            S2: ...
            S2: b1 OK ...
            C: a1 FETCH 2 FLAGS
            S: * FLAGS (... $Work New)
            S: * OK [PERMANENTFLAGS (... $Work New \*)] ...
            S: * 2 FETCH (FLAGS (\Recent New))
            S: ...
            S: a1 OK ...
        """)


class Content:
    """A message that is nowhere at hand."""

    def __init__(self, data: bytes, chunk: int = 1000, fails_at: int | None = None) -> None:
        self.data = data
        self.size = len(data)
        self.tree = analyse(data, Limits()).tree
        self.header = self.tree.parts[0].body
        self._chunk = chunk
        self._fails_at = fails_at

    def peek(self, start: int, stop: int) -> bytes | None:
        return None

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        for at in range(start, stop, self._chunk):
            if self._fails_at is not None and at >= self._fails_at:
                raise Unavailable("the database is away")
            yield self.data[at : min(at + self._chunk, stop)]


class StreamedTests(IMAPCase):
    selected = "INBOX"

    def serve(self, content: Content) -> None:
        """Whatever is fetched has this content."""
        self.deliver("INBOX", SIMPLE, flags=[SEEN])
        self.client()
        original = MemoryMailbox.fetch

        async def fetch(mailbox: MemoryMailbox, uids, wanted):  # type: ignore[no-untyped-def]
            async for batch in original(mailbox, uids, wanted):
                yield [evolve(data, content=content) for data in batch]

        self.patch(MemoryMailbox, "fetch", fetch)

    def test_in_chunks(self) -> None:
        body = b"0123456789" * 30_000
        self.serve(Content(b"A: b\r\n\r\n" + body))
        self.client().send(b"a1 FETCH 1 (BODY[TEXT] BODY[HEADER.FIELDS (A)] BODY[]<8.5>)\r\n")
        self.assertEqual(
            self.client().heard(),
            b"* 1 FETCH (BODY[TEXT] {300000}\r\n%b BODY[HEADER.FIELDS (A)] {8}\r\nA: b\r\n\r\n"
            b" BODY[]<8> {5}\r\n01234)\r\na1 OK FETCH completed\r\n" % body,
        )

    def test_store_that_fails_before_anything_was_said_fails_the_command(self) -> None:
        for fails_at in (0, 3000):
            with self.subTest(fails_at=fails_at):
                self.serve(Content(b"\r\n" + b"x" * 10_000, fails_at=fails_at))
                self.transcript("""
                    C: a1 FETCH 1 (FLAGS BODY[])
                    S: a1 NO [UNAVAILABLE] the database is away
                    C: a2 FETCH 1 (FLAGS BODY[HEADER.FIELDS (A)])
                    S: ...
                    C: a3 NOOP
                    S: a3 OK NOOP completed
                """)

    def test_store_that_fails_in_the_middle_of_a_literal_ends_the_connection(self) -> None:
        self.serve(Content(b"\r\n" + b"x" * 200_000, fails_at=150_000))
        client = self.client()
        client.send(b"a1 FETCH 1 BODY[TEXT]\r\na2 NOOP\r\n")
        heard = client.heard()
        self.assertNotIn(b"a1", heard)
        self.assertNotIn(b"BYE", heard)
        self.assertTrue(client.transport.closed)
        reason = "an answer could not be finished: the database is away"
        self.assertEqual(client.protocol.session.closeReason, reason)

    def test_message_that_is_shorter_than_it_was(self) -> None:
        content = Content(b"\r\n" + b"x" * 5000)
        content.data = content.data[:4000]
        self.serve(content)
        self.transcript("""
            C: a1 FETCH 1 BODY[]
            S: a1 NO [CORRUPTION] ...
        """)

    def test_slow_reader_is_waited_for(self) -> None:
        self.serve(Content(b"\r\n" + b"x" * 10_000_000, chunk=50_000))
        client = self.client()
        client.transport.slow = True
        client.send(b"a1 FETCH 1 BODY[]\r\n")
        pieces = [client.take()]
        while pieces[-1] and not pieces[-1].endswith(b"a1 OK FETCH completed\r\n"):
            pieces.append(client.take())
        self.assertTrue(pieces[-1])
        self.assertGreater(len(pieces), 50)
        self.assertLess(max(map(len, pieces)), Outflow.PIECE + 50_000)


class ManyTests(IMAPCase):
    """The messages of the memory store are at hand, all of them at once."""

    selected = "INBOX"

    def test_one_long_message_does_not_pile_up(self) -> None:
        self.deliver("INBOX", b"\r\n" + b"x" * 10_000_000, flags=[SEEN])
        client = self.client()
        client.transport.slow = True
        client.send(b"a1 FETCH 1 BODY[]\r\n")
        self.assertLess(len(client.heard()), 3 * Outflow.PIECE)
        client.transport.slow = False
        client.take()
        self.assertTrue(client.heard().endswith(b"a1 OK FETCH completed\r\n"))

    def test_many_messages_do_not_pile_up(self) -> None:
        self.deliver("INBOX", *[b"\r\n" + b"x" * 30_000] * 100, flags=[SEEN])
        client = self.client()
        client.transport.slow = True
        client.send(b"a1 FETCH 1:* BODY[]\r\n")
        self.assertLess(len(client.heard()), 3 * Outflow.PIECE)
        client.disconnect()

    def test_others_are_served_in_between(self) -> None:
        self.deliver("INBOX", *[b"x"] * 11_000)
        self.client("2")
        client = self.client()
        client.send(b"a1 FETCH 1:* FLAGS\r\n")
        self.assertNotIn(b"a1 OK", client.heard())
        self.assertEqual(self.client("2").say("b1 NOOP"), ["b1 OK NOOP completed"])
        self.clock.advance(0)
        self.assertIn(b"a1 OK", client.heard())

    def test_others_are_served_while_a_search_names_very_many(self) -> None:
        many = 22_000
        self.deliver("INBOX", *[b"x"] * many)
        self.client("2")
        client = self.client()
        numbers = " ".join(map(str, range(1, many + 1)))
        for command, answer in (
            (b"SEARCH ALL", f"* SEARCH {numbers}"),
            (b"SEARCH RETURN (ALL) ALL", f'* ESEARCH (TAG "a1") ALL 1:{many}'),
        ):
            client.send(b"a1 %b\r\n" % command)
            self.assertEqual(client.heard(), b"")
            self.assertEqual(self.client("2").say("b1 NOOP"), ["b1 OK NOOP completed"])
            self.clock.advance(0)
            self.assertEqual(client.heard().decode(), f"{answer}\r\na1 OK SEARCH completed\r\n")

    def test_others_are_served_while_the_fields_of_one_header_are_gone_through(self) -> None:
        self.deliver("INBOX", b"Subject: s\r\n" + b"a: b\r\n" * 50_000 + b"\r\n")
        self.client("2")
        client = self.client()
        client.send(b"a1 FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\n")
        self.assertNotIn(b"a1 OK", client.heard())
        self.assertEqual(self.client("2").say("b1 NOOP"), ["b1 OK NOOP completed"])
        self.clock.advance(0)
        self.assertEqual(
            client.heard(),
            b"* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {14}\r\nSubject: s\r\n\r\n)\r\n"
            b"a1 OK FETCH completed\r\n",
        )

    def test_others_are_served_between_many_items(self) -> None:
        self.deliver("INBOX", *[b"a: b\r\n\r\n"] * 20)
        self.client("2")
        client = self.client()
        items = " ".join(f"BODY.PEEK[HEADER.FIELDS (f{n})]" for n in range(200))
        client.send(f"a1 FETCH 1:* ({items})\r\n".encode())
        self.assertNotIn(b"a1 OK", client.heard())
        self.assertEqual(self.client("2").say("b1 NOOP"), ["b1 OK NOOP completed"])
        self.clock.pump([0] * 3)
        self.assertIn(b"a1 OK", client.heard())
