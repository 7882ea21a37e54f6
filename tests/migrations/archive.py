"""A database in a file: BSON, one document of `{c: collection, d: document}` after another, compressed."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bson import decode_all, encode

from twisted_duck.store.connection import Mongo
from twisted_duck.store.transaction import MAJORITY

#: What goes by itself after a while, and is no one's data.
_PASSING = {"attempts", "bans", "rates"}

#: Documents in one command.
_AT_ONCE = 100


async def dump(mongo: Mongo, path: Path) -> None:
    """Write all documents of a database into a file."""
    reply = await mongo.run({"listCollections": 1, "nameOnly": True})
    names = sorted({each["name"] for each in reply["cursor"]["firstBatch"]} - _PASSING)
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as out:
        for name in names:
            async for document in _documents(mongo, name):
                out.write(encode({"c": name, "d": document}))


async def _documents(mongo: Mongo, collection: str) -> AsyncIterator[dict[str, Any]]:
    async for batch in mongo.batches(collection, {}, sort={"_id": 1}):
        for document in batch:
            yield document


async def restore(mongo: Mongo, path: Path) -> None:
    """Put the documents of a file into an empty database: no indexes, which are made by who opens it as a store."""
    collections: dict[str, list[dict[str, Any]]] = {}
    for each in decode_all(gzip.decompress(path.read_bytes())):
        collections.setdefault(each["c"], []).append(each["d"])
    for name, documents in collections.items():
        for first in range(0, len(documents), _AT_ONCE):
            await mongo.run(
                {
                    "insert": name,
                    "documents": documents[first : first + _AT_ONCE],
                    "writeConcern": MAJORITY,
                }
            )
