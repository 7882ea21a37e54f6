"""The mailbox behind a maildrop: taking the snapshot, reading a message, and the changes of UPDATE."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal

from twisted.logger import Logger

from twisted_duck import errors
from twisted_duck.index import living
from twisted_duck.interfaces import IMoveMailbox
from twisted_duck.limits import KIB, Limits
from twisted_duck.pop3.maildrop import Maildrop
from twisted_duck.values import SEEN, FlagChange, MessageData

_log = Logger()

#: What becomes of messages that were marked by DELE.
DeleteAction = Literal["delete", "trash"]

#: Where `trash` puts them when the account has no mailbox that is \Trash (RFC 6154).
TRASH = "Trash"

#: A message up to this size is sent in one piece if it is at hand.
PIECE = 256 * KIB

#: How often a move is tried while others expunge the same messages.
_ATTEMPTS = 5


async def snapshot(mailbox: Any, limits: Limits) -> Maildrop:
    """The newest messages, as many as are shown, with their sizes."""
    uids = list(mailbox.index.uids[-limits.pop3_messages :])
    sizes: list[tuple[int, int]] = []
    async for batch in mailbox.fetch(uids, frozenset({"size"})):
        sizes += [(data.uid, data.size) for data in batch]
    return Maildrop(mailbox.index.uidvalidity, sizes)


async def content(mailbox: Any, uid: int) -> Any:
    """A message's IContent; fails with NonExistent if somebody else has expunged it."""
    found: list[MessageData] = []
    async for batch in mailbox.fetch([uid], frozenset({"content"})):
        found += batch
    if not found:
        raise errors.NonExistent("another session has deleted that message")
    return found[0].content


async def pieces(message: Any, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    """The bytes of an IContent from `start` to `stop`."""
    at_hand = message.peek(start, stop) if stop - start <= PIECE else None
    if at_hand is not None:
        yield at_hand
        return
    async for chunk in message.chunks(start, stop):
        yield chunk


async def set_seen(mailbox: Any, uid: int) -> None:
    """The message has been read; no failure of this is worth failing a RETR."""
    if all(SEEN in flags for _, _, flags in mailbox.index.rows([uid])):
        return
    try:
        await mailbox.store([uid], FlagChange("add", frozenset({SEEN})))
    except errors.DuckError as error:
        _log.warn("message {uid} stays unseen: {error}", uid=uid, error=error)


async def remove(account: Any, mailbox: Any, uids: Sequence[int], action: DeleteAction) -> None:
    """UPDATE (RFC 1939 §6): all of the messages go, or none and this fails.  Those that are gone already do not count."""
    if action == "trash":
        await _move_to_trash(account, mailbox, uids)
    else:
        await mailbox.remove(uids)


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
