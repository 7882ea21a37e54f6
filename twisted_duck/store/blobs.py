"""Blobs: the bytes of attachments, kept once for everybody, in chunks under their SHA-256.

A chunk is `{hash, n, size, data, touched}`; `size` is the blob's, `touched` the server's time of when somebody last wanted
to store the same bytes.  Whoever stores a blob *touches* all its chunks, or writes them where they are missing, before
the transaction that makes a body refer to it; that transaction looks once more (`confirm`).

Why the collector can never take away a blob that is about to be referred to, however long a process is suspended between
two of its steps.  Times are the server's; `day` is the collector's grace.

1. The collector takes R, the time, at the beginning of its run, then looks for blobs that no body refers to, and removes
   chunks on the condition `touched < R - day`, which the server evaluates together with the removal.
2. A writer's touch at time t is confirmed for every chunk: the count of chunks touched is the count there should be,
   and those that were missing are written with `touched` = their time.  From then on no chunk can be removed by a run with
   R <= t + day.
3. The writer's transaction reads that each chunk is there and was touched less than half a day ago at its snapshot T, at
   some t > T - day/2.  The server ends transactions after a minute, so the reference is there at t + day/2 + 1 min.
4. A run that could remove a chunk has R > t + day, so it looks for references when the reference is there, and keeps it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice

import attrs

from twisted_duck import errors
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.rope import BLOCK, BlobRef, Data, Source
from twisted_duck.store.schema import BLOBS
from twisted_duck.store.transaction import MAJORITY, Transaction

#: Bytes of a chunk: with its envelope it is just below 256 KiB.
CHUNK = 255 * 1024
#: Chunks that go into one command.
_AT_ONCE = 4
#: Milliseconds that a touch is good for: half a day, half of the collector's grace.
_FRESH = 12 * 3600 * 1000


class BlobsLost(Exception):
    """A blob was touched so long ago that it may be gone: store it again.  Never leaves the storage plane."""


def chunks_of(size: int) -> int:
    return max(1, -(-size // CHUNK))


def chunked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of CHUNK; one empty piece if there are none."""
    held = bytearray()
    none = True
    for block in blocks:
        held += block
        while len(held) >= CHUNK:
            yield bytes(held[:CHUNK])
            none = False
            del held[:CHUNK]
    if held or none:
        yield bytes(held)


async def keep(mongo: Mongo, data: Data, sources: Iterable[Source]) -> None:
    """See to it that the blobs of an arriving message are there, and stay for the next half day at least."""
    for source in sources:
        if await _touch(mongo, source.ref) < chunks_of(source.ref.size):
            await _write(mongo, data, source)


async def _touch(mongo: Mongo, ref: BlobRef) -> int:
    reply = await mongo.run(
        {
            "update": BLOBS,
            "updates": [
                {"q": {"hash": ref.hash}, "u": {"$currentDate": {"touched": True}}, "multi": True}
            ],
            "writeConcern": MAJORITY,
        }
    )
    return int(reply["n"])


async def _write(mongo: Mongo, data: Data, source: Source) -> None:
    ref = source.ref
    numbered = enumerate(chunked(source.blocks(data)))
    while batch := list(islice(numbered, _AT_ONCE)):
        command = {
            "update": BLOBS,
            "updates": [
                {
                    "q": {"hash": ref.hash, "n": number},
                    "u": {
                        "$setOnInsert": {"size": ref.size, "data": chunk},
                        "$currentDate": {"touched": True},
                    },
                    "upsert": True,
                }
                for number, chunk in batch
            ],
            "writeConcern": MAJORITY,
        }
        try:
            await mongo.run(command)
        except errors.AlreadyExists:
            # Another process wrote the same chunk at the same moment; now it is there to be touched.
            await mongo.run(command)


async def confirm(transaction: Transaction, refs: Iterable[BlobRef]) -> None:
    """Make sure, inside the transaction that will refer to them, that the blobs are whole and were touched lately.

    Raises BlobsLost where that is not so.
    """
    wanted = {ref.hash: chunks_of(ref.size) for ref in refs}
    if not wanted:
        return
    recent = {"$gt": ["$touched", {"$subtract": ["$$NOW", _FRESH]}]}
    found = await transaction.aggregate(
        BLOBS,
        [
            {"$match": {"hash": {"$in": list(wanted)}, "$expr": recent}},
            {"$group": {"_id": "$hash", "chunks": {"$sum": 1}}},
        ],
    )
    if {document["_id"]: document["chunks"] for document in found} != wanted:
        raise BlobsLost


@attrs.define(eq=False)
class BlobReader:
    """Reads blobs, remembering the chunks it had last: ranges that follow each other share them."""

    _mongo: Mongo
    _had: OrderedDict[tuple[bytes, int], bytes] = attrs.field(factory=OrderedDict)

    async def segment(self, ref: BlobRef, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes `[start, stop)` of a segment, in pieces of less than 256 KiB."""
        while start < stop:
            until = min(start + BLOCK, stop)
            low, high = ref.decoded(start, until)
            yield ref.encoded(start, until, await self.read(ref.hash, low, high))
            start = until

    async def read(self, hash: bytes, start: int, stop: int) -> bytes:
        """The bytes `[start, stop)` of a blob.  Fails with Corruption where they are missing."""
        if start >= stop:
            return b""
        first, last = start // CHUNK, (stop - 1) // CHUNK
        pieces = await self._chunks(hash, range(first, last + 1))
        joined = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        found = joined[start - first * CHUNK : stop - first * CHUNK]
        if len(found) != stop - start:
            raise errors.Corruption("a part of the message is missing in the store")
        return found

    async def _chunks(self, hash: bytes, numbers: range) -> list[bytes]:
        missing = [n for n in numbers if (hash, n) not in self._had]
        if missing:
            filter: Document = {"hash": hash, "n": {"$in": missing}}
            for document in await self._mongo.find(
                BLOBS, filter, projection={"_id": 0, "n": 1, "data": 1}
            ):
                self._had[hash, document["n"]] = document["data"]
        found = [self._had.get((hash, n)) for n in numbers]
        while len(self._had) > 2:
            self._had.popitem(last=False)
        if any(chunk is None for chunk in found):
            raise errors.Corruption("a part of the message is missing in the store")
        return [chunk for chunk in found if chunk is not None]
