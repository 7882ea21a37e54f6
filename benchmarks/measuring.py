"""How a step is measured, and what is kept of it: a table for people, JSON for the next comparison."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from benchmarks import processes
from benchmarks.client import check, table

#: Times that a step is done at the most, however soon it is over.
MOST_TIMES = 50

_MACHINE = {
    "cores": os.cpu_count(),
    "system": platform.platform(),
    "python": platform.python_version(),
}

_OVER: Final = object()

PER_SECOND, KIB = "/s", "KiB"


@dataclass
class Work:
    """One step on one server, ready to be done.

    @ivar items: what is counted: messages, round trips, sessions
    @ivar do: what is measured; what it returns is checked. Where it is a generator, others have their turn whenever it yields, and
        it has nothing to return
    @ivar right: whether the server did what it was asked for
    @ivar before: what has to be done each time, unmeasured
    @ivar after: what has to be put away in the end, unmeasured
    @ivar most: times that it is done at the most, where `before` takes much longer than what is measured
    @ivar tells: the figure is what `do` returns, not the time it takes: KiB
    """

    items: int
    do: Callable[[], Any]
    right: Callable[[Any], bool] = lambda _: True
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None
    most: int = MOST_TIMES
    tells: bool = False


@dataclass
class Result:
    """What came of it.

    @ivar times: seconds, one after the other
    @ivar value: by the median of the times, items per second; or KiB
    @ivar cpu: seconds of processor of the server's processes each time, by their names
    @ivar client_cpu: our own
    @ivar peak: MiB of resident memory at the most, by their names
    """

    step: str
    title: str
    items: int
    times: list[float]
    value: float
    unit: str
    cpu: dict[str, float] = field(default_factory=dict)
    client_cpu: float = 0.0
    peak: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return statistics.median(self.times)

    @property
    def first(self) -> float:
        """Items per second, the first time."""
        return self.items / self.times[0]


class Measurement:
    """Of one step on one server, as often as it takes."""

    def __init__(
        self, step: str, title: str, work: Work, pids: processes.Pids, repeats: int, least: float
    ) -> None:
        self._step, self._title, self._work, self._pids = step, title, work, pids
        self._repeats, self._least = repeats, least
        self._times: list[float] = []
        self._told: list[float] = []
        self._cpu = dict.fromkeys(pids, 0.0)
        self._peak = dict.fromkeys(pids, 0.0)
        self._client_cpu = 0.0

    @property
    def done(self) -> bool:
        times = len(self._times)
        if self._work.tells:
            return times > 0
        return times >= self._repeats and (
            times >= self._work.most or sum(self._times) >= self._least
        )

    def turns(self) -> Iterator[None]:
        """It once, which may be several turns."""
        self._work.before()
        processes.forget_peak(self._pids)
        self._times.append(0.0)
        answer = self._spend(self._work.do)
        if isinstance(answer, Generator):
            while self._spend(partial(next, answer, _OVER)) is not _OVER:
                yield
            answer = None
        for name, mib in processes.peak(self._pids).items():
            self._peak[name] = max(self._peak[name], mib)
        check(self._work.right(answer), self._title)
        if self._work.tells:
            self._told.append(answer)

    def _spend(self, do: Callable[[], Any]) -> Any:
        """What it returns; the time that it takes is added to that of this time."""
        cpu, own = processes.cpu(self._pids), processes.own_cpu()
        began = time.perf_counter()
        answer = do()
        self._times[-1] += time.perf_counter() - began
        self._client_cpu += processes.own_cpu() - own
        for name, seconds in processes.cpu(self._pids).items():
            self._cpu[name] += seconds - cpu[name]
        return answer

    def result(self) -> Result:
        self._work.after()
        times = len(self._times)
        rate = self._work.items / statistics.median(self._times)
        return Result(
            self._step,
            self._title,
            self._work.items,
            self._times,
            statistics.median(self._told) if self._work.tells else rate,
            KIB if self._work.tells else PER_SECOND,
            {name: seconds / times for name, seconds in self._cpu.items()},
            self._client_cpu / times,
            self._peak,
        )


def alternate(measurements: Sequence[Measurement]) -> list[Result]:
    """In turns, so that what else the machine does meets all of them."""
    while waiting := [each for each in measurements if not each.done]:
        for _ in zip_longest(*[each.turns() for each in waiting]):
            pass
    return [each.result() for each in measurements]


@dataclass
class Report:
    """One server, and what was measured."""

    label: str
    sizes: Mapping[str, float]
    results: list[Result]
    machine: Mapping[str, Any] = field(default_factory=lambda: {**_MACHINE})

    def by_step(self) -> dict[str, Result]:
        return {each.step: each for each in self.results}

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, file: Path) -> Report:
        read = json.loads(file.read_text())
        results = [Result(**each) for each in read["results"]]
        return cls(read["label"], read["sizes"], results, read["machine"])

    def rows(self) -> str:
        head = ("step", "seconds", "first", "items/s", "CPU s", "client", "peak MiB")
        return table([head, *map(_row, self.results)])


def figure(result: Result) -> str:
    return f"{result.value:,.1f} KiB" if result.unit == KIB else f"{result.value:,.0f}"


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.title,
        f"{result.seconds:.4f}",
        f"{result.times[0]:.4f}",
        figure(result),
        " + ".join(f"{seconds:.3f}" for seconds in result.cpu.values()) or "-",
        f"{result.client_cpu:.3f}",
        " + ".join(f"{mib:.0f}" for mib in result.peak.values()) or "-",
    )
