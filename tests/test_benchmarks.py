"""The benchmarks run against a server of ours; what they say of memory is held to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import partial

from twisted.internet.task import Clock
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from benchmarks import blocks, floor, growth, measuring
from benchmarks.chart import parts
from benchmarks.compare import TARGETS, rows
from benchmarks.logins import Ratio
from benchmarks.mail import KEYS, mailbox
from benchmarks.measuring import Measurement, Report, Result, Work, alternate
from benchmarks.steps import STEPS
from tests import mongo
from tests.clients.server import PASSWORD, USER, ServerTestCase
from twisted_duck.store.schema import BODIES, MAILBOXES, MESSAGES, USERS

#: MiB.  What is allowed for is the message once, as the file that it is received into, and what else there is to do.
SIZE, MOST = 50, 75


class BenchmarkTests(ServerTestCase):
    timeout = 120
    options = (
        *("--pop3", "tcp:0:interface=127.0.0.1", "--lmtp", "tcp:0:interface=127.0.0.1"),
        "--allow-cleartext-auth",
    )

    async def run_benchmark(self, name: str, *more: str) -> dict[str, float]:
        """The last column of the rows with two."""
        port = str(self.server.ports["imaps"])
        said = await self.said(name, "127.0.0.1", port, USER, PASSWORD, "--tls", *more)
        rows = re.findall(r"^(\S.*?)  +([\d.,]+)$", said, re.MULTILINE)
        return {step: float(figure.replace(",", "")) for step, figure in rows}

    async def said(self, name: str, *arguments: str) -> str:
        program = (sys.executable, "-m", "benchmarks." + name, *arguments)
        return (await self.run_program(*program)).stdout

    async def run_steps(self, *more: str) -> Report:
        """`benchmarks.run`, a little of everything; what it has written."""
        file = self.directory / "report.json"
        arguments = ("127.0.0.1", USER, PASSWORD, "--quick", "--json", str(file), *more)
        table = await self.said("run", *arguments)
        report = Report.load(file)
        for result in report.results:
            self.assertIn(result.title, table)
        return report

    def ports(self, *names: str) -> list[str]:
        return [word for name in names for word in (f"--{name}", str(self.server.ports[name]))]

    async def test_every_step_of_every_protocol(self) -> None:
        await self.duckmail("address", "add", USER, "alice@example.org")
        ports = self.ports("imap", "imaps", "pop3", "lmtp")
        pid = f"duckmail={self.server.transport.pid}"
        report = await self.run_steps(*ports, "--address", "alice@example.org", "--pid", pid)
        # A cold mailbox takes a process that nobody here starts.
        done = [each.step for each in report.results]
        self.assertEqual(done, [name for name in STEPS if name != "select-cold"])
        for result in report.results:
            self.assertGreater(min(result.times), 0)
            self.assertEqual([*result.cpu], ["duckmail"])
            self.assertGreater(result.peak["duckmail"], 10)
        units = {each.step: each.unit for each in report.results if each.unit != "/s"}
        self.assertEqual(units, {"idle": "KiB", "idle-tls": "KiB"})

    async def test_steps_and_sizes_are_chosen_and_nothing_is_left(self) -> None:
        steps = ("--steps", "noop,append", "--messages", "7", "--noops", "5")
        report = await self.run_steps(*self.ports("imaps"), *steps)
        self.assertEqual(
            [(each.step, each.items) for each in report.results], [("append", 7), ("noop", 5)]
        )
        again = await self.run_steps(*self.ports("imaps"), *steps)
        self.assertEqual(len(again.results), 2)

    async def test_steps_of_protocols_that_the_server_lacks_are_left_out(self) -> None:
        report = await self.run_steps(*self.ports("pop3"))
        self.assertEqual({each.step.partition("-")[0] for each in report.results}, {"pop3"})

    async def test_growth(self) -> None:
        port = str(self.server.ports["imap"])
        place = ("127.0.0.1", port, USER, PASSWORD)
        said = await self.said("growth", *place, "--sizes", "20,60", "--times", "2")
        head, *rows = [re.split(r"  +", line) for line in said.splitlines()]
        self.assertEqual(head, ["step", "20, ms", "60, ms", "ratio", "flat"])
        self.assertEqual(len(rows), 7)
        for _, few, many, ratio, flat in rows:
            self.assertLess(abs(float(many) / float(few) - float(ratio)), 0.01 + 0.1 * float(ratio))
            self.assertEqual(flat, "yes" if float(ratio) <= 1.5 else "NO")

    async def test_resync(self) -> None:
        cold = await self.start()
        sizes = ("--few", "50", "--many", "400", "--times", "3")
        port = str(cold.ports["imaps"])
        figures = await self.run_benchmark("resync", *sizes, "--cold", port)
        self.assertEqual(len([each for each in figures if each.endswith("ratio")]), 3)
        self.assertEqual([each for each, figure in figures.items() if figure <= 0], [])

    async def test_a_large_message_is_not_held_in_memory(self) -> None:
        pid = str(self.server.transport.pid)
        figures = await self.run_benchmark("memory", "--pid", pid, "--size", str(SIZE))
        self.assertEqual(sorted(figures), ["APPEND", "FETCH BODY[]"])
        self.assertEqual([step for step, grown in figures.items() if grown > MOST], [], figures)


def result(step: str, value: float, unit: str = "/s") -> Result:
    return Result(step, STEPS[step].title, 1, [1.0], value, unit)


class ComparisonTests(SynchronousTestCase):
    def verdict(self, ours: list[Result], theirs: list[Result]) -> dict[str, str]:
        found = rows({each.step: each for each in ours}, {each.step: each for each in theirs})
        names = {STEPS[name].title: name for name in STEPS}
        return {names[row[0]]: row[-1] for row in found[1:]}

    def test_at_least(self) -> None:
        theirs = [result("noop", 100), result("select", 100)]
        ours = [result("noop", 149), result("select", 15)]
        self.assertEqual(self.verdict(ours, theirs), {"noop": "NO", "select": "yes"})

    def test_a_ratio_is_judged_as_it_is_shown(self) -> None:
        theirs = {"noop": result("noop", 10_000)}
        for ours, told in ((14_994, ("1.5", "1.5", "yes")), (14_949, ("1.49", "1.5", "NO"))):
            [_, row] = rows({"noop": result("noop", ours)}, theirs)
            self.assertEqual(row[4:], told)

    def test_arrival_is_held_to_one_by_one(self) -> None:
        theirs = [result("append", 100), result("lmtp", 9000)]
        ours = [result("append", 39), result("lmtp", 101)]
        self.assertEqual(self.verdict(ours, theirs), {"append": "NO", "lmtp": "yes"})

    def test_memory(self) -> None:
        theirs = [result("idle", 547, "KiB")]
        ours = [result("idle", 28, "KiB"), result("idle-tls", 56, "KiB")]
        self.assertEqual(self.verdict(ours, theirs), {"idle": "NO", "idle-tls": "yes"})

    def test_what_it_is_at_first(self) -> None:
        once = Result("noop", "", 6, [3.0, 1.0, 1.0], 6.0, "/s")
        self.assertEqual(rows({"noop": once}, {})[1][2:4], ("6", "2"))

    def test_targets_are_of_steps(self) -> None:
        self.assertEqual(set(TARGETS) - set(STEPS), set())
        self.assertEqual({each.of for each in TARGETS.values()} - {None} - set(STEPS), set())

    def test_a_chart_has_what_all_have_done(self) -> None:
        first = Report("a", {}, [result("noop", 100), result("store", 5), result("idle", 8, "KiB")])
        second = Report("b", {}, [result("idle", 4, "KiB"), result("noop", 50)])
        speed, memory = parts([first, second])
        self.assertEqual((speed.steps, speed.ratios), ([STEPS["noop"].title], [[1], [0.5]]))
        self.assertEqual((memory.steps, memory.ratios), ([STEPS["idle"].title], [[1], [0.5]]))

    def test_servers_take_turns(self) -> None:
        order: list[str] = []
        works = [Work(1, lambda name=name: order.append(name)) for name in "ab"]
        alternate([Measurement("noop", "", work, {}, 3, 0) for work in works])
        self.assertEqual("".join(order), "ababab")

    def test_servers_take_turns_within_what_takes_long(self) -> None:
        order: list[str] = []

        def do(name: str, turns: int) -> Iterator[None]:
            for number in range(turns):
                order.append(f"{name}{number}")
                yield

        works = [Work(1, partial(do, name, turns)) for name, turns in (("a", 2), ("b", 3))]
        results = alternate([Measurement("append", "", work, {}, 2, 0) for work in works])
        self.assertEqual(order, 2 * ["a0", "b0", "a1", "b1", "b2"])
        self.assertEqual([len(each.times) for each in results], [2, 2])

    def test_turns_of_others_do_not_count(self) -> None:
        clock = Clock()
        self.patch(measuring.time, "perf_counter", clock.seconds)

        def do(seconds: float) -> Iterator[None]:
            for _ in range(3):
                clock.advance(seconds)
                yield

        works = [Work(6, partial(do, seconds)) for seconds in (1, 4)]
        results = alternate([Measurement("append", "", work, {}, 2, 0) for work in works])
        self.assertEqual(
            [(each.times, each.value) for each in results], [([3, 3], 2), ([12, 12], 0.5)]
        )

    def test_a_wrong_answer_ends_it(self) -> None:
        work = Work(1, lambda: 1, right=lambda answer: answer == 2)
        self.assertRaises(SystemExit, list, Measurement("noop", "", work, {}, 1, 0).turns())

    def test_messages_are_of_the_size_and_are_found(self) -> None:
        mail = mailbox(200, 3800)
        self.assertTrue(all(3000 < len(each.data) < 4400 for each in mail))
        self.assertEqual(
            [each for each in mail if each.data.count(b"\n") != each.data.count(b"\r\n")], []
        )
        for name in ("from", "subject", "body"):
            key, has = KEYS[name]
            word = key.split()[1]
            # A subject in base64 has no word of itself in it.
            plain = [each for each in mail if each.number % 10]
            self.assertEqual([word in each.data for each in plain], [has(each) for each in plain])


class GrowthTests(SynchronousTestCase):
    def test_is_judged_as_it_is_shown(self) -> None:
        """A ratio of 1.504 is shown as 1.50, and that is flat."""
        few = [0.001, 0.002, 0.009]
        for many, *shown in ((0.003008, "3.008", "1.50", "yes"), (0.003012, "3.012", "1.51", "NO")):
            row = growth.row("NOOP", [few, [many]], None)
            self.assertEqual(row, ("NOOP", "2.000", *shown))

    def test_either_time_or_work_may_be_flat(self) -> None:
        once, twice = [0.001], [0.002]
        for taken, used, flat in (
            ([once, twice], [once, once], "yes"),
            ([once, once], [once, twice], "yes"),
            ([once, twice], [once, twice], "NO"),
        ):
            self.assertEqual(growth.row("NOOP", taken, used)[-1], flat)


class RatioTests(SynchronousTestCase):
    def test_the_median_and_what_is_certain_of_it(self) -> None:
        """Of a hundred, 95 of a hundred times the true median is between the 41st and the 60th."""
        found = Ratio.of([float(number) for number in range(100, 0, -1)])
        self.assertEqual((found.low, found.median, found.high), (41, 50.5, 60))

    def test_of_few_nothing_is_certain(self) -> None:
        found = Ratio.of([3.0, 1.0, 2.0])
        self.assertEqual((found.low, found.median, found.high), (1, 2, 3))


class FloorTests(SynchronousTestCase):
    def test_the_commands_store_what_an_append_does(self) -> None:
        with floor.mongod() as mongo:
            alone = floor.Appends(mongo)
            for _ in range(3):
                alone.transaction()
            alone.document()
            found = {
                name: mongo.run({"find": name, "filter": {}})[0]["cursor"]["firstBatch"]
                for name in (USERS, MAILBOXES, MESSAGES, BODIES)
            }
        [user], [box] = found[USERS], found[MAILBOXES]
        self.assertEqual((user["epoch"], box["uidnext"], box["modseq"]), (3, 4, 4))
        self.assertEqual(
            [(row["uid"], row["modseq"]) for row in found[MESSAGES]], [(2, 2), (3, 3), (4, 4)]
        )
        self.assertEqual(len(found[BODIES]), 4)
        self.assertLessEqual(
            {row["body"] for row in found[MESSAGES]}, {body["_id"] for body in found[BODIES]}
        )

    def test_what_fails_ends_it(self) -> None:
        with floor.mongod() as mongo:
            self.assertRaises(SystemExit, mongo.run, {"rubbish": 1})

    def test_all_are_compared_with_the_first(self) -> None:
        results = [
            Result("append", name, 10, [seconds], 10 / seconds, measuring.PER_SECOND)
            for name, seconds in (("a", 1), ("b", 4))
        ]
        _, first, second = floor.rows(results)
        self.assertEqual(first, ("a", "10", "100.00", "1.000"))
        self.assertEqual(second, ("b", "2", "400.00", "0.250"))


class LargeTests(TestCase):
    """The benchmarks that watch the turns of a process of their own do all that they name, in small."""

    timeout = 120

    async def said(self, name: str, *more: str) -> list[list[str]]:
        """The columns of each row."""
        uri = await mongo.database(self)
        program = ["-m", "benchmarks." + name, "--mongo", uri, *more]
        out, err, code = await getProcessOutputAndValue(
            sys.executable, program, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )
        self.assertEqual(code, 0, err.decode())
        return [re.split("  +", line) for line in out.decode().splitlines()]

    async def test_blocks(self) -> None:
        _, *rows = await self.said("blocks", "--messages", "300", "--large", "1")
        self.assertEqual([row[0] for row in rows], list(blocks.STEPS))
        self.assertNotIn("-", [row[-1] for row in rows], "a step has failed")

    async def test_million(self) -> None:
        _, *rows = await self.said("million", "--messages", "600", "--sessions", "3")
        self.assertEqual(len(rows), 10)
