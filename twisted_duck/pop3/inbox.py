"""An INBOX as a maildrop: taking the snapshot, reading a message, and the changes of UPDATE."""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal

from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.index import living
from twisted_duck.interfaces import IMaildrop, IMoveMailbox
from twisted_duck.limits import KIB
from twisted_duck.names import INBOX
from twisted_duck.values import SEEN, FlagChange, MessageData

#: What becomes of messages that were marked by DELE.
DeleteAction = Literal["delete", "trash"]

#: Where `trash` puts them when the account has no mailbox that is \Trash (RFC 6154).
TRASH = "Trash"

#: A message up to this size is sent in one piece if it is at hand.
PIECE = 256 * KIB

#: How often a move is tried while others expunge the same messages.
_ATTEMPTS = 5


@implementer(IMaildrop)
class Inbox:
    """INBOX as it was when it was opened.  Twelve bytes a message.

    Messages are read several at a time for a client that takes them in order: one, then two, four and so on, so that nothing
    is read for who wants only one.
    """

    def __init__(self, account: Any, mailbox: Any, action: DeleteAction, ahead: int = 0) -> None:
        self._account = account
        self._mailbox = mailbox
        self._action = action
        self._ahead = ahead
        self._uids = array("I")
        self.sizes = array("Q")
        #: What was read ahead, by UID; the place behind it, and how many were read at once.
        self._read: dict[int, MessageData] = {}
        self._next = 0
        self._many = 0

    @classmethod
    async def open(
        cls,
        account: Any,
        limit: int | None = None,
        action: DeleteAction = "delete",
        ahead: int = 0,
    ) -> Inbox:
        """
        @param account: provides IAccount
        @param limit: the newest messages, as many as are shown; None for all
        @param ahead: bytes of messages that may be read before they are asked for
        """
        mailbox = await account.select(INBOX, False)
        inbox = cls(account, mailbox, action, ahead)
        try:
            uids = list(mailbox.index.uids if limit is None else mailbox.index.uids[-limit:])
            async for batch in mailbox.fetch(uids, frozenset({"size"})):
                for data in batch:
                    inbox._uids.append(data.uid)
                    inbox.sizes.append(data.size)
        except Exception:
            await mailbox.close()
            raise
        return inbox

    def unique_id(self, place: int) -> str:
        """At most 21 characters, never used for another message and never changed."""
        return f"{self._mailbox.index.uidvalidity}.{self._uids[place]}"

    async def content(self, place: int) -> Any:
        uid = self._uids[place]
        if uid not in self._read:
            await self._read_from(place)
        found = self._read.pop(uid, None)
        # It may have gone since it was read.
        if found is None or not living(self._mailbox.index, [uid]):
            raise errors.NonExistent("another session has deleted that message")
        return found.content

    async def _read_from(self, place: int) -> None:
        self._many = 2 * self._many if place == self._next else 1
        stop, left = place + 1, self._ahead - self.sizes[place]
        while stop < min(place + self._many, len(self._uids)) and left >= self.sizes[stop]:
            left -= self.sizes[stop]
            stop += 1
        self._many, self._next = stop - place, stop
        self._read.clear()
        uids = list(self._uids[place:stop])
        async for batch in self._mailbox.fetch(uids, frozenset({"content"})):
            self._read.update((data.uid, data) for data in batch)

    async def set_seen(self, place: int) -> None:
        uid, mailbox = self._uids[place], self._mailbox
        if not all(SEEN in flags for _, _, flags in mailbox.index.rows([uid])):
            await mailbox.store([uid], FlagChange("add", frozenset({SEEN})))

    async def remove(self, places: Sequence[int]) -> None:
        uids = [self._uids[place] for place in places]
        if self._action == "trash":
            await _move_to_trash(self._account, self._mailbox, uids)
        else:
            await self._mailbox.remove(uids)

    async def close(self) -> None:
        await self._mailbox.close()


def at_hand(message: Any, start: int, stop: int) -> bytes | None:
    """The bytes of an IContent from `start` to `stop`, if nobody has to wait for them and they are not too many."""
    found: bytes | None = message.peek(start, stop) if stop - start <= PIECE else None
    return found


async def pieces(message: Any, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    """The bytes of an IContent from `start` to `stop`."""
    whole = at_hand(message, start, stop)
    if whole is not None:
        yield whole
        return
    async for chunk in message.chunks(start, stop):
        yield chunk


async def _move_to_trash(account: Any, mailbox: Any, uids: Sequence[int]) -> None:
    trash = await _trash(account)
    for _ in range(_ATTEMPTS):
        await mailbox.refresh()
        alive = living(mailbox.index, uids)
        if not alive:
            return
        try:
            await _move(mailbox, alive, trash)
            return
        except errors.TryCreate:
            await _create(account, trash)
        except errors.Refused:
            # Somebody else has expunged one of them just now.
            continue
    raise errors.Contention("other sessions keep changing the mailbox")


async def _trash(account: Any) -> str:
    for mailbox in await account.mailboxes():
        if mailbox.special_use == "\\Trash" and mailbox.selectable:
            name: str = mailbox.name
            return name
    return TRASH


async def _create(account: Any, name: str) -> None:
    try:
        await account.create(name)
    except errors.AlreadyExists:
        # Another session was faster.
        pass


async def _move(mailbox: Any, uids: Sequence[int], destination: str) -> None:
    if IMoveMailbox.providedBy(mailbox):
        await mailbox.move(uids, destination)
        return
    # In two steps: if the second one fails, the messages are in both places, and none is lost.
    await mailbox.copy(uids, destination)
    await mailbox.remove(uids)
