"""FETCH: the immutable data of messages, read in batches of bounded size, the next one while this one is used."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final, TypeVar

from bson.objectid import ObjectId
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from twisted_duck import errors
from twisted_duck.mime.preview import preview
from twisted_duck.store import order
from twisted_duck.store.changes import Place, uid_filter
from twisted_duck.store.connection import Mongo
from twisted_duck.store.content import HEADER, WHOLE, StoredContent
from twisted_duck.store.conversations import email_id, thread_id
from twisted_duck.store.driver import Document
from twisted_duck.store.rope import INLINE
from twisted_duck.store.saved import saved
from twisted_duck.store.schema import BODIES, MESSAGES
from twisted_duck.values import FetchWant, MessageData

T = TypeVar("T")

#: Messages in a batch, at most; of what is compared, which is more work for each; bytes in one, about (one message may have
#: more).
_MOST, _MOST_COMPARED = 1_000, 500
_BYTES: Final = 768 * 1024
#: The same of messages of which only headers are read, as a rule less than a quarter of them.
_BYTES_OF_HEADERS: Final = 3 * 1024 * 1024
#: Bytes that a message has before anything is known of those of its mailbox.
_FIRST_GUESS = 2_048

#: What is asked for -> the field that has it, in the message's document or (the last three) in the body's.
_FIELDS: Final[dict[FetchWant, tuple[str, ...]]] = {
    "date": ("date", "zone"),
    "saved": ("_id",),
    "size": ("size",),
    "content": ("body", "size"),
    "header": ("body", "size"),
    "envelope": ("envelope",),
    "bodystructure": ("structure",),
    "body": ("plain",),
    "order": ("order",),
    "ids": ("ids",),
    "preview": ("preview", "size"),
    "ready preview": ("preview",),
    "email id": ("body",),
    "thread id": ("body", "thread"),
}
#: Kept with every message but those of old.
_KEPT: Final = {"order", "ids"}
#: What else has no fixed length, beside lists.
_TEXTS: Final = {"order", "ids", "preview", "ready preview"}
#: Bytes of an old message that are read for its preview.
_PREVIEWED: Final = 1024 * 1024
_NOTHING: Final[Document] = {}
_LISTS: Final[dict[FetchWant, str]] = {
    "envelope": "envelope",
    "bodystructure": "structure",
    "body": "plain",
}


async def fetch(
    mongo: Mongo,
    place: Place,
    living: array[int],
    uids: Sequence[int],
    wanted: frozenset[FetchWant],
) -> AsyncIterator[list[MessageData]]:
    """The messages of `uids` (ascending, all in `living`) that are still there, in order."""
    async for batch in ahead(_read(mongo, place, living, uids, wanted)):
        yield batch


async def _read(
    mongo: Mongo,
    place: Place,
    living: array[int],
    uids: Sequence[int],
    wanted: frozenset[FetchWant],
) -> AsyncIterator[list[MessageData]]:
    lists = [field for want, field in _LISTS.items() if want in wanted]
    projection = WHOLE if "content" in wanted else HEADER if "header" in wanted else None
    most = _BYTES_OF_HEADERS if projection is HEADER else _BYTES
    count = _MOST if _KEPT.isdisjoint(wanted) else _MOST_COMPARED
    at, guess = 0, _FIRST_GUESS
    while at < len(uids):
        some = uids[at : at + min(count, max(1, _BYTES // guess))]
        at += len(some)
        if projection is not None and len(uids) == 1:
            rows = await _with_body(mongo, place, uids[0], wanted, projection)
        else:
            rows = await _rows(mongo, place, living, some, wanted)
        if not rows:
            continue
        if lists and any(field not in row for row in rows for field in lists):
            await _bring_lists(mongo, place.user, rows, lists)
        if not _KEPT.isdisjoint(wanted):
            await _bring_order(mongo, place.user, [row for row in rows if not _KEPT & row.keys()])
        if "preview" in wanted:
            await _bring_previews(mongo, place.user, [row for row in rows if "preview" not in row])
        guess = 64 + _weight(rows, lists, wanted) // len(rows)
        if projection is None:
            yield [_message(row, wanted, place) for row in rows]
            continue
        for group in _groups(rows, most):
            contents = await _contents(mongo, place.user, group, projection)
            yield [_message(row, wanted, place, contents[row["body"]]) for row in group]


async def _rows(
    mongo: Mongo,
    place: Place,
    living: array[int],
    uids: Sequence[int],
    wanted: frozenset[FetchWant],
) -> list[Document]:
    return await mongo.find(
        MESSAGES,
        {"user": place.user, "box": place.box, **uid_filter(living, uids)},
        projection=_projection(wanted),
        sort={"uid": 1},
        batchSize=_MOST,
    )


def _projection(wanted: frozenset[FetchWant]) -> Document:
    # With the body's id, in case that a list is kept there, or a message has to be read again, and then its size.
    fields = {"uid", "body"}.union(*(_FIELDS[want] for want in wanted))
    if not _KEPT.isdisjoint(wanted):
        fields.add("size")
    return {"_id": 0, **dict.fromkeys(sorted(fields), 1)}


async def _with_body(
    mongo: Mongo, place: Place, uid: int, wanted: frozenset[FetchWant], projection: Document
) -> list[Document]:
    """One message, its body in `bodies`, by one command.

    Of two thousand, so joined, each would take MongoDB seven times as long as by two finds.
    """
    body = [{"$match": {"user": place.user}}, {"$project": projection}]
    join = {"from": BODIES, "localField": "body", "foreignField": "_id", "pipeline": body}
    return await mongo.aggregate(
        MESSAGES,
        [
            {"$match": {"user": place.user, "box": place.box, "uid": uid}},
            {"$project": _projection(wanted)},
            {"$lookup": {**join, "as": "bodies"}},
        ],
    )


async def _bodies(
    mongo: Mongo, user: ObjectId, rows: Sequence[Document], projection: Document
) -> dict[ObjectId, Document]:
    ids = list({row["body"] for row in rows})
    found = await mongo.find(
        BODIES, {"user": user, "_id": {"$in": ids}}, projection=projection, batchSize=_MOST
    )
    bodies = {body["_id"]: body for body in found}
    if len(bodies) != len(ids):
        raise errors.Corruption("the body of a message is missing in the store")
    return bodies


async def _contents(
    mongo: Mongo, user: ObjectId, rows: Sequence[Document], projection: Document = WHOLE
) -> dict[ObjectId, StoredContent]:
    """By the ids of bodies; of HEADER, only the header can be read."""
    came = [body for row in rows for body in row.get("bodies", ())]
    bodies = {body["_id"]: body for body in came} or await _bodies(mongo, user, rows, projection)
    found = {id: StoredContent(mongo, body) for id, body in bodies.items()}
    if projection is HEADER:
        lacking = {id for id, content in found.items() if content.lacks_header}
        if lacking:
            whole = [{"body": id} for id in lacking]
            found |= await _contents(mongo, user, whole)
    return found


async def _bring_lists(
    mongo: Mongo, user: ObjectId, rows: Sequence[Document], fields: Sequence[str]
) -> None:
    """Put the lists that are too large for the messages' documents into `rows`."""
    short = [row for row in rows if any(field not in row for field in fields)]
    bodies = await _bodies(mongo, user, short, dict.fromkeys(fields, 1))
    for row in short:
        for field in fields:
            if field not in row:
                row[field] = bodies[row["body"]][field]


async def _bring_order(mongo: Mongo, user: ObjectId, rows: Sequence[Document]) -> None:
    """Put what SORT and THREAD compare into `rows`, whose documents do not have it."""
    for group in _groups(rows) if rows else ():
        contents = await _contents(mongo, user, group)
        for row in group:
            content = contents[row["body"]]
            kept, row["ids"] = await order.read_again(content)
            row["order"] = order.dump(kept)


async def _bring_previews(mongo: Mongo, user: ObjectId, rows: Sequence[Document]) -> None:
    """Put previews into `rows`, whose documents do not have any."""
    for group in _groups(rows) if rows else ():
        contents = await _contents(mongo, user, group)
        for row in group:
            content = contents[row["body"]]
            start = b"".join([c async for c in content.chunks(0, min(content.size, _PREVIEWED))])
            row["preview"] = await deferToThreadPool(
                mongo.reactor,
                mongo.reactor.getThreadPool(),
                preview,
                start,
                content.tree,
            )


def _weight(rows: Sequence[Document], lists: Sequence[str], wanted: frozenset[FetchWant]) -> int:
    weight = sum([len(row[field]) for field in lists for row in rows])
    return weight if _TEXTS.isdisjoint(wanted) else weight + sum(map(_texts, rows))


def _texts(row: Document) -> int:
    kept = row.get("order", _NOTHING).values()
    return (
        len(row.get("ids", b""))
        + len(row.get("preview", ""))
        + sum(len(value) for value in kept if isinstance(value, str))
    )


def _groups(rows: Sequence[Document], most: int = _BYTES) -> Iterator[list[Document]]:
    """Rows whose inline bytes make a batch."""
    group: list[Document] = []
    size = 0
    for row in rows:
        inline = 512 + min(row["size"], INLINE)
        if group and size + inline > most:
            yield group
            group, size = [], 0
        group.append(row)
        size += inline
    yield group


@lru_cache(maxsize=256)
def _zone(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes))


def _date(row: Document) -> datetime:
    date: datetime = row["date"]
    return date.astimezone(_zone(row["zone"])) if "zone" in row else date


def _message(
    row: Document,
    wanted: frozenset[FetchWant],
    place: Place,
    content: StoredContent | None = None,
) -> MessageData:
    return MessageData(
        row["uid"],
        _date(row) if "date" in wanted else None,
        row["size"] if "size" in wanted else None,
        row["envelope"] if "envelope" in wanted else None,
        row["structure"] if "bodystructure" in wanted else None,
        row["plain"] if "body" in wanted else None,
        content,
        saved=saved(row["_id"], place.created) if "saved" in wanted else None,
        order=order.load(row["order"]) if "order" in wanted else None,
        ids=row["ids"] if "ids" in wanted else None,
        preview=row.get("preview"),
        email_id=email_id(row) if "email id" in wanted else None,
        thread_id=thread_id(row) if "thread id" in wanted else None,
    )


async def ahead(source: AsyncIterator[T]) -> AsyncIterator[T]:
    """What `source` gives, with the next item already asked for while one is used."""
    end: Any = object()

    async def one() -> T:
        async for item in source:
            return item
        return end  # type: ignore[no-any-return]

    def dropped(failure: Failure) -> None:
        failure.trap(CancelledError, errors.DuckError)

    coming = Deferred.fromCoroutine(one())
    try:
        while (item := await coming) is not end:
            coming = Deferred.fromCoroutine(one())
            yield item
    finally:
        # Nobody waits for it if whoever reads us has stopped.
        coming.addErrback(dropped)
        coming.cancel()
