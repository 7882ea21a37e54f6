"""Addresses, catch-alls and aliases: the same in a database and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bson.objectid import ObjectId
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.store.base import StoreTestCase, together
from tests.store.recorder import Recorder
from twisted_duck import errors
from twisted_duck.addresses import AddressRules
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.store.addresses import Addresses
from twisted_duck.store.checker import Finding, check

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _TestCase
else:
    _TestCase = object

RULES = AddressRules()


class AddressesContract(_TestCase):
    addresses: Any

    async def whose(self, local: str, domain: str | None, rules: AddressRules = RULES) -> Any:
        """The name of the user, or None."""
        raise AssertionError("a store's tests say who it is")

    async def fails(self, error: type[Exception], work: Any) -> None:
        with self.assertRaises(error):
            await work

    async def test_a_name_is_an_address(self) -> None:
        self.assertEqual(await self.whose("Ada", "Example.org"), "ada@example.org")
        self.assertIsNone(await self.whose("bob", "example.org"))
        self.assertIsNone(await self.whose("postmaster", None))

    async def test_more_addresses(self) -> None:
        self.assertEqual(
            await self.addresses.add("bob", "Robert@B\u00dcCHER.example"),
            "robert@b\u00fccher.example",
        )
        for local in ("robert", "ROB.ert", "robert+x"):
            self.assertEqual(await self.whose(local, "xn--bcher-kva.example"), "bob")
        strict = AddressRules(ignore_dots=False)
        self.assertIsNone(await self.whose("rob.ert", "b\u00fccher.example", strict))
        for name in ("bob", "ada@example.org"):
            await self.fails(
                errors.AlreadyExists, self.addresses.add(name, "robert@xn--bcher-kva.example")
            )
        await self.fails(errors.NonExistent, self.addresses.add("nobody", "x@example.org"))
        await self.fails(errors.Cannot, self.addresses.add("bob", "no address"))
        await self.addresses.remove("ROBERT@b\u00fccher.example")
        self.assertIsNone(await self.whose("robert", "b\u00fccher.example"))
        await self.fails(errors.NonExistent, self.addresses.remove("robert@b\u00fccher.example"))
        await self.fails(errors.Cannot, self.addresses.remove("Ada@example.org"))

    async def test_a_catch_all_and_an_alias(self) -> None:
        await self.addresses.add("bob", "*@example.org")
        self.assertEqual(
            await self.addresses.add_alias("Example.NET", "example.org"),
            ("example.net", "example.org"),
        )
        await self.addresses.add_alias("example.net", "example.org")
        self.assertEqual(await self.whose("ada", "example.net"), "ada@example.org")
        self.assertEqual(await self.whose("x", "example.net"), "bob")
        self.assertIsNone(await self.whose("x", "sub.example.net"))
        self.assertEqual(
            [each async for each in self.addresses.aliases()], [("example.net", "example.org")]
        )
        for error, alias, domain in [
            (errors.Cannot, "example.org", "example.org"),
            (errors.Cannot, "third.example", "example.net"),
            (errors.Cannot, "a b", "example.org"),
            (errors.AlreadyExists, "example.net", "other.example"),
        ]:
            await self.fails(error, self.addresses.add_alias(alias, domain))
        await self.addresses.remove_alias("EXAMPLE.net")
        self.assertIsNone(await self.whose("ada", "example.net"))
        await self.fails(errors.NonExistent, self.addresses.remove_alias("example.net"))

    async def test_they_are_listed(self) -> None:
        await self.addresses.add("bob", "z@example.org")
        self.assertEqual(
            [each async for each in self.addresses.all()],
            [("ada@example.org", "ada@example.org"), ("bob", "bob"), ("z@example.org", "bob")],
        )
        mine = [address async for address, _ in self.addresses.all("bob")]
        self.assertEqual(mine, ["bob", "z@example.org"])
        with self.assertRaises(errors.NonExistent):
            [each async for each in self.addresses.all("nobody")]


class MongoAddressesTests(AddressesContract, StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.store = await self.make_store()
        self.addresses = self.store.addresses
        for name in ("Ada@Example.org", "bob"):
            await self.store.users.add(name, None)

    async def whose(self, local: str, domain: str | None, rules: AddressRules = RULES) -> Any:
        user = await self.addresses.owner(local, domain, rules)
        return None if user is None else user["name"]

    async def test_those_that_are_asked_for_at_once_are_one_question(self) -> None:
        """Each is told what it would be told alone."""
        recorder = Recorder()
        store = await self.make_store(on_command=recorder)
        await store.addresses.add("bob", "e.ve@example.org")
        await store.addresses.add("ada@example.org", "ev.e@example.org")
        await store.addresses.add("bob", "*@target.example")
        await store.addresses.add_alias("alias.example", "target.example")
        wanted: list[tuple[str, str | None]] = [
            ("ada", "example.org"),
            ("a.d.a+x", "example.org"),
            ("eve", "example.org"),
            ("e.ve", "example.org"),
            ("nobody", "example.org"),
            ("x", "alias.example"),
            ("x", "target.example"),
            ("bob", None),
            ("x", "no domain"),
        ]
        whose = ["ada@example.org"] * 2 + [None, "bob", None, "bob", "bob", "bob", None]
        strict = AddressRules(ignore_dots=False)
        recorder.clear()
        asked = [store.addresses.owner(*each, RULES) for each in wanted]
        asked.append(store.addresses.owner("a.da", "example.org", strict))
        found = [await each for each in together(*asked)]
        self.assertEqual([each and each["name"] for each in found], [*whose, None])
        self.assertEqual(
            recorder.names, ["aggregate addresses", "aggregate addresses", "find users"]
        )
        self.assertEqual(await recorder.problems(store.mongo), [])
        self.assertEqual([await self.whose(*each) for each in wanted], whose)

    async def test_they_go_with_the_user(self) -> None:
        await self.addresses.add("bob", "z@example.org")
        await self.store.users.delete("BOB")
        self.assertIsNone(await self.whose("z", "example.org"))
        await self.addresses.add("ada@example.org", "z@example.org")
        self.assertEqual(await self.whose("z", "example.org"), "ada@example.org")

    async def test_a_dotless_form_that_is_wrong_is_found_and_repaired(self) -> None:
        await self.addresses.add("bob", "r.b@example.org")
        change = {"q": {"_id": "r.b@example.org"}, "u": {"$set": {"dotless": "x"}}}
        await self.store.mongo.run({"update": "addresses", "updates": [change]})
        self.assertIsNone(await self.whose("rb", "example.org"))
        for kinds in (["address"], []):
            found = [each async for each in check(self.store.mongo, repair=True)]
            self.assertEqual([each.kind for each in found if isinstance(each, Finding)], kinds)
        self.assertEqual(await self.whose("rb", "example.org"), "bob")

    async def test_nobody_is_made_with_the_address_of_another(self) -> None:
        await self.addresses.add("bob", "z@example.org")
        with self.assertRaises(errors.AlreadyExists):
            await self.store.users.add("Z@example.org", None)


class MemoryAddressesTests(AddressesContract, TestCase):
    async def setUp(self) -> None:
        self.store = MemoryStore()
        self.addresses = self.store.addresses
        for name in ("ada@example.org", "bob"):
            self.store.add_user(name, "x")

    async def whose(self, local: str, domain: str | None, rules: AddressRules = RULES) -> Any:
        user = self.addresses.find(local, domain, rules)
        return None if user is None else user.name


class AskedOnce:
    """A database in which each address is somebody's; its clock, and how often it was asked."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.user = {"_id": ObjectId(), "name": "ada"}
        self.asked = 0

    async def aggregate(self, collection: str, pipeline: Any) -> list[Any]:
        self.asked += 1
        [exact, *_] = pipeline[0]["$match"]["$or"]
        return [
            {"_id": key, "dotless": key, "user": self.user["_id"]} for key in exact["_id"]["$in"]
        ]

    async def find(self, collection: str, filter: Any, **options: Any) -> list[Any]:
        return [self.user]


class RememberedOwnersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.mongo = AskedOnce()
        self.addresses = Addresses(self.mongo, Limits(owners_remembered=3))  # type: ignore[arg-type]

    def ask(self, local: str = "ada") -> None:
        asked = self.begin(local)
        self.mongo.reactor.advance(0)
        self.assertIs(self.successResultOf(asked), self.mongo.user)

    def begin(self, local: str = "ada") -> Deferred[Any]:
        return Deferred.fromCoroutine(self.addresses.owner(local, "example.org", RULES))

    def known(self, local: str = "ada") -> Any:
        return self.addresses.known_owner(local, "example.org", RULES)

    def test_for_a_second(self) -> None:
        self.mongo.reactor.advance(1e9)
        self.assertIsNone(self.known())
        self.ask()
        self.mongo.reactor.advance(0.99)
        self.assertIs(self.known(), self.mongo.user)
        self.mongo.reactor.advance(0.02)
        self.assertIsNone(self.known())

    def test_not_longer_if_the_clock_is_set_back(self) -> None:
        self.mongo.reactor.advance(1e9)
        self.ask()
        self.mongo.reactor.rightNow -= 3600
        self.assertIsNone(self.known())

    def test_by_what_was_asked_for(self) -> None:
        self.ask()
        for local, domain, rules in (
            ("Ada", "example.org", RULES),
            ("ada", "example.net", RULES),
            ("ada", None, RULES),
            ("ada", "example.org", AddressRules(ignore_dots=False)),
        ):
            self.assertIsNone(self.addresses.known_owner(local, domain, rules))

    def test_so_many(self) -> None:
        for local in ("a", "b", "c"):
            self.ask(local)
        self.ask("d")
        self.assertEqual([bool(self.known(local)) for local in "abcd"], [False] * 3 + [True])

    def test_nor_more_that_are_asked_for_at_the_same_time(self) -> None:
        asked = [self.begin(local) for local in "abcde"]
        self.mongo.reactor.advance(0)
        for each in asked:
            self.assertIs(self.successResultOf(each), self.mongo.user)
        self.assertLessEqual(len(self.addresses._lately), 3)

    def test_no_answer_to_a_question_from_before_a_change(self) -> None:
        asked = self.begin()
        self.addresses.forget_owners()
        self.mongo.reactor.advance(0)
        self.assertIs(self.successResultOf(asked), self.mongo.user)
        self.assertIsNone(self.known())
