"""How much memory a server takes for one large message, in and out.

    python -m benchmarks.memory HOST PORT USER PASSWORD --pid PID [--tls | --starttls] [--size 50]

PID is the server's process, on this machine (Linux; its owner or root may ask).  The message is one attachment in base64
that nobody has seen before.  What is printed is by how many MiB the process's resident memory grew at its peak
(`VmHWM` of proc(5), set back before each step).  A file that the server maps into its memory counts while it is mapped.
"""

from __future__ import annotations

import argparse
import base64
import os

from benchmarks import processes
from benchmarks.arguments import arguments, connect
from benchmarks.client import Imap, check, table
from benchmarks.subject import MAILBOX

MIB = 1 << 20

_HEAD = (
    b"Subject: a large attachment\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nSee below.\r\n--b\r\n'
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)


class Memory:
    """The memory of a process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = 0.0

    def begin(self) -> None:
        processes.forget_peak_of_one(self._pid)
        # The peak is now what it takes.
        self._before = self._peak()

    def grown(self) -> float:
        """MiB, at the peak since `begin`."""
        return self._peak() - self._before

    def _peak(self) -> float:
        return processes.peak_of_one(self._pid)


def large(size: int) -> bytes:
    content = base64.encodebytes(os.urandom(size * 76 // 78 * 3 // 4))
    return _HEAD + content.replace(b"\n", b"\r\n") + b"--b--\r\n"


def measure(client: Imap, memory: Memory, message: bytes) -> dict[str, float]:
    """Step -> MiB."""
    grown = {}
    client.command(b"CREATE " + MAILBOX)
    try:
        memory.begin()
        client.command(b"APPEND " + MAILBOX + b" ", message)
        grown["APPEND"] = memory.grown()
        client.command(b"SELECT " + MAILBOX)
        memory.begin()
        _, found = client.command(b"FETCH 1 BODY.PEEK[]")
        grown["FETCH BODY[]"] = memory.grown()
        check(found == [message], "FETCH")
        client.command(b"CLOSE")
    finally:
        client.command(b"DELETE " + MAILBOX)
    return grown


def main() -> None:
    def describe(parser: argparse.ArgumentParser) -> None:
        parser.description = "How much memory a server takes for one large message, in and out."
        parser.add_argument("--pid", type=int, required=True, help="the server's process")
        parser.add_argument("--size", type=int, default=50, help="MiB of the message (50)")

    given = arguments(describe)
    message = large(given.size * MIB)
    client = connect(given)
    grown = measure(client, Memory(given.pid), message)
    client.close()
    print(f"MiB of memory that the server grew by, for a message of {len(message) / MIB:.1f} MiB")
    print(table((name, f"{mib:8.1f}") for name, mib in grown.items()))


if __name__ == "__main__":
    main()
