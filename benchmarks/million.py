"""A mailbox of a million messages: how long it takes to open, and what it takes of a process.

    python -m benchmarks.million [--mongo URI] [--messages 1000000] [--sessions 50]

On a MongoDB that is there (its user `large@example.com` is made, and a mailbox of its), or an embedded one of its own.  Memory is what
the server's process has grown by (MiB) since before the mailbox was opened, at the end of a step and at its peak;
connections alone, in a mailbox of one message, are told beside it.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack

from benchmarks import processes
from benchmarks.client import Imap, table
from benchmarks.large import Served, database, seed, served

_LARGE, _SMALL = "million", "single"


class Measured:
    """Rows of what the steps took."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._pids = server.pids
        self.rows: list[tuple[str, ...]] = [("step", "s", "CPU s", "busy, ms", "MiB", "peak, MiB")]
        self._before = self._memory()

    def _memory(self) -> float:
        return processes.memory(self._pids)["duckmail"]

    def step(self, name: str, *work: tuple[Imap, bytes]) -> None:
        processes.forget_peak(self._pids)
        before = processes.peak(self._pids)["duckmail"] - self._memory()
        self._server.turns()
        began = time.perf_counter()
        for client, command in work:
            client.run(command)
        took = time.perf_counter() - began
        turns = self._server.turns()
        peak = processes.peak(self._pids)["duckmail"] - before - self._before
        self.rows.append(
            (
                name,
                f"{took:.2f}",
                f"{turns['cpu']:.2f}",
                f"{turns['busy']:.0f}",
                f"{self._memory() - self._before:.1f}",
                f"{peak:.1f}",
            )
        )


def measured(server: Served, sessions: int) -> list[tuple[str, ...]]:
    clients = [server.server.imap_client() for _ in range(sessions)]
    single, large = b"SELECT " + _SMALL.encode(), b"SELECT " + _LARGE.encode()
    for client in clients:
        client.run(single)
    steps = Measured(server)
    first, others = clients[0], clients[1:]
    steps.step("SELECT, cold", (first, large))
    steps.step("SELECT, warm", (first, large))
    steps.step(f"SELECT in {len(others)} more sessions", *((each, large) for each in others))
    steps.step("SEARCH ALL", (first, b"SEARCH ALL"))
    steps.step("SEARCH ALL, as a set", (first, b"SEARCH RETURN (ALL) ALL"))
    steps.step("STORE of one", (first, b"STORE 500 +FLAGS (\\Flagged)"))
    steps.step("NOOP of all", *((each, b"NOOP") for each in clients))
    steps.step("STORE of one \\Deleted", (first, b"STORE 500 +FLAGS (\\Deleted)"))
    steps.step("EXPUNGE of one", (first, b"EXPUNGE"))
    steps.step("NOOP of all", *((each, b"NOOP") for each in clients))
    for client in clients:
        client.logout()
    return steps.rows


def main() -> None:
    parser = argparse.ArgumentParser(description="What a very large mailbox takes.")
    parser.add_argument("--mongo", metavar="URI")
    parser.add_argument("--messages", type=int, default=1_000_000, metavar="N", help="(1000000)")
    parser.add_argument("--sessions", type=int, default=50, metavar="N", help="(50)")
    given = parser.parse_args()
    with ExitStack() as stack:
        uri = given.mongo or stack.enter_context(database())
        with served(uri):
            seed(uri, _SMALL, 1)
            seed(uri, _LARGE, given.messages)
        # A process that has nothing left from before.
        print(table(measured(stack.enter_context(served(uri)), given.sessions)))


if __name__ == "__main__":
    main()
