"""Every message of the corpora through the whole server: appended over a socket, kept in MongoDB, read back."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import TestCase

from tests import mongo
from tests.imap.client import Client, literal, string
from tests.mime.corpus import Corpus, compare, large, own
from tests.mime.test_corpus import listed, report
from tests.mime.wire import check_body, check_envelope, parse
from twisted_duck.auth.portal import make_portal
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.spool import Spool
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.store import MailStore
from twisted_duck.values import AppendMessage

USER, PASSWORD = "corpus", "835 messages"


class ServerAnswers:
    """What a server answers, for `tests.mime.corpus.compare`."""

    def __init__(self, client: Client, corpus: Corpus) -> None:
        self._client = client
        self._names = list(corpus.messages)
        sections = next(iter(corpus.expected.values()))["sections"]
        asked = [b"BODY.PEEK" + section.encode().removeprefix(b"BODY") for section in sections]
        what = b" ".join([b"RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY", *asked])
        self._items: dict[str, Mapping[bytes, bytes]] = {
            self._names[number - 1]: items for number, items in client.fetch(b"1:* (%b)" % what)
        }

    def size(self, name: str) -> int:
        return int(self._items[name][b"RFC822.SIZE"])

    def list_of(self, name: str, item: str) -> Any:
        value = parse(self._items[name][item.upper().encode()])
        if item == "envelope":
            check_envelope(value)
        else:
            check_body(value, item == "bodystructure")
        return value

    def section(self, name: str, section: str) -> bytes | None:
        return string(self._items[name][section.encode()])

    def search(self, query: str) -> Collection[str]:
        # As `dovecot.json` was made: a word that is not ASCII went as a literal.
        sent = re.sub(
            '"([^"]*)"',
            lambda word: word[0] if word[0].isascii() else literal(word[1]).decode(),
            query,
        ).encode()
        return {self._names[number - 1] for number in self._client.search(sent)}


class CorpusTests(TestCase):
    timeout = 300

    async def setUp(self) -> None:
        self.store = MailStore(await mongo.database(self))
        await self.store.open()
        self.addCleanup(self.store.close)
        await self.store.add_user(USER, PASSWORD)
        portal: Portal = make_portal(
            self.store.directory, self.store.account, reactor, self.store.limits
        )
        factory = IMAP4Factory(portal, cleartextAuth="loopback")
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        self.addCleanup(factory.shutDown)
        self.port = port.getHost().port

    async def put_empty(self) -> None:
        account = await self.store.account(USER)
        await account.append("INBOX", [AppendMessage(Spool.of(b""))])

    async def put_and_compare(self, title: str, corpus: Corpus, known: int) -> set[Any]:
        def work() -> set[Any]:
            client = Client(self.port, USER, PASSWORD)
            try:
                for message in corpus.messages.values():
                    if message:
                        client.append("INBOX", message)
                    else:
                        # By IMAP an empty message cancels its APPEND (RFC 3502 §6.3.11); mail may come in other ways.
                        blockingCallFromThread(
                            reactor,
                            lambda: ensureDeferred(self.put_empty()),
                        )
                client.command(b"SELECT INBOX")
                whole = {
                    number: string(items[b"BODY[]"])
                    for number, items in client.fetch(b"1:* (BODY.PEEK[])")
                }
                sent = dict(enumerate(corpus.messages.values(), 1))
                self.assertEqual(
                    [n for n in sent if sent[n] != whole.get(n)], [], "not byte for byte"
                )
                result = compare(corpus, ServerAnswers(client, corpus))
            finally:
                client.close()
            print(report(title, result, known))
            print(f"{len(sent)} messages came back byte for byte")
            return result.differences

        differences = await deferToThread(work)
        found = [each async for each in check(self.store.mongo) if isinstance(each, Finding)]
        self.assertEqual(found, [])
        return differences

    async def test_own_messages(self) -> None:
        found = await self.put_and_compare("own messages, through the server", own(), 0)
        self.assertEqual(sorted(found), [])

    async def test_large_corpus(self) -> None:
        corpus = large()
        if corpus is None:
            print("\nno large corpus beside the checkout: own messages only")
            return
        known = listed()
        found = await self.put_and_compare("large corpus, through the server", corpus, len(known))
        self.assertEqual(sorted(found - known), [], "not listed")
        self.assertEqual(sorted(known - found), [], "listed, but equal")
