"""Our INBOX, served by the stock `POP3` server."""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.mail import pop3
from twisted.protocols.loopback import loopbackAsync
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.contract.base import MIXED, PLAIN
from twisted_duck.adapters.to_twisted import Maildrop, TwistedRealm
from twisted_duck.adapters.to_twisted.contents import Contents
from twisted_duck.adapters.to_twisted.maildrop import MessageFile
from twisted_duck.held import BytesContent
from twisted_duck.memory import MemoryStore
from twisted_duck.mime.scan import scan
from twisted_duck.pop3.inbox import Inbox
from twisted_duck.spool import Spool
from twisted_duck.values import DELETED, AppendMessage, FlagChange

DOTTED = b".first\r\nSubject: dots\r\n\r\n.\r\n..\r\n.end\r\n" + b"x" * 70 + b"\r\n.\r\nlast"


class Client(pop3.AdvancedPOP3Client):
    allowInsecureLogin = True

    def connectionMade(self) -> None:
        self.greeted: Deferred[None] = Deferred()
        super().connectionMade()

    def serverGreeting(self, greeting: bytes) -> None:
        self.greeted.callback(None)


class MaildropCase(TestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()
        self.store.add_user("ada", "secret")
        self.account = self.store.account("ada")

    async def put(self, *contents: bytes) -> None:
        messages = [AppendMessage(Spool.of(each)) for each in contents]
        await self.account.append("INBOX", messages)

    async def left(self) -> list[int]:
        return list((await self.account.select("INBOX", True)).index.uids)


class StockServerTests(MaildropCase):
    def setUp(self) -> None:
        super().setUp()
        self.clients: list[Any] = []
        self.overs: list[Deferred[None]] = []

    async def tearDown(self) -> None:
        for client, over in zip(self.clients, self.overs, strict=True):
            client.transport.loseConnection()
            await over

    async def client(self) -> Any:
        server = pop3.POP3()
        server.portal = Portal(TwistedRealm(self.store), [self.store])
        client = Client()
        self.overs.append(loopbackAsync(server, client))
        self.clients.append(client)
        for _ in range(3):
            await deferLater(reactor, 0)
        await client.greeted
        # It would take the challenge in the greeting, and we keep no password that could answer one.
        client.serverChallenge = None
        await client.login(b"ada", b"secret")
        return client

    async def test_session(self) -> None:
        await self.put(PLAIN, MIXED, DOTTED)
        client = await self.client()
        self.assertEqual(await client.stat(), (3, len(PLAIN) + len(MIXED) + len(DOTTED)))
        self.assertEqual(await client.listSize(), [len(PLAIN), len(MIXED), len(DOTTED)])
        uidls = await client.listUID()
        self.assertEqual(len(set(uidls)), 3)
        for number, content in enumerate((PLAIN, MIXED, DOTTED)):
            self.assertEqual(await client.retrieve(number), content.rstrip(b"\r\n").split(b"\r\n"))
        await client.delete(0)
        # The server counts what is deleted, with a size of 0.
        self.assertEqual(await client.stat(), (3, len(MIXED) + len(DOTTED)))
        try:
            await client.retrieve(0)
        except pop3.ServerErrorResponse:
            pass
        else:
            self.fail("it is deleted")
        await client.reset()
        await client.delete(1)
        await client.quit()
        self.assertEqual(await self.left(), [1, 3])

    async def test_who_deletes_what_is_not_there_is_told_so(self) -> None:
        await self.put(PLAIN, MIXED)
        client = await self.client()
        await client.delete(0)
        for number, words in ((0, b"message deleted"), (7, b"no such message"), (-1, b"no such")):
            try:
                await client.delete(number)
            except pop3.ServerErrorResponse as error:
                self.assertIn(words, error.args[0])
            else:
                self.fail("it is not there")
        # The stock server thinks that such an error is one of ours.
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)
        await client.quit()
        self.assertEqual(await self.left(), [2])

    async def test_nothing_is_deleted_without_quit(self) -> None:
        await self.put(PLAIN, MIXED)
        client = await self.client()
        await client.delete(0)
        client.transport.loseConnection()
        self.assertEqual(await self.left(), [1, 2])

    async def test_uidl_is_the_same_in_every_session(self) -> None:
        await self.put(PLAIN, MIXED)
        first = await (await self.client()).listUID()
        await self.put(PLAIN)
        again = await (await self.client()).listUID()
        self.assertEqual(again[:2], first)

    async def test_top(self) -> None:
        await self.put(MIXED)
        client = await self.client()
        lines = await client.retrieve(0, lines=2)
        header = MIXED.partition(b"\r\n\r\n")[0].split(b"\r\n")
        self.assertEqual(lines, [*header, b"", *MIXED.partition(b"\r\n\r\n")[2].split(b"\r\n")[:2]])


class MaildropTests(MaildropCase):
    async def test_provides_the_interface(self) -> None:
        verifyObject(pop3.IMailbox, await Maildrop.open(self.account))

    async def test_numbers_stay(self) -> None:
        await self.put(PLAIN, MIXED, PLAIN)
        maildrop = await Maildrop.open(self.account)
        uidl = maildrop.getUidl(2)
        maildrop.deleteMessage(0)
        self.assertEqual(maildrop.listMessages(), [0, len(MIXED), len(PLAIN)])
        self.assertEqual((maildrop.listMessages(0), maildrop.listMessages(1)), (0, len(MIXED)))
        self.assertEqual(maildrop.getUidl(2), uidl)
        maildrop.undeleteMessages()
        self.assertEqual(maildrop.listMessages(0), len(PLAIN))

    async def test_bad_numbers(self) -> None:
        await self.put(PLAIN)
        maildrop = await Maildrop.open(self.account)
        for number in (-1, 1, 99):
            for ask in (
                maildrop.listMessages,
                maildrop.getMessage,
                maildrop.getUidl,
                maildrop.deleteMessage,
            ):
                self.assertRaises(ValueError, ask, number)
        maildrop.deleteMessage(0)
        for ask in (maildrop.getMessage, maildrop.getUidl, maildrop.deleteMessage):
            self.assertRaises(ValueError, ask, 0)

    async def test_sync_removes_what_was_marked_and_nothing_else(self) -> None:
        await self.put(PLAIN, MIXED, PLAIN)
        maildrop = await Maildrop.open(self.account)
        mailbox = await self.account.select("INBOX", False)
        await mailbox.store([3], FlagChange("add", frozenset({DELETED})))
        maildrop.deleteMessage(0)
        await maildrop.sync()
        self.assertEqual(await self.left(), [2, 3])
        await maildrop.sync()
        await maildrop.logout()

    async def test_message_that_is_gone(self) -> None:
        await self.put(PLAIN)
        maildrop = await Maildrop.open(self.account)
        mailbox = await self.account.select("INBOX", False)
        await mailbox.store([1], FlagChange("add", frozenset({DELETED})))
        await mailbox.expunge()
        await self.assertFailure(maildrop.getMessage(0), ValueError)

    async def test_logout_waits_for_what_is_being_deleted(self) -> None:
        await self.put(PLAIN)
        maildrop = await Maildrop.open(self.account)
        waiting: Deferred[None] = Deferred()
        inbox: Any = maildrop._inbox
        remove = inbox.remove

        async def slow(places: Any) -> Any:
            await waiting
            return await remove(places)

        self.patch(Inbox, "remove", lambda _, places: slow(places))
        maildrop.deleteMessage(0)
        syncing, leaving = maildrop.sync(), maildrop.logout()
        self.assertNoResult(leaving)
        waiting.callback(None)
        await syncing
        await leaving
        self.assertEqual(await self.left(), [])

    async def test_failure_to_delete_is_logged(self) -> None:
        await self.put(PLAIN)
        maildrop = await Maildrop.open(self.account)
        maildrop.deleteMessage(0)
        await self.account.rename("INBOX", "Old")
        self.store.account("ada")._user.mailboxes["INBOX"].gone = True
        await maildrop.sync()
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class MessageFileTests(TestCase):
    """What the server makes of the file is what RFC 1939 §3 asks for, however it is cut."""

    async def sent(self, content: bytes, size: int) -> bytes:
        contents = Contents()
        extent = await contents.add(BytesContent(content, scan(content)))
        contents.finish()
        file = MessageFile(extent)
        server = pop3.POP3()
        sent = b""
        while chunk := file.read(size):
            sent += server.transformChunk(chunk)
        return sent

    async def test_every_way_to_cut_it(self) -> None:
        for content in (
            DOTTED,
            b"",
            b".",
            b"..",
            b"\r\n",
            b"a\r\n.\r\n",
            b"\r\r\n\r\n..\r\n\r\n.\r\n",
        ):
            lines = content.split(b"\r\n")
            expected = b"\r\n".join(b"." + x if x[:1] == b"." else x for x in lines)
            for size in (*range(1, 12), 1_000):
                self.assertEqual(await self.sent(content, size), expected, (content, size))
