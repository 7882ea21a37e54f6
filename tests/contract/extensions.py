"""What goes beyond RFC 3501."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from tests.contract.base import DEFAULTS, LIMITS, MIXED, NOON, PLAIN, Contract
from twisted_duck import errors
from twisted_duck.interfaces import (
    ICondstoreAccount,
    ICreateSpecialUseAccount,
    IMailboxIDAccount,
    IMoveAccount,
    IMoveMailbox,
    IMultiAppendAccount,
    IQResyncMailbox,
    IQuotaAccount,
    IReplaceAccount,
    IReplaceMailbox,
    ISizeAccount,
    ISpecialUseAccount,
    IUIDPlusAccount,
)
from twisted_duck.search import And, HasFlag, ModSeq, Not
from twisted_duck.spool import Spool
from twisted_duck.values import (
    DELETED,
    FLAGGED,
    SEEN,
    AppendMessage,
    FlagChange,
    Quota,
    UIDSet,
)


class ExtensionsContract(Contract):
    """What goes beyond RFC 3501, and is said by the optional interfaces."""

    async def test_account_provides_the_extensions(self) -> None:
        account = await self.make_account("ada")
        for interface in (
            ISpecialUseAccount,
            ICreateSpecialUseAccount,
            IMailboxIDAccount,
            ISizeAccount,
            IQuotaAccount,
            IUIDPlusAccount,
            IMoveAccount,
            ICondstoreAccount,
            IMultiAppendAccount,
            IReplaceAccount,
        ):
            verifyObject(interface, account)
        verifyObject(IMoveMailbox, await account.select("INBOX", True))
        verifyObject(IReplaceMailbox, await account.select("INBOX", True))

    # --- RFC 6154 ---------------------------------------------------------------------------------

    async def test_default_mailboxes_have_their_special_use(self) -> None:
        found = await self.names(await self.make_account("ada"))
        self.assertEqual({name: info.special_use for name, info in found.items()}, DEFAULTS)

    async def test_special_use_follows_a_rename_and_ends_with_the_mailbox(self) -> None:
        account = await self.make_account("ada")
        await account.rename("Sent", "Gesendet")
        await account.delete("Junk")
        await account.create("Junk")
        found = await self.names(account)
        self.assertEqual(found["Gesendet"].special_use, "\\Sent")
        self.assertIsNone(found["Junk"].special_use)

    async def test_create_for_a_special_use(self) -> None:
        account = await self.make_account("ada")
        await account.delete("Junk")
        await account.create("a/Spam", "\\Junk")
        found = await self.names(account)
        self.assertEqual(found["a/Spam"].special_use, "\\Junk")
        self.assertIsNone(found["a"].special_use)
        for use in ("\\Junk", "\\Sent"):
            await self.fails(account.create("other", use), errors.UseConflict)
        self.assertNotIn("other", await self.names(account))

    # --- RFC 5258, RFC 5819 -----------------------------------------------------------------------

    async def test_a_level_without_a_mailbox_does_not_exist(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b")
        await account.delete("a")
        found = await self.names(account)
        self.assertEqual((found["a"].exists, found["a/b"].exists), (False, True))

    async def test_status_of_many_is_that_of_each(self) -> None:
        account, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids[:2], "add", DELETED)
        everything = frozenset({"recent", "deleted_size"})
        found = await account.statuses(["INBOX", "nowhere", "Sent"], everything)
        self.assertEqual(set(found), {"INBOX", "Sent"})
        for name, status in found.items():
            self.assertEqual(status, await account.status(name))
        self.assertEqual((found["INBOX"].recent, found["INBOX"].deleted), (3, 2))
        self.assertEqual(found["INBOX"].deleted_size, 2 * len(b"Subject: 1\r\n\r\n1\r\n"))
        self.assertEqual((found["Sent"].recent, found["Sent"].deleted_size), (0, 0))
        self.assertEqual((await account.statuses(["INBOX"]))["INBOX"].messages, 3)
        self.assertEqual(await account.statuses([]), {})

    # --- RFC 8474 ---------------------------------------------------------------------------------

    async def test_identity_of_a_mailbox(self) -> None:
        account = await self.make_account("ada")
        first = await account.create("a")
        self.assertRegex(first, r"^[A-Za-z][A-Za-z0-9_-]{0,254}$")
        self.assertEqual((await account.status("a")).mailbox_id, first)
        self.assertEqual((await account.select("a", True)).mailbox_id, first)
        await account.rename("a", "b")
        self.assertEqual((await account.status("b")).mailbox_id, first)
        again = await account.create("a")
        await account.delete("b")
        third = await account.create("b")
        inbox = (await account.status("INBOX")).mailbox_id
        self.assertEqual(len({first, again, third, inbox}), 4)
        await account.rename("INBOX", "Old")
        self.assertEqual((await account.status("INBOX")).mailbox_id, inbox)
        self.assertNotIn((await account.status("Old")).mailbox_id, {first, again, third, inbox})

    # --- RFC 9208 ---------------------------------------------------------------------------------

    async def test_quota_is_told(self) -> None:
        account, mailbox, uids = await self.filled(2)
        size = len(b"Subject: 1\r\n\r\n1\r\n")
        self.assertEqual(await account.quota(), Quota(2 * size, None))
        await mailbox.copy(uids[:1], "Sent")
        self.assertEqual((await account.quota()).used, 3 * size)
        await self.flag(mailbox, uids, "add", DELETED)
        await mailbox.expunge()
        self.assertEqual((await account.quota()).used, size)
        bob = await self.make_account("bob", quota=5000)
        self.assertEqual(await bob.quota(), Quota(0, 5000))

    # --- RFC 4315 ---------------------------------------------------------------------------------

    async def test_append_tells_uids(self) -> None:
        account = await self.make_account("ada")
        messages = [AppendMessage(Spool.of(content)) for content in (PLAIN, MIXED)]
        result = await account.append("INBOX", messages)
        mailbox = await account.select("INBOX", True)
        self.assertEqual(result.uidvalidity, mailbox.index.uidvalidity)
        self.assertEqual(list(result.uids), list(mailbox.index.uids))
        self.assertEqual(await self.contents(account, "INBOX"), [PLAIN, MIXED])

    async def test_copy_tells_uids(self) -> None:
        account, mailbox, uids = await self.filled(4)
        await self.put(account, "Archive", PLAIN)
        result = await mailbox.copy(uids[1:3], "Archive")
        archive = await account.select("Archive", True)
        self.assertEqual(result.uidvalidity, archive.index.uidvalidity)
        self.assertEqual(list(result.source), uids[1:3])
        self.assertEqual(list(result.destination), list(archive.index.uids)[1:])
        self.assertEqual(
            (await self.contents(account, "Archive"))[1:],
            (await self.contents(account, "INBOX"))[1:3],
        )

    async def test_expunge_of_a_set(self) -> None:
        _, mailbox, uids = await self.filled(4)
        await self.flag(mailbox, uids[:3], "add", DELETED)
        gone = await mailbox.expunge(UIDSet.of([*uids[1:], uids[-1] + 10]))
        self.assertEqual(list(gone), uids[1:3])
        self.assertEqual(list(mailbox.index.uids), [uids[0], uids[3]])
        self.assertEqual(list(await mailbox.expunge(UIDSet())), [])
        self.assertEqual(list(mailbox.index.uids), [uids[0], uids[3]])

    async def test_remove_is_one_change_and_leaves_what_others_marked(self) -> None:
        account, mailbox, uids = await self.filled(4)
        await self.flag(mailbox, uids[2:], "add", DELETED)
        before = mailbox.index.highest_modseq
        self.assertEqual(list(await mailbox.remove(uids[:3])), uids[:3])
        self.assertEqual(mailbox.index.highest_modseq, before + 1)
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.deleted, status.unseen), (1, 1, 1))
        self.assertEqual(self.flags(mailbox), {uids[3]: {DELETED}})

    # --- RFC 8508 ---------------------------------------------------------------------------------

    def draft(self, content: bytes, *flags: str) -> AppendMessage:
        return AppendMessage(Spool.of(content), frozenset(flags), NOON)

    async def test_replace_in_one_mailbox_is_one_change(self) -> None:
        account, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids[:2], "add", DELETED, SEEN)
        before = mailbox.index.highest_modseq
        result = await mailbox.replace(uids[1], "INBOX", self.draft(PLAIN, FLAGGED, "new"))
        [new] = result.uids
        self.assertGreater(new, uids[2])
        self.assertEqual(result.uidvalidity, mailbox.index.uidvalidity)
        self.assertEqual(list(mailbox.index.uids), [uids[0], uids[2], new])
        self.assertEqual(mailbox.index.highest_modseq, before + 1)
        self.assertEqual(self.modseqs(mailbox)[new], before + 1)
        self.assertEqual(self.flags(mailbox)[new], {FLAGGED, "new"})
        self.assertEqual((await self.contents(account, "INBOX"))[-1], PLAIN)
        self.assertEqual(list(await mailbox.vanished_since(before)), [uids[1]])
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.deleted, status.unseen), (3, 1, 2))
        again = await account.select("INBOX", True)
        self.assertEqual(self.flags(again), self.flags(mailbox))

    async def test_replace_by_a_message_in_another_mailbox(self) -> None:
        account, mailbox, uids = await self.filled(2)
        sent = await account.select("Sent", False)
        result = await mailbox.replace(uids[0], "Sent", self.draft(MIXED, SEEN))
        self.assertEqual(list(mailbox.index.uids), uids[1:])
        await sent.refresh()
        self.assertEqual(list(sent.index.uids), list(result.uids))
        self.assertEqual(result.uidvalidity, sent.index.uidvalidity)
        self.assertEqual(self.flags(sent), {result.uids[0]: {SEEN}})
        self.assertEqual(await self.contents(account, "Sent"), [MIXED])
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.unseen), (1, 1))

    async def test_replace_with_an_attachment_that_both_have(self) -> None:
        account = await self.make_account("ada")
        large = b"Content-Transfer-Encoding: base64\r\n\r\n" + b"AAAA" * 20_000
        [uid] = await self.put(account, "INBOX", large)
        mailbox = await account.select("INBOX", False)
        await mailbox.replace(uid, "INBOX", self.draft(b"X-New: yes\r\n" + large))
        self.assertEqual(await self.contents(account, "INBOX"), [b"X-New: yes\r\n" + large])

    async def test_replace_refusals_change_nothing(self) -> None:
        account, mailbox, uids = await self.filled(2)
        before = mailbox.index.highest_modseq
        good = self.draft(PLAIN)
        await self.fails(mailbox.replace(uids[0], "Nothing", good), errors.TryCreate)
        await self.fails(mailbox.replace(uids[1] + 5, "Sent", good), errors.ExpungeIssued)
        await self.fails(mailbox.replace(uids[1] + 5, "INBOX", good), errors.ExpungeIssued)
        await self.fails(mailbox.replace(uids[0], "Sent", self.draft(b"\0")), errors.Cannot)
        large = self.draft(b"x" * (LIMITS.message + 1))
        await self.fails(mailbox.replace(uids[0], "Sent", large), errors.TooBig)
        many = self.draft(PLAIN, *(f"k{n}" for n in range(LIMITS.flags_per_message + 1)))
        await self.fails(mailbox.replace(uids[0], "Sent", many), errors.TooMany)
        for start in (0, 4, 8):
            words = [f"w{n}" for n in range(start, min(start + 4, LIMITS.keywords_per_mailbox))]
            await self.put(account, "Junk", PLAIN, flags=words)
        word = self.draft(PLAIN, "one more")
        await self.fails(mailbox.replace(uids[0], "Junk", word), errors.TooMany)
        readonly = await account.select("INBOX", True)
        await self.fails(readonly.replace(uids[0], "Sent", good), errors.ReadOnly)
        await mailbox.refresh()
        self.assertEqual(list(mailbox.index.uids), uids)
        self.assertEqual(mailbox.index.highest_modseq, before)
        self.assertEqual((await account.status("Sent")).uidnext, 1)

    async def test_replace_of_what_another_session_removed(self) -> None:
        account, mailbox, uids = await self.filled(2)
        other = await account.select("INBOX", False)
        await self.flag(other, uids[:1], "add", DELETED)
        await other.expunge()
        await self.fails(mailbox.replace(uids[0], "Sent", self.draft(PLAIN)), errors.ExpungeIssued)
        await account.delete("Trash")
        await self.fails(mailbox.replace(uids[1], "Trash", self.draft(PLAIN)), errors.TryCreate)
        self.assertEqual((await account.status("INBOX")).messages, 1)

    async def test_replace_counts_what_the_mail_grows_by(self) -> None:
        account = await self.make_account("ada", quota=2 * len(PLAIN))
        [uid, _] = await self.put(account, "INBOX", PLAIN, PLAIN)
        mailbox = await account.select("INBOX", False)
        longer = self.draft(PLAIN + b"x")
        await self.fails(mailbox.replace(uid, "INBOX", longer), errors.OverQuota)
        await self.fails(mailbox.replace(uid, "Sent", longer), errors.OverQuota)
        await mailbox.replace(uid, "Sent", self.draft(PLAIN[:-1]))
        [uid, *_] = mailbox.index.uids
        await mailbox.replace(uid, "INBOX", longer)
        await self.fails(self.put(account, "INBOX", b"x"), errors.OverQuota)

    # --- RFC 6851 ---------------------------------------------------------------------------------

    async def test_move(self) -> None:
        account, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids, "add", FLAGGED)
        moved = (await self.contents(account, "INBOX"))[1:]
        result = await mailbox.move(uids[1:], "Archive")
        self.assertEqual(list(mailbox.index.uids), uids[:1])
        archive = await account.select("Archive", True)
        self.assertEqual(result.uidvalidity, archive.index.uidvalidity)
        self.assertEqual(list(result.source), uids[1:])
        self.assertEqual(list(result.destination), list(archive.index.uids))
        self.assertEqual(list(self.flags(archive).values()), [{FLAGGED}] * 2)
        self.assertEqual(await self.contents(account, "Archive"), moved)
        [first, second] = await self.bring(archive, archive.index.uids, ["date"])
        self.assertEqual((first.internal_date, second.internal_date), (NOON, NOON))

    async def test_move_within_one_mailbox_gives_new_uids(self) -> None:
        _, mailbox, uids = await self.filled(3)
        result = await mailbox.move(uids[:1], "INBOX")
        await mailbox.refresh()
        self.assertEqual(list(mailbox.index.uids), [*uids[1:], *result.destination])
        self.assertGreater(result.destination[0], uids[-1])

    async def test_move_refusals_change_nothing(self) -> None:
        account, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids[:1], "add", DELETED)
        await mailbox.expunge()
        await self.fails(mailbox.move(uids[1:], "Nothing"), errors.TryCreate)
        await self.fails(mailbox.move(uids, "Archive"), errors.ExpungeIssued)
        readonly = await account.select("INBOX", True)
        await self.fails(readonly.move(uids[1:], "Archive"), errors.ReadOnly)
        await mailbox.refresh()
        self.assertEqual(list(mailbox.index.uids), uids[1:])
        self.assertEqual((await account.status("Archive")).messages, 0)

    async def test_move_reaches_the_other_session(self) -> None:
        _, mailbox, uids = await self.filled(2)
        other = await (await self.make_account("ada")).select("INBOX", True)
        heard: list[str] = []
        other.watch(lambda: heard.append("other"))
        await mailbox.move(uids[:1], "Archive")
        await other.refresh()
        self.assertEqual((list(other.index.uids), heard), (uids[1:], ["other"]))

    # --- RFC 7162 ---------------------------------------------------------------------------------

    async def test_messages_of_one_change_share_one_modseq(self) -> None:
        account = await self.make_account("ada")
        mailbox = await account.select("INBOX", False)
        last = mailbox.index.highest_modseq
        uids = await self.put(account, "INBOX", PLAIN, MIXED, PLAIN)
        await mailbox.refresh()
        self.assertEqual(set(self.modseqs(mailbox).values()), {mailbox.index.highest_modseq})
        self.assertGreater(mailbox.index.highest_modseq, last)
        last = mailbox.index.highest_modseq
        result = await self.flag(mailbox, uids[:2], "add", SEEN)
        self.assertGreater(result.modseq, last)
        self.assertEqual(result.modseq, mailbox.index.highest_modseq)
        self.assertEqual(
            self.modseqs(mailbox), {uids[0]: result.modseq, uids[1]: result.modseq, uids[2]: last}
        )

    async def test_expunge_moves_the_modseq_of_the_mailbox(self) -> None:
        account, mailbox, uids = await self.filled(2)
        await self.flag(mailbox, uids, "add", DELETED)
        last = mailbox.index.highest_modseq
        await mailbox.expunge()
        self.assertGreater(mailbox.index.highest_modseq, last)
        again = await account.select("INBOX", True)
        self.assertEqual(again.index.highest_modseq, mailbox.index.highest_modseq)

    async def test_modseqs_are_the_same_for_every_session(self) -> None:
        account, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids[:1], "add", SEEN)
        await self.flag(mailbox, uids[1:2], "add", SEEN)
        expected = self.modseqs(mailbox)
        await mailbox.close()
        await account.logout()
        again = await (await self.make_account("ada")).select("INBOX", True)
        self.assertEqual(self.modseqs(again), expected)

    async def test_highest_modseq_never_falls(self) -> None:
        account = await self.make_account("ada")
        mailbox = await account.select("INBOX", False)
        seen = [mailbox.index.highest_modseq]

        async def look() -> None:
            await mailbox.refresh()
            status = await account.status("INBOX")
            self.assertEqual(status.highest_modseq, mailbox.index.highest_modseq)
            seen.append(status.highest_modseq)

        uids = await self.put(account, "INBOX", PLAIN, MIXED)
        await look()
        await self.flag(mailbox, uids, "add", DELETED)
        await look()
        await mailbox.claim_recent()
        await look()
        await mailbox.expunge()
        await look()
        await self.put(account, "INBOX", PLAIN)
        await account.rename("INBOX", "Old")
        await look()
        self.assertEqual(seen, sorted(seen))
        self.assertGreaterEqual(len(set(seen)), 5)

    async def test_conditional_store_leaves_what_changed_since_alone(self) -> None:
        _, mailbox, uids = await self.filled(4)
        known = mailbox.index.highest_modseq
        await self.flag(mailbox, uids[1:2], "add", FLAGGED)
        change = FlagChange("add", frozenset({SEEN}), unchanged_since=known)
        result = await mailbox.store(uids, change)
        self.assertEqual(list(result.changed), [uids[0], *uids[2:]])
        self.assertEqual(list(result.modified), uids[1:2])
        self.assertEqual(list(result.unchanged), [])
        self.assertEqual(self.flags(mailbox)[uids[1]], {FLAGGED})
        self.assertEqual(self.flags(mailbox)[uids[0]], {SEEN})

    async def test_conditional_store_takes_equal_modseqs(self) -> None:
        _, mailbox, [uid] = await self.filled(1)
        modseq = mailbox.index.modseq(uid)
        change = FlagChange("add", frozenset({SEEN}), unchanged_since=modseq)
        result = await mailbox.store([uid], change)
        self.assertEqual((list(result.changed), list(result.modified)), ([uid], []))

    async def test_conditional_store_with_zero_fails_for_every_message(self) -> None:
        _, mailbox, uids = await self.filled(2)
        last = mailbox.index.highest_modseq
        change = FlagChange("replace", frozenset({SEEN}), unchanged_since=0)
        result = await mailbox.store(uids, change)
        self.assertEqual((list(result.modified), result.modseq), (uids, 0))
        self.assertEqual(mailbox.index.highest_modseq, last)

    async def test_conditional_store_sees_what_the_index_does_not_know_yet(self) -> None:
        _, mailbox, uids = await self.filled(1)
        known = mailbox.index.highest_modseq
        other = await (await self.make_account("ada")).select("INBOX", False)
        await self.flag(other, uids, "add", FLAGGED)
        change = FlagChange("add", frozenset({SEEN}), unchanged_since=known)
        result = await mailbox.store(uids, change)
        self.assertEqual((list(result.changed), list(result.modified)), ([], uids))
        self.assertEqual(self.flags(mailbox), {uids[0]: {FLAGGED}})

    async def test_what_vanished_since(self) -> None:
        account, mailbox, uids = await self.filled(6)
        verifyObject(IQResyncMailbox, mailbox)
        before = mailbox.index.highest_modseq
        self.assertEqual(await mailbox.vanished_since(before), UIDSet())
        await self.flag(mailbox, [uids[0], *uids[3:5]], "add", DELETED)
        await mailbox.expunge(UIDSet.of(uids[3:5]))
        between = mailbox.index.highest_modseq
        await mailbox.expunge()
        await mailbox.move(uids[1:2], "Trash")
        after = mailbox.index.highest_modseq
        again = await (await self.make_account("ada")).select("INBOX", True)
        for each in (mailbox, again):
            gone = [uids[0], uids[1], uids[3], uids[4]]
            self.assertEqual(await each.vanished_since(before), UIDSet.of(gone))
            self.assertEqual(await each.vanished_since(between), UIDSet.of(uids[:2]))
            self.assertEqual(await each.vanished_since(after), UIDSet())
            self.assertEqual(await each.vanished_since(2**63 - 1), UIDSet())
        await account.rename("INBOX", "Old")
        await again.refresh()
        self.assertEqual(await again.vanished_since(before), UIDSet.of(uids))
        old = await account.select("Old", True)
        self.assertEqual(await old.vanished_since(old.index.highest_modseq), UIDSet())

    async def test_search_by_modseq(self) -> None:
        _, mailbox, uids = await self.filled(4)
        await self.flag(mailbox, uids[:2], "add", SEEN)
        latest = mailbox.index.highest_modseq
        self.assertEqual(list(await mailbox.search(ModSeq(latest))), uids[:2])
        self.assertEqual(list(await mailbox.search(Not(ModSeq(latest)))), uids[2:])
        self.assertEqual(
            list(await mailbox.search(And((ModSeq(latest - 1), HasFlag(SEEN))))), uids[:2]
        )
        self.assertEqual(list(await mailbox.search(ModSeq(latest + 1))), [])
        self.assertEqual(list(await mailbox.search(ModSeq(0))), uids)
