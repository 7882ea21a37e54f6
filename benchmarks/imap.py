"""How fast an IMAP server does what mail clients ask of it.

    python benchmarks/imap.py HOST PORT USER PASSWORD [--tls | --starttls] [--messages 2000] [--size 3800] [--json FILE]

Works in a mailbox of its own, which it removes.  Any IMAP server will do; each answer is checked, since a server that is
wrong quickly has won nothing.  One client, one command at a time: this is what a user waits for, not what a machine can do
at most.  Figures are for comparing servers, or two states of one, on the same machine one after the other.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from client import Client, message, table

MAILBOX = b"duckmail-benchmark"


class Benchmark:
    def __init__(self, client: Client, messages: int, size: int) -> None:
        self._client = client
        self._messages = [message(number, size) for number in range(messages)]
        #: Step -> items per second.
        self.rates: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, items: int) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.rates[name] = items / (time.perf_counter() - began)

    def run(self) -> None:
        client, messages, many = self._client, self._messages, len(self._messages)
        client.command(b"CREATE " + MAILBOX)
        try:
            with self.step("APPEND", many):
                for each in messages:
                    client.command(b"APPEND " + MAILBOX + b" (\\Flagged) ", each)
            with self.step("SELECT", 1):
                lines, _ = client.command(b"SELECT " + MAILBOX)
            check(b"* %d EXISTS\r\n" % many in lines, "SELECT")
            for name, command in (
                ("FETCH FLAGS", b"FETCH 1:* (UID FLAGS)"),
                ("FETCH ENVELOPE", b"FETCH 1:* (UID RFC822.SIZE ENVELOPE)"),
                ("FETCH BODYSTRUCTURE", b"FETCH 1:* BODYSTRUCTURE"),
            ):
                self._fetch(name, command)
            with self.step("FETCH BODY[] of all", many):
                _, found = client.command(b"FETCH 1:* BODY.PEEK[]")
            check(found == messages, "FETCH BODY[]")
            few = min(many, 200)
            with self.step("FETCH BODY[] one by one", few):
                for number, each in enumerate(messages[:few], 1):
                    check(
                        client.command(b"FETCH %d BODY.PEEK[]" % number)[1] == [each], "FETCH one"
                    )
            for name, key, hits in (
                ("SEARCH FLAGGED", b"FLAGGED UNSEEN", many),
                ("SEARCH SUBJECT", b'SUBJECT "message %d"' % (many - 1), 1),
                ("SEARCH TEXT, nothing found", b'TEXT "not a word of it"', 0),
            ):
                with self.step(name, many):
                    lines, _ = client.command(b"SEARCH " + key)
                check(len(found_by(lines)) == hits, name)
            self._fetch("STORE", b"STORE 1:* +FLAGS (\\Seen)")
            with self.step("COPY", many):
                client.command(b"COPY 1:* " + MAILBOX)
            client.command(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")
            with self.step("EXPUNGE", 2 * many):
                lines, _ = client.command(b"EXPUNGE")
            check(sum(b" EXPUNGE" in line for line in lines) == 2 * many, "EXPUNGE")
            client.command(b"CLOSE")
        finally:
            client.command(b"DELETE " + MAILBOX)

    def _fetch(self, name: str, command: bytes) -> None:
        many = len(self._messages)
        with self.step(name, many):
            lines, _ = self._client.command(command)
        check(sum(b" FETCH (" in line for line in lines) == many, name)


def check(right: bool, what: str) -> None:
    if not right:
        raise SystemExit(f"the server's answer to {what} is wrong")


def found_by(lines: list[bytes]) -> list[bytes]:
    """The numbers of a SEARCH response."""
    [line] = [line for line in lines if line.startswith(b"* SEARCH")]
    return line.split()[2:]


def arguments(describe: Callable[[argparse.ArgumentParser], None]) -> argparse.Namespace:
    """What every benchmark is given, and what `describe` adds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--tls", action="store_true", help="TLS from the first byte")
    parser.add_argument("--starttls", action="store_true")
    describe(parser)
    return parser.parse_args()


def connect(given: argparse.Namespace) -> Client:
    client = Client(given.host, given.port, tls=given.tls, starttls=given.starttls)
    client.login(given.user, given.password)
    return client


def main() -> None:
    def describe(parser: argparse.ArgumentParser) -> None:
        parser.description = "How fast an IMAP server does what mail clients ask of it."
        parser.add_argument("--messages", type=int, default=2000, help="how many (2000)")
        parser.add_argument("--size", type=int, default=3800, help="bytes of each, about (3800)")
        parser.add_argument(
            "--json", type=Path, metavar="FILE", help="write the figures there, too"
        )

    given = arguments(describe)
    client = connect(given)
    benchmark = Benchmark(client, given.messages, given.size)
    benchmark.run()
    client.close()
    print(f"messages per second, {given.messages} messages of {given.size} bytes")
    print(table((name, f"{rate:12,.0f}") for name, rate in benchmark.rates.items()))
    if given.json is not None:
        given.json.write_text(json.dumps(benchmark.rates, indent=2) + "\n")


if __name__ == "__main__":
    main()
