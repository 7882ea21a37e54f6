"""A run: clients work while processes are killed; afterwards what is there is held against what they were answered."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.clients.server import environment, program
from tests.history.checker import Problem, check, late
from tests.history.client import PASSWORD, PATIENCE, Address, Client, World
from tests.history.cluster import Cluster, reactor, until
from tests.history.messages import DOMAIN, digest, name_of
from tests.history.reader import NEXT, VALIDITY, Reader, Session, fetched
from tests.history.record import Delivered, Fault, Found, Outcome, Record
from tests.history.summary import summary
from tests.history.writer import Writer
from twisted_duck.store.store import MailStore

KINDS = ("server killed", "primary stepped down", "primary killed")

#: UIDs of which the bodies are read at a time.
_AT_ONCE = 200


@attrs.frozen
class Size:
    """How much is done, and how often something is done to the server."""

    writers: int
    readers: int
    users: int
    #: Recipients of messages by LMTP that were told 250, at least.
    deliveries: int
    #: Of each kind, at least.
    faults: int
    #: Seconds from one to the next, between these.
    pause: tuple[float, float]
    #: Milliseconds without a primary after which one is elected; MongoDB's own are 10,000.
    election: int


class HistoryCase(TestCase):
    async def run_history(self, size: Size, seed: int) -> None:
        print(f"DUCKMAIL_TEST_SEED={seed}")
        self.chance = random.Random(seed)
        self.cluster = cluster = Cluster.make()
        self.addCleanup(cluster.remove)
        self.addCleanup(cluster.end)
        users = tuple(f"user{number}@{DOMAIN}" for number in range(size.users))
        await cluster.start_database(size.election)
        await self._add_users(users)
        await gatherResults(
            Deferred.fromCoroutine(cluster.start_server(server)) for server in cluster.servers
        )
        world = self.world = World(seed, tuple(s.address for s in cluster.servers), users)
        clients = _clients(world, size)
        try:
            for client in clients:
                client.start()
            await self._harm(size, clients)
            world.over.set()
            await self._join(clients)
            await until(cluster.are_well, "all members are there")
            found = await self._look()
        except BaseException as error:
            # Whoever is still at it is not to find that there is nobody.
            world.over.set()
            error.add_note(f"The record is in {self._leave_behind([])}")
            raise
        self._report(found)

    async def _add_users(self, users: tuple[str, ...]) -> None:
        store = MailStore(self.cluster.uri)
        await store.open()
        try:
            for user in users:
                await store.users.add(user, PASSWORD)
        finally:
            await store.close()

    # --- while it runs ------------------------------------------------------------------------------------------------

    async def _harm(self, size: Size, clients: list[Client]) -> None:
        """Until enough was delivered, and enough has happened."""
        faults: dict[str, Callable[[random.Random], Awaitable[str]]] = {
            "server killed": self.cluster.kill_server,
            "primary stepped down": self.cluster.step_down,
            "primary killed": self.cluster.kill_primary,
        }
        record = self.world.record
        happened: Counter[str] = Counter()
        while True:
            await deferLater(reactor, self.chance.uniform(*size.pause))
            self._go_on(clients)
            delivered = _delivered(record)
            missing = [kind for kind in KINDS if happened[kind] < size.faults]
            if delivered >= size.deliveries and not missing:
                return
            kind = self.chance.choice(missing or KINDS)
            at = self.world.now()
            what = await faults[kind](self.chance)
            if what:
                record.faults.append(Fault(kind, at, what))
                happened[kind] += 1
                # Or the next thing happens while there is no primary.
                if self.chance.random() < 0.7:
                    await until(self.cluster.has_primary, "there is a primary")
            if size.deliveries > 1_000:
                print(
                    f"{self.world.now():7.1f} s, {delivered} deliveries; {kind}: {what or 'not now'}"
                )

    def _go_on(self, clients: list[Client]) -> None:
        failures = [client.failure for client in clients if client.failure]
        if failures:
            raise AssertionError("\n".join(failures))

    async def _join(self, clients: list[Client]) -> None:
        end = time.monotonic() + 2 * PATIENCE

        def wait() -> list[str]:
            for client in clients:
                client.join(max(0.0, end - time.monotonic()))
            return [client.name for client in clients if client.is_alive()]

        waiting = await deferToThread(wait)
        self._go_on(clients)
        if waiting:
            self.fail(f"they still wait: {waiting}")

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def _look(self) -> list[Found]:
        """All that is there, which every process has to say."""
        servers, users = self.world.servers, self.world.users
        found = [
            each
            for user in users
            for each in await deferToThread(lambda u=user: list(_all(servers[0], u)))  # type: ignore[misc]
        ]
        said = {(f.user, f.mailbox, f.uid): (f.flags, f.modseq) for f in found}
        for server in servers[1:]:
            other = {}
            for user in users:
                other.update(await deferToThread(_brief, server, user))
            if other != said:
                places = sorted(
                    place
                    for place in other.keys() | said.keys()
                    if other.get(place) != said.get(place)
                )
                self.fail(f"{server.name} and {servers[0].name} differ about {places[:20]}")
        return found

    def _report(self, found: list[Found]) -> None:
        record = self.world.record
        problems = check(record, found)
        stale = late(record)
        for line in summary(record, found, len(stale)):
            print(line)
        done = subprocess.run(
            [program("duckmail"), "check", "--contents", "--mongo", self.cluster.uri],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        print("duckmail check:", *done.stdout.splitlines()[-1:])
        if problems or done.returncode:
            where = self._leave_behind([*problems, *stale], found)
            first = "\n".join(map(str, problems[:20]))
            self.fail(
                f"{len(problems)} things can't be true:\n{first}\nduckmail check: {done.stdout}{done.stderr}\n"
                f"The record is in {where}"
            )

    def _leave_behind(self, problems: list[Problem], found: Sequence[Found] = ()) -> Path:
        """For whoever wants to know what happened: all of the record, what is about each problem, the servers' logs."""
        where = Path.cwd() / f"history-{self.world.seed}"
        where.mkdir(exist_ok=True)
        record = self.world.record
        with open(where / "problems.txt", "w", encoding="utf-8") as file:
            for problem in problems:
                print(problem, file=file)
                there = [
                    str(f)
                    for f in found
                    if f.user == problem.user and f.message in problem.messages
                ]
                for line in (*record.lines(problem.user, problem.messages), *there):
                    print("   ", line, file=file)
        (where / "record.txt").write_text("\n".join(record.lines()), encoding="utf-8")
        for log in self.cluster.directory.glob("*.log"):
            shutil.copy(log, where)
        return where


def _clients(world: World, size: Size) -> list[Client]:
    clients: list[Client] = [
        Writer(world, f"writer{number}", min(3, size.users)) for number in range(size.writers)
    ]
    for number in range(size.readers):
        user = number % size.users
        of = len(range(user, size.readers, size.users))
        share = (number // size.users, of)
        clients.append(Reader(world, f"reader{number}", world.users[user], share))
    return clients


def _delivered(record: Record) -> int:
    return sum(isinstance(e, Delivered) and e.outcome is Outcome.DONE for e in record.events)


# --- what is there ----------------------------------------------------------------------------------------------------


def _all(server: Address, user: str) -> Iterator[Found]:
    session = Session(server, user)
    for mailbox in session.mailboxes():
        answer = session.ask(f"EXAMINE {mailbox} (CONDSTORE)")
        validity = answer.number(VALIDITY)
        highest = answer.number(NEXT)
        for first in range(1, highest, _AT_ONCE):
            answer = session.ask(
                f"UID FETCH {first}:{first + _AT_ONCE - 1} (FLAGS MODSEQ BODY.PEEK[])"
            )
            for uid, flags, modseq, content in fetched(answer):
                name = name_of(content)
                yield Found(user, mailbox, validity, uid, name, digest(content), flags, modseq)
    session.close()


def _brief(server: Address, user: str) -> dict[tuple[str, str, int], tuple[frozenset[str], int]]:
    session = Session(server, user)
    there = {}
    for mailbox in session.mailboxes():
        session.ask(f"EXAMINE {mailbox} (CONDSTORE)")
        for uid, flags, modseq, _ in fetched(session.ask("UID FETCH 1:* (FLAGS MODSEQ)")):
            there[user, mailbox, uid] = (flags, modseq)
    session.close()
    return there
