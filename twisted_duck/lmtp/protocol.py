"""An LMTP connection: lines to commands, commands to replies, mail data to users.

    CONNECTED   LHLO comes first
    READY       no transaction
    MAIL        the sender is known; recipients are resolved one by one
    DATA        the message goes into one spool for all of them; when it is whole it is looked at once, stored for each, and
                there is a reply for each, which says what has been committed

How a connection lives and ends is told in `twisted_duck.connection`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import attrs

from twisted_duck import connection, errors
from twisted_duck.lmtp import grammar, responses
from twisted_duck.lmtp.capability import Circumstances, keywords
from twisted_duck.lmtp.commands import CONNECTED, READY, TABLE, is_bad
from twisted_duck.lmtp.spam import SpamMark
from twisted_duck.lmtp.transaction import Transaction
from twisted_duck.room import Room
from twisted_duck.wire.framing import NEED_DATA, Line, LineFramer

#: Octets of mail data that are taken at a time.
_PIECE = 64 * 1024


@attrs.frozen(kw_only=True)
class Settings(connection.Settings):
    #: Provides IDelivery.
    delivery: Any
    #: What the server calls itself.
    hostname: str
    #: Recipients that all connections may look for ahead.
    room: Room
    #: What marks spam; None: nothing does.
    spam: SpamMark | None = None


class Unsynchronised(errors.BadSyntax):
    """It can't be told where the next command begins."""

    smtp = "501 5.5.4"


class LMTPProtocol(connection.Connection):
    """One client's connection."""

    protocol_name: ClassVar[str] = "LMTP"
    first_state: ClassVar[str] = CONNECTED
    answers_together: ClassVar[bool] = True
    table = TABLE

    settings: Settings

    #: Recipients, and announcements of messages, that were refused since mail was delivered.
    refused = 0

    def __init__(self, settings: Settings) -> None:
        self._framer = LineFramer()
        super().__init__(settings, self._framer, idle=settings.limits.lmtp_idle)
        #: What LHLO said; None before it.
        self.client: str | None = None
        self.transaction: Transaction | None = None

    def keywords(self) -> list[str]:
        """What LHLO tells (RFC 2033 §4.1)."""
        return keywords(Circumstances(self.can_start_tls, self.limits))

    def reset(self) -> None:
        """No transaction any more."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None and transaction.intake is not None:
            transaction.intake.close()
        self.session.state = CONNECTED if self.client is None else READY
        self.allow(self.limits.early)

    def lines_ahead(self) -> Iterator[bytes]:
        """What was sent ahead, line by line; it is read as if nobody had looked."""
        return self._framer.lines_ahead(self.limits.lmtp_line)

    # --- mail data ----------------------------------------------------------------------------------------------------

    async def octets(self, most: int = _PIECE) -> bytes:
        """What the client sends next, `most` octets of it or fewer."""
        while not (octets := self._framer.next_octets(min(most, _PIECE))):
            await self.sleep()
        self.timer.received()
        return octets

    def put_back(self, octets: bytes) -> None:
        """What was read behind the end of the data: it belongs to commands."""
        self._framer.put_back(octets)

    # --- what `Connection` asks for -----------------------------------------------------------------------------------

    def greeting(self) -> bytes:
        return responses.greeting(self.settings.hostname, self.session.id)

    def last_words(self, reason: str) -> bytes:
        return responses.reply("421 4.3.2", reason)

    async def leave(self) -> None:
        self.reset()

    async def read_line(self, what: str) -> bytes:
        while (event := self._framer.next_line(self.limits.lmtp_line)) is NEED_DATA:
            await self.sleep()
        self.working()
        if isinstance(event, Line):
            return event.data
        if grammar.announces_octets(event.head):
            raise Unsynchronised(f"the {what} is too long")
        raise errors.BadSyntax(f"the {what} is too long")

    async def serve_command(self) -> None:
        try:
            line = await self.read_line("line")
            self.session.commands += 1
            command = _parse(line)
            await self.run_command(command, type(command).__name__.upper())
            self.succeeded()
        except errors.DuckError as error:
            self._failed(error)

    def _failed(self, error: errors.DuckError) -> None:
        reason = self.failed(error, bad=is_bad(error))
        self.send(responses.failure(error))
        if isinstance(error, Unsynchronised):
            self.end("a chunk without a size")
        elif reason is not None:
            self.goodbye(reason)


def _parse(line: bytes) -> grammar.Command:
    try:
        return grammar.parse(line)
    except errors.BadSyntax as error:
        if grammar.announces_octets(line):
            # What follows may be octets of a message, which must never be run as commands.
            raise Unsynchronised(error.message) from None
        raise
