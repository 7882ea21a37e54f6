"""STARTTLS and STLS against whoever sits on the wire (RFC 3501 §11.1, RFC 2595 §4, RFC 3207 §6), and ALPN (RFC 7301).

What somebody puts in behind the command, in clear, is the beginning of what the client says under TLS only for a server that
lets it be.
"""

from __future__ import annotations

import socket
import ssl

import attrs

from tests.clients.server import ServerTestCase
from tests.clients.test_imaplib import trusting


@attrs.frozen
class Spoken:
    """How a protocol starts TLS, and what shows that it has started afresh."""

    name: str
    start: bytes
    #: What somebody puts in.
    injected: tuple[bytes, ...]
    #: What the client says then, and what it must hear to that and to nothing else.
    first: bytes
    answer: bytes


#: To whoever is there, as far as that goes.
_DELIVERY = b"MAIL FROM:<mallory@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nx\r\n.\r\n"
_DELIVERIES = (_DELIVERY, _DELIVERY[:-6], b"RSET\r\n" + _DELIVERY, b"BDAT 3 LAST\r\nabc")

SPOKEN = (
    Spoken(
        "imap",
        b"a1 STARTTLS\r\n",
        (
            b"x1 NOOP\r\n",
            b"x1 NOOP\r\nx2 LOG",
            b"x1 LOGIN {5}\r\n",
            b"x1 LOGIN {5+}\r\nhel",
            b"x1 AUTHENTICATE PLAIN\r\n",
            b"x1 STARTTLS\r\n",
        ),
        b"a2 NOOP\r\n",
        b"a2 OK NOOP completed\r\n",
    ),
    Spoken(
        "pop3",
        b"STLS\r\n",
        (b"USER mallory\r\n", b"XYZ", b"AUTH PLAIN\r\n", b"STLS\r\n"),
        b"PASS x\r\n",
        b"-ERR USER comes before PASS\r\n",
    ),
    Spoken(
        "lmtp",
        b"LHLO client.example\r\nSTARTTLS\r\n",
        (
            b"LHLO mallory.example\r\n",
            b"MAIL FROM:<",
            b"BDAT 10\r\nabc",
            b"STARTTLS\r\n",
            *_DELIVERIES,
        ),
        b"MAIL FROM:<a@example.com>\r\n",
        b"503 5.5.1",
    ),
)


class StartTLSTests(ServerTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        config = self.directory / "duckmail.toml"
        config.write_text("[lmtp]\nstarttls = true\n")
        self.server = await self.start(
            *("--config", str(config)),
            *("--pop3", "tcp:0:interface=127.0.0.1", "--pop3s", "tcp:0:interface=127.0.0.1"),
            *("--lmtp", "tcp:0:interface=127.0.0.1"),
        )

    def connect(self, name: str) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.server.ports[name]), timeout=30)
        self.addCleanup(plain.close)
        return plain

    def until(self, plain: socket.socket, end: bytes) -> bytes:
        """What is said, a byte at a time, so that nothing of the handshake is taken away."""
        said = b""
        while end not in said or not said.endswith(b"\r\n"):
            byte = plain.recv(1)
            self.assertTrue(byte, said)
            said += byte
        return said

    def begin(self, spoken: Spoken, behind: bytes = b"") -> socket.socket:
        plain = self.connect(spoken.name)
        self.until(plain, b"\r\n")
        plain.sendall(spoken.start + behind)
        self.until(plain, {"imap": b"a1 OK", "pop3": b"+OK", "lmtp": b"220 "}[spoken.name])
        return plain

    async def test_what_comes_in_the_same_segment_is_forgotten(self) -> None:
        await self.blocking(self._same_segment)

    def _same_segment(self) -> None:
        for spoken in SPOKEN:
            for injected in spoken.injected:
                plain = self.begin(spoken, injected)
                tls = trusting().wrap_socket(plain, server_hostname="127.0.0.1")
                tls.sendall(spoken.first)
                heard = tls.recv(65536)
                self.assertTrue(heard.startswith(spoken.answer), (injected, heard))
                self.assertEqual(heard.count(b"\r\n"), 1, (injected, heard))
                tls.close()

    async def test_what_comes_later_in_clear_ends_the_connection_and_is_not_run(self) -> None:
        await self.blocking(self._later)
        self.assertNotIn("Traceback", self.server.log)
        self.assertNotIn("mallory", self.server.log)

    def _later(self) -> None:
        for spoken in SPOKEN:
            for injected in spoken.injected:
                plain = self.begin(spoken)
                plain.sendall(injected + b" " * 16)
                plain.shutdown(socket.SHUT_WR)
                heard = b""
                while data := plain.recv(65536):
                    heard += data
                # An alert in TLS, if anything.
                self.assertIn(heard[:1], (b"", b"\x15"), (injected, heard))
                self.assertNotIn(b"\r\n", heard)

    async def test_a_client_that_says_what_it_will_speak(self) -> None:
        await self.blocking(self._alpn)
        self.assertNotIn("Traceback", self.server.log)

    def _alpn(self) -> None:
        for spoken in SPOKEN[:2]:
            for immediately in (True, False):

                def plain(
                    spoken: Spoken = spoken, immediately: bool = immediately
                ) -> socket.socket:
                    return self.connect(spoken.name + "s") if immediately else self.begin(spoken)

                self.assertEqual(self.negotiated(plain(), spoken.name), spoken.name)
                self.assertEqual(self.negotiated(plain()), None)
                with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
                    self.negotiated(plain(), "http/1.1", "h2")

    def negotiated(self, plain: socket.socket, *offered: str) -> str | None:
        context = trusting()
        if offered:
            context.set_alpn_protocols(list(offered))
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            return tls.selected_alpn_protocol()
