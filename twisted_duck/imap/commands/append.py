"""APPEND (RFC 3501 §6.3.11)."""

from __future__ import annotations

from twisted_duck.errors import BadSyntax, Cannot
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done
from twisted_duck.spool import Spool
from twisted_duck.values import AppendMessage, compact


async def append(connection: Connection, command: grammar.Append) -> Done:
    """The messages have been received into spools, which the connection closes when the command is over."""
    messages = [_message(argument) for argument in command.messages]
    result = await connection.account.append(command.mailbox, messages)
    if connection.selection is not None:
        await connection.selection.catch_up()
    await connection.tell(expunges=True)
    code = None
    if result is not None:
        code = responses.appenduid(result.uidvalidity, compact(result.uids))
    return Done("APPEND completed", code)


def _message(argument: grammar.AppendArgument) -> AppendMessage:
    spool = argument.literal.spool
    if not isinstance(spool, Spool):
        raise BadSyntax("a message is given as a literal")
    if spool.has_nul:
        raise Cannot(
            "the message has a NUL byte in it, which IMAP does not allow (RFC 3501 section 4.3)"
        )
    return AppendMessage(spool, argument.flags, argument.date)
