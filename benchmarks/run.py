"""How fast a server does what is asked of a mail store.

    python -m benchmarks.run HOST USER PASSWORD --imap PORT [--imaps PORT] [--pop3 PORT] [--lmtp PORT]
        [--pid NAME=PID ...] [--steps NAME,...] [--messages N ...] [--quick] [--json FILE] [--label NAME]

Any server will do, with the ports that it has.  Each answer is checked.  The account's INBOX has to be empty.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.arguments import add_pids
from benchmarks.measuring import Measurement, Report, Result, alternate
from benchmarks.steps import STEPS
from benchmarks.subject import Server, Sizes, Subject


def measured(name: str, subjects: Mapping[str, Subject]) -> dict[str, Result]:
    """One step on all servers that can do it, in turns; by their labels."""
    measurements = {}
    for label, subject in subjects.items():
        if (work := STEPS[name].prepare(subject)) is not None:
            sizes, pids = subject.sizes, subject.server.pids
            measurements[label] = Measurement(
                name, STEPS[name].title, work, pids, sizes.repeats, sizes.least
            )
    return dict(zip(measurements, alternate(list(measurements.values())), strict=True))


def describe(parser: argparse.ArgumentParser) -> None:
    """What all that run the steps can be told."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--steps", type=_steps, default=list(STEPS), metavar="NAME,...", help=", ".join(STEPS)
    )
    Sizes.describe(parser)


def _steps(text: str) -> Sequence[str]:
    chosen = text.split(",")
    if unknown := [each for each in chosen if each not in STEPS]:
        raise argparse.ArgumentTypeError(f"no such step: {', '.join(unknown)}")
    return [each for each in STEPS if each in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("user")
    parser.add_argument("password")
    for port in ("imap", "imaps", "pop3", "lmtp"):
        parser.add_argument("--" + port, type=int, metavar="PORT")
    parser.add_argument("--address", default="", help="whom LMTP brings mail to (the user)")
    add_pids(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--label", default="server", help="its name in tables and charts")
    describe(parser)
    given = parser.parse_args()
    server = Server(
        *(given.host, given.user, given.password, given.imap, given.imaps, given.pop3),
        *(given.lmtp, given.address, dict(given.pid)),
    )
    subject = Subject(server, Sizes.given(given))
    report = Report(given.label, subject.sizes.told(), [])
    try:
        for name in given.steps:
            report.results += measured(name, {given.label: subject}).values()
    finally:
        subject.close()
    if not report.results:
        parser.error("none of these steps can be done with these ports")
    print(report.rows())
    if given.json is not None:
        report.save(given.json)


if __name__ == "__main__":
    main()
