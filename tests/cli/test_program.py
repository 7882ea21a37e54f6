"""The program itself, as a process."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

import twisted_duck
from tests import mongo
from tests.cli.support import put
from twisted_duck.store.store import MailStore

MESSAGE = b"From x Thu Feb 29 12:34:56 2024\nSubject: %d\n\nbody\n\n"


@attrs.frozen
class Ended:
    status: int
    out: str
    err: str


class ProgramTests(TestCase):
    timeout = 120

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        root = Path(twisted_duck.__file__).parent.parent
        process = subprocess.Popen(
            [sys.executable, "-c", "from twisted_duck.cli import main; main()", *words],
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "error"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **{"stderr": subprocess.PIPE, **options},
        )
        self.addCleanup(process.kill)
        return process

    async def end(self, process: subprocess.Popen[bytes], typed: bytes = b"") -> Ended:
        out, err = await deferToThread(process.communicate, typed)
        return Ended(process.returncode, out.decode(), (err or b"").decode())

    async def duck(self, *words: str, typed: bytes = b"") -> Ended:
        return await self.end(self.start(*words), typed)

    async def test_usage_errors_have_status_2(self) -> None:
        for words in (
            [],
            ["frob"],
            ["user"],
            ["user", "add"],
            ["import", "maildir", "x"],
            ["check", "--frob"],
        ):
            ended = await self.duck(*words)
            self.assertEqual((ended.status, ended.out), (2, ""), words)
            self.assertNotIn("Traceback", ended.err)

    async def test_closed_standard_streams(self) -> None:
        uri = await mongo.database(self)
        for closed, words, status in (
            ((0,), ("user", "add", "tim"), 1),
            ((1, 2), ("user", "list"), 0),
            ((0, 1, 2), ("user", "show", "nobody"), 1),
        ):
            process = self.start(*words, "--mongo", uri, preexec_fn=partial(_close, closed))
            ended = await self.end(process)
            self.assertEqual(ended.status, status, ended)
            self.assertNotIn("fault", ended.err)

    async def test_a_user_on_an_embedded_store_that_nobody_runs(self) -> None:
        """It is started for each command, and has kept what the one before did."""
        path = Path(self.mktemp()).absolute()
        words = ("--data-dir", str(path))
        for name, said in (
            ("tim", f"duckmail: made a new mail store in {path}\n"),
            ("tom", ""),
        ):
            added = await self.duck("user", "add", name, *words, typed=b"secret\n")
            self.assertEqual(added, Ended(0, f"user {name} was made\n", said))
        self.assertEqual(
            await self.duck("user", "list", *words),
            Ended(0, "tim\tactive\t0 B\tnone\ntom\tactive\t0 B\tnone\n", ""),
        )

    async def test_an_import_on_a_terminal_and_its_interruption(self) -> None:
        uri = await mongo.database(self)
        store = MailStore(uri, reactor=reactor)
        await store.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(store.close()))
        await store.users.add("tim", None)
        account = await store.account("tim")
        file = put(Path(self.mktemp()), b"".join(MESSAGE % number for number in range(20_000)))
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
        terminal = os.fdopen(ours, "rb")
        self.addCleanup(terminal.close)
        process = self.start(
            *("import", "mbox", str(file), "--user", "tim", "--mongo", uri),
            stderr=theirs,
            # A shell that runs the tests in the background has its children ignore it.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        os.close(theirs)
        while not (await account.status("INBOX")).messages:
            await deferLater(reactor, 0.05)
        process.send_signal(signal.SIGINT)
        ended = await self.end(process)
        said = await deferToThread(_read, terminal)
        self.assertEqual(ended.status, 130, said)
        self.assertTrue(ended.out.startswith("so far: "), ended.out)
        self.assertIn("duckmail: interrupted", said)
        self.assertRegex(said, r"INBOX: +\d+%.*/20000 \[\d\d:\d\d<.*messages/s\]")
        self.assertNotIn("Traceback", said)
        messages = (await account.status("INBOX")).messages
        self.assertTrue(0 < messages < 20_000, messages)
        uids = (await account.select("INBOX", True)).index.uids
        self.assertEqual(list(uids), list(range(1, messages + 1)))


def _close(numbers: tuple[int, ...]) -> None:
    for number in numbers:
        os.close(number)


def _read(terminal: Any) -> str:
    said = b""
    try:
        while data := terminal.read1(1 << 16):
            said += data
    except OSError:
        pass  # That is how a terminal without a program ends.
    return said.decode()
