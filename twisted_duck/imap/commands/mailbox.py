"""SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, LIST, LSUB, STATUS, CLOSE, UNSELECT."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from twisted_duck.errors import BadSyntax, MailboxGone
from twisted_duck.imap import grammar, listing, responses
from twisted_duck.imap.commands.base import Connection, Done, enable_condstore, selected
from twisted_duck.imap.commands.fetch import resynchronise
from twisted_duck.imap.grammar import StatusItem
from twisted_duck.interfaces import ICondstoreAccount
from twisted_duck.limits import Limits
from twisted_duck.values import DELIMITER, MailboxStatus


async def select(connection: Connection, command: grammar.Select) -> Done:
    """RFC 3501 §6.3.1, §6.3.2: whatever comes of it, the mailbox that was selected is not selected any more.

    CONDSTORE: RFC 7162 §3.1.8; QRESYNC: §3.2.5; CLOSED: §3.2.11.
    """
    known = command.known
    if known is not None and not connection.enabled.qresync:
        raise BadSyntax("QRESYNC has to be enabled first")
    if connection.selection is not None:
        await connection.deselect()
        connection.send(responses.status(b"OK", "the mailbox before is closed", b"CLOSED"))
    if command.condstore:
        enable_condstore(connection)
    mailbox = await connection.account.select(command.mailbox, command.readonly)
    selection = await connection.select(mailbox)
    index, view = mailbox.index, selection.view
    selection.tell_keywords()
    connection.send(responses.exists(len(view)))
    connection.send(responses.recent(view.count_recent()))
    unseen = index.first_unseen()
    number = view.number(unseen) if unseen is not None else None
    if number is not None:
        connection.send(responses.status(b"OK", "the first unseen message", b"UNSEEN %d" % number))
    connection.send(responses.status(b"OK", "valid UIDs", b"UIDVALIDITY %d" % index.uidvalidity))
    connection.send(responses.status(b"OK", "predicted next UID", b"UIDNEXT %d" % index.uidnext))
    selection.say_highest_modseq()
    if known is not None and selection.has_modseqs and known.uidvalidity == index.uidvalidity:
        await resynchronise(connection, selection, known)
    if mailbox.readonly:
        return Done("EXAMINE completed" if command.readonly else "SELECT completed", b"READ-ONLY")
    return Done("SELECT completed", b"READ-WRITE")


async def close(connection: Connection, command: grammar.Close) -> Done:
    """RFC 3501 §6.4.2: expunge without telling, unless it was opened by EXAMINE."""
    mailbox = selected(connection).mailbox
    if not mailbox.readonly:
        try:
            await mailbox.expunge()
        except MailboxGone:
            # With everything that was in it.
            pass
    await connection.deselect()
    return Done("CLOSE completed")


async def unselect(connection: Connection, command: grammar.Unselect) -> Done:
    """RFC 3691."""
    await connection.deselect()
    return Done("UNSELECT completed")


async def create(connection: Connection, command: grammar.Create) -> Done:
    """RFC 3501 §6.3.3."""
    listing.check_name(command.mailbox, connection.limits)
    await connection.account.create(command.mailbox)
    return Done("CREATE completed")


async def delete(connection: Connection, command: grammar.Delete) -> Done:
    """RFC 3501 §6.3.4.  A client that deletes the mailbox it has selected has none selected afterwards."""
    await connection.account.delete(command.mailbox)
    selection = connection.selection
    if selection is not None and selection.mailbox.name == command.mailbox:
        await connection.deselect()
    return Done("DELETE completed")


async def rename(connection: Connection, command: grammar.Rename) -> Done:
    """RFC 3501 §6.3.5."""
    listing.check_name(command.target, connection.limits)
    await connection.account.rename(command.source, command.target)
    if connection.selection is not None:
        connection.session.selected = connection.selection.mailbox.name
    return Done("RENAME completed")


async def subscribe(connection: Connection, command: grammar.Subscribe) -> Done:
    """RFC 3501 §6.3.6: the name need not exist."""
    listing.check_name(command.mailbox, connection.limits)
    await connection.account.subscribe(command.mailbox)
    return Done("SUBSCRIBE completed")


async def unsubscribe(connection: Connection, command: grammar.Unsubscribe) -> Done:
    """RFC 3501 §6.3.7."""
    await connection.account.unsubscribe(command.mailbox)
    return Done("UNSUBSCRIBE completed")


async def list_(connection: Connection, command: grammar.List) -> Done:
    """RFC 3501 §6.3.8, with the attributes of RFC 3348 and RFC 6154."""
    mailboxes = await connection.account.mailboxes()
    found = listing.list_mailboxes(mailboxes, command.reference, command.patterns)
    await _say_listed(connection, b"LIST", found)
    return Done("LIST completed")


async def lsub(connection: Connection, command: grammar.Lsub) -> Done:
    """RFC 3501 §6.3.9."""
    names = await connection.account.subscriptions()
    found = listing.list_subscriptions(names, command.reference, command.pattern)
    await _say_listed(connection, b"LSUB", found)
    return Done("LSUB completed")


async def _say_listed(connection: Connection, name: bytes, found: list[listing.Listed]) -> None:
    utf8 = connection.enabled.utf8
    for each in found:
        connection.send(responses.listing(name, each.attributes, DELIMITER, each.name, utf8=utf8))
    await connection.breathe()


#: How each STATUS item is answered (RFC 3501 §6.3.10, RFC 7889 §4).
STATUS_ITEMS: dict[StatusItem, Callable[[MailboxStatus, Limits], int]] = {
    StatusItem.MESSAGES: lambda status, limits: status.messages,
    StatusItem.RECENT: lambda status, limits: status.recent,
    StatusItem.UIDNEXT: lambda status, limits: status.uidnext,
    StatusItem.UIDVALIDITY: lambda status, limits: status.uidvalidity,
    StatusItem.UNSEEN: lambda status, limits: status.unseen,
    StatusItem.HIGHESTMODSEQ: lambda status, limits: status.highest_modseq,
    StatusItem.APPENDLIMIT: lambda status, limits: limits.message,
}


async def status(connection: Connection, command: grammar.Status) -> Done:
    """RFC 3501 §6.3.10; HIGHESTMODSEQ: RFC 7162 §3.1.7."""
    answer = await connection.account.status(command.mailbox)
    if not ICondstoreAccount.providedBy(connection.account):
        answer = attrs.evolve(answer, highest_modseq=0)
    if StatusItem.HIGHESTMODSEQ in command.items:
        enable_condstore(connection)
    items = [(item.value, STATUS_ITEMS[item](answer, connection.limits)) for item in command.items]
    connection.send(responses.mailbox_status(command.mailbox, items, utf8=connection.enabled.utf8))
    return Done("STATUS completed")
