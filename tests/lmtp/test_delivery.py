"""Recipients are looked for, and mail is delivered: what is said when, and what if it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.lmtp.test_transaction import STUFFED
from tests.lmtp.transcript import LMTPCase
from twisted_duck.errors import Unavailable, Unsettled
from twisted_duck.limits import Limits
from twisted_duck.lmtp import grammar
from twisted_duck.memory.delivery import MemoryDelivery
from twisted_duck.spool import Spool
from twisted_duck.values import Recipient


class DeliveryTests(LMTPCase):
    limits = attrs.evolve(Limits(), lmtp_recipients=3, lmtp_ahead_of_all=4, lmtp_deliveries=2)

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

    def test_what_a_delivery_raises_at_once_is_answered_as_what_it_fails_with(self) -> None:
        """RFC 2033 §4.2: a reply for each recipient, whatever happens."""
        for method in ("prepare", "deliver"):
            mended = self.raise_at_once(method)
            client = self.begin("alice", "bob", "dave")
            client.say("DATA")
            client.send(STUFFED)
            said = [line[:9] for line in client.heard().splitlines()]
            self.assertEqual(said, [b"451 4.3.0"] * 3)
            self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
            mended()
            self.assertEqual(client.say("MAIL FROM:<>")[0][:3], "250")
            client.say("RSET")

    def test_only_a_recipient_who_can_be_told_apart_is_one(self) -> None:
        for answer in (None, ("alice", "alice"), Recipient({"_id": 1}, "alice")):

            async def resolve(*_: Any, answer: Any = answer) -> Any:
                return answer

            self.patch(MemoryDelivery, "resolve", resolve)
            self.assertEqual(self.rcpt(), "451 4.3.0")
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_nor_is_anybody_of_whom_is_said_at_once_that_it_is_not_known(self) -> None:
        self.raise_at_once("resolve")
        self.assertEqual(self.rcpt(), "451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def rcpt(self) -> str:
        """The codes of the answer to a recipient."""
        client = self.client()
        client.say("RSET")
        client.say("MAIL FROM:<>")
        [said] = client.say("RCPT TO:<alice@example.org>")
        return said[:9]

    def raise_at_once(self, method: str) -> Callable[[], None]:
        """From now on a method of the delivery does not get so far as to answer with something to be awaited."""

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        return self.patch(MemoryDelivery, method, broken).restore

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

    def test_of_answers_4_KiB_wait_for_each_other(self) -> None:
        client = self.client()
        written: list[bytes] = []
        self.patch(client.transport, "write", written.append)
        client.send(b"NOOP\r\n" * 1000)
        for _ in range(1000):
            self.clock.advance(0)
        self.assertEqual(b"".join(written), b"250 2.0.0 still here\r\n" * 1000)
        self.assertTrue(all(len(piece) < 4096 + 22 for piece in written))
        self.assertLess(len(written), 8)

    def test_no_more_are_looked_for_than_a_message_may_have(self) -> None:
        held = self.hold(MemoryDelivery, "resolve")
        client = self.client()
        client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<alice@example.org>\r\n" * 5)
        self.assertEqual(held.count, 3)
        for _ in range(3):
            held.let_go()
        said = [line[:9] for line in client.heard().splitlines()]
        self.assertEqual(said, [b"250 2.1.0", *[b"250 2.1.5"] * 3, *[b"452 4.5.3"] * 2])

    def test_all_connections_together_look_for_so_many_ahead(self) -> None:
        held = self.hold(MemoryDelivery, "resolve")
        # Each has one whose turn it is; of the four that there is room for two are the first's, and two the second's.
        clients = [self.client(name) for name in "abcd"]
        asked = []
        for client in clients:
            client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<alice@example.org>\r\n" * 3)
            asked.append(held.count)
        self.assertEqual(asked, [3, 6, 7, 8])
        for _ in range(12):
            held.let_go()
        for client in clients:
            said = [line[:9] for line in client.heard().splitlines()]
            self.assertEqual(said, [b"250 2.1.0", *[b"250 2.1.5"] * 3])
        # All was given back.
        client = self.client("e")
        client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<alice@example.org>\r\n" * 3)
        self.assertEqual(held.count, 3)

    def test_what_is_looked_for_ahead_gives_its_room_back_however_it_ends(self) -> None:
        self.break_(MemoryDelivery, "resolve", Unavailable("the database is away"))
        client = self.client()
        for _ in range(5):
            client.send(b"RSET\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<alice@example.org>\r\n" * 3)
        self.assertEqual(self.factory.make_protocol().settings.room.left, 4)

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
