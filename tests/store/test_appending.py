"""What is known of messages that are not stored yet is bounded for each user."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.task import deferLater

from tests.store.base import StoreTestCase, simple, together
from twisted_duck import errors
from twisted_duck.limits import Limits
from twisted_duck.store import account as module
from twisted_duck.store.arrival import known
from twisted_duck.store.connection import Times


class RoomTests(StoreTestCase):
    #: As much as two of the messages below have.
    limits = Limits(appending=2 * known(len(simple())))

    def count(self) -> list[int]:
        """The messages that are looked at from now on."""
        looked_at: list[int] = []
        ready = module.ready

        async def counted(*arguments: Any) -> Any:
            looked_at.append(len(arguments[4]))
            return await ready(*arguments)

        self.patch(module, "ready", counted)
        return looked_at

    async def test_others_are_looked_at_when_some_are_stored(self) -> None:
        store = await self.make_store(limits=self.limits)
        ada = await self.make_user(store)
        sessions = [await store.account("ada") for _ in range(3)]
        looked_at = self.count()
        async with ada._writer.turn():
            begun = together(
                *(self.put(each, "INBOX", simple(n)) for n in range(4) for each in sessions)
            )
            self.assertEqual(sum(looked_at), 2)
        uids = await gatherResults(begun)
        self.assertEqual(sorted(uid for [uid] in uids), list(range(1, 13)))

    async def test_a_command_of_more_than_there_is_room_for_is_alone(self) -> None:
        store = await self.make_store(limits=self.limits)
        ada = await self.make_user(store)
        looked_at = self.count()
        async with ada._writer.turn():
            begun = together(
                self.put(ada, "INBOX", *map(simple, range(5))),
                self.put(await store.account("ada"), "INBOX", simple()),
            )
            self.assertEqual(looked_at, [5])
        self.assertEqual(await gatherResults(begun), [[1, 2, 3, 4, 5], [6]])

    async def test_one_that_fails_leaves_its_room_to_others(self) -> None:
        store = await self.make_store(limits=self.limits)
        ada = await self.make_user(store)
        for _ in range(3):
            with self.assertRaises(errors.TryCreate):
                await self.put(ada, "missing", simple())
        many = frozenset(f"k{n}" for n in range(self.limits.flags_per_message + 1))
        for _ in range(3):
            with self.assertRaises(errors.TooMany):
                await self.put(ada, "INBOX", simple(), flags=many)
        self.assertEqual(await self.put(ada, "INBOX", simple()), [1])

    async def test_where_those_before_them_fail_all_do(self) -> None:
        store = await self.make_store(limits=self.limits, times=Times(turn=0.2))
        ada = await self.make_user(store)
        sessions = [await store.account("ada") for _ in range(3)]
        async with ada._writer.turn():
            begun = together(*(self.put(each, "INBOX", simple()) for each in sessions))
            outcomes = await DeferredList(begun, consumeErrors=True)
        for done, failure in outcomes:
            self.assertFalse(done)
            failure.trap(errors.Unavailable)
        # Whoever comes while those who waited are told fails with them.
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        self.assertEqual(await self.put(ada, "INBOX", simple()), [1])
