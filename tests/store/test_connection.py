"""How a store gets to its database, and bears one that is wrong, slow or away."""

from __future__ import annotations

import signal
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

from bson.objectid import ObjectId
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.store.base import StoreTestCase, simple, together
from tests.store.server import OwnServer
from twisted_duck import errors
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.store import schema
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.connection import Mongo, Times
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import MESSAGES
from twisted_duck.store.store import MailStore
from twisted_duck.store.uri import BadURI, parse
from twisted_duck.values import AppendMessage

QUICK = Times(command=1.0, transaction=1.0, settle=4.0, turn=4.0, closing=0.5)


class URITests(SynchronousTestCase):
    def test_what_is_understood(self) -> None:
        target = parse("mongodb://ada:se%2Fcret@a.example,b.example:27018/mail?replicaSet=rs0&w=1")
        self.assertEqual(target.hosts, (("a.example", 27017), ("b.example", 27018)))
        self.assertEqual((target.database, target.auth_database), ("mail", "mail"))
        self.assertEqual((target.username, target.password), ("ada", "se/cret"))
        self.assertEqual(
            target.bare_uri, "mongodb://a.example:27017,b.example:27018/?replicaSet=rs0"
        )
        self.assertNotIn("cret", repr(target) + target.address)

    def test_defaults(self) -> None:
        target = parse("mongodb://ada:x@localhost")
        self.assertEqual((target.database, target.auth_database), ("duckmail", "admin"))
        self.assertEqual(parse("mongodb://[::1]:1/a", "b").database, "b")
        self.assertEqual(parse("mongodb://[::1]:1/").bare_uri, "mongodb://[::1]:1/")
        self.assertEqual(parse("mongodb://h/mail?authSource=users").auth_database, "users")

    def test_what_can_not_be_done_is_refused(self) -> None:
        for uri in (
            "nonsense",
            "http://localhost/",
            "mongodb://",
            "mongodb://%2Ftmp%2Fmongodb.sock/",
            "mongodb://ada@localhost/",
            "mongodb://localhost/?readPreference=secondary",
            "mongodb://localhost/?readPreference=primary",
            "mongodb://localhost/?tlsAllowInvalidCertificates=true&tls=true",
            f"mongodb://localhost/?tlsCAFile={quote(__file__)}",
            f"mongodb://localhost/?tls=false&tlsCertificateKeyFile={quote(__file__)}",
            "mongodb://localhost/?tls=true&authMechanism=MONGODB-X509",
            "mongodb://localhost/?compressors=zlib",
            "mongodb://ada:secret@localhost/?authMechanism=SCRAM-SHA-256",
            "mongodb://ada:secret@localhost:99999/",
            "mongodb://ada:a/b/secret@localhost/",
            "mongodb://ada:12/secret@localhost/",
            "mongodb://ada:?secret@localhost/mail?tls=true",
            "mongodb://ada:a?secret@localhost/mail?tls=true",
        ):
            error = self.assertRaises(BadURI, parse, uri)
            self.assertNotIn("\n", str(error))
            self.assertNotIn("secret", str(error))


class StartTests(TestCase):
    """Each of these ends with one line that says what to do."""

    async def refused(self, uri: str, kind: Any = Mongo) -> str:
        mongo = kind(uri, reactor=reactor, times=QUICK)
        try:
            await mongo.open()
        except errors.Unavailable as error:
            self.assertNotIn("\n", str(error))
            self.assertNotIn("wrong", str(error))
            return str(error)
        finally:
            await mongo.close()
        raise self.failureException("it was opened")

    async def test_a_server_that_is_not_there(self) -> None:
        self.assertIn("can't be reached", await self.refused("mongodb://127.0.0.1:1/"))

    async def test_a_name_that_nobody_knows(self) -> None:
        def getaddrinfo(host: str, *_: Any) -> list[Any]:
            if host == "nowhere.invalid":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return []

        self.patch(socket, "getaddrinfo", getaddrinfo)
        line = await self.refused("mongodb://127.0.0.1:1,nowhere.invalid/")
        self.assertIn("(the name 'nowhere.invalid' is not known)", line)

    async def test_a_standalone_server(self) -> None:
        server = await OwnServer.start(self, member=False)
        self.assertIn("--replSet", await self.refused(server.uri))

    async def test_a_wrong_password(self) -> None:
        server = await OwnServer.start(self)
        line = await self.refused(server.uri.replace("secret", "wrong"))
        self.assertIn("refuses the user 'tests'", line)
        self.assertIn("refuses the user", await self.refused(server.uri.replace("tests", "nobody")))
        line = await self.refused(server.uri.replace("=duckmail", "=other"))
        self.assertIn("requested replicaSet", line)

    async def test_a_user_who_may_not_do_enough(self) -> None:
        server = await OwnServer.start(self)
        mongo = Mongo(server.uri, reactor)
        await mongo.open()
        for name, role in (("reader", "read"), ("writer", "readWrite")):
            role_there = {"role": role, "db": "mail"}
            user = {"createUser": name, "pwd": "secret", "roles": [role_there]}
            await mongo.run(user, database="admin")
        await mongo.close()
        reader, writer = (server.uri.replace("tests:", f"{name}:") for name in ("reader", "writer"))
        nobody = server.uri.replace("tests:secret@", "").replace("&authSource=admin", "")
        for uri, told in (
            (
                reader,
                "the user 'reader' may not do that in the database 'mail': it needs readWrite",
            ),
            (writer.replace("/mail?", "/other?"), "in the database 'other': it needs readWrite"),
            (nobody, "the database 'mail' is for those who log in"),
        ):
            self.assertIn(told, await self.refused(uri, MailStore))
        store = MailStore(writer, reactor=reactor)
        await store.open()
        await store.close()


class SiblingTests(StoreTestCase):
    async def test_it_has_one_connection_whatever_the_uri_says(self) -> None:
        mongo = Mongo(f"{self.uri}&maxPoolSize=5", reactor)
        for each, connections in ((mongo, 5), (mongo.sibling(), 1)):
            await each.open()
            self.addCleanup(each.close)
            pool: Any = each._pool
            await self.until(lambda pool=pool, count=connections: len(pool.wires) == count)
            await self.pause(0.05)
            self.assertEqual(len(pool.wires), connections)


class SchemaTests(StoreTestCase):
    async def test_a_newer_schema_is_left_alone(self) -> None:
        store = await self.make_store()
        newer = {"$set": {"version": schema.VERSION + 1}}
        await store.mongo.run(
            {"update": "schema", "updates": [{"q": {"_id": "schema"}, "u": newer}]}
        )
        with self.assertRaises(errors.Unavailable) as caught:
            await MailStore(self.uri).open()
        self.assertIn("upgrade", str(caught.exception))

    async def test_a_sharded_cluster_is_known_as_one(self) -> None:
        class Router(Mongo):
            async def send(self, command: Document, *arguments: Any, **more: Any) -> Document:
                reply = await super().send(command, *arguments, **more)
                if "hello" in command:
                    del reply["setName"]
                    reply["msg"] = "isdbgrid"
                return reply

        found = []
        for kind in (Mongo, Router):
            mongo = kind(self.uri, reactor)
            await mongo.open()
            found.append(mongo.is_sharded)
            await mongo.close()
        self.assertEqual(found, [False, True])

    async def test_two_processes_that_start_at_once(self) -> None:
        stores = [MailStore(self.uri) for _ in range(3)]
        await gatherResults(together(*(store.open() for store in stores)))
        for store in stores:
            await store.close()


class TLSTests(TestCase):
    """A server that speaks TLS only, with a certificate for its address by an authority of its own."""

    async def setUp(self) -> None:
        self.server = await OwnServer.start(self)
        self.server.kill()
        self.authority = _key()
        self.issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
        self.ca_file = self.write("ca.pem", self.certificate(self.issuer, self.authority, None))
        pair = self.pair("127.0.0.1")
        await self.server.restart("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", pair)

    def pair(self, address: str) -> str:
        """A certificate for that address, and its key."""
        own, name = _key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mongod")])
        return self.write("server.pem", self.certificate(name, own, address) + _pem(own))

    def write(self, name: str, content: bytes) -> str:
        path = self.server.directory / name
        path.write_bytes(content)
        return str(path)

    def certificate(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, address: str | None
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(address is None, None), critical=True)
        )
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.authority, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)

    async def test_a_certificate_by_the_authority(self) -> None:
        store = MailStore(f"{self.server.uri}&tls=true&tlsCAFile={quote(self.ca_file)}")
        await store.open()
        self.addCleanup(store.close)
        await store.users.add("ada", None)
        pool: Any = store.mongo._pool
        # As it does after ten seconds, to the address of a host that it knows by its name.
        pool._ConnectionPool__discovery_nodes_to_ping()
        await deferLater(reactor, 0.3)  # type: ignore[arg-type]
        self.assertTrue(all(wire.connected for wire in pool.wires))
        self.assertEqual((await (await store.account("ada")).status("INBOX")).messages, 0)

    async def test_a_certificate_by_nobody(self) -> None:
        self.assertIn("no TLS with", await self.refused("&tls=true"))
        self.assertIn("certificate verify failed", await self.refused("&tls=true"))
        self.assertIn("can't be reached", await self.refused(""))

    async def test_a_certificate_of_somebody_else(self) -> None:
        pair = self.pair("127.0.0.2")
        self.server.kill()
        await self.server.restart("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", pair)
        why = await self.refused(f"&tls=true&tlsCAFile={quote(self.ca_file)}")
        self.assertIn("another host", why)

    async def test_our_certificate_says_who_we_are(self) -> None:
        own, name = _key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "duckmail")])
        pem = self.certificate(name, own, "127.0.0.1") + _pem(own)
        tls = f"tls=true&tlsCAFile={quote(self.ca_file)}"
        ours = f"{tls}&tlsCertificateKeyFile={quote(self.write('ours.pem', pem))}"
        self.server.kill()
        pair = str(self.server.directory / "server.pem")
        more = ("--tlsCertificateKeyFile", pair, "--tlsCAFile", self.ca_file)
        await self.server.restart("--tlsMode", "requireTLS", *more)
        here = f"127.0.0.1:{self.server.port}/mail?replicaSet=duckmail&authMechanism=MONGODB-X509&{ours}"
        with self.assertRaises(errors.Unavailable) as caught:
            await MailStore(f"mongodb://{here}").open()
        self.assertIn("the user of the certificate", str(caught.exception))
        store = MailStore(f"{self.server.uri}&{ours}")
        await store.open()
        self.addCleanup(store.close)
        right: Document = {"role": "readWrite", "db": "mail"}
        await store.mongo.run({"createUser": "CN=duckmail", "roles": [right]}, database="$external")
        for who in ("", "CN%3Dduckmail@"):
            by_certificate = MailStore(f"mongodb://{who}{here}")
            await by_certificate.open()
            await by_certificate.close()

    async def test_no_certificate_in_the_file(self) -> None:
        with self.assertRaises(BadURI) as caught:
            await MailStore(f"{self.server.uri}&tls=true&tlsCAFile=/dev/null").open()
        self.assertIn("there is no certificate in /dev/null", str(caught.exception))

    async def refused(self, options: str) -> str:
        with self.assertRaises(errors.Unavailable) as caught:
            await MailStore(self.server.uri + options, times=QUICK).open()
        return str(caught.exception)

    async def test_files_that_can_not_be_read(self) -> None:
        broken = self.write(
            "broken.pem", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"
        )
        for options in (
            f"tlsCAFile={quote(broken)}",
            "tlsCAFile=/nowhere",
            f"tlsCertificateKeyFile={quote(broken)}",
        ):
            with self.assertRaises(BadURI) as caught:
                await MailStore(f"{self.server.uri}&tls=true&{options}").open()
            self.assertNotIn("\n", str(caught.exception))


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class OutageTests(TestCase):
    async def setUp(self) -> None:
        self.server = await OwnServer.start(self)
        self.store = MailStore(self.server.uri, times=QUICK)
        await self.store.open()
        self.addCleanup(self.store.close)
        await self.store.users.add("ada", None)
        self.account = await self.store.account("ada")

    async def append(self) -> int | None:
        try:
            message = AppendMessage(
                Spool.of(b"Subject: x\r\n\r\n" + bytes(ObjectId().binary.hex(), "ascii"))
            )
            return (await self.account.append("INBOX", [message])).uids[0]
        except errors.Unavailable:
            return None

    async def test_killed_and_started_again_in_the_middle(self) -> None:
        mailbox = await self.account.select("INBOX", False)
        given = [await self.append()]
        started = reactor.seconds()  # type: ignore[attr-defined]
        pending = together(*(self.append() for _ in range(30)))
        self.server.kill()
        given += await gatherResults(pending)
        with self.assertRaises(errors.Unavailable):
            await mailbox.refresh()
        with self.assertRaises(errors.Unavailable):
            await self.account.status("INBOX")
        self.assertLess(reactor.seconds() - started, 16)  # type: ignore[attr-defined]
        await self.server.restart()
        uid = None
        while uid is None:
            uid = await self.append()
            self.assertLess(reactor.seconds() - started, 60)  # type: ignore[attr-defined]
        await mailbox.refresh()
        acknowledged = [u for u in given if u is not None] + [uid]
        self.assertEqual(len(set(acknowledged)), len(acknowledged))
        self.assertLessEqual(set(acknowledged), set(mailbox.index.uids))
        found = [f async for f in check(self.store.mongo) if isinstance(f, Finding)]
        self.assertEqual(found, [])

    async def test_a_server_that_does_not_answer(self) -> None:
        self.server.signal(signal.SIGSTOP)
        started = reactor.seconds()  # type: ignore[attr-defined]
        with self.assertRaises(errors.Unavailable):
            await self.account.status("INBOX")
        self.assertLess(reactor.seconds() - started, 3)  # type: ignore[attr-defined]
        self.server.signal(signal.SIGCONT)
        self.assertEqual((await self.account.status("INBOX")).messages, 0)

    async def test_a_change_that_is_not_made_does_not_keep_the_store_open(self) -> None:
        self.server.signal(signal.SIGSTOP)
        putting = Deferred.fromCoroutine(self.append())
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        await self.store.close()
        self.assertIsNone(await putting)
        self.server.signal(signal.SIGCONT)

    async def test_a_store_that_is_closed(self) -> None:
        await self.store.close()
        with self.assertRaises(errors.Unavailable):
            await self.account.status("INBOX")


class LimitsOfOpening(StoreTestCase):
    async def test_a_store_that_was_closed_may_be_opened_again(self) -> None:
        store = MailStore(self.uri, limits=Limits())
        self.addCleanup(store.close)
        for name in ("ada", "bob"):
            await store.open()
            await store.users.add(name, None)
            account = await store.account(name)
            self.assertEqual(await self.put(account, "INBOX", simple()), [1])
            mailbox = await account.select("INBOX", False)
            await mailbox.remove([1])
            # What is done in the background is done again, too.
            while await store.mongo.find_one(MESSAGES, {"user": mailbox._opened.user}):
                await deferLater(reactor, 0.01)  # type: ignore[arg-type]
            await store.close()

    async def test_what_was_opened_is_closed_again(self) -> None:
        store = MailStore(self.uri, limits=Limits())
        await store.open()
        wires = list(store.mongo._pool.wires)  # type: ignore[union-attr]
        await store.close()
        self.assertTrue(wires)
        self.assertTrue(all(wire.transport.disconnected for wire in wires))
