"""python -m tests.hostile [--only NAME,...]: every message of `messages`, in full, through a server process.

For each: its bytes; seconds of CPU to analyse it, how much more that is than for half of it, and the longest single call out of
Python, during which no other thread runs; and how long the reactor was at work at a stretch (milliseconds of CPU) while the
message came by APPEND and by LMTP, was fetched, searched and sorted, and fetched by POP3.  The exit status is 1 where an
answer was wrong or a bound was passed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any, Final

from benchmarks.client import Imap, Lmtp, Pop3, stuffed, table, unstuffed
from benchmarks.large import database
from tests.hostile.asking import check_fetch, check_search
from tests.hostile.messages import MESSAGES, Hostile
from twisted_duck.limits import Limits
from twisted_duck.mime.message import analyse
from twisted_duck.spool import Spool

_HOST, _USER, _PASSWORD = "127.0.0.1", "mallory@example.org", "hostile"
#: Milliseconds that the reactor may be held, and how much more twice as much may cost.
_HELD, _TWICE = 50.0, 2.5
#: Seconds below which a ratio says nothing.
_SHORT: Final = 0.02


def _seconds(data: Any) -> float:
    """Of CPU, to analyse it: the better of two."""
    taken = []
    for _ in range(2):
        began = time.thread_time()
        analyse(data, Limits())
        taken.append(time.thread_time() - began)
    return min(taken)


def _longest_call(work: Callable[[], object]) -> float:
    """Milliseconds of CPU of the longest call that runs no Python code."""
    began: list[float | None] = []
    longest = 0.0

    def step(frame: FrameType, event: str, argument: object) -> None:
        nonlocal longest
        if event == "c_call":
            began.append(time.thread_time())
        elif event == "call":
            began[:] = [None] * len(began)
        elif event in ("c_return", "c_exception") and began:
            at = began.pop()
            longest = max(longest, 0.0 if at is None else time.thread_time() - at)

    sys.setprofile(step)
    try:
        work()
    finally:
        sys.setprofile(None)
    return 1000 * longest


class _Server:
    """A process of `tests.hostile.served`."""

    def __init__(self, uri: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.served", uri, _USER, _PASSWORD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.imap, self.pop3, self.lmtp = map(int, self._line().split())

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def busy(self, work: Callable[[], object]) -> float:
        """Milliseconds of CPU that the reactor was at work at a stretch meanwhile."""
        self._turns()
        work()
        return self._turns()["busy"]

    def _turns(self) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return dict(json.loads(self._line()))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def _held(server: _Server, message: bytes) -> list[float]:
    """How long the reactor was, for each thing that is done."""
    imap = Imap(_HOST, server.imap)
    imap.login(_USER, _PASSWORD)
    imap.run(b"SELECT INBOX")
    lmtp = Lmtp(_HOST, server.lmtp)
    held = [
        server.busy(lambda: imap.command(b"APPEND INBOX ", message)),
        server.busy(lambda: lmtp.deliver(_USER, stuffed(message))),
    ]
    imap.run(b"NOOP")
    held += [
        server.busy(lambda: check_fetch(imap.run, 1, message)),
        server.busy(lambda: check_search(imap.run, 1)),
    ]

    def by_pop3() -> None:
        pop3 = Pop3(_HOST, server.pop3)
        # RFC 6856 §2: else octets of a header that are not ASCII are told in other words.
        pop3.run(b"UTF8")
        pop3.login(_USER, _PASSWORD)
        top = pop3.lines(b"TOP 1 1")
        whole = unstuffed(pop3.lines(b"RETR 1"))
        assert whole.startswith(message) and message.startswith(unstuffed(top)[:-2])
        pop3.logout()

    held.append(server.busy(by_pop3))
    eight_bit = message[: 1 << 20].replace(b"a", b"\xe4").replace(b"x", b"\xe4")
    imap.command(b"APPEND INBOX ", eight_bit)

    def downgraded() -> None:
        pop3 = Pop3(_HOST, server.pop3)
        pop3.login(_USER, _PASSWORD)
        pop3.lines(b"TOP 3 1")
        pop3.lines(b"RETR 3")
        pop3.logout()

    held.append(server.busy(downgraded))
    imap.run(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")
    imap.run(b"EXPUNGE")
    imap.logout()
    lmtp.logout()
    return held


def _row(server: _Server, hostile: Hostile) -> tuple[list[str], bool]:
    """The figures, and whether they are within bounds."""
    message = hostile.whole
    whole, half = (Spool.of(each) for each in (message, hostile.make(hostile.many // 2)))
    taken, before = _seconds(whole.data), _seconds(half.data)
    call = _longest_call(lambda: analyse(whole.data))
    whole.close()
    half.close()
    held = _held(server, message)
    ratio = taken / before
    if ratio > _TWICE:
        # Where a bound lies between the two, something else is done beyond it; what grows has grown twice as far as well.
        double = Spool.of(hostile.make(2 * hostile.many))
        ratio = min(ratio, _seconds(double.data) / taken)
        double.close()
    good = max(*held, call) <= _HELD and (ratio <= _TWICE or taken < _SHORT)
    figures = [f"{len(message):,}", f"{taken:.2f}", f"{ratio:.1f}", f"{call:.0f}"]
    return [*figures, *(f"{each:.0f}" for each in held)], good


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--only", metavar="NAME,...", help="messages, by their names")
    only = parser.parse_args().only
    names = only.split(",") if only else list(MESSAGES)
    rows: list[list[str]] = [
        [
            "message",
            "bytes",
            "CPU s",
            "twice",
            "call",
            "APPEND",
            "LMTP",
            "FETCH",
            "SEARCH",
            "POP3",
            "8 bit",
        ]
    ]
    bad: list[str] = []
    with ExitStack() as stack:
        server = _Server(stack.enter_context(database()))
        stack.callback(server.stop)
        for name in names:
            row, good = _row(server, MESSAGES[name])
            rows.append([name, *row])
            print(table([rows[0], rows[-1]]), flush=True)
            if not good:
                bad.append(name)
    print(table(rows))
    if bad:
        print("beyond a bound:", ", ".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
