"""SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, CLOSE, UNSELECT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted_duck.errors import BadSyntax, MailboxGone, UseConflict
from twisted_duck.imap import grammar, listing, responses
from twisted_duck.imap.commands.base import Connection, Done, enable_condstore, selected
from twisted_duck.imap.commands.fetch import resynchronise
from twisted_duck.imap.selection import Selection
from twisted_duck.interfaces import ICreateSpecialUseAccount, IMailboxIDAccount, IRecallingAccount
from twisted_duck.names import check_name
from twisted_duck.values import DELIMITER, SPECIAL_USES, MailboxInfo

# What is said at every SELECT, but for the values.
_CLOSED = responses.status(b"OK", "the mailbox before is closed", b"CLOSED")
_FIRST_UNSEEN = responses.status(b"OK", "the first unseen message", b"UNSEEN %d")
_UIDS = responses.status(b"OK", "valid UIDs", b"UIDVALIDITY %d") + responses.status(
    b"OK", "predicted next UID", b"UIDNEXT %d"
)
_MAILBOX_ID = responses.status(b"OK", "identity of the mailbox", b"%b")


async def select(connection: Connection, command: grammar.Select) -> Done:
    """RFC 3501 §6.3.1, §6.3.2: whatever comes of it, the mailbox that was selected is not selected any more.

    CONDSTORE: RFC 7162 §3.1.8; QRESYNC: §3.2.5; CLOSED: §3.2.11.  IMAP4rev2: RFC 9051 §6.3.2.
    """
    known = command.known
    if known is not None and not connection.enabled.qresync:
        raise BadSyntax("QRESYNC has to be enabled first")
    closes = connection.selection is not None
    if closes:
        await connection.deselect()
    if command.condstore:
        enable_condstore(connection)
    rev2 = connection.enabled.rev2
    try:
        # What can fail comes before there is something to be left again.
        hierarchy = await connection.account.mailboxes() if rev2 else ()
        # Who brings a cache up to date hangs it on this one answer.
        recalled = _recalled(connection, command) if known is None else None
        mailbox = recalled or await connection.account.select(command.mailbox, command.readonly)
    finally:
        # Not before: to send a line of its own takes as long as all the other lines do.
        if closes:
            connection.send(_CLOSED)
    selection = await connection.select(mailbox)
    if recalled is not None:
        selection.confirm(command.mailbox)
    index, view = mailbox.index, selection.view
    said = [
        selection.flags(),
        responses.exists(len(view)),
        _listed(connection, hierarchy, command.mailbox) if rev2 else _recent(selection),
        _UIDS % (index.uidvalidity, index.uidnext),
        selection.highest_modseq(),
    ]
    if (mailbox_id := mailbox.mailbox_id) is not None:
        said.append(_MAILBOX_ID % responses.mailbox_id(mailbox_id))
    connection.send(b"".join(said))
    if known is not None and known.uidvalidity == index.uidvalidity:
        await resynchronise(connection, selection, known)
    if mailbox.readonly:
        return Done("EXAMINE completed" if command.readonly else "SELECT completed", b"READ-ONLY")
    return Done("SELECT completed", b"READ-WRITE")


def _recalled(connection: Connection, command: grammar.Select) -> Any:
    """The mailbox as it was a moment ago, where that is known."""
    account = connection.account
    if not IRecallingAccount.providedBy(account):
        return None
    return account.recall(command.mailbox, command.readonly)


def _listed(connection: Connection, hierarchy: Iterable[MailboxInfo], name: str) -> bytes:
    """What LIST tells of a mailbox."""
    told = listing.Names(hierarchy).listed(name, listing.NOSELECT)
    utf8 = connection.enabled.utf8
    return responses.listing(b"LIST", told.attributes, DELIMITER, name, utf8=utf8)


def _recent(selection: Selection) -> bytes:
    """What IMAP4rev1 tells of a mailbox, and IMAP4rev2 does not (RFC 9051, Appendix A)."""
    view = selection.view
    said = responses.recent(view.count_recent())
    unseen = selection.mailbox.index.first_unseen()
    number = view.number(unseen) if unseen is not None else None
    if number is None:
        return said
    return said + _FIRST_UNSEEN % number


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
    """RFC 3501 §6.3.3; USE: RFC 6154 §3; MAILBOXID: RFC 8474 §4.1."""
    check_name(command.mailbox, connection.limits)
    account = connection.account
    use = _special_use(connection, command.uses)
    if use is None:
        mailbox_id = await account.create(command.mailbox)
    else:
        mailbox_id = await account.create(command.mailbox, use)
    code = responses.mailbox_id(mailbox_id) if IMailboxIDAccount.providedBy(account) else None
    return Done("CREATE completed", code)


def _special_use(connection: Connection, uses: tuple[str, ...]) -> str | None:
    """What a mailbox shall be for: one thing at the most."""
    known = {use.lower(): use for use in SPECIAL_USES}
    asked = {use.lower() for use in uses}
    if not asked:
        return None
    if not ICreateSpecialUseAccount.providedBy(connection.account):
        raise BadSyntax("USE is not known here")
    for use in uses:
        if use.lower() not in known:
            raise UseConflict(f"no mailbox can be made for {use}")
    if len(asked) > 1:
        raise UseConflict("a mailbox can be for one special use only")
    [use] = asked
    return known[use]


async def delete(connection: Connection, command: grammar.Delete) -> Done:
    """RFC 3501 §6.3.4.  A client that deletes the mailbox it has selected has none selected afterwards."""
    await connection.account.delete(command.mailbox)
    selection = connection.selection
    if selection is not None and selection.mailbox.name == command.mailbox:
        await connection.deselect()
    return Done("DELETE completed")


async def rename(connection: Connection, command: grammar.Rename) -> Done:
    """RFC 3501 §6.3.5."""
    check_name(command.target, connection.limits)
    await connection.account.rename(command.source, command.target)
    if connection.selection is not None:
        connection.session.selected = connection.selection.mailbox.name
    return Done("RENAME completed")


async def subscribe(connection: Connection, command: grammar.Subscribe) -> Done:
    """RFC 3501 §6.3.6: the name need not exist."""
    check_name(command.mailbox, connection.limits)
    await connection.account.subscribe(command.mailbox)
    return Done("SUBSCRIBE completed")


async def unsubscribe(connection: Connection, command: grammar.Unsubscribe) -> Done:
    """RFC 3501 §6.3.7."""
    await connection.account.unsubscribe(command.mailbox)
    return Done("UNSUBSCRIBE completed")
