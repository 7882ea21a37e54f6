"""What is known of a message before it comes: who sent it, and whom it is for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred

from twisted_duck.errors import BadSyntax, DuckError, Unavailable
from twisted_duck.lmtp import grammar
from twisted_duck.lmtp.address import Address
from twisted_duck.lmtp.intake import Intake
from twisted_duck.room import Room
from twisted_duck.values import Recipient
from twisted_duck.wire.lines import LineEnds

if TYPE_CHECKING:
    from twisted_duck.lmtp.protocol import LMTPProtocol


@attrs.define(eq=False)
class Transaction:
    """From MAIL to the replies, or to what ends it before."""

    mail: grammar.Mail
    #: Those that were accepted, in their order; each gets a reply.
    recipients: list[tuple[Address, Recipient]] = attrs.field(factory=list)
    #: Nobody could be looked up for one recipient, which took its time: the others need not wait for it, too.
    away: Unavailable | None = None
    #: What has come of the message.
    intake: Intake | None = None
    #: Whether chunks had other line ends than CRLF.
    line_ends: LineEnds = attrs.field(factory=LineEnds)
    #: Recipients of RCPTs that were sent ahead, in their order, with what comes of looking for them.
    _ahead: deque[tuple[Address, Deferred[Recipient | DuckError]]] = attrs.field(factory=deque)

    def takes(self, address: Address) -> bool:
        """Whether the transaction was begun so that it may have such an address (RFC 6531 §3.5)."""
        return self.mail.utf8 or address.is_ascii

    def trace(self, recipient: Address) -> bytes:
        """What is put in front of the message for one recipient (RFC 5321 §4.4)."""
        sender = "" if self.mail.sender is None else self.mail.sender
        return f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode()

    async def look_for(self, connection: LMTPProtocol, address: Address) -> Recipient | DuckError:
        """What comes of looking for a recipient who is named by the present RCPT.

        A client sends all RCPTs of a message in one piece (RFC 2920): those that wait are looked for with the first of them, which
        may be one question to a database, and not one after the other, as many as there is room for among all connections.
        """
        if self._ahead and self._ahead[0][0] == address:
            _, found = self._ahead.popleft()
            return await found
        self._ahead.clear()
        size = self.mail.size or 0
        room = connection.settings.room
        most = min(connection.limits.lmtp_recipients - len(self.recipients) - 1, room.left)
        for each in islice(self._sent_ahead(connection), most):
            found = Deferred.fromCoroutine(_look_ahead(connection, each, size, room))
            self._ahead.append((each, found))
        return await _look_for(connection, address, size)

    def _sent_ahead(self, connection: LMTPProtocol) -> Iterator[Address]:
        """The recipients of the RCPTs that come next, up to whatever else was sent."""
        for line in connection.lines_ahead():
            try:
                command = grammar.parse(line)
            except BadSyntax:
                return
            if not (isinstance(command, grammar.Rcpt) and self.takes(command.recipient)):
                return
            yield command.recipient


async def _look_ahead(
    connection: LMTPProtocol, address: Address, size: int, room: Room
) -> Recipient | DuckError:
    room.left -= 1
    try:
        return await _look_for(connection, address, size)
    finally:
        room.left += 1


async def _look_for(connection: LMTPProtocol, address: Address, size: int) -> Recipient | DuckError:
    """Never fails: nobody may come for what was looked for ahead."""
    try:
        return await connection.run(_resolved(connection, address, size), "RCPT")
    except DuckError as error:
        return error


async def _resolved(connection: LMTPProtocol, address: Address, size: int) -> Recipient:
    found = await connection.settings.delivery.resolve(address.local, address.domain, size)
    if not isinstance(found, Recipient):
        raise TypeError(f"IDelivery.resolve has to answer a Recipient, and not {found!r}")
    # Raises TypeError for one who can't be told apart: now, and not when the message is there.
    hash(found.user)
    return found
