"""Nothing is lost in a minute in which everything happens once."""

from __future__ import annotations

import os
import random

from tests.history.running import HistoryCase, Size

SHORT = Size(
    writers=6,
    readers=6,
    users=3,
    deliveries=150,
    faults=1,
    pause=(0.5, 1.5),
    election=2_000,
)


class HistoryTests(HistoryCase):
    timeout = 600

    async def test_nothing_that_was_acknowledged_is_lost_and_nothing_is_there_twice(self) -> None:
        seed = int(os.environ.get("DUCKMAIL_TEST_SEED", random.randrange(2**32)))
        await self.run_history(SHORT, seed)
