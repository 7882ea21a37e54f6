"""The maildrop: what there was at login, by numbers that never move (RFC 1939 §5).

Nothing here waits.  Messages that arrive later are not in it; one that somebody else expunges keeps its number and its
size, and can't be read any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted_duck.errors import BadSyntax, Refused


class Maildrop:
    """Messages from 1 to `len(maildrop)`, some of them marked as deleted."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._deleted: set[int] = set()
        self._total = sum(self._sizes)
        #: How many messages are not marked as deleted, and their sizes together.
        self.count = len(sizes)
        self.octets = self._total

    def __len__(self) -> int:
        return len(self._sizes)

    def check(self, number: int) -> None:
        """Raises BadSyntax for a number that no message has, and Refused for that of one marked as deleted."""
        if not 1 <= number <= len(self):
            raise BadSyntax(f"there is no message {number}, the last one is {len(self)}")
        if number in self._deleted:
            raise Refused(f"message {number} is marked as deleted")

    def place(self, number: int) -> int:
        """Of a message in the `IMaildrop`.  Fails as `check`, as the following do."""
        self.check(number)
        return number - 1

    def size(self, number: int) -> int:
        return self._sizes[self.place(number)]

    def delete(self, number: int) -> None:
        self.count, self.octets = self.count - 1, self.octets - self.size(number)
        self._deleted.add(number)

    def reset(self) -> None:
        """No message is marked any more."""
        self._deleted.clear()
        self.count, self.octets = len(self), self._total

    def numbers(self) -> Iterator[int]:
        """Of the messages that are not marked, ascending."""
        return (number for number in range(1, len(self) + 1) if number not in self._deleted)

    def doomed(self) -> list[int]:
        """The places of the messages that are marked, ascending."""
        return [number - 1 for number in sorted(self._deleted)]
