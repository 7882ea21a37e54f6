"""Sets of message numbers as clients write them (RFC 3501 §9, `sequence-set`).

A `SequenceSet` keeps the ranges as they were sent, `*` included, because what `*` means depends on
the mailbox at the moment the command runs. It never counts through a range: `1:4294967295` costs
as much as `1`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from twisted_duck.values import UIDSet

STAR: Final = 0
"""Stands for `*` inside a range. Real numbers start at 1."""


@frozen
class SequenceSet:
    """Sequence numbers or UIDs: inclusive ranges in the order and the direction they were sent.

    A single number `n` is the range `(n, n)`; `*` is `STAR`.
    """

    ranges: tuple[tuple[int, int], ...]
    #: This is `$` (`SAVED`): what a search has saved, which only a session knows.
    saved: bool = False

    @classmethod
    def of(cls, *numbers: int) -> SequenceSet:
        """The set of these single numbers."""
        return cls(tuple((number, number) for number in numbers))

    @property
    def has_star(self) -> bool:
        return any(STAR in pair for pair in self.ranges)

    @property
    def largest(self) -> int:
        """The largest number that was written out; 0 where there is only `*`.

        A sequence number above the size of the mailbox is a client's error (RFC 3501 §9,
        `seq-number`); a UID that doesn't exist is not.
        """
        return max((max(pair) for pair in self.ranges), default=0)

    def against(self, highest: int) -> UIDSet:
        """What this set names in a mailbox where `*` stands for `highest`.

        `highest` is the size of the mailbox for sequence numbers and the largest UID in it for
        UIDs. In an empty mailbox (0) `*` names nothing, and a range with it neither. `n:*` names
        the highest message even where `n` is above it (RFC 3501 §6.4.8).
        """
        return UIDSet.of_ranges(
            (low or highest, high or highest)
            for low, high in self.ranges
            if highest or (low and high)
        )

    def indexes(self, numbers: Sequence[int]) -> list[range]:
        """Where the members of this set stand in `numbers` (ascending): ranges of 0-based indexes.

        The ranges ascend and have no index in common. Cost: two binary searches a range.
        """
        if not numbers:
            return []
        found = (
            range(bisect_left(numbers, low), bisect_right(numbers, high))
            for low, high in self.against(numbers[-1]).ranges
        )
        return [indexes for indexes in found if indexes]

    def resolve(self, numbers: Sequence[int]) -> Iterator[int]:
        """The members of `numbers` (ascending) that this set names, ascending, each once."""
        for indexes in self.indexes(numbers):
            for index in indexes:
                yield numbers[index]

    def to_bytes(self) -> bytes:
        """As it goes over the wire."""
        if self.saved:
            return b"$"
        return ",".join(
            _number(first) if first == last else f"{_number(first)}:{_number(last)}"
            for first, last in self.ranges
        ).encode("ascii")


SAVED: Final = SequenceSet((), saved=True)
"""`$` (RFC 5182): it has no numbers of its own."""


def _number(number: int) -> str:
    return "*" if number == STAR else str(number)
