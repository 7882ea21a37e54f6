"""python -m tests.fuzz [--seconds 300] [TARGET ...]: each target for so long, with atheris.

What was found is written into `tests/fuzz/found/TARGET`, where the tests try it ever after.  The exit status is 1 then.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import TARGETS

FOUND = Path(__file__).parent / "found"
#: Octets of the longest input, seconds that one may take, and MiB of all.
_LONGEST, _PATIENCE, _MEMORY = 4_096, 20, 2_048


def fuzz(name: str, seconds: int) -> bool:
    """Whether nothing was found; prints how much was tried."""
    target, found = TARGETS[name], FOUND / name
    with tempfile.TemporaryDirectory() as temporary:
        seeds, words = Path(temporary) / "seeds", Path(temporary) / "words"
        seeds.mkdir()
        for number, seed in enumerate(target.seeds):
            (seeds / str(number)).write_bytes(seed)
        quoted = ["".join(f"\\x{octet:02x}" for octet in word) for word in target.words]
        words.write_text("".join(f'"{word}"\n' for word in quoted))
        found.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.guided", name),
                *(f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-timeout={_PATIENCE}"),
                *(f"-rss_limit_mb={_MEMORY}", f"-artifact_prefix={found}/"),
                *([f"-dict={words}"] if target.words else []),
                *("-print_final_stats=1", str(seeds)),
            ],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if not any(found.iterdir()):
        found.rmdir()
    tried = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    covered = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
    edges, features = covered[-1] if covered else ("?", "?")
    print(
        f"{name}: {tried[1] if tried else '?'} inputs, {edges} edges, {features} features",
        flush=True,
    )
    if done.returncode:
        # Where it is told what is instrumented, and what is new, nobody looks.
        said = done.stderr.splitlines()
        told = [line for line in said if not line.startswith(("INFO", "NFO", "WARNING", "#"))]
        print(done.stdout[-4_000:], *told[-60:], sep="\n", flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=300)
    options = parser.parse_args()
    results = [fuzz(name, options.seconds) for name in options.targets or TARGETS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
