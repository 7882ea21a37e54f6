"""One target, looked through by atheris: the arguments are its name and those of libFuzzer."""

from __future__ import annotations

import sys
from typing import Any

import atheris  # type: ignore[import-not-found]
from twisted.logger import globalLogPublisher

with atheris.instrument_imports(include=["twisted_duck"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    check = TARGETS[sys.argv[1]].check
    broken: list[Any] = []

    def observe(event: Any) -> None:
        if "log_failure" in event:
            broken.append(event["log_failure"])

    globalLogPublisher.addObserver(observe)

    def once(data: bytes) -> None:
        check(data)
        if broken:
            # It was answered all the same, and is a fault.
            broken[0].raiseException()

    atheris.Setup([sys.argv[0], *sys.argv[2:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
