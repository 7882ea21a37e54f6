"""The server and its MongoDB are killed at the same moment, in a storm of APPENDs sent ahead and of deliveries: after both were
started again everything that was answered by OK or 250 is there once, and nothing that was answered by NO is.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.clients.server import PASSWORD, USER, Server, environment, program

_ADDRESS = f"{USER}@example.org"
_LOGIN = f'l LOGIN {USER} "{PASSWORD}"\r\n'.encode()
#: Seconds that anything may take on a busy machine.
_PATIENCE = 60
#: APPENDs that are sent before an answer is looked at; those of the next batch are sent before the last ones are answered.
_BATCH = 25
#: Octets of their messages; one in five goes where no mailbox is.
_SIZES = (10, 10, 300, 300, 300, 5_000, 70_000)
#: Answers by OK or 250 in each round, until everything is killed.
_ENOUGH = 120
#: The rounds: to start everything again takes longer than all the rest (`tox -e faults` has three).
_ROUNDS = "abc" if os.environ.get("DUCKMAIL_TEST_COMMANDS") == "all" else "a"
_TAGGED = re.compile(rb"(\S+) (OK|NO)(?: \[APPENDUID \d+ (\d+)\])?")
_THERE = re.compile(rb"UID (\d+) BODY\[HEADER.FIELDS \(SUBJECT\)\] {\d+}\r\nSubject: (\S+)\r\n")


@attrs.define
class Record:
    """What one client was answered: the UID where it was told one."""

    done: dict[bytes, bytes | None] = attrs.Factory(dict)
    refused: set[bytes] = attrs.Factory(set)
    #: Sent, wholly or not, and never answered.
    unknown: set[bytes] = attrs.Factory(set)


def message(name: bytes, size: int) -> bytes:
    return b"Subject: %b\r\n\r\n%b\r\n" % (name, b"x" * size)


def read(file: Any) -> bytes:
    """A line.  Fails with OSError where there is none any more."""
    line: bytes = file.readline()
    if not line.endswith(b"\n"):
        raise ConnectionError("it was ended")
    return line


def append(port: int, who: str, record: Record) -> None:
    """Until the connection is lost."""
    chance = random.Random(who)
    waiting: list[bytes] = []
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as client:
        file = client.makefile("rb")
        read(file)
        client.sendall(_LOGIN)
        while not read(file).startswith(b"l OK"):
            pass
        number = 0
        while True:
            data = b""
            for _ in range(_BATCH):
                number += 1
                name = f"{who}-{number}".encode()
                text = message(name, chance.choice(_SIZES))
                mailbox = b"INBOX" if number % 5 else b"missing"
                data += b"%b APPEND %b {%d+}\r\n%b\r\n" % (name, mailbox, len(text), text)
                waiting.append(name)
            record.unknown.update(waiting)
            client.sendall(data)
            while len(waiting) > _BATCH:
                found = _TAGGED.match(read(file))
                if found is None:
                    continue
                name, answer, uid = found.groups()
                # In the order in which they were asked.
                assert name == waiting.pop(0), (name, waiting)
                record.unknown.remove(name)
                if answer == b"OK":
                    record.done[name] = uid
                else:
                    record.refused.add(name)


def deliver(port: int, who: str, record: Record) -> None:
    """Until the connection is lost."""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as client:
        file = client.makefile("rb")

        def ask(said: bytes) -> bytes:
            client.sendall(said)
            while (line := read(file))[3:4] == b"-":
                pass
            return line

        ask(b"")
        ask(b"LHLO client.example.org\r\n")
        number = 0
        while True:
            number += 1
            name = f"{who}-{number}".encode()
            said = f"MAIL FROM:<>\r\nRCPT TO:<{_ADDRESS}>\r\nDATA\r\n".encode()
            begun = [ask(said), ask(b""), ask(b"")]
            if not begun[-1].startswith(b"354"):
                ask(b"RSET\r\n")
                continue
            record.unknown.add(name)
            answer = ask(message(name, 300) + b".\r\n")
            record.unknown.remove(name)
            if answer.startswith(b"250"):
                record.done[name] = None
            else:
                record.refused.add(name)


def _until_lost(client: Any, *arguments: Any) -> None:
    try:
        client(*arguments)
    except OSError:
        pass


class KilledTests(TestCase):
    timeout = 300

    async def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir=os.getcwd()))
        self.data = self.directory / "data"
        self.server = await self.start()
        self.addCleanup(self.end)
        await self.duckmail("user", "add", USER, "--password", PASSWORD)
        await self.duckmail("address", "add", USER, _ADDRESS)

    async def start(self) -> Server:
        """The server, which starts its MongoDB."""
        ports = [f"--{name}=tcp:0:interface=127.0.0.1" for name in ("imap", "lmtp")]
        options = ("--data-dir", str(self.data), "--allow-cleartext-auth", *ports)
        command = (program("twistd"), "-n", "--pidfile=", "duckmail", *options)
        server = Server(listeners=len(ports))
        reactor.spawnProcess(  # type: ignore[attr-defined]
            server, command[0], command, environment(), str(self.directory)
        )
        await server.listening
        return server

    async def end(self) -> None:
        await self.server.stop()

    async def duckmail(self, *arguments: str) -> str:
        command = [program("duckmail"), *arguments, "--data-dir", str(self.data)]
        done = await deferToThread(
            subprocess.run, command, env=environment(), capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, (arguments, done.stdout, done.stderr))
        return done.stdout

    async def kill_both(self) -> None:
        [lock] = self.data.rglob("mongod.lock")
        pids = [int(lock.read_text()), self.server.transport.pid]
        random.shuffle(pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        await self.server.ended

    async def storm(self, name: str) -> list[Record]:
        """Until everything was killed."""
        records: list[Record] = []
        clients: list[Deferred[None]] = []
        for number in range(6):
            kind, client = ("lmtp", deliver) if number % 3 == 2 else ("imap", append)
            records.append(Record())
            port = self.server.ports[kind]
            clients.append(deferToThread(_until_lost, client, port, f"{name}{number}", records[-1]))
        while sum(len(record.done) for record in records) < _ENOUGH:
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        await self.kill_both()
        await gatherResults(clients)
        return records

    async def test_what_was_acknowledged_is_there_once_and_what_was_refused_is_not(self) -> None:
        records = []
        for name in _ROUNDS:
            records += await self.storm(name)
            self.server = await self.start()
        there = await deferToThread(self.there)
        count = Counter(name for _, name in there)
        places = dict(there)
        for record in records:
            for name, uid in record.done.items():
                self.assertEqual(count[name], 1, name)
                if uid is not None:
                    self.assertEqual(places.get(uid), name)
            self.assertEqual([name for name in record.refused if count[name]], [])
            self.assertEqual([name for name in record.unknown if count[name] > 1], [])
        # Something of each kind there was.
        self.assertTrue(any(record.refused for record in records))
        self.assertTrue(any(record.unknown for record in records))
        sent = [record.done.keys() | record.unknown for record in records]
        self.assertEqual(count.keys() - frozenset().union(*sent), set())
        await self.duckmail("check", "--contents")

    def there(self) -> list[tuple[bytes, bytes]]:
        """UID and subject of all in INBOX."""
        said = b"s SELECT INBOX\r\nf UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\n"
        with socket.create_connection(
            ("127.0.0.1", self.server.ports["imap"]), _PATIENCE
        ) as client:
            file = client.makefile("rb")
            client.sendall(_LOGIN + said)
            heard = b""
            while not heard.startswith(b"f ", heard.rfind(b"\n", 0, -1) + 1):
                heard += read(file)
        return _THERE.findall(heard)
