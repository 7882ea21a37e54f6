"""What a server's processes take of the machine (Linux, proc(5)).

A server is given as names with a process each, `{"duckmail": 4711, "mongod": 4712}`.  A name stands for its process
and those that it started, but for those that have a name of their own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")

Pids = Mapping[str, int]


def cpu(pids: Pids) -> dict[str, float]:
    """Seconds of processor until now; of processes that have ended, those that somebody has waited for."""
    stats = _stats()
    return {
        name: sum(stats[pid][1] for pid in found) / _TICK
        for name, found in _members(pids, stats).items()
    }


def fine_cpu(pids: Pids) -> float:
    """Seconds of processor until now of all of them together, to the nanosecond; of threads that are still there."""
    used = 0
    for pid in _all(pids):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            try:
                used += int((thread / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return used / 1e9


def own_cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def forget_peak(pids: Pids) -> None:
    """The peak is what it is now."""
    for pid in _all(pids):
        forget_peak_of_one(pid)


def forget_peak_of_one(pid: int) -> None:
    try:
        # 5: see proc_pid_clear_refs(5).
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except FileNotFoundError:
        pass


def peak(pids: Pids) -> dict[str, float]:
    """MiB of resident memory at the peak since `forget_peak`: the sum over the processes that are there."""
    return _sum(pids, "status", "VmHWM")


def peak_of_one(pid: int) -> float:
    return _read(pid, "status", "VmHWM")


def memory(pids: Pids) -> dict[str, float]:
    """MiB of resident memory, that which processes share divided among them (`Pss`)."""
    return _sum(pids, "smaps_rollup", "Pss")


def _sum(pids: Pids, file: str, name: str) -> dict[str, float]:
    found = _members(pids, _stats()).items()
    return {key: sum(_read(pid, file, name) for pid in members) for key, members in found}


def _read(pid: int, file: str, name: str) -> float:
    try:
        text = Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = [line.split()[1] for line in text.splitlines() if line.startswith(name + ":")]
    return int(found[0]) / 1024 if found else 0.0


def _all(pids: Pids) -> list[int]:
    return [pid for members in _members(pids, _stats()).values() for pid in members]


def _members(pids: Pids, stats: Mapping[int, tuple[int, int]]) -> dict[str, list[int]]:
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in stats.items():
        children.setdefault(parent, []).append(pid)
    named = set(pids.values())
    found: dict[str, list[int]] = {}
    for name, root in pids.items():
        if root not in stats:
            raise SystemExit(f"there is no process {root} ({name})")
        members = found[name] = [root]
        for pid in members:
            members += [each for each in children.get(pid, ()) if each not in named]
    return found


def _stats() -> dict[int, tuple[int, int]]:
    """Process -> its parent, and ticks of its own and of its children that have ended."""
    stats = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            stats[int(entry)] = int(fields[1]), sum(map(int, fields[11:15]))
    return stats
