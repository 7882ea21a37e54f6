"""MongoDB's disk is full: mongod ends itself, clients are put off, and all that was acknowledged is there afterwards."""

from __future__ import annotations

import os
from base64 import encodebytes
from collections.abc import AsyncIterator
from itertools import count

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.faults import outage
from tests.faults.lines import Ended
from tests.faults.served import JOE, PASSWORD, ServedCase
from tests.faults.world import SHORT, message
from twisted_duck.store.connection import Times

#: Time enough for what is large; over soon all the same.
_TIMES = Times(command=4.0, transaction=4.0, settle=4.0, turn=8.0, patience=0.1, idle=2.0)

_HEADER = (
    b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)


def large() -> bytes:
    """Like no other, and not to be compressed."""
    return _HEADER + encodebytes(os.urandom(700_000)).replace(b"\n", b"\r\n")


class FullCase(ServedCase):
    async def setUp(self) -> None:
        await super().setUp()
        for name in ("ada", "bob", JOE):
            if name != JOE:
                await self.store.users.add(name, PASSWORD)
            await self.put(name, "INBOX", message(5))
        #: What each user was told to have, and what nobody was told of.
        self.kept: dict[str, list[bytes]] = {"ada": [message(5)], JOE: [message(5)]}
        self.unknown: list[bytes] = []

    async def append(self) -> None:
        client = await self.imap(f"LOGIN ada {PASSWORD}", "SELECT INBOX")
        for _ in count():
            text = large()
            client.send(b"t APPEND INBOX {%d+}\r\n%b\r\n" % (len(text), text))
            try:
                said = (await client.tagged())[-1]
            except Ended:
                self.unknown.append(text)
                return
            if not said.startswith("OK"):
                self.begins(said, "NO [UNAVAILABLE] ")
                return
            self.kept["ada"].append(text)

    async def deliver(self) -> None:
        client = await self.lmtp()
        for _ in count():
            text = large()
            self.begins(await client.ask("MAIL FROM:<>"), "250")
            said = await client.ask(f"RCPT TO:<{JOE}>")
            if said.startswith("250"):
                self.begins(await client.ask("DATA"), "354")
                client.send(text + b".\r\n")
                try:
                    said = await client.reply()
                except Ended:
                    self.unknown.append(text)
                    return
            if not said.startswith("250"):
                self.begins(said, "451 4.3.0 ")
                return
            self.kept[JOE].append(text)

    async def mail(self, user: str) -> AsyncIterator[bytes]:
        """All in INBOX, without what a delivery adds."""
        mailbox = await (await self.store.account(user)).select("INBOX", True)
        async for batch in mailbox.fetch(list(mailbox.index.uids), frozenset({"content"})):
            for content in (each.content for each in batch):
                text = b"".join([chunk async for chunk in content.chunks(0, content.size)])
                marks = [mark for mark in (b"Subject: message", b"MIME-Version:") if mark in text]
                yield text[text.index(marks[0]) :]
        await mailbox.close()

    async def test_all_that_was_acknowledged_is_there(self) -> None:
        reader = await self.imap(f"LOGIN bob {PASSWORD}", "SELECT INBOX")
        pop = await self.pop3("bob")
        self.times(_TIMES)
        await self.outage.begin()
        await gatherResults(map(Deferred.fromCoroutine, (self.append(), self.deliver())))
        while self.outage.server.runs:
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]

        self.times(SHORT)
        self.unavailable(await reader.imap("FETCH 1 (BODY.PEEK[])"))
        self.unavailable(await reader.imap("STORE 1 +FLAGS (\\Seen)"))
        self.begins(await pop.ask("RETR 1"), "-ERR [SYS/TEMP]")
        self.unavailable(await (await self.imap()).imap(f"LOGIN bob {PASSWORD}"))
        lmtp = await self.lmtp()
        await lmtp.ask("MAIL FROM:<>")
        self.begins(await lmtp.ask("RCPT TO:<joe+new@example.org>"), "451 4.3.0")

        await self.outage.end()
        await self.recovered()
        self.assertGreater(sum(map(len, self.kept.values())), 2)
        for user, kept in self.kept.items():
            there = [text async for text in self.mail(user)]
            self.assertEqual([text for text in kept if text not in there], [])
            more = [text for text in there if text not in kept]
            self.assertEqual([text for text in more if text not in self.unknown], [])
            self.assertEqual(len(there), len(kept) + len(more))
        self.assertEqual(await self.findings(), [])
        self.done(await reader.imap("FETCH 1 (BODY.PEEK[])"))
        self.begins(await pop.ask("RETR 1"), "+OK")


class FilesFullTests(FullCase):
    kind = outage.FilesFull


if outage.may_mount():

    class DiskFullTests(FullCase):
        kind = outage.DiskFull


# What is not a kind of outage is no test.
del FullCase
