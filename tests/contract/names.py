"""Mailboxes as names."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from tests.contract.base import DEFAULTS, NOON, PLAIN, Contract
from twisted_duck import errors
from twisted_duck.interfaces import IAccount
from twisted_duck.values import DELETED, FLAGGED, SEEN, MailboxInfo


class NamesContract(Contract):
    """Mailboxes as names: RFC 3501 §6.3.3 to §6.3.10."""

    async def test_account_provides_its_interface(self) -> None:
        account = await self.make_account("ada")
        verifyObject(IAccount, account)
        self.assertEqual(account.name, "ada")
        self.assertEqual(len(account.delimiter), 1)

    async def test_new_account_has_the_default_mailboxes(self) -> None:
        account = await self.make_account("ada")
        found = await self.names(account)
        self.assertEqual(set(found), set(DEFAULTS))
        self.assertTrue(all(info.selectable for info in found.values()))

    async def test_new_account_is_subscribed_to_its_default_mailboxes(self) -> None:
        account = await self.make_account("ada")
        self.assertEqual(await account.subscriptions(), frozenset(DEFAULTS))

    async def test_accounts_are_apart(self) -> None:
        ada, bob = await self.make_account("ada"), await self.make_account("bob")
        await ada.create("Hers")
        await ada.subscribe("Hers")
        await self.put(ada, "INBOX", PLAIN)
        self.assertNotIn("Hers", await self.names(bob))
        self.assertNotIn("Hers", await bob.subscriptions())
        await self.fails(bob.select("Hers", True), errors.NonExistent)
        self.assertEqual((await bob.status("INBOX")).messages, 0)

    async def test_create(self) -> None:
        account = await self.make_account("ada")
        await account.create("Notes")
        other = await self.make_account("ada")
        self.assertEqual((await self.names(other))["Notes"], MailboxInfo("Notes"))

    async def test_create_does_not_subscribe(self) -> None:
        account = await self.make_account("ada")
        await account.create("Notes")
        self.assertNotIn("Notes", await account.subscriptions())

    async def test_create_makes_missing_parents(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b/c")
        found = await self.names(account)
        self.assertTrue({"a", "a/b", "a/b/c"} <= set(found))
        self.assertTrue(found["a"].selectable and found["a/b"].selectable)

    async def test_create_beneath_inbox(self) -> None:
        account = await self.make_account("ada")
        await account.create("INBOX/lists")
        self.assertIn("INBOX/lists", await self.names(account))

    async def test_create_of_what_exists(self) -> None:
        account = await self.make_account("ada")
        await account.create("Notes")
        for name in ("INBOX", "Notes", "Sent"):
            await self.fails(account.create(name), errors.AlreadyExists)

    async def test_names_differ_by_case_and_hold_any_script(self) -> None:
        account = await self.make_account("ada")
        for name in ("Почта", "日本語", "notes", "Notes", "a b&c"):
            await account.create(name)
        self.assertTrue(
            {"Почта", "日本語", "notes", "Notes", "a b&c"} <= set(await self.names(account))
        )

    async def test_create_refuses_what_is_no_name(self) -> None:
        account = await self.make_account("ada")
        for name in (
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "a\0b",
            "a\nb",
            "a\x7fb",
            "\ud800",
            "inbox",
            "Inbox/a",
        ):
            await self.fails(account.create(name), errors.Cannot)
        self.assertEqual(set(await self.names(account)), set(DEFAULTS))

    async def test_delete(self) -> None:
        account = await self.make_account("ada")
        await account.create("Notes")
        await account.delete("Notes")
        self.assertNotIn("Notes", await self.names(account))
        await self.fails(account.select("Notes", True), errors.NonExistent)
        await self.fails(account.status("Notes"), errors.NonExistent)

    async def test_delete_of_what_does_not_exist(self) -> None:
        account = await self.make_account("ada")
        await self.fails(account.delete("Nothing"), errors.NonExistent)

    async def test_delete_inbox_is_refused(self) -> None:
        account = await self.make_account("ada")
        await self.fails(account.delete("INBOX"), errors.Cannot)

    async def test_delete_takes_the_messages_and_a_new_mailbox_is_another_one(self) -> None:
        account = await self.make_account("ada")
        await account.create("Notes")
        await self.put(account, "Notes", PLAIN)
        before = await account.status("Notes")
        await account.delete("Notes")
        await account.create("Notes")
        after = await account.status("Notes")
        self.assertEqual(after.messages, 0)
        self.assertGreater(after.uidvalidity, before.uidvalidity)

    async def test_delete_of_a_parent_leaves_a_name_that_cannot_be_selected(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b")
        await self.put(account, "a", PLAIN)
        await self.put(account, "a/b", PLAIN)
        await account.delete("a")
        found = await self.names(account)
        self.assertFalse(found["a"].selectable)
        self.assertTrue(found["a/b"].selectable)
        await self.fails(account.select("a", True), errors.NonExistent)
        await self.fails(account.status("a"), errors.NonExistent)
        await self.fails(self.put(account, "a", PLAIN), errors.TryCreate)
        self.assertEqual((await account.status("a/b")).messages, 1)

    async def test_delete_of_a_noselect_name_with_children_is_refused(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b")
        await account.delete("a")
        await self.fails(account.delete("a"), errors.HasChildren)

    async def test_noselect_name_goes_with_its_last_child(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b/c")
        await account.delete("a")
        await account.delete("a/b")
        await account.delete("a/b/c")
        self.assertEqual(set(await self.names(account)), set(DEFAULTS))

    async def test_create_makes_a_noselect_name_a_new_mailbox(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b")
        before = await account.status("a")
        await account.delete("a")
        await account.create("a")
        self.assertGreater((await account.status("a")).uidvalidity, before.uidvalidity)
        self.assertTrue((await self.names(account))["a"].selectable)

    async def test_rename_keeps_messages_and_uids(self) -> None:
        account = await self.make_account("ada")
        await account.create("a")
        uids = await self.put(account, "a", PLAIN, flags=[SEEN])
        before = await account.status("a")
        await account.rename("a", "b")
        self.assertNotIn("a", await self.names(account))
        self.assertEqual(await account.status("b"), before)
        mailbox = await account.select("b", True)
        self.assertEqual(self.flags(mailbox), {uids[0]: {SEEN}})

    async def test_old_name_made_anew_is_another_mailbox(self) -> None:
        account = await self.make_account("ada")
        await account.create("a")
        before = await account.status("a")
        await account.rename("a", "b")
        await account.create("a")
        self.assertGreater((await account.status("a")).uidvalidity, before.uidvalidity)

    async def test_rename_takes_children_along(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b/c")
        await account.create("ab")
        await self.put(account, "a/b/c", PLAIN)
        await account.rename("a", "z")
        found = await self.names(account)
        self.assertTrue({"z", "z/b", "z/b/c", "ab"} <= set(found))
        self.assertFalse({"a", "a/b", "a/b/c"} & set(found))
        self.assertEqual((await account.status("z/b/c")).messages, 1)

    async def test_rename_of_a_noselect_name_moves_its_children(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b")
        await account.delete("a")
        await account.rename("a", "z")
        found = await self.names(account)
        self.assertIn("z/b", found)
        self.assertFalse(found["z"].selectable)
        self.assertNotIn("a", found)

    async def test_rename_makes_missing_parents(self) -> None:
        account = await self.make_account("ada")
        await account.create("a")
        await account.rename("a", "x/y/a")
        found = await self.names(account)
        self.assertTrue({"x", "x/y", "x/y/a"} <= set(found))
        self.assertTrue(found["x"].selectable)

    async def test_rename_refusals(self) -> None:
        account = await self.make_account("ada")
        await account.create("a")
        await self.fails(account.rename("Nothing", "x"), errors.NonExistent)
        await self.fails(account.rename("Nothing", "INBOX"), errors.ClientError)
        await self.fails(account.rename("a", "Sent"), errors.AlreadyExists)
        await self.fails(account.rename("a", "INBOX"), errors.AlreadyExists)
        await self.fails(account.rename("a", "a"), errors.AlreadyExists)
        await self.fails(account.rename("a", "a/b"), errors.Cannot)
        await self.fails(account.rename("a", "x//y"), errors.Cannot)
        self.assertEqual(set(await self.names(account)), set(DEFAULTS) | {"a"})

    async def test_rename_where_a_child_meets_a_bound_changes_nothing(self) -> None:
        account = await self.make_account("ada")
        await account.create("a/b/c")
        await self.fails(account.rename("a", "x/y/z"), errors.Cannot)
        self.assertEqual(set(await self.names(account)), set(DEFAULTS) | {"a", "a/b", "a/b/c"})

    async def test_rename_inbox_gives_its_messages_away(self) -> None:
        account = await self.make_account("ada")
        await account.create("INBOX/lists")
        await self.put(account, "INBOX", PLAIN, flags=[FLAGGED, "$Label1"])
        before = await account.status("INBOX")
        await account.rename("INBOX", "Old")
        found = await self.names(account)
        self.assertTrue({"INBOX", "INBOX/lists", "Old"} <= set(found))
        self.assertNotIn("Old/lists", found)
        after = await account.status("INBOX")
        self.assertEqual((after.messages, after.uidvalidity), (0, before.uidvalidity))
        self.assertGreaterEqual(after.uidnext, before.uidnext)
        self.assertEqual(await self.contents(account, "Old"), [PLAIN])
        old = await account.select("Old", True)
        self.assertEqual(list(self.flags(old).values()), [{FLAGGED, "$Label1"}])
        [message] = await self.bring(old, old.index.uids, ["date"])
        self.assertEqual(message.internal_date, NOON)

    async def test_subscriptions(self) -> None:
        account = await self.make_account("ada")
        await account.subscribe("comp.mail.mime")
        await account.subscribe("comp.mail.mime")
        other = await self.make_account("ada")
        self.assertEqual(await other.subscriptions(), frozenset(DEFAULTS) | {"comp.mail.mime"})
        await account.unsubscribe("comp.mail.mime")
        await account.unsubscribe("Sent")
        await account.unsubscribe("never was")
        self.assertEqual(await other.subscriptions(), frozenset(DEFAULTS) - {"Sent"})

    async def test_delete_and_rename_leave_subscriptions_alone(self) -> None:
        account = await self.make_account("ada")
        for name in ("a", "b"):
            await account.create(name)
            await account.subscribe(name)
        await account.delete("a")
        await account.rename("b", "c")
        self.assertEqual(await account.subscriptions(), frozenset(DEFAULTS) | {"a", "b"})

    async def test_status_of_a_new_mailbox(self) -> None:
        account = await self.make_account("ada")
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.recent, status.unseen), (0, 0, 0))
        self.assertEqual((status.deleted, status.size), (0, 0))
        self.assertGreaterEqual(status.uidnext, 1)
        self.assertTrue(1 <= status.uidvalidity < 2**32)
        self.assertGreaterEqual(status.highest_modseq, 1)

    async def test_status_counts(self) -> None:
        account, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids[:1], "add", SEEN)
        await self.flag(mailbox, uids[1:], "add", DELETED)
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.unseen, status.deleted), (3, 2, 2))
        self.assertEqual(status.size, 3 * len(b"Subject: 1\r\n\r\n1\r\n"))
        self.assertEqual(status.uidnext, uids[-1] + 1)
        self.assertEqual(status.highest_modseq, mailbox.index.highest_modseq)
        self.assertEqual(status.uidvalidity, mailbox.index.uidvalidity)
        await mailbox.expunge()
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.unseen, status.deleted), (1, 0, 0))
        self.assertEqual(status.size, len(b"Subject: 1\r\n\r\n1\r\n"))
        self.assertEqual(status.uidnext, uids[-1] + 1)

    async def test_select_of_what_does_not_exist(self) -> None:
        account = await self.make_account("ada")
        await self.fails(account.select("Nothing", False), errors.NonExistent)
        await self.fails(account.status("Nothing"), errors.NonExistent)

    async def test_logout(self) -> None:
        account, mailbox, _ = await self.filled(1)
        await mailbox.close()
        await account.logout()
        again = await self.make_account("ada")
        self.assertEqual((await again.status("INBOX")).messages, 1)
