"""BINARY: content without its transfer encoding, and messages given as literal8 (RFC 3516)."""

from __future__ import annotations

import base64
import random

from tests.imap.transcript import IMAPCase
from twisted_duck.imap.commands import binary

#: Parts: 1 quoted-printable text, 2 base64 with a NUL, 3 a message with 3.1 and 3.2, 4 an encoding nobody knows, 5 text
#: as it is.
MESSAGE = b"""\
Subject: all kinds\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
caf=C3=A9 =\r
cr=C3=A8me\r
--b\r
Content-Type: application/octet-stream\r
Content-Transfer-Encoding: base64\r
\r
AAEC/w==\r
--b\r
Content-Type: message/rfc822\r
\r
Subject: inside\r
Content-Type: multipart/mixed; boundary=c\r
\r
--c\r
Content-Transfer-Encoding: base64\r
\r
aGVsbG8K\r
--c\r
Content-Type: image/png\r
\r
7 bits\r
--c--\r
--b\r
Content-Type: application/octet-stream\r
Content-Transfer-Encoding: x-uuencode\r
\r
begin 644 x\r
--b\r
\r
as it is\r
--b--\r
"""


class BinaryTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", MESSAGE)

    def test_content_is_decoded(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[5])
            S: * 1 FETCH (BINARY[1] {12}
            S: café crème BINARY.SIZE[1] 12 BINARY[5] {8}
            S: as it is)
            S: a1 OK FETCH completed
        """)

    def test_nul_makes_it_a_literal8(self) -> None:
        client = self.client()
        client.send(b"a1 FETCH 1 (BINARY.PEEK[2] BINARY.SIZE[2])\r\n")
        self.assertEqual(
            client.heard(),
            b"* 1 FETCH (BINARY[2] ~{4}\r\n\x00\x01\x02\xff BINARY.SIZE[2] 4)\r\n"
            b"a1 OK FETCH completed\r\n",
        )
        client.send(b"a2 FETCH 1 BINARY.PEEK[2]<1.9>\r\n")
        self.assertEqual(
            client.heard(),
            b"* 1 FETCH (BINARY[2]<1> {3}\r\n\x01\x02\xff)\r\na2 OK FETCH completed\r\n",
        )

    def test_slices_count_octets_of_the_content(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (BINARY.PEEK[1]<3.3> BINARY.PEEK[1]<10.100> BINARY.PEEK[1]<13.1> BINARY.PEEK[5]<3.2>)
            S: * 1 FETCH (BINARY[1]<3> {3}
            S: é  BINARY[1]<10> {2}
            S: me BINARY[1]<13> {0}
            S:  BINARY[5]<3> {2}
            S: it)
            S: a1 OK FETCH completed
            C: a2 FETCH 1 BINARY.PEEK[2]<9223372036854775807.9223372036854775807>
            S: * 1 FETCH (BINARY[2]<9223372036854775807> {0}
            S: )
            S: a2 OK FETCH completed
        """)

    def test_parts_inside_and_parts_that_have_parts(self) -> None:
        inside = MESSAGE.partition(b"message/rfc822\r\n\r\n")[2].partition(b"\r\n--b")[0]
        client = self.client()
        client.send(
            b"a1 FETCH 1 (BINARY.PEEK[3.1] BINARY.PEEK[3.2] BINARY.SIZE[3] BINARY.PEEK[3]"
            b" BINARY.SIZE[] BINARY.PEEK[]<0.7>)\r\n"
        )
        self.assertEqual(
            client.heard(),
            b"* 1 FETCH (BINARY[3.1] {6}\r\nhello\n BINARY[3.2] {6}\r\n7 bits BINARY.SIZE[3] %d"
            b" BINARY[3] {%d}\r\n%b BINARY.SIZE[] %d BINARY[]<0> {7}\r\nSubject)\r\n"
            b"a1 OK FETCH completed\r\n" % (len(inside), len(inside), inside, len(MESSAGE)),
        )

    def test_parts_that_are_not_there(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (BINARY.PEEK[9] BINARY.SIZE[1.1] BINARY.PEEK[9]<5.5>)
            S: * 1 FETCH (BINARY[9] NIL BINARY.SIZE[1.1] 0 BINARY[9]<5> NIL)
            S: a1 OK FETCH completed
        """)

    def test_encoding_that_nobody_knows_fails_before_anything_is_said_or_seen(self) -> None:
        self.transcript("""
            C: a1 FETCH 1 (BODY[] BINARY[4])
            S: a1 NO [UNKNOWN-CTE] a part of the message has an encoding that is not known here
            C: a2 FETCH 1 (FLAGS BINARY.SIZE[4])
            S: a2 NO [UNKNOWN-CTE] ...
            C: a3 FETCH 1 (FLAGS BODY.PEEK[4])
            S: * 1 FETCH (FLAGS (\\Recent) BODY[4] {11}
            S: begin 644 x)
            S: a3 OK FETCH completed
        """)

    def test_reading_sets_seen_and_asking_for_the_size_does_not(self) -> None:
        self.transcript(r"""
            C: a1 FETCH 1 (BINARY.SIZE[5] BINARY.PEEK[5]<0.2>)
            S: * 1 FETCH (BINARY.SIZE[5] 8 BINARY[5]<0> {2}
            S: as)
            S: a1 OK FETCH completed
            C: a2 UID FETCH 1 BINARY[5]<0.2>
            S: * 1 FETCH (FLAGS (\Recent \Seen) UID 1 BINARY[5]<0> {2}
            S: as)
            S: a2 OK FETCH completed
        """)

    def test_who_has_enabled_qresync_is_told_uid_and_modseq(self) -> None:
        self.transcript(r"""
            C: a1 ENABLE QRESYNC
            S: ...
            S: a1 OK ...
            C: a2 FETCH 1 BINARY[5]
            S: * 1 FETCH (FLAGS (\Recent \Seen) UID 1 BINARY[5] {8}
            S: as it is MODSEQ (3))
            S: a2 OK FETCH completed
        """)

    def test_not_the_grammar(self) -> None:
        for item in (
            "BINARY",
            "BINARY[TEXT]",
            "BINARY[1.MIME]",
            "BINARY[1.]",
            "BINARY[0]",
            "BINARY[1]<5>",
            "BINARY[1]<0.0>",
            "BINARY.SIZE",
            "BINARY.SIZE[1]<0.5>",
            "BINARY.PEEK",
        ):
            self.transcript(f"""
                C: a1 FETCH 1 {item}
                S: a1 BAD ...
            """)

    def test_is_advertised(self) -> None:
        self.assertIn(" BINARY ", self.client().say("a1 CAPABILITY")[0])


class LineEndTests(IMAPCase):
    selected = "INBOX"

    def test_lines_of_text_end_with_crlf(self) -> None:
        for encoding, body, content in (
            (b"7bit", b"a\nb\r\n", b"a\r\nb\r\n"),
            (b"quoted-printable", b"a\nb =\nc", b"a\r\nb c"),
            # What was put into base64 is meant as it is.
            (b"base64", base64.b64encode(b"a\nb\n"), b"a\nb\n"),
        ):
            self.deliver("INBOX", b"Content-Transfer-Encoding: %b\n\n%b" % (encoding, body))
            client = self.client()
            client.say("a0 NOOP")
            client.send(b"a1 FETCH * (BINARY.PEEK[1] BINARY.SIZE[1])\r\n")
            self.assertIn(
                b"(BINARY[1] {%d}\r\n%b BINARY.SIZE[1] %d)\r\n"
                % (len(content), content, len(content)),
                client.heard(),
            )

    def test_bytes_of_other_things_are_left_alone(self) -> None:
        self.deliver("INBOX", b"Content-Type: image/x\n\na\nb\n")
        client = self.client()
        client.send(b"a0 NOOP\r\na1 FETCH 1 BINARY[1]\r\n")
        self.assertIn(b"BINARY[1] {4}\r\na\nb\n)", client.heard())


class LongTests(IMAPCase):
    """More than is held while it is counted."""

    selected = "INBOX"

    def content(self, text: bytes) -> bytes:
        """What is told of the content, of its size, and of a slice of it."""
        self.assertGreater(len(text), binary._HELD)
        client = self.client()
        client.send(
            b"a0 NOOP\r\na1 FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[1]<300000.7>)\r\n"
        )
        for _ in range(100):
            self.clock.advance(0)
        heard = client.heard().partition(b"a0 OK NOOP completed\r\n")[2]
        self.assertTrue(heard.startswith(b"* 1 FETCH (BINARY.SIZE[1] %d BINARY[1] " % len(text)))
        self.assertTrue(heard.endswith(b"%b)\r\na1 OK FETCH completed\r\n" % text[300000:300007]))
        return heard

    def test_base64(self) -> None:
        for data, mark in (
            (random.Random(1).randbytes(1_000_000), b"~"),
            (random.Random(1).randbytes(1_000_000).replace(b"\0", b"x"), b""),
            (b"x" * 999_999 + b"\0", b"~"),
        ):
            self.store.account("alice")
            self.deliver(
                "INBOX", b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(data)
            )
            heard = self.content(data)
            self.assertIn(b"BINARY[1] %b{%d}\r\n%b BINARY[1]<" % (mark, len(data), data), heard)
            self.client().say(r"a2 STORE 1 +FLAGS.SILENT (\Deleted)")
            self.client().say("a3 EXPUNGE")

    def test_quoted_printable(self) -> None:
        text = b"=41" * 400_000
        self.deliver("INBOX", b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + text)
        heard = self.content(b"A" * 400_000)
        self.assertIn(b"BINARY[1] {400000}\r\n%b BINARY[1]<" % (b"A" * 400_000), heard)


class AppendTests(IMAPCase):
    """APPEND of a literal8 (RFC 3516 §4.4)."""

    def test_message_without_a_nul_is_stored_as_it_is(self) -> None:
        self.transcript(r"""
            C: a1 APPEND INBOX (\Seen) ~{5}
            S: + go ahead
            C+ a
            C+ éb
            C+ c
            C:  "17-Jul-1996 02:44:25 -0700" ~{1+}
            C: d
            S: a1 OK [APPENDUID ... 1:2] APPEND completed
            C: a2 EXAMINE INBOX
            S: ...
            S: a2 OK ...
            C: a3 FETCH 1:2 BODY[]
            S: * 1 FETCH (BODY[] {5}
            S: aébc)
            S: * 2 FETCH (BODY[] {1}
            S: d)
            S: a3 OK FETCH completed
        """)

    def test_nul_can_not_be_stored(self) -> None:
        self.client().send(b"a1 APPEND INBOX ~{3+}\r\na\0b\r\na2 NOOP\r\n")
        self.transcript("""
            S: a1 NO [UNKNOWN-CTE] content with NUL in it is not stored here: send it as base64
            S: a2 OK NOOP completed
            C: a3 STATUS INBOX (MESSAGES)
            S: * STATUS INBOX (MESSAGES 0)
            S: a3 OK ...
        """)

    def test_nothing_else_is_a_literal8(self) -> None:
        self.transcript("""
            C: a1 CREATE ~{3}
            S: a1 BAD only a message can be binary data
            C: a2 APPEND ~{5}
            S: a2 BAD only a message can be binary data
        """)
