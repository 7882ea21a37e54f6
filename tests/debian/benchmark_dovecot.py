"""The comparison with Dovecot, from its packages, and the chart of it: `tox -e benchmark`."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.compare import TARGETS
from benchmarks.measuring import Report
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
