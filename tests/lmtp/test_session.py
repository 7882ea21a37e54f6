"""The session around transactions: LHLO, states, STARTTLS, and how a connection ends."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from tests.lmtp.transcript import LMTPCase
from twisted_duck.limits import Limits


class GreetingTests(LMTPCase):
    log_in = False

    def test_lhlo(self) -> None:
        client = self.client()
        self.assertEqual(client.protocol.session.state, "CONNECTED")
        self.transcript("""
            C: LHLO client.example.org
            S: 250-mx.example.org
            S: 250-PIPELINING
            S: 250-ENHANCEDSTATUSCODES
            S: 250-8BITMIME
            S: 250-SMTPUTF8
            S: 250-CHUNKING
            S: 250 SIZE 67108864
            C: QUIT
            S: 221 2.0.0 until next time
            S: (closed)
        """)

    def test_the_first_words(self) -> None:
        self.clients[""] = client = self.client()
        again = type(client)(self.factory)
        self.clients["2"] = again
        self.assertRegex(
            again.heard(),
            rb"^220 mx\.example\.org LMTP Twisted Duck is ready, session [0-9a-f]{16}\r\n$",
        )

    def test_before_lhlo(self) -> None:
        self.transcript("""
            C: MAIL FROM:<a@example.net>
            S: 503 5.5.1 ...
            C: RCPT TO:<alice@example.org>
            S: 503 5.5.1 ...
            C: DATA
            S: 503 5.5.1 ...
            C: NOOP what ever
            S: 250 2.0.0 ...
            C: RSET
            S: 250 2.0.0 ...
            C: VRFY alice
            S: 252 2.5.2 ...
            C: STARTTLS
            S: 503 5.5.1 ...
            C: MAIL FROM:<a@example.net>
            S: 503 5.5.1 ...
        """)

    def test_smtp_is_not_spoken(self) -> None:
        """RFC 2033 §4.1."""
        self.transcript("""
            C: HELO client.example.org
            S: 500 5.5.2 ...
            C: EHLO client.example.org
            S: 500 5.5.2 ...
        """)


class TLSTests(LMTPCase):
    options: ClassVar[dict[str, Any]] = {"tls": "a context"}

    def test_starttls(self) -> None:
        """RFC 3207 §4.2: what was said before is forgotten, and what was sent ahead is not looked at."""
        self.transcript("""
            C: LHLO client.example.org
            S: 250-mx.example.org
            S: ...
            S: 250 STARTTLS
        """)
        client = self.client()
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
        self.assertEqual(client.heard(), b"220 2.0.0 begin TLS negotiation now\r\n")
        self.assertEqual(client.transport.startedTLS, "a context")
        client.protocol.session.secure = True
        self.transcript("""
            C: MAIL FROM:<a@example.net>
            S: 503 5.5.1 ...
            C: LHLO client.example.org
            S: ...
            S: 250 SIZE ...
            C: STARTTLS
            S: 503 5.5.1 ...
            C: MAIL FROM:<a@example.net>
            S: 250 2.1.0 ...
        """)

    def test_not_within_a_transaction(self) -> None:
        self.transcript("""
            C: MAIL FROM:<a@example.net>
            S: 250 2.1.0 ...
            C: STARTTLS
            S: 503 5.5.1 ...
        """)


class EndTests(LMTPCase):
    limits = attrs.evolve(Limits(), bad_commands=3)

    def test_five_minutes_without_a_command(self) -> None:
        client = self.begin()
        self.clock.advance(299)
        self.assertFalse(client.transport.closed)
        client.say("NOOP")
        self.clock.advance(299)
        self.assertFalse(client.transport.closed)
        self.clock.advance(1)
        self.assertTrue(client.transport.closed)
        self.assertEqual(client.heard(), b"421 4.3.2 idle for too long\r\n")

    def test_a_line_has_five_minutes_however_many_octets_come_of_it(self) -> None:
        client = self.client()
        for _ in range(4):
            self.clock.advance(60)
            client.send(b"a")
        self.clock.advance(59)
        self.assertFalse(client.transport.closed)
        self.clock.advance(1)
        self.assertTrue(client.transport.closed)

    def test_what_is_too_long_has_five_more_to_end(self) -> None:
        client = self.client()
        client.send(b"a" * 10_000)
        for _ in range(5):
            self.assertFalse(client.transport.closed)
            client.send(b"a")
            self.clock.advance(60)
        self.assertTrue(client.transport.closed)

    def test_there_is_no_time_for_a_login(self) -> None:
        client = self.client()
        for _ in range(10):
            self.clock.advance(200)
            client.say("NOOP")
        self.assertFalse(client.transport.closed)

    def test_mail_data_that_come_slowly(self) -> None:
        client = self.begin()
        client.say("DATA")
        for _ in range(10):
            self.clock.advance(200)
            client.send(b"x")
        self.assertFalse(client.transport.closed)
        self.clock.advance(300)
        self.assertTrue(client.transport.closed)
        self.assertEqual(self.mail(), [])

    def test_bad_commands_in_a_row(self) -> None:
        self.transcript("""
            C: ONE
            S: 500 5.5.2 ...
            C: TWO
            S: 500 5.5.2 ...
            C: NOOP
            S: 250 2.0.0 ...
            C: ONE
            S: 500 5.5.2 ...
            C: TWO
            S: 500 5.5.2 ...
            C: THREE
            S: 500 5.5.2 ...
            S: 421 4.3.2 too many bad commands
            S: (closed)
        """)

    def test_commands_behind_one_that_failed_are_not_bad(self) -> None:
        client = self.client()
        client.send(
            b"MAIL FROM:<a@b.example> SIZE=999999999999\r\n" + b"RCPT TO:<x@y.example>\r\n" * 9
        )
        self.assertEqual(client.heard().count(b"503 5.5.1"), 9)
        self.assertFalse(client.transport.closed)

    def test_a_line_that_is_too_long(self) -> None:
        client = self.client()
        [answer] = client.say("NOOP " + "x" * 2044)
        self.assertEqual(answer, "500 5.5.2 the line is too long")
        [answer] = client.say("NOOP " + "x" * 2043)
        self.assertEqual(answer[:3], "250")

    def test_shutdown(self) -> None:
        client = self.begin()
        done = self.factory.shutDown()
        self.assertEqual(client.heard(), b"421 4.3.2 the server is shutting down\r\n")
        self.assertTrue(client.transport.closed)
        client.disconnect()
        self.successResultOf(done)

    def test_a_chunk_without_a_size(self) -> None:
        """What follows may be a message, and is not read as commands."""
        for line in (b"BDAT x LAST", b"bdat", b"BDAT 5 LAST MORE", b"BDAT " + b" " * 3000 + b"5"):
            client = type(self.client())(self.factory)
            client.heard()
            client.send(line + b"\r\nQUIT\r\n")
            said = client.heard()
            self.assertTrue(said.startswith(b"501 5.5.4 ") and said.count(b"\r\n") == 1, said)
            self.assertTrue(client.transport.closed)
            client.disconnect()
