"""SEARCH: the keys that a mailbox's index can't answer, asked of the database.

Text was decoded and folded when the message arrived (`twisted_duck.mime.text`); the server looks for a string in it, so
that no message travels.  The header fields that are asked for most stand beside the message (`twisted_duck.store.fields`), all
other text with its body.  The few messages with more text than is kept are read again and searched to their end.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any, Final

import attrs
from bson.objectid import ObjectId
from twisted.internet.threads import deferToThreadPool

from twisted_duck import search
from twisted_duck.index import common
from twisted_duck.limits import Limits
from twisted_duck.mime.scan import PartTree
from twisted_duck.mime.text import fold, found, iter_search_header, iter_search_text
from twisted_duck.search import SearchKey
from twisted_duck.spool import Spool
from twisted_duck.store import fields
from twisted_duck.store.changes import Place
from twisted_duck.store.connection import Mongo
from twisted_duck.store.content import WHOLE, StoredContent
from twisted_duck.store.conversations import named
from twisted_duck.store.driver import Document
from twisted_duck.store.remembered import Remembered
from twisted_duck.store.rope import Data
from twisted_duck.store.saved import condition
from twisted_duck.store.schema import BODIES, MESSAGES

#: UIDs, or bodies, that are named in one query.
_AT_ONCE = 5_000
#: Seconds that one query for text may take: it reads all the text there is.
_TIME = 60.0
#: Characters from which a string is not put into a pattern (the server takes 32 KiB of pattern).
_LONGEST_PATTERN = 2_000
#: What has a meaning in patterns is among these; before any of them a backslash takes it away.
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
#: No field has a line end in it, and a pattern can't have a NUL.
_NEVER = re.compile(r"[\n\0]")

_DATES: Final = {"before": "$lt", "on": "$eq", "since": "$gte"}
_MOMENTS: Final = {"until": "$lte", "from": "$gte"}
_SIZES: Final = {"larger": "$gt", "smaller": "$lt"}
#: Keys that nobody asks for a second time, of a moment that is so long ago; and what takes no asking.
_PASSING: Final = (search.Arrived, search.SaveDateSupported)
_NONE: Final = array("I")


@attrs.frozen
class Text:
    """What is looked for in the text of messages: as a condition on `bodies`, in the pieces of one message, and, where
    `messages.fields` can tell, as a condition on that.
    """

    condition: Document
    in_message: Callable[[Data, PartTree, Limits], bool]
    fields: Document | None = None


def _contains(field: str, text: str) -> Document:
    # Not a pattern: nothing in `text` means anything, and it may be of any length.
    return {"$gte": [{"$indexOfBytes": [f"${field}", {"$literal": text}]}, 0]}


def _body(text: str) -> Text:
    return Text(
        {"$expr": _contains("text", text)},
        lambda data, tree, limits: found(iter_search_text(data, tree, limits), text),
    )


def _text(text: str) -> Text:
    return Text(
        {"$expr": {"$or": [_contains("head", text), _contains("text", text)]}},
        lambda data, tree, limits: (
            found(iter_search_header(data, tree), text)
            or found(iter_search_text(data, tree, limits), text)
        ),
    )


def _header(name: str, text: str) -> Text:
    start = name + ":"

    def in_message(data: Data, tree: PartTree, limits: Limits) -> bool:
        return any(
            line.startswith(start) and text in line[len(start) :]
            for line in _lines(iter_search_header(data, tree))
        )

    if _NEVER.search(name + text):
        return Text({"$expr": False}, lambda data, tree, limits: False)
    if len(name) + len(text) > _LONGEST_PATTERN:
        line = {
            "$and": [
                {"$eq": [{"$indexOfBytes": ["$$line", {"$literal": start}]}, 0]},
                {
                    "$gte": [
                        {"$indexOfBytes": ["$$line", {"$literal": text}, len(start.encode())]},
                        0,
                    ]
                },
            ]
        }
        lines = {"$map": {"input": {"$split": ["$head", "\n"]}, "as": "line", "in": line}}
        return Text({"$expr": {"$anyElementTrue": [lines]}}, in_message)
    pattern = {"$regex": f"\n{_escaped(start)}[^\n]*{_escaped(text)}"}
    return Text(
        {"head": pattern}, in_message, {"fields": pattern} if name in fields.NAMES else None
    )


def _escaped(text: str) -> str:
    """`text` as a pattern that matches it and nothing else."""
    return _PUNCTUATION.sub(r"\\\g<0>", text)


def _lines(pieces: Iterator[str]) -> Iterator[str]:
    """Pieces hold whole lines."""
    for piece in pieces:
        yield from piece.split("\n")


@attrs.frozen
class StoreLeaves:
    """Provides L{twisted_duck.matching.Leaves} for one mailbox at the moment a search begins."""

    mongo: Mongo
    place: Place
    #: The index's array then, of which the first `count` entries never change: the messages that lived.
    uids: array[int]
    count: int
    limits: Limits
    remembered: Remembered
    #: Whether they all are there, as far as that can be known without reading them.
    is_sure: Callable[[], Awaitable[bool]]

    async def select(self, leaf: SearchKey, uids: Sequence[int]) -> Collection[int]:
        if isinstance(leaf, _PASSING):
            return await self._ask(leaf, uids)
        known = self.remembered.hits(leaf)
        if known is None and not self._is_most(uids):
            return await self._ask(leaf, uids)
        if not await self.is_sure():
            # What is not found now may be there all the same.
            return await self._ask(leaf, uids)
        last, hits = known or (0, _NONE)
        new = self.uids[bisect_right(self.uids, last, 0, self.count) : self.count]
        if new:
            found = await self._ask(leaf, new)
            hits = hits + array("I", sorted(found))
            self.remembered.learn_hits(leaf, new[-1], hits)
            if len(new) == len(uids) == self.count:
                # All were asked about, as they were meant to be.
                return found
        return common(uids, hits)

    def _is_most(self, uids: Sequence[int]) -> bool:
        """Whether it is no more work to ask about all messages than about these."""
        return len(uids) * 2 >= self.count

    async def _ask(self, leaf: SearchKey, uids: Sequence[int]) -> Collection[int]:
        match leaf:
            case search.InternalDate(operator, day):
                return await self._rows(uids, {"day": {_DATES[operator]: day.toordinal()}})
            case search.SaveDate(operator, day):
                saved = condition(operator, day, self.place.created)
                # Else the server might walk all messages of that time, whoever's they are.
                return [] if saved is None else await self._rows(uids, saved, hint="user_box_uid")
            case search.SaveDateSupported():
                return uids
            case search.EmailID(id):
                body = named("M", id)
                return [] if body is None else await self._rows(uids, {"body": body})
            case search.ThreadID(id):
                thread = named("T", id)
                began = {"body": thread, "thread": {"$exists": False}}
                either = {"$or": [{"thread": thread}, began]}
                return [] if thread is None else await self._rows(uids, either)
            case search.Arrived(operator, moment):
                return await self._rows(uids, {"date": {_MOMENTS[operator]: moment}})
            case search.SentDate(operator, day):
                # A message without a Date: field is on no day.
                return await self._rows(uids, {"sent": {_DATES[operator]: day.toordinal()}})
            case search.Size(operator, octets):
                return await self._rows(uids, {"size": {_SIZES[operator]: octets}})
            case search.Header(name, text):
                return await self._texts(uids, _header(fold(name), fold(text)))
            case search.Body(text):
                return await self._texts(uids, _body(fold(text)))
            case search.Text(text):
                return await self._texts(uids, _text(fold(text)))
            case _:
                raise KeyError(leaf)

    def _conditions(self, uids: Sequence[int]) -> Iterator[Document]:
        """Conditions that together take in at least `uids`."""
        whole = {"user": self.place.user, "box": self.place.box}
        if self._is_most(uids):
            yield whole
            return
        for at in range(0, len(uids), _AT_ONCE):
            yield {**whole, "uid": {"$in": list(uids[at : at + _AT_ONCE])}}

    async def _rows(self, uids: Sequence[int], condition: Document, **options: Any) -> list[int]:
        wanted = set(uids)
        return [
            row["uid"]
            for which in self._conditions(uids)
            async for batch in self.mongo.batches(
                MESSAGES,
                {**which, **condition},
                projection={"_id": 0, "uid": 1},
                batchSize=_AT_ONCE,
                **options,
            )
            for row in batch
            if row["uid"] in wanted
        ]

    async def _texts(self, uids: Sequence[int], text: Text) -> list[int]:
        wanted = set(uids)
        matching: list[int] = []
        possible: Document = {}
        projection: Document = {"_id": 0, "uid": 1, "body": 1, "cut": 1}
        if text.fields is not None:
            possible = {"$or": [text.fields, {"fields": None}]}
            projection["kept"] = {"$eq": [{"$type": "$fields"}, "string"]}
        for which in self._conditions(uids):
            async for batch in self.mongo.batches(
                MESSAGES, {**which, **possible}, projection=projection, batchSize=_AT_ONCE
            ):
                rows = [row for row in batch if row["uid"] in wanted]
                unsure = [row["body"] for row in rows if not row.get("kept")]
                hits = await self._bodies(unsure, text) if unsure else set()
                for row in rows:
                    if (
                        row.get("kept")
                        or row["body"] in hits
                        or ("cut" in row and await self._to_its_end(row["body"], text))
                    ):
                        matching.append(row["uid"])
        return matching

    async def _bodies(self, ids: Sequence[ObjectId], text: Text) -> set[ObjectId]:
        """Which of the bodies have the text, as far as it is kept."""
        found_in = await self.mongo.find(
            BODIES,
            {"user": self.place.user, "_id": {"$in": list(ids)}, **text.condition},
            projection={"_id": 1},
            batchSize=_AT_ONCE,
            time=_TIME,
        )
        return {body["_id"] for body in found_in}

    async def _to_its_end(self, id: ObjectId, text: Text) -> bool:
        body = await self.mongo.find_one(
            BODIES, {"user": self.place.user, "_id": id}, projection=WHOLE
        )
        if body is None:
            # It was expunged and collected since: then it is no match either.
            return False
        content = StoredContent(self.mongo, body)
        spool = Spool(self.limits)
        try:
            async for chunk in content.chunks(0, content.size):
                spool.write(chunk)
            spool.finish()
            reactor: Any = self.mongo.reactor
            return await deferToThreadPool(
                reactor,
                reactor.getThreadPool(),
                text.in_message,
                spool.data,
                content.tree,
                self.limits,
            )
        finally:
            spool.close()
