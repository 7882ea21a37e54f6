"""IDLE (RFC 2177)."""

from __future__ import annotations

from twisted_duck.errors import BadSyntax
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done


async def idle(connection: Connection, command: grammar.Idle) -> Done:
    """Tell what changes, as it changes, until the client says DONE."""
    mailbox = connection.mailbox
    connection.send(responses.continuation(b"idling"))
    if mailbox is not None:
        await mailbox.refresh()
    while not connection.has_input():
        await connection.tell(expunges=True)
        told = mailbox.index.highest_modseq if mailbox is not None else 0
        if not await connection.wait(connection.limits.idle_keepalive):
            connection.send(responses.status(b"OK", "still here"))
        elif mailbox is not None and mailbox.index.highest_modseq == told:
            # Woken, and not by a change: perhaps the mailbox is gone, which this tells.
            await mailbox.refresh()
    if (await connection.read_line("DONE")).upper() != b"DONE":
        raise BadSyntax("IDLE ends with DONE")
    return Done("IDLE completed")
