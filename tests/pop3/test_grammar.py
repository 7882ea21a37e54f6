"""One line into one command."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import BadSyntax
from twisted_duck.pop3 import grammar
from twisted_duck.pop3.grammar import parse


class ParseTests(SynchronousTestCase):
    def test_every_command(self) -> None:
        for line, command in [
            (b"USER alice", grammar.User(b"alice")),
            (b"USER alice the first ", grammar.User(b"alice the first")),
            (b"USER \xc3\xa4", grammar.User(b"\xc3\xa4")),
            (b"PASS secret", grammar.Pass(b"secret")),
            (b"PASS  two spaces ", grammar.Pass(b" two spaces ")),
            (b"APOP alice c4c9334bac560ecc979e58001b3e22fb", grammar.Apop()),
            (b"AUTH PLAIN", grammar.Auth("PLAIN")),
            (b"AUTH plain AGEAYg==", grammar.Auth("PLAIN", b"\0a\0b")),
            (b"AUTH LOGIN =", grammar.Auth("LOGIN", b"")),
            (b"STLS", grammar.Stls()),
            (b"UTF8", grammar.Utf8()),
            (b"CAPA", grammar.Capa()),
            (b"STAT", grammar.Stat()),
            (b"STAT  ", grammar.Stat()),
            (b"LIST", grammar.List()),
            (b"LIST ", grammar.List()),
            (b"list 3", grammar.List(3)),
            (b"LIST 003", grammar.List(3)),
            (b"UIDL", grammar.Uidl()),
            (b"UidL 12", grammar.Uidl(12)),
            (b"RETR 1", grammar.Retr(1)),
            (b"TOP 1 0", grammar.Top(1, 0)),
            (b"TOP 0 10", grammar.Top(0, 10)),
            (b"DELE 4", grammar.Dele(4)),
            (b"NOOP", grammar.Noop()),
            (b"RSET", grammar.Rset()),
            (b"quit", grammar.Quit()),
        ]:
            self.assertEqual(parse(line), command, line)

    def test_what_is_no_command(self) -> None:
        for line in [
            b"",
            b" ",
            b" STAT",
            b"STATS",
            b"STAT 1",
            b"STAT\t",
            b"XTND XMIT",
            b"USER",
            b"USER  ",
            b"PASS",
            b"PASS ",
            b"PASS a\0b",
            b"NOOP\r",
            b"AUTH",
            b"AUTH ?",
            b"AUTH PLAIN not-base64",
            b"AUTH PLAIN AGEAYg",
            b"AUTH PLAIN A GEA",
            b"LIST 1 2",
            b"LIST  1",
            b"LIST -1",
            b"LIST 1.5",
            b"LIST \xd9\xa1",
            b"UIDL all",
            b"RETR",
            b"RETR 1 2",
            b"RETR " + b"9" * 200,
            b"TOP 1",
            b"TOP 1 2 3",
            b"TOP 1 -1",
            b"DELE",
            b"QUIT now",
        ]:
            with self.assertRaises(BadSyntax, msg=line):
                parse(line)

    @given(st.binary() | st.builds(b" ".join, st.lists(st.sampled_from([b"AUTH", b"LIST", b"1"]))))
    def test_nothing_but_bad_syntax_comes_of_other_bytes(self, line: bytes) -> None:
        try:
            parse(line)
        except BadSyntax as error:
            self.assertNotIn("\n", error.message)

    def test_passwords_are_in_no_repr(self) -> None:
        for line in (b"PASS hunter2", b"AUTH PLAIN aHVudGVyMg=="):
            self.assertNotIn("hunter2", repr(parse(line)))
