"""What messages add up to, as a mailbox's document counts it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from twisted_duck.store.driver import Document
from twisted_duck.values import DELETED, SEEN, Flags


@attrs.frozen
class Sums:
    """Of some messages; negative where they are taken away."""

    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, messages: Iterable[tuple[Flags, int]]) -> Sums:
        """@param messages: the flags and the bytes of each"""
        count = unseen = deleted = size = 0
        for flags, octets in messages:
            count += 1
            unseen += SEEN not in flags
            deleted += DELETED in flags
            size += octets
        return cls(count, unseen, deleted, size)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.messages + other.messages,
            self.unseen + other.unseen,
            self.deleted + other.deleted,
            self.bytes + other.bytes,
        )

    def __neg__(self) -> Sums:
        return Sums(-self.messages, -self.unseen, -self.deleted, -self.bytes)

    def increments(self) -> Document:
        return {name: value for name, value in attrs.asdict(self).items() if value}
