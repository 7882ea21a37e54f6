"""Everything put together, over the in-memory store; and what `twistd` says and answers when it cannot be."""

from __future__ import annotations

import gc
import imaplib
import os
import poplib
import smtplib
import socket
import ssl
import subprocess
import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import attrs
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.service.support import Memory, ServerCase, directory
from twisted_duck.errors import Unavailable
from twisted_duck.service.config import ConfigError
from twisted_duck.service.datadir import DataDir
from twisted_duck.service.maker import spare_collector
from twisted_duck.service.server import Server, address


class ServerTests(ServerCase):
    async def test_demo(self) -> None:
        """The account that is printed can log in, by STARTTLS and by TLS, and finds its messages."""
        server = await self.running(self.settings(demo=True))
        self.assertEqual(self.ends, [])
        password = (self.data_dir / "demo-password").read_text()
        clear, tls = (port.getHost().port for port in server.ports)
        for fetch in (_by_starttls, _by_tls):
            port = clear if fetch is _by_starttls else tls
            messages = await deferToThread(fetch, port, password)
            self.assertEqual(len(messages), 4)
            parsed = [message_from_bytes(each, policy=default) for each in messages]
            self.assertIn("こんにちは", parsed[3]["Subject"])
            names = [part.get_filename() for part in parsed[2].iter_attachments()]
            self.assertEqual(names, ["squares.csv", "пятно.png"])
            self.assertTrue(all(not message.defects for message in parsed))

    async def test_mail_in_and_out(self) -> None:
        """By LMTP in, where its settings say; by POP3 out, and to where its settings say."""
        settings = self.settings(
            **{
                "listen.imap": [],
                "listen.imaps": [],
                "listen.pop3": ["tcp:0:interface=127.0.0.1"],
                "listen.pop3s": ["tcp:0:interface=127.0.0.1"],
                "listen.lmtp": ["tcp:0:interface=127.0.0.1"],
            }
        )
        settings = attrs.evolve(
            settings, pop3_delete="trash", lmtp_spam_header="X-Spam", lmtp_hostname="mx.example.org"
        )
        await self.store.add_user("ada@example.org", "secret")
        server = await self.running(settings)
        self.assertEqual(self.ends, [])
        clear, tls, lmtp = (port.getHost().port for port in server.ports)
        await deferToThread(_deliver, lmtp)
        messages = await deferToThread(_by_pop3, clear, tls)
        self.assertEqual([each.split(b"\r\n")[2] for each in messages], [b"Subject: mail"])
        account = await self.store.account("ada@example.org")
        counts = {
            name: (await account.status(name)).messages for name in ("INBOX", "Trash", "Junk")
        }
        self.assertEqual(counts, {"INBOX": 0, "Trash": 1, "Junk": 1})

    async def test_demo_again(self) -> None:
        """The second run with --demo makes nothing, and tells the same password."""
        await (await self.running(self.settings(demo=True))).stopService()
        password = (self.data_dir / "demo-password").read_text()
        await self.running(self.settings(demo=True))
        self.assertEqual((self.data_dir / "demo-password").read_text(), password)
        account = await self.store.account("demo")
        self.assertEqual((await account.status("INBOX")).messages, 4)

    async def test_stop(self) -> None:
        """Stopping sees off who is connected, closes the ports and then the store."""
        server = await self.running(self.settings())
        port = server.ports[0].getHost().port
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            self.assertIn(b"* OK", await deferToThread(client.recv, 1000))
            stopped = server.stopService()
            self.assertIn(b"* BYE", await deferToThread(client.recv, 1000))
            await stopped
        self.assertFalse(self.store.open)
        self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", port))

    async def test_stopped_while_starting(self) -> None:
        server = self.server(self.settings())
        server.startService()
        await server.stopService()
        self.assertEqual((self.ends, server.ports), ([], []))

    async def test_unix_socket_that_cannot_be(self) -> None:
        path, no = self.data_dir.parent / "imap", self.data_dir.parent / "no"
        first = await self.running(self.settings(**{"listen.imap": [f"unix:{path}"]}))
        for where, reason in (
            (path, "something listens there already"),
            (no / "imap", f"there is no directory {no}"),
        ):
            self.ends.clear()
            second = await self.running(self.settings(**{"listen.imap": [f"unix:{where}"]}))
            self.assertEqual(self.ends, [f"cannot listen on unix:{where} (--imap): {reason}"])
            await second.stopService()
        await first.stopService()

    async def test_unix_socket_of_a_process_that_was_killed(self) -> None:
        """The number in its lock is somebody's by now: another user's process, whom we may not ask, or ours."""
        path = self.data_dir.parent / "a:b"
        lock = path.with_name("a:b.lock")
        for number in (1, os.getpid()):
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
            lock.symlink_to(str(number))
            endpoint = f"unix:{str(path).replace(':', chr(92) + ':')}:mode=600"
            server = await self.running(self.settings(**{"listen.imap": [endpoint]}))
            self.assertEqual(self.ends, [])
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                self.assertIn(b"* OK", await deferToThread(client.recv, 1000))
            await server.stopService()
            self.assertFalse(lock.is_symlink())

    async def test_what_is_no_socket_stays(self) -> None:
        path = self.data_dir.parent / "imap"
        path.write_text("mine")
        server = await self.running(self.settings(**{"listen.imap": [f"unix:address={path}"]}))
        self.assertEqual(len(self.ends), 1)
        self.assertEqual(path.read_text(), "mine")
        await server.stopService()

    async def test_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
            server = await self.running(self.settings(**{"listen.imaps": [taken]}))
        self.assertEqual(self.ends, [f"cannot listen on {taken} (--imaps): Address already in use"])
        await server.stopService()
        self.assertFalse(self.store.open)

    async def test_nothing_is_made_in_a_directory_that_another_has(self) -> None:
        other = DataDir(self.data_dir)
        other.lock()
        self.addCleanup(other.unlock)
        await self.running(attrs.evolve(self.settings(), mongo_uri=None))
        self.assertIn("is in use by process", self.ends[0])
        self.assertEqual([each.name for each in self.data_dir.iterdir()], ["lock"])

    async def test_store_refuses(self) -> None:
        """What the store says of a MongoDB that will not do is what the administrator is told."""

        async def refuse(*args: object) -> Memory:
            raise Unavailable("MongoDB at db is a standalone server")

        server = Server(
            reactor, self.settings(), refuse, lambda fault: self.ends.append(str(fault))
        )
        server.startService()
        await server.stopService()
        self.assertEqual(self.ends, ["MongoDB at db is a standalone server"])

    def test_what_is_loaded_is_not_looked_through_for_cycles(self) -> None:
        self.addCleanup(gc.unfreeze)
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        spare_collector()
        self.assertGreater(gc.get_freeze_count(), 10_000)
        self.assertEqual(gc.get_threshold()[0], 10_000)
        self.assertTrue(gc.isenabled())

    def test_bad_endpoint(self) -> None:
        for endpoint in ("tpc:143", "tcp:", "tcp:x", "ssl:993:privateKey=/no/such"):
            error = self.assertRaises(
                ConfigError, self.server, self.settings(**{"listen.imap": [endpoint]})
            )
            self.assertIn(f"--imap {endpoint}: not a Twisted endpoint string", str(error))

    async def test_no_embedded(self) -> None:
        """Without an embedded MongoDB there is no server."""
        settings = attrs.evolve(self.settings(), mongo_uri=None, mongod="/no/such/mongod")
        server = await self.running(settings)
        self.assertEqual(len(self.ends), 1)
        self.assertIn("--mongod /no/such/mongod: no such program", self.ends[0])
        await server.stopService()


def _messages(client: imaplib.IMAP4, password: str) -> list[bytes]:
    client.login("demo", password)
    client.select("INBOX", readonly=True)
    _, data = client.fetch("1:*", "(BODY.PEEK[])")
    client.logout()
    return [each[1] for each in data if isinstance(each, tuple)]


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _by_starttls(port: int, password: str) -> list[bytes]:
    client = imaplib.IMAP4("127.0.0.1", port, timeout=10)
    client.starttls(_unverified())
    return _messages(client, password)


def _by_tls(port: int, password: str) -> list[bytes]:
    return _messages(
        imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=_unverified(), timeout=10), password
    )


def _deliver(port: int) -> None:
    with smtplib.LMTP("127.0.0.1", port, timeout=10) as client:
        _, said = client.ehlo()
        assert said.startswith(b"mx.example.org"), said
        assert not client.has_extn("starttls")
        for field in ("Subject: mail", "X-Spam: Yes"):
            client.sendmail("", "a.da+x@example.org", f"{field}\r\n\r\ntext\r\n")


def _by_pop3(clear: int, tls: int) -> list[bytes]:
    """Over TLS, after it was asked for in clear."""
    asked = poplib.POP3("127.0.0.1", clear, timeout=10)
    assert "STLS" in asked.capa()
    asked.quit()
    client = poplib.POP3_SSL("127.0.0.1", tls, context=_unverified(), timeout=10)
    client.user("ada@example.org")
    client.pass_("secret")
    found = [b"\r\n".join(client.retr(n + 1)[1]) for n in range(client.stat()[0])]
    client.dele(1)
    client.quit()
    return found


class AddressTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for host, text in [
            (IPv4Address("TCP", "127.0.0.1", 143), "127.0.0.1:143"),
            (IPv6Address("TCP", "::1", 143), "[::1]:143"),
            (UNIXAddress("/run/imap"), "/run/imap"),
        ]:
            self.assertEqual(address(host), text)


class TwistdTests(SynchronousTestCase):
    """`twistd -n duckmail` in a process of its own: what it says, and its exit status."""

    def setUp(self) -> None:
        self.tmp = directory(self)

    def refused(self, *argv: str) -> str:
        run = subprocess.run(
            [
                *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()"),
                *("-n", "--pidfile", str(self.tmp / "pid"), "duckmail"),
                *("--data-dir", str(self.tmp / "data"), *argv),
            ],
            cwd=self.tmp,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_root()), *sys.path])},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        said = run.stdout + run.stderr
        self.assertEqual(run.returncode, 1, said)
        self.assertNotIn("Traceback", said)
        self.assertFalse((self.tmp / "pid").exists())
        lines = [line for line in said.splitlines() if "duckmail: " in line]
        self.assertEqual(len(lines), 1, said)
        return lines[0]

    def test_configuration(self) -> None:
        """Before the reactor runs."""
        (self.tmp / "c.toml").write_text("dmeo = true")
        said = self.refused("--config", "c.toml")
        self.assertIn("unknown key dmeo; did you mean demo?", said)

    def test_certificate(self) -> None:
        """As soon as the service is started."""
        self.assertIn("cannot read", self.refused("--certificate", "/no/such.pem"))

    def test_no_mongod(self) -> None:
        """While it is being started."""
        (self.tmp / "mongod").write_text("#!/bin/sh\necho out of luck; exit 3")
        (self.tmp / "mongod").chmod(0o755)
        said = self.refused("--mongod", str(self.tmp / "mongod"))
        self.assertIn("ended with status 3: out of luck", said)


def _root() -> Path:
    return Path(__file__).parent.parent.parent
