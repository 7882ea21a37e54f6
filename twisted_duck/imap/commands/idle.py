"""IDLE (RFC 2177)."""

from __future__ import annotations

from twisted_duck.errors import BadSyntax, ServerError
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done
from twisted_duck.imap.selection import Selection


async def idle(connection: Connection, command: grammar.Idle) -> Done:
    """Tell what changes, as it changes, until the client says DONE."""
    selection = connection.selection
    connection.send(responses.continuation(b"idling"))
    if selection is not None:
        await _refresh(selection)
    await connection.tell(expunges=True)
    while not connection.has_input():
        told = selection.mailbox.index.highest_modseq if selection is not None else 0
        if not await connection.wait(connection.limits.idle_keepalive):
            connection.send(responses.status(b"OK", "still here"))
        elif connection.has_input():
            break
        elif selection is not None and selection.mailbox.index.highest_modseq == told:
            # Woken, and not by a change: perhaps the mailbox is gone, which this tells.
            await _refresh(selection)
        await connection.tell(expunges=True)
    if (await connection.read_line("DONE")).upper() != b"DONE":
        raise BadSyntax("IDLE ends with DONE")
    return Done("IDLE completed")


async def _refresh(selection: Selection) -> None:
    """A store that is away for a while does not end IDLE: the client's DONE would then be no command."""
    try:
        await selection.mailbox.refresh(exact=False)
    except ServerError:
        # Whatever comes next and needs the store will say so.
        pass
