"""Twisted Duck and Dovecot side by side, and whether what we want is reached.

    python -m benchmarks.compare [--steps NAME,...] [--quick] [--mongo URI] [--json DIRECTORY]

Starts both on the loopback (see `peers`) and does each step on one and the other in turns, so that what else the machine
does meets both.  What counts is the ratio: figures of another machine, or another hour, are another measure.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from benchmarks.client import table
from benchmarks.measuring import KIB, Report, Result, figure
from benchmarks.run import describe, measured
from benchmarks.steps import STEPS
from benchmarks.subject import Sizes, Subject

OURS, THEIRS = "Twisted Duck", "Dovecot"


@dataclass(frozen=True)
class Target:
    """What is to be reached in a step.

    @ivar least: so much of Dovecot's items per second
    @ivar most: so much of Dovecot's memory
    @ivar kib: so much memory, whatever Dovecot's is
    @ivar of: the step of Dovecot's that is meant, if it is another one
    """

    least: float | None = None
    most: float | None = None
    kib: float | None = None
    of: str | None = None

    def told(self) -> str:
        if self.kib is not None:
            return f"at most {self.kib:g} KiB"
        if self.most is not None:
            return f"at most 1/{1 / self.most:g}"
        return f"{self.least:g}" + (f" of {STEPS[self.of].title}" if self.of else "")

    def reached(self, ours: float, theirs: float) -> bool:
        if self.kib is not None:
            return ours <= self.kib
        if self.most is not None:
            return ours <= self.most * theirs
        assert self.least is not None
        return ours >= self.least * theirs


TARGETS = {
    "login": Target(0.5),
    "append": Target(0.4),
    "append-pipelined": Target(1.0, of="append"),
    "multiappend": Target(1.0, of="append"),
    "lmtp": Target(1.0, of="append"),
    "select": Target(0.15),
    "fetch-flags": Target(0.3),
    "fetch-envelope": Target(0.7),
    "fetch-header": Target(0.2),
    "fetch-body": Target(0.3),
    "store": Target(0.03),
    "search-from": Target(0.7),
    "search-subject": Target(0.7),
    "search-body": Target(2),
    "search-since": Target(0.7),
    "noop": Target(1.5),
    "copy": Target(0.4),
    "connections": Target(0.6),
    "expunge": Target(1.0),
    "pop3-login": Target(0.5),
    "pop3-retr": Target(0.3),
    "idle": Target(most=1 / 20),
    "idle-tls": Target(kib=56),
}

Results = Mapping[str, Result]


def rows(ours: Results, theirs: Results) -> list[tuple[str, ...]]:
    """By the names of the steps; one that only one of them has done has no ratio."""
    head = ("step", THEIRS, OURS, "ratio", "at least", "reached")
    return [head, *(_row(name, ours, theirs) for name in STEPS if name in ours or name in theirs)]


def _row(name: str, ours: Results, theirs: Results) -> tuple[str, ...]:
    target = TARGETS.get(name)
    mine = ours.get(name)
    peer = theirs.get(target.of if target and target.of else name)
    ratio = f"{mine.value / peer.value:.3g}" if mine and peer and peer.value else "-"
    reached = "-"
    if target and mine and (peer or target.kib is not None):
        reached = "yes" if target.reached(mine.value, peer.value if peer else 0.0) else "NO"
    shown = theirs.get(name)
    return (
        STEPS[name].title,
        figure(shown) if shown else "-",
        figure(mine) if mine else "-",
        ratio,
        target.told() if target else "-",
        reached,
    )


def main() -> None:
    peers.end_cleanly()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mongo", metavar="URI", help="another MongoDB than the embedded one")
    parser.add_argument("--json", type=Path, metavar="DIRECTORY", help="where the figures go, too")
    describe(parser)
    given = parser.parse_args()
    sizes = Sizes.given(given)
    found: dict[str, dict[str, Result]] = {OURS: {}, THEIRS: {}}
    with peers.dovecot() as dovecot, peers.duckmail(given.mongo) as duckmail:
        subjects = {THEIRS: Subject(dovecot, sizes), OURS: Subject(duckmail, sizes)}
        for name in given.steps:
            for label, result in measured(name, subjects).items():
                found[label][name] = result
                print(f"{label}: {result.title}: {figure(result)}", flush=True)
        for subject in subjects.values():
            subject.close()
    print()
    print(f"items per second (memory: {KIB}), {sizes.messages:,} messages of {sizes.size:,} bytes")
    print(table(rows(found[OURS], found[THEIRS])))
    if given.json is not None:
        given.json.mkdir(parents=True, exist_ok=True)
        for label, results in found.items():
            file = given.json / (label.lower().replace(" ", "-") + ".json")
            Report(label, sizes.told(), list(results.values())).save(file)


if __name__ == "__main__":
    main()
