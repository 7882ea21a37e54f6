"""The comparison with Dovecot, from its packages, and the chart of it: `tox -e benchmark`."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.compare import TARGETS
from benchmarks.measuring import Report
from benchmarks.publish import BEGIN, END
from benchmarks.steps import STEPS
from tests.clients.server import environment


class DovecotTests(SynchronousTestCase):
    def program(self, name: str, *arguments: str) -> str:
        done = run(
            [sys.executable, "-m", "benchmarks." + name, *arguments],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_all_steps_are_compared_and_drawn(self) -> None:
        with TemporaryDirectory() as name:
            directory = Path(name)
            said = self.program("compare", "--quick", "--json", name)
            files = [str(directory / each) for each in ("dovecot.json", "twisted-duck.json")]
            for file in files:
                done = [each.step for each in Report.load(Path(file)).results]
                self.assertEqual(done, list(STEPS))
            verdicts = [line for line in said.splitlines() if line.endswith((" yes", " NO"))]
            self.assertEqual(len(verdicts), len(TARGETS))
            for kind, begin in (("svg", b"<?xml"), ("png", b"\x89PNG")):
                chart = directory / ("chart." + kind)
                self.program("chart", str(chart), *files)
                self.assertTrue(chart.read_bytes().startswith(begin))
            self.assertIn("relative to Dovecot", (directory / "chart.svg").read_text())

    def test_it_is_published(self) -> None:
        with TemporaryDirectory() as name:
            page = Path(name) / "performance.md"
            page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
            some = ("--quick", "--steps", "noop,idle", "--growth", "20,60", "--times", "2")
            self.program("publish", "--docs", name, *some)
            written = page.read_text()
            self.program("publish", "--docs", name, "--drawn")
            self.assertEqual(page.read_text(), written)
            self.assertTrue(written.startswith("before\n") and written.endswith("after\n"))
            self.assertNotIn("old", written)
            rows = [line.split(" | ")[0] for line in written.splitlines() if line.startswith("| ")]
            idle, noop = (f"| {STEPS[each].title}" for each in ("idle", "noop"))
            self.assertEqual(rows[:4], ["| step", noop, idle, "| step"])
            self.assertEqual(len(rows), 4 + 7)
            self.assertTrue((Path(name) / "performance.svg").read_bytes().startswith(b"<?xml"))
