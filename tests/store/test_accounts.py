"""Users, as administrators and the login see them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.store.base import StoreTestCase, simple
from twisted_duck import errors
from twisted_duck.auth.interfaces import IPasswordUpgrades, IScramDirectory
from twisted_duck.auth.passwords import verify_password
from twisted_duck.auth.verifiers import are_current, make_verifiers
from twisted_duck.store.accounts import compared


class NameTests(SynchronousTestCase):
    def test_names_compare_without_case_and_composition(self) -> None:
        for spellings in (
            ("Ada@Example.ORG", "ada@example.org"),
            ("jos\u00e9", "jose\u0301", "JOS\u00c9"),
            ("stra\u00dfe", "STRASSE"),
            ("\uff41\uff44\uff41", "ada"),
        ):
            self.assertEqual(len({compared(spelling) for spelling in spellings}), 1, spellings)

    def test_what_is_no_name(self) -> None:
        for name in ("", " ", "a b", "a\0", "a\nb", "\ud800", "a" * 255, "\u00e9" * 200, "a\u2028"):
            self.assertIsNone(compared(name), repr(name))


class AccountsTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.store = await self.make_store()
        self.users = self.store.users

    async def test_the_directory_of_the_login(self) -> None:
        verifyObject(IPasswordUpgrades, self.users)
        await self.store.add_user("Ada", "secret")
        record = await self.store.directory.find("ADA")
        assert record is not None
        self.assertEqual((record.name, record.disabled), ("ada", False))
        assert record.password_hash is not None
        self.assertTrue(verify_password("secret", record.password_hash))
        for name in ("bob", "", "a" * 10_000, "a\0b", "\ud800"):
            self.assertIsNone(await self.users.find(name))

    async def test_a_better_hash_replaces_the_one_that_was_checked(self) -> None:
        await self.store.add_user("ada", "secret")
        record = await self.users.find("ada")
        assert record is not None
        await self.users.replace_hash(record, "better")
        await self.users.replace_hash(record, "from an old check")
        again = await self.users.find("ada")
        assert again is not None
        self.assertEqual(again.password_hash, "better")

    async def test_a_password_leaves_verifiers_where_scram_is_wanted_and_none_of_the_old_one(
        self,
    ) -> None:
        verifyObject(IScramDirectory, self.users)
        few = {"SCRAM-SHA-256": 10}

        async def stored() -> tuple[str, ...]:
            record = await self.users.find("ada")
            assert record is not None
            return record.verifiers

        self.users.scram = few
        await self.users.add("ada", "one")
        first = await stored()
        self.assertTrue(are_current(first, few))
        await self.users.set_password("ada", "two")
        self.assertTrue(are_current(await stored(), few))
        self.assertNotEqual(await stored(), first)
        await self.users.set_password("ada", "control \7 character")
        self.assertEqual(await stored(), ())
        await self.users.set_password("ada", "three")
        self.users.scram = None
        await self.users.set_password("ada", "four")
        self.assertEqual(await stored(), ())

    async def test_verifiers_are_stored_for_the_password_that_was_checked(self) -> None:
        await self.store.add_user("ada", "secret")
        record = await self.users.find("ada")
        assert record is not None
        verifiers = make_verifiers("secret", {"SCRAM-SHA-1": 10})
        await self.users.replace_verifiers(record, verifiers)
        again = await self.users.find("ada")
        assert again is not None
        self.assertEqual(again.verifiers, verifiers)
        await self.users.set_password("ada", "another")
        await self.users.replace_verifiers(record, verifiers)
        again = await self.users.find("ada")
        assert again is not None
        self.assertEqual(again.verifiers, ())

    async def test_a_seed_is_the_same_in_every_process_and_spelling(self) -> None:
        other = await self.make_store()
        seeds = {
            await users.seed(name) for users in (self.users, other.users) for name in ("Ada", "ada")
        }
        self.assertEqual(len(seeds), 1)
        self.assertNotEqual(await self.users.seed("bob"), seeds.pop())
        for name in ("", "a b", "a\0b", "\ud800", "a" * 10_000):
            self.assertEqual(len(await self.users.seed(name)), 32)

    async def test_a_name_is_given_once(self) -> None:
        await self.users.add("ada", None)
        for name in ("ada", "ADA"):
            with self.assertRaises(errors.AlreadyExists):
                await self.users.add(name, None)
        with self.assertRaises(errors.Cannot):
            await self.users.add("a b", None)

    async def test_administration(self) -> None:
        for name in ("bob", "ada"):
            await self.users.add(name, None, quota=500)
        self.assertEqual([user.name async for user in self.users.all()], ["ada", "bob"])
        await self.users.set_disabled("bob", True)
        await self.users.set_password("bob", "x")
        record = await self.users.find("bob")
        assert record is not None and record.password_hash is not None
        self.assertTrue(record.disabled)
        self.assertTrue(verify_password("x", record.password_hash))
        await self.users.set_quota("ada", None)
        await self.put(await self.store.account("ada"), "INBOX", simple() * 100)
        user = await self.users.get("ada")
        self.assertEqual((user.used, user.quota, user.disabled), (len(simple()) * 100, None, False))
        for work in (
            self.users.get("nobody"),
            self.users.set_password("nobody", "x"),
            self.users.set_disabled("nobody", True),
            self.users.set_quota("nobody", 1),
            self.users.delete("nobody"),
            self.store.account("nobody"),
        ):
            with self.assertRaises(errors.NonExistent):
                await work

    async def test_a_deleted_user_leaves_nothing(self) -> None:
        account = await self.make_user(self.store)
        await self.put(account, "INBOX", simple(), simple())
        mailbox = await account.select("INBOX", False)
        heard: list[str] = []
        mailbox.watch(lambda: heard.append("gone"))
        await self.users.delete("ada")
        self.assertEqual(heard, ["gone"])
        with self.assertRaises(errors.MailboxGone):
            await mailbox.refresh()
        with self.assertRaises(errors.TryCreate):
            await self.put(account, "INBOX", simple())
        with self.assertRaises(errors.NonExistent):
            await account.create("x")
        for collection in (
            "users",
            "addresses",
            "mailboxes",
            "messages",
            "bodies",
            "subscriptions",
        ):
            self.assertIsNone(await self.store.mongo.find_one(collection, {}), collection)
        await self.users.add("ada", None)
        self.assertEqual((await (await self.store.account("ada")).status("INBOX")).messages, 0)
