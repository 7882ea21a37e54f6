"""The comparison with Dovecot, and how cost grows, for the documentation.

    pip install '.[embedded,benchmark]'
    python -m benchmarks.publish [--docs docs] [--drawn] [what benchmarks.compare can be told]

Does every step on both servers and then what has to be flat on ours, on a machine that should have nothing else to do, and
writes the figures to docs/comparison/*.json, the tables into docs/performance.md, between two comments that are there, and
the chart to docs/performance.svg.  With `--drawn` nothing is measured, but for what is in the JSON files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks import chart, compare, growth, peers
from benchmarks.measuring import KIB, Report

BEGIN = "<!-- Written by python -m benchmarks.publish: -->"
END = "<!-- That was it. -->"
_GROWTH = "growth.json"

Rows = Sequence[Sequence[str]]


def markdown(rows: Rows) -> str:
    """A table; the first row is its head."""
    head, *others = ("| " + " | ".join(each) + " |" for each in rows)
    return "\n".join([head, "|---" + "|---:" * (len(rows[0]) - 1) + "|", *others])


def page(theirs: Report, ours: Report, grown: Rows) -> str:
    machine, sizes = ours.machine, ours.sizes
    told = (
        f"{sizes['messages']:,} messages of some {sizes['size']:,} bytes, {machine['cores']} cores, Python"
        f" {machine['python']}, {machine['system']}; items per second, the last two rows {KIB}."
    )
    compared = markdown(compare.rows(ours.by_step(), theirs.by_step()))
    parts = [told, compared, "![The same as a chart](performance.svg)"]
    if grown:
        parts += ["How cost grows, milliseconds, of both processes' CPU as well:", markdown(grown)]
    return "\n\n".join(parts)


def put(text: str, into: Path) -> None:
    """@raise SystemExit: the file has no place for it"""
    before, begin, rest = into.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{into} has no place for the comparison")
    into.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def grown(sizes: list[int], times: int, mongo: str | None) -> Rows:
    with peers.duckmail(mongo) as server:
        client, idler = server.imap_client(), server.imap_client()
        return growth.measured(client, idler, sizes, times, server.pids)


def main() -> None:
    peers.end_cleanly()
    parser = compare.arguments()
    parser.description = __doc__
    parser.add_argument("--docs", type=Path, default=Path("docs"), metavar="DIRECTORY")
    parser.add_argument("--drawn", action="store_true", help="from the JSON files that are there")
    parser.add_argument("--growth", default="1000,10000,100000", metavar="N,...", help="or none")
    parser.add_argument("--times", type=int, default=50, metavar="N", help="(50)")
    given = parser.parse_args()
    chart.check()
    directory = given.docs / "comparison"
    if not given.drawn:
        compare.save(compare.run(given), directory)
        sizes = [int(each) for each in given.growth.split(",")] if given.growth != "none" else []
        rows = grown(sizes, given.times, given.mongo) if sizes else []
        (directory / _GROWTH).write_text(json.dumps(rows, indent=1) + "\n")
    theirs, ours = map(Report.load, compare.files(directory).values())
    chart.draw([theirs, ours], given.docs / "performance.svg")
    put(
        page(theirs, ours, json.loads((directory / _GROWTH).read_text())),
        given.docs / "performance.md",
    )


if __name__ == "__main__":
    main()
