"""The octets of a message, by DATA and BDAT: where they end, and how much of them is held."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lmtp.transcript import LMTPCase
from twisted_duck.limits import Limits
from twisted_duck.memory.delivery import MemoryDelivery
from twisted_duck.spool import Spool


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
