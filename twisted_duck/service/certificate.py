"""The server's certificate: the administrator's, or one made here so that there is TLS from the first minute."""

from __future__ import annotations

import ipaddress
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, TLSVersion
from twisted.logger import Logger
from zope.interface import implementer

from twisted_duck.service.datadir import DataDir
from twisted_duck.service.fault import Fault

#: Clients ask people to trust a self-signed certificate once, so a new one is a nuisance.
_LIFE = timedelta(days=3650)
_RENEW = timedelta(days=30)

#: Of TLS 1.2: with forward secrecy, and authenticated.  Those of TLS 1.3 all are.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"

log = Logger()


class CertificateError(Fault):
    """The certificate cannot be used."""


class ServerCertificate:
    """A certificate in use; `speaking` makes what `startTLS`, and TLS from the first byte, take.

    @raise CertificateError: the files cannot be used
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self.reload()

    def reload(self) -> None:
        """Read the files again; connections that are there keep what they have.

        @raise CertificateError: the files cannot be used; what was read before stays in use
        """
        self._context = _context(*self._files)

    def become(self, other: ServerCertificate) -> None:
        """Be another one from now on; connections that are there keep what they have."""
        self._files, self._context = other._files, other._context

    def speaking(self, protocol: str | None) -> ServerTLS:
        """TLS with this certificate, whatever it is at the time, for connections of one protocol.

        @param protocol: its name in ALPN (RFC 7301), if it has one: `imap` or `pop3` (RFC 2595)
        """
        return ServerTLS(self, protocol)

    def connection(self, protocol: str | None) -> SSL.Connection:
        return _Connection(self._context, protocol)


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """See L{ServerCertificate.speaking}."""

    def __init__(self, certificate: ServerCertificate, protocol: str | None) -> None:
        self._certificate, self._protocol = certificate, protocol

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return self._certificate.connection(self._protocol)


class _Connection(SSL.Connection):
    """Its application data are Twisted's."""

    def __init__(self, context: SSL.Context, protocol: str | None) -> None:
        super().__init__(context, None)
        self.protocol = protocol


def _choose(connection: Any, offered: list[bytes]) -> Any:
    """ALPN.  Who says what it will speak, and means something else, is sent away (RFC 7301 §3.2): a browser, perhaps,
    that was led here."""
    protocol: str | None = connection.protocol
    if protocol is None:
        return SSL.NO_OVERLAPPING_PROTOCOLS
    if protocol.encode() not in offered:
        raise SSL.Error([("", "", f"the client wants to speak something else than {protocol}")])
    return protocol.encode()


def _context(certificate: Path, key: Path) -> SSL.Context:
    try:
        chain = x509.load_pem_x509_certificates(_content(certificate))
    except ValueError as error:
        raise CertificateError(
            f"{certificate} has no certificate in PEM that can be read"
        ) from error
    try:
        private = serialization.load_pem_private_key(_content(key), None)
    except TypeError as error:
        raise CertificateError(
            f"the private key in {key} has a pass phrase; give one without"
        ) from error
    except ValueError as error:
        raise CertificateError(f"{key} has no private key in PEM that can be read") from error
    first = chain[0]
    if _public(private.public_key()) != _public(first.public_key()):
        raise CertificateError(
            f"the private key in {key} is not that of the (first) certificate in {certificate}"
        )
    if first.not_valid_after_utc < datetime.now(UTC):
        log.warn("the certificate in {file} has expired; clients will refuse it", file=certificate)
    try:
        options = CertificateOptions(
            privateKey=crypto.PKey.from_cryptography_key(private),  # type: ignore[arg-type]
            certificate=crypto.X509.from_cryptography(first),
            extraCertChain=[crypto.X509.from_cryptography(each) for each in chain[1:]],
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableCiphers=AcceptableCiphers.fromOpenSSLCipherString(_CIPHERS),
        )
        context: SSL.Context = options.getContext()
        context.set_alpn_select_callback(_choose)
    except (SSL.Error, TypeError) as error:
        # A key of a kind or size that OpenSSL does not take.
        raise CertificateError(
            f"{certificate} and {key} cannot be used for TLS: {error}"
        ) from error
    return context


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(f"cannot read {file}: {error.strerror}") from error


def _public(key: Any) -> bytes:
    data: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data


def self_signed(directory: DataDir, now: datetime | None = None) -> ServerCertificate:
    """The certificate of a data directory, made if there is none or if it is about to expire."""
    now = now or datetime.now(UTC)
    file = directory.folder("tls") / "self-signed.pem"
    try:
        fresh = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc - now > _RENEW
    except (FileNotFoundError, ValueError):
        fresh = False
    if not fresh:
        directory.write("tls/self-signed.pem", _make(now))
        log.info("made a self-signed certificate: {file}", file=str(file))
    # One file for both, so that whatever cuts us off, they belong together.
    return ServerCertificate(file, file)


def _make(now: datetime) -> bytes:
    """A private key and a certificate for this machine, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname()
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1")]
    if host.isascii() and 0 < len(host) <= 64 and host != "localhost":
        names.append(x509.DNSName(host))
    else:
        host = "localhost"
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks differ.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
