"""What objects a server process has, asked for by a signal.

`sitecustomize` of a server that is to be looked at calls `answer`; `ask` is for the test.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

from tests.floods.crowd import PATIENCE

_FILE = "census.json"


def prepare(directory: Path) -> None:
    """A process of which `directory` is on PYTHONPATH answers."""
    (directory / "sitecustomize.py").write_text(
        f"from pathlib import Path\nfrom tests.floods import census\ncensus.answer(Path({str(directory)!r}))\n"
    )


def answer(directory: Path) -> None:
    def count(*_: object) -> None:
        gc.collect()
        kinds = map(type, gc.get_objects())
        found = Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
        new = directory / f"{_FILE}.new"
        new.write_text(json.dumps(found))
        new.rename(directory / _FILE)

    signal.signal(signal.SIGUSR2, count)


def ask(pid: int, directory: Path) -> Counter[str]:
    """How many there are of each class."""
    file = directory / _FILE
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR2)
    until = time.monotonic() + PATIENCE
    while not file.exists():
        if time.monotonic() > until:
            raise AssertionError("the process does not tell what it has")
        time.sleep(0.05)
    return Counter(json.loads(file.read_text()))
