"""The model, for as many steps as wanted: ten thousand if DUCKMAIL_TEST_STEPS does not say how many.

The seed is printed; DUCKMAIL_TEST_SEED has the same steps come again.
"""

from __future__ import annotations

import os
import random
import time
from math import ceil

from hypothesis import HealthCheck, Phase, settings
from twisted.internet.task import LoopingCall

from tests.model.running import ModelCase

STEPS = int(os.environ.get("DUCKMAIL_TEST_STEPS", "10000"))
#: Of one run, which begins with two empty mailboxes.
STEPS_OF_RUN = 100


class LongRun(ModelCase):
    timeout = 4 * 3600

    async def test_whatever_six_sessions_do_in_two_processes(self) -> None:
        number = int(os.environ.get("DUCKMAIL_TEST_SEED", random.randrange(2**32)))
        print(f"DUCKMAIL_TEST_SEED={number}")
        how = settings(
            # Some runs end before they have to.
            max_examples=ceil(1.2 * STEPS / STEPS_OF_RUN),
            stateful_step_count=STEPS_OF_RUN,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        began = time.monotonic()
        progress = LoopingCall(lambda: print(f"{self.world.steps} steps"))
        progress.start(60, now=False)
        self.addCleanup(progress.stop)
        world = await self.run_machine(how, number)
        print(f"{world.steps} steps in {time.monotonic() - began:.0f} s: {dict(world.did)}")
        self.assertGreaterEqual(world.steps, STEPS)
