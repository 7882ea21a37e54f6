"""LIST, LSUB, XLIST, STATUS."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from zope.interface.interface import InterfaceClass

from twisted_duck.errors import BadSyntax, NonExistent
from twisted_duck.imap import grammar, listing, responses
from twisted_duck.imap.commands.base import Connection, Done, enable_condstore
from twisted_duck.imap.grammar import ListReturn, ListSelect, StatusItem
from twisted_duck.interfaces import (
    ICondstoreAccount,
    IMailboxIDAccount,
    ISizeAccount,
    ISpecialUseAccount,
)
from twisted_duck.limits import Limits
from twisted_duck.values import DELIMITER, MailboxStatus, StatusWant

#: Names between two pauses.
BATCH = 200


async def list_(connection: Connection, command: grammar.List) -> Done:
    """RFC 3501 §6.3.8, with the attributes of RFC 3348 and RFC 6154; RFC 5258; STATUS: RFC 5819."""
    account = connection.account
    for option in (*command.select, *command.give):
        if option.value == "SPECIAL-USE" and not ISpecialUseAccount.providedBy(account):
            raise BadSyntax("SPECIAL-USE is not known here")
    wanted = _prepare(connection, command.status)
    mailboxes = await account.mailboxes()
    if not command.extended:
        [pattern] = command.patterns
        found = await listing.list_mailboxes(
            mailboxes, command.reference, pattern, connection.breathe
        )
    else:
        asked = ListSelect.SUBSCRIBED in command.select or ListReturn.SUBSCRIBED in command.give
        found = await listing.list_extended(
            mailboxes,
            await account.subscriptions() if asked else frozenset(),
            command.reference,
            command.patterns,
            command.select,
            command.give,
            connection.breathe,
        )
    statuses: dict[str, MailboxStatus] = {}
    if command.status:
        statuses = await account.statuses([each.name for each in found if each.mailbox], wanted)
        found = [
            each.gone() if each.mailbox and each.name not in statuses else each for each in found
        ]
    await _say_listed(connection, b"LIST", found, statuses, command.status)
    return Done("LIST completed")


async def lsub(connection: Connection, command: grammar.Lsub) -> Done:
    """RFC 3501 §6.3.9."""
    names = await connection.account.subscriptions()
    found = await listing.list_subscriptions(
        names, command.reference, command.pattern, connection.breathe
    )
    await _say_listed(connection, b"LSUB", found)
    return Done("LSUB completed")


async def xlist(connection: Connection, command: grammar.XList) -> Done:
    """What clients ask for that are older than RFC 6154."""
    mailboxes = await connection.account.mailboxes()
    found = await listing.list_legacy(
        mailboxes, command.reference, command.pattern, connection.breathe
    )
    await _say_listed(connection, b"XLIST", found)
    return Done("XLIST completed")


async def _say_listed(
    connection: Connection,
    name: bytes,
    found: Sequence[listing.Listed],
    statuses: dict[str, MailboxStatus] | None = None,
    items: Sequence[StatusItem] = (),
) -> None:
    utf8 = connection.enabled.utf8
    for count, each in enumerate(found, 1):
        connection.send(
            responses.listing(
                name, each.attributes, DELIMITER, each.name, beneath=each.beneath, utf8=utf8
            )
        )
        if statuses and each.name in statuses:
            _say_status(connection, each.name, statuses[each.name], items)
        if not count % BATCH:
            await connection.breathe()
    await connection.breathe()


# --- STATUS -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Item:
    """How a STATUS item is answered, what the account must provide for that, and what it has to be asked for."""

    tell: Callable[[MailboxStatus, Limits], int | str]
    interface: InterfaceClass | None = None
    want: StatusWant | None = None


#: RFC 3501 §6.3.10, RFC 7162 §3.1.7, RFC 7889 §4, RFC 8438, RFC 9051 §6.3.11, RFC 9208 §4.1.4, RFC 8474 §4.3.
STATUS_ITEMS: dict[StatusItem, _Item] = {
    StatusItem.MESSAGES: _Item(lambda status, limits: status.messages),
    StatusItem.RECENT: _Item(lambda status, limits: status.recent, want="recent"),
    StatusItem.UIDNEXT: _Item(lambda status, limits: status.uidnext),
    StatusItem.UIDVALIDITY: _Item(lambda status, limits: status.uidvalidity),
    StatusItem.UNSEEN: _Item(lambda status, limits: status.unseen),
    StatusItem.HIGHESTMODSEQ: _Item(lambda status, limits: status.highest_modseq),
    StatusItem.APPENDLIMIT: _Item(lambda status, limits: limits.message),
    StatusItem.SIZE: _Item(lambda status, limits: status.size, ISizeAccount),
    StatusItem.DELETED: _Item(lambda status, limits: status.deleted, ISizeAccount),
    StatusItem.DELETED_STORAGE: _Item(
        lambda status, limits: status.deleted_size, ISizeAccount, want="deleted_size"
    ),
    StatusItem.MAILBOXID: _Item(lambda status, limits: f"({status.mailbox_id})", IMailboxIDAccount),
}


async def status(connection: Connection, command: grammar.Status) -> Done:
    """RFC 3501 §6.3.10."""
    wanted = _prepare(connection, command.items)
    found = await connection.account.statuses([command.mailbox], wanted)
    if command.mailbox not in found:
        raise NonExistent("there is no such mailbox")
    _say_status(connection, command.mailbox, found[command.mailbox], command.items)
    return Done("STATUS completed")


def _prepare(connection: Connection, items: Sequence[StatusItem]) -> frozenset[StatusWant]:
    """What the account has to be asked for these.  Fails with BadSyntax where it can't tell one of them."""
    for item in items:
        interface = STATUS_ITEMS[item].interface
        if interface is not None and not interface.providedBy(connection.account):
            raise BadSyntax(f"{item.value} is no status item here")
    if StatusItem.HIGHESTMODSEQ in items:
        enable_condstore(connection)
    wants = (STATUS_ITEMS[item].want for item in items)
    return frozenset(want for want in wants if want is not None)


def _say_status(
    connection: Connection, name: str, status: MailboxStatus, items: Sequence[StatusItem]
) -> None:
    if not ICondstoreAccount.providedBy(connection.account):
        status = attrs.evolve(status, highest_modseq=0)
    told = [(item.value, STATUS_ITEMS[item].tell(status, connection.limits)) for item in items]
    connection.send(responses.mailbox_status(name, told, utf8=connection.enabled.utf8))
