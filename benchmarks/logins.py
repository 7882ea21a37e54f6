"""What logins cost that are many, or wrong.

    python -m benchmarks.logins HOST PORT USER PASSWORD --pid PID [--disabled NAME] [--tries 200] [--at-once 200]

HOST is on the loopback, where each client can have an address of its own (127.0.0.0/8): servers count what fails by it.  PORT
is that of IMAP, and takes passwords in clear.  NAME is a user with the same password who may not log in.  A server that
remembers passwords has to forget them at once for this (here: `[auth] cache = 0`).  What is printed:

    the same time           for a wrong password, an unknown user, a disabled user: medians, and what the server's process takes of
                            the processor for each, which is the same on a busy machine; the last column is its ratio to the first
    right ones at once      logins a second, what each takes of the processor, and how much the process's memory grew
    a flood of wrong ones   many from one address for one user: how long the answers to NOOP of somebody else take
    the same, from many     as many, each from an address of its own, each of which is looked at
"""

from __future__ import annotations

import argparse
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from benchmarks.client import table
from benchmarks.memory import Memory

#: Logins of one kind, after which it is looked what they took of the processor.
_BLOCK = 10
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
        given = self._given
        cases = {
            "wrong password": (given.user, given.password + "!"),
            "unknown user": (given.user + "-nobody", given.password),
        }
        if given.disabled:
            cases["disabled user"] = (given.disabled, given.password)
        taken: dict[str, list[float]] = {name: [] for name in cases}
        worked: dict[str, list[float]] = {name: [] for name in cases}
        order = list(cases) * max(1, given.tries // _BLOCK)
        random.shuffle(order)
        for name in order:
            before = self.cpu()
            for _ in range(_BLOCK):
                answer, seconds = self.log_in(*cases[name])
                if not answer.startswith(b"a NO"):
                    raise SystemExit(f"{name}: {answer!r}")
                taken[name].append(seconds)
            worked[name].append((self.cpu() - before) / _BLOCK)
        first = statistics.median(worked["wrong password"])
        for name in cases:
            median, cpu = statistics.median(taken[name]), statistics.median(worked[name])
            yield (
                name,
                f"{median * 1000:.2f} ms",
                f"{cpu * 1000:.2f} ms of CPU",
                f"{cpu / first:.3f}",
            )

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
    parser.add_argument("--tries", type=int, default=200, help="of each kind (%(default)s)")
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
