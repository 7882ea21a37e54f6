"""APPEND (RFC 3501 §6.3.11; RFC 3502) and REPLACE (RFC 8508)."""

from __future__ import annotations

from twisted_duck.errors import (
    BadSyntax,
    Cannot,
    ExpungeIssued,
    Refused,
    TooBig,
    TooMany,
    UnknownEncoding,
)
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done, choose, writable
from twisted_duck.imap.commands.message import highest_modseq
from twisted_duck.imap.selection import Selection
from twisted_duck.index import living
from twisted_duck.interfaces import IMultiAppendAccount, IReplaceMailbox
from twisted_duck.mime.header import has_8bit
from twisted_duck.sequence import SequenceSet
from twisted_duck.spool import Spool
from twisted_duck.values import AppendMessage, AppendResult, compact


async def check(connection: Connection, message: grammar.Announced, size: int) -> None:
    """Fails with what is against a message of which the client has not sent anything yet."""
    account, limits = connection.account, connection.limits
    if not size:
        # So a client takes back what it has begun (RFC 3502, "APPEND Command").
        raise Refused("an empty message is not stored, and the others are not either")
    if size > limits.message:
        raise TooBig(f"a message may have {limits.message} bytes at most")
    if message.earlier and not IMultiAppendAccount.providedBy(account):
        raise BadSyntax("one APPEND has one message here")
    if message.earlier and message.earlier + size > limits.append:
        raise TooMany(f"the messages of one APPEND may have {limits.append} bytes together")
    replaced = message.replaced and _replaced(connection, message.replaced, uid=message.uid)
    unasked = limits.append_unasked
    if message.earlier // unasked == (message.earlier + size) // unasked:
        return
    others = message.earlier
    if replaced:
        others -= await _size(*replaced)
    await account.check_append(message.mailbox, size, others)


async def append(connection: Connection, command: grammar.Append) -> AppendResult | None:
    """What others may be made together with, in the order of the commands: `answer` is made of it when its turn comes.

    The messages have been received into spools, which the connection closes when the command is over.
    """
    messages = [_message(connection, argument) for argument in command.messages]
    result: AppendResult | None = await connection.account.append(command.mailbox, messages)
    return result


async def answer(connection: Connection, result: AppendResult | None) -> Done:
    """What the client hears of an APPEND."""
    if connection.selection is not None:
        await connection.selection.catch_up()
    await connection.tell(expunges=True)
    code = None
    if result is not None:
        code = responses.appenduid(result.uidvalidity, compact(result.uids))
    return Done("APPEND completed", code)


async def replace(connection: Connection, command: grammar.Replace) -> Done:
    """RFC 8508 §3: the other message is gone only after the client knows that the new one is there."""
    selection, uid = _replaced(connection, command.replaced, uid=command.uid)
    message = _message(connection, command.message)
    result = await selection.mailbox.replace(uid, command.mailbox, message)
    code = responses.appenduid(result.uidvalidity, compact(result.uids))
    connection.send(responses.status(b"OK", "the replacement is stored", code))
    await connection.tell(expunges=False)
    await connection.tell(expunges=True)
    return Done("REPLACE completed", highest_modseq(selection))


def _replaced(connection: Connection, numbers: SequenceSet, *, uid: bool) -> tuple[Selection, int]:
    """The UID of the one message that `numbers` names, which may have gone meanwhile."""
    selection = writable(connection)
    if not IReplaceMailbox.providedBy(selection.mailbox):
        raise BadSyntax("REPLACE is not supported here")
    chosen = choose(selection.view, numbers, uid=uid)
    if not chosen and uid:
        raise Refused("there is no message of this UID")
    if not chosen:
        raise BadSyntax("there is no message in the mailbox")
    return selection, chosen[0]


async def _size(selection: Selection, uid: int) -> int:
    """Fails with ExpungeIssued where the message is not there any more."""
    async for batch in selection.mailbox.fetch(
        living(selection.mailbox.index, [uid]), frozenset({"size"})
    ):
        for data in batch:
            return int(data.size)
    raise ExpungeIssued("the message does not exist any more")


def _message(connection: Connection, argument: grammar.AppendArgument) -> AppendMessage:
    spool = argument.literal.spool
    if not isinstance(spool, Spool):
        raise BadSyntax("a message is given as a literal")
    if spool.has_nul and argument.literal.binary:
        # No other encoding is put in its place (RFC 3516 §4.4): what was stored comes back byte for byte.
        raise UnknownEncoding("content with NUL in it is not stored here: send it as base64")
    if spool.has_nul:
        raise Cannot(
            "the message has a NUL byte in it, which IMAP does not allow (RFC 3501 section 4.3)"
        )
    if connection.wants_7bit() and has_8bit(spool.data):
        raise Refused("the header has 8-bit characters in it: UTF8=ACCEPT has to be enabled first")
    return AppendMessage(spool, argument.flags, argument.date)
