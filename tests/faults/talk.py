"""A client of a protocol whose store is a real one: it waits for what it is told, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

from tests.transcript import Client, Transport
from twisted_duck.auth.realm import AccountRealm
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.store.store import MailStore


class _Transport(Transport):
    changed: Callable[[], None] = staticmethod(lambda: None)

    def write(self, data: bytes) -> None:
        super().write(data)
        self.changed()

    def loseConnection(self) -> None:
        super().loseConnection()
        self.changed()


class Talk(Client):
    """One connection."""

    def __init__(self, factory: IProtocolFactory) -> None:
        self._waiting: Deferred[None] | None = None
        self._unread: list[str] = []
        super().__init__(factory, transport=_Transport)
        self.transport.changed = self._changed

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            # Nobody is answered in the middle of what is being said to him.
            reactor.callLater(0, waiting.callback, None)  # type: ignore[attr-defined]

    @property
    def is_over(self) -> bool:
        return self.transport.closed

    async def hear(self, is_last: Callable[[str], bool]) -> list[str] | None:
        """The lines up to one; None if the server ends the connection before that."""
        lines: list[str] = []
        while True:
            self._unread += self.heard().decode("utf-8", "surrogateescape").splitlines()
            while self._unread:
                lines.append(self._unread.pop(0))
                if is_last(lines[-1]):
                    return lines
            if self.is_over:
                return None
            self._waiting = Deferred()
            await self._waiting

    async def imap(self, command: str, *literals: bytes) -> list[str] | None:
        """The answer to a command, its last line being the tagged one without its tag."""
        data = f"t1 {command}".encode()
        for literal in literals:
            data = data.replace(b"{}", b"{%d+}\r\n" % len(literal) + literal, 1)
        self.send(data + b"\r\n")
        lines = await self.hear(lambda line: line.startswith("t1 "))
        return lines and [*lines[:-1], lines[-1][3:]]

    async def line(self, text: str) -> str | None:
        """The answer, of one line, to a line of POP3 or LMTP."""
        self.send(text.encode() + b"\r\n")
        lines = await self.hear(lambda line: line[3:4] != "-")
        return lines and lines[-1]


@implementer(ICredentialsChecker)
@frozen(eq=False)
class _Anybody:
    """Whoever has a name."""

    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes]:
        return succeed(credentials.username)


def portal(store: MailStore) -> Portal:
    return Portal(AccountRealm(store.account), [_Anybody()])


def _greeting(line: str) -> bool:
    return True


async def imap(store: MailStore, user: str, *commands: str) -> Talk:
    talk = Talk(IMAP4Factory(portal(store), cleartextAuth="always", limits=store.limits))
    for command in (f"LOGIN {user} x", *commands):
        answer = await talk.imap(command)
        assert answer and answer[-1].startswith("OK"), answer
    return talk


async def pop3(store: MailStore, user: str, **options: Any) -> Talk:
    talk = Talk(POP3Factory(portal(store), cleartextAuth="always", **options))
    await talk.hear(_greeting)
    for line in (f"USER {user}", "PASS x"):
        answer = await talk.line(line)
        assert answer and answer.startswith("+OK"), answer
    return talk


async def lmtp(store: MailStore, recipients: Iterable[str] = ()) -> Talk:
    talk = Talk(LMTPFactory(store.delivery(), hostname="mx.example.org"))
    await talk.hear(_greeting)
    lines = ["LHLO client.example.org"]
    if recipients:
        lines += ["MAIL FROM:<eve@example.net>", *(f"RCPT TO:<{each}>" for each in recipients)]
    for line in lines:
        answer = await talk.line(line)
        assert answer and answer.startswith("250"), answer
    return talk
