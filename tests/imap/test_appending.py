"""APPENDs that a client sends without waiting for their answers."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase
from tests.transcript import Held
from twisted_duck.errors import OverQuota
from twisted_duck.limits import Limits
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.spool import Spool


def ahead(*tags: int, mailbox: str = "INBOX") -> bytes:
    return b"".join(b"a%d APPEND %b {3+}\r\nm%02d\r\n" % (t, mailbox.encode(), t) for t in tags)


class AheadTests(IMAPCase):
    def setUp(self) -> None:
        super().setUp()
        self.client()
        self.held: Held = self.hold(MemoryAccount, "append")

    def tags(self) -> list[bytes]:
        """Of the tagged answers."""
        lines = self.client().heard().split(b"\r\n")
        return [
            line.split(b" ")[0] + b" " + line.split(b" ")[1] for line in lines if line[:1] == b"a"
        ]

    def test_the_store_is_asked_for_all_of_them_before_the_first_is_answered(self) -> None:
        self.client().send(ahead(1, 2, 3))
        self.assertEqual((self.held.count, self.tags()), (3, []))
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a1 OK"])
        self.held.let_go()
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a2 OK", b"a3 OK"])

    def test_they_are_answered_in_their_order_whichever_is_done_first(self) -> None:
        self.client().send(ahead(1, 2))
        self.held._waiting.reverse()
        self.held.let_go()
        self.assertEqual(self.tags(), [])
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a1 OK", b"a2 OK"])

    def test_another_command_waits_for_them(self) -> None:
        self.client().send(ahead(1) + b"a2 STATUS INBOX (MESSAGES)\r\n" + ahead(3))
        self.assertEqual(self.held.count, 1)
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a1 OK", b"a2 OK"])
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a3 OK"])

    def test_a_command_that_makes_no_sense_is_answered_in_its_turn(self) -> None:
        self.client().send(ahead(1) + b"a2 XYZZY\r\n" + ahead(3))
        self.assertEqual(self.tags(), [])
        self.held.let_go()
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a1 OK", b"a2 BAD", b"a3 OK"])

    def test_the_first_of_a_message_that_is_still_coming_waits_for_nothing(self) -> None:
        self.client().send(ahead(1) + b"a2 APPEND INBOX {3+}\r\nm")
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a1 OK"])
        self.client().send(b"02\r\n")
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a2 OK"])

    def test_a_client_that_goes_leaves_no_message_open(self) -> None:
        closed: list[Spool] = []
        close = Spool.close

        def remember(spool: Spool) -> None:
            closed.append(spool)
            close(spool)

        self.patch(Spool, "close", remember)
        self.client().send(ahead(1, 2))
        self.client().disconnect()
        self.assertEqual(closed, [])
        self.held.let_go()
        self.held.let_go()
        self.assertEqual(len(set(map(id, closed))), 2)

    def test_who_goes_is_there_until_they_are_done(self) -> None:
        self.client().send(ahead(1, 2))
        self.client().disconnect()
        over = self.factory.shutDown()
        self.held.let_go()
        self.assertNoResult(over)
        self.held.let_go()
        self.successResultOf(over)

    def test_others_have_their_turn_between_long_ones(self) -> None:
        message = b"x" * 4_094 + b"\r\n"
        many = b"".join(b"a%d APPEND INBOX {4096+}\r\n%b\r\n" % (n, message) for n in range(4))
        self.client().send(many)
        self.assertEqual(self.held.count, 1)
        self.clock.advance(0)
        self.assertEqual(self.held.count, 4)
        while self.held.count:
            self.held.let_go()

    def test_one_that_fails_is_told_so_and_the_others_are_not(self) -> None:
        self.client().send(ahead(1) + ahead(2, mailbox="missing") + ahead(3))
        while self.held.count:
            self.held.let_go()
        self.assertEqual(self.tags(), [b"a1 OK", b"a2 NO", b"a3 OK"])

    def test_they_end_before_the_server_does(self) -> None:
        self.client().send(ahead(1, 2))
        self.client().protocol.finish("the server is stopping")
        self.held.let_go()
        self.assertFalse(self.client().transport.closed)
        self.held.let_go()
        self.assertEqual(self.tags(), [b"a1 OK", b"a2 OK"])
        self.assertTrue(self.client().transport.closed)


class BoundTests(IMAPCase):
    limits = Limits(appends_ahead=2)

    def test_so_many_and_no_more(self) -> None:
        self.client()
        held = self.hold(MemoryAccount, "append")
        self.client().send(ahead(1, 2, 3, 4))
        self.assertEqual(held.count, 2)
        held.let_go()
        self.assertEqual((held.count, held.begun), (2, 3))
        while held.count:
            held.let_go()
        self.assertEqual(self.client().heard().count(b" OK "), 4)

    def test_those_that_are_done_are_answered_together(self) -> None:
        self.client()
        held = self.hold(MemoryAccount, "append")
        self.client().send(ahead(1, 2, 3, 4))
        held._waiting.reverse()
        held.let_go()
        self.assertEqual((held.begun, self.client().heard().count(b" OK ")), (2, 0))
        held.let_go()
        self.assertEqual((held.begun, self.client().heard().count(b" OK ")), (4, 2))
        held.let_go()
        held.let_go()

    def test_they_are_all_answered_before_the_server_stops_while_it_waits_for_some(self) -> None:
        self.client()
        held = self.hold(MemoryAccount, "append")
        self.client().send(ahead(1, 2, 3, 4))
        self.client().protocol.finish("the server is stopping")
        while held.count:
            held.let_go()
        heard = self.client().heard()
        self.assertEqual((held.begun, heard.count(b" OK ")), (2, 2))
        self.assertLess(heard.rindex(b" OK "), heard.index(b"* BYE"))

    def test_messages_are_counted_and_not_commands(self) -> None:
        self.client()
        held = self.hold(MemoryAccount, "append")
        self.client().send(b"a0 APPEND INBOX {1+}\r\nm {1+}\r\nm\r\n" + ahead(1, 2))
        self.assertEqual(held.count, 1)
        held.let_go()
        self.assertEqual(held.count, 2)
        held.let_go()
        held.let_go()


class OctetsTests(IMAPCase):
    limits = Limits(pipeline=1000)

    def test_a_command_counts_with_all_its_octets(self) -> None:
        self.client()
        held = self.hold(MemoryAccount, "append")
        self.client().send(b"t" * 400 + ahead(1) + b"t" * 600 + ahead(2) + ahead(3))
        self.assertEqual(held.count, 2)
        held.let_go()
        self.assertEqual((held.count, held.begun), (2, 3))
        held.let_go()
        held.let_go()

    def test_reading_goes_on_before_all_that_was_sent_ahead_is_used_up(self) -> None:
        """Else those that come next could not be made together with the last ones."""
        client = self.client()
        held = self.hold(MemoryAccount, "append")
        client.send(b"".join(b"t" * 400 + ahead(tag) for tag in range(6)))
        told = [(held.begun, client.transport.producerState)]
        for _ in range(3):
            held.let_go()
            told.append((held.begun, client.transport.producerState))
        self.assertEqual(told, [(3, "paused"), (4, "paused"), (5, "paused"), (5, "producing")])
        while held.count:
            held.let_go()
            self.clock.advance(0)


class FailureTests(IMAPCase):
    def test_what_the_store_refuses(self) -> None:
        self.client()
        self.break_(MemoryAccount, "append", OverQuota("there is not enough room left"))
        self.client().send(ahead(1, 2))
        self.assertEqual(self.client().heard().count(b"NO [OVERQUOTA]"), 2)
