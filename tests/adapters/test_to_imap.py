"""Our mailboxes, served by the stock `IMAP4Server` to the stock `IMAP4Client`."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.mail import imap4
from twisted.mail.interfaces import (
    IAccountIMAP,
    ICloseableMailboxIMAP,
    IMailboxIMAP,
    IMailboxPOP3,
    IMessageIMAP,
    IMessageIMAPCopier,
    IMessageIMAPFile,
    INamespacePresenter,
    ISearchableIMAPMailbox,
)
from twisted.protocols.loopback import loopbackAsync
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.contract.base import CYRILLIC, MIXED, NOON, PLAIN
from twisted_duck.adapters.to_twisted import TwistedAccount, TwistedRealm
from twisted_duck.adapters.to_twisted.queries import search_key
from twisted_duck.interfaces import IAccount
from twisted_duck.memory import MemoryStore
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.search import And, Body, HasFlag, Header, Not, Or, SequenceNumbers
from twisted_duck.sequence import SequenceSet
from twisted_duck.spool import Spool
from twisted_duck.values import DELETED, FLAGGED, SEEN, AppendMessage, FlagChange

EVERY = imap4.MessageSet(1, None)


class Client(imap4.IMAP4Client):
    """Keeps what it was told unasked."""

    def connectionMade(self) -> None:
        self.greeted: Deferred[None] = Deferred()
        self.told: list[object] = []
        super().connectionMade()

    def serverGreeting(self, caps: object) -> None:
        self.greeted.callback(None)

    def newMessages(self, exists: int | None, recent: int | None) -> None:
        if exists is not None:
            self.told.append(("exists", exists))

    def flagsChanged(self, newFlags: dict[int, list[str]]) -> None:
        self.told += [(number, set(flags)) for number, flags in newFlags.items()]


class StockServerCase(TestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()
        self.store.add_user("ada", "secret")
        self.account = self.store.account("ada")
        self.portal = Portal(TwistedRealm(self.store), [self.store])
        self.clients: list[Client] = []

    async def tearDown(self) -> None:
        for client in self.clients:
            client.transport.loseConnection()
        for over in self.overs:
            await over

    @property
    def overs(self) -> list[Any]:
        return [client.over for client in self.clients]  # type: ignore[attr-defined]

    async def client(self, selected: str | None = None) -> Any:
        server = imap4.IMAP4Server()
        server.portal = self.portal
        client = Client()
        client.over = loopbackAsync(server, client)  # type: ignore[attr-defined]
        self.clients.append(client)
        await self.turn()
        await client.greeted
        await client.login(b"ada", b"secret")
        if selected is not None:
            await client.select(selected)
        return client

    async def turn(self) -> None:
        """Let what was said arrive."""
        for _ in range(5):
            await deferLater(reactor, 0)

    async def put(self, *contents: bytes, flags: tuple[str, ...] = (), name: str = "INBOX") -> None:
        messages = [AppendMessage(Spool.of(each), frozenset(flags), NOON) for each in contents]
        await self.account.append(name, messages)

    async def fails(self, waiting: Any) -> None:
        try:
            result = await waiting
        except imap4.IMAP4Exception:
            return
        self.fail(f"it should have been refused, and answered {result!r}")


class NamesTests(StockServerCase):
    async def test_list(self) -> None:
        client = await self.client()
        found = {name: flags for flags, delimiter, name in await client.list("", "*")}
        self.assertEqual(set(found), {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"})
        self.assertIn("\\Sent", found["Sent"])

    async def test_create_rename_delete(self) -> None:
        client = await self.client()
        await client.create("Почта/a")
        await client.rename("Почта", "Post")
        names = [name for _, _, name in await client.list("", "Post*")]
        self.assertEqual(names, ["Post", "Post/a"])
        await client.delete("Post/a")
        await self.fails(client.create("Post"))
        await self.fails(client.delete("Nothing"))
        await self.fails(client.rename("Nothing", "x"))
        self.assertIn("Post", [info.name for info in await self.account.mailboxes()])

    async def test_subscriptions(self) -> None:
        client = await self.client()
        await client.unsubscribe("Junk")
        names = {name for _, _, name in await client.lsub("", "*")}
        self.assertEqual(names, {"INBOX", "Drafts", "Sent", "Trash", "Archive"})
        await client.subscribe("Junk")
        self.assertIn("Junk", {name for _, _, name in await client.lsub("", "*")})

    async def test_status(self) -> None:
        await self.put(PLAIN, MIXED, flags=(SEEN,))
        await self.put(PLAIN)
        client = await self.client()
        status = await client.status("INBOX", "MESSAGES", "UNSEEN", "RECENT", "UIDNEXT")
        self.assertEqual(status, {"MESSAGES": 3, "UNSEEN": 1, "RECENT": 3, "UIDNEXT": b"4"})
        await self.fails(client.status("Nothing", "MESSAGES"))

    async def test_namespace(self) -> None:
        client = await self.client()
        self.assertEqual(await client.namespace(), [[["", "/"]], [], []])


class MessagesTests(StockServerCase):
    async def test_select(self) -> None:
        await self.put(PLAIN, MIXED, flags=("$Label1",))
        client = await self.client()
        told = await client.select("inbox")
        self.assertEqual((told["EXISTS"], told["RECENT"], told["READ-WRITE"]), (2, 2, True))
        self.assertIn("$Label1", told["FLAGS"])
        index = (await self.account.select("INBOX", True)).index
        self.assertEqual(told["UIDVALIDITY"], index.uidvalidity)
        told = await client.examine("INBOX")
        self.assertEqual((told["RECENT"], told["READ-WRITE"]), (0, False))
        await self.fails(client.select("Nothing"))

    async def test_recent_is_not_claimed_by_status_and_append(self) -> None:
        await self.put(PLAIN)
        client = await self.client()
        await client.status("INBOX", "MESSAGES")
        await client.append("INBOX", BytesIO(MIXED))
        self.assertEqual((await self.account.status("INBOX")).recent, 2)
        await client.select("INBOX")
        self.assertEqual((await self.account.status("INBOX")).recent, 0)

    async def test_append_and_read_back(self) -> None:
        client = await self.client()
        date = "17-Jul-1996 02:44:25 -0700"
        await client.append("INBOX", BytesIO(MIXED), ["\\Seen", "\\Recent", "$Label1"], date)
        await client.select("INBOX")
        found = await client.fetchMessage(EVERY)
        self.assertEqual(found[1]["RFC822"].encode("latin-1"), MIXED)
        found = await client.fetchFlags(EVERY)
        self.assertEqual(set(found[1]["FLAGS"]), {"\\Seen", "$Label1", "\\Recent"})
        found = await client.fetchInternalDate(EVERY)
        self.assertEqual(found[1]["INTERNALDATE"], date)
        found = await client.fetchSize(EVERY)
        self.assertEqual(found[1]["RFC822.SIZE"], str(len(MIXED)))

    async def test_append_that_is_refused(self) -> None:
        client = await self.client()
        await self.fails(client.append("INBOX", BytesIO(b"a\0b")))
        self.assertEqual((await self.account.status("INBOX")).messages, 0)

    async def test_parts_and_headers(self) -> None:
        await self.put(PLAIN, MIXED, CYRILLIC)
        client = await self.client("INBOX")
        for section, expected in (
            ({"headerType": "TEXT"}, MIXED.partition(b"\r\n\r\n")[2].decode()),
            ({"headerNumber": 1}, "Gr=FC=DFe aus K=F6ln"),
            ({"headerNumber": 2}, "AAECAwQFBgcICQ=="),
        ):
            found = await client.fetchSpecific("2", peek=True, **section)
            self.assertEqual(found[2][0][2], expected)
        found = await client.fetchEnvelope("1")
        self.assertEqual(found[1]["ENVELOPE"][1], "IMAP4rev1 WG mtg summary")
        self.assertEqual(found[1]["ENVELOPE"][5], [[None, None, "imap", "cac.example.edu"]])
        found = await client.fetchHeaders("1:3")
        self.assertIn("Cc: Bob <bob@example.net>", found[3]["RFC822.HEADER"])
        found = await client.fetchBodyStructure("2")
        self.assertEqual(found[2]["BODYSTRUCTURE"][2], "mixed")

    async def test_fields_that_stand_there_twice(self) -> None:
        raw = b"Received: one\r\nReceived: two\r\nSubject: \xc3\xbc\r\n x\r\n\r\nbody"
        await self.put(raw)
        client = await self.client("INBOX")
        header = (await client.fetchHeaders("1"))[1]["RFC822.HEADER"]
        self.assertEqual(header, "Received: one\r\nReceived: two\r\nSubject: ??\r\n x\r\n")
        whole = (await client.fetchMessage("1"))[1]["RFC822"]
        self.assertEqual(whole.encode("latin-1"), raw)

    async def test_embedded_message(self) -> None:
        raw = b"Content-Type: message/rfc822\r\n\r\n" + PLAIN
        await self.put(raw)
        client = await self.client("INBOX")
        structure = (await client.fetchBodyStructure("1"))[1]["BODYSTRUCTURE"]
        self.assertIn("IMAP4rev1 WG mtg summary", str(structure))

    async def test_store(self) -> None:
        await self.put(PLAIN, PLAIN, PLAIN)
        client = await self.client("INBOX")
        told = await client.addFlags("1:2", ["\\Seen", "$Label1"], silent=False)
        self.assertEqual(set(told), {1, 2})
        self.assertEqual(set(told[1]["FLAGS"]), {"\\Seen", "$Label1", "\\Recent"})
        await client.removeFlags("2", ["$Label1"])
        await client.setFlags("3", ["\\Flagged"], uid=True)
        index = (await self.account.select("INBOX", True)).index
        self.assertEqual(
            [set(flags) for _, _, flags in index.rows(index.uids)],
            [{SEEN, "$Label1"}, {SEEN}, {FLAGGED}],
        )
        await client.examine("INBOX")
        await self.fails(client.addFlags("1", ["\\Deleted"]))

    async def test_search(self) -> None:
        await self.put(PLAIN, CYRILLIC)
        await self.put(MIXED, flags=(SEEN,))
        mailbox = await self.account.select("INBOX", False)
        await mailbox.store([1], FlagChange("add", frozenset({DELETED})))
        await mailbox.expunge()
        client = await self.client("INBOX")
        for query, expected in (
            (imap4.Query(seen=True), [2]),
            (imap4.Query(unseen=True), [1]),
            (imap4.Query(subject="attached"), [2]),
            (imap4.Or(imap4.Query(seen=True), imap4.Query(cc="bob")), [1, 2]),
            (imap4.Not(imap4.Query(seen=True)), [1]),
            (imap4.Query(header=("from", "carol")), [2]),
            (imap4.Query(larger=10, body="nowhere to be found"), []),
        ):
            self.assertEqual(await client.search(query), expected, query)
        self.assertEqual(await client.search(imap4.Query(seen=True), uid=True), [3])
        # Words that the stock server lets through, and knows nothing of.
        self.assertEqual(await client.search("OLDER 60"), [1, 2])
        self.assertEqual(await client.search("NOT OLDER 60"), [])

    async def test_copy(self) -> None:
        await self.put(PLAIN, MIXED, flags=(FLAGGED,))
        client = await self.client("INBOX")
        await client.copy("1:2", "Archive", uid=False)
        archive = await self.account.status("Archive")
        self.assertEqual((archive.messages, archive.recent), (2, 2))
        await self.fails(client.copy("1", "Nothing", uid=False))

    async def test_expunge_tells_numbers_as_they_were_at_that_moment(self) -> None:
        await self.put(*[PLAIN] * 5)
        client = await self.client("INBOX")
        await client.addFlags("1,3,4", ["\\Deleted"])
        told = await client.expunge()
        # Each number counts what is left, so that a client that takes them in order takes the right ones.
        left = [1, 2, 3, 4, 5]
        for number in told:
            del left[number - 1]
        self.assertEqual(left, [2, 5])
        self.assertEqual(await client.search(imap4.Query(all=True), uid=True), [2, 5])

    async def test_close_expunges(self) -> None:
        await self.put(PLAIN, MIXED)
        client = await self.client("INBOX")
        await client.addFlags("1", ["\\Deleted"])
        await client.close()
        self.assertEqual((await self.account.status("INBOX")).messages, 1)


class NewsTests(StockServerCase):
    async def test_new_messages_and_flags_are_told(self) -> None:
        await self.put(PLAIN)
        client = await self.client("INBOX")
        await self.put(MIXED)
        mailbox = await self.account.select("INBOX", False)
        await mailbox.store([1], FlagChange("add", frozenset({SEEN})))
        await self.turn()
        self.assertEqual(client.told, [("exists", 2), (1, {"\\Seen", "\\Recent"})])

    async def test_what_others_expunge_keeps_its_number_until_the_client_expunges(self) -> None:
        await self.put(PLAIN, MIXED, CYRILLIC)
        client = await self.client("INBOX")
        mailbox = await self.account.select("INBOX", False)
        await mailbox.store([1], FlagChange("add", frozenset({DELETED})))
        await mailbox.expunge()
        await self.turn()
        found = await client.fetchUID(EVERY)
        self.assertEqual({number: each["UID"] for number, each in found.items()}, {2: "2", 3: "3"})
        self.assertEqual(await client.expunge(), [1])
        found = await client.fetchUID(EVERY)
        self.assertEqual({number: each["UID"] for number, each in found.items()}, {1: "2", 2: "3"})

    async def test_messages_that_came_meanwhile_are_told_with_expunge(self) -> None:
        await self.put(PLAIN, MIXED)
        client = await self.client("INBOX")
        await client.addFlags("1", ["\\Deleted"])
        await self.put(CYRILLIC)
        await self.turn()
        self.assertEqual(await client.expunge(), [1])
        self.assertEqual(client.told, [("exists", 3)])
        self.assertEqual(await client.search(imap4.Query(all=True), uid=True), [2, 3])


class ObjectTests(StockServerCase):
    """The adapters themselves, for whoever puts other servers before them."""

    async def test_interfaces(self) -> None:
        await self.put(MIXED)
        account: Any = TwistedAccount(self.account)
        verifyObject(IAccountIMAP, account)
        verifyObject(INamespacePresenter, account)
        mailbox = account.select("INBOX")
        for interface in (
            IMailboxIMAP,
            ISearchableIMAPMailbox,
            IMessageIMAPCopier,
            ICloseableMailboxIMAP,
        ):
            verifyObject(interface, mailbox)
        [(number, message)] = await mailbox.fetch(imap4.MessageSet(1, None), uid=False)
        self.assertEqual((number, message.getUID()), (1, 1))
        verifyObject(IMessageIMAP, message)
        verifyObject(IMessageIMAPFile, message)
        self.assertRaises(IndexError, message.getSubPart, 2)
        self.assertRaises(TypeError, message.getSubPart(0).getSubPart, 0)
        self.assertRaises(IndexError, mailbox.getUID, 2)
        self.assertRaises(IndexError, mailbox.getUID, 0)

    async def test_failure_is_raised_where_the_store_answers_at_once(self) -> None:
        account = TwistedAccount(self.account)
        self.assertRaises(imap4.MailboxCollision, account.create, "Sent")
        self.assertRaises(imap4.MailboxException, account.delete, "Nothing")
        self.assertIsNone(account.select("Nothing"))
        self.assertRaises(TypeError, account.addMailbox, "x", object())

    async def test_calls_run_in_order_where_it_does_not(self) -> None:
        made: Deferred[None] = Deferred()

        async def create(name: str) -> None:
            await made
            await type(self.account).create(self.account, name)

        self.patch(self.account, "create", create)
        account = TwistedAccount(self.account)
        creating, selecting = account.create("New"), account.select("New")
        self.assertNoResult(selecting)
        made.callback(None)
        self.assertTrue(await creating)
        self.assertIsNotNone(await selecting)

    async def test_mailboxes_that_nobody_listens_to_are_closed(self) -> None:
        closed: list[str] = []

        async def close(mailbox: MemoryMailbox) -> None:
            closed.append(mailbox.name)

        self.patch(MemoryMailbox, "close", close)
        account: Any = TwistedAccount(self.account)
        account.select("Sent")
        account.select("Junk").addListener(object())
        account.select("Trash")
        self.assertEqual(closed, ["Sent"])
        await account.logout()
        self.assertEqual(sorted(closed), ["Junk", "Sent", "Trash"])

    async def test_copy_of_a_message_of_others(self) -> None:
        await self.put(MIXED, flags=(SEEN,))
        source: Any = TwistedAccount(self.account).select("INBOX")
        [(_, message)] = await source.fetch(EVERY, uid=False)
        self.store.add_user("bob", "secret")
        target: Any = TwistedAccount(self.store.account("bob")).select("INBOX")
        await target.copy(message)
        [(_, copied)] = await target.fetch(EVERY, uid=False)
        self.assertEqual(copied.open().read(), MIXED)
        self.assertEqual(copied.getInternalDate(), message.getInternalDate())


class RealmTests(StockServerCase):
    async def log_in(self, *interfaces: Any) -> Any:
        credentials = UsernamePassword(b"ada", b"secret")
        return await self.portal.login(credentials, None, *interfaces)

    async def test_gives_what_is_asked_for(self) -> None:
        for interface in (IAccountIMAP, IMailboxPOP3, IAccount):
            got, avatar, logout = await self.log_in(interface)
            self.assertIs(got, interface)
            verifyObject(interface, avatar)
            logout()

    async def test_refuses_anything_else(self) -> None:
        try:
            await self.log_in(IMessageIMAP)
        except NotImplementedError:
            return
        self.fail("there is no such avatar")


class QueryTests(TestCase):
    def test_words_become_keys(self) -> None:
        for query, expected in (
            ([b"SEEN"], HasFlag(SEEN)),
            ([b"FROM", b"Smith Jones"], Header("from", "Smith Jones")),
            ([b"NOT", [b"SEEN", b"FLAGGED"]], Not(And((HasFlag(SEEN), HasFlag(FLAGGED))))),
            ([b"OR", b"SEEN", [b"BODY", b"x"]], Or(HasFlag(SEEN), Body("x"))),
            ([b"SUBJECT", "ü".encode()], Header("subject", "ü")),
            ([b"SUBJECT", b'a"b\\c{5}'], Header("subject", 'a"b\\c{5}')),
            ([b"SUBJECT", b""], Header("subject", "")),
            ([b"1:3,*"], SequenceNumbers(SequenceSet(((1, 3), (0, 0))))),
            ([[[b"SEEN"]]], HasFlag(SEEN)),
        ):
            self.assertEqual(search_key(query), expected)

    def test_what_is_no_search_is_refused(self) -> None:
        for query in ([], [b"NONSENSE"], [b"FROM"], [b"OR", b"SEEN"], [[]], [b"LARGER", b"x"]):
            self.assertRaises(imap4.IllegalQueryError, search_key, query)

    def test_depth_is_bounded(self) -> None:
        query: list[Any] = [b"SEEN"]
        for _ in range(50_000):
            query = [query]
        self.assertRaises(imap4.IllegalQueryError, search_key, query)
