"""SCRAM in IMAP and POP3: the same exchange in their words, in clear and bound to TLS, on strings and on sockets."""

from __future__ import annotations

import imaplib
import secrets
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from OpenSSL import SSL
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from tests.auth.support import FEW, WEAK, Reactor, ScramDirectory
from tests.guard.support import certificate
from tests.imap.transcript import IMAPCase
from tests.pop3.transcript import POP3Case
from tests.sasl.client import ScramClient
from tests.transcript import Client
from twisted_duck.auth.checker import DirectoryChecker
from twisted_duck.auth.passwords import PasswordHasher
from twisted_duck.auth.throttle import LoginThrottle
from twisted_duck.errors import ConnectionRefused
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.session import Session

USER, PASSWORD = "alice", "wonderland"


def scram_portal(store: MemoryStore) -> Portal:
    """The users of a store in memory, with alice's verifiers."""
    directory = ScramDirectory()
    directory.add(USER, PASSWORD)
    directory.add_verifiers(USER, PASSWORD)
    everything: Any = Reactor()
    checker = DirectoryChecker(
        directory,
        PasswordHasher(everything, parameters=WEAK),
        LoginThrottle(everything, Limits()),
        scram=FEW,
    )
    return Portal(store, [checker])


class Rules:
    """What holds in both protocols; `self` is a case of one."""

    #: How a mechanism is asked for, with an initial response, and how it is refused; how the end is told.
    auth: str
    good: str
    wrong: str
    broken: str
    log_in = False
    asked: Callable[[Session], Any] | None = None

    def make_factory(self: Any, portal: Portal) -> Any:
        return self.kind(
            scram_portal(self.store),
            clock=self.clock,
            tls="context",
            onAuthenticated=lambda session: self.asked(session) if self.asked else None,
        )

    def begin(self: Any, password: str = PASSWORD, mechanism: str = "SCRAM-SHA-256") -> str:
        """The challenge."""
        hash = mechanism.removeprefix("SCRAM-").replace("-", "").lower()
        self.scram = ScramClient(hash, USER, password)
        [answer] = self.client().say(
            f"{self.auth} {mechanism} {b64encode(self.scram.first).decode()}"
        )
        self.assertTrue(answer.startswith("+ "), answer)
        return answer[2:]

    def go_on(self: Any, challenge: str) -> list[str]:
        final = self.scram.final(b64decode(challenge))
        answer: list[str] = self.client().say(b64encode(final).decode())
        return answer

    def test_in_clear_where_no_password_may_be_sent(self: Any) -> None:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            [final] = self.go_on(self.begin(mechanism=mechanism))
            self.assertTrue(self.scram.verify(b64decode(final.removeprefix("+ "))))
            [answer] = self.client().say("")
            self.assertRegex(answer, self.good)
            self.assertEqual(self.client().protocol.session.user, USER)
            self.clients.pop("").disconnect()

    def test_without_an_initial_response(self: Any) -> None:
        self.scram = ScramClient("sha256", USER, PASSWORD)
        self.assertEqual(self.client().say(f"{self.auth} SCRAM-SHA-256"), ["+ "])
        [challenge] = self.client().say(b64encode(self.scram.first).decode())
        self.go_on(challenge[2:])
        [answer] = self.client().say("")
        self.assertRegex(answer, self.good)

    def test_a_wrong_password_and_three_of_them(self: Any) -> None:
        for _ in range(2):
            [answer] = self.go_on(self.begin("wrong"))
            self.assertRegex(answer, self.wrong)
        self.go_on(self.begin("wrong"))
        self.assertTrue(self.client().transport.closed)

    def test_a_client_that_cancels_or_is_not_content_is_not_logged_in(self: Any) -> None:
        self.begin()
        [answer] = self.client().say("*")
        self.assertRegex(answer, self.broken)
        for last in ("*", "AAAA", "no base64"):
            self.go_on(self.begin())
            answer, *_ = self.client().say(last)
            self.assertRegex(answer, self.broken)
            self.assertIsNone(self.client().protocol.session.user)
            self.assertIsNone(self.client().protocol.account)
            # What `onAuthenticated` has counted goes with the connection, so that the connection goes.
            self.assertTrue(self.client().transport.closed)
            self.clients.pop("").disconnect()

    def test_a_client_that_leaves_in_the_middle(self: Any) -> None:
        self.begin()
        self.client().disconnect()
        del self.clients[""]
        self.go_on(self.begin())
        self.client().disconnect()
        self.assertIsNone(self.client().protocol.account)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_client_that_says_nothing_more_is_sent_away(self: Any) -> None:
        self.go_on(self.begin())
        self.clock.advance(self.limits.login)
        self.assertTrue(self.client().transport.closed)
        self.client().disconnect()
        self.assertIsNone(self.client().protocol.account)

    def test_onAuthenticated_is_asked_before_the_client_hears_that_the_proof_was_good(
        self: Any,
    ) -> None:
        def no(session: Session) -> None:
            self.assertEqual(session.user, USER)
            self.assertEqual(self.client().heard(), b"")
            raise ConnectionRefused("not today")

        self.asked = no
        [answer] = self.go_on(self.begin())
        self.assertIn("not today", answer)
        self.assertIsNone(self.client().protocol.account)

    def test_there_is_nothing_to_bind_to_in_clear(self: Any) -> None:
        [answer] = self.client().say(f"{self.auth} SCRAM-SHA-256-PLUS")
        self.assertIn("these are: SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN", answer)


class IMAPTests(Rules, IMAPCase):
    kind = IMAP4Factory
    auth = "a1 AUTHENTICATE"
    good = r"a1 OK \[CAPABILITY .*\] AUTHENTICATE completed"
    wrong = r"a1 NO \[AUTHENTICATIONFAILED\] wrong name or password"
    broken = "a1 BAD "

    def test_what_is_said_of_it(self) -> None:
        """RFC 3501 §6.2.2, §7.2.1: LOGIN is what LOGINDISABLED speaks of."""
        answer = self.client().say("a1 CAPABILITY")[0]
        self.assertIn(
            " STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 SASL-IR ", answer
        )
        self.assertNotIn("AUTH=PLAIN", answer)

    def test_a_portal_without_it(self) -> None:
        client = Client(IMAP4Factory(self.portal, clock=self.clock, tls="context"))
        self.clients[""] = client
        client.heard()
        self.assertNotIn("AUTH=", client.say("a1 CAPABILITY")[0])
        [answer] = client.say("a2 AUTHENTICATE SCRAM-SHA-256")
        self.assertIn("these are: PLAIN LOGIN", answer)


class POP3Tests(Rules, POP3Case):
    kind = POP3Factory
    auth = "AUTH"
    good = r"\+OK 2 messages"
    wrong = r"-ERR \[AUTH\] wrong name or password"
    broken = "-ERR "

    def test_what_is_said_of_it(self) -> None:
        said = self.client().say("CAPA")
        self.assertIn("SASL SCRAM-SHA-256 SCRAM-SHA-1", said)
        self.assertNotIn("USER", said)


# --- on sockets -------------------------------------------------------------------------------------------------------


class OpenSSLClient(imaplib.IMAP4):
    """imaplib over pyOpenSSL, which exports keys, unlike the standard library's TLS."""

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    resumed: Any = None

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        self._socket = socket.create_connection((host, port), timeout=None)
        self.tls = SSL.Connection(self.context, self._socket)
        if self.resumed is not None:
            self.tls.set_session(self.resumed)
        self.tls.set_connect_state()
        self.tls.do_handshake()
        self._arrived = b""

    def readline(self) -> bytes:
        while b"\n" not in self._arrived:
            self._arrived += self.tls.recv(65536)
        line, _, self._arrived = self._arrived.partition(b"\n")
        return line + b"\n"

    def send(self, data: Any) -> None:
        self.tls.sendall(bytes(data))

    def shutdown(self) -> None:
        self._socket.close()


class TLS12Client(OpenSSLClient):
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)


class SocketTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.store = MemoryStore()
        self.store.add_user(USER, PASSWORD)
        own = certificate()
        # Twisted's own default is to resume no session; an application may have it otherwise.
        self.tls = CertificateOptions(
            privateKey=own.privateKey.original,
            certificate=own.original,
            raiseMinimumTo=TLSVersion.TLSv1_2,
            enableSessions=True,
            enableSessionTickets=True,
        )
        factory = IMAP4Factory(scram_portal(self.store), tls=self.tls)
        self.ports = [
            self.listen(each) for each in (factory, TLSMemoryBIOFactory(self.tls, False, factory))
        ]

    def listen(self, factory: Any) -> int:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def authenticate(
        self, client: imaplib.IMAP4, mechanism: str, header: bytes, binding: bytes = b""
    ) -> None:
        hash = mechanism.removeprefix("SCRAM-").removesuffix("-PLUS").replace("-", "").lower()
        scram = ScramClient(
            hash, USER, PASSWORD, nonce=secrets.token_hex(8), header=header, binding=binding
        )

        def answer(challenge: bytes) -> bytes:
            if not challenge:
                return scram.first
            if challenge.startswith(b"r="):
                return scram.final(challenge)
            self.assertTrue(scram.verify(challenge))
            return b""

        client.authenticate(mechanism, answer)
        self.assertEqual(client.select("INBOX")[0], "OK")

    def refused(self, client: imaplib.IMAP4, *arguments: Any) -> None:
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            self.authenticate(client, *arguments)

    async def test_tls_1_3(self) -> None:
        await deferToThread(self._tls_1_3)

    def _tls_1_3(self) -> None:
        client = OpenSSLClient("127.0.0.1", self.ports[1])
        for scheme in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            self.assertIn(f"AUTH={scheme}-PLUS", client.capabilities)
        exported = client.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        self.refused(client, "SCRAM-SHA-256-PLUS", b"p=tls-exporter,,", bytes(32))
        self.refused(client, "SCRAM-SHA-256", b"y,,")
        self.authenticate(client, "SCRAM-SHA-256-PLUS", b"p=tls-exporter,,", exported)
        client.logout()
        client = OpenSSLClient("127.0.0.1", self.ports[1])
        # It is not defined for this version.
        self.refused(client, "SCRAM-SHA-1-PLUS", b"p=tls-unique,,", client.tls.get_finished())
        shown = client.tls.get_peer_certificate()
        assert shown is not None
        digest = bytes.fromhex(shown.digest("sha256").decode().replace(":", ""))
        self.authenticate(client, "SCRAM-SHA-1-PLUS", b"p=tls-server-end-point,,", digest)
        client.logout()

    async def test_tls_1_2_and_a_session_that_is_resumed(self) -> None:
        await deferToThread(self._tls_1_2)

    def _tls_1_2(self) -> None:
        client = TLS12Client("127.0.0.1", self.ports[1])
        self.authenticate(
            client, "SCRAM-SHA-256-PLUS", b"p=tls-unique,,", client.tls.get_finished()
        )
        self.patch(TLS12Client, "resumed", client.tls.get_session())
        key = client.tls.master_key()
        client.logout()
        client = TLS12Client("127.0.0.1", self.ports[1])
        self.assertEqual(client.tls.master_key(), key)
        # The first Finished is the server's now.
        first = client.tls.get_peer_finished()
        self.authenticate(client, "SCRAM-SHA-256-PLUS", b"p=tls-unique,,", first)
        client.logout()

    async def test_the_standard_library_with_starttls(self) -> None:
        await deferToThread(self._starttls)

    def _starttls(self) -> None:
        client = imaplib.IMAP4("127.0.0.1", self.ports[0])
        self.assertNotIn("AUTH=SCRAM-SHA-256-PLUS", client.capabilities)
        self.authenticate(client, "SCRAM-SHA-256", b"y,,")
        client.logout()
        client = imaplib.IMAP4("127.0.0.1", self.ports[0])
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        client.starttls(context)
        self.assertIn("AUTH=SCRAM-SHA-256-PLUS", client.capabilities)
        secured: Any = client.sock
        unique = secured.get_channel_binding("tls-unique")
        self.authenticate(client, "SCRAM-SHA-256-PLUS", b"p=tls-unique,,", unique)
        client.logout()
        client = imaplib.IMAP4("127.0.0.1", self.ports[0])
        client.starttls(context)
        secured = client.sock
        digest = sha256(secured.getpeercert(binary_form=True)).digest()
        self.authenticate(client, "SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,", digest)
        client.logout()
