"""Whatever step of a change the database fails at, the change is wholly there or wholly not, and its client knows which.

What the steps are nobody has to know here: a fault is put at the first command, the second, and so on, until the change is
over before it is met.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from tests.faults import changes
from tests.faults.changes import Change, Ready
from tests.faults.proxy import Fault, Kind
from tests.faults.world import PATIENT, SHORT, State, World
from twisted_duck.limits import Limits
from twisted_duck.names import INBOX
from twisted_duck.store import folding

#: What one command meets, after which all is well again.  Of these no client hears.
PASSING = ("conflict", "stepped down", "unsent", "unheard")
#: No change has more commands.
_MOST = 200
#: Every command is met with DUCKMAIL_TEST_COMMANDS=all (`tox -e faults`), else one of so many.
_EVERY = 1 if os.environ.get("DUCKMAIL_TEST_COMMANDS") == "all" else 8


class StepCase(TestCase):
    timeout = 1200 if _EVERY == 1 else 120
    #: Stores that meet faults at the same time.
    side_by_side = 2
    #: Of the store while there is a fault.
    times = PATIENT
    limits: Limits | None = None

    async def setUp(self) -> None:
        self.world = await World.make(self, self.times, self.limits)

    async def everywhere(self, change: Change, *faults: Callable[[int], Fault]) -> None:
        """Meet each fault at each command."""
        ready = await change(self.world)
        before = await states(self.world, ready)
        self.assertEqual(set(await ready.act()), {"made"})
        after = await states(self.world, ready)
        await self.look_again(self.world, ready)
        # Each fault begins at another place, so that the sample meets every command with one or the other.
        todo = [(f, iter(range(1 + n % _EVERY, _MOST, _EVERY))) for n, f in enumerate(faults)]
        met = 0

        async def work(world: World) -> None:
            nonlocal met
            while todo:
                fault, places = todo[0]
                at = next(places)
                if await self.once(world, change, fault(at), before, after):
                    met += 1
                else:
                    self.assertLess(at + _EVERY, _MOST)
                    todo[:] = [each for each in todo if each[0] is not fault]

        worlds = [self.world, *[await self.world.another() for _ in range(self.side_by_side - 1)]]
        await gatherResults([Deferred.fromCoroutine(work(world)) for world in worlds])
        self.assertEqual(await self.world.findings(), [])
        if _EVERY == 1:
            print(f"\n    {met} times a command met a fault")

    async def once(
        self, world: World, change: Change, fault: Fault, before: Any, after: Any
    ) -> bool:
        """Whether the fault was met at all."""
        ready = await change(world)
        if ready.session is not None:
            self.addCleanup(ready.session.disconnect)
        world.arm(fault)
        verdicts = await ready.act()
        now = await states(world, ready)
        hit = await world.disarm()
        for verdict, is_now, was, would in zip(verdicts, now, before, after, strict=True):
            possible = {"made": [would], "not made": [was], "unknown": [was, would]}
            self.assertIn(is_now, possible[verdict], f"{fault}: {verdict}")
        if fault.kind in PASSING and not (fault.stays or fault.then):
            self.assertEqual(set(verdicts), {"made"}, fault)
        await self.look_again(world, ready)
        return hit

    async def look_again(self, world: World, ready: Ready) -> None:
        """The session goes on, and what it sees is what there is."""
        session, user = ready.session, ready.users[0]
        if session is None:
            return
        if ready.sees and not session.is_over:
            await session.imap("NOOP")
            lines = await session.imap("UID FETCH 1:* FLAGS")
            state = await world.state(user)
            assert lines and state
            self.assertTrue(lines[-1].startswith("OK"), lines)
            seen = sum(" FETCH (" in line for line in lines)
            self.assertEqual(seen, len(state["mailboxes"][INBOX][3]), lines)
        session.disconnect()


async def states(world: World, ready: Ready) -> list[State | None]:
    return [await world.state(user) for user in ready.users]


def _once(kind: Kind) -> Callable[[int], Fault]:
    return lambda at: Fault(kind, at)


#: One command meets something, and everything is well again.
ONCE = [
    _once(kind)
    for kind in ("conflict", "stepped down", "failure", "full", "unsent", "unheard", "denied")
]
#: The database goes away for longer than anybody waits: before a command reaches it, or after it was done.
AWAY = [
    lambda at: Fault("unsent", at, stays=True),
    lambda at: Fault("unheard", at, then="unsent"),
    lambda at: Fault("unheard", at, then="silent"),
    lambda at: Fault("full", at, stays=True),
]


class OnceTests(StepCase):
    async def test_append(self) -> None:
        await self.everywhere(changes.append, *ONCE)

    async def test_append_selected(self) -> None:
        await self.everywhere(changes.append_selected, *ONCE)

    async def test_append_attachment(self) -> None:
        await self.everywhere(changes.append_attachment, *ONCE)

    async def test_multiappend(self) -> None:
        await self.everywhere(changes.multiappend, *ONCE)

    async def test_copy(self) -> None:
        await self.everywhere(changes.copy, *ONCE)

    async def test_copy_here(self) -> None:
        await self.everywhere(changes.copy_here, *ONCE)

    async def test_move(self) -> None:
        await self.everywhere(changes.move, *ONCE)

    async def test_store(self) -> None:
        await self.everywhere(changes.store, *ONCE)

    async def test_expunge(self) -> None:
        await self.everywhere(changes.expunge, *ONCE)

    async def test_replace(self) -> None:
        await self.everywhere(changes.replace, *ONCE)

    async def test_create(self) -> None:
        await self.everywhere(changes.create, *ONCE)

    async def test_subscribe(self) -> None:
        await self.everywhere(changes.subscribe, *ONCE)

    async def test_delete(self) -> None:
        await self.everywhere(changes.delete, *ONCE)

    async def test_rename(self) -> None:
        await self.everywhere(changes.rename, *ONCE)

    async def test_rename_inbox(self) -> None:
        await self.everywhere(changes.rename_inbox, *ONCE)

    async def test_update(self) -> None:
        await self.everywhere(changes.update, *ONCE)

    async def test_update_to_trash(self) -> None:
        await self.everywhere(changes.update_to_trash, *ONCE)

    async def test_delivery(self) -> None:
        await self.everywhere(changes.delivery, *ONCE)

    async def test_delivery_of_attachment(self) -> None:
        await self.everywhere(changes.delivery_of_attachment, *ONCE)

    async def test_user_deleted(self) -> None:
        await self.everywhere(changes.user_deleted, *ONCE)

    async def test_collection(self) -> None:
        # One would collect what is the other's.
        self.side_by_side = 1
        await self.everywhere(changes.collection, *ONCE)


class AwayTests(StepCase):
    times = SHORT
    # Most of it is waiting.
    side_by_side = 6

    async def test_append(self) -> None:
        await self.everywhere(changes.append, *AWAY)

    async def test_append_selected(self) -> None:
        await self.everywhere(changes.append_selected, *AWAY)

    async def test_append_attachment(self) -> None:
        await self.everywhere(changes.append_attachment, *AWAY)

    async def test_multiappend(self) -> None:
        await self.everywhere(changes.multiappend, *AWAY)

    async def test_copy(self) -> None:
        await self.everywhere(changes.copy, *AWAY)

    async def test_copy_here(self) -> None:
        await self.everywhere(changes.copy_here, *AWAY)

    async def test_move(self) -> None:
        await self.everywhere(changes.move, *AWAY)

    async def test_store(self) -> None:
        await self.everywhere(changes.store, *AWAY)

    async def test_expunge(self) -> None:
        await self.everywhere(changes.expunge, *AWAY)

    async def test_replace(self) -> None:
        await self.everywhere(changes.replace, *AWAY)

    async def test_create(self) -> None:
        await self.everywhere(changes.create, *AWAY)

    async def test_subscribe(self) -> None:
        await self.everywhere(changes.subscribe, *AWAY)

    async def test_delete(self) -> None:
        await self.everywhere(changes.delete, *AWAY)

    async def test_rename(self) -> None:
        await self.everywhere(changes.rename, *AWAY)

    async def test_rename_inbox(self) -> None:
        await self.everywhere(changes.rename_inbox, *AWAY)

    async def test_update(self) -> None:
        await self.everywhere(changes.update, *AWAY)

    async def test_update_to_trash(self) -> None:
        await self.everywhere(changes.update_to_trash, *AWAY)

    async def test_delivery(self) -> None:
        await self.everywhere(changes.delivery, *AWAY)

    async def test_delivery_of_attachment(self) -> None:
        await self.everywhere(changes.delivery_of_attachment, *AWAY)

    async def test_user_deleted(self) -> None:
        await self.everywhere(changes.user_deleted, *AWAY)


class SweepOnceTests(StepCase):
    limits = Limits(sweep_from=2, sweep_rest=3600)

    async def test_sweep(self) -> None:
        await self.everywhere(changes.sweep, *ONCE)

    async def test_folding(self) -> None:
        self.patch(folding, "_AT_ONCE", 3)
        await self.everywhere(changes.folding, *ONCE)

    async def test_copy(self) -> None:
        await self.everywhere(changes.copy_swept, *ONCE)

    async def test_move(self) -> None:
        await self.everywhere(changes.move_swept, *ONCE)

    async def test_rename_inbox(self) -> None:
        await self.everywhere(changes.rename_swept, *ONCE)


class SweepAwayTests(StepCase):
    limits = Limits(sweep_from=2, sweep_rest=3600)
    times = SHORT
    side_by_side = 6

    async def test_sweep(self) -> None:
        await self.everywhere(changes.sweep, *AWAY)

    async def test_folding(self) -> None:
        self.patch(folding, "_AT_ONCE", 3)
        await self.everywhere(changes.folding, *AWAY)

    async def test_copy(self) -> None:
        await self.everywhere(changes.copy_swept, *AWAY)

    async def test_move(self) -> None:
        await self.everywhere(changes.move_swept, *AWAY)

    async def test_rename_inbox(self) -> None:
        await self.everywhere(changes.rename_swept, *AWAY)
