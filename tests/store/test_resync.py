"""What the store tells a client that knew less: always the truth, exactly or coarsely, whichever process is asked."""

from __future__ import annotations

import random
from datetime import timedelta

from tests.store.base import StoreTestCase, simple, state
from twisted_duck.imap.resync import vanished
from twisted_duck.imap.view import View
from twisted_duck.store.collector import Collector
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.values import DELETED, FLAGGED, SEEN, FlagChange, Flags, UIDSet

AT_ONCE = timedelta(seconds=-5)


class ResyncTests(StoreTestCase):
    async def test_pictures_of_any_age_become_the_truth(self) -> None:
        chance = random.Random(7)
        store = await self.make_store()
        account = await self.make_user(store)
        await self.put(account, "INBOX", *map(simple, range(12)))
        mailbox = await account.select("INBOX", False)
        pictures: list[tuple[int, dict[int, Flags]]] = []
        exact = coarse = 0
        for step in range(60):
            flags = {uid: flags for uid, (_, flags) in state(mailbox.index).items()}
            pictures.append((mailbox.index.highest_modseq, flags))
            await self.change(chance, mailbox)
            if step in (20, 35):
                self.assertGreater(
                    (await Collector(store.mongo, memory=AT_ONCE).run()).tombstones, 0
                )
            if step % 20 == 19:
                other = await (await self.make_store()).account("ada")
                for modseq, picture in pictures:
                    for asked in (mailbox, await other.select("INBOX", True)):
                        known = await self.come_back(asked, modseq, picture)
                        exact, coarse = exact + known, coarse + (not known)
        self.assertGreater(exact, 100)
        self.assertGreater(coarse, 20)

    async def change(self, chance: random.Random, mailbox: StoreMailbox) -> None:
        uids = list(mailbox.index.uids)
        some = sorted(chance.sample(uids, k=min(len(uids), chance.randint(1, 3))))
        match chance.randrange(5):
            case 0 | 1:
                flag = frozenset({chance.choice((SEEN, FLAGGED))})
                await mailbox.store(some, FlagChange(chance.choice(("add", "remove")), flag))
            case 2:
                await mailbox.store(some[:1], FlagChange("add", frozenset({DELETED})))
                await mailbox.expunge()
            case 3:
                await mailbox.move(some[:1], "INBOX")
            case 4:
                await mailbox.copy(some, "INBOX")

    async def come_back(
        self, mailbox: StoreMailbox, modseq: int, picture: dict[int, Flags]
    ) -> bool:
        """Whether it was remembered what went."""
        index = mailbox.index
        gone = await mailbox.vanished_since(modseq)
        missing = vanished(View(index), index, UIDSet.of(picture), gone)
        mine = {uid: flags for uid, flags in picture.items() if uid not in missing}
        changed = sorted({uid for _, uid in index.changed_since(modseq)})
        mine.update((uid, flags) for uid, _, flags in index.rows(changed))
        self.assertEqual(mine, {uid: flags for uid, (_, flags) in state(index).items()}, modseq)
        return gone is not None
