"""Reads a log of test runs and says in one line how many tests passed, failed and were skipped.

summary.py LOG
"""

from __future__ import annotations

import re
import sys
from collections import Counter

#: trial's last line: `PASSED (skips=1, successes=5)`.  An expected failure is what was expected.
SUMMARY = re.compile(r"^(?:PASSED|FAILED)(?: \(([^)]*)\))?$", re.MULTILINE)
MEANING = {
    "successes": "passed",
    "expectedFailures": "passed",
    "failures": "failed",
    "errors": "failed",
    "unexpectedSuccesses": "failed",
    "skips": "skipped",
    "todos": "skipped",
}


def main(log: str) -> None:
    counts: Counter[str] = Counter()
    with open(log, encoding="utf-8", errors="replace") as file:
        for match in SUMMARY.finditer(file.read()):
            for name, number in re.findall(r"(\w+)=(\d+)", match[1] or ""):
                counts[MEANING.get(name, "failed")] += int(number)
    print(", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "skipped")))


if __name__ == "__main__":
    main(sys.argv[1])
