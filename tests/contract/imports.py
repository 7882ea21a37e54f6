"""The journal of imports."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from tests.contract.base import PLAIN, Account, Contract
from twisted_duck import errors
from twisted_duck.interfaces import IImportAccount
from twisted_duck.spool import Spool
from twisted_duck.values import DELETED, AppendMessage

A, B, C = b"maildir 7 1.a", b"mbox 00ff 1", b"\x00\xff" * 500


class ImportsContract(Contract):
    """Each key is taken once in a mailbox."""

    async def bring_in(self, account: Account, name: str, *keys: bytes | None) -> None:
        await account.append(
            name, [AppendMessage(Spool.of(PLAIN), frozenset(), None, key) for key in keys]
        )

    async def test_account_provides_the_journal(self) -> None:
        verifyObject(IImportAccount, await self.make_account("ada"))

    async def test_keys_are_known_after_the_append(self) -> None:
        account = await self.make_account("ada")
        self.assertEqual(await account.imported("INBOX", [A, B]), set())
        await self.bring_in(account, "INBOX", A, C)
        self.assertEqual(await account.imported("INBOX", [A, B, C]), {A, C})
        self.assertEqual(await account.imported("INBOX", []), set())

    async def test_a_known_key_is_refused_and_the_whole_append_with_it(self) -> None:
        account = await self.make_account("ada")
        await self.bring_in(account, "INBOX", A)
        await self.fails(self.bring_in(account, "INBOX", B, A), errors.AlreadyExists)
        self.assertEqual(await account.imported("INBOX", [A, B]), {A})
        self.assertEqual((await account.status("INBOX")).messages, 1)
        await self.bring_in(account, "INBOX", B)
        self.assertEqual((await account.status("INBOX")).messages, 2)

    async def test_the_same_key_twice_at_once_is_refused(self) -> None:
        account = await self.make_account("ada")
        await self.fails(self.bring_in(account, "INBOX", A, A), errors.AlreadyExists)
        self.assertEqual((await account.status("INBOX")).messages, 0)

    async def test_what_becomes_of_the_message_does_not_matter(self) -> None:
        account = await self.make_account("ada")
        await self.bring_in(account, "INBOX", A)
        mailbox = await account.select("INBOX", False)
        await self.flag(mailbox, mailbox.index.uids, "add", DELETED)
        await mailbox.expunge()
        self.assertEqual(await account.imported("INBOX", [A]), {A})
        await self.fails(self.bring_in(account, "INBOX", A), errors.AlreadyExists)

    async def test_each_mailbox_and_each_user_has_its_own(self) -> None:
        ada, bob = await self.make_account("ada"), await self.make_account("bob")
        await self.bring_in(ada, "INBOX", A)
        await self.bring_in(ada, "Archive", A)
        await self.bring_in(bob, "INBOX", A)
        self.assertEqual(await ada.imported("Sent", [A]), set())

    async def test_a_mailbox_made_anew_knows_nothing_and_a_renamed_one_all(self) -> None:
        account = await self.make_account("ada")
        await self.bring_in(account, "Archive", A)
        await account.rename("Archive", "Old")
        self.assertEqual(await account.imported("Old", [A]), {A})
        await account.delete("Old")
        await account.create("Old")
        self.assertEqual(await account.imported("Old", [A]), set())

    async def test_without_keys_the_same_message_may_come_any_number_of_times(self) -> None:
        account = await self.make_account("ada")
        await self.bring_in(account, "INBOX", None, None)
        self.assertEqual((await account.status("INBOX")).messages, 2)

    async def test_there_is_no_such_mailbox(self) -> None:
        account = await self.make_account("ada")
        await self.fails(account.imported("Nowhere", [A]), errors.NonExistent)
