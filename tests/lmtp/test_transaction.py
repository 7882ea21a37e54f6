"""MAIL, RCPT, DATA: who gets what, and what is said of it."""

from __future__ import annotations

from tests.lmtp.transcript import LMTPCase

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
