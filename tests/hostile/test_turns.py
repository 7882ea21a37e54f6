"""Whoever asks for what takes long leaves turns for others: how many is counted, not how long they are."""

from __future__ import annotations

from typing import Any

from tests.hostile.messages import MESSAGES
from tests.imap.transcript import IMAPCase
from tests.pop3.transcript import POP3Case
from tests.transcript import Client, TranscriptCase
from twisted_duck.limits import KIB, Limits


def turns(case: TranscriptCase, client: Client, command: bytes, end: bytes) -> int:
    """How many turns of the reactor there were before the end of the answer."""
    given: list[float] = []
    call_later = case.clock.callLater

    def counting(delay: float, *arguments: Any, **named: Any) -> Any:
        given.append(delay)
        return call_later(delay, *arguments, **named)

    case.patch(case.clock, "callLater", counting)
    client.send(command)
    said = client.heard()
    while end not in said:
        case.assertTrue(case.clock.getDelayedCalls(), said[-200:])
        case.clock.advance(0)
        said = said[-200:] + client.heard()
    return given.count(0)


class IMAPTests(IMAPCase):
    selected = "INBOX"

    def answer(self, command: bytes) -> int:
        return turns(self, self.client(), b"a1 %b\r\n" % command, b"a1 OK")

    def test_part_trees_are_read_one_in_a_turn(self) -> None:
        self.deliver("INBOX", MESSAGES["parts"].make(4_000))
        for _ in range(9):
            self.answer(b"COPY 1 INBOX")
        for item in (b"BODY.PEEK[2]", b"BODY.PEEK[2.MIME]", b"BINARY.PEEK[2]", b"BINARY.SIZE[2]"):
            self.assertGreaterEqual(self.answer(b"FETCH 1:10 " + item), 9, item)

    def test_what_is_encoded_is_decoded_in_pieces(self) -> None:
        for name in ("quoted-printable of soft line breaks", "base64 of padding"):
            self.deliver("INBOX", MESSAGES[name].make(1024 * KIB))
        for number in (b"1", b"2"):
            self.assertGreaterEqual(self.answer(b"FETCH %b BINARY.SIZE[1]" % number), 6)


class POP3Tests(POP3Case):
    limits = Limits()

    def test_headers_are_downgraded_a_few_in_a_turn(self) -> None:
        parts = b"".join(
            b"--b\r\nContent-Type: message/rfc822\r\n\r\nTo: "
            + b"\xe9@b, " * 2_000
            + b"\r\n\r\nx\r\n"
            for _ in range(20)
        )
        self.deliver(
            "INBOX", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
        )
        client = self.client()
        self.assertGreaterEqual(turns(self, client, b"RETR 3\r\n", b"\r\n.\r\n"), 5)
