"""TRANSACTION (RFC 1939 §5, §7): what the maildrop has, and reading it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from tests.pop3.transcript import FIRST, POP3Case
from tests.transcript import Client
from twisted_duck import errors
from twisted_duck.held import BytesContent
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.names import INBOX
from twisted_duck.values import DELETED, SEEN, FlagChange, UIDSet


class ListingTests(POP3Case):
    def test_stat_list_uidl(self) -> None:
        validity = self.do("status", INBOX).uidvalidity
        self.transcript(f"""
            C: STAT
            S: +OK 2 81
            C: LIST
            S: +OK 2 messages (81 octets)
            S: 1 41
            S: 2 40
            S: .
            C: LIST 2
            S: +OK 2 40
            C: UIDL
            S: +OK 2 messages
            S: 1 {validity}.1
            S: 2 {validity}.2
            S: .
            C: UIDL 1
            S: +OK 1 {validity}.1
        """)

    def test_what_is_marked_stays_out_and_keeps_its_number(self) -> None:
        self.transcript("""
            C: DELE 1
            S: +OK message 1 is marked as deleted
            C: STAT
            S: +OK 1 40
            C: LIST
            S: +OK 1 messages (40 octets)
            S: 2 40
            S: .
            C: UIDL
            S: +OK 1 messages
            S: 2 ...
            S: .
            C: LIST 1
            S: -ERR message 1 is marked as deleted
            C: UIDL 1
            S: -ERR message 1 is marked as deleted
            C: RETR 1
            S: -ERR message 1 is marked as deleted
            C: TOP 1 0
            S: -ERR message 1 is marked as deleted
            C: DELE 1
            S: -ERR message 1 is marked as deleted
            C: LIST 2
            S: +OK 2 40
            C: RSET
            S: +OK 2 messages (81 octets)
            C: LIST 1
            S: +OK 1 41
        """)

    def test_numbers_that_no_message_has(self) -> None:
        for command in ("LIST", "UIDL", "RETR", "DELE"):
            self.transcript(f"""
                C: {command} 3
                S: -ERR there is no message 3, the last one is 2
                C: {command} 0
                S: -ERR there is no message 0, the last one is 2
                C: {command} 999999999999999999
                S: -ERR there is no message 999999999999999999, the last one is 2
                C: {command} one
                S: -ERR ... was expected
            """)

    def test_commands_sent_ahead_are_answered_in_order(self) -> None:
        client = self.client()
        client.send(
            b"STAT\r\nLIST 1\r\nXYZZY\r\nNOOP\r\nRETR 1\r\nDELE 1\r\nSTAT\r\nQUIT\r\nSTAT\r\n"
        )
        answers = client.heard().split(b"\r\n")
        self.assertEqual(
            [answer[:5] for answer in answers if answer[:1] in b"+-" and answer],
            [b"+OK 2", b"+OK 1", b"-ERR ", b"+OK s", b"+OK 4", b"+OK m", b"+OK 1", b"+OK u"],
        )

    def test_login_commands_are_over(self) -> None:
        for command in ("USER alice", "PASS x", "AUTH PLAIN AGEAYg==", "APOP a b", "STLS", "UTF8"):
            name = command.split(" ", 1)[0]
            self.transcript(f"""
                C: {command}
                S: -ERR {name} is not allowed in the state TRANSACTION
            """)


class EmptyTests(POP3Case):
    messages = ()

    def test_an_empty_maildrop(self) -> None:
        self.transcript("""
            C: STAT
            S: +OK 0 0
            C: LIST
            S: +OK 0 messages (0 octets)
            S: .
            C: UIDL
            S: +OK 0 messages
            S: .
            C: RETR 1
            S: -ERR there is no message 1, the last one is 0
            C: QUIT
            S: +OK ...
            S: (closed)
        """)


class ManyTests(POP3Case):
    messages = tuple(b"%d\r\n" % number for number in range(2500))

    def test_a_long_listing_is_whole_and_gives_others_a_turn(self) -> None:
        client = self.client()
        client.send(b"LIST\r\n" * 10)
        self.assertTrue(client.heard().count(b"\r\n") < 10 * 2502)
        self.clock.pump([0] * 100)
        client.send(b"UIDL\r\n")
        self.clock.pump([0] * 100)
        lines = client.heard().split(b"\r\n")
        self.assertEqual(lines[-2], b".")
        self.assertTrue(lines[-3].startswith(b"2500 "))


class SnapshotTests(POP3Case):
    def test_what_arrives_later_is_for_the_next_session(self) -> None:
        self.client()
        self.deliver(INBOX, FIRST)
        self.transcript("""
            C: STAT
            S: +OK 2 81
            C2: STAT
            S2: +OK 3 122
        """)

    def test_what_another_session_expunged_is_refused_and_keeps_its_number(self) -> None:
        self.client()
        mailbox = self.do("select", INBOX, False)
        self.run_(mailbox.store([1], FlagChange("add", frozenset({DELETED}))))
        self.run_(mailbox.expunge(UIDSet.of([1])))
        self.transcript("""
            C: STAT
            S: +OK 2 81
            C: LIST 1
            S: +OK 1 41
            C: RETR 1
            S: -ERR another session has deleted that message
            C: TOP 1 0
            S: -ERR another session has deleted that message
            C: LIST 2
            S: +OK 2 40
            C: DELE 1
            S: +OK ...
            C: DELE 2
            S: +OK ...
            C: QUIT
            S: +OK ...
        """)
        self.assertEqual(self.count(), 0)

    def test_asking_for_what_is_gone_is_no_mistake_of_the_client(self) -> None:
        client = self.client()
        mailbox = self.do("select", INBOX, False)
        self.run_(mailbox.store([1], FlagChange("add", frozenset({DELETED}))))
        self.run_(mailbox.expunge())
        for _ in range(60):
            client.say("RETR 1")
        self.clock.advance(0)
        self.assertFalse(client.transport.closed)

    def test_unique_ids_stay_the_same(self) -> None:
        first = self.client().say("UIDL")
        self.client().say("DELE 1")
        self.client().say("QUIT")
        self.deliver(INBOX, FIRST)
        second = self.client("2").say("UIDL")
        self.assertEqual(first[2].split(" ")[1], second[1].split(" ")[1])
        self.assertNotIn(second[2].split(" ")[1], " ".join(first))

    def test_what_moved_away_and_back_is_never_taken_for_another(self) -> None:
        """An id belongs to one message: what took its place is not known by it, and what comes back is one message."""
        before = self.unique_ids("1")
        inbox, archive = self.do("select", INBOX, False), self.do("select", "Archive", False)
        self.run_(inbox.move([1], "Archive"))
        self.deliver(INBOX, FIRST)
        while_away = self.unique_ids("2")
        self.run_(archive.move(list(archive.index.uids), INBOX))
        after = self.unique_ids("3")
        self.assertEqual(before[1], while_away[0])
        self.assertNotIn(before[0], while_away)
        self.assertEqual(after[:2], while_away)
        self.assertEqual(len(set(before) | set(after)), len(before) + 2)

    def unique_ids(self, name: str) -> list[str]:
        return [line.split(" ")[1] for line in self.client(name).say("UIDL")[1:-1]]

    def test_two_sessions_at_once(self) -> None:
        """Neither locks the other out; what both delete goes once, and each keeps its numbers (RFC 1939 §4, §8)."""
        self.transcript("""
            C: STAT
            S: +OK 2 81
            C2: STAT
            S2: +OK 2 81
            C: DELE 1
            S: +OK ...
            C2: DELE 1
            S2: +OK ...
            C: QUIT
            S: +OK until next time
            S: (closed)
            C2: LIST
            S2: +OK ...
            S2: 2 40
            S2: .
            C2: RETR 2
            S2: +OK 40 octets
            S2: ...
            S2: .
            C2: QUIT
            S2: +OK until next time
            S2: (closed)
        """)
        self.assertEqual(self.count(), 1)


class UTF8Tests(POP3Case):
    messages = ("Subject: é\r\nX: é\r\n\r\né\r\nmore\r\n".encode(),)

    def test_without_it_headers_are_ASCII(self) -> None:
        self.transcript("""
            C: RETR 1
            S: +OK ...
            S: Subject: =?utf-8?b?w6k=?=
            S:
            S: é
            S: more
            S: .
            C: TOP 1 1
            S: +OK ...
            S: Subject: =?utf-8?b?w6k=?=
            S:
            S: é
            S: .
        """)


class UTF8SaidTests(POP3Case):
    messages = UTF8Tests.messages

    def enter(self, client: Client) -> None:
        client.say("UTF8")
        super().enter(client)

    def test_messages_are_sent_as_they_were_stored(self) -> None:
        self.transcript("""
            C: RETR 1
            S: +OK ...
            S: Subject: é
            S: X: é
            S:
            S: é
            S: more
            S: .
            C: TOP 1 0
            S: +OK ...
            S: Subject: é
            S: X: é
            S:
            S: .
        """)


class RetrTests(POP3Case):
    def test_dots_are_doubled(self) -> None:
        self.assertEqual(
            self.client().say("RETR 2"),
            ["+OK 40 octets", "Subject: two", "", "..a dot", "..", "...", "the end", "."],
        )

    def test_reading_changes_no_flag(self) -> None:
        self.client().say("RETR 1")
        self.client().say("TOP 2 1")
        self.assertEqual(self.flags(), [frozenset(), frozenset()])

    def test_an_error_before_the_first_byte_is_err(self) -> None:
        async def chunks(*arguments: object) -> AsyncIterator[bytes]:
            raise errors.Unavailable("the database is away")
            yield b""

        self.patch(BytesContent, "peek", lambda *arguments: None)
        self.patch(BytesContent, "chunks", chunks)
        self.transcript("""
            C: RETR 1
            S: -ERR [SYS/TEMP] the database is away
            C: NOOP
            S: +OK ...
        """)

    def test_an_error_in_the_middle_ends_the_connection_without_a_word(self) -> None:
        for error in (errors.Unavailable("the database is away"), ValueError("a bug")):

            async def chunks(
                content: BytesContent, start: int, stop: int, error: Exception = error
            ) -> AsyncIterator[bytes]:
                yield content.data[:20]
                raise error

            self.patch(BytesContent, "peek", lambda *arguments: None)
            self.patch(BytesContent, "chunks", chunks)
            client = self.client(str(id(error)))
            client.say("DELE 2")
            client.send(b"RETR 1\r\nNOOP\r\nQUIT\r\n")
            self.assertEqual(client.heard(), b"+OK 41 octets\r\n" + FIRST[:20])
            self.assertTrue(client.transport.closed)
        self.assertEqual(self.count(), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class OddMessagesTests(POP3Case):
    ODD = (b"", b"\r\n", b"no end", b"bare\nLF\n.\n\n..\n", b"a\r\r\n.", b"\xff\x80\r\n\r\n\xe4")
    messages = ODD

    def enter(self, client: Client) -> None:
        client.say("UTF8")
        super().enter(client)

    def test_every_message_comes_back_and_has_the_size_it_was_listed_with(self) -> None:
        client = self.client()
        for number, message in enumerate(self.ODD, 1):
            size = int(client.say(f"LIST {number}")[0].split(" ")[2])
            self.assertEqual(size, len(message))
            client.send(b"RETR %d\r\n" % number)
            first, _, answer = client.heard().partition(b"\r\n")
            self.assertEqual(first, b"+OK %d octets" % len(message))
            self.assertEqual(unstuffed(answer)[:size], message)
            self.assertIn(unstuffed(answer)[size:], (b"", b"\r\n"))


class SeenTests(POP3Case):
    options: ClassVar[dict[str, Any]] = {"cleartextAuth": "always", "retrSetsSeen": True}

    def test_retr_sets_seen_and_top_does_not(self) -> None:
        self.transcript("""
            C: TOP 1 100
            S: +OK ...
            S: ...
            S: .
            C: RETR 2
            S: +OK ...
            S: ...
            S: .
        """)
        self.assertEqual(self.flags(), [frozenset(), frozenset({SEEN})])

    def test_that_it_cannot_be_set_fails_nothing(self) -> None:
        self.break_(MemoryMailbox, "store", errors.Unavailable("the database is away"))
        self.transcript("""
            C: RETR 1
            S: +OK ...
            S: ...
            S: .
            C: NOOP
            S: +OK ...
        """)

    def test_it_is_set_once(self) -> None:
        self.client().say("RETR 1")
        self.break_(MemoryMailbox, "store", AssertionError("stored again"))
        self.client().say("RETR 1")
        self.assertEqual(self.flags(), [frozenset({SEEN}), frozenset()])


class TopTests(POP3Case):
    def test_lines_of_the_body(self) -> None:
        self.transcript("""
            C: TOP 1 0
            S: +OK ...
            S: Subject: one
            S:
            S: .
            C: TOP 1 1
            S: +OK ...
            S: Subject: one
            S:
            S: first line
            S: .
            C: TOP 1 999999999999999999
            S: +OK ...
            S: Subject: one
            S:
            S: first line
            S: second line
            S: .
            C: TOP 2 2
            S: +OK ...
            S: Subject: two
            S:
            S: ..a dot
            S: ..
            S: .
            C: TOP 1
            S: -ERR the number of a message and a number of lines was expected
        """)


class NoBodyTests(POP3Case):
    messages = (b"Subject: only a header", b"Subject: x\r\n\r\n", b"")

    def test_top_of_messages_without_a_body(self) -> None:
        self.transcript("""
            C: TOP 1 5
            S: +OK ...
            S: Subject: only a header
            S: .
            C: TOP 2 5
            S: +OK ...
            S: Subject: x
            S:
            S: .
            C: TOP 3 5
            S: +OK ...
            S: .
        """)


#: Pieces of every kind, as a store may cut them.
octets = st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"\r\n.\r\n"])).map(b"".join)


class PiecesTests(POP3Case):
    messages = ()

    @given(st.lists(octets), st.integers(0, 4))
    def test_retr_and_top_are_right_wherever_the_store_cuts(
        self, pieces: list[bytes], lines: int
    ) -> None:
        async def chunks(content: BytesContent, start: int, stop: int) -> AsyncIterator[bytes]:
            at = 0
            for piece in pieces:
                cut = piece[max(start - at, 0) : max(stop - at, 0)]
                at += len(piece)
                if cut:
                    yield cut

        message = b"".join(pieces)
        self.deliver(INBOX, message)
        whole = self.patch(BytesContent, "peek", lambda *arguments: None)
        cut = self.patch(BytesContent, "chunks", chunks)
        try:
            client = self.client(str(len(self.clients)))
            client.send(b"STAT\r\n")
            count = int(client.heard().split(b" ")[1])
            client.send(b"RETR %d\r\n" % count)
            self.clock.pump([0] * 5)
            _, _, answer = client.heard().partition(b"\r\n")
            self.assertEqual(unstuffed(answer).removesuffix(b"\r\n"), message.removesuffix(b"\r\n"))
            client.send(b"TOP %d %d\r\n" % (count, lines))
            self.clock.pump([0] * 5)
            _, _, answer = client.heard().partition(b"\r\n")
            self.assertTrue(
                message.startswith(unstuffed(answer).removesuffix(b"\r\n")), (message, answer)
            )
            client.send(b"NOOP\r\n")
            self.assertEqual(client.heard(), b"+OK still here\r\n")
        finally:
            whole.restore()
            cut.restore()


def unstuffed(answer: bytes) -> bytes:
    """What a client that takes any LF for a line end reads; nothing may follow."""
    lines = [line + b"\n" for line in answer.split(b"\n")[:-1]]
    assert lines.pop() == b".\r\n", answer
    assert b".\r\n" not in lines and b".\n" not in lines, answer
    return b"".join(line[1:] if line.startswith(b".") else line for line in lines)
