"""Whatever is sent, in whatever pieces: every line that is said is well-formed, and nothing is ever logged as our fault."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.imap.transcript import IMAPCase

COMMANDS = (
    b"CAPABILITY",
    b"NOOP",
    b'ID ("name" "x")',
    b"NAMESPACE",
    b"SELECT INBOX",
    b"EXAMINE INBOX",
    b"CREATE a/b",
    b"DELETE a",
    b"RENAME a/b c",
    b"SUBSCRIBE x",
    b'LIST "" *',
    b'LSUB "" %',
    b"STATUS INBOX (MESSAGES UNSEEN)",
    b"APPEND INBOX (\\Seen) {5+}\r\nhallo",
    b"APPEND INBOX {5}\r\nhallo",
    b"FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE)",
    b"FETCH 1 (BODY[1] BODY[HEADER.FIELDS (a)]<0.5> RFC822)",
    b"STORE 1:* +FLAGS (\\Deleted Work)",
    b"SEARCH OR (TEXT a SINCE 1-Jan-2020) NOT 1:3,5",
    b"SEARCH CHARSET UTF-8 SUBJECT {2}\r\n\xc3\xbc",
    b"UID COPY 1:* Trash",
    b"UID MOVE 1 Trash",
    b"EXPUNGE",
    b"CLOSE",
    b"IDLE\r\nDONE",
    b"AUTHENTICATE PLAIN",
    b"LOGIN {3+}\r\nabc {3}\r\ndef",
    b"STARTTLS",
    b"ENABLE QRESYNC CONDSTORE",
    b"SELECT INBOX (CONDSTORE)",
    b"SELECT INBOX (QRESYNC (1 1 1:9,11 (1:2 1,3)))",
    b"STATUS INBOX (HIGHESTMODSEQ)",
    b"STORE 1:* (UNCHANGEDSINCE 9) -FLAGS.SILENT (\\Deleted)",
    b"UID FETCH 1:* (FLAGS MODSEQ) (CHANGEDSINCE 1 VANISHED)",
    b'SEARCH OR MODSEQ 3 MODSEQ "/flags/\\\\Seen" all 1',
)
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_LINE = re.compile(
    rb"(?:\* (?:OK|NO|BAD|BYE|CAPABILITY|ID|NAMESPACE|LIST|LSUB|STATUS|SEARCH|FLAGS|ENABLED|VANISHED|\d+ [A-Z]+)\b|\+ "
    rb"|[!-~]+ (?:OK|NO|BAD) )[\x20-\x7e]*"
)

edits = st.tuples(
    st.floats(0, 1), st.integers(0, 3), st.sampled_from([b"", b"\0", b"\r\n", b"{9}\r\n", b'"', b"(", b"\xff", b"*", b" ", b"9" * 30])
)  # fmt: skip


class HostileTests(IMAPCase):
    selected = "INBOX"

    @settings(max_examples=150)
    @given(
        st.booleans(),
        st.lists(st.tuples(st.sampled_from(COMMANDS), st.lists(edits, max_size=3)), max_size=12),
        st.integers(1, 60),
    )
    def test_edited_commands(
        self,
        logged_in: bool,
        commands: list[tuple[bytes, list[tuple[float, int, bytes]]]],
        piece: int,
    ) -> None:
        self.tearDown()
        self.setUp()
        self.log_in = logged_in
        self.deliver("INBOX", b"Subject: a\r\n\r\nx", b"A: \xff\n\n{5}\r\n")
        client = self.client()
        sent = b""
        for command, edited in commands:
            line = b"a1 " + command + b"\r\n"
            for where, removed, inserted in edited:
                at = int(where * len(line))
                line = line[:at] + inserted + line[at + removed :]
            sent += line
        for at in range(0, len(sent), piece):
            client.send(sent[at : at + piece])
        self.clock.advance(0)
        self.assert_well_formed(client.heard())

    def assert_well_formed(self, said: bytes) -> None:
        # A literal's octets are data, and the line goes on behind them.
        while found := _LITERAL.search(said):
            stop = found.end() + int(found[1])
            self.assertGreaterEqual(len(said), stop, "a literal is not whole")
            said = said[: found.start()] + b"LITERAL" + said[stop:]
        *lines, rest = said.split(b"\r\n")
        self.assertEqual(rest, b"")
        for line in lines:
            if not _LINE.fullmatch(line):
                self.fail(f"this was said: {line!r}")
