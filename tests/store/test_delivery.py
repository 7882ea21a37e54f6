"""Delivery to users who are not logged in: the same into a database and into memory."""

from __future__ import annotations

import os
from base64 import encodebytes
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.store.base import StoreTestCase
from tests.store.recorder import Recorder
from twisted_duck import errors
from twisted_duck.addresses import AddressRules
from twisted_duck.interfaces import IDelivery
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.mime.message import analyse
from twisted_duck.spool import Spool
from twisted_duck.store import addresses, arrival
from twisted_duck.store.checker import Finding, check
from twisted_duck.values import FetchWant

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _TestCase
else:
    _TestCase = object

ADA, BOB = "ada@example.org", "bob@example.org"
#: An attachment above any bound from which it is kept apart, and so a message that goes to a file.
LARGE = (
    b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + encodebytes(os.urandom(600_000)).replace(b"\n", b"\r\n")
    + b"--b--\r\n"
)
MESSAGES = (
    *(b"Subject: x\r\n\r\ntext\r\n", b"", b"\r\n", b"no header", b" folded\r\n\r\nx", LARGE),
    # A header that is too large to be kept inline.
    b"X: " + b"x" * 70_000 + b"\r\nY: " + b"y" * 600_000 + b"\r\n\r\ntext",
)
TRACE = b"Return-Path: <a@b>\r\nDelivered-To: %b\r\n"


class DeliveryContract(_TestCase):
    """`self.store` has ada, and bob whose quota is 1000 bytes."""

    store: Any

    async def account(self, name: str) -> Any:
        raise AssertionError("a store's tests say how an account is come by")

    async def disable(self, name: str) -> None:
        raise AssertionError("a store's tests say how a user is disabled")

    async def mail(
        self,
        name: str,
        mailbox: str = "INBOX",
        wanted: frozenset[FetchWant] = frozenset(
            {"date", "size", "envelope", "bodystructure", "content"}
        ),
    ) -> list[Any]:
        opened = await (await self.account(name)).select(mailbox, True)
        return [
            each async for batch in opened.fetch(list(opened.index.uids), wanted) for each in batch
        ]

    async def whole(self, message: Any) -> bytes:
        content = message.content
        return b"".join([piece async for piece in content.chunks(0, content.size)])

    async def test_what_is_delivered_is_what_an_append_would_have_stored(self) -> None:
        delivery = self.store.delivery()
        verifyObject(IDelivery, delivery)
        recipient = await delivery.resolve("ADA", "example.ORG", 5)
        self.assertEqual(recipient.name, ADA)
        for data in MESSAGES:
            spool = Spool.of(data)
            prepared = await delivery.prepare(spool)
            self.assertEqual(
                await delivery.deliver(recipient, prepared, TRACE % b"ada", False), "INBOX"
            )
            spool.close()
        for message, data in zip(await self.mail(ADA), MESSAGES, strict=True):
            expected = TRACE % b"ada" + data
            self.assertEqual(await self.whole(message), expected)
            self.assertEqual(message.size, len(expected))
            analysis = analyse(expected)
            self.assertEqual(message.content.tree, analysis.tree)
            self.assertEqual(message.envelope, analysis.envelope)
            self.assertEqual(message.bodystructure, analysis.bodystructure)
        # The header in which something was put in front is not always one piece.
        alone = await self.mail(ADA, wanted=frozenset({"header"}))
        for message, data in zip(alone, MESSAGES, strict=True):
            expected = TRACE % b"ada" + data
            header = message.content.header
            self.assertEqual(header, analyse(expected).tree.parts[0].body)
            read = [piece async for piece in message.content.chunks(0, header)]
            self.assertEqual(b"".join(read), expected[:header])

    async def test_who_gets_nothing(self) -> None:
        delivery = self.store.delivery()
        for local, domain, size, error in [
            ("nobody", "example.org", 0, errors.NonExistent),
            ("ada", "example.com", 0, errors.NonExistent),
            ("postmaster", None, 0, errors.NonExistent),
            ("bob", "example.org", 1001, errors.OverQuota),
        ]:
            with self.assertRaises(error):
                await delivery.resolve(local, domain, size)
        await delivery.resolve("bob", "example.org", 1000)
        await self.disable(BOB)
        with self.assertRaises(errors.Disabled):
            await delivery.resolve("bob", "example.org", 0)

    async def test_over_quota(self) -> None:
        delivery = self.store.delivery()
        bob = await delivery.resolve("bob", "example.org", 0)
        prepared = await delivery.prepare(Spool.of(b"x" * 990))
        with self.assertRaises(errors.OverQuota):
            await delivery.deliver(bob, prepared, TRACE % b"bob", False)
        self.assertEqual(await self.mail(BOB), [])
        await delivery.deliver(bob, prepared, b"X: y\r\n", False)
        self.assertEqual(len(await self.mail(BOB)), 1)

    async def test_what_no_store_may_take(self) -> None:
        delivery = self.store.delivery()
        with self.assertRaises(errors.Cannot):
            await delivery.prepare(Spool.of(b"a\0b"))
        with self.assertRaises(errors.TooBig):
            await delivery.prepare(Spool.of(b"a" * (1024 * 1024 + 1)))

    async def test_spam(self) -> None:
        delivery = self.store.delivery()
        ada = await delivery.resolve("ada", "example.org", 0)
        prepared = await delivery.prepare(Spool.of(b"Subject: buy\r\n\r\n"))
        self.assertEqual(await delivery.deliver(ada, prepared, b"", True), "Junk")
        account = await self.account(ADA)
        await account.rename("Junk", "Spam")
        self.assertEqual(await delivery.deliver(ada, prepared, b"", True), "Spam")
        self.assertEqual(len(await self.mail(ADA, "Spam")), 2)
        await account.delete("Spam")
        self.assertEqual(await delivery.deliver(ada, prepared, b"", True), "INBOX")

    async def test_dots(self) -> None:
        await self.store.delivery().resolve("a.d.a", "example.org", 0)
        with self.assertRaises(errors.NonExistent):
            await self.store.delivery(AddressRules(ignore_dots=False)).resolve(
                "a.d.a", "example.org", 0
            )


LIMITS = Limits(message=1024 * 1024)


class MemoryDeliveryTests(DeliveryContract, TestCase):
    async def setUp(self) -> None:
        self.store = MemoryStore(limits=LIMITS)
        self.store.add_user(ADA, "x")
        self.store.add_user(BOB, "x", quota=1000)

    async def account(self, name: str) -> Any:
        return self.store.account(name)

    async def disable(self, name: str) -> None:
        self.store.set_disabled(name, True)


class MongoDeliveryTests(DeliveryContract, StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.store = await self.make_store(limits=LIMITS)
        await self.store.users.add(ADA, None)
        await self.store.users.add(BOB, None, quota=1000)

    async def account(self, name: str) -> Any:
        return await self.store.account(name)

    async def disable(self, name: str) -> None:
        await self.store.users.set_disabled(name, True)

    async def test_a_message_is_looked_at_once_and_its_attachment_stored_once(self) -> None:
        looked: list[int] = []
        original = arrival.analyse
        self.patch(arrival, "analyse", lambda *a: looked.append(1) or original(*a))
        await self.store.users.set_quota(BOB, None)
        delivery = self.store.delivery()
        prepared = await delivery.prepare(Spool.of(LARGE))
        for local in ("ada", "bob"):
            recipient = await delivery.resolve(local, "example.org", 0)
            await delivery.deliver(recipient, prepared, TRACE % local.encode(), False)
        self.assertEqual(looked, [1])
        blobs = await self.store.mongo.find("blobs", {"n": 0}, projection={"size": 1})
        self.assertEqual([blob["size"] for blob in blobs], [600_000])
        for name, local in ((ADA, b"ada"), (BOB, b"bob")):
            [message] = await self.mail(name)
            self.assertEqual(await self.whole(message), TRACE % local + LARGE)
        findings = [
            f async for f in check(self.store.mongo, contents=True) if isinstance(f, Finding)
        ]
        self.assertEqual(findings, [])

    async def test_every_command_names_its_user_and_has_an_index(self) -> None:
        recorder = Recorder()
        store = await self.make_store(limits=LIMITS, on_command=recorder)
        await store.addresses.add(ADA, "*@example.net")
        await store.addresses.add_alias("example.com", "example.org")
        delivery = store.delivery()
        ada = await delivery.resolve("a.da+x", "example.com", 0)
        prepared = await delivery.prepare(Spool.of(LARGE))
        for junk in (False, True):
            await delivery.deliver(ada, prepared, b"", junk)
        async for _ in store.addresses.all(ADA):
            pass
        await store.addresses.remove("*@example.net")
        await store.addresses.remove_alias("example.com")
        self.assertEqual(await recorder.problems(store.mongo), [])

    async def test_delivered_is_what_a_majority_has_on_disk(self) -> None:
        """The last thing before `deliver` fires is the commit, which asks for that."""
        sent: list[dict[str, Any]] = []
        store = await self.make_store(
            limits=LIMITS, on_command=lambda database, command: sent.append(dict(command))
        )
        delivery = store.delivery()
        ada = await delivery.resolve("ada", "example.org", 0)
        await delivery.deliver(ada, await delivery.prepare(Spool.of(LARGE)), b"", False)
        commits = [each for each in sent if "commitTransaction" in each]
        # But for those who wait for news of mailboxes.
        self.assertIs([each for each in sent if "getMore" not in each][-1], commits[-1])
        for commit in commits:
            self.assertEqual(commit["writeConcern"], {"w": "majority", "j": True})

    async def test_what_a_recipient_costs(self) -> None:
        """Two questions for an address, and the commands of one transaction; nothing depends on the attachment."""
        recorder = Recorder()
        store = await self.make_store(limits=LIMITS, on_command=recorder)
        delivery = store.delivery()
        prepared = await delivery.prepare(Spool.of(LARGE))
        recorder.clear()
        ada = await delivery.resolve("ada", "example.org", 0)
        self.assertEqual(recorder.names, ["aggregate addresses", "find users"])
        recorder.clear()
        await delivery.deliver(ada, prepared, b"", False)
        mine = [name for name in recorder.names if not name.startswith("getMore")]
        self.assertLessEqual(len(mine), 7, mine)
        self.assertNotIn("update blobs", mine)

    async def test_who_was_asked_for_a_moment_ago_is_not_asked_for_again(self) -> None:
        # However long a busy machine takes.
        self.patch(addresses, "_MOMENT", 3600.0)
        recorder = Recorder()
        store = await self.make_store(limits=LIMITS, on_command=recorder)
        delivery = store.delivery()
        first = await delivery.resolve("ada", "example.org", 0)
        recorder.clear()
        self.assertEqual(await delivery.resolve("ada", "example.org", 0), first)
        self.assertEqual(recorder.names, [])
        # Nobody who is nobody is remembered, and nobody is sent away by what may be over.
        for _ in range(2):
            with self.assertRaises(errors.NonExistent):
                await delivery.resolve("eve", "example.org", 0)
        self.assertEqual(recorder.names, ["aggregate addresses"] * 2)
        await delivery.resolve("bob", "example.org", 1000)
        await self.store.users.set_quota(BOB, 3000)
        await delivery.resolve("bob", "example.org", 2500)

    async def test_what_this_process_changes_is_so_at_once(self) -> None:
        """The next RCPT is told what a process that has just been started would tell."""
        store, delivery = self.store, self.store.delivery()
        x = ("x", "example.net", 0)

        async def fails(error: type[Exception], recipient: tuple[str, str, int] = x) -> None:
            with self.assertRaises(error):
                await delivery.resolve(*recipient)

        await store.addresses.add(BOB, "*@example.net")
        self.assertEqual((await delivery.resolve(*x)).name, BOB)
        await store.addresses.add(ADA, "x@example.net")
        self.assertEqual((await delivery.resolve(*x)).name, ADA)
        await store.addresses.remove("x@example.net")
        self.assertEqual((await delivery.resolve(*x)).name, BOB)
        await store.users.add("x@example.net", None)
        self.assertEqual((await delivery.resolve(*x)).name, "x@example.net")
        await store.users.delete("x@example.net")
        self.assertEqual((await delivery.resolve(*x)).name, BOB)
        await store.addresses.remove("*@example.net")
        await fails(errors.NonExistent)
        await store.addresses.add_alias("example.net", "example.org")
        ada = ("ada", "example.net", 0)
        self.assertEqual((await delivery.resolve(*ada)).name, ADA)
        await store.addresses.remove_alias("example.net")
        await fails(errors.NonExistent, ada)
        await delivery.resolve("bob", "example.org", 900)
        await store.users.set_quota(BOB, 800)
        await fails(errors.OverQuota, ("bob", "example.org", 900))
        await delivery.resolve("ada", "example.org", 0)
        await store.users.delete(ADA)
        await fails(errors.NonExistent, ("ada", "example.org", 0))

    async def test_a_user_who_is_deleted_in_between(self) -> None:
        delivery = self.store.delivery()
        ada = await delivery.resolve("ada", "example.org", 0)
        prepared = await delivery.prepare(Spool.of(b"x"))
        await self.store.users.delete(ADA)
        for junk in (False, True):
            with self.assertRaises(errors.Unavailable) as failed:
                await delivery.deliver(ada, prepared, b"", junk)
            self.assertEqual(failed.exception.smtp[0], "4")
        # Whose the address is now, RCPT says.
        await self.store.addresses.add(BOB, "*@example.org")
        self.assertEqual((await delivery.resolve("ada", "example.org", 0)).name, BOB)
