"""How long a client that comes back waits, in a small mailbox and in a large one, in which ten messages were changed.

    python -m benchmarks.resync HOST PORT USER PASSWORD [--tls | --starttls] [--few 1000] [--many 100000] [--times 30] [--cold PORT]

For any IMAP server with CONDSTORE, QRESYNC (RFC 7162) and UIDPLUS.  Five messages get a flag and five are expunged, evenly
through the mailbox; the client has to be told of these ten and of nothing else, which is checked.  What is printed is the
median time of an answer in milliseconds, and how many times longer the large mailbox takes.

`--cold` is the port of another process of the same server that nobody has used since it was started: it has to read the
mailbox first, and answers once.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Iterator

from benchmarks.arguments import arguments, connect
from benchmarks.client import Imap, check, table
from benchmarks.mail import message
from benchmarks.subject import MAILBOX

#: Messages that are changed, half of them expunged.
CHANGED = 10
#: Messages that are appended; the others are copies of them, so many at a time.
_APPENDED, _COPIED = 50, 10_000
_VALUES = re.compile(rb"\[(UIDVALIDITY|HIGHESTMODSEQ|UIDNEXT) (\d+)\]")


class Mailbox:
    """One of `size` messages, and what a client knew of it before the ten changes."""

    def __init__(self, name: bytes, size: int) -> None:
        self.name = name
        self.size = size
        self.uidvalidity = self.modseq = 0

    def fill(self, client: Imap) -> None:
        fill(client, self.name, self.size)

    def change(self, client: Imap) -> None:
        lines, _ = client.command(b"SELECT " + self.name)
        values = {name: int(value) for name, value in _VALUES.findall(b"".join(lines))}
        check(b"* %d EXISTS\r\n" % self.size in lines, "COPY")
        self.uidvalidity, self.modseq = values[b"UIDVALIDITY"], values[b"HIGHESTMODSEQ"]
        chosen = [n * self.size // CHANGED + 1 for n in range(CHANGED)]
        self._flagged, self._gone = chosen[::2], chosen[1::2]
        client.command(b"UID STORE %b +FLAGS.SILENT (\\Flagged)" % _set(self._flagged))
        client.command(b"UID STORE %b +FLAGS.SILENT (\\Deleted)" % _set(self._gone))
        client.command(b"UID EXPUNGE " + _set(self._gone))

    def ways(self) -> Iterator[tuple[str, bytes, bytes]]:
        """How a client asks: in which words, and what has to be said before."""
        known = b"%d %d" % (self.uidvalidity, self.modseq)
        last = b"1:%d" % self.size
        some = b",".join(b"%d" % (n * self.size // 8 + 1) for n in range(8))
        select = b"SELECT " + self.name
        yield "SELECT (QRESYNC)", b"%b (QRESYNC (%b))" % (select, known), b""
        arguments = b"%b %b (%b %b)" % (known, last, some, some)
        yield "SELECT (QRESYNC), UIDs and numbers", b"%b (QRESYNC (%b))" % (select, arguments), b""
        modifier = b"(CHANGEDSINCE %d VANISHED)" % self.modseq
        yield "UID FETCH (CHANGEDSINCE VANISHED)", b"UID FETCH 1:* (FLAGS) " + modifier, select

    def ask(self, client: Imap, command: bytes, before: bytes) -> float:
        """Seconds."""
        if before:
            client.command(before)
        began = time.perf_counter()
        lines, _ = client.command(command)
        took = time.perf_counter() - began
        fetched = [re.search(rb"UID (\d+)", line) for line in lines if b" FETCH (" in line]
        check([int(each[1]) for each in fetched if each] == self._flagged, "what was changed")
        gone = [line.split()[3] for line in lines if line.startswith(b"* VANISHED (EARLIER) ")]
        check(gone == [_set(self._gone)], "what has vanished")
        client.command(b"UNSELECT")
        return took


def fill(client: Imap, name: bytes, size: int) -> None:
    """A new mailbox with a few messages, again and again."""
    client.command(b"CREATE " + name)
    there = min(size, _APPENDED)
    for number in range(there):
        client.command(b"APPEND " + name + b" ", message(number, 500))
    client.command(b"SELECT " + name)
    while there < size:
        some = min(there, size - there, _COPIED)
        client.command(b"COPY 1:%d %b" % (some, name))
        there += some


def _set(uids: list[int]) -> bytes:
    return b",".join(b"%d" % uid for uid in uids)


def coming_back(client: Imap) -> Imap:
    client.command(b"ENABLE QRESYNC")
    return client


def measure(client: Imap, mailboxes: list[Mailbox], times: int) -> Iterator[tuple[str, str]]:
    """Rows of the table; small and large take turns, so that what else the machine does meets both."""
    for ways in zip(*(mailbox.ways() for mailbox in mailboxes), strict=True):
        taken: list[list[float]] = [[] for _ in mailboxes]
        for _ in range(times):
            for mailbox, (_, command, before), each in zip(mailboxes, ways, taken, strict=True):
                each.append(mailbox.ask(client, command, before))
        medians = [statistics.median(each) for each in taken]
        name = ways[0][0]
        for mailbox, median in zip(mailboxes, medians, strict=True):
            yield f"{name}, ms of {mailbox.size:,}", f"{1000 * median:10.2f}"
        yield f"{name}, ratio", f"{medians[-1] / medians[0]:10.2f}"


def main() -> None:
    def describe(parser: argparse.ArgumentParser) -> None:
        parser.description = "How long a client that comes back waits."
        parser.add_argument("--few", type=int, default=1000, help="messages of the small mailbox")
        parser.add_argument("--many", type=int, default=100_000, help="messages of the large one")
        parser.add_argument("--times", type=int, default=30, help="answers to each question (30)")
        parser.add_argument("--cold", type=int, metavar="PORT", help="a process without any state")

    given = arguments(describe)
    client = connect(given)
    mailboxes = [
        Mailbox(MAILBOX + b"-few", given.few),
        Mailbox(MAILBOX + b"-many", given.many),
    ]
    try:
        for mailbox in mailboxes:
            mailbox.fill(client)
            mailbox.change(client)
        client.command(b"UNSELECT")
        if given.cold is not None:
            cold = coming_back(connect(argparse.Namespace(**{**vars(given), "port": given.cold})))
            print("a process that has never seen the mailboxes")
            # Once each: the second time it would have.
            ways = [next(mailbox.ways()) for mailbox in mailboxes]
            taken = [m.ask(cold, way[1], way[2]) for m, way in zip(mailboxes, ways, strict=True)]
            rows = [
                (f"{way[0]}, ms of {m.size:,}", f"{1000 * t:10.2f}")
                for m, way, t in zip(mailboxes, ways, taken, strict=True)
            ]
            print(table([*rows, (f"{ways[0][0]}, ratio", f"{taken[-1] / taken[0]:10.2f}")]))
        coming = coming_back(connect(given))
        print("a process that has the mailboxes in memory")
        print(table(measure(coming, mailboxes, given.times)))
        coming.close()
    finally:
        for mailbox in mailboxes:
            client.command(b"DELETE " + mailbox.name)
    client.close()


if __name__ == "__main__":
    main()
