"""What is said, and how."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import sys
import termios

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.support import Said
from twisted_duck.cli import parser
from twisted_duck.cli.console import Progress, complain, count, size


class WordsTests(SynchronousTestCase):
    def test_sizes(self) -> None:
        self.assertEqual(
            [size(n) for n in (0, 1023, 1024, 1536, 1 << 20, 5 << 30, 1 << 50)],
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.0 GiB", "1024.0 TiB"],
        )

    def test_counts(self) -> None:
        self.assertEqual(
            [count(n, "mailbox", "mailboxes") for n in (0, 1, 1234)],
            ["0 mailboxes", "1 mailbox", "1,234 mailboxes"],
        )
        self.assertEqual(count(2, "message"), "2 messages")


class UsageTests(SynchronousTestCase):
    def test_an_error_is_of_the_command_that_it_is_in(self) -> None:
        for words, whose, what in (
            (
                "bans --data-dir x",
                "bans [-h] COMMAND",
                "bans: error: --data-dir: options stand behind",
            ),
            ("--data-dir=x bans list", "[-h]", "error: --data-dir: options stand behind COMMAND"),
            (
                "user list --quux",
                "user list [-h]",
                "user list: error: unrecognized arguments: --quux",
            ),
            ("user list x", "user list [-h]", "user list: error: unrecognized arguments: x"),
        ):
            said = Said()
            with said.listening():
                self.assertRaises(SystemExit, parser().parse_args, words.split())
            self.assertIn(f"usage: duckmail {whose}", said.err)
            self.assertIn(what, said.err)


class ComplainTests(SynchronousTestCase):
    def test_one_line_that_can_do_nothing_to_a_terminal(self) -> None:
        said = Said()
        with said.listening():
            complain("a\nb\x1b[2J\x07\u202e\udcff")
        self.assertEqual(said.err, "duckmail: a b?[2J???\n")

    def test_what_the_encoding_of_standard_error_lacks(self) -> None:
        written = io.BytesIO()
        self.patch(sys, "stderr", io.TextIOWrapper(written, "ascii", write_through=True))
        complain("Entwürfe")
        self.assertEqual(written.getvalue(), b"duckmail: Entw?rfe\n")


class ProgressTests(SynchronousTestCase):
    def drawn(self, columns: int) -> str:
        """What a terminal of that width sees of a bar."""
        terminal, child = os.openpty()
        self.addCleanup(os.close, terminal)
        fcntl.ioctl(
            child, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0)
        )
        with open(child, "w", encoding="utf-8") as stderr:
            self.patch(sys, "stderr", stderr)
            with Progress(2) as progress:
                progress.at("INBOX")
                progress.step(1)
                progress.step(1)
        return b"".join(iter(lambda: self.read(terminal), b"")).decode()

    def read(self, terminal: int) -> bytes:
        """What has come so far, which the terminal hands on in pieces; nothing when the other end is closed."""
        try:
            return os.read(terminal, 65536)
        except OSError:
            return b""

    def test_bar_with_rate_and_time_left(self) -> None:
        """Also where the terminal does not know how large it is."""
        for columns in (0, 60, 100):
            with self.subTest(columns=columns):
                bar = self.drawn(columns)
                self.assertRegex(
                    bar, r"INBOX: 100%\|\S+\| 2/2 \[\d\d:\d\d<\d\d:\d\d, .*messages/s\]"
                )

    def test_nothing_is_drawn_where_there_is_no_terminal(self) -> None:
        said = Said()
        with said.listening(), Progress(2) as progress:
            progress.at("INBOX")
            progress.step(1)
            progress.say("a line")
        self.assertEqual((said.out, said.err), ("a line\n", ""))
