"""Alice has learned every name and number of Ada's mail, and tries each of them in each command.

She does so on a server that has Ada's mail, and on one that never had an Ada.  What she is told, and what she has
afterwards, is the same to the byte; and Ada's mail is as it was.
"""

from __future__ import annotations

import poplib
import re
import socket
from collections.abc import Iterator

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from tests import mongo
from tests.clients.server import PASSWORD, USER, Server, ServerTestCase
from tests.clients.test_imaplib import trusting
from tests.imap.client import Client
from twisted_duck.imap.grammar.command import PARSERS

OTHER = "ada"
#: Nobody but Ada has mail with this in it.
SECRET = b"Zugzwang"

_ATTACHMENT = b"\r\n".join([b"QUFB" * 19] * 300) + b"\r\n"


def _letter(subject: bytes, identity: bytes, answers: bytes, text: bytes) -> bytes:
    return (
        b"From: Eve <eve@example.com>\r\nSubject: %b\r\nMessage-ID: <%b@x>\r\nReferences: <%b@x>\r\n"
        b"Date: Mon, 1 Jun 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n%b\r\n"
        b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n%b--b--\r\n"
        % (subject, identity, answers, text, _ATTACHMENT)
    )


#: Whoever has it knows it word for word, and what it is in a thread with.
KNOWN = _letter(b"Lunch", b"m1", b"m0", b"at noon")
HERS = _letter(b"Re: Lunch", b"m2", b"m1", SECRET)
MINE = _letter(b"Re: Lunch", b"m3", b"m1", b"mine")


class Talk(Client):
    """Over TLS; whatever is answered is fine."""

    def _connect(self, port: int) -> socket.socket:
        return trusting().wrap_socket(super()._connect(port), server_hostname="127.0.0.1")

    def ask(self, text: bytes) -> list[bytes]:
        """All responses; the last is the tagged one, without its tag."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self._socket.sendall(tag + b" " + text + b"\r\n")
        said = []
        while True:
            response = self._response()
            if response.startswith(tag + b" "):
                return [*said, response[len(tag) + 1 :]]
            if response.startswith(b"+ "):
                # IDLE, or a literal that was waited for.
                self._socket.sendall(b"DONE\r\n")
            said.append(response)


def _put(mailbox: bytes, message: bytes) -> bytes:
    return b"APPEND %b (\\Seen) {%d+}\r\n%b" % (mailbox, len(message), message)


def _fill(port: int, user: str, own: bytes, message: bytes) -> None:
    client = Talk(port, user, PASSWORD)
    for command in (
        b"CREATE " + own,
        b"CREATE %b/Child" % own,
        b"DELETE Archive",
        b"CREATE Special (USE (\\Archive))" if user == OTHER else b"NOOP",
        b"SUBSCRIBE " + own,
        *[_put(own, message)] * 3,
        _put(b"INBOX", KNOWN),
        b"SELECT " + own,
        b"STORE 1 +FLAGS.SILENT (\\Deleted hidden)" if user == OTHER else b"NOOP",
        b"EXPUNGE",
    ):
        assert client.ask(command)[-1].startswith(b"OK"), command
    client.close()


@frozen
class Known:
    """What Alice knows of Ada's mail."""

    mailbox: bytes
    mailbox_id: bytes
    uidvalidity: bytes
    modseq: bytes
    uid: bytes
    email_id: bytes
    thread_id: bytes


def _known(client: Talk) -> Known:
    def one(pattern: bytes, command: bytes) -> bytes:
        found = re.search(pattern, b"".join(client.ask(command)))
        assert found, command
        return found[1]

    return Known(
        b"Hidden",
        one(rb"MAILBOXID \((\w+)\)", b"SELECT Hidden"),
        one(rb"UIDVALIDITY (\d+)", b"STATUS Hidden (UIDVALIDITY)"),
        one(rb"HIGHESTMODSEQ (\d+)", b"STATUS Hidden (HIGHESTMODSEQ)"),
        one(rb"UID (\d+)", b"FETCH * (UID)"),
        one(rb"EMAILID \((\w+)\)", b"FETCH * (EMAILID)"),
        one(rb"THREADID \((\w+)\)", b"FETCH * (THREADID)"),
    )


def _tries(known: Known) -> Iterator[bytes]:
    """Each command, with each kind of identifier that it might take."""
    url = b"imap://ada@example.com/Hidden;UIDVALIDITY=%b/;UID=%b" % (known.uidvalidity, known.uid)
    odd = [
        b'"ada/Hidden"', b'"~ada/Hidden"', b'"/ada/Hidden"', b'"user.ada.Hidden"', b'"user/ada/Hidden"',
        b'"#user/ada"', b'"../ada/Hidden"', b'"INBOX/../Hidden"', b'"&AGE-da/Hidden"',
    ]  # fmt: skip
    names = [
        known.mailbox,
        b'"%b"' % known.mailbox_id,
        b'"%b"' % url,
        b'"Hidden/Child"',
        b"Special",
        *odd,
    ]
    message = _letter(b"from me", b"m4", b"m2", b"a thread of mine")
    yield from (
        b"CAPABILITY",
        b"NOOP",
        b"ID NIL",
        b"NAMESPACE",
        b"ENABLE CONDSTORE QRESYNC",
        b"IDLE",
    )
    yield from (b'LIST "" *', b'LSUB "" *', b'XLIST "" *', b'LIST (SUBSCRIBED) "" *')
    yield b'LIST "" * RETURN (STATUS (MESSAGES UIDNEXT SIZE MAILBOXID) SPECIAL-USE CHILDREN)'
    for name in names:
        yield b"EXAMINE " + name
        yield b"SELECT " + name
        yield b"SELECT %b (QRESYNC (%b %b 1:%b))" % (
            name,
            known.uidvalidity,
            known.modseq,
            known.uid,
        )
        yield b"STATUS %b (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT SIZE MAILBOXID)" % name
        yield b'LIST "" ' + name
        yield b'LSUB "" ' + name
        yield b"LIST %b *" % name
        yield b"GETQUOTAROOT " + name
        yield b"RENAME %b Mine-now" % name
        yield b"DELETE " + name
        yield _put(name, message)
    yield from (
        b'GETQUOTA ""',
        b"GETQUOTA ada",
        b"SETQUOTA ada (STORAGE 1)",
        b'SETQUOTA "" (STORAGE 1)',
    )
    yield from (b"SELECT INBOX", b"CHECK", b"FETCH 1:* (UID FLAGS EMAILID THREADID MODSEQ)")
    sets = (known.uid, b"1:*", b"1:4294967295", b"*")
    for uids in sets:
        yield b"UID FETCH %b (UID FLAGS RFC822.SIZE BODY.PEEK[] PREVIEW)" % uids
        yield b"UID FETCH %b (FLAGS) (CHANGEDSINCE 1 VANISHED)" % uids
        yield b"UID STORE %b (UNCHANGEDSINCE %b) +FLAGS (tried)" % (uids, known.modseq)
        yield b"UID SEARCH UID " + uids
    yield b"STORE 1 (UNCHANGEDSINCE %b) +FLAGS.SILENT (tried-too)" % known.modseq
    for name in names:
        yield b"UID COPY %b %b" % (known.uid, name)
        yield b"COPY 1 " + name
        yield b"MOVE 1 " + name
        yield b"UID MOVE %b %b" % (known.uid, name)
        yield b"UID REPLACE %b %b {%d+}\r\n%b" % (known.uid, name, len(message), message)
        yield b"REPLACE 1 %b {%d+}\r\n%b" % (name, len(message), message)
    for key in (
        b"EMAILID " + known.email_id,
        b"THREADID " + known.thread_id,
        b"EMAILID " + known.mailbox_id,
        b"TEXT " + SECRET,
        b"BODY " + SECRET,
        b"KEYWORD hidden",
        b"HEADER Message-ID m2@x",
        b"MODSEQ " + known.modseq,
        b"ALL",
    ):
        yield b"SEARCH " + key
        yield b"SEARCH RETURN (MIN MAX COUNT ALL SAVE) " + key
        yield b"FETCH $ (UID)"
        for prefix in (b"", b"UID "):
            yield prefix + b"SORT (SUBJECT) UTF-8 " + key
            yield prefix + b"THREAD REFERENCES UTF-8 " + key
    # The very words of hers, and what is in a thread with them.
    yield _put(b"INBOX", HERS)
    yield _put(b"INBOX", _letter(b"Re: Lunch", b"m5", b"m2", b"to it"))
    yield from (b"FETCH 1:* (EMAILID THREADID PREVIEW)", b"THREAD REFERENCES UTF-8 ALL")
    yield from (b"GETQUOTAROOT INBOX", b"UID EXPUNGE " + known.uid, b"EXPUNGE", b"UNSELECT")
    for name in names:
        yield b"CREATE " + name
        yield b"SUBSCRIBE " + name
        yield b"STATUS %b (MESSAGES UIDNEXT HIGHESTMODSEQ SIZE)" % name
        yield b"UNSUBSCRIBE " + name
        yield b"DELETE " + name
    yield b"CREATE Mine-too (USE (\\Archive))"
    yield from (
        b'LIST "" * RETURN (STATUS (MESSAGES UIDNEXT SIZE))',
        b'LSUB "" *',
        b"SELECT INBOX",
        b"CLOSE",
    )


#: What differs from one server, and one second, to another.
_OWN = re.compile(
    rb"(UIDVALIDITY |APPENDUID |COPYUID |MAILBOXID \(|EMAILID \(|THREADID \(|INTERNALDATE )[\"\w]+"
    rb"|imap-\d+"
)


def _normal(said: list[bytes], own: dict[bytes, bytes]) -> list[bytes]:
    def name(found: re.Match[bytes]) -> bytes:
        # Which of them are the same must not differ.
        return own.setdefault(found[0], b"<%d>" % len(own))

    return [_OWN.sub(name, line) for line in said]


class IsolationTests(ServerTestCase):
    options = ("--pop3s", "tcp:0:interface=127.0.0.1")
    timeout = 120

    async def setUp(self) -> None:
        await super().setUp()
        await self.duckmail("user", "add", OTHER, "--password", PASSWORD)
        self.shared = self.server
        self.uri = await mongo.database(self)
        self.directory = self.directory / "alone"
        self.directory.mkdir()
        await self.duckmail("user", "add", USER, "--password", PASSWORD)
        self.alone = await self.start(*self.options)

    async def test_imap(self) -> None:
        await self.blocking(self._imap)

    def _imap(self) -> None:
        shared, alone = self.shared.ports["imaps"], self.alone.ports["imaps"]
        _fill(shared, OTHER, b"Hidden", HERS)
        for port in (shared, alone):
            _fill(port, USER, b"Mine", MINE)
        ada = Talk(shared, OTHER, PASSWORD)
        known = _known(ada)
        before = self._everything(ada)
        talks = Talk(shared, USER, PASSWORD), Talk(alone, USER, PASSWORD)
        ids: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        answered = 0
        for command in _tries(known):
            here, there = (
                _normal(talk.ask(command), own) for talk, own in zip(talks, ids, strict=True)
            )
            self.assertEqual(here, there, command)
            answered += 1
        self.assertGreater(answered, 250)
        self.assertEqual(self._everything(ada), before)
        self.assertNotIn(known.email_id, b"".join(ids[0]))
        self.assertNotIn(known.thread_id, b"".join(ids[0]))
        for client in (*talks, ada):
            client.close()

    def _everything(self, client: Talk) -> list[bytes]:
        said = client.ask(
            b'LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ SIZE))'
        )
        said += client.ask(b'LSUB "" *') + client.ask(b"GETQUOTAROOT INBOX")
        for name in (b"INBOX", b"Hidden"):
            said += client.ask(b"EXAMINE " + name)
            said += client.ask(b"FETCH 1:* (UID FLAGS MODSEQ EMAILID THREADID BODY.PEEK[])")
        return [re.sub(rb"^t\d+ ", b"", line) for line in said]

    async def test_pop3(self) -> None:
        await self.blocking(self._pop3)

    def _pop3(self) -> None:
        _fill(self.shared.ports["imaps"], OTHER, b"Hidden", HERS)
        for server in (self.shared, self.alone):
            _fill(server.ports["imaps"], USER, b"Mine", MINE)
        ada = self._popped(self.shared, OTHER)
        answers = [self._answers(server) for server in (self.shared, self.alone)]
        self.assertEqual(*answers)
        self.assertEqual(self._popped(self.shared, OTHER), ada)

    def _popped(self, server: Server, user: str) -> list[object]:
        client = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=trusting())
        client.user(user)
        client.pass_(PASSWORD)
        told = [client.stat(), client.uidl()[1], client.retr(1)[1]]
        client.quit()
        return told

    def _answers(self, server: Server) -> list[str]:
        client = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=trusting())
        client.user(USER)
        client.pass_(PASSWORD)
        said = []
        for number in ("2", "3", "4294967295", "-1", "ada", "1 ada"):
            for command in ("LIST", "UIDL", "RETR", "TOP", "DELE"):
                try:
                    said.append(
                        str(client._shortcmd(f"{command} {number}{' 0' * (command == 'TOP')}"))
                    )
                except poplib.error_proto as error:
                    said.append(str(error))
        client.rset()
        client.quit()
        return said


class CompletenessTests(SynchronousTestCase):
    #: They say nothing of anybody's mail.
    NAMELESS = frozenset({"AUTHENTICATE", "COMPRESS", "LOGIN", "LOGOUT", "STARTTLS"})

    def test_no_command_was_forgotten(self) -> None:
        tried = set()
        for command in _tries(Known(*[b"x"] * 7)):
            words = command.split(b" ", 2)
            tried.add(b" ".join(words[: 1 + (words[0] == b"UID")]).decode())
        self.assertEqual(set(PARSERS) - tried, self.NAMELESS)
