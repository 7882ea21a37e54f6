"""How long each thing keeps the server from everything else.

    python -m benchmarks.blocks [--mongo URI] [--messages 100000] [--steps NAME,...]

On a MongoDB that is there (its user `large@example.com` is made, and mailboxes of its), or an embedded one of its own.  For
each step it prints the longest time between two turns of the server's reactor, which is what others have waited for, and the
longest that it was at work itself between two, in milliseconds (of CPU: where others keep the machine busy, that is what
counts); how many of these were longer than the bound; the seconds that the step took, and those of the server's CPU.

The mailbox is filled first, and the steps follow on each other: of those that are chosen, each does what its name says only
if what it needs has been done.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache

from benchmarks.client import stuffed, table
from benchmarks.large import Served, database, multiply, served
from benchmarks.mail import Mail, message
from benchmarks.memory import large
from benchmarks.served import BOUND

#: What has many messages, and where they are copied and moved to.
_SOURCE, _TARGET = b"INBOX", b"large-copies"
#: Bytes of a message, about, and messages of one command.
_SIZE, _TOGETHER = 700, 50
#: Messages that come over IMAP; the others are copies of them.
_APPENDED = 1_000
#: Messages of one COPY: it is one transaction.
_COPIED = 10_000
#: MiB of the large message.
_LARGE = 50


class Bench:
    """Two sessions: one does what is measured, the other one hears of it."""

    def __init__(self, server: Served, uri: str, many: int, mib: int) -> None:
        self.server, self._uri = server.server, uri
        self.many, self._mib = many, mib
        self.client = self.server.imap_client()
        self.other = self.server.imap_client()

    def fill(self) -> None:
        self.client.run(b"CREATE " + _TARGET)
        appended = min(_APPENDED, self.many)
        for first in range(0, appended, _TOGETHER):
            numbers = range(first, min(first + _TOGETHER, appended))
            literals = (Mail(number, message(number, _SIZE)).literal for number in numbers)
            self.client.run(b"APPEND %b %b" % (_SOURCE, b" ".join(literals)))
        multiply(self._uri, self.many)

    def run(self, command: bytes, *, told: bool = False) -> None:
        """In the one session, or in that which hears of it."""
        some = {b"<half>": self.many // 2, b"<some>": min(_COPIED, self.many // 2)}
        for name, value in some.items():
            command = command.replace(name, b"%d" % value)
        (self.other if told else self.client).run(command)

    def known(self) -> bytes:
        """Every other UID, one by one, as many as a line takes."""
        return b",".join(b"%d" % uid for uid in range(1, 2 * min(self.many // 2, 9_000), 2))

    def resync(self) -> None:
        """A client comes back that knows of single messages."""
        self.client.run(b"UNSELECT")
        said = self.client.run(b"STATUS %b (UIDVALIDITY)" % _SOURCE)
        validity = said.split(b"UIDVALIDITY ")[1].split(b")")[0]
        self.client.run(b"SELECT %b (QRESYNC (%b 1 %b))" % (_SOURCE, validity, self.known()))

    def append_large(self) -> None:
        self.client.command(b"APPEND %b " % _TARGET, _huge(self._mib))

    def fetch_large(self) -> None:
        self.other.run(b"SELECT " + _TARGET)
        self.other.run(b"FETCH * BODY.PEEK[]")

    def deliver_large(self) -> None:
        client = self.server.lmtp_client()
        client.deliver(self.server.user, stuffed(_huge(self._mib)))
        client.logout()

    def take_by_pop3(self) -> None:
        client = self.server.pop3_client()
        for command in (b"LIST", b"UIDL", b"RETR 1"):
            client.lines(command)
        client.logout()


@cache
def _huge(mib: int) -> bytes:
    return large(mib << 20)


Step = Callable[[Bench], object]


def _run(command: bytes, *, told: bool = False) -> Step:
    return lambda bench: bench.run(command, told=told)


_STATUS = b" (MESSAGES RECENT UIDNEXT UNSEEN SIZE DELETED HIGHESTMODSEQ)"
_FETCHES = {
    "flags": b"(UID FLAGS)",
    "envelopes": b"(UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)",
    "header fields": b"BODY.PEEK[HEADER.FIELDS (From Subject Date)]",
    "bodies": b"BODY.PEEK[]",
    "text, \\Seen": b"BODY[TEXT]<0.10>",
}
_SEARCHES = {
    "all": b"SEARCH ALL",
    "all, as a set": b"SEARCH RETURN (ALL COUNT) ALL",
    "all, saved": b"SEARCH RETURN (SAVE) ALL",
    "what was saved": b"SEARCH $",
    "unseen": b"SEARCH UNSEEN",
    "flags": b"SEARCH OR NOT KEYWORD one UNFLAGGED",
    "UIDs": b"UID SEARCH NOT UID 7 NOT UID 9 UID 1:*",
    "from": b"SEARCH FROM sender7",
    "subject": b"SEARCH SUBJECT e",
    "header": b"SEARCH HEADER Message-ID sender",
    "body": b"SEARCH BODY e",
    "text": b"SEARCH NOT TEXT nowhere",
    "since": b"SEARCH SINCE 1-Jan-2025",
    "sent since": b"SEARCH SENTSINCE 1-Jan-2025",
    "larger": b"SEARCH LARGER 10",
    "modseq": b"SEARCH MODSEQ 1",
}

#: What is done one after the other, in a mailbox that is filled and in one for copies.
STEPS: dict[str, Step] = {
    "fill": Bench.fill,
    "select": _run(b"SELECT " + _SOURCE),
    "select warm": _run(b"SELECT " + _SOURCE),
    "select of another": _run(b"SELECT " + _SOURCE, told=True),
    "status": _run(b"STATUS " + _TARGET + _STATUS),
    "status of the same": _run(b"STATUS " + _SOURCE + _STATUS),
    **{f"search {name}": _run(command) for name, command in _SEARCHES.items()},
    # They are remembered.
    **{f"search {name} again": _run(_SEARCHES[name]) for name in ("subject", "body", "since")},
    "sort subject": _run(b"SORT (SUBJECT) UTF-8 ALL"),
    "sort date": _run(b"UID SORT RETURN (ALL) (REVERSE DATE FROM) UTF-8 ALL"),
    "thread subject": _run(b"THREAD ORDEREDSUBJECT UTF-8 ALL"),
    "thread references": _run(b"THREAD REFERENCES UTF-8 ALL"),
    **{f"fetch {name}": _run(b"FETCH 1:* " + what) for name, what in _FETCHES.items()},
    **{
        f"fetch {name} again": _run(b"FETCH 1:* " + _FETCHES[name])
        for name in ("envelopes", "header fields")
    },
    "told of \\Seen": _run(b"NOOP", told=True),
    "search half": _run(b"SEARCH SEEN"),
    "pop3": Bench.take_by_pop3,
    "store silent": _run(b"STORE 1:* +FLAGS.SILENT (one)"),
    "store": _run(b"STORE 1:<half> +FLAGS (two)"),
    "told of flags": _run(b"NOOP", told=True),
    "store unchanged since": _run(b"STORE 1:* (UNCHANGEDSINCE 1000000000) +FLAGS.SILENT (three)"),
    "copy": _run(b"UID COPY 1:<some> " + _TARGET),
    "enable": _run(b"ENABLE QRESYNC"),
    "resync": Bench.resync,
    "changed since": _run(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)"),
    "move": _run(b"UID MOVE 1:<half> " + _TARGET),
    "told of moving": _run(b"NOOP", told=True),
    "delete": _run(b"STORE 1:* +FLAGS.SILENT (\\Deleted)"),
    "keep one": _run(b"STORE * -FLAGS.SILENT (\\Deleted)"),
    "expunge": _run(b"EXPUNGE"),
    "told of expunges": _run(b"NOOP", told=True),
    "resync of what went": Bench.resync,
    "select copies": _run(b"SELECT " + _TARGET),
    "append large": Bench.append_large,
    "fetch large": Bench.fetch_large,
    "delete copies": _run(b"STORE 1:* +FLAGS.SILENT (\\Deleted)"),
    "expunge all": _run(b"EXPUNGE"),
    "deliver large": Bench.deliver_large,
}


def measured(server: Served, bench: Bench, names: list[str]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [
        ("step", "longest, ms", "busy, ms", f"over {BOUND} ms", "s", "CPU s")
    ]
    for name in names:
        server.turns()
        began = time.perf_counter()
        try:
            STEPS[name](bench)
        except Exception as failure:  # noqa: BLE001 a step that failed is a row as well
            found.append((f"{name}: {failure}"[:60], "-", "-", "-", "-", "-"))
            continue
        took = time.perf_counter() - began
        told = server.turns()
        found.append(
            (
                name,
                f"{told['longest']:.0f}",
                f"{told['busy']:.0f}",
                f"{told['over']:.0f}",
                f"{took:.2f}",
                f"{told['cpu']:.2f}",
            )
        )
        print(*found[-1], sep="  ", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="How long things keep a server busy at a stretch.")
    parser.add_argument("--mongo", metavar="URI")
    parser.add_argument("--messages", type=int, default=100_000, metavar="N", help="(100000)")
    parser.add_argument("--large", type=int, default=_LARGE, metavar="MIB", help=f"({_LARGE})")
    parser.add_argument("--steps", metavar="NAME,...", help=", ".join(STEPS))
    given = parser.parse_args()
    names = given.steps.split(",") if given.steps else list(STEPS)
    with ExitStack() as stack:
        uri = given.mongo or stack.enter_context(database())
        server = stack.enter_context(served(uri))
        print(table(measured(server, Bench(server, uri, given.messages, given.large), names)))


if __name__ == "__main__":
    main()
