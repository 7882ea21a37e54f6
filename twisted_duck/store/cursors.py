"""What a find or an aggregate answers with, which may be more than one answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from twisted_duck.store.driver import Document


async def documents(
    cursor: Document, collection: str, run: Callable[[Document], Awaitable[Document]], **more: Any
) -> list[Document]:
    """All of them, as a rule in the first answer.

    @param cursor, collection, run, more: as for `batches`
    """
    found: list[Document] = cursor["firstBatch"]
    if cursor["id"]:
        rest = {**cursor, "firstBatch": []}
        async for batch in batches(rest, collection, run, **more):
            found.extend(batch)
    return found


async def batches(
    cursor: Document, collection: str, run: Callable[[Document], Awaitable[Document]], **more: Any
) -> AsyncIterator[list[Document]]:
    """Documents as they come, the first ones with the `cursor` of the first answer; no batch is empty.

    @param run: sends a command
    @param more: what each getMore asks for besides
    """
    batch = cursor["firstBatch"]
    while True:
        if batch:
            yield batch
        if not cursor["id"]:
            return
        cursor = (await run({"getMore": cursor["id"], "collection": collection, **more}))["cursor"]
        batch = cursor["nextBatch"]
