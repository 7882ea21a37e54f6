"""Runs the machine against two server processes on one database."""

from __future__ import annotations

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.clients.server import ServerTestCase
from tests.model.machine import Machine, World


class ModelCase(ServerTestCase):
    async def run_machine(self, how: settings, number: int | None = None) -> World:
        """With `number` as the seed, if there is one."""
        other = await self.start()
        world = self.world = World([self.server.ports["imaps"], other.ports["imaps"]])
        machine = type("BoundMachine", (Machine,), {"world": world})
        if number is not None:
            machine = seed(number)(machine)
        try:
            await self.blocking(lambda: run_state_machine_as_test(machine, settings=how))
        except Exception as error:
            # What depends on which process was quicker may not happen again: then Hypothesis speaks of a flaky test.
            inner = "\n".join(map(repr, getattr(error, "exceptions", ())))
            # Trial shows no notes of an exception.
            print(inner, "What was said before:", *world.failed, sep="\n")
            raise
        finally:
            world.close()
        return world
