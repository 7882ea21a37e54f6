"""The model, for some hundred steps that are always the same."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

from tests.model.running import ModelCase

SHORT = settings(
    max_examples=12,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    # To find a shorter way to the same failure would take minutes: the long run does that.
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


class ModelTests(ModelCase):
    timeout = 300

    async def test_whatever_six_sessions_do_in_two_processes(self) -> None:
        world = await self.run_machine(SHORT)
        self.assertGreaterEqual(world.steps, 300)
        self.assertEqual([what for what, times in world.did.items() if not times], [])
