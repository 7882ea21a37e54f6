"""Several sessions on one mailbox."""

from __future__ import annotations

from tests.contract.base import MIXED, PLAIN, Contract, Mailbox
from twisted_duck import errors
from twisted_duck.values import ANSWERED, DELETED, FLAGGED, SEEN


class SharingContract(Contract):
    """Several sessions on one mailbox: RFC 3501 §2.3.2, §5.2, §5.5."""

    async def two(self, count: int) -> tuple[Mailbox, Mailbox, list[int]]:
        """INBOX with `count` messages, opened by two logins of its owner."""
        _, first, uids = await self.filled(count)
        other = await self.make_account("ada")
        return first, await other.select("INBOX", False), uids

    def alike(self, one: Mailbox, other: Mailbox) -> None:
        self.assertEqual(list(one.index.uids), list(other.index.uids))
        self.assertEqual(self.flags(one), self.flags(other))
        self.assertEqual(one.index.highest_modseq, other.index.highest_modseq)
        self.assertEqual(one.index.uidnext, other.index.uidnext)

    async def test_flags_reach_the_other_session(self) -> None:
        one, other, uids = await self.two(3)
        await self.flag(one, uids[1:], "add", FLAGGED)
        await other.refresh(exact=False)
        self.assertEqual(
            self.flags(other), {uids[0]: set(), uids[1]: {FLAGGED}, uids[2]: {FLAGGED}}
        )
        self.alike(one, other)

    async def test_new_messages_reach_every_session(self) -> None:
        one, other, uids = await self.two(1)
        account = await self.make_account("ada")
        new = await self.put(account, "INBOX", PLAIN, MIXED, flags=[SEEN])
        for mailbox in (one, other):
            await mailbox.refresh(exact=False)
            self.assertEqual(list(mailbox.index.uids), uids + new)
            self.assertEqual(mailbox.index.uidnext, new[-1] + 1)
        self.alike(one, other)

    async def test_expunges_reach_the_other_session(self) -> None:
        one, other, uids = await self.two(4)
        known = other.index.highest_modseq
        await self.flag(one, uids[::2], "add", DELETED)
        await one.expunge()
        await other.refresh(exact=False)
        self.assertEqual(list(other.index.uids), uids[1::2])
        self.assertEqual(sorted(other.index.expunged_since(known) or ()), uids[::2])
        self.alike(one, other)

    async def test_copies_reach_whoever_has_the_destination_open(self) -> None:
        one, _, uids = await self.two(2)
        archive = await (await self.make_account("ada")).select("Archive", False)
        await one.copy(uids, "Archive")
        await archive.refresh(exact=False)
        self.assertEqual(len(archive.index), 2)

    async def test_index_is_exact_after_many_changes(self) -> None:
        one, other, uids = await self.two(6)
        await self.flag(one, uids[:4], "add", SEEN)
        await self.flag(other, uids[2:], "replace", "$Label1")
        await self.flag(one, uids[1:2], "add", DELETED)
        await other.expunge()
        await self.put(await self.make_account("ada"), "INBOX", PLAIN, flags=[ANSWERED])
        await self.flag(other, uids[5:], "remove", "$Label1")
        for mailbox in (one, other):
            await mailbox.refresh(exact=False)
        fresh = await (await self.make_account("ada")).select("INBOX", True)
        self.alike(one, other)
        self.alike(one, fresh)
        self.assertEqual(
            [self.flags(one)[uid] for uid in one.index.uids],
            [{SEEN}, {"$Label1"}, {"$Label1"}, {"$Label1"}, set(), {ANSWERED}],
        )

    async def test_watchers_hear_of_every_change_once(self) -> None:
        one, other, uids = await self.two(2)
        heard: list[str] = []

        def watcher() -> None:
            heard.append("other")

        other.watch(watcher)
        for change in (
            lambda: self.flag(one, uids, "add", SEEN),
            lambda: self.flag(other, uids, "add", DELETED),
            lambda: one.expunge(),
            lambda: self.make_and_put(),
        ):
            heard.clear()
            await change()
            await other.refresh(exact=False)
            self.assertEqual(heard, ["other"])
        heard.clear()
        other.unwatch(watcher)
        await self.make_and_put()
        await other.refresh(exact=False)
        self.assertEqual(heard, [])

    async def make_and_put(self) -> None:
        await self.put(await self.make_account("ada"), "INBOX", PLAIN)

    async def test_watchers_do_not_hear_of_nothing(self) -> None:
        one, other, uids = await self.two(1)
        await self.flag(one, uids, "add", SEEN)
        await other.refresh(exact=False)
        heard: list[str] = []
        other.watch(lambda: heard.append("other"))
        await self.flag(one, uids, "add", SEEN)
        await one.expunge()
        await other.refresh(exact=False)
        self.assertEqual(heard, [])

    async def test_closed_session_leaves_the_others_alone(self) -> None:
        one, other, _ = await self.two(1)
        heard: list[str] = []
        other.watch(lambda: heard.append("other"))
        await one.close()
        await self.make_and_put()
        await other.refresh(exact=False)
        self.assertEqual((len(other.index), heard), (2, ["other"]))

    async def test_recent_is_claimed_once(self) -> None:
        account, mailbox, uids = await self.filled(3)
        self.assertEqual((await account.status("INBOX")).recent, 3)
        first, stop = await mailbox.claim_recent()
        self.assertEqual([uid for uid in uids if first <= uid < stop], uids)
        other = await (await self.make_account("ada")).select("INBOX", False)
        first, stop = await other.claim_recent()
        self.assertEqual([uid for uid in uids if first <= uid < stop], [])
        self.assertEqual((await account.status("INBOX")).recent, 0)

    async def test_recent_messages_go_to_one_of_two_sessions(self) -> None:
        one, other, _ = await self.two(1)
        await one.claim_recent()
        await self.make_and_put()
        claims = []
        for mailbox in (other, one):
            await mailbox.refresh(exact=False)
            claims.append(await mailbox.claim_recent())
        new = one.index.uids[-1]
        self.assertEqual([first <= new < stop for first, stop in claims], [True, False])

    async def test_read_only_session_claims_nothing(self) -> None:
        account, _, uids = await self.filled(2)
        mailbox = await account.select("INBOX", True)
        for _ in range(2):
            first, stop = await mailbox.claim_recent()
            self.assertEqual([uid for uid in uids if first <= uid < stop], uids)
        self.assertEqual((await account.status("INBOX")).recent, 2)

    async def test_copies_are_recent(self) -> None:
        account, mailbox, uids = await self.filled(2)
        await mailbox.claim_recent()
        await mailbox.copy(uids, "Archive")
        self.assertEqual((await account.status("Archive")).recent, 2)

    async def test_deleted_mailbox_is_gone_for_those_who_have_it_open(self) -> None:
        for children in (False, True):
            account = await self.make_account("ada")
            name = f"gone {children}"
            await account.create(name + "/child" if children else name)
            uids = await self.put(account, name, PLAIN)
            mailbox = await (await self.make_account("ada")).select(name, False)
            heard: list[str] = []
            mailbox.watch(lambda heard=heard: heard.append("gone"))  # type: ignore[misc]
            await account.delete(name)
            await self.fails(mailbox.refresh(exact=False), errors.MailboxGone)
            self.assertEqual(heard, ["gone"])
            await self.fails(self.flag(mailbox, uids, "add", SEEN), errors.MailboxGone)
            await self.fails(mailbox.expunge(), errors.MailboxGone)
            await self.fails(mailbox.copy(uids, "INBOX"), errors.MailboxGone, errors.ExpungeIssued)
            await account.create(name)
            await self.fails(mailbox.refresh(exact=False), errors.MailboxGone)
            await mailbox.close()

    async def test_rename_changes_the_name_of_an_open_mailbox(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b")
        uids = await self.put(account, "a/b", PLAIN)
        mailbox = await (await self.make_account("ada")).select("a/b", False)
        await account.rename("a", "z")
        await mailbox.refresh(exact=False)
        self.assertEqual(mailbox.name, "z/b")
        await self.flag(mailbox, uids, "add", SEEN)
        self.assertEqual((await account.status("z/b")).unseen, 0)

    async def test_rename_inbox_empties_it_for_those_who_have_it_open(self) -> None:
        one, other, _ = await self.two(2)
        account = await self.make_account("ada")
        await account.rename("INBOX", "Old")
        for mailbox in (one, other):
            await mailbox.refresh(exact=False)
            self.assertEqual((mailbox.name, list(mailbox.index.uids)), ("INBOX", []))
        self.assertEqual((await account.status("Old")).messages, 2)
