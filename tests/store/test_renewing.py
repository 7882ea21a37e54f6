"""Mailboxes with new UIDVALIDITYs, for whoever has restored an older state."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults

from tests.store.base import add, simple, state, together
from tests.store.test_garbage import GarbageTestCase
from twisted_duck import errors
from twisted_duck.names import INBOX
from twisted_duck.spool import Spool
from twisted_duck.store.checker import Finding, check
from twisted_duck.values import DELETED, AppendMessage, UIDSet


class RenewTests(GarbageTestCase):
    async def wrong(self) -> list[Finding]:
        found = [each async for each in check(self.mongo) if isinstance(each, Finding)]
        return [each for each in found if not each.garbage]

    async def seen(self, name: str) -> tuple[Any, ...]:
        """A mailbox, but for its UIDVALIDITY."""
        mailbox = await self.ada.select(name, True)
        found = state(mailbox.index), mailbox.index.uidnext, mailbox.index.highest_modseq
        await mailbox.close()
        return found, await self.contents(self.ada, name)

    async def uidvalidities(self) -> dict[str, int]:
        infos = await self.ada.mailboxes()
        names = [info.name for info in infos if info.selectable]
        statuses = await self.ada.statuses(names)
        return {name: status.uidvalidity for name, status in statuses.items()}

    async def test_everything_else_is_as_it_was(self) -> None:
        bodies = [simple(n) for n in range(300)]
        await self.put(self.ada, INBOX, *bodies[:4])
        await self.ada.create("a/b")
        await self.put(self.ada, "a/b", *bodies)
        for name, uids in ((INBOX, [2]), ("a/b", [7, 8])):
            mailbox = await self.ada.select(name, False)
            await mailbox.store(uids, add(DELETED))
            await mailbox.expunge(UIDSet.of(uids))
            await mailbox.close()
        mailbox = await self.ada.select("a/b", False)
        # A sweep, which is not folded yet.
        await mailbox.store(list(mailbox.index.uids), add("\\Seen"))
        await mailbox.close()
        before, were = (
            [await self.seen(name) for name in (INBOX, "a/b")],
            await self.uidvalidities(),
        )
        used = (await self.store.users.get("ada")).used
        infos = await self.ada.mailboxes()
        mailbox = await self.ada.select("a/b", True)
        self.assertEqual(await mailbox.vanished_since(1), UIDSet(((7, 8),)))
        await mailbox.close()

        self.assertEqual(await self.store.users.renew_mailboxes("Ada"), len(were))

        self.assertEqual([await self.seen(name) for name in (INBOX, "a/b")], before)
        self.assertEqual(await self.ada.mailboxes(), infos)
        self.assertEqual((await self.store.users.get("ada")).used, used)
        now = await self.uidvalidities()
        self.assertEqual(now.keys(), were.keys())
        self.assertGreater(min(now.values()), max(were.values()))
        self.assertEqual(len(set(now.values())), len(now))
        # What was expunged is not known of a mailbox that was not there.
        mailbox = await self.ada.select("a/b", True)
        self.assertIsNone(await mailbox.vanished_since(1))
        self.assertEqual(await mailbox.vanished_since(mailbox.index.highest_modseq + 1), UIDSet())
        await mailbox.close()
        await self.ada.create("new")
        self.assertGreater((await self.uidvalidities())["new"], max(now.values()))
        self.assertEqual(await self.wrong(), [])

    async def test_another_has_the_name_of_one_that_is_open(self) -> None:
        await self.put(self.ada, INBOX, simple())
        other = await self.make_store()
        account = await other.account("ada")
        mailbox = await account.select(INBOX, False)
        heard: list[str] = []
        mailbox.watch(lambda: heard.append("gone"))
        await self.store.users.renew_mailboxes("ada")
        await self.until(lambda: bool(heard))
        with self.assertRaises(errors.MailboxGone):
            await mailbox.refresh()
        again = await account.select(INBOX, False)
        self.assertEqual(again.index.uidvalidity, (await self.uidvalidities())[INBOX])
        self.assertEqual(list(again.index.uids), [1])

    async def test_what_was_imported_is_known(self) -> None:
        for name in (INBOX, "Sent"):
            await self.ada.append(name, [AppendMessage(Spool.of(simple()), key=name.encode())])
        await self.store.users.renew_mailboxes("ada")
        self.assertEqual(await self.ada.imported(INBOX, [b"INBOX", b"Sent"]), {b"INBOX"})
        self.assertEqual(await self.ada.imported("Sent", [b"INBOX", b"Sent"]), {b"Sent"})
        await self.collect()
        self.assertEqual(await self.ada.imported(INBOX, [b"INBOX"]), {b"INBOX"})

    async def test_only_of_that_user(self) -> None:
        await self.make_user(self.store, "bob")
        bob = await self.store.account("bob")
        was = (await bob.status(INBOX)).uidvalidity
        await self.store.users.renew_mailboxes("ada")
        self.assertEqual((await bob.status(INBOX)).uidvalidity, was)
        with self.assertRaises(errors.NonExistent):
            await self.store.users.renew_mailboxes("nobody")

    async def test_while_mail_comes_and_changes(self) -> None:
        other = await self.make_store()
        account = await other.account("ada")

        async def mail() -> list[tuple[int, int]]:
            found = []
            for n in range(20):
                done = await account.append(INBOX, [AppendMessage(Spool.of(simple(n)))])
                found += [(done.uidvalidity, uid) for uid in done.uids]
            return found

        async def change() -> None:
            for _ in range(20):
                mailbox = await account.select(INBOX, False)
                try:
                    await mailbox.store(list(mailbox.index.uids), add("\\Flagged"))
                    await mailbox.copy(list(mailbox.index.uids)[-1:], "Sent")
                except errors.MailboxGone:
                    pass
                finally:
                    await mailbox.close()

        async def renew() -> None:
            for _ in range(5):
                await self.store.users.renew_mailboxes("ada")
                await self.pause(0.02)

        works = together(mail(), mail(), change(), renew())
        told = (await gatherResults(works[:2]))[0]
        told += await works[1]
        await gatherResults(works[2:])
        self.assertEqual(sorted(uid for _, uid in told), list(range(1, 41)))
        self.assertEqual((await account.status(INBOX)).messages, 40)
        self.assertEqual(await self.wrong(), [])
