"""Nothing is lost in ten thousand deliveries, or as many as DUCKMAIL_TEST_DELIVERIES says.

Every few seconds something happens, each kind DUCKMAIL_TEST_FAULTS times at least (10).  The seed is printed;
DUCKMAIL_TEST_SEED has the same clients do the same, as far as the server's answers let them.
"""

from __future__ import annotations

import os
import random

from tests.history.running import HistoryCase, Size

LONG = Size(
    writers=20,
    readers=20,
    users=5,
    deliveries=int(os.environ.get("DUCKMAIL_TEST_DELIVERIES", "10000")),
    faults=int(os.environ.get("DUCKMAIL_TEST_FAULTS", "10")),
    pause=(2.0, 6.0),
    election=int(os.environ.get("DUCKMAIL_TEST_ELECTION", "10000")),
)


class LongRun(HistoryCase):
    timeout = 4 * 3600

    async def test_nothing_that_was_acknowledged_is_lost_and_nothing_is_there_twice(self) -> None:
        seed = int(os.environ.get("DUCKMAIL_TEST_SEED", random.randrange(2**32)))
        await self.run_history(LONG, seed)
