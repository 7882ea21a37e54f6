"""The standard library's poplib, over real sockets, in clear and with STLS, with mail in memory and in MongoDB."""

from __future__ import annotations

import poplib
import ssl
from base64 import encodebytes
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests import mongo
from twisted_duck.auth.realm import AccountRealm
from twisted_duck.memory import MemoryStore
from twisted_duck.names import INBOX
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.spool import Spool
from twisted_duck.store.store import MailStore
from twisted_duck.values import AppendMessage

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _TestCase
else:
    _TestCase = object

USER, PASSWORD = "alice", "wonderland"
LONG = b"Subject: long\r\n\r\n" + b".a line that begins with a dot\r\n" * 50_000
MESSAGES = (
    b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n",
    LONG,
    b"Subject: bare\r\n\r\nline\n.\nfeeds\nand no end",
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + encodebytes(bytes(range(256)) * 4096).replace(b"\n", b"\r\n"),
)


def certificate() -> PrivateCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return PrivateCertificate.loadPEM(private + made.public_bytes(pem))


class Sessions(_TestCase):
    """What must hold whatever the store."""

    async def make_store(self) -> Any:
        """A store with alice in it, who has no mail."""
        raise AssertionError("a store's tests say how it is made")

    async def setUp(self) -> None:  # type: ignore[override]
        self.store = await self.make_store()
        account = await self.account()
        await account.append(INBOX, [AppendMessage(Spool.of(each)) for each in MESSAGES])
        network: Any = reactor
        checker = InMemoryUsernamePasswordDatabaseDontUse(**{USER: PASSWORD.encode()})
        self.factory = POP3Factory(
            Portal(AccountRealm(self.account_for), [checker]),
            tls=certificate().options(),
            retrSetsSeen=True,
        )
        self.port = network.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        self.addCleanup(self.factory.shutDown)

    async def account_for(self, name: str) -> Any:
        return await maybeDeferred(self.store.account, name)

    async def account(self) -> Any:
        return await self.account_for(USER)

    async def session(self, work: Callable[[poplib.POP3], None], *, quit_: bool = True) -> None:
        def run() -> None:
            client = poplib.POP3("127.0.0.1", self.port.getHost().port, timeout=30)
            try:
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                client.stls(context)
                client.user(USER)
                client.pass_(PASSWORD)
                work(client)
                if quit_:
                    client.quit()
            finally:
                client.close()

        await deferToThread(run)

    async def test_a_password_in_clear_is_refused(self) -> None:
        def run() -> None:
            client = poplib.POP3("127.0.0.1", self.port.getHost().port, timeout=30)
            self.assertNotIn("USER", client.capa())
            with self.assertRaises(poplib.error_proto):
                client.user(USER)
            client.quit()

        await deferToThread(run)

    async def test_everything_is_fetched_as_it_was_stored(self) -> None:
        def work(client: poplib.POP3) -> None:
            self.assertEqual(client.stat(), (len(MESSAGES), sum(map(len, MESSAGES))))
            for number, message in enumerate(MESSAGES, 1):
                _, lines, _ = client.retr(number)
                expected = message.replace(b"\r\n", b"\n").split(b"\n")
                if expected[-1] == b"":
                    expected.pop()
                self.assertEqual(lines, expected)
            self.assertEqual(client.top(1, 1)[1], [b"Subject: dots", b"", b"."])
            self.assertEqual(len(client.uidl()[1]), len(MESSAGES))
            self.assertIn("EXPIRE", client.capa())

        await self.session(work)
        self.assertEqual((await (await self.account()).status(INBOX)).unseen, 0)

    async def test_only_quit_deletes(self) -> None:
        def work(client: poplib.POP3) -> None:
            client.dele(1)
            client.dele(2)

        await self.session(work, quit_=False)
        self.assertEqual((await (await self.account()).status(INBOX)).messages, 4)
        await self.session(work)
        self.assertEqual((await (await self.account()).status(INBOX)).messages, 2)


class MemoryPoplibTests(Sessions, TestCase):
    async def make_store(self) -> MemoryStore:
        store = MemoryStore()
        store.add_user(USER, PASSWORD)
        return store


class MongoPoplibTests(Sessions, TestCase):
    async def make_store(self) -> MailStore:
        store = MailStore(await mongo.database(self))
        await store.open()
        self.addCleanup(store.close)
        await store.users.add(USER, None)
        return store
