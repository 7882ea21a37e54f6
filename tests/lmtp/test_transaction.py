"""MAIL, RCPT, DATA, BDAT: who gets what, and what is said of it."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.lmtp.transcript import LMTPCase
from twisted_duck.errors import Unavailable, Unsettled
from twisted_duck.limits import Limits
from twisted_duck.lmtp import grammar
from twisted_duck.memory.delivery import MemoryDelivery
from twisted_duck.spool import Spool
from twisted_duck.values import Recipient

MESSAGE = b"Subject: hi\r\n\r\n.one dot\r\n..\r\nthe end\r\n"
STUFFED = b"Subject: hi\r\n\r\n..one dot\r\n...\r\nthe end\r\n.\r\n"


class DataTests(LMTPCase):
    def test_a_message_for_one(self) -> None:
        self.transcript("""
            C: MAIL FROM:<sender@example.net>
            S: 250 2.1.0 ...
            C: RCPT TO:<alice@example.org>
            S: 250 2.1.5 <alice@example.org> is fine
            C: DATA
            S: 354 ...
            C: Subject: hi
            C:
            C: ..one dot
            C: ...
            C: the end
            C: .
            S: 250 2.0.0 <alice@example.org> has the message
            C: MAIL FROM:<>
            S: 250 2.1.0 ...
        """)
        self.assertEqual(self.mail(), [self.trace() + MESSAGE])

    def test_a_reply_for_each_who_was_accepted(self) -> None:
        """RFC 2033 §4.2, its example."""
        client = self.client()
        client.send(
            b"MAIL FROM:<chris@bar.example>\r\nRCPT TO:<alice@example.org>\r\n"
            b"RCPT TO:<jones@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
        )
        said = [line[:9] for line in client.heard().decode().splitlines()]
        self.assertEqual(said, ["250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "354 the m"])
        client.send(b"Subject: long\r\n\r\n" + b"x" * 2000 + b"\r\n.\r\nQUIT\r\n")
        self.assertEqual(
            client.heard().decode().splitlines(),
            [
                "250 2.0.0 <alice@example.org> has the message",
                "452 4.2.2 <bob@example.org> there is not enough room left",
                "221 2.0.0 until next time",
            ],
        )
        self.assertEqual((len(self.mail()), len(self.mail("bob"))), (1, 0))

    def test_who_is_not_accepted(self) -> None:
        self.transcript("""
            C: MAIL FROM:<a@example.net> SIZE=1001
            S: 250 2.1.0 ...
            C: RCPT TO:<nobody@example.org>
            S: 550 5.1.1 ...
            C: RCPT TO:<alice@example.com>
            S: 550 5.1.1 ...
            C: RCPT TO:<Postmaster>
            S: 550 5.1.1 ...
            C: RCPT TO:<carol@example.org>
            S: 550 5.2.1 ...
            C: RCPT TO:<bob@example.org>
            S: 452 4.2.2 ...
            C: RCPT TO:<josé@example.org>
            S: 553 5.6.7 ...
            C: RCPT TO:alice@example.org
            S: 501 5.5.4 ...
            C: RCPT TO:<alice@example.org> NOTIFY=NEVER
            S: 555 5.5.4 ...
            C: DATA
            S: 503 5.5.1 there is no recipient
            C: RCPT TO:<alice@example.org>
            S: 250 2.1.5 ...
        """)

    def test_a_message_that_is_too_large_by_its_announcement(self) -> None:
        self.transcript("""
            C: MAIL FROM:<a@example.net> SIZE=67108865
            S: 552 5.3.4 ...
            C: RCPT TO:<alice@example.org>
            S: 503 5.5.1 ...
            C: MAIL FROM:<a@example.net> SIZE=67108864 BODY=8BITMIME
            S: 250 2.1.0 ...
        """)

    def test_a_user_who_is_named_again(self) -> None:
        """Each RCPT has its reply, and the user the message once, for the first address."""
        self.run_(self.store.addresses.add("alice", "info@example.org"))
        client = self.begin("alice", "ALICE", "al.ice+x", "info", "bob")
        client.say("DATA")
        client.send(STUFFED)
        self.assertEqual(client.heard().count(b"250 2.0.0 <"), 5)
        self.assertEqual(self.mail(), [self.trace() + MESSAGE])
        self.assertEqual(self.mail("bob"), [self.trace("bob") + MESSAGE])

    def test_the_address_is_told_as_it_was_given(self) -> None:
        client = self.begin("Al.Ice+news", sender="Big.Sender@example.net")
        client.say("DATA")
        client.send(STUFFED)
        self.assertEqual(
            self.mail(), [self.trace("Al.Ice+news", "Big.Sender@example.net") + MESSAGE]
        )

    def test_utf8(self) -> None:
        self.run_(self.store.addresses.add("alice", "josé@bücher.example"))
        self.transcript("""
            C: MAIL FROM:<ünal@example.net>
            S: 550 5.6.7 ...
            C: MAIL FROM:<ünal@example.net> SMTPUTF8
            S: 250 2.1.0 ...
            C: RCPT TO:<JOSÉ@xn--bcher-kva.example>
            S: 250 2.1.5 ...
            C: DATA
            S: 354 ...
            C: Subject: ü
            C: .
            S: 250 2.0.0 ...
        """)
        [message] = self.mail()
        self.assertEqual(
            message.decode(),
            "Return-Path: <ünal@example.net>\r\nDelivered-To: JOSÉ@xn--bcher-kva.example\r\n"
            "Subject: ü\r\n",
        )

    def test_a_catch_all_and_an_alias(self) -> None:
        self.run_(self.store.addresses.add("bob", "*@example.org"))
        self.run_(self.store.addresses.add_alias("alias.example", "example.org"))
        self.transcript("""
            C: MAIL FROM:<>
            S: 250 2.1.0 ...
            C: RCPT TO:<whoever@alias.example>
            S: 250 2.1.5 ...
            C: RCPT TO:<"two words"@example.org>
            S: 250 2.1.5 ...
            C: DATA
            S: 354 ...
            C: .
            S: 250 2.0.0 ...
            S: 250 2.0.0 ...
        """)
        self.assertEqual(
            self.mail("bob"), [b"Return-Path: <>\r\nDelivered-To: whoever@alias.example\r\n"]
        )

    def test_rset_and_lhlo_end_a_transaction(self) -> None:
        for line in ("RSET", "LHLO again.example"):
            client = self.begin()
            client.say(line)
            self.transcript("""
                C: RCPT TO:<alice@example.org>
                S: 503 5.5.1 ...
                C: DATA
                S: 503 5.5.1 ...
            """)

    def test_mail_within_a_transaction(self) -> None:
        self.begin()
        self.transcript("""
            C: MAIL FROM:<b@example.net>
            S: 503 5.5.1 ...
            C: DATA
            S: 354 ...
            C: .
            S: 250 2.0.0 ...
        """)

    def test_states(self) -> None:
        client = self.client()
        session = client.protocol.session
        self.assertEqual(session.state, "READY")
        self.begin()
        self.assertEqual(session.state, "MAIL")
        client.say("DATA")
        self.assertEqual(session.state, "DATA")
        client.send(b".\r\n")
        self.assertEqual(session.state, "READY")


class SmugglingTests(LMTPCase):
    def test_only_one_thing_ends_the_data(self) -> None:
        """A dot between other line ends ends nothing, and the message is refused."""
        for end in (
            b"\n.\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r\n.\r",
            b"\r.\r\n",
            b"\r\n\x00.\r\n",
        ):
            client = self.begin("alice", "bob")
            client.say("DATA")
            client.send(b"Subject: x\r\n\r\ntext" + end + b"MAIL FROM:<evil@example.net>\r\n")
            self.assertEqual(client.heard(), b"")
            client.send(b"\r\n.\r\n")
            said = client.heard().split(b"\r\n")
            self.assertEqual([line[:10] for line in said], [b"550 5.6.0 ", b"550 5.6.0 ", b""], end)
        self.assertEqual(self.mail(), [])

    def test_bare_line_ends_in_chunks(self) -> None:
        client = self.client()
        for chunks in ([b"a\nb"], [b"a\r", b"b"], [b"a\r"], [b"\nb"]):
            self.begin()
            for chunk in chunks[:-1]:
                client.send(b"BDAT %d\r\n%b" % (len(chunk), chunk))
            client.send(b"BDAT %d LAST\r\n%b" % (len(chunks[-1]), chunks[-1]))
            self.assertEqual(client.heard().splitlines()[-1][:9], b"550 5.6.0", chunks)
        self.begin()
        client.send(b"BDAT 2\r\na\rBDAT 2 LAST\r\n\nb")
        self.assertEqual(client.heard().splitlines()[-1][:9], b"250 2.0.0")
        self.assertEqual(self.mail(), [self.trace() + b"a\r\nb"])

    def test_nul(self) -> None:
        client = self.begin()
        client.send(b"BDAT 3 LAST\r\na\0b")
        self.assertEqual(client.heard(), b"550 5.6.0 <alice@example.org> the message has a NUL\r\n")


class ChunkTests(LMTPCase):
    limits = attrs.evolve(Limits(), message=100)

    def test_chunks(self) -> None:
        self.begin("alice", "bob")
        self.transcript("""
            C: BDAT 9
            C: Subject
            S: 250 2.0.0 9 octets taken
            C: DATA
            S: 503 5.5.1 ...
            C: RCPT TO:<alice@example.org>
            S: 503 5.5.1 ...
            C: MAIL FROM:<>
            S: 503 5.5.1 ...
            C: BDAT 3
            C: .
            S: 250 2.0.0 3 octets taken
            C: BDAT 0 LAST
            S: 250 2.0.0 <alice@example.org> ...
            S: 250 2.0.0 <bob@example.org> ...
        """)
        self.assertEqual(self.mail(), [self.trace() + b"Subject\r\n.\r\n"])

    def test_octets_are_read_when_there_is_nobody_to_get_them(self) -> None:
        self.transcript("""
            C: BDAT 6
            C: QUIT
            S: 503 5.5.1 ...
            C: MAIL FROM:<>
            S: 250 2.1.0 ...
            C: RCPT TO:<x@example.org>
            S: 550 5.1.1 ...
            C: BDAT 6
            C: QUIT
            S: 503 5.5.1 there is no recipient
            C: NOOP
            S: 250 2.0.0 ...
        """)

    def test_the_last_chunk_for_nobody_has_no_reply(self) -> None:
        """RFC 2033 §4.3: one for each recipient that was accepted, and so none."""
        client = self.client()
        client.say("MAIL FROM:<>")
        client.say("RCPT TO:<x@example.org>")
        client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        self.assertEqual(client.heard(), b"")
        # The transaction is over, and another chunk is behind the last one.
        self.assertEqual(client.protocol.session.state, "READY")
        client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        self.assertEqual(client.heard()[:9], b"503 5.5.1")
        self.begin()

    def test_rset_forgets_chunks(self) -> None:
        self.begin()
        self.transcript("""
            C: BDAT 3
            C: a
            S: 250 2.0.0 ...
            C: RSET
            S: 250 2.0.0 ...
            C: BDAT 3 LAST
            C: a
            S: 503 5.5.1 ...
        """)
        self.begin()
        self.client().send(b"BDAT 1 LAST\r\nb")
        self.assertEqual(self.mail(), [self.trace() + b"b"])

    def test_a_chunk_that_makes_it_too_large_ends_the_transaction(self) -> None:
        client = self.begin()
        client.send(
            b"BDAT 60\r\n" + b"x" * 60 + b"BDAT 41\r\n" + b"y" * 41 + b"BDAT 1 LAST\r\nzNOOP\r\n"
        )
        said = [line[:9] for line in client.heard().splitlines()]
        self.assertEqual(said, [b"250 2.0.0", b"552 5.3.4", b"503 5.5.1", b"250 2.0.0"])
        self.assertEqual(self.mail(), [])

    def test_a_last_chunk_that_is_too_large_has_a_reply_for_each(self) -> None:
        client = self.begin("alice", "bob")
        client.send(b"BDAT 101 LAST\r\n" + b"x" * 101 + b"NOOP\r\n")
        said = [line[:9] for line in client.heard().splitlines()]
        self.assertEqual(said, [b"552 5.3.4", b"552 5.3.4", b"250 2.0.0"])

    def test_the_largest_message(self) -> None:
        client = self.begin()
        client.send(b"BDAT 100 LAST\r\n" + b"x" * 100)
        self.assertEqual(client.heard()[:9], b"250 2.0.0")

    def test_data_that_are_too_large(self) -> None:
        """They are read to their end, and none of them is kept beyond the bound."""
        client = self.begin("alice", "bob")
        client.say("DATA")
        written: list[int] = []
        original = Spool.write
        self.patch(
            Spool,
            "write",
            lambda spool, piece: (written.append(len(piece)), original(spool, piece)),
        )
        for _ in range(1000):
            client.send(b"x" * 50 + b"\r\n")
        client.send(b".\r\nNOOP\r\n")
        said = [line[:9] for line in client.heard().splitlines()]
        self.assertEqual(said, [b"552 5.3.4", b"552 5.3.4", b"250 2.0.0"])
        self.assertLessEqual(sum(written), 100)


class CutTests(LMTPCase):
    """However the octets of a transaction are cut, the same comes of it."""

    @settings(max_examples=60)
    @given(
        st.lists(
            st.sampled_from([b".", b"\r\n", b"a", b"..", b"\r\n.\r\nx", b"QUIT\r\n"]), max_size=12
        ).map(b"".join),
        st.lists(st.integers(1, 40)),
        st.lists(st.integers(0, 9), max_size=5),
    )
    def test_data_and_chunks(self, body: bytes, cuts: list[int], sizes: list[int]) -> None:
        self.setUp()
        client = self.client()
        text = body if body.endswith(b"\r\n") or not body else body + b"\r\n"
        stuffed = (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
        chunks, rest = [], text
        for size in sizes:
            chunks.append(rest[:size])
            rest = rest[size:]
        start = b"MAIL FROM:<sender@example.net>\r\nRCPT TO:<alice@example.org>\r\n"
        said = b"".join(
            (
                start + b"DATA\r\n" + stuffed,
                start,
                *(b"BDAT %d\r\n%b" % (len(chunk), chunk) for chunk in chunks),
                b"BDAT %d LAST\r\n%b" % (len(rest), rest),
                b"NOOP\r\n",
            )
        )
        at = 0
        for cut in cuts:
            client.send(said[at : at + cut])
            at += cut
        client.send(said[at:])
        # Many commands give others a turn.
        self.clock.pump([0] * 3)
        heard = client.heard().decode().splitlines()
        codes = [line[:3] for line in heard]
        self.assertEqual(
            codes,
            ["250", "250", "354", "250", "250", "250", *(["250"] * len(chunks)), "250", "250"],
        )
        self.assertEqual(self.mail(), [self.trace() + text] * 2)
        self.tearDown()


class DeliveryTests(LMTPCase):
    limits = attrs.evolve(Limits(), lmtp_recipients=3, lmtp_deliveries=2)

    def setUp(self) -> None:
        super().setUp()
        for name in ("dave", "eve"):
            self.store.add_user(f"{name}@example.org", "x")

    def test_too_many_recipients(self) -> None:
        client = self.begin("alice", "bob", "dave")
        [answer] = client.say("RCPT TO:<eve@example.org>")
        self.assertEqual(answer[:9], "452 4.5.3")

    def test_a_reply_comes_when_it_is_so_and_in_order(self) -> None:
        held = self.hold(MemoryDelivery, "deliver")
        client = self.begin("alice", "bob", "dave")
        client.say("DATA")
        client.send(STUFFED)
        # Two at a time.
        self.assertEqual((held.count, client.heard()), (2, b""))
        held.let_go()
        self.assertEqual(
            (held.count, client.heard()), (2, b"250 2.0.0 <alice@example.org> has the message\r\n")
        )
        self.clock.advance(10_000)
        self.assertFalse(client.transport.closed)
        held.let_go()
        held.let_go()
        self.assertEqual(client.heard().count(b"250 2.0.0"), 2)

    def test_recipients_that_were_sent_ahead_are_looked_for_with_the_first(self) -> None:
        held = self.hold(MemoryDelivery, "resolve")
        client = self.client()
        client.send(
            b"MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<nobody@example.org>\r\n"
            b"RCPT TO:<ALICE@example.org>\r\nDATA\r\nRCPT TO:<bob@example.org>\r\n"
        )
        # What is behind another command may be of another message.
        self.assertEqual((held.count, client.heard()), (3, b""))
        for _ in range(3):
            held.let_go()
        said = [line.split(b" is ")[0] for line in client.heard().splitlines()]
        self.assertEqual(
            [said[0][:9], said[1], said[2][:9], said[3], said[4][:3]],
            [
                b"250 2.1.0",
                b"250 2.1.5 <alice@example.org>",
                b"550 5.1.1",
                b"250 2.1.5 <ALICE@example.org>",
                b"354",
            ],
        )

    def test_what_was_sent_ahead_is_answered_in_one_piece(self) -> None:
        """RFC 2920 §3.2."""
        client = self.client()
        written: list[bytes] = []
        self.patch(client.transport, "write", written.append)
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n")
        self.assertEqual([piece.count(b"\r\n") for piece in written], [3])

    def test_no_more_are_looked_for_than_a_message_may_have(self) -> None:
        held = self.hold(MemoryDelivery, "resolve")
        client = self.client()
        client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<alice@example.org>\r\n" * 5)
        self.assertEqual(held.count, 3)
        for _ in range(3):
            held.let_go()
        said = [line[:9] for line in client.heard().splitlines()]
        self.assertEqual(said, [b"250 2.1.0", *[b"250 2.1.5"] * 3, *[b"452 4.5.3"] * 2])

    def test_a_line_that_was_sent_ahead_is_parsed_twice_at_the_most(self) -> None:
        parsed: list[bytes] = []
        original = grammar.parse
        self.patch(grammar, "parse", lambda line: parsed.append(line) or original(line))
        client = self.client()
        lines = [b"RCPT TO:<alice@example.org>", b"RCPT TO:<nobody@example.org>"] * 30
        for more in ([], [b"RCPT TO:<>"], [b"x" * 3000], ["RCPT TO:<\xe4@b>".encode()]):
            parsed.clear()
            client.say("RSET")
            client.say("MAIL FROM:<>")
            client.send(b"".join(line + b"\r\n" for line in (lines[:40] + more) * 2))
            for _ in range(30):
                self.clock.advance(0)
            self.assertEqual(client.heard().count(b"\r\n"), 2 * (40 + len(more)))
            self.assertLessEqual(len(parsed), 2 * 2 * (40 + len(more)) + 2)

    def test_who_leaves_while_recipients_are_looked_for(self) -> None:
        held = self.hold(MemoryDelivery, "resolve")
        client = self.client()
        client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<alice@example.org>\r\n" * 3)
        client.disconnect()
        done: Deferred[Any] = self.factory.shutDown()
        for _ in range(3):
            held.let_go()
        self.successResultOf(done)

    def test_a_fault_of_ours_while_recipients_are_looked_for_is_logged(self) -> None:
        self.break_(MemoryDelivery, "resolve", KeyError("secret"))
        client = self.client()
        client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<alice@example.org>\r\n" * 2)
        said = [line[:9] for line in client.heard().splitlines()]
        self.assertEqual(said, [b"250 2.1.0", *[b"451 4.3.0"] * 2])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)

    def test_a_database_that_is_away_is_always_temporary(self) -> None:
        away = Unavailable("the database is away, try again later")
        client = self.begin("alice", "bob")
        for method in ("deliver", "prepare"):
            mend = self.break_(MemoryDelivery, method, away)
            client.say("DATA")
            client.send(STUFFED)
            said = client.heard().splitlines()
            self.assertEqual([line[:9] for line in said], [b"451 4.3.0"] * 2)
            mend()
            self.begin("alice", "bob")
        client.say("RSET")
        held = self.hold(MemoryDelivery, "resolve")
        mend = self.break_(MemoryDelivery, "resolve", away)
        self.transcript("""
            C: MAIL FROM:<>
            S: 250 2.1.0 ...
            C: RCPT TO:<alice@example.org>
            S: 451 4.3.0 ...
        """)
        mend()
        # The next one is not asked for: it would have to wait as long.
        self.transcript("""
            C: RCPT TO:<bob@example.org>
            S: 451 4.3.0 ...
            C: DATA
            S: 503 5.5.1 ...
            C: RSET
            S: 250 2.0.0 ...
        """)
        self.assertEqual(held.count, 0)

    def test_nobody_is_told_what_nobody_knows(self) -> None:
        deliver = MemoryDelivery.deliver

        async def to_some(delivery: MemoryDelivery, recipient: Recipient, *more: Any) -> str:
            if recipient.name == "bob":
                raise Unsettled("not known whether it was made")
            return await deliver(delivery, recipient, *more)

        self.patch(MemoryDelivery, "deliver", to_some)
        client = self.begin("alice", "bob", "dave")
        client.say("DATA")
        client.send(STUFFED)
        # What is certain is said; then the client finds the connection lost, and knows as much as the server.
        self.assertEqual(client.heard(), b"250 2.0.0 <alice@example.org> has the message\r\n")
        self.assertTrue(client.transport.closed)

    def test_a_fault_of_ours_is_temporary_and_logged(self) -> None:
        self.break_(MemoryDelivery, "deliver", KeyError("secret"))
        client = self.begin()
        client.say("DATA")
        client.send(STUFFED)
        said = client.heard()
        self.assertTrue(said.startswith(b"451 4.3.0 <alice@example.org> something is broken"), said)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_no_room_for_the_message(self) -> None:
        def full(spool: Spool, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        self.patch(Spool, "write", full)
        client = self.begin()
        client.say("DATA")
        with capturedLogs() as logged:
            client.send(STUFFED)
        self.assertEqual(client.heard()[:9], b"451 4.3.0")
        self.assertTrue(any("No space left" in str(event.get("error")) for event in logged))

    def test_a_client_that_leaves_within_the_data_has_sent_nothing(self) -> None:
        client = self.begin()
        client.say("DATA")
        client.send(STUFFED[:-5])
        client.disconnect()
        self.assertEqual(self.mail(), [])
        self.successResultOf(self.factory.shutDown())

    def test_a_client_that_leaves_while_it_is_delivered(self) -> None:
        """What was begun comes to its end, with the message still there; the rest is not begun."""
        closed: list[int] = []
        original = Spool.close
        self.patch(Spool, "close", lambda spool: (closed.append(1), original(spool)))
        held = self.hold(MemoryDelivery, "deliver")
        client = self.begin("alice", "bob", "dave")
        client.say("DATA")
        client.send(STUFFED)
        client.disconnect()
        done: Deferred[Any] = self.factory.shutDown()
        self.assertEqual((held.count, closed), (2, []))
        held.let_go()
        held.let_go()
        self.assertEqual(held.count, 0)
        self.successResultOf(done)
        self.assertTrue(closed)
        self.assertEqual(
            [len(self.mail(name)) for name in ("alice", "bob", "dave@example.org")], [1, 1, 0]
        )

    def test_shutdown_waits_for_what_is_being_delivered(self) -> None:
        held = self.hold(MemoryDelivery, "deliver")
        client = self.begin()
        client.say("DATA")
        client.send(STUFFED)
        done = self.factory.shutDown()
        self.assertFalse(client.transport.closed)
        held.let_go()
        said = client.heard().splitlines()
        self.assertEqual([line[:9] for line in said], [b"250 2.0.0", b"421 4.3.2"])
        client.disconnect()
        self.successResultOf(done)


class StreamTests(LMTPCase):
    def test_what_is_held_in_memory_does_not_grow_with_the_message(self) -> None:
        client = self.begin()
        client.say("DATA")
        line = b"." * 100 + b"\r\n"
        for _ in range(64):
            client.send(line * 600)
            self.assertEqual(client.protocol._framer.buffered, 0)
        self.assertEqual(client.protocol.transaction.intake._spool._memory, b"")
        client.send(b".\r\n")
        self.assertEqual(client.heard()[:9], b"250 2.0.0")
        [message] = self.mail()
        self.assertEqual(len(message), len(self.trace()) + 64 * 600 * (len(line) - 1))

    def test_a_chunk_that_never_comes(self) -> None:
        client = self.begin()
        client.send(b"BDAT 999999999999999999 LAST\r\n")
        for _ in range(100):
            client.send(b"x" * 60_000)
            self.assertEqual(client.protocol._framer.buffered, 0)
        intake = client.protocol.transaction.intake
        self.assertEqual((intake._spool.size, intake._spool._file), (0, None))
        client.disconnect()
        self.successResultOf(self.factory.shutDown())

    def test_4_KiB_wait_of_what_is_sent_while_a_recipient_is_looked_for(self) -> None:
        client = self.client()
        client.say("MAIL FROM:<sender@example.net>")
        held = self.hold(MemoryDelivery, "resolve")
        client.send(b"RCPT TO:<alice@example.org>\r\nBDAT 65536\r\n" + b"x" * 4_000)
        self.assertEqual(client.transport.producerState, "producing")
        client.send(b"x" * 4_000)
        self.assertEqual(client.transport.producerState, "paused")
        held.let_go()
        self.assertEqual(client.transport.producerState, "producing")
        client.send(b"x" * 57_536)
        self.assertEqual(client.heard().splitlines()[-1], b"250 2.0.0 65536 octets taken")

    def test_what_is_used_up_at_once_does_not_stop_the_transport(self) -> None:
        client = self.begin()
        self.patch(client.transport, "pauseProducing", lambda: self.fail("stopped"))
        client.send(b"BDAT 65536\r\n" + b"x" * 65_536)
        self.assertEqual(client.heard(), b"250 2.0.0 65536 octets taken\r\n")

    def test_many_messages_sent_ahead(self) -> None:
        client = self.client()
        one = (
            b"MAIL FROM:<sender@example.net>\r\nRCPT TO:<alice@example.org>\r\n"
            b"BDAT 3 LAST\r\na\r\nMAIL FROM:<sender@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
        )
        client.send((one + b"b\r\n.\r\n") * 100)
        for _ in range(1000):
            self.clock.advance(0)
        said = [line[:3] for line in client.heard().splitlines()]
        self.assertEqual(said, [b"250", b"250", b"250", b"250", b"250", b"354", b"250"] * 100)
        trace = self.trace()
        self.assertEqual(self.mail(), [trace + b"a\r\n", trace + b"b\r\n"] * 100)


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
