"""A bar chart of two or more servers, as SVG or PNG.

    pip install '.[benchmark]'
    python -m benchmarks.chart FILE.svg FIRST.json SECOND.json ...

The files are those that `--json` writes.  Bars are relative to the first file, on a logarithmic scale: to the right of the
line is faster than that or, in the second part, takes more memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measuring import KIB, PER_SECOND, Report

_PARTS = {PER_SECOND: "items per second", KIB: "memory"}


@dataclass(frozen=True)
class Part:
    """What is comparable: steps of one unit that all have done, each with a ratio for each report."""

    name: str
    steps: list[str]
    ratios: list[list[float]]


def parts(reports: Sequence[Report]) -> list[Part]:
    found = []
    for unit, name in _PARTS.items():
        values = [
            {
                each.title: each.value
                for each in report.results
                if each.unit == unit and each.value > 0
            }
            for report in reports
        ]
        steps = [title for title in values[0] if all(title in other for other in values)]
        if steps:
            ratios = [[other[title] / values[0][title] for title in steps] for other in values]
            found.append(Part(name, steps, ratios))
    return found


def check() -> None:
    """Whether there is what draws, before anything is measured for it: raises SystemExit."""
    if find_spec("matplotlib") is None:
        raise SystemExit("there is no matplotlib: pip install '.[benchmark]'")


def draw(reports: Sequence[Report], file: Path) -> None:
    """@raise SystemExit: there is only one, or they have no step in common"""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    # Words stay words, which can be searched for and read aloud.
    rcParams["svg.fonttype"] = "none"
    if len(reports) < 2:
        raise SystemExit("it takes two files to compare")
    if not (found := parts(reports)):
        raise SystemExit("these files have no step in common")
    many = len(reports) - 1
    heights = [len(part.steps) * many + 1 for part in found]
    figure = Figure(figsize=(9, 1 + sum(heights) * 0.17), layout="constrained")
    axes = figure.subplots(len(found), squeeze=False, height_ratios=heights)[:, 0]
    for axis, part in zip(axes, found, strict=True):
        thick = 0.8 / many
        for number, ratios in enumerate(part.ratios[1:]):
            places = [row + (number - (many - 1) / 2) * thick for row in range(len(ratios))]
            # From 1 on: a bar is as long as the difference.
            widths = [ratio - 1 for ratio in ratios]
            label = reports[number + 1].label if axis is axes[0] else None
            axis.barh(places, widths, thick, left=1, label=label)
        axis.set_xscale("log")
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_yticks(range(len(part.steps)), part.steps)
        axis.set_ylim(len(part.steps) - 0.5, -0.5)
        axis.set_xlabel(f"{part.name}, relative to {reports[0].label}")
        axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper right")
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="what is drawn: its name ends with .svg or .png")
    parser.add_argument("reports", type=Path, nargs="+", metavar="JSON")
    given = parser.parse_args()
    draw([Report.load(each) for each in given.reports], given.file)


if __name__ == "__main__":
    main()
