"""Twisted Duck and Dovecot side by side, and whether what we want is reached.

    python -m benchmarks.compare [--steps NAME,...] [--quick] [--mongo URI] [--json DIRECTORY]

Starts both on the loopback (see `peers`) and does each step on one and the other in turns, what takes seconds a part at a time,
so that what else the machine does meets both.  What counts is the ratio: figures of another machine, or another hour, are another measure.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from benchmarks.client import table
from benchmarks.measuring import KIB, PER_SECOND, Report, Result, figure
from benchmarks.run import describe, measured
from benchmarks.steps import STEPS
from benchmarks.subject import Sizes, Subject

OURS, THEIRS = "Twisted Duck", "Dovecot"


@dataclass(frozen=True)
class Target:
    """What is to be reached in a step; of `most` and `kib`, one of the two.

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
        if self.least is None:
            part = [f"1/{1 / self.most:g}"] if self.most is not None else []
            memory = [f"{self.kib:g} KiB"] if self.kib is not None else []
            return "at most " + " or ".join(part + memory)
        return f"{self.least:g}" + (f" of {STEPS[self.of].title}" if self.of else "")

    def reached(self, ours: float, theirs: float) -> bool:
        """A ratio is judged as it is shown."""
        if self.least is not None:
            return float(ratio(ours, theirs)) >= self.least
        return ours <= max(self.kib or 0.0, (self.most or 0.0) * theirs)


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
    "idle": Target(most=1 / 20, kib=27),
    "idle-tls": Target(kib=56),
}

Results = Mapping[str, Result]


def ratio(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.3g}"


def rows(ours: Results, theirs: Results) -> list[tuple[str, ...]]:
    """By the names of the steps; one that only one of them has done has no ratio."""
    head = ("step", THEIRS, OURS, "at first", "ratio", "at least", "reached")
    return [head, *(_row(name, ours, theirs) for name in STEPS if name in ours or name in theirs)]


def _row(name: str, ours: Results, theirs: Results) -> tuple[str, ...]:
    target = TARGETS.get(name)
    mine = ours.get(name)
    peer = theirs.get(target.of if target and target.of else name)
    part = ratio(mine.value, peer.value) if mine and peer and peer.value else "-"
    reached = "-"
    if target and mine and (peer or target.kib is not None):
        reached = "yes" if target.reached(mine.value, peer.value if peer else 0.0) else "NO"
    shown = theirs.get(name)
    return (
        STEPS[name].title,
        figure(shown) if shown else "-",
        figure(mine) if mine else "-",
        f"{mine.first:,.0f}" if mine and mine.unit == PER_SECOND else "-",
        part,
        target.told() if target else "-",
        reached,
    )


def compared(
    steps: Sequence[str], sizes: Sizes, mongo: str | None = None
) -> Iterator[tuple[str, Result]]:
    """Whose it is, and what came of a step, one after the other; both servers run as long as that takes."""
    with peers.dovecot() as dovecot, peers.duckmail(mongo) as duckmail:
        subjects = {THEIRS: Subject(dovecot, sizes), OURS: Subject(duckmail, sizes)}
        for name in steps:
            yield from measured(name, subjects).items()
        for subject in subjects.values():
            subject.close()


def run(given: argparse.Namespace) -> dict[str, Report]:
    """Compare what `describe` and `--mongo` have given, telling how it goes; the reports, Dovecot's first.

    Where a step fails, what came before it has been told.
    """
    sizes = Sizes.given(given)
    reports = {label: Report(label, sizes.told(), []) for label in (THEIRS, OURS)}
    try:
        for label, result in compared(given.steps, sizes, given.mongo):
            reports[label].results.append(result)
            print(f"{label}: {result.title}: {figure(result)}", flush=True)
    finally:
        print()
        print(
            f"items per second (memory: {KIB}), {sizes.messages:,} messages of {sizes.size:,} bytes"
        )
        print(table(rows(*(reports[label].by_step() for label in (OURS, THEIRS)))), flush=True)
    return reports


def files(directory: Path) -> dict[str, Path]:
    """Where the reports are kept, Dovecot's first."""
    return {each: directory / (each.lower().replace(" ", "-") + ".json") for each in (THEIRS, OURS)}


def save(reports: Mapping[str, Report], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for label, file in files(directory).items():
        reports[label].save(file)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mongo", metavar="URI", help="another MongoDB than the embedded one")
    describe(parser)
    return parser


def main() -> None:
    peers.end_cleanly()
    parser = arguments()
    parser.add_argument("--json", type=Path, metavar="DIRECTORY", help="where the figures go, too")
    given = parser.parse_args()
    reports = run(given)
    if given.json is not None:
        save(reports, given.json)


if __name__ == "__main__":
    main()
