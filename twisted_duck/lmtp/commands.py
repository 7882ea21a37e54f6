"""What each LMTP command does, and in which states it is allowed.

A handler is given the connection and the command's value, and says the whole answer.  An error of `twisted_duck.errors`
becomes a reply with the code that it knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import DeferredSemaphore

from twisted_duck.connection import Rule
from twisted_duck.errors import (
    BadSyntax,
    ClientError,
    DuckError,
    TooBig,
    TooMany,
    Unavailable,
    Unsettled,
    WrongState,
)
from twisted_duck.lmtp import grammar, journal, responses
from twisted_duck.lmtp.address import Address
from twisted_duck.lmtp.intake import Intake
from twisted_duck.lmtp.transaction import Transaction
from twisted_duck.outflow import ConnectionOver
from twisted_duck.spool import Spool
from twisted_duck.values import Recipient
from twisted_duck.wire.dotstuff import DotReader

if TYPE_CHECKING:
    from twisted_duck.lmtp.protocol import LMTPProtocol

#: As `Session.state` tells them.
CONNECTED = "CONNECTED"
READY = "READY"
MAIL = "MAIL"
DATA = "DATA"


class TooManyRecipients(TooMany):
    """RFC 5321 §4.5.3.1.10: the client sends the message again, to the rest."""

    smtp = "452 4.5.3"


class NeedsUTF8(ClientError):
    """An address that is not ASCII, in a transaction that was not begun so (RFC 6531 §3.5)."""

    smtp = "553 5.6.7"


# --- the session ------------------------------------------------------------------------------------------------------


async def lhlo(connection: LMTPProtocol, command: grammar.Lhlo) -> None:
    """RFC 2033 §4.1; like RSET it ends a transaction (RFC 5321 §4.1.4)."""
    connection.client = command.client
    connection.reset()
    connection.send(responses.hello(connection.settings.hostname, connection.keywords()))


async def starttls(connection: LMTPProtocol, command: grammar.Starttls) -> None:
    """RFC 3207 §4: what was said before is forgotten."""
    if not connection.can_start_tls:
        raise WrongState("TLS is active already, or not to be had here")
    connection.start_tls()
    connection.client = None
    connection.reset()
    connection.send(responses.reply("220 2.0.0", "begin TLS negotiation now"))


async def rset(connection: LMTPProtocol, command: grammar.Rset) -> None:
    """RFC 5321 §4.1.1.5."""
    connection.reset()
    connection.send(responses.reply("250 2.0.0", "forgotten"))


async def noop(connection: LMTPProtocol, command: grammar.Noop) -> None:
    """RFC 5321 §4.1.1.9."""
    connection.send(responses.reply("250 2.0.0", "still here"))


async def vrfy(connection: LMTPProtocol, command: grammar.Vrfy) -> None:
    """RFC 5321 §3.5.3: who has mail here is told of a recipient only."""
    connection.send(responses.reply("252 2.5.2", "try RCPT"))


async def leave(connection: LMTPProtocol, command: grammar.Quit) -> None:
    """QUIT: RFC 5321 §4.1.1.10."""
    connection.after_answer(lambda: connection.end("logout"))
    connection.send(responses.reply("221 2.0.0", "until next time"))


# --- a transaction ----------------------------------------------------------------------------------------------------


async def mail(connection: LMTPProtocol, command: grammar.Mail) -> None:
    """RFC 5321 §4.1.1.2, RFC 1870 §6.1."""
    most = connection.limits.message
    if command.size is not None and command.size > most:
        error = TooBig(f"a message may have {most} bytes")
        journal.refused_announcement(connection, command.sender, error)
        raise error
    connection.transaction = Transaction(command)
    connection.session.state = MAIL
    connection.send(responses.reply("250 2.1.0", "the sender is fine"))


async def rcpt(connection: LMTPProtocol, command: grammar.Rcpt) -> None:
    """RFC 5321 §4.1.1.3."""
    transaction = _transaction(connection)
    address = command.recipient
    try:
        found = await _recipient(connection, transaction, address)
    except DuckError as error:
        journal.refused_recipient(connection, transaction.mail.sender, address, error)
        raise
    transaction.recipients.append((address, found))
    connection.send(responses.reply("250 2.1.5", f"<{address}> is fine"))


async def _recipient(
    connection: LMTPProtocol, transaction: Transaction, address: Address
) -> Recipient:
    if not transaction.takes(address):
        raise NeedsUTF8("an address that is not ASCII needs SMTPUTF8")
    most = connection.limits.lmtp_recipients
    if len(transaction.recipients) >= most:
        raise TooManyRecipients(f"a message may have {most} recipients at a time")
    if transaction.away is not None:
        raise transaction.away
    found = await transaction.look_for(connection, address)
    if isinstance(found, Unavailable):
        transaction.away = found
    if isinstance(found, DuckError):
        raise found
    return found


async def data(connection: LMTPProtocol, command: grammar.Data) -> None:
    """RFC 5321 §4.1.1.4, RFC 2033 §4.2."""
    intake = _begin(connection)
    connection.send(responses.GO_AHEAD)
    reader = DotReader()
    while not reader.ended:
        intake.write(reader.feed(await connection.octets()))
    connection.put_back(reader.rest)
    if reader.bare:
        intake.bare()
    await _deliver(connection, intake)


async def bdat(connection: LMTPProtocol, command: grammar.Bdat) -> None:
    """RFC 3030 §2: the octets are read whatever is to be said of them.

    A chunk that fails ends the transaction; only to the last one of a transaction there is a reply for each recipient, so
    that there is none at all where MAIL was taken and no recipient was (RFC 2033 §4.3).
    """
    try:
        intake = _begin(connection)
    except WrongState:
        await _chunk(connection, command.size)
        if command.last and connection.transaction is not None:
            connection.reset()
            return
        raise
    transaction = _transaction(connection)
    intake.expect(command.size)
    await _chunk(connection, command.size, into=transaction)
    if command.last:
        if transaction.line_ends.finish():
            intake.bare()
        await _deliver(connection, intake)
        return
    if transaction.line_ends.bare:
        intake.bare()
    if intake.fault is not None:
        connection.reset()
        raise intake.fault
    connection.send(responses.reply("250 2.0.0", f"{command.size} octets taken"))


def _transaction(connection: LMTPProtocol) -> Transaction:
    if connection.transaction is None:
        raise WrongState("MAIL comes first")
    return connection.transaction


def _begin(connection: LMTPProtocol) -> Intake:
    """Where the message goes that is coming.  Fails with WrongState where there is nobody to get it (RFC 2033 §4.2)."""
    transaction = _transaction(connection)
    if not transaction.recipients:
        raise WrongState("there is no recipient")
    if transaction.intake is None:
        transaction.intake = Intake(connection.limits)
    connection.session.state = DATA
    connection.allow(connection.limits.pipeline)
    return transaction.intake


async def _chunk(connection: LMTPProtocol, octets: int, into: Transaction | None = None) -> None:
    while octets:
        # Nothing here keeps what has been taken while more is waited for: it may be 64 KiB.
        octets -= _take(await connection.octets(octets), into)
    connection.working()


def _take(piece: bytes, into: Transaction | None) -> int:
    """How many octets of a chunk there were."""
    if into is not None and into.intake is not None:
        into.intake.write(piece)
        into.line_ends.feed(piece)
    return len(piece)


# --- delivery ---------------------------------------------------------------------------------------------------------


async def _deliver(connection: LMTPProtocol, intake: Intake) -> None:
    """The message is whole: a reply for each recipient that was accepted, in their order (RFC 2033 §4.2).

    A user who was named several times, by whatever addresses, gets the message once, for the first of them; each of
    them is told the same.
    """
    connection.working()
    connection.allow(connection.limits.early)
    transaction = _transaction(connection)
    sender = transaction.mail.sender
    try:
        spool = intake.finish()
        mark = connection.settings.spam
        junk = mark is not None and mark.is_on(spool.data, connection.limits)
        message = await connection.run(_prepared(connection, spool), "delivery")
    except DuckError as error:
        connection.failed(error, bad=False)
        journal.refused_message(connection, sender, error)
        for address, _ in transaction.recipients:
            connection.send(responses.outcome(address, error))
        connection.reset()
        return
    origin = journal.origin(sender, spool.size)
    deliveries: dict[object, _Delivery] = {}
    for address, recipient in transaction.recipients:
        if recipient.user not in deliveries:
            trace = transaction.trace(address)
            deliveries[recipient.user] = partial(
                _deliver_to, connection, recipient, message, trace, junk, origin
            )
    under_way = _begin_all(deliveries, connection.limits.lmtp_deliveries)
    outcomes: dict[object, DuckError | None] = {}
    for address, recipient in transaction.recipients:
        if recipient.user not in outcomes:
            # What is certain is said before anything else is waited for: a client that never hears it delivers again.
            connection.out.flush()
            outcomes[recipient.user] = await under_way[recipient.user]
        outcome = outcomes[recipient.user]
        if isinstance(outcome, Unsettled):
            # A 4xx would say that it was not stored.
            connection.abandon(outcome.message)
        connection.send(responses.outcome(address, outcome))
    connection.reset()


#: Begins it; what has kept the message from one user comes of it.
_Delivery = Callable[[], Coroutine[Any, Any, DuckError | None]]


def _begin_all(
    deliveries: Mapping[object, _Delivery], most: int
) -> dict[object, Awaitable[DuckError | None]]:
    """What comes of each, by its user; so many of them are made at a time."""
    if len(deliveries) == 1:
        # Nobody is waited for.
        return {user: begin() for user, begin in deliveries.items()}
    turns = DeferredSemaphore(most)
    return {user: turns.run(begin) for user, begin in deliveries.items()}


async def _prepared(connection: LMTPProtocol, spool: Spool) -> object:
    """What `IDelivery.prepare` answers; as a coroutine, what it raises at once is answered as well."""
    return await connection.settings.delivery.prepare(spool)


async def _delivered(
    connection: LMTPProtocol, recipient: Recipient, message: object, trace: bytes, junk: bool
) -> object:
    """What `IDelivery.deliver` answers, likewise."""
    return await connection.settings.delivery.deliver(recipient, message, trace, junk)


async def _deliver_to(
    connection: LMTPProtocol,
    recipient: Recipient,
    message: object,
    trace: bytes,
    junk: bool,
    origin: str,
) -> DuckError | None:
    """What has kept the message from one user; never fails."""
    try:
        # A client that has gone will deliver all of it again.
        connection.check_alive()
        work = _delivered(connection, recipient, message, trace, junk)
        mailbox = await connection.run(work, "delivery")
    except ConnectionOver:
        return Unavailable("the connection was lost")
    except DuckError as error:
        connection.failed(error, bad=False)
        journal.not_delivered(connection, recipient, origin, error)
        return error
    journal.delivered(connection, recipient, mailbox, origin)
    return None


# --- the table --------------------------------------------------------------------------------------------------------


_ANY = frozenset({CONNECTED, READY, MAIL, DATA})

TABLE: dict[type, Rule] = {
    grammar.Lhlo: Rule(_ANY, lhlo),
    grammar.Starttls: Rule(frozenset({CONNECTED, READY}), starttls),
    grammar.Mail: Rule(frozenset({READY}), mail),
    grammar.Rcpt: Rule(frozenset({MAIL}), rcpt),
    grammar.Data: Rule(frozenset({MAIL}), data),
    # Its octets come in any case.
    grammar.Bdat: Rule(_ANY, bdat),
    grammar.Rset: Rule(_ANY, rset),
    grammar.Noop: Rule(_ANY, noop),
    grammar.Vrfy: Rule(_ANY, vrfy),
    grammar.Quit: Rule(_ANY, leave),
}


def is_bad(error: DuckError) -> bool:
    """Whether only a client that is not in its right mind would have sent it.

    Commands behind one that failed are no sign of that: they were sent ahead (RFC 2920).
    """
    return isinstance(error, BadSyntax) and not isinstance(error, WrongState)
