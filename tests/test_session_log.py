"""Whatever is logged while a client is served says which session it was."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar

from OpenSSL import SSL
from twisted.cred.portal import Portal
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.lmtp.transcript import LMTPCase
from tests.pop3.transcript import POP3Case
from tests.transcript import PASSWORD, USER, TranscriptCase
from twisted_duck import errors
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.session import Session, whyLost

PLAIN = b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
AWAY = errors.Unavailable("the database is away")


class Listening(TranscriptCase):
    """No tests by itself."""

    log_in = False

    def setUp(self) -> None:
        super().setUp()
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def logged(self, *expected: str) -> None:
        """All lines have the session in front, and these words are in them."""
        session = self.client().protocol.session
        lines = [formatEvent(each) for each in self.events]
        self.assertEqual([line for line in lines if not line.startswith(session.id)], [])
        for words in ("connected from 192.0.2.1", "closed: ", *expected):
            self.assertTrue([line for line in lines if words in line], f"{words} in {lines}")
        self.assertEqual([line for line in lines if PASSWORD in line], [])


class POP3LogTests(Listening, POP3Case):
    options: ClassVar[dict[str, Any]] = {"cleartextAuth": "always", "retrSetsSeen": True}

    def test_every_line(self) -> None:
        mend = self.break_(MemoryMailbox, "store", AWAY)
        client = self.client()
        self.assertIn(client.protocol.session.id.encode(), client.protocol.greeting())
        for line in (f"USER {USER}", f"PASS {PASSWORD}", "RETR 1", "DELE 1"):
            self.assertTrue(client.say(line)[0].startswith("+OK"), line)
        mend()
        client.say("QUIT")
        client.disconnect()
        self.logged("is alice", "message 1 stays unseen", "removed 1 messages")

    def test_a_failure(self) -> None:
        self.break_(MemoryMailbox, "remove", ValueError("broken"))
        client = self.client()
        for line in (f"USER {USER}", f"PASS {PASSWORD}", "DELE 1", "QUIT"):
            client.say(line)
        client.disconnect()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.logged("UPDATE failed")


class IMAPLogTests(Listening):
    def make_factory(self, portal: Portal) -> IMAP4Factory:
        return IMAP4Factory(portal, limits=self.limits, clock=self.clock, cleartextAuth="always")

    def test_every_line(self) -> None:
        self.break_(MemoryMailbox, "expunge", AWAY)
        client = self.client()
        self.assertIn(client.protocol.session.id.encode(), client.protocol.greeting())
        for line in (f"1 LOGIN {USER} {PASSWORD}", "2 SELECT INBOX", "3 EXPUNGE", "4 LOGOUT"):
            client.say(line)
        client.disconnect()
        self.logged("is alice", "the database is away")


class LMTPLogTests(Listening, LMTPCase):
    def test_every_line(self) -> None:
        client = self.client()
        self.assertIn(client.protocol.session.id.encode(), client.protocol.greeting())
        for line in (
            "LHLO mx.example.net",
            "MAIL FROM:<a@example.net>",
            "RCPT TO:<alice@example.org>",
            "DATA",
            "Subject: hello",
            "",
            ".",
            "QUIT",
        ):
            client.say(line)
        client.disconnect()
        self.logged("delivered to alice in INBOX, mail from <a@example.net>, 18 bytes")

    def test_each_recipient_who_is_refused(self) -> None:
        client = self.client()
        for line in (
            "LHLO mx.example.net",
            "MAIL FROM:<a\u2028b@example.net> SMTPUTF8",
            "RCPT TO:<nobody@example.org>",
            "RCPT TO:<carol@example.org>",
            "RSET",
            "MAIL FROM:<>",
            f"RCPT TO:<{'x' * 1000}@example.org>",
            "RSET",
            "MAIL FROM:<a@example.net> SIZE=99999999999",
        ):
            client.say(line)
        client.disconnect()
        self.logged(
            " refused <nobody@example.org>, mail from <a\\u2028b@example.net>: there is nobody of that",
            " refused <carol@example.org>, mail from <a\\u2028b@example.net>: this user gets no mail",
            f" refused <{'x' * 256}>, mail from <>: there is nobody of that address here",
            " refused a message from <a@example.net>: a message may have ",
        )

    def test_refusals_of_one_who_delivers_nothing_do_not_fill_the_log(self) -> None:
        client = self.client()
        client.say("LHLO mx.example.net")
        for _ in range(3):
            client.say("MAIL FROM:<a@example.net>")
            for _ in range(40):
                client.say("RCPT TO:<nobody@example.org>")
            client.say("RSET")
        self.assertEqual(self.told(" refused <"), 100)
        self.assertEqual(self.told(" refuses more, "), 1)
        for line in (
            "MAIL FROM:<>",
            "RCPT TO:<alice@example.org>",
            "DATA",
            "",
            ".",
            "MAIL FROM:<>",
        ):
            client.say(line)
        client.say("RCPT TO:<nobody@example.org>")
        self.assertEqual(self.told(" refused <"), 101)

    def told(self, words: str) -> int:
        return len([each for each in self.events if words in formatEvent(each)])


class WordsTests(SynchronousTestCase):
    def test_a_client_without_an_address(self) -> None:
        self.assertEqual(Session("LMTP").origin, "a UNIX socket")
        self.assertEqual(Session("LMTP", remoteAddress="192.0.2.1").origin, "192.0.2.1")

    def test_why_a_connection_was_lost(self) -> None:
        for error, said in (
            (ConnectionDone(), "the client closed it"),
            (SSL.Error([("SSL routines", "", "wrong version number")]), "wrong version number"),
            (SSL.Error([("a", "b", "c"), ("a", "b", "d")]), "c, d"),
            (SSL.Error([]), "TLS failed"),
            (SSL.SysCallError(-1, "Unexpected EOF"), "Unexpected EOF"),
            (ConnectionLost(), "Connection to the other side was lost in a non-clean fashion."),
        ):
            self.assertEqual(whyLost(Failure(error)), said)


class InClear(Listening):
    """No tests by itself: a password is sent over a connection that is not to have any."""

    def check(self, *lines: str) -> None:
        asked: list[object] = []
        self.patch(self.portal, "login", asked.append)
        client = self.client()
        for line in lines:
            self.assertIn("send no password over a clear connection", client.say(line)[0])
        client.disconnect()
        self.assertEqual(asked, [])
        self.logged()
        for secret in (PASSWORD, PLAIN):
            self.assertEqual([each for each in self.events if secret in str(each)], [])


class InClearIMAPTests(InClear):
    def make_factory(self, portal: Portal) -> IMAP4Factory:
        return IMAP4Factory(portal, limits=self.limits, clock=self.clock, tls="context")

    def test_it_is_neither_looked_at_nor_logged(self) -> None:
        self.check(f"1 LOGIN {USER} {PASSWORD}", f"2 AUTHENTICATE PLAIN {PLAIN}")


class InClearPOP3Tests(InClear, POP3Case):
    options: ClassVar[dict[str, Any]] = {"tls": "context"}

    def test_it_is_neither_looked_at_nor_logged(self) -> None:
        self.check(f"USER {USER}", f"AUTH PLAIN {PLAIN}")
