"""Messages with what they have in common with others: EMAILID and THREADID (RFC 8474 §5), as `store.conversations` has them."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime
from uuid import uuid4

import attrs

from twisted_duck.held import HeldMessage
from twisted_duck.limits import Limits
from twisted_duck.mime.conversation import thread_keys
from twisted_duck.values import FetchWant, MessageData


@attrs.frozen(eq=False)
class Thread:
    """It is there for as long as one of its messages is."""

    id: str = attrs.field(factory=lambda: f"T{uuid4().hex}")


@attrs.frozen(eq=False)
class KeptMessage(HeldMessage):
    """A message of a user; copies are the same object."""

    thread: Thread
    email_id: str = attrs.field(factory=lambda: f"M{uuid4().hex}")

    def tell(self, uid: int, wanted: frozenset[FetchWant]) -> MessageData:
        told = HeldMessage.tell(self, uid, wanted)
        return attrs.evolve(
            told,
            email_id=self.email_id if "email id" in wanted else None,
            thread_id=self.thread.id if "thread id" in wanted else None,
        )


def keep(
    data: bytes, date: datetime, limits: Limits, threads: MutableMapping[int, Thread]
) -> KeptMessage:
    """A message that has arrived.

    @param threads: those of the user, by the keys of their messages
    """
    held = HeldMessage.of(data, date, limits)
    analysis = held.facts.analysis
    keys = thread_keys(analysis.order.subject, analysis.ids, limits.thread_keys)
    found = [threads[key] for key in keys if key in threads]
    thread = found[0] if found else Thread()
    for key in keys:
        threads.setdefault(key, thread)
    return KeptMessage(held.facts, held.content, thread)
