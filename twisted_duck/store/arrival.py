"""An arriving message, made ready to be stored: all that can be done before it has a UID."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any, cast

from bson.objectid import ObjectId
from twisted.internet.threads import deferToThreadPool

from twisted_duck import errors
from twisted_duck.light import light
from twisted_duck.limits import Limits
from twisted_duck.mime.conversation import thread_keys
from twisted_duck.mime.message import Analysis, analyse, behind
from twisted_duck.spool import Spool
from twisted_duck.store import fields, order
from twisted_duck.store import rope as ropes
from twisted_duck.store.blobs import keep
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.rope import Data, Rope, Source, dump, twist
from twisted_duck.values import AppendMessage, Flags

#: Bytes above which a message is looked at in a thread, so that the reactor is not held: 10 to 30 ms of work if it is all parts of
#: some bytes, which take up to eight microseconds a byte, and half of one if it is not.
THREAD_FROM = 4 * 1024
#: Bytes of ENVELOPE, BODYSTRUCTURE and BODY, each, above which they are kept with the body: FETCH reads messages in bulk.
_WITH_MESSAGE = 16 * 1024


#: Bytes that what is known of a message takes in any case; how many times its size, where it is all parts; and the most that it
#: takes, for which `mime_structure` and `mime_search` see.
_KNOWN = 4 * 1024
_KNOWN_TIMES = 20
_KNOWN_MOST = 4 << 20


@light(eq=False)
class Arrival:
    """A message that is ready: the documents to be, and where the bytes of its blobs are."""

    #: Of `messages`, without `_id`, `user`, `box`, `uid` and `modseq`.
    message: Document
    #: Of `bodies`, without `user`.
    body: Document
    #: About how many bytes the body's document has.
    weight: int
    sources: tuple[Source, ...]
    data: Data
    #: What an import knows it by.
    key: bytes | None = None
    #: By what it finds its thread (`conversations`).
    thread_keys: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return cast(int, self.message["size"])

    @property
    def flags(self) -> Flags:
        return frozenset(self.message["flags"])

    async def keep_blobs(self, mongo: Mongo) -> None:
        """Before the transaction, and again where `blobs.confirm` failed in it."""
        await keep(mongo, self.data, self.sources)


def check(message: AppendMessage, limits: Limits) -> Spool:
    """The message's spool.  Raises Cannot or TooBig where no store may take it."""
    spool = cast(Spool, message.content)
    if spool.has_nul:
        raise errors.Cannot("a message must not contain NUL")
    if spool.size > limits.message:
        raise errors.TooBig(f"a message must not be larger than {limits.message} bytes")
    return spool


def known(size: int) -> int:
    """How many bytes an Arrival may take, at the most, for a message of `size` bytes."""
    return min(_KNOWN + _KNOWN_TIMES * size, _KNOWN_MOST)


@light(eq=False)
class Reading:
    """A message that was looked at: what is the same of it for everybody who gets it."""

    data: Data
    analysis: Analysis
    rope: Rope
    thread_keys: tuple[int, ...]

    async def keep_blobs(self, mongo: Mongo) -> None:
        await keep(mongo, self.data, self.rope.sources)

    def behind(self, fields: bytes, limits: Limits) -> Reading:
        """With a few bytes of header in front of it, which are not in `data`: only blobs are still read from there."""
        return Reading(
            self.data,
            behind(fields, self.analysis, limits),
            ropes.behind(fields, self.rope),
            self.thread_keys,
        )


async def prepare(message: AppendMessage, limits: Limits, reactor: Any) -> Arrival:
    """Analyse a message that `check` let pass."""
    reading = await read(check(message, limits), limits, reactor)
    return arrive(reading, message.flags, message.internal_date, message.key)


async def read(spool: Spool, limits: Limits, reactor: Any) -> Reading:
    """Analyse a message, which must stay open for as long as its blobs may have to be stored."""
    reading: Reading = await _aside(len(spool.data), reactor, _read, spool.data, limits)
    return reading


async def arrive_behind(reading: Reading, fields: bytes, limits: Limits, reactor: Any) -> Arrival:
    """The message of `reading` for one mailbox, with `fields` in front of it."""

    def arriving() -> Arrival:
        return arrive(reading.behind(fields, limits), frozenset(), None)

    arrival: Arrival = await _aside(len(reading.data), reactor, arriving)
    return arrival


async def _aside(size: int, reactor: Any, work: Callable[..., Any], *arguments: object) -> Any:
    """What `work` returns, for a message of that size: in a thread if it may take long."""
    if size <= THREAD_FROM:
        return work(*arguments)
    return await deferToThreadPool(reactor, reactor.getThreadPool(), work, *arguments)


def arrive(
    reading: Reading, flags: Flags, internal_date: datetime | None, key: bytes | None = None
) -> Arrival:
    """A message for one mailbox."""
    analysis, rope = reading.analysis, reading.rope
    searchable = analysis.searchable
    when, zone = _moment(internal_date or datetime.fromtimestamp(int(time.time()), UTC))
    inline = rope.inline
    size = rope.size if rope.sources else inline
    # A line end before each field, so that one can be looked for by what it begins with.
    head, text = "\n" + _storable(searchable.header), _storable(searchable.text)
    kept = None if searchable.truncated else fields.of(head)
    id_, tree = ObjectId(), analysis.tree.pack()
    row: Document = {
        "flags": sorted(flags),
        "body": id_,
        "size": size,
        "date": when,
        "day": when.toordinal(),
    }
    if zone:
        row["zone"] = zone
    if searchable.truncated:
        row["cut"] = True
    if analysis.sent_date:
        row["sent"] = analysis.sent_date.toordinal()
    row["order"] = order.dump(analysis.order)
    row["ids"] = analysis.ids
    row["preview"] = analysis.preview
    if kept is not None:
        row["fields"] = kept
    body: Document = {"_id": id_, "size": size, "tree": tree, "rope": dump(rope.segments)}
    if rope.sources:
        body["blobs"] = [source.ref.hash for source in rope.sources]
    body["head"] = head
    body["text"] = text
    # A character has up to four bytes.
    weight = inline + len(tree) + 4 * (len(head) + len(text))
    for name, value in (
        ("envelope", analysis.envelope),
        ("structure", analysis.bodystructure),
        ("plain", analysis.body),
    ):
        if len(value) <= _WITH_MESSAGE:
            row[name] = value
        else:
            body[name] = value
            weight += len(value)
    return Arrival(row, body, weight, rope.sources, reading.data, key, reading.thread_keys)


def _read(data: Data, limits: Limits) -> Reading:
    analysis = analyse(data, limits)
    keys = thread_keys(analysis.order.subject, analysis.ids, limits.thread_keys)
    return Reading(data, analysis, twist(data, analysis), keys)


def _moment(when: datetime) -> tuple[datetime, int]:
    """What can be stored of a date, and its zone in minutes.  Seconds are what IMAP shows."""
    offset = when.utcoffset()
    zone = int(offset.total_seconds()) // 60 if offset else 0
    if when.microsecond:
        when = when.replace(microsecond=0)
    if when.year in (MINYEAR, MAXYEAR):
        try:
            when.astimezone(UTC)
        except OverflowError:
            # A day from either end of the calendar.
            return when.replace(tzinfo=UTC), 0
    return when, zone


def _storable(text: str) -> str:
    """`text` without the lone surrogates that some charsets can spell and BSON can't."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text
