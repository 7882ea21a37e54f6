"""How long each thing keeps the server from everything else.

    python -m benchmarks.blocks [--mongo URI] [--messages 100000] [--steps store,copy]

On a MongoDB that is there (its user `large` is made, and mailboxes of its), or an embedded one of its own.  For each step it
prints the longest time between two turns of the server's reactor, which is what others have waited for, and the longest that
it was at work itself between two, in milliseconds (of CPU: where others keep the machine busy, that is what counts); how many
of these were longer than the bound; the seconds that the step took, and those of the server's CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.client import Imap, table
from benchmarks.large import Served, database, seed, served
from benchmarks.served import BOUND

Step = Callable[[Imap, int], object]

_SOURCE, _TARGET = "large", "large-copies"


def _run(command: bytes) -> Step:
    return lambda client, many: client.run(command.replace(b"<half>", b"%d" % (many // 2)))


def _resync(client: Imap, many: int) -> None:
    """A client that knows every other UID, one by one, of as many as a line takes."""
    known = b",".join(b"%d" % uid for uid in range(1, 2 * min(many // 2, 9_000), 2))
    client.run(b"UNSELECT")
    said = client.run(b"STATUS %b (UIDVALIDITY)" % _SOURCE.encode())
    validity = said.split(b"UIDVALIDITY ")[1].split(b")")[0]
    client.run(b"SELECT %b (QRESYNC (%b 1 %b))" % (_SOURCE.encode(), validity, known))


#: What is done one after the other, in a mailbox that is there and one for copies.
STEPS: dict[str, Step] = {
    "select": _run(b"SELECT " + _SOURCE.encode()),
    "select warm": _run(b"SELECT " + _SOURCE.encode()),
    "fetch": _run(b"FETCH 1:* (UID FLAGS)"),
    "search": _run(b"SEARCH UNSEEN"),
    "store silent": _run(b"STORE 1:* +FLAGS.SILENT (one)"),
    "store": _run(b"STORE 1:* +FLAGS (two)"),
    "store unchanged since": _run(b"STORE 1:* (UNCHANGEDSINCE 1000000000) +FLAGS.SILENT (three)"),
    "copy": _run(b"UID COPY 1:<half> " + _TARGET.encode()),
    "enable": _run(b"ENABLE QRESYNC"),
    "resync": _resync,
    "changed since": _run(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)"),
    "move": _run(b"UID MOVE 1:<half> " + _TARGET.encode()),
    "delete": _run(b"STORE 1:* +FLAGS.SILENT (\\Deleted)"),
    "keep one": _run(b"STORE * -FLAGS.SILENT (\\Deleted)"),
    "expunge": _run(b"EXPUNGE"),
    "select copies": _run(b"SELECT " + _TARGET.encode()),
    "delete copies": _run(b"STORE 1:* +FLAGS.SILENT (\\Deleted)"),
    "expunge all": _run(b"EXPUNGE"),
}


def measured(server: Served, many: int, names: list[str]) -> list[tuple[str, ...]]:
    client = server.client()
    client.run(b"CREATE " + _TARGET.encode())
    found: list[tuple[str, ...]] = [
        ("step", "longest, ms", "busy, ms", f"over {BOUND} ms", "s", "CPU s")
    ]
    for name in names:
        server.turns()
        began = time.perf_counter()
        try:
            STEPS[name](client, many)
        except Exception as failure:  # noqa: BLE001 a step that failed is a row as well
            found.append((f"{name}: {failure}"[:60], "-", "-", "-", "-", "-"))
            continue
        took = time.perf_counter() - began
        told = server.turns()
        found.append(
            (
                name,
                f"{told['longest']:.0f}",
                f"{told['busy']:.0f}",
                f"{told['over']:.0f}",
                f"{took:.2f}",
                f"{told['cpu']:.2f}",
            )
        )
    client.logout()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="How long things keep a server busy at a stretch.")
    parser.add_argument("--mongo", metavar="URI")
    parser.add_argument("--messages", type=int, default=100_000, metavar="N", help="(100000)")
    parser.add_argument("--steps", metavar="NAME,...", help=", ".join(STEPS))
    given = parser.parse_args()
    names = given.steps.split(",") if given.steps else list(STEPS)
    with ExitStack() as stack:
        uri = given.mongo or stack.enter_context(database())
        server = stack.enter_context(served(uri))
        seed(uri, _SOURCE, given.messages)
        print(table(measured(server, given.messages, names)))


if __name__ == "__main__":
    main()
