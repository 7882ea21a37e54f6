"""What the tests of this package share."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase


def directory(case: SynchronousTestCase) -> Path:
    """A temporary directory, gone when the test is over."""
    path = Path(tempfile.mkdtemp(prefix="duckmail-test-"))
    case.addCleanup(shutil.rmtree, path, ignore_errors=True)
    return path
