"""Conditional STORE by many at once, through two stores (RFC 7162 §3.1.3): one wins."""

from __future__ import annotations

from twisted.internet.defer import gatherResults

from tests.store.base import StoreTestCase, simple, together
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.values import FlagChange, StoreResult

CLIENTS, ROUNDS = 200, 2


class ConditionalTests(StoreTestCase):
    async def test_one_of_many_wins_each_round(self) -> None:
        here = await self.make_store()
        accounts = [await self.make_user(here), await (await self.make_store()).account("ada")]
        [uid] = await self.put(accounts[0], "INBOX", simple())
        clients = [await accounts[n % 2].select("INBOX", False) for n in range(CLIENTS)]
        for number in range(ROUNDS):
            for each in clients[:2]:
                await each.refresh()
            known = clients[0].index.modseq(uid)
            results = await gatherResults(
                together(
                    *(
                        self.store(each, uid, f"{number}-{n}", known)
                        for n, each in enumerate(clients)
                    )
                )
            )
            winners = [n for n, result in enumerate(results) if result.changed]
            self.assertEqual(len(winners), 1, f"round {number}")
            self.assertEqual(sum(bool(result.modified) for result in results), CLIENTS - 1)
            for each in clients[:2]:
                await each.refresh()
                self.assertEqual(each.index.flags(uid), {f"{number}-{winners[0]}"})
                self.assertEqual(each.index.modseq(uid), known + 1)

    async def store(self, client: StoreMailbox, uid: int, flag: str, known: int) -> StoreResult:
        flags = frozenset({flag})
        return await client.store([uid], FlagChange("replace", flags, unchanged_since=known))
