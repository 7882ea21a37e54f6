"""Policies, proxies and SIGHUP in a running server, on real sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.service import hooks
from tests.service.support import ServerCase, directory
from twisted_duck.service.certificate import self_signed
from twisted_duck.service.datadir import DataDir
from twisted_duck.service.server import Server

V1 = b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 993\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(
    ">BBH4s4sHH", 0x21, 0x11, 12, bytes([198, 51, 100, 7]), bytes([203, 0, 113, 1]), 4711, 993
)

HOOKS = """
[[policy]]
call = "tests.service.hooks:connect"
on_authenticated = "tests.service.hooks:authenticated"
on_close = "tests.service.hooks:close"
"""


def limit(most: int) -> str:
    return f'[[policy]]\nkind = "connection-limit"\nmasks = [{{ most = {most} }}]\n'


class Client:
    """What a test says in a thread, line by line."""

    def __init__(self, port: int, header: bytes = b"", *, tls: bool = False) -> None:
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.sendall(header)
        if tls:
            self.start_tls()
        else:
            self._file = self._socket.makefile("rb")

    def start_tls(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")

    @property
    def certificate(self) -> bytes:
        assert isinstance(self._socket, ssl.SSLSocket)
        return self._socket.getpeercert(binary_form=True) or b""

    def line(self) -> bytes:
        return self._file.readline()

    def say(self, line: bytes, until: bytes) -> bytes:
        self.send(line + b"\r\n")
        while (answer := self.line()) and not answer.startswith(until):
            pass
        return answer

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def log_out(client: Client) -> bytes:
    answer = client.say(b"z LOGOUT", b"z OK")
    # Until the server has closed it, too.
    client.line()
    client.close()
    return answer


def dropped(port: int, header: bytes) -> bytes:
    """What somebody hears who is dropped, at whatever moment."""
    try:
        client = Client(port, header)
        try:
            return client.line()
        finally:
            client.close()
    except ConnectionResetError:
        return b""


class ConnectionsCase(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        hooks.seen.clear()
        self.logs = self.enterContext(capturedLogs())

    def said(self, what: str) -> list[str]:
        lines = [formatEvent(event) for event in self.logs]
        return [line for line in lines if what in line]

    async def serving(self, text: str) -> Server:
        server = await self.running(self.written(text))
        self.assertEqual(self.ends, [])
        return server

    async def client(self, server: Server, at: int = 0, *args: bytes, tls: bool = False) -> Client:
        port = server.ports[at].getHost().port
        client: Client = await deferToThread(Client, port, *args, tls=tls)
        self.addCleanup(client.close)
        return client

    async def until(self, condition: Callable[[], object]) -> None:
        """What the server hears of a moment later."""
        while not condition():
            await deferLater(reactor, 0.01)


class HookTests(ConnectionsCase):
    """What a hook knows, in clear, in TLS and with STARTTLS, each behind a proxy as well."""

    LISTEN = """
        [listen]
        imap = ["tcp:0:interface=127.0.0.1"]
        imaps = ["tcp:0:interface=127.0.0.1"]
        [proxy]
        networks = ["127.0.0.1"]
        imap = ["tcp:0:interface=127.0.0.1"]
        imaps = ["tcp:0:interface=127.0.0.1"]
    """

    async def test_in_each_way(self) -> None:
        await self.store.add_user("ada", "secret")
        server = await self.serving(self.LISTEN + HOOKS)
        for header in (b"", V1, V2):
            for how in ("clear", "tls", "starttls"):
                hooks.seen.clear()
                tls = how == "tls"
                address = "198.51.100.7" if header else "127.0.0.1"
                at = (2 if header else 0) + tls
                client = await self.client(server, at, header, tls=tls)
                greeting = await deferToThread(client.line)
                [(hook, session, secure, version, seen)] = hooks.seen
                # The handshake is done when it is asked, and with STARTTLS there was none yet.
                self.assertEqual((hook, secure, seen), ("connect", tls, address))
                self.assertEqual(version, "TLSv1.3" if tls else None)
                self.assertIn(session.id.encode(), greeting)
                if how == "starttls":
                    await deferToThread(client.say, b"a STARTTLS", b"a OK")
                    await deferToThread(client.start_tls)
                if how != "clear":
                    said = await deferToThread(client.say, b"b LOGIN ada secret", b"b ")
                    self.assertTrue(said.startswith(b"b OK"), said)
                await deferToThread(log_out, client)
                await self.until(lambda: hooks.seen[-1][0] == "close")
                secret = [] if how == "clear" else ["authenticated"]
                self.assertEqual([each[0] for each in hooks.seen], ["connect", *secret, "close"])
                self.assertTrue(all(each[1] is session for each in hooks.seen))
                self.assertEqual(hooks.seen[-1][2], how != "clear")

    async def test_no_handshake_and_no_header_reach_no_hook(self) -> None:
        server = await self.serving(
            self.LISTEN + HOOKS + "[limits]\ntls_handshake = 1\nproxy_header = 1\n"
        )
        for at, header in ((1, b""), (2, b""), (3, b""), (2, b"a NOOP\r\n"), (3, V1)):
            port = server.ports[at].getHost().port
            self.assertEqual(await deferToThread(dropped, port, header), b"")
        self.assertEqual(hooks.seen, [])
        self.assertEqual(len(self.said("no PROXY header in time")), 2)
        await self.until(lambda: len(self.said("no TLS handshake in time")) == 2)


class RefusalTests(ConnectionsCase):
    LISTEN = '[listen]\nimap = ["tcp:0:interface=127.0.0.1"]\n'
    BOTH = LISTEN + 'pop3 = ["tcp:0:interface=127.0.0.1"]\n'

    async def test_one_limit_for_all_listeners_and_protocols(self) -> None:
        server = await self.serving(self.BOTH + limit(2))
        first = await self.client(server, 0)
        await deferToThread(first.line)
        await deferToThread((await self.client(server, 1)).line)
        for at, words in ((0, b"* BYE [LIMIT] too many"), (1, b"-ERR [SYS/TEMP] too many")):
            said = await deferToThread((await self.client(server, at)).line)
            self.assertTrue(said.startswith(words), said)
        await deferToThread(log_out, first)
        await self.until(lambda: self.said("closed:"))
        again = await deferToThread((await self.client(server, 1)).line)
        self.assertTrue(again.startswith(b"+OK"), again)
        await server.stopService()
        [line] = self.said("refused since the start")
        self.assertEqual(line, "refused since the start: 2 by connection limit")
        self.assertEqual(len(self.said("connection limit refuses: 2 from 127.0.0.1/32")), 2)

    async def test_wrong_passwords(self) -> None:
        text = '[auth]\ncleartext = "always"\n[[policy]]\nkind = "bans"\nmask = { most = 2 }\n'
        await self.store.add_user("ada", "secret")
        server = await self.serving(self.LISTEN + text)
        client = await self.client(server)
        for guess in (b"x", b"x", b"y"):
            said = await deferToThread(client.say, b"a LOGIN ada " + guess, b"a ")
            self.assertIn(b"[AUTHENTICATIONFAILED]", said)
        said = await deferToThread((await self.client(server)).line)
        self.assertTrue(said.startswith(b"* BYE [UNAVAILABLE] too many failed logins"), said)

    async def test_a_policy_that_does_not_answer(self) -> None:
        """It is refused after a second, unless it is to be admitted."""
        text = "[limits]\non_connect = 1\n[[policy]]\ncall = 'tests.service.hooks:never'\n"
        for mode, words in (("refuse", b"* BYE [UNAVAILABLE]"), ("admit", b"* OK")):
            server = await self.serving(f"on_deadline = '{mode}'\n" + self.LISTEN + text)
            said = await deferToThread((await self.client(server)).line)
            self.assertTrue(said.startswith(words), said)

    async def test_no_policies(self) -> None:
        server = await self.serving("policy = []\n" + self.LISTEN)
        for _ in range(3):
            self.assertIn(b"* OK", await deferToThread((await self.client(server)).line))


class ReloadTests(ConnectionsCase):
    LISTEN = '[listen]\nimap = ["tcp:0:interface=127.0.0.1"]\n'

    def hang_up(self) -> Deferred[None]:
        """A signal, and the time it takes to be heard."""
        os.kill(os.getpid(), signal.SIGHUP)
        return deferLater(reactor, 0.01)

    async def greeting(self, server: Server) -> bytes:
        client = await self.client(server)
        said = await deferToThread(client.line)
        client.close()
        await self.until(
            lambda: len(self.said(" closed:")) == len(self.said(" connected from")) - 2
        )
        return said

    async def test_live_connections_are_counted_and_let_go_once(self) -> None:
        server = await self.serving(self.LISTEN + limit(9))
        live = [await self.client(server) for _ in range(2)]
        for client in live:
            await deferToThread(client.line)
        for most, expected in ((2, b"* BYE"), (3, b"* OK"), (2, b"* BYE"), (2, b"* BYE")):
            self.written(self.LISTEN + limit(most))
            await self.hang_up()
            self.assertTrue((await self.greeting(server)).startswith(expected))
        self.assertTrue((await deferToThread(live[0].say, b"a NOOP", b"a ")).startswith(b"a OK"))
        await deferToThread(log_out, live[0])
        await self.until(lambda: len(server._policies._sessions) == 1)
        await deferToThread((await self.client(server)).line)
        said = await deferToThread((await self.client(server)).line)
        self.assertTrue(said.startswith(b"* BYE"), said)
        self.assertEqual(len(self.said("reloaded: certificate, 1 policy, ")), 4)

    async def test_a_mistake_changes_nothing(self) -> None:
        """Not even what comes before it in the file."""
        server = await self.serving(self.LISTEN + limit(2))
        made = server._made
        for mistake, words in [
            ("[[policy]]\nkind = 'bnas'", "policy 2 (bnas): unknown kind bnas"),
            (
                "[[policy]]\nkind = 'networks'\ndeny_file = 'no.txt'",
                "duckmail.toml: policy 2 (networks): cannot read ",
            ),
            ("[tls]\ncertificate = 'no.pem'", "cannot read "),
            ("[", "is not TOML"),
        ]:
            self.file.write_text(self.LISTEN + limit(1) + mistake)
            await self.hang_up()
            self.assertIs(server._made, made)
            [line] = self.said("nothing was reloaded")
            self.assertIn(words, line)
            self.assertNotIn("\n", line)
            self.logs.clear()

    async def test_code_that_wants_to_exit_is_a_mistake_like_others(self) -> None:
        server = await self.serving(self.LISTEN)
        made = server._made
        for text in ("call = 'tests.service.exits:name'", "call = 'sys:exit'\narguments = {}"):
            self.file.write_text(self.LISTEN + "[[policy]]\n" + text)
            await self.hang_up()
            [line] = self.said("nothing was reloaded")
            self.assertIn("SystemExit", line)
            self.logs.clear()
        self.assertIs(server._made, made)

    async def test_a_fault_of_ours_is_not_the_last_that_is_heard(self) -> None:
        server = await self.serving(self.LISTEN)
        self.patch(server, "_use", lambda made: 1 / 0)
        await self.hang_up()
        self.assertEqual(len(self.said("not everything was reloaded")), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        del server._use
        await self.hang_up()
        self.assertEqual(len(self.said("reloaded: certificate")), 1)

    async def test_a_file_without_the_proxies_that_are_listened_to(self) -> None:
        """One that was cut off while it was written, say: nobody could come in any more."""
        text = '[proxy]\nimap = ["tcp:0:interface=127.0.0.1"]\nnetworks = ["127.0.0.1"]\n'
        server = await self.serving(text)
        for rest in ("", self.LISTEN):
            self.file.write_text(rest)
            await self.hang_up()
            [line] = self.said("nothing was reloaded")
            self.assertIn("proxy.networks is not set", line)
            self.logs.clear()
        self.assertTrue(all(proxy._networks for proxy in server._proxies))

    async def test_another_data_directory_is_not_touched(self) -> None:
        server = await self.serving(self.LISTEN)
        other = self.data_dir.parent / "other"
        server._reread = lambda: attrs.evolve(self.written(), data_dir=other)
        await self.hang_up()
        self.assertEqual(
            self.said("start it again"),
            ["reloaded, but for what has changed of data dir: start it again"],
        )
        self.assertFalse(other.exists())

    async def test_what_needs_a_restart_is_said(self) -> None:
        await self.serving(self.LISTEN)
        self.written("workers = 2\n" + self.LISTEN + "[limits]\nmessage = 1000\n")
        await self.hang_up()
        self.assertEqual(
            self.said("start it again"),
            ["reloaded, but for what has changed of workers, limits: start it again"],
        )

    async def test_certificate_and_proxies(self) -> None:
        files = [self.data_dir.parent / f"{name}.pem" for name in "ab"]
        for file in files:
            made = DataDir(self.data_dir.parent / file.stem)
            self_signed(made)
            file.write_bytes(
                (self.data_dir.parent / file.stem / "tls/self-signed.pem").read_bytes()
            )
        text = """
            [tls]
            certificate = "{}"
            [proxy]
            networks = ["{}"]
            imaps = ["tcp:0:interface=127.0.0.1"]
        """
        server = await self.serving(text.format("a.pem", "127.0.0.1"))
        first = await self.client(server, 0, V1, tls=True)
        self.written(text.format("b.pem", "127.0.0.0/8"))
        await self.hang_up()
        second = await self.client(server, 0, V1, tls=True)
        self.assertNotEqual(first.certificate, second.certificate)
        self.written(text.format("b.pem", "192.0.2.1"))
        await self.hang_up()
        port = server.ports[0].getHost().port
        self.assertEqual(await deferToThread(dropped, port, b""), b"")
        await self.until(lambda: self.said("127.0.0.1 was dropped: it is none of the proxies"))

    async def test_the_signal_is_its_owners_again(self) -> None:
        heard: list[int] = []
        before = signal.signal(signal.SIGHUP, lambda number, frame: heard.append(number))
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        server = await self.serving(self.LISTEN)
        await self.hang_up()
        self.assertEqual(heard, [])
        await server.stopService()
        await self.hang_up()
        self.assertEqual(heard, [signal.SIGHUP])
        self.assertEqual(len(self.said("reloaded: ")), 1)

    async def test_while_it_starts(self) -> None:
        """It is read again when it has started."""
        server = self.server(self.written(self.LISTEN + limit(1)))
        self.addCleanup(lambda: server.stopService() if server.running else None)
        server.startService()
        assert server._starting
        self.written(self.LISTEN + limit(2))
        os.kill(os.getpid(), signal.SIGHUP)
        await server._starting
        await self.until(lambda: self.said("reloaded: "))
        for _ in range(2):
            self.assertIn(b"* OK", await deferToThread((await self.client(server)).line))


class StopTests(ConnectionsCase):
    async def test_a_command_that_does_not_end(self) -> None:
        """It is given up when `limits.shut_down` and `limits.on_close` are over, without a traceback."""
        asked: Deferred[None] = Deferred()
        # With somebody who holds it: who waits for what can never come is collected, and has come to an end then.
        never: Deferred[None] = Deferred()
        server = await self.serving(
            RefusalTests.LISTEN
            + '[auth]\ncleartext = "always"\n[limits]\nshut_down = 1\non_close = 1\n'
        )

        async def find(name: str) -> None:
            asked.callback(None)
            await never

        # The portal has the store for its directory.
        self.store.find = find  # type: ignore[method-assign,assignment]
        client = await self.client(server)
        await deferToThread(client.line)
        client.send(b"a LOGIN ada secret\r\n")
        await asked
        await server.stopService()
        self.assertEqual(len(self.said("IMAP: some commands were not finished in time")), 1)
        self.assertFalse(self.store.open)

    async def test_all_protocols_at_once(self) -> None:
        """Ports are closed first; nobody can come to one protocol while another sees its clients off."""
        server = await self.serving(RefusalTests.BOTH)
        clients = [await self.client(server, at) for at in (0, 1)]
        for client in clients:
            await deferToThread(client.line)
        await server.stopService()
        self.assertIn(b"* BYE", await deferToThread(clients[0].line))
        self.assertEqual(self.said("refused since"), [])


#: `twistd` as it is, but for the store.
_TWISTD = """
from tests.service.support import Memory
from twisted_duck.service import maker

async def open_store(*args):
    return Memory()

maker.open_store = open_store
from twisted.scripts.twistd import run
run()
"""


class TwistdTests(SynchronousTestCase):
    """SIGHUP to `twistd -n duckmail` itself."""

    def setUp(self) -> None:
        self.tmp = directory(self)
        self.file = self.tmp / "duckmail.toml"
        self.write("127.0.0.1", deny="192.0.2.1")

    def write(self, host: str, *, deny: str) -> None:
        self.file.write_text(
            f"""
            [mongo]
            uri = "mongodb://127.0.0.1:1/"
            [listen]
            imap = ["tcp:0:interface={host}"]
            [[policy]]
            kind = "networks"
            deny = ["{deny}"]
            """
        )

    def start(self, *, terminal: int | None = None) -> subprocess.Popen[str]:
        root = Path(__file__).parent.parent.parent
        process = subprocess.Popen(
            [
                *(sys.executable, "-u", "-c", _TWISTD),
                *("-n", "--pidfile", str(self.tmp / "pid"), "duckmail"),
                *("--config", "duckmail.toml", "--data-dir", str(self.tmp / "data")),
            ],
            cwd=self.tmp,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=None if terminal is None else lambda: os.close(os.open(_name(terminal), 2)),
        )
        stack = ExitStack()
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdout is not None
        stack.enter_context(process.stdout)
        # So that a line that does not come is a failure and not for ever.
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        stack.callback(watchdog.cancel)
        self.addCleanup(stack.close)
        return process

    def line(self, process: subprocess.Popen[str], what: str) -> str:
        assert process.stdout is not None
        heard = ""
        for line in process.stdout:
            heard += line
            if what in line:
                return line
        raise self.failureException(f"it never said {what!r}:\n{heard}")

    def test_lists_are_read_again(self) -> None:
        process = self.start()
        found = re.search(r":(\d+)$", self.line(process, "IMAP on 127.0.0.1"))
        assert found
        port = int(found[1])
        client = Client(port)
        self.assertTrue(client.line().startswith(b"* OK"))
        self.write("127.0.0.1", deny="127.0.0.1")
        process.send_signal(signal.SIGHUP)
        self.line(process, "reloaded: certificate, 1 policy, ")
        late = Client(port)
        self.assertTrue(late.line().startswith(b"* BYE [NOPERM]"))
        self.assertTrue(client.say(b"a NOOP", b"a ").startswith(b"a OK"))
        self.file.write_text("[[policy]]\nkind = 'network'")
        process.send_signal(signal.SIGHUP)
        self.assertIn("did you mean networks?", self.line(process, "nothing was reloaded"))
        process.send_signal(signal.SIGTERM)
        self.line(process, "refused since the start: 1 by networks")
        client.close()
        late.close()
        self.assertEqual(process.wait(), 0)

    def test_a_terminal_that_is_closed(self) -> None:
        """There is nobody to be served any more who could end it."""
        controller, terminal = os.openpty()
        process = self.start(terminal=terminal)
        os.close(terminal)
        self.line(process, "IMAP on 127.0.0.1")
        process.send_signal(signal.SIGHUP)
        self.line(process, "reloaded: ")
        os.close(controller)
        self.line(process, "ended by SIGTERM")
        self.assertEqual(process.wait(), 0)


def _name(terminal: int) -> str:
    return os.ttyname(terminal)
