"""No new line on any wire or in any log, whatever is put where a client, or whoever writes to one, may put text."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from twisted.logger import formatEventAsClassicLogText, globalLogPublisher

from tests.imap.transcript import IMAPCase
from tests.injection.tokens import MARK, TOKENS
from tests.lmtp.transcript import LMTPCase
from tests.pop3.transcript import POP3Case
from tests.transcript import PASSWORD, USER, TranscriptCase

_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_UNTAGGED = re.compile(
    rb"\* (?:OK|NO|BAD|PREAUTH|CAPABILITY|ENABLED|FLAGS|ID|LIST|LSUB|NAMESPACE|QUOTA|QUOTAROOT|SEARCH|ESEARCH|SORT|STATUS|THREAD"
    rb"|VANISHED|\d+ (?:EXISTS|RECENT|EXPUNGE|FETCH))\b"
)
#: A line of an IMAP response outside of literals: of what a client may read, CTL is no part.
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
_ENVELOPE = (
    b"FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY PREVIEW BODY.PEEK[HEADER.FIELDS (Subject)])"
)


class Listening(TranscriptCase):
    """No tests by itself."""

    def setUp(self) -> None:
        super().setUp()
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def check_log(self, *secrets: str) -> None:
        for event in self.events:
            text = formatEventAsClassicLogText(event)
            assert text is not None
            self.assertTrue(text.removesuffix("\n").isprintable(), repr(text))
            self.assertLess(len(text), 1_000, repr(text))
            for secret in (PASSWORD, *secrets):
                self.assertNotIn(secret, text)
        self.events.clear()


def _literal(token: str) -> bytes:
    octets = token.encode()
    return b"{%d+}\r\n%b" % (len(octets), octets)


def _quoted(token: str) -> bytes:
    return b'"%b"' % token.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')


class IMAPTests(Listening, IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", b"Subject: x\r\n\r\nx")
        self.number = 0

    def ask(self, text: bytes) -> list[bytes]:
        """The responses, each read as strictly as can be, literals taken out."""
        if not self.client().connected or self.client().transport.closed:
            # Ten bad commands were too many.
            self.clients.pop("").disconnect()
        client = self.client()
        self.number += 1
        tag = b"t%d" % self.number
        client.send(tag + b" " + text + b"\r\n")
        self.clock.advance(0)
        responses = list(self.responses(client.heard()))
        if responses in ([b"+ go ahead\r\n"], []):
            # It was the head of a literal indeed, for it stood at the end of the line.
            client.send(b"12345\r\n")
            responses = list(self.responses(client.heard()))
        tagged = [each for each in responses if each.startswith(tag + b" ")]
        self.assertEqual(len(tagged), 1, (text, responses))
        for each in responses:
            known = (
                each in tagged
                or each.startswith((b"+ ", b"* BYE too many"))
                or _UNTAGGED.match(each)
            )
            self.assertTrue(known, (text, each))
        return responses

    def responses(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            pieces = []
            while True:
                end = data.index(b"\r\n", at) + 2
                line = data[at:end]
                self.assertTrue(_PRINTABLE.fullmatch(line[:-2]), line)
                pieces.append(line)
                at = end
                announced = _LITERAL.search(line)
                if announced is None or not line.endswith(announced[0]):
                    break
                at += int(announced[1])
            yield b"".join(pieces)

    def test_names_of_mailboxes(self) -> None:
        for token in TOKENS:
            # In quotes, a line end would be the end of the command.
            names = [_literal(token), _literal(token + "/child")]
            names += [] if {"\r", "\n"} & set(token) else [_quoted(token)]
            for name in names:
                for command in (
                    b"CREATE %b", b"LIST \"\" %b", b"LIST %b *", b'LIST "" (%b *) RETURN (STATUS (MESSAGES))',
                    b"SUBSCRIBE %b", b'LSUB "" %b', b"STATUS %b (MESSAGES UIDNEXT)", b"COPY 1 %b", b"RENAME %b other",
                    b"RENAME other %b", b"SELECT %b", b"GETQUOTAROOT %b", b"APPEND %b {1+}\r\nx", b"SELECT INBOX",
                ):  # fmt: skip
                    self.ask(command.replace(b"%b", name))
            self.ask(b'LIST "" *')
            self.ask(b'LSUB "" *')
        self.check_log()

    def test_keywords_and_searches(self) -> None:
        for token in TOKENS:
            atom = token.encode().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
            for command in (
                b"STORE 1 +FLAGS (%b)" % atom,
                b"SEARCH KEYWORD " + atom,
                b"SEARCH SUBJECT " + _literal(token),
                b"SEARCH HEADER %b %b" % (_literal(token), _literal(token)),
                b"SEARCH RETURN (ALL) CHARSET %b ALL" % _literal(token),
                b"SEARCH EMAILID " + _literal(token),
                b"SORT (SUBJECT) %b ALL" % _literal(token),
                b"THREAD %b UTF-8 ALL" % atom,
                b"ID (%b %b)" % (_literal(token), _literal(token)),
                b"ENABLE " + atom,
                b"FETCH 1 (BODY.PEEK[HEADER.FIELDS (%b)])" % _literal(token),
                b"FETCH 1 (%b)" % atom,
                b"GETQUOTA " + _literal(token),
                b"STATUS INBOX (%b)" % atom,
                atom + b" x",
            ):
                self.ask(command)
        self.ask(b"FETCH 1 (FLAGS)")
        self.check_log()

    def test_headers(self) -> None:
        for token in TOKENS:
            octets = token.encode()
            encoded = b"=?utf-8?b?%b?=" % base64.b64encode(octets)
            percent = b"".join(b"%%%02X" % octet for octet in octets)
            for value in (
                octets,
                encoded,
                encoded + b" <%b@%b>" % (octets, octets),
                b'"%b" <a@b>' % octets,
            ):
                self.put(
                    b"Subject: %b\r\nFrom: %b\r\nTo: %b: a@b, %b;\r\nMessage-ID: <%b>\r\nIn-Reply-To: %b\r\nDate: %b\r\n"
                    b"Content-Type: text/%b; name=\"%b\"; filename*=utf-8''%b; %b=1\r\n"
                    b"Content-Disposition: attachment; filename*0*=utf-8''%b; filename*1=\"%b\"\r\n"
                    b"Content-ID: %b\r\nContent-Description: %b\r\nContent-Language: %b\r\n\r\n%b"
                    % (*[value] * 8, octets, percent, value, percent, *[value] * 4, octets)
                )
        self.events.clear()
        self.ask(_ENVELOPE)
        for key in ("SUBJECT", "FROM", "REVERSE DISPLAYFROM", "DATE"):
            self.ask(f"SORT ({key}) UTF-8 ALL".encode())
        self.ask(b"THREAD REFERENCES UTF-8 ALL")
        self.ask(b"THREAD ORDEREDSUBJECT UTF-8 ALL")
        self.check_log(MARK)

    def put(self, message: bytes) -> None:
        if b"\0" in message:
            # No message has one.
            responses = self.ask(b"APPEND INBOX {%d+}\r\n%b" % (len(message), message))
            self.assertIn(b" NO ", responses[-1])
        else:
            self.deliver("INBOX", message)

    def test_logins(self) -> None:
        self.log_in = False
        self.options = {**self.options}
        for token in TOKENS:
            plain = base64.b64encode(b"\0%b\0%b" % (token.encode(), b"secret-" + token.encode()))
            for command in (
                b"LOGIN %b %b" % (_literal(token), _literal("secret-" + token)),
                b"AUTHENTICATE PLAIN " + plain,
                b"AUTHENTICATE " + token.encode().replace(b"\r\n", b" ").replace(b"\n", b" "),
                b"ID (%b %b)" % (_literal(token), _literal(token)),
            ):
                client = self.clients.pop("", None)
                if client is not None:
                    client.disconnect()
                self.ask(command)
        self.check_log("secret-")


class POP3Tests(Listening, POP3Case):
    log_in = False

    def test_every_argument(self) -> None:
        for token in TOKENS:
            text = token.replace("\r\n", "\r").replace("\n", "\r")
            for log_in in (False, True):
                for command in (
                    "USER",
                    "PASS secret-",
                    "AUTH",
                    "APOP",
                    "LIST",
                    "TOP 1",
                    "UIDL",
                    "RETR",
                    "XCLIENT",
                    "CAPA",
                    "",
                ):
                    self.log_in = log_in
                    client = self.client()
                    lines = client.say(f"{command} {text}")
                    self.assertTrue(lines[0].startswith(("+OK", "-ERR")), lines)
                    self.assertTrue(all(line.isprintable() for line in lines), lines)
                    self.assertEqual([line for line in lines if line.startswith(MARK)], [])
                    self.clients.pop("").disconnect()
        self.check_log("secret-")


class LMTPTests(Listening, LMTPCase):
    log_in = False

    def test_every_argument(self) -> None:
        for token in TOKENS:
            text = token.replace("\r\n", "\r").replace("\n", "\r")
            for lines in (
                (f"LHLO {text}",),
                ("LHLO x", f"MAIL FROM:<{text}@example.org>"),
                ("LHLO x", f"MAIL FROM:<a@{text}>"),
                ("LHLO x", f"MAIL FROM:<a@example.org> {text}={text}"),
                (
                    "LHLO x",
                    f'MAIL FROM:<"{text}"@example.org>',
                    f"RCPT TO:<{USER}@example.org>",
                    "DATA",
                    "x",
                    ".",
                ),
                ("LHLO x", "MAIL FROM:<>", f"RCPT TO:<{text}@example.org>"),
                ("LHLO x", "MAIL FROM:<>", f'RCPT TO:<"{text}"@example.org>'),
                (
                    "LHLO x",
                    "MAIL FROM:<>",
                    f"RCPT TO:<{USER}+{text}@example.org>",
                    "DATA",
                    "x",
                    ".",
                ),
                (f"{text}",),
                (f"VRFY {text}",),
            ):
                client = self.client()
                for line in lines:
                    said = client.say(line)
                    self.assertTrue(
                        all(re.match(r"\d{3}[ -]", each) for each in said), (line, said)
                    )
                    self.assertTrue(all(each.isprintable() for each in said), said)
                self.clients.pop("").disconnect()
        self.check_log()
        # What was taken has whole header fields in front, and nothing else.
        for message in self.mail():
            header = message.partition(b"x\r\n")[0]
            self.assertTrue(
                re.fullmatch(rb"Return-Path: <[^\r\n]*>\r\nDelivered-To: [^\r\n]*\r\n", header),
                header,
            )
