"""What clients were answered, held against what is there: `check` says what can't be true.

It knows three rules of the clients:

* a message's name is in its Message-ID and is never used for other bytes of the same user;
* only one client changes a message (a UID of a mailbox), one request after the other, and leaves it alone for good when the
  outcome of one is unknown;
* mailboxes are never deleted or renamed, so that each has one UIDVALIDITY.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import attrs

from tests.history.record import (
    Appended,
    Copied,
    Delivered,
    Event,
    Expunged,
    Found,
    Outcome,
    Record,
    Shown,
    Stored,
)

E = TypeVar("E", bound=Event)

INBOX = "INBOX"

#: User, mailbox, UID.
Place = tuple[str, str, int]


@attrs.frozen
class Problem:
    """One thing that can't be true."""

    #: A word, the same for all of its kind.
    kind: str
    text: str
    user: str
    #: What of the record tells more.
    messages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.user}: {self.text}"


@attrs.define
class Range:
    """How many there may be: as many as were acknowledged, give or take those that nobody was told of."""

    low: int = 0
    high: int = 0

    def come(self, outcome: Outcome) -> None:
        self.low += outcome is Outcome.DONE
        self.high += outcome in (Outcome.DONE, Outcome.UNKNOWN)

    def go(self, outcome: Outcome) -> None:
        self.low -= outcome in (Outcome.DONE, Outcome.UNKNOWN)
        self.high -= outcome is Outcome.DONE


def check(record: Record, found: Sequence[Found]) -> list[Problem]:
    """Everything that is wrong; nothing, if all that was answered is true."""
    history = _History(record, found)
    return [
        *history.bytes(),
        *history.counts(),
        *history.all_or_none(),
        *history.identities(),
        *history.places(),
        *history.orders(),
        *history.flags(),
        *history.validities(),
    ]


def doubles(record: Record, found: Sequence[Found]) -> int:
    """Messages that are there more often than was acknowledged: connections were lost before the answer."""
    lows = {key: total.low for key, total in _History(record, found).totals.items()}
    there = Counter((each.user, each.message) for each in found)
    return sum(max(0, count - lows.get(key, 0)) for key, count in there.items())


class _History:
    def __init__(self, record: Record, found: Sequence[Found]) -> None:
        self.record = record
        self.found = found
        self.there: dict[Place, Found] = {(f.user, f.mailbox, f.uid): f for f in found}
        #: (user, message) -> how many there may be; with a mailbox: in that.
        self.totals: defaultdict[tuple[str, str], Range] = defaultdict(Range)
        self.ranges: defaultdict[tuple[str, str, str], Range] = defaultdict(Range)
        #: Which messages left, and what is known of that.
        self.removals: dict[Place, Event] = {}
        self.stores: defaultdict[Place, list[Stored]] = defaultdict(list)
        for event in record.events:
            self._count(event)

    def _all(self, kind: type[E], *outcomes: Outcome) -> Iterator[E]:
        for event in self.record.events:
            if isinstance(event, kind) and (not outcomes or event.outcome in outcomes):
                yield event

    def _count(self, event: Event) -> None:
        user, outcome = event.user, event.outcome
        match event:
            case Delivered():
                self.totals[user, event.message].come(outcome)
                self.ranges[user, event.message, INBOX].come(outcome)
            case Appended():
                for name in event.names:
                    self.totals[user, name].come(outcome)
                    self.ranges[user, name, event.mailbox].come(outcome)
            case Copied():
                self.ranges[user, event.message, event.destination].come(outcome)
                if not event.move:
                    self.totals[user, event.message].come(outcome)
                    return
                # However it ended, as many as before: the other place is checked by the ranges.
                self.ranges[user, event.message, event.mailbox].go(outcome)
                self._remove(event, event.mailbox, event.uid)
            case Expunged():
                self.totals[user, event.message].go(outcome)
                self.ranges[user, event.message, event.mailbox].go(outcome)
                self._remove(event, event.mailbox, event.uid)
            case Stored():
                if outcome in (Outcome.DONE, Outcome.UNKNOWN):
                    self.stores[user, event.mailbox, event.uid].append(event)

    def _remove(self, event: Event, mailbox: str, uid: int) -> None:
        if event.outcome in (Outcome.DONE, Outcome.UNKNOWN):
            self.removals[event.user, mailbox, uid] = event

    # --- what is there ------------------------------------------------------------------------------------------------

    def bytes(self) -> Iterator[Problem]:
        for each in self.found:
            expected = self.record.digests.get((each.user, each.message))
            if expected is None:
                yield _problem("invented", f"nobody sent {each}", each)
            elif expected != each.digest:
                yield _problem("changed", f"not byte for byte: {each}", each)

    def counts(self) -> Iterator[Problem]:
        """Every message that was acknowledged once is there once, and none that was refused."""
        totals = Counter((f.user, f.message) for f in self.found)
        for (user, name), may in self.totals.items():
            yield from _compare(totals[user, name], may, user, name, "in all mailboxes")
        parts = Counter((f.user, f.message, f.mailbox) for f in self.found)
        for (user, name, mailbox), may in self.ranges.items():
            yield from _compare(parts[user, name, mailbox], may, user, name, f"in {mailbox}")
        for each in self.found:
            if (each.user, each.message, each.mailbox) not in self.ranges:
                yield _problem("misplaced", f"nobody put it there: {each}", each)

    def all_or_none(self) -> Iterator[Problem]:
        """An APPEND of several messages whose outcome is unknown was made, or was not."""
        ever = {(f.user, f.message) for f in self.found}
        ever.update((shown.user, shown.message) for shown in self._all(Shown))
        for append in self._all(Appended, Outcome.UNKNOWN):
            there = [name for name in append.names if (append.user, name) in ever]
            if there and len(there) < len(append.names):
                text = f"of {append.names} there is {there} only"
                yield Problem("half", text, append.user, append.names)

    # --- UIDs ---------------------------------------------------------------------------------------------------------

    def _named(self) -> Iterator[tuple[Place, str]]:
        """Every UID that was told, and of what message."""
        for place, each in self.there.items():
            yield place, each.message
        for event in self.record.events:
            match event:
                case Shown() | Stored() | Expunged():
                    yield (event.user, event.mailbox, event.uid), event.message
                case Copied():
                    yield (event.user, event.mailbox, event.uid), event.message
                    if event.outcome is Outcome.DONE:
                        yield (event.user, event.destination, event.new_uid), event.message
                case Appended(outcome=Outcome.DONE):
                    for uid, name in zip(event.uids, event.names, strict=True):
                        yield (event.user, event.mailbox, uid), name

    def identities(self) -> Iterator[Problem]:
        """A UID is that of one message for ever."""
        names: dict[Place, str] = {}
        for place, name in self._named():
            if names.setdefault(place, name) != name:
                user, mailbox, uid = place
                text = f"UID {uid} of {mailbox} was {names[place]} and {name}"
                yield Problem("reused", text, user, (names[place], name))

    def _acknowledged(self) -> Iterator[tuple[Place, str, Appended | Copied]]:
        """Who should be where, if nothing removed it."""
        for event in self._all(Appended, Outcome.DONE):
            for uid, name in zip(event.uids, event.names, strict=True):
                yield (event.user, event.mailbox, uid), name, event
        for copy in self._all(Copied, Outcome.DONE):
            yield (copy.user, copy.destination, copy.new_uid), copy.message, copy

    def places(self) -> Iterator[Problem]:
        """What got a UID is there under it, until it is removed, and not afterwards."""
        for place, name, event in self._acknowledged():
            if place not in self.removals and place not in self.there:
                text = f"{name} is not in {place[1]} under its UID {place[2]}"
                yield Problem("lost", text, event.user, (name,))
        for place, removal in self.removals.items():
            if removal.outcome is Outcome.DONE and place in self.there:
                text = f"was removed, and is there: {self.there[place]}"
                yield Problem("undead", text, removal.user, removal.messages)

    def orders(self) -> Iterator[Problem]:
        """What was answered before something else was asked for has the lower UID, and the lower modseq."""
        uids = ((place[:2], place[2], event, name) for place, name, event in self._acknowledged())
        yield from _ascending("UID", uids)
        stores = self._all(Stored, Outcome.DONE)
        modseqs = (
            ((store.user, store.mailbox), store.modseq, store, store.message)
            for store in stores
            if store.modseq
        )
        yield from _ascending("modseq", modseqs)

    def validities(self) -> Iterator[Problem]:
        told: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for found in self.found:
            told[found.user, found.mailbox].add(found.validity)
        for shown in self._all(Shown):
            told[shown.user, shown.mailbox].add(shown.validity)
        for append in self._all(Appended, Outcome.DONE):
            told[append.user, append.mailbox].add(append.validity)
        for copy in self._all(Copied, Outcome.DONE):
            told[copy.user, copy.destination].add(copy.validity)
        for (user, name), values in told.items():
            if len(values) > 1:
                text = f"{name} had the UIDVALIDITYs {sorted(values)}"
                yield Problem("validity", text, user)

    # --- flags --------------------------------------------------------------------------------------------------------

    def flags(self) -> Iterator[Problem]:
        """The last flags that were acknowledged are there, or those of a later STORE that nobody was told of."""
        first = {place: event.flags for place, _, event in self._acknowledged()}
        unknown = {
            *(
                (append.user, name, append.mailbox)
                for append in self._all(Appended, Outcome.UNKNOWN)
                for name in append.names
            ),
            *(
                (copy.user, copy.message, copy.destination)
                for copy in self._all(Copied, Outcome.UNKNOWN)
            ),
        }
        for place, each in self.there.items():
            may = set()
            if place in first:
                may.add(first[place])
            elif (each.user, each.message, each.mailbox) not in unknown:
                # It came by LMTP.
                may.add(frozenset())
            stores = sorted(self.stores[place], key=lambda store: store.began)
            for store in stores:
                if store.outcome is Outcome.DONE:
                    may.clear()
                may.add(store.flags)
            if may and each.flags not in may:
                text = f"has not {' or '.join(str(sorted(flags)) for flags in may)}: {each}"
                yield _problem("flags", text, each)
            last = stores[-1] if stores else None
            known = last.modseq if last is not None and last.outcome is Outcome.DONE else 0
            if known and each.modseq != known:
                yield _problem("modseq", f"modseq {each.modseq} and not {known}: {each}", each)


def late(record: Record) -> list[Problem]:
    """What clients were shown that was older than what had been acknowledged before they asked.

    Nothing is lost by it.  A primary that has just been elected may not know yet how much the majority has.
    """
    changes: defaultdict[Place, list[Event]] = defaultdict(list)
    for event in record.events:
        if (
            isinstance(event, Stored)
            or (isinstance(event, Copied) and event.move)
            or isinstance(event, Expunged)
        ):
            changes[event.user, event.mailbox, event.uid].append(event)
    problems = []
    for shown in record.events:
        if not isinstance(shown, Shown):
            continue
        done = [
            event
            for event in changes[shown.user, shown.mailbox, shown.uid]
            if event.outcome is Outcome.DONE and event.ended < shown.began
        ]
        if not done:
            continue
        last = max(done, key=lambda event: event.began)
        if not isinstance(last, Stored):
            problems.append(
                Problem("late", f"UID {shown.uid} after it was removed", shown.user, shown.messages)
            )
            continue
        later = [
            event.flags
            for event in changes[shown.user, shown.mailbox, shown.uid]
            if isinstance(event, Stored) and event.began > last.began and event.began < shown.ended
        ]
        if shown.flags not in (last.flags, *later):
            text = f"UID {shown.uid} with {sorted(shown.flags)} after {sorted(last.flags)}"
            problems.append(Problem("late", text, shown.user, shown.messages))
    return problems


def _problem(kind: str, text: str, found: Found) -> Problem:
    return Problem(kind, text, found.user, (found.message,))


def _compare(there: int, may: Range, user: str, name: str, where: str) -> Iterator[Problem]:
    if there < may.low:
        yield Problem("lost", f"{name}: {there} {where}, at least {may.low}", user, (name,))
    elif there > may.high:
        kind = "double" if may.high > 0 else "refused"
        yield Problem(kind, f"{name}: {there} {where}, at most {may.high}", user, (name,))


def _ascending(
    what: str, given: Iterable[tuple[tuple[str, str], int, Event, str]]
) -> Iterator[Problem]:
    """Numbers of a mailbox: different for different events, higher than all that were told before an event began."""
    mailboxes: defaultdict[tuple[str, str], list[tuple[int, Event, str]]] = defaultdict(list)
    for where, number, event, name in given:
        mailboxes[where].append((number, event, name))
    for (user, mailbox), numbers in mailboxes.items():
        ended = sorted(numbers, key=_key(lambda event: event.ended))
        at, highest, before = 0, 0, ""
        for number, event, name in sorted(numbers, key=_key(lambda event: event.began)):
            while ended[at][1].ended < event.began:
                if ended[at][0] > highest:
                    highest, _, before = ended[at]
                at += 1
            if number <= highest:
                text = f"{mailbox}: {what} {number} of {name} after {highest} of {before}"
                yield Problem("order", text, user, (name, before))
        for number, count in Counter(number for number, _, _ in numbers).items():
            if count > 1:
                names = tuple(name for other, _, name in numbers if other == number)
                text = f"{mailbox}: {what} {number} was told {count} times: {', '.join(names)}"
                yield Problem("order", text, user, names)


def _key(moment: Callable[[Event], float]) -> Callable[[tuple[int, Event, str]], float]:
    return lambda entry: moment(entry[1])
