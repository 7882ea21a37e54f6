"""The maildrop: what INBOX held at login, by numbers that never move (RFC 1939 §5).

Nothing here waits.  Messages that arrive later are not in it; one that somebody else expunges keeps its number and its
size, and can't be read any more.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from twisted_duck.errors import BadSyntax, Refused


class Maildrop:
    """Messages from 1 to `len(maildrop)`, some of them marked as deleted.  Twelve bytes a message."""

    def __init__(self, uidvalidity: int, messages: Iterable[tuple[int, int]]) -> None:
        """
        @param messages: UID and size of each, ascending by UID
        """
        self._uidvalidity = uidvalidity
        self._uids = array("I")
        self._sizes = array("Q")
        for uid, size in messages:
            self._uids.append(uid)
            self._sizes.append(size)
        self._deleted: set[int] = set()
        self._total = sum(self._sizes)
        #: How many messages are not marked as deleted, and their sizes together.
        self.count = len(self._uids)
        self.octets = self._total

    def __len__(self) -> int:
        return len(self._uids)

    def check(self, number: int) -> None:
        """Raises BadSyntax for a number that no message has, and Refused for that of one marked as deleted."""
        if not 1 <= number <= len(self):
            raise BadSyntax(f"there is no message {number}, the last one is {len(self)}")
        if number in self._deleted:
            raise Refused(f"message {number} is marked as deleted")

    def uid(self, number: int) -> int:
        """Fails as `check`, as the following do."""
        self.check(number)
        return self._uids[number - 1]

    def size(self, number: int) -> int:
        self.check(number)
        return self._sizes[number - 1]

    def unique_id(self, number: int) -> str:
        """RFC 1939 §7: at most 21 characters, never used for another message and never changed."""
        return f"{self._uidvalidity}.{self.uid(number)}"

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

    def deleted_uids(self) -> list[int]:
        """Of the messages that are marked, ascending."""
        return [self._uids[number - 1] for number in sorted(self._deleted)]
