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
from twisted_duck.pop3.ahead import Bounds, ReadAhead
from twisted_duck.values import SEEN, FlagChange

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
    """INBOX as it was when it was opened.  Twelve bytes a message, and what is read ahead."""

    def __init__(
        self,
        account: Any,
        mailbox: Any,
        action: DeleteAction,
        ahead: Bounds | None = None,
        most: int | None = None,
    ) -> None:
        self._account = account
        self._mailbox = mailbox
        self._action = action
        self._most = most
        self._uids = array("I")
        self.sizes = array("Q")
        self._ahead = None if ahead is None else ReadAhead(self._read, self.sizes, ahead)

    @classmethod
    async def open(
        cls,
        account: Any,
        limit: int | None = None,
        action: DeleteAction = "delete",
        ahead: Bounds | None = None,
        most: int | None = None,
    ) -> Inbox:
        """
        @param account: provides IAccount
        @param limit: the newest messages, as many as are shown; None for all
        @param ahead: how much may be read before it is asked for; None for nothing
        @param most: messages that are moved at a time, to the trash; None for all
        """
        mailbox = await account.select(INBOX, False)
        inbox = cls(account, mailbox, action, ahead, most)
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
        if self._ahead is None:
            found = (await self._read(range(place, place + 1))).get(place)
        else:
            found = await self._ahead.take(place)
        # It may have gone since it was read.
        if found is None or not living(self._mailbox.index, [self._uids[place]]):
            raise errors.NonExistent("another session has deleted that message")
        return found

    async def _read(self, places: range) -> dict[int, Any]:
        found: dict[int, Any] = {}
        uids = dict(zip(self._uids[places.start : places.stop], places, strict=True))
        async for batch in self._mailbox.fetch(list(uids), frozenset({"content"})):
            found.update((uids[data.uid], data.content) for data in batch)
        return found

    async def set_seen(self, place: int) -> None:
        uid, mailbox = self._uids[place], self._mailbox
        if not all(SEEN in flags for _, _, flags in mailbox.index.rows([uid])):
            await mailbox.store([uid], FlagChange("add", frozenset({SEEN})))

    async def remove(self, places: Sequence[int]) -> None:
        uids = [self._uids[place] for place in places]
        if self._action == "trash":
            await _move_to_trash(self._account, self._mailbox, uids, self._most or len(uids))
        else:
            await self._mailbox.remove(uids)

    async def close(self) -> None:
        if self._ahead is not None:
            self._ahead.drop()
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


async def _move_to_trash(account: Any, mailbox: Any, uids: Sequence[int], most: int) -> None:
    trash = await _trash(account)
    for _ in range(_ATTEMPTS):
        await mailbox.refresh()
        alive = living(mailbox.index, uids)
        try:
            # What does not fit into one change never would, however often the client came back.
            for at in range(0, len(alive), most):
                await _move(mailbox, alive[at : at + most], trash)
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
