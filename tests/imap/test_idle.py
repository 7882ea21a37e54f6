"""IDLE (RFC 2177)."""

from __future__ import annotations

from attrs import evolve

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import Unavailable
from twisted_duck.limits import Limits
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.values import SEEN

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


class IdleTests(IMAPCase):
    selected = "INBOX"

    def test_news_come_as_they_happen(self) -> None:
        self.deliver("INBOX", MESSAGE, MESSAGE)
        self.client("2")
        self.transcript(r"""
            C: a1 IDLE
            S: + idling
            C2: b1 STORE 1 +FLAGS.SILENT (\Deleted)
            S2: b1 OK ...
            S: * 1 FETCH (FLAGS (\Deleted))
            C2: b2 EXPUNGE
            S2: * 1 EXPUNGE
            S2: b2 OK ...
            S: * 1 EXPUNGE
        """)
        self.deliver("INBOX", MESSAGE)
        self.transcript("""
            S: * 2 EXISTS
            S: * 1 RECENT
            C: done
            S: a1 OK IDLE completed
        """)

    def test_what_happened_before_is_told_at_once(self) -> None:
        self.client()
        self.deliver("INBOX", MESSAGE)
        self.client().send(b"a1 IDLE\r\nDONE\r\n")
        self.transcript("""
            S: + idling
            S: * 1 EXISTS
            S: * 1 RECENT
            S: a1 OK IDLE completed
        """)

    def test_done_in_pieces_and_a_command_behind_it(self) -> None:
        client = self.client()
        client.send(b"a1 IDLE\r\n")
        for octet in b"DONE\r\na2 NOOP\r\n":
            client.send(bytes([octet]))
        self.transcript("""
            S: + idling
            S: a1 OK IDLE completed
            S: a2 OK NOOP completed
        """)

    def test_anything_else_ends_it_badly(self) -> None:
        self.transcript("""
            C: a1 IDLE
            S: + idling
            C: a2 NOOP
            S: a1 BAD IDLE ends with DONE
            C: a3 NOOP
            S: a3 OK NOOP completed
        """)

    def test_without_a_mailbox(self) -> None:
        self.transcript("""
            C: a0 UNSELECT
            S: a0 OK ...
            C: a1 IDLE
            S: + idling
            C: DONE
            S: a1 OK IDLE completed
        """)

    def test_keep_alive(self) -> None:
        self.assertEqual(Limits().idle_keepalive, 120)
        self.transcript("""
            C: a1 IDLE
            S: + idling
        """)
        for _ in range(3):
            self.clock.advance(119)
            self.assertEqual(self.client().heard(), b"")
            self.clock.advance(1)
            self.assertEqual(self.client().heard(), b"* OK still here\r\n")

    def test_half_an_hour_is_enough(self) -> None:
        self.client().say("a1 IDLE")
        self.clock.pump([60] * 29)
        self.assertNotIn(b"BYE", self.client().heard())
        self.clock.pump([60] * 2)
        self.assertIn(b"* BYE idle for too long\r\n", self.client().heard())

    def test_mailbox_is_deleted(self) -> None:
        self.transcript("""
            C: a0 SELECT Junk
            S: ...
            S: a0 OK ...
            C: a1 IDLE
            S: + idling
            C2: b1 DELETE Junk
            S2: b1 OK ...
            S: * BYE the selected mailbox was deleted, or renamed
        """)
        self.assertTrue(self.client().transport.closed)

    def test_store_that_is_away_does_not_end_it(self) -> None:
        self.client()
        self.break_(MemoryMailbox, "refresh", Unavailable("away"))
        self.client().say("a1 IDLE")
        self.deliver("INBOX", MESSAGE, flags=[SEEN])
        self.transcript("""
            S: * 1 EXISTS
            S: * 1 RECENT
            C: DONE
            S: a1 OK IDLE completed
        """)

    def test_shut_down(self) -> None:
        self.client().say("a1 IDLE")
        self.factory.shutDown()
        self.assertEqual(self.client().heard(), b"* BYE the server is shutting down\r\n")


class ConfiguredTests(IMAPCase):
    limits = evolve(Limits(), idle_keepalive=7, idle_after_login=30)
    selected = "INBOX"

    def test_keep_alives_and_the_time_without_a_command_are_settings(self) -> None:
        client = self.client()
        client.say("a1 IDLE")
        for _ in range(4):
            self.clock.advance(7)
            self.assertEqual(client.heard(), b"* OK still here\r\n")
        self.clock.advance(2)
        self.assertEqual(client.heard(), b"* BYE idle for too long\r\n")
