"""Certificates: made here, or the administrator's."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.service.support import directory
from twisted_duck.service.certificate import CertificateError, ServerCertificate, self_signed
from twisted_duck.service.datadir import DataDir


def pair(
    certificate: ServerCertificate, client: SSL.Context, protocol: str | None = "imap"
) -> tuple[SSL.Connection, SSL.Connection]:
    """The two sides, client's first, of a TLS connection in memory."""
    ours = certificate.speaking(protocol).serverConnectionForTLS(None)
    ours.set_accept_state()
    theirs = SSL.Connection(client, None)
    theirs.set_connect_state()
    theirs.set_tlsext_host_name(b"localhost")
    return theirs, ours


def negotiate(*sides: SSL.Connection) -> None:
    """Fails with SSL.Error."""
    for _ in range(4):
        for one, other in (sides, sides[::-1]):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(65536))
            except SSL.WantReadError:
                pass


def shake_hands(
    certificate: ServerCertificate, client: SSL.Context, protocol: str | None = "imap"
) -> SSL.Connection:
    """A handshake; the client's side of it.  Fails with SSL.Error."""
    sides = pair(certificate, client, protocol)
    negotiate(*sides)
    return sides[0]


class SelfSignedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = DataDir(directory(self))
        self.file = self.data.path / "tls/self-signed.pem"

    def test_made_once(self) -> None:
        self_signed(self.data)
        first = self.file.read_bytes()
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.file.parent.stat().st_mode), 0o700)
        self_signed(self.data)
        self.assertEqual(self.file.read_bytes(), first)

    def test_made_by_two_processes_at_once(self) -> None:
        """The second one begins, and ends, while the first one writes."""
        fsync, pid = os.fsync, os.getpid()

        def meanwhile(file: int) -> None:
            self.patch(os, "fsync", fsync)
            self.patch(os, "getpid", lambda: pid + 1)
            self_signed(self.data)
            self.patch(os, "getpid", lambda: pid)
            fsync(file)

        self.patch(os, "fsync", meanwhile)
        self_signed(self.data)
        self.assertEqual(
            [each.name for each in (self.data.path / "tls").iterdir()], ["self-signed.pem"]
        )

    def test_made_again(self) -> None:
        """Before it expires, and when it cannot be read."""
        self_signed(self.data)
        first = self.file.read_bytes()
        self_signed(self.data, datetime.now(UTC) + timedelta(days=3640))
        second = self.file.read_bytes()
        self.assertNotEqual(second, first)
        self.file.write_text("")
        self_signed(self.data)
        self.assertNotEqual(self.file.read_bytes(), second)

    def test_trusted_by_its_names(self) -> None:
        """A client that trusts it takes it for this machine."""
        certificate = self_signed(self.data)
        client = SSL.Context(SSL.TLS_CLIENT_METHOD)
        client.load_verify_locations(str(self.file))
        client.set_verify(SSL.VERIFY_PEER, lambda *args: bool(args[-1]))
        peer = shake_hands(certificate, client).get_peer_certificate(as_cryptography=True)
        assert peer is not None
        names = str(
            peer.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        )
        for name in ("localhost", "127.0.0.1", "::1"):
            self.assertIn(name, names)


class ServerCertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tmp = directory(self)
        self_signed(DataDir(self.tmp))
        self.good = self.tmp / "tls/self-signed.pem"

    def write(self, name: str, content: bytes) -> Path:
        file = self.tmp / name
        file.write_bytes(content)
        return file

    def refused(self, certificate: Path, key: Path) -> str:
        error = self.assertRaises(CertificateError, ServerCertificate, certificate, key)
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_old_versions_are_refused(self) -> None:
        """TLS 1.2 is the least."""
        server = ServerCertificate(self.good, self.good)
        for version, good in ((SSL.TLS1_2_VERSION, True), (SSL.TLS1_1_VERSION, False)):
            client = SSL.Context(SSL.TLS_CLIENT_METHOD)
            client.set_min_proto_version(SSL.TLS1_VERSION)
            client.set_max_proto_version(version)
            client.set_cipher_list(b"ALL:@SECLEVEL=0")
            if good:
                self.assertEqual(shake_hands(server, client).get_protocol_version_name(), "TLSv1.2")
            else:
                self.assertRaises(SSL.Error, shake_hands, server, client)

    def test_ciphers_without_forward_secrecy_or_authentication_are_refused(self) -> None:
        server = ServerCertificate(self.good, self.good)
        for ciphers, good in (
            (b"ECDHE-ECDSA-AES128-GCM-SHA256", True),
            (b"ECDHE-ECDSA-CHACHA20-POLY1305", True),
            (b"ECDHE-ECDSA-AES256-SHA", False),
            (b"ECDHE-ECDSA-AES128-SHA256", False),
            (b"AES128-GCM-SHA256:AES256-SHA", False),
            (b"aNULL:eNULL:@SECLEVEL=0", False),
        ):
            client = SSL.Context(SSL.TLS_CLIENT_METHOD)
            client.set_max_proto_version(SSL.TLS1_2_VERSION)
            client.set_cipher_list(ciphers)
            if good:
                self.assertEqual(shake_hands(server, client).get_cipher_name(), ciphers.decode())
            else:
                self.assertRaises(SSL.Error, shake_hands, server, client)

    def test_no_handshake_begins_again(self) -> None:
        """Whoever may begin them anew can do so without end."""
        client = SSL.Context(SSL.TLS_CLIENT_METHOD)
        client.set_max_proto_version(SSL.TLS1_2_VERSION)
        theirs, ours = pair(ServerCertificate(self.good, self.good), client)
        negotiate(theirs, ours)
        theirs.renegotiate()
        self.assertRaises(SSL.WantReadError, theirs.do_handshake)
        ours.bio_write(theirs.bio_read(65536))
        self.assertRaises(SSL.WantReadError, ours.recv, 1)
        theirs.bio_write(ours.bio_read(65536))
        error = self.assertRaises(SSL.Error, theirs.do_handshake)
        self.assertIn("no renegotiation", str(error))
        self.assertEqual(ours.total_renegotiations(), 0)

    def test_a_client_that_says_what_it_will_speak_must_mean_ours(self) -> None:
        server = ServerCertificate(self.good, self.good)
        for offered, protocol, chosen in (
            ([], "imap", b""),
            ([b"imap"], "imap", b"imap"),
            ([b"http/1.1", b"pop3"], "pop3", b"pop3"),
            ([b"http/1.1", b"h2"], "imap", None),
            ([b"imap"], "pop3", None),
            # LMTP has no name in ALPN.
            ([b"smtp"], None, b""),
        ):
            client = SSL.Context(SSL.TLS_CLIENT_METHOD)
            if offered:
                client.set_alpn_protos(offered)
            if chosen is None:
                error = self.assertRaises(SSL.Error, shake_hands, server, client, protocol)
                self.assertIn(f"something else than {protocol}", str(error))
            else:
                found = shake_hands(server, client, protocol).get_alpn_proto_negotiated()
                self.assertEqual(found, chosen)

    def test_missing(self) -> None:
        self.assertIn(
            "cannot read /no/such.pem: No such file", self.refused(Path("/no/such.pem"), self.good)
        )

    def test_garbage(self) -> None:
        garbage = self.write("garbage", b"x")
        self.assertIn("has no certificate in PEM", self.refused(garbage, self.good))
        self.assertIn("has no private key in PEM", self.refused(self.good, garbage))

    def test_another_key(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.assertIn(
            "is not that of the (first) certificate",
            self.refused(self.good, self.write("key", _pem(key, serialization.NoEncryption()))),
        )

    def test_pass_phrase(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        locked = self.write("key", _pem(key, serialization.BestAvailableEncryption(b"x")))
        self.assertIn("has a pass phrase", self.refused(self.good, locked))

    def test_reload(self) -> None:
        """New connections get the new one; a bad one changes nothing."""
        server = ServerCertificate(self.good, self.good)

        def serial() -> int:
            peer = shake_hands(server, SSL.Context(SSL.TLS_CLIENT_METHOD)).get_peer_certificate(
                as_cryptography=True
            )
            assert peer is not None
            return peer.serial_number

        first = serial()
        self_signed(DataDir(self.tmp), datetime.now(UTC) + timedelta(days=3640))
        self.assertEqual(serial(), first)
        # Made ten years ahead, it is not valid yet, which is the client's affair and not looked at here.
        server.reload()
        second = serial()
        self.assertNotEqual(second, first)
        self.good.write_text("")
        self.assertRaises(CertificateError, server.reload)
        self.assertEqual(serial(), second)


def _pem(
    key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption
) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
