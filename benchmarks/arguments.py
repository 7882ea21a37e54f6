"""The command line of the benchmarks of one IMAP server's single traits."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks.client import Imap


def arguments(describe: Callable[[argparse.ArgumentParser], None]) -> argparse.Namespace:
    """Where the server is, and what `describe` adds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--tls", action="store_true", help="TLS from the first byte")
    parser.add_argument("--starttls", action="store_true")
    describe(parser)
    return parser.parse_args()


def add_pids(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pid",
        action="append",
        type=_pid,
        default=[],
        metavar="NAME=PID",
        help="a process of the server, whose CPU and memory are told (repeatable)",
    )


def _pid(text: str) -> tuple[str, int]:
    name, _, pid = text.rpartition("=")
    return name or "server", int(pid)


def connect(given: argparse.Namespace) -> Imap:
    client = Imap(given.host, given.port, tls=given.tls, starttls=given.starttls)
    client.login(given.user, given.password)
    return client
