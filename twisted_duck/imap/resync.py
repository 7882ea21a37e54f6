"""What a client that comes back with an old picture of a mailbox has missed (RFC 7162 §3.1.4.1, §3.2.5, §3.2.6)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from twisted_duck.imap.view import View
from twisted_duck.index import MailboxIndex
from twisted_duck.sequence import SequenceSet
from twisted_duck.values import UIDSet

#: The largest UID there can be.
LAST_UID = 0xFFFFFFFF


def among(view: View, numbers: SequenceSet, changed: Sequence[int], *, uid: bool) -> list[int]:
    """Which of the ascending UIDs `changed`, all of messages that live, a set names."""
    found: list[int] = []
    stop = 0
    for places in view.positions(numbers, uid=uid):
        # What lives between two messages that the client knows, it knows.
        start = bisect_left(changed, view.uids[places.start], stop)
        stop = bisect_right(changed, view.uids[places.stop - 1], start)
        found.extend(changed[start:stop])
    return found


def vanished(view: View, index: MailboxIndex, asked: UIDSet, gone: UIDSet | None) -> UIDSet:
    """Which of the UIDs `asked` for were expunged.

    @param gone: what was expunged since the client knew; None where that is not remembered any more: then it is all that
        is not there.

    What the client still has a number for is left out: its going will be told in its turn.
    """
    possible = asked.common(UIDSet(((1, index.uidnext - 1),))) if index.uidnext > 1 else UIDSet()
    if gone is not None:
        possible = possible.common(gone)
    there: Sequence[int] = index.uids
    if view.uids is not index.uids:
        there = sorted({*index.uids, *view.uids[: view.count]})
    return possible.without(there)


def agreed(view: View, numbers: UIDSet, uids: UIDSet) -> int:
    """The largest UID up to which a client's numbers are still right; 0 where none is (RFC 7162 §3.2.5.2).

    The sets pair by position.  A message that has the number it had lost none of those before it.
    """
    for number, uid, count in reversed(list(_pairs(numbers, uids))):
        # UIDs ascend at least as fast as numbers do: where they have run ahead once, they stay ahead.
        places = range(max(0, min(count, len(view) - number + 1)))
        same = bisect_right(places, 0, key=lambda at: view.uid(number + at) - (uid + at))
        if same and view.uid(number + same - 1) == uid + same - 1:
            return uid + same - 1
    return 0


def _pairs(numbers: UIDSet, uids: UIDSet) -> Iterator[tuple[int, int, int]]:
    """`(number, UID, count)`: runs in which both ascend by one."""
    mine, theirs = list(reversed(numbers.ranges)), list(reversed(uids.ranges))
    while mine and theirs:
        (number, last_number), (uid, last_uid) = mine.pop(), theirs.pop()
        count = min(last_number - number, last_uid - uid) + 1
        yield number, uid, count
        if number + count <= last_number:
            mine.append((number + count, last_number))
        if uid + count <= last_uid:
            theirs.append((uid + count, last_uid))
