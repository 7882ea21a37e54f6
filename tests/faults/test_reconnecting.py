"""The store's connections are made again, and something goes wrong then."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from tests.faults.world import World

#: More than there are connections.
_MANY = 12


class ReconnectingTests(TestCase):
    timeout = 60

    async def setUp(self) -> None:
        self.world = await World.make(self)
        self.logs = self.enterContext(capturedLogs())

    def said(self, what: str) -> int:
        return sum(what in formatEvent(event) for event in self.logs)

    async def everybody_is_answered(self) -> None:
        mongo = self.world.store.mongo
        asked = [Deferred.fromCoroutine(mongo.run({"find": "users"})) for _ in range(_MANY)]
        self.assertEqual([answer["ok"] for answer in await gatherResults(asked)], [1.0] * _MANY)

    async def test_a_server_that_can_not_authenticate_for_a_moment(self) -> None:
        """No connection is used that the server does not know us on: each command would be refused there, for good."""
        proxy = self.world.proxy
        proxy.refusals = 6
        proxy.cut()
        for _ in range(5):
            await self.everybody_is_answered()
        self.assertEqual(proxy.refusals, 0)
        self.assertEqual(self.said("refuses us"), 0)

    async def test_a_server_that_is_silent_while_a_connection_is_made(self) -> None:
        """It is given up, or it would be one that is being made for ever."""
        proxy = self.world.proxy
        proxy.swallows = 6
        proxy.cut()
        await self.world.recovered()
        for _ in range(500):
            if not proxy.swallows:
                break
            await self.world.pause(0.02)
        self.assertEqual(proxy.swallows, 0)
        # Three, and one for the change stream.
        while len(self.world.store.mongo._pool.wires) < 3:  # type: ignore[union-attr]
            await self.world.pause(0.02)
        await self.everybody_is_answered()

    async def test_an_outage_is_told_when_it_begins_and_when_it_is_over(self) -> None:
        world = self.world
        await world.proxy.shut()
        while not self.said("have stopped"):
            await world.pause(0.02)
        world.proxy.reopen()
        await world.recovered()
        while not self.said("are heard again"):
            await world.pause(0.02)
        told = ("MongoDB is away: the connection was lost", "MongoDB is back after", "news of")
        self.assertEqual([self.said(each) for each in told], [1, 1, 2])
