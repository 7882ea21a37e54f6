"""What costs the same in a large mailbox as in a small one, and whether it does.

    python -m benchmarks.growth HOST PORT USER PASSWORD [--tls | --starttls] [--sizes 1000,10000,100000] [--times 50]
        [--pid NAME=PID ...]

For any IMAP server with UIDPLUS and IDLE.  Prints the median milliseconds of each thing for each size, and how many times
longer the largest mailbox takes than the smallest: at most 1.5 times is flat.  The sizes take turns.  Of processes that are
named, the CPU is told as well, likewise: where others keep the machine busy, it says more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import TypeAlias

from benchmarks import processes
from benchmarks.arguments import add_pids, arguments, connect
from benchmarks.client import Imap, check, table
from benchmarks.mail import message
from benchmarks.processes import Pids
from benchmarks.resync import fill
from benchmarks.subject import MAILBOX

FLAT = 1.5

#: Seconds, and those of the server's processors.
Cost: TypeAlias = tuple[float, float]


class Growing:
    """A mailbox of one size, and what is done in it."""

    def __init__(self, client: Imap, idler: Imap, size: int, pids: Pids) -> None:
        self._client, self._idler, self._pids = client, idler, pids
        self.size = size
        self.name = MAILBOX + b"-%d" % size
        self._flag = b"-"

    def fill(self) -> None:
        fill(self._client, self.name, self.size)
        said = self._client.run(b"STATUS %b (MESSAGES)" % self.name)
        check(b"MESSAGES %d" % self.size in said, "COPY")

    @property
    def ways(self) -> dict[str, Callable[[], Cost]]:
        middle = self.size // 2 + 1
        return {
            "SELECT, warm": lambda: self._timed(b"SELECT " + self.name),
            "STATUS": lambda: self._timed(
                b"STATUS %b (MESSAGES UIDNEXT UNSEEN)" % self.name, self._select, b"UNSELECT"
            ),
            "NOOP": lambda: self._timed(b"NOOP", self._select),
            "APPEND": self._append,
            "FETCH one": lambda: self._timed(b"FETCH %d BODY.PEEK[]" % middle, self._select),
            "STORE one": lambda: self._store(middle),
            "IDLE tells": self._idle,
        }

    @property
    def _select(self) -> bytes:
        return b"SELECT " + self.name

    def _now(self) -> Cost:
        used = processes.fine_cpu(self._pids)
        return time.perf_counter(), used

    def _since(self, began: Cost) -> Cost:
        # In this order, so that it does not count how long looking for the CPU takes.
        ended = time.perf_counter()
        return ended - began[0], processes.fine_cpu(self._pids) - began[1]

    def _timed(self, command: bytes, *before: bytes) -> Cost:
        for each in before:
            self._client.run(each)
        began = self._now()
        self._client.run(command)
        return self._since(began)

    def _store(self, number: int) -> Cost:
        # What is there already is not stored.
        self._flag = b"+" if self._flag == b"-" else b"-"
        return self._timed(b"STORE %d %bFLAGS (\\Flagged)" % (number, self._flag), self._select)

    def _append(self) -> Cost:
        began = self._now()
        self._client.command(b"APPEND %b " % self.name, message(0, 500))
        return self._since(began)

    def _idle(self) -> Cost:
        """From the client's APPEND to the other one's EXISTS."""
        self._idler.run(self._select)
        self._idler.send(b"i IDLE\r\n")
        while not self._idler.line().startswith(b"+"):
            pass
        began = self._now()
        self._client.command(b"APPEND %b " % self.name, message(0, 500))
        while b" EXISTS" not in self._idler.line():
            pass
        took = self._since(began)
        self._idler.send(b"DONE\r\n")
        while not self._idler.line().startswith(b"i OK"):
            pass
        self._idler.run(b"UNSELECT")
        return took


def rows(mailboxes: list[Growing], times: int, pids: Pids) -> list[tuple[str, ...]]:
    sizes = [f"{each.size:,}, ms" for each in mailboxes]
    more = [f"CPU, {each.size:,}, ms" for each in mailboxes] + ["ratio"] if pids else []
    found: list[tuple[str, ...]] = [("step", *sizes, "ratio", *more, "flat")]
    ways = [mailbox.ways for mailbox in mailboxes]
    for name in ways[0]:
        taken: list[list[float]] = [[] for _ in mailboxes]
        used: list[list[float]] = [[] for _ in mailboxes]
        for _ in range(times):
            for way, seconds, cpu in zip(ways, taken, used, strict=True):
                took, used_up = way[name]()
                seconds.append(took)
                cpu.append(used_up)
        found.append(row(name, taken, used if pids else None))
    return found


def row(name: str, taken: list[list[float]], used: list[list[float]] | None) -> tuple[str, ...]:
    """Of the seconds that each size took, and of those of the processors where they are known."""
    time_ratio, shown = _medians(taken)
    cpu_ratio, shown_cpu = _medians(used) if used else (time_ratio, [])
    flat = "yes" if min(time_ratio, cpu_ratio) <= FLAT else "NO"
    return name, *shown, *shown_cpu, flat


def _medians(taken: list[list[float]]) -> tuple[float, list[str]]:
    """How many times more the last has than the first, to two digits as it is shown and judged, and how all that is shown."""
    medians = [statistics.median(each) for each in taken]
    ratio = f"{medians[-1] / medians[0]:.2f}"
    return float(ratio), [*(f"{1000 * each:.3f}" for each in medians), ratio]


def measured(
    client: Imap, idler: Imap, sizes: list[int], times: int, pids: Pids
) -> list[tuple[str, ...]]:
    """Rows of the table."""
    mailboxes = [Growing(client, idler, size, pids) for size in sorted(sizes)]
    try:
        for mailbox in mailboxes:
            mailbox.fill()
        return rows(mailboxes, times, pids)
    finally:
        client.run(b"SELECT INBOX")
        for mailbox in mailboxes:
            client.run(b"DELETE " + mailbox.name)


def main() -> None:
    def describe(parser: argparse.ArgumentParser) -> None:
        parser.description = "What costs the same in a large mailbox as in a small one."
        parser.add_argument("--sizes", default="1000,10000,100000", metavar="N,...")
        parser.add_argument("--times", type=int, default=50, metavar="N", help="(50)")
        add_pids(parser)

    given = arguments(describe)
    client, idler = connect(given), connect(given)
    sizes = [int(each) for each in given.sizes.split(",")]
    print(table(measured(client, idler, sizes, given.times, dict(given.pid))))
    idler.logout()
    client.logout()


if __name__ == "__main__":
    main()
