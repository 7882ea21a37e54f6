"""SORT and UID SORT (RFC 5256 §3, RFC 5267 §3, RFC 5957)."""

from __future__ import annotations

from twisted_duck.errors import BadSyntax, DuckError, TooMany
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done, selected
from twisted_duck.imap.commands.search import (
    asks_for_modseqs,
    find,
    forget,
    highest,
    may_renumber,
    said,
    tell,
)
from twisted_duck.imap.sorting import Sorting

#: Messages that are put into their place between two pauses.
_AT_ONCE = 500


async def sort(connection: Connection, command: grammar.Sort) -> Done:
    """RFC 5256 §3: found like SEARCH does, told in order."""
    try:
        found, numbers = await _sorted(connection, command)
    except BadSyntax:
        raise
    except DuckError:
        forget(selected(connection), command.returns)
        raise
    modseqs = asks_for_modseqs(command.key)
    if command.returns is None:
        most = await highest(connection, found) if modseqs else None
        connection.send(responses.sort(await said(connection, numbers), most))
    else:
        await tell(connection, command.returns, found, numbers, uid=command.uid, modseqs=modseqs)
    await connection.tell(expunges=may_renumber(command))
    return Done("SORT completed")


async def _sorted(connection: Connection, command: grammar.Sort) -> tuple[list[int], list[int]]:
    """UIDs in order, and what stands for each of them in the answer."""
    view = selected(connection).view
    uids = await find(connection, command.key)
    sorting = Sorting(command.criteria)
    async for batch in selected(connection).mailbox.fetch(uids, sorting.wants):
        sorting.add(batch)
        check(connection, sorting.held)
        await connection.breathe()
    found: list[int] = []
    numbers: list[int] = []
    for uid in sorting.uids():
        number = uid if command.uid else view.number(uid)
        assert number is not None  # the search named only messages that the client knows
        found.append(uid)
        numbers.append(number)
        if not len(found) % _AT_ONCE:
            await connection.breathe()
    return found, numbers


def check(connection: Connection, held: int) -> None:
    """Fails with TooMany where more bytes are held than may be."""
    if held > connection.limits.sort_memory:
        raise TooMany("so many messages can't be put in order at once: ask for fewer")
