"""A run in a few lines: what was done, what happened to the server, and how long it was away."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.history.checker import doubles
from tests.history.record import Delivered, Event, Fault, Found, Outcome, Record, Shown


def summary(record: Record, found: Sequence[Found], late: int) -> Iterator[str]:
    """@param late: how often a client was shown what was older than it could have been"""
    answers = Counter(
        (type(event).__name__, event.outcome)
        for event in record.events
        if not isinstance(event, Shown)
    )
    for kind in sorted({kind for kind, _ in answers}):
        told = ", ".join(f"{answers[kind, outcome]:,} {outcome.value}" for outcome in Outcome)
        yield f"{kind}: {told}"
    yield f"{len(found):,} messages in the end; doubles by lost connections: {doubles(record, found)}"
    yield f"shown to clients although it had changed before they asked: {late}"
    for kind, gaps in sorted(away(record).items()):
        yield (
            f"{kind}: {len(gaps)} times; nobody was answered for {statistics.median(gaps):.1f} s (median),"
            f" {max(gaps):.1f} s (longest)"
        )
    waits = sorted(delivery_times(record))
    if waits:
        yield (
            f"from the first try of a delivery to its 250: {statistics.median(waits):.2f} s (median),"
            f" {waits[-1]:.1f} s (longest)"
        )


def away(record: Record) -> dict[str, list[float]]:
    """For each kind of fault, how long nobody was told that anything was done: the longest time before the next fault."""
    moments = sorted(_done(record))
    gaps: defaultdict[str, list[float]] = defaultdict(list)
    for number, fault in enumerate(record.faults):
        following: Fault | None = (
            record.faults[number + 1] if number + 1 < len(record.faults) else None
        )
        end = following.at if following is not None else moments[-1]
        # Whatever began before the next fault counts for this one.
        longest, before = 0.0, fault.at
        for moment in moments:
            if moment < fault.at:
                continue
            longest = max(longest, moment - before)
            if moment > end:
                break
            before = moment
        gaps[fault.kind].append(longest)
    return dict(gaps)


def _done(record: Record) -> Iterator[float]:
    event: Event
    for event in record.events:
        if event.outcome is Outcome.DONE and not isinstance(event, Shown):
            yield event.ended


def delivery_times(record: Record) -> Iterator[float]:
    began: dict[tuple[str, str], float] = {}
    for event in record.events:
        if isinstance(event, Delivered):
            key = (event.user, event.message)
            began[key] = min(event.began, began.get(key, event.began))
            if event.outcome is Outcome.DONE:
                yield event.ended - began[key]
