"""What a mailbox may take: flags, keywords, and messages that a client gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bson.objectid import ObjectId
from twisted.internet.task import deferLater

from twisted_duck import errors
from twisted_duck.index import MailboxIndex
from twisted_duck.limits import Limits
from twisted_duck.store.arrival import THREAD_FROM, Arrival, check, known, prepare
from twisted_duck.store.coming import Coming
from twisted_duck.store.connection import Mongo
from twisted_duck.store.opened import Registry
from twisted_duck.store.sums import Sums
from twisted_duck.values import AppendMessage, Flags


def needed(messages: Sequence[AppendMessage], limits: Limits) -> int:
    """Bytes that what is known of messages may take until they are stored.  Raises Cannot and TooBig."""
    return sum(known(check(message, limits).size) for message in messages)


async def allowed(
    mongo: Mongo,
    registry: Registry,
    user: ObjectId,
    name: str,
    messages: Sequence[AppendMessage],
    limits: Limits,
) -> Coming:
    """Messages that the mailbox called `name` may take, which have yet to be looked at.

    Fails with TryCreate, Cannot, TooBig, TooMany.
    """
    spools = [check(message, limits) for message in messages]
    flag_sets = [message.flags for message in messages]
    check_flags(flag_sets, limits)
    if _keywords_of(flag_sets):
        opened = await registry.open(user, name, errors.TryCreate)
        try:
            check_keywords(opened.index, flag_sets, limits)
        finally:
            registry.leave(opened)
    sizes = [spool.size for spool in spools]
    return Coming(
        Sums.of(zip(flag_sets, sizes, strict=True)),
        lambda: _look_at(mongo, messages, sizes, limits),
    )


async def _look_at(
    mongo: Mongo, messages: Sequence[AppendMessage], sizes: Sequence[int], limits: Limits
) -> list[Arrival]:
    arrivals = []
    read = 0
    for message, size in zip(messages, sizes, strict=True):
        if read and read + size > THREAD_FROM:
            # Each may be short, and all together would hold everybody up.
            await deferLater(mongo.reactor, 0)
            read = 0
        arrival = await prepare(message, limits, mongo.reactor)
        await arrival.keep_blobs(mongo)
        arrivals.append(arrival)
        read += size
    return arrivals


def check_flags(flag_sets: Iterable[Flags], limits: Limits) -> None:
    """Raises TooMany for flags that no message may have."""
    for flags in flag_sets:
        if len(flags) > limits.flags_per_message:
            raise errors.TooMany(f"a message may have {limits.flags_per_message} flags")
        if any(len(flag.encode()) > limits.keyword for flag in flags):
            raise errors.TooMany(f"a keyword may have {limits.keyword} bytes")


def _keywords_of(flag_sets: Iterable[Flags]) -> set[str]:
    """The keywords among flags, folded."""
    return {flag.lower() for flags in flag_sets for flag in flags if not flag.startswith("\\")}


def check_keywords(index: MailboxIndex, flag_sets: Iterable[Flags], limits: Limits) -> None:
    """Raises TooMany where messages with these flags would bring too many keywords into the mailbox."""
    new = _keywords_of(flag_sets)
    if new:
        known = {keyword.lower() for keyword in index.keywords()}
        if not new <= known and len(known | new) > limits.keywords_per_mailbox:
            raise errors.TooMany(f"a mailbox may have {limits.keywords_per_mailbox} keywords")
