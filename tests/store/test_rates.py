"""Rates that hold over several processes: two stores on one database are two processes."""

from __future__ import annotations

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from tests.store.base import StoreTestCase, together
from tests.store.recorder import Recorder
from twisted_duck.errors import TooManyConnections
from twisted_duck.interfaces import IRates
from twisted_duck.policies import Mask, SharedRate
from twisted_duck.session import Session
from twisted_duck.values import Bucket


class RatesCase(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.one = await self.make_store(on_command=self.recorder)
        self.other = await self.make_store(on_command=self.recorder)


class StoreRatesTests(RatesCase):
    async def test_what_the_interface_promises(self) -> None:
        verifyObject(IRates, self.one.rates)

    async def test_as_many_as_there_are_for_all_together(self) -> None:
        bucket = Bucket("a", 10, 600)
        taken = await gatherResults(
            together(*(s.rates.take([bucket]) for _ in range(20) for s in (self.one, self.other)))
        )
        self.assertEqual((taken.count(None), taken.count(0)), (10, 30))

    async def test_they_come_again(self) -> None:
        bucket = Bucket("a", 4, 600)
        for minutes, some in ((0, 4), (3, 1), (5, 2), (60, 4)):
            # So much later.
            back = {"$inc": {"full": -minutes * 60_000}}
            await self.one.mongo.run({"update": "rates", "updates": [{"q": {}, "u": back}]})
            taken = [await self.other.rates.take([bucket]) for _ in range(5)]
            self.assertEqual(taken, [None] * some + [0] * (5 - some))

    async def test_a_token_of_each_or_of_none(self) -> None:
        small, large = Bucket("small", 2, 600), Bucket("large", 4, 600)
        takes = [await self.one.rates.take([large, small]) for _ in range(10)]
        self.assertEqual(takes, [None, None] + [1] * 8)
        self.assertEqual([await self.other.rates.take([large]) for _ in range(3)], [None, None, 0])

    async def test_other_numbers_are_another_bucket(self) -> None:
        for bucket in (Bucket("a", 1, 600), Bucket("a", 2, 600), Bucket("a", 1, 900)):
            self.assertIsNone(await self.one.rates.take([bucket]))

    async def test_more_than_one_in_a_millisecond(self) -> None:
        bucket = Bucket("a", 1_000_000, 1)
        self.assertEqual([await self.one.rates.take([bucket]) for _ in range(20)], [None] * 20)

    async def test_it_is_removed_when_it_is_full(self) -> None:
        await self.one.rates.take([Bucket("a", 10, 60)])
        (kept,) = await self.one.mongo.find("rates", {}, readConcern={})
        self.assertEqual(kept["_id"], "a 10/60")
        left = kept["until"].timestamp() * 1000 - kept["full"]
        self.assertTrue(0 <= left < 2, kept)

    async def test_one_command_for_each_bucket_and_no_scan(self) -> None:
        small, large = Bucket("small", 1, 600), Bucket("large", 4, 600)
        self.recorder.clear()
        await self.one.rates.take([large, small])
        self.assertEqual(self.rates(), ["findAndModify rates"] * 2)
        await self.one.rates.take([large, small])
        self.assertEqual(self.rates(), ["findAndModify rates"] * 5)
        self.assertEqual(await self.recorder.problems(self.one.mongo), [])

    def rates(self) -> list[str]:
        return [name for name in self.recorder.names if "rates" in name]


class SharedRateTests(RatesCase):
    """The policy of each of the two processes."""

    async def admitted(self, policy: SharedRate, *hosts: str) -> int:
        admitted = 0
        for host in hosts:
            try:
                await policy.onConnect(Session("IMAP", remoteAddress=host))
                admitted += 1
            except TooManyConnections:
                pass
        return admitted

    async def test_spread_over_the_processes(self) -> None:
        masks = Mask(32, 64, 4), Mask(24, 56, 6)
        one, other = (SharedRate(s.rates, masks, 600) for s in (self.one, self.other))
        self.assertEqual(await self.admitted(one, *["192.0.2.1"] * 3), 3)
        self.assertEqual(await self.admitted(other, *["192.0.2.1"] * 9), 1)
        self.assertEqual(await self.admitted(other, *["192.0.2.2"] * 9), 2)
        self.assertEqual(await self.admitted(one, "192.0.2.3", "192.0.3.1", "2001:db8::1"), 2)

    async def test_what_this_process_knows_is_not_asked(self) -> None:
        policy = SharedRate(self.one.rates, [Mask(32, 64, 2)], 600)
        await self.admitted(policy, *["192.0.2.1"] * 2)
        self.recorder.clear()
        self.assertEqual(await self.admitted(policy, *["192.0.2.1"] * 100), 0)
        self.assertEqual([n for n in self.recorder.names if "rates" in n], [])
        self.assertEqual(policy.refused, 100)

    async def test_policies_of_other_names_are_others(self) -> None:
        for name in ("a", "b"):
            policy = SharedRate(self.one.rates, [Mask(32, 64, 2)], 600, name=name)
            self.assertEqual(await self.admitted(policy, *["192.0.2.1"] * 4), 2)
