"""The server that is measured, how much of everything, and the mail in it.

The account is for the benchmark: its INBOX has to be empty, and is emptied; other mailboxes are made and removed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from benchmarks.client import Imap, Lmtp, Pop3, check, stuffed
from benchmarks.mail import Mail, mailbox

MAILBOX = b"duckmail-benchmark"
#: Messages of one pipeline.
BATCH = 100


@dataclass(frozen=True)
class Server:
    """Where it is; steps of what it does not speak are left out.

    @ivar address: whom LMTP brings mail to
    @ivar pids: its processes, by names (see `processes`)
    @ivar fresh: gets a process up that nobody has used yet; connections may be lost by it
    """

    host: str
    user: str
    password: str
    imap: int | None = None
    imaps: int | None = None
    pop3: int | None = None
    lmtp: int | None = None
    address: str = ""
    pids: Mapping[str, int] = field(default_factory=dict)
    fresh: Callable[[], Server] | None = None

    def imap_client(self, *, tls: bool | None = None) -> Imap:
        """Logged in; with TLS if so wanted, or if there is nothing else."""
        secure = self.imap is None if tls is None else tls
        found = self.imaps if secure else self.imap
        assert found is not None
        client = Imap(self.host, found, tls=secure)
        client.login(self.user, self.password)
        return client

    def pop3_client(self) -> Pop3:
        assert self.pop3 is not None
        client = Pop3(self.host, self.pop3)
        client.login(self.user, self.password)
        return client

    def lmtp_client(self) -> Lmtp:
        assert self.lmtp is not None
        return Lmtp(self.host, self.lmtp)


def _of(value: Any, text: str) -> Any:
    return field(default=value, metadata={"help": text})


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    messages: int = _of(2000, "messages of the mailbox")
    size: int = _of(3800, "bytes of a message, about")
    logins: int = _of(20, "logins, one after the other")
    selects: int = _of(50, "SELECTs of a warm mailbox")
    noops: int = _of(2000, "round trips of NOOP")
    singles: int = _of(2000, "messages fetched one by one")
    copied: int = _of(500, "messages copied")
    connections: int = _of(50, "connections at once")
    rounds: int = _of(4, "sessions of each of these")
    bodies: int = _of(20, "messages fetched in each session")
    lmtp_connections: int = _of(20, "connections of LMTP")
    retrieved: int = _of(200, "messages of the maildrop")
    idle: int = _of(500, "connections that idle")
    repeats: int = _of(3, "times that a step is done, at the least")
    least: float = _of(2.0, "seconds that a step is measured for, at the least")

    @classmethod
    def describe(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--quick", action="store_true", help="a little of everything")
        for each in fields(cls):
            parser.add_argument(
                "--" + each.name.replace("_", "-"),
                type=type(each.default),
                metavar="N",
                help=f"{each.metadata['help']} ({each.default})",
            )

    @classmethod
    def given(cls, arguments: argparse.Namespace) -> Sizes:
        told = {each.name: getattr(arguments, each.name) for each in fields(cls)}
        chosen = {name: value for name, value in told.items() if value is not None}
        return replace(QUICK if arguments.quick else cls(), **chosen)

    def told(self) -> dict[str, float]:
        return asdict(self)


QUICK = Sizes(
    messages=40,
    logins=2,
    selects=3,
    noops=20,
    singles=10,
    copied=20,
    connections=3,
    rounds=1,
    lmtp_connections=3,
    retrieved=10,
    idle=5,
    repeats=1,
    least=0,
)


class Subject:
    """A server with the mailbox that most steps work in, which is filled when the first of them asks for it."""

    def __init__(self, server: Server, sizes: Sizes) -> None:
        self.server, self.sizes = server, sizes
        self.mail = mailbox(sizes.messages, sizes.size)
        self._made: set[bytes] = set()

    @cached_property
    def client(self) -> Imap:
        """In no mailbox, unless the step that it works for selects one."""
        return self.server.imap_client()

    @cached_property
    def capabilities(self) -> set[bytes]:
        return self.client.capabilities()

    @cached_property
    def filled(self) -> bytes:
        """The mailbox with all messages."""
        self.create(MAILBOX)
        self.fill(MAILBOX, self.mail)
        check(self.count(MAILBOX) == len(self.mail), "APPEND")
        return MAILBOX

    def select(self, name: bytes) -> bytes:
        return self.client.run(b"SELECT " + name)

    @cached_property
    def uids(self) -> list[int]:
        self.select(self.filled)
        said = self.client.run(b"FETCH 1:* (UID)")
        return sorted(int(uid) for uid in re.findall(rb"\(UID (\d+)\)", said))

    def create(self, name: bytes) -> None:
        """Anew, if it is left from before."""
        self.remove(name)
        self.client.run(b"CREATE " + name)
        self._made.add(name)

    def remove(self, name: bytes) -> None:
        lines, _ = self.client.command(b'LIST "" ' + name)
        if lines:
            self.client.run(b"DELETE " + name)
        self._made.discard(name)

    def fill(self, name: bytes, mail: list[Mail]) -> None:
        """As fast as the server lets us."""
        if self.takes_literals:
            for start in range(0, len(mail), BATCH):
                some = mail[start : start + BATCH]
                self.client.pipeline([b"APPEND %b %b" % (name, each.literal) for each in some])
        else:
            self.append(name, mail)

    def append(self, name: bytes, mail: list[Mail]) -> None:
        """One by one, each literal after the server has said that it may come."""
        for each in mail:
            head = each.literal[: each.literal.index(b"{")]
            self.client.command(b"APPEND %b %b" % (name, head), each.data)

    @property
    def takes_literals(self) -> bool:
        return b"LITERAL+" in self.capabilities

    def count(self, name: bytes) -> int:
        said = self.client.run(b"STATUS %b (MESSAGES)" % name)
        found = re.search(rb"MESSAGES (\d+)", said)
        return int(found[1]) if found else -1

    @cached_property
    def inbox(self) -> bytes:
        """INBOX, in which there is nothing."""
        if self.count(b"INBOX"):
            raise SystemExit(f"INBOX of {self.server.user} has to be empty, since it is emptied")
        return b"INBOX"

    def empty(self) -> None:
        """Take everything out of INBOX."""
        if self.count(self.inbox):
            self.select(self.inbox)
            self.client.run(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")
            self.client.run(b"CLOSE")

    @cached_property
    def stuffed(self) -> list[bytes]:
        return [stuffed(each.data) for each in self.mail]

    def disconnect(self) -> None:
        """The next that is asked for is another connection."""
        if client := vars(self).pop("client", None):
            client.logout()

    def close(self) -> None:
        """Nothing of us stays."""
        # Who removes a mailbox that it has selected is sent away by some.
        self.disconnect()
        for name in sorted(self._made):
            self.remove(name)
        if "inbox" in vars(self):
            self.empty()
        self.disconnect()
