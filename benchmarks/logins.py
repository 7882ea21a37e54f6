"""What logins cost that are many, or wrong.

    python -m benchmarks.logins HOST PORT USER PASSWORD --pid PID [--disabled NAME] [--tries 200] [--at-once 200]

HOST is on the loopback, where each client can have an address of its own (127.0.0.0/8): servers count what fails by it.  PORT
is that of IMAP, and takes passwords in clear.  NAME is a user with the same password who may not log in.  A server that
remembers passwords has to forget them at once for this (here: `[auth] cache = 0`).  What is printed:

    the same time           for a wrong password, an unknown user, a disabled user: medians, and what the server's process takes of
                            the processor for each; the last column is its ratio to the first, the median of those of all rounds
                            and between what it is with 95 % certainty (a busy machine changes its speed: what is
                            compared was done within a third of a second, in an order that is drawn, there and back)
    right ones at once      logins a second, what each takes of the processor, and how much the process's memory grew
    a flood of wrong ones   many from one address for one user: how long the answers to NOOP of somebody else take
    the same, from many     as many, each from an address of its own, each of which is looked at
"""

from __future__ import annotations

import argparse
import math
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import attrs

from benchmarks.client import table
from benchmarks.memory import Memory

#: Seconds after which a server is done with a connection that has ended.
_OVER = 0.003
#: Connections that a flood is made over at a time.
_SIDE_BY_SIDE = 20
_PATIENCE = 120


class Login:
    """A connection from an address of its own, for one login."""

    def __init__(self, at: tuple[str, int], source: str) -> None:
        self._socket = socket.create_connection(at, _PATIENCE, (source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self._answers.readline()

    def run(self, command: str) -> tuple[bytes, float]:
        """The tagged answer, or the last one there was, and seconds until it came."""
        begin = time.perf_counter()
        self._socket.sendall(b"a " + command.encode() + b"\r\n")
        line = b"* "
        while line.startswith(b"* "):
            line = self._answers.readline()
        return line, time.perf_counter() - begin

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


def _sources() -> Iterator[str]:
    """Addresses that nobody has had before: begins somewhere, for a server remembers those of the last run."""
    for number in count(random.randrange(1 << 22)):
        yield f"127.{64 + (number >> 16) % 128}.{number >> 8 & 255}.{number & 255}"


@attrs.frozen
class Ratio:
    """The median of many, and between what the true one is with 95 % certainty, however they are distributed."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """By their order: how many of them are below the true median is as often as a coin shows heads."""
        ordered, many = sorted(values), len(values)
        away = math.ceil(0.98 * math.sqrt(many))
        low, high = max(many // 2 - away, 0), min((many - 1) // 2 + away, many - 1)
        return cls(ordered[low], statistics.median(ordered), ordered[high])


@attrs.frozen
class Refused:
    """Logins of one kind."""

    #: Until the answer, of each.
    seconds: list[float] = attrs.field(factory=list)
    #: Seconds of the server's processor for one, in each round.
    cpu: list[float] = attrs.field(factory=list)
    #: What that is of the first kind's in the same round.
    ratios: list[float] = attrs.field(factory=list)

    @property
    def ratio(self) -> Ratio:
        return Ratio.of(self.ratios)


class Logins:
    def __init__(self, given: argparse.Namespace) -> None:
        self._at = given.host, given.port
        self._given = given
        self._sources = _sources()
        self._lock = threading.Lock()

    def source(self) -> str:
        with self._lock:
            return next(self._sources)

    def cpu(self) -> float:
        """Seconds that the server's process has worked: finer than what `processes.cpu` tells."""
        threads = Path(f"/proc/{self._given.pid}/task").iterdir()
        return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9

    def log_in(self, name: str, password: str, source: str | None = None) -> tuple[bytes, float]:
        login = Login(self._at, source or self.source())
        try:
            return login.run(f'LOGIN "{name}" "{password}"')
        finally:
            login.close()

    # --- what is measured ---------------------------------------------------------------------------------------------

    def the_same_time(self) -> Iterator[tuple[str, ...]]:
        for name, found in self.alike().items():
            yield (
                name,
                f"{statistics.median(found.seconds) * 1000:.2f} ms",
                f"{statistics.median(found.cpu) * 1000:.2f} ms of CPU",
                f"{found.ratio.median:.3f} ({found.ratio.low:.3f} to {found.ratio.high:.3f})",
            )

    def alike(self) -> dict[str, Refused]:
        """What each kind of login that fails takes; the first is what the others are compared with."""
        given = self._given
        cases = {
            "wrong password": (given.user, given.password + "!"),
            "unknown user": (given.user + "-nobody", given.password),
        }
        if given.disabled:
            cases["disabled user"] = (given.disabled, given.password)
        found = {name: Refused() for name in cases}
        for _ in range(given.tries):
            order = random.sample(list(cases), len(cases))
            cpu = dict.fromkeys(cases, 0.0)
            # There and back: a machine that becomes slower meanwhile is as slow for all of them.
            for name in (*order, *reversed(order)):
                before = self.cpu()
                answer, seconds = self.log_in(*cases[name])
                if not answer.startswith(b"a NO"):
                    raise SystemExit(f"{name}: {answer!r}")
                time.sleep(_OVER)
                cpu[name] += (self.cpu() - before) / 2
                found[name].seconds.append(seconds)
            for name, each in found.items():
                each.cpu.append(cpu[name])
                each.ratios.append(cpu[name] / cpu["wrong password"])
        return found

    def right_ones_at_once(self) -> Iterator[tuple[str, ...]]:
        many = self._given.at_once
        memory = Memory(self._given.pid)
        memory.begin()
        before = self.cpu()
        logins = [Login(self._at, self.source()) for _ in range(many)]
        barrier = threading.Barrier(many + 1)
        answers: list[tuple[bytes, float]] = []

        def one(login: Login) -> None:
            barrier.wait()
            answers.append(login.run(f'LOGIN "{self._given.user}" "{self._given.password}"'))

        threads = [threading.Thread(target=one, args=(login,)) for login in logins]
        for thread in threads:
            thread.start()
        barrier.wait()
        begin = time.perf_counter()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begin
        good = sum(answer.startswith(b"a OK") for answer, _ in answers)
        for login in logins:
            login.close()
        each = (self.cpu() - before) / many
        rate = f"{good / seconds:.1f} a second"
        yield f"{good} of {many} logged in", rate, f"{each * 1000:.2f} ms of CPU", ""
        yield "memory", f"+{memory.grown():.1f} MiB", "", ""

    def flood(self, source: str | None) -> Iterator[tuple[str, ...]]:
        """@param source: where all of it comes from; None: each from somewhere else"""
        numbers = iter(range(self._given.flood))
        refused: list[float] = []

        def some() -> None:
            while True:
                with self._lock:
                    number = next(numbers, None)
                if number is None:
                    return
                _, seconds = self.log_in(self._given.user, f"wrong {number}", source)
                refused.append(seconds)

        begin, before = time.perf_counter(), self.cpu()
        noops = self._meanwhile(some)
        seconds = time.perf_counter() - begin
        each = (self.cpu() - before) / len(refused)
        rate = f"{len(refused) / seconds:.1f} a second"
        yield "refused", rate, f"{each * 1000:.2f} ms of CPU", ""
        yield "their answer, median", f"{statistics.median(refused) * 1000:.1f} ms", "", ""
        noops.sort()
        yield "NOOP of somebody else, median", f"{statistics.median(noops) * 1000:.1f} ms", "", ""
        p99 = noops[len(noops) * 99 // 100]
        yield "NOOP of somebody else, p99", f"{p99 * 1000:.1f} ms", "", ""

    def _meanwhile(self, work: Callable[[], None]) -> list[float]:
        """How long each NOOP takes while this is done by several."""
        other = Login(self._at, self.source())
        other.run(f'LOGIN "{self._given.user}" "{self._given.password}"')
        threads = [threading.Thread(target=work) for _ in range(_SIDE_BY_SIDE)]
        for thread in threads:
            thread.start()
        noops = []
        while any(thread.is_alive() for thread in threads):
            noops.append(other.run("NOOP")[1])
            time.sleep(0.005)
        other.close()
        return noops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--disabled", help="a user with that password who may not log in")
    parser.add_argument(
        "--tries", type=int, default=200, help="rounds, two of each kind (%(default)s)"
    )
    parser.add_argument("--at-once", type=int, default=200, help="right ones (%(default)s)")
    parser.add_argument("--flood", type=int, default=1_000, help="wrong ones (%(default)s)")
    logins = Logins(parser.parse_args())
    for title, rows in (
        ("the same time", logins.the_same_time()),
        ("right ones at once", logins.right_ones_at_once()),
        ("a flood of wrong ones", logins.flood(logins.source())),
        ("the same, from many", logins.flood(None)),
    ):
        print(table([(title, "", "", ""), *rows]), flush=True)


if __name__ == "__main__":
    main()
