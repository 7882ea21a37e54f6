"""Answers of finds, which may be several."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.store import cursors
from twisted_duck.store.driver import Document


class CursorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.asked: list[Document] = []

    async def run_command(self, command: Document) -> Document:
        """Two answers more, the last one empty."""
        self.asked.append(command)
        number = len(self.asked)
        batch = [{"_id": 3}] if number == 1 else []
        return {"cursor": {"id": 7 if number == 1 else 0, "nextBatch": batch}}

    def first(self, id: int) -> Document:
        return {"id": id, "firstBatch": [{"_id": 1}, {"_id": 2}]}

    def all_of(self, id: int, **more: Any) -> list[int]:
        found = self.successResultOf(
            cursors.documents(self.first(id), "messages", self.run_command, **more)
        )
        return [document["_id"] for document in found]

    def test_all_in_the_first_answer(self) -> None:
        self.assertEqual(self.all_of(0), [1, 2])
        self.assertEqual(self.asked, [])

    def test_more_is_asked_for(self) -> None:
        self.assertEqual(self.all_of(7, batchSize=2), [1, 2, 3])
        more = {"getMore": 7, "collection": "messages", "batchSize": 2}
        self.assertEqual(self.asked, [more, more])

    def test_batches_that_are_empty_are_left_out(self) -> None:
        async def batches() -> list[list[Document]]:
            found = cursors.batches(self.first(7), "messages", self.run_command)
            return [batch async for batch in found]

        self.assertEqual(self.successResultOf(batches()), [[{"_id": 1}, {"_id": 2}], [{"_id": 3}]])
