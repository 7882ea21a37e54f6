"""Random changes, swept and folded meanwhile, come to what they would message by message."""

from __future__ import annotations

import random
from typing import Any

from tests.store.base import simple, state, together
from tests.store.test_sweeps import SWEEPING, WANTED, SweepTestCase
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.store import folding
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.folding import fold
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.store import MailStore
from twisted_duck.values import (
    DELETED,
    FLAGGED,
    SEEN,
    AppendMessage,
    FlagChange,
    StoreResult,
    UIDSet,
)

#: No STORE is a sweep.
PLAIN = Limits(sweep_from=10**9)


class _Pair:
    """A user whose mail is swept, and one to whose mail the same is done message by message."""

    def __init__(self, case: SweepTestCase, swept: StoreAccount, plain: StoreAccount) -> None:
        self.case = case
        self.accounts = swept, plain
        self.boxes: list[StoreMailbox] = []

    async def open(self) -> None:
        self.boxes = [await account.select("INBOX", False) for account in self.accounts]

    async def both(self, work: Any) -> None:
        results = [await work(*each) for each in zip(self.accounts, self.boxes, strict=True)]
        self.case.assertEqual(results[0], results[1])


class SameTests(SweepTestCase):
    """Random changes of two mailboxes, one of them swept, and folded or half folded now and then."""

    async def test_swept_or_not_it_is_the_same(self) -> None:
        await self.same(random.Random(1))

    async def test_swept_or_not_it_is_the_same_in_another_order(self) -> None:
        await self.same(random.Random(2))

    async def same(self, chance: random.Random, steps: int = 48) -> None:
        names = ["swept", "plain"]
        accounts = []
        stores = []
        for name, limits in zip(names, (SWEEPING, PLAIN), strict=True):
            store = await self.make_store(limits=limits)
            accounts.append(await self.make_user(store, name))
            stores.append(store)
        pair = _Pair(self, accounts[0], accounts[1])
        for account in accounts:
            await self.put(account, "INBOX", *map(simple, range(12)))
        await pair.open()
        # A process that has them open now and then, and does not hear of what happens in between.
        later = await self.make_store(limits=SWEEPING)
        known = 0
        swept = 0
        for step in range(steps):
            await self.change(chance, pair, step)
            [document] = await self.mongo.find(
                "mailboxes", {"path": "INBOX", "user": accounts[0]._user}
            )
            swept += len(document.get("sweeps", ()))
            if chance.random() < 0.3:
                await self.fold_some(chance, stores[0], document)
            await self.compare(pair.boxes)
            if chance.random() < 0.3:
                late = [await (await later.account(n)).select("INBOX", False) for n in names]
                await self.compare(late)
                for modseq in {known, max(known - 3, 1)}:
                    self.assertEqual(*(each.index.latest_since(modseq) for each in late))
                known = late[0].index.highest_modseq
                for each in late:
                    await each.close()
            if step % 8 == 7:
                for path in ("INBOX", "Archive"):
                    fresh = [await self.elsewhere(path, name) for name in names]
                    await self.compare(fresh)
                    for modseq in range(1, fresh[0].index.highest_modseq, 4):
                        self.assertEqual(*(each.index.latest_since(modseq) for each in fresh))
                    statuses = [await each.statuses([path], WANTED) for each in accounts]
                    alike = [
                        (s[path].messages, s[path].unseen, s[path].deleted, s[path].deleted_size)
                        for s in statuses
                    ]
                    self.assertEqual(alike[0], alike[1])
                self.assertEqual(await self.findings(), [])
        self.assertGreater(swept, steps)

    async def compare(self, mailboxes: list[StoreMailbox]) -> None:
        one, other = (each.index for each in mailboxes)
        self.assertEqual(state(one), state(other))
        self.assertEqual(one.highest_modseq, other.highest_modseq)
        self.assertEqual((one.unseen, one.deleted), (other.unseen, other.deleted))

    async def fold_some(
        self, chance: random.Random, store: MailStore, document: dict[str, Any]
    ) -> None:
        """All of it, or so many pieces."""
        pieces = chance.randrange(6)
        real = folding._fold_piece

        class Enough(Exception):
            pass

        async def piece(*given: Any) -> int | None:
            nonlocal pieces
            pieces -= 1
            if not pieces:
                raise Enough
            return await real(*given)

        with self.patching(_AT_ONCE=3, _fold_piece=piece):
            try:
                await fold(store.mongo, document["user"], document["_id"])
            except Enough:
                pass

    def patching(self, **values: Any) -> Any:
        from unittest.mock import patch

        return patch.multiple(folding, **values)

    async def change(self, chance: random.Random, pair: _Pair, step: int) -> None:
        uids = list(pair.boxes[0].index.uids)
        if len(uids) < 4:
            arriving = [simple(step), simple(step + 100), simple(step + 200)]
            for account, box in zip(pair.accounts, pair.boxes, strict=True):
                await self.put(account, "INBOX", *arriving, flags=[DELETED])
                await box.refresh()
            return
        at = chance.randrange(len(uids) - 2)
        some = uids[at : at + chance.randint(2, len(uids))]
        if chance.random() < 0.3:
            some = some[::2]
        flags = frozenset(chance.sample([SEEN, FLAGGED, DELETED, "work", "WORK", "$x"], 2))
        mode: Any = chance.choice(["add", "add", "remove", "replace"])
        since = pair.boxes[0].index.highest_modseq - chance.randrange(4)
        kind = chance.randrange(12)

        async def work(account: StoreAccount, box: StoreMailbox) -> object:
            match kind:
                case 0 | 1 | 2 | 3 | 4 | 5:
                    return await box.store(some, FlagChange(mode, flags))
                case 6:
                    return await box.store(some, FlagChange(mode, flags, unchanged_since=since))
                case 7:
                    return await box.store(some[:1], FlagChange(mode, flags))
                case 8:
                    return (await box.copy(some[:3], chosen)).source
                case 9:
                    return (await box.move(some[:2], chosen)).source
                case 10:
                    return await box.expunge(UIDSet.of(uids[: len(uids) // 2]))
                case _:
                    message = AppendMessage(Spool.of(simple(step)), frozenset({SEEN}))
                    await box.replace(some[0], chosen, message)
                    return await box.refresh()

        chosen = chance.choice(["INBOX", "Archive"])
        await pair.both(work)


class AtOnceTests(SweepTestCase):
    """Several processes change one mailbox at the same moments, and fold it meanwhile."""

    async def test_each_change_has_its_place_and_none_gets_lost(self) -> None:
        self.patch(folding, "_AT_ONCE", 3)
        chance = random.Random(3)
        mailbox = await self.filled(24)
        expected = state(mailbox.index)
        boxes = []
        for _ in range(3):
            store = await self.make_store(limits=SWEEPING)
            boxes.append(await (await store.account("ada")).select("INBOX", False))
        swept = 0
        for step in range(16):
            uids = list(mailbox.index.uids)
            gone = chance.sample(uids, 1 if step % 4 == 3 else 0)
            works = [self.change(chance, box, uids) for box in boxes]
            others = [self.folded(), self.folded(), mailbox.remove(gone)]
            *made, one, other, removed = together(*works, *others)
            results = [each for done in made for each in await done]
            for done in (one, other, removed):
                await done
            await mailbox.refresh()
            swept += len((await self.document()).get("sweeps", ()))
            for result, change in sorted(results, key=lambda each: each[0].modseq):
                for uid in result.changed:
                    expected[uid] = (result.modseq, change.apply(expected[uid][1]))
            for uid in gone:
                del expected[uid]
            for box in [*boxes, mailbox, await self.elsewhere()]:
                await box.refresh()
                self.assertEqual(state(box.index), expected)
            self.assertEqual(await self.findings(), [])
        self.assertGreater(swept, 0)

    async def change(
        self, chance: random.Random, box: StoreMailbox, uids: list[int]
    ) -> list[tuple[StoreResult, FlagChange]]:
        """Some changes, one after another, and what came of each."""
        made = []
        for _ in range(3):
            at = chance.randrange(len(uids))
            mode: Any = chance.choice(["add", "remove", "replace"])
            flags = chance.sample([SEEN, FLAGGED, DELETED, "a", "b"], 2)
            change = FlagChange(mode, frozenset(flags))
            some = uids[at : at + chance.choice([1, 4, 12])]
            made.append((await box.store(some, change), change))
        return made
