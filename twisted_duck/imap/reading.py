"""From the bytes of a connection to its commands, one after another.

    feed -> CommandFramer -> read_command -> grammar.parse

What stands between is the affair of literals: which are refused before they are sent, where the long ones go, and when
the client is told to go ahead (RFC 3501 §7.5, RFC 7888).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from twisted_duck import errors
from twisted_duck.imap import grammar
from twisted_duck.imap.enabled import Enabled
from twisted_duck.imap.inflation import Inflation
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.wire.framing import (
    NEED_DATA,
    CommandEvent,
    CommandFramer,
    FrameLimits,
    Line,
    LiteralData,
    LiteralHeader,
    Text,
    TooLong,
)

#: Asked with a message that is announced and its size before it is accepted; fails with why it is not.
CheckAppend = Callable[[grammar.Announced, int], Awaitable[None]]


class Client(Protocol):
    """Whoever sends the commands."""

    @property
    def enabled(self) -> Enabled:
        """Looked at for each command."""

    async def sleep(self) -> None:
        """Until something was fed."""

    async def breathe(self) -> None:
        """Give others their turn."""

    def go_ahead(self) -> None:
        """Tell it to send the literal that it announced."""


class CommandReader:
    """The reading side of one connection."""

    __slots__ = (
        "_announced",
        "_check_append",
        "_client",
        "_fault",
        "_framer",
        "_inflation",
        "_limits",
        "_parts",
        "_spool_directory",
        "_spools",
    )

    def __init__(
        self, limits: Limits, client: Client, *, spool_directory: str | None = None
    ) -> None:
        self._limits = limits
        self._client = client
        self._spool_directory = spool_directory
        self._framer = CommandFramer(FrameLimits.before_login(limits))
        self._check_append: CheckAppend | None = None
        self._parts: list[bytes | grammar.Literal] = []
        #: What the last literal of the present command is, if it is a message.
        self._announced: grammar.Announced | None = None
        self._spools: tuple[Spool, ...] = ()
        self._inflation: Inflation | None = None
        #: Why the present command cannot be had, although it must be read to its end.
        self._fault: errors.DuckError | None = None

    def feed(self, data: bytes) -> None:
        (self._inflation or self._framer).feed(data)

    @property
    def buffered(self) -> int:
        """Bytes that were fed and not looked at."""
        waiting = self._inflation.buffered if self._inflation is not None else 0
        return self._framer.buffered + waiting

    def inflate(self) -> None:
        """What is fed from now on is compressed."""
        self._inflation = Inflation(self._framer, self._limits)

    def _more(self) -> Awaitable[None]:
        if self._inflation is not None and self._inflation.more():
            return self._client.breathe()
        return self._client.sleep()

    @property
    def is_inflating(self) -> bool:
        return self._inflation is not None

    def discard(self) -> None:
        """Forget what was fed and not looked at."""
        self._framer.discard()

    def logged_in(self, check_append: CheckAppend) -> None:
        """From now on commands may be long, and messages may come."""
        self._framer.limits = FrameLimits.after_login(self._limits)
        self._check_append = check_append

    @property
    def tag(self) -> bytes | None:
        """The tag of the command that was read last, whole or not, if it had one."""
        return grammar.tag_of(self._parts)

    @property
    def octets(self) -> int:
        """Of the command that was read last, its messages included."""
        return sum(len(part) if isinstance(part, bytes) else part.size for part in self._parts)

    def release(self) -> None:
        """The command is over: give its messages back, and its literals, of which there may be a hundred."""
        self._close_spools()
        self._parts.clear()

    def take_spools(self) -> tuple[Spool, ...]:
        """The messages of the command that was read last: whoever takes them closes them."""
        spools, self._spools = self._spools, ()
        return spools

    def _close_spools(self) -> None:
        for spool in self._spools:
            spool.close()
        self._spools = ()

    async def read_line(self, what: str) -> bytes:
        """One line that is not a command, without its end.  Fails with BadSyntax where it is too long."""
        while True:
            match self._framer.next_line(self._framer.limits.line):
                case Line(data):
                    return data
                case TooLong():
                    raise self._too_long(f"the {what} is too long")
            await self._more()

    async def read_command(self) -> grammar.Command:
        """The next command.  Fails with BadSyntax and with whatever is against a literal that was announced.

        After a failure, other than TooMuch, the next call reads the command behind the one that failed.
        """
        self._parts.clear()
        self._announced = None
        self._fault = None
        while True:
            match await self._event():
                case Text(data, None):
                    self._parts.append(data)
                    if self._fault is not None:
                        raise self._fault
                    return grammar.parse(
                        self._parts,
                        self._limits,
                        utf8=self._client.enabled.utf8,
                        last=self._announced,
                    )
                case Text(data, LiteralHeader() as header):
                    self._parts.append(data)
                    await self._literal(header)
                case TooLong(what, head):
                    self._parts.append(head)
                    raise self._too_long(f"too long: the limit of the {what} was reached")

    async def _event(self) -> CommandEvent:
        while (event := self._framer.next_event()) is NEED_DATA:
            await self._more()
        return event

    async def _literal(self, header: LiteralHeader) -> None:
        """A message goes to a spool, anything else stays in memory, under the limits of the framer."""
        try:
            is_message = await self._is_message(header)
        except errors.DuckError:
            self._framer.refuse()
            raise
        if not self._framer.accept(streamed=is_message):
            return
        if header.synchronising:
            self._client.go_ahead()
        if is_message:
            spool = await self._message()
            self._parts.append(grammar.Literal(header.size, None, spool, binary=header.binary))
        else:
            self._parts.append(grammar.Literal.of(await self._octets()))

    async def _is_message(self, header: LiteralHeader) -> bool:
        """Whether it is a message to be stored.  Fails with what is against having the literal at all."""
        message = self._announced = grammar.announced(
            self._parts, self._limits, utf8=self._client.enabled.utf8, before=self._announced
        )
        if message is not None:
            await self._check_message(message, header.size)
            return True
        if header.binary:
            raise errors.BadSyntax("only a message can be binary data")
        most = self._limits.literal_minus
        if self._check_append is None and not header.synchronising and header.size > most:
            raise errors.TooMuch(f"a literal that is sent unasked may have {most} bytes here")
        return False

    def _too_long(self, message: str) -> errors.BadSyntax:
        """After login the rest is dropped up to its end, and what comes behind it is heard."""
        if self._check_append is None and self._framer.is_dropping:
            return errors.TooMuch(message)
        return errors.BadSyntax(message)

    async def _check_message(self, message: grammar.Announced, size: int) -> None:
        if self._check_append is None:
            name = "APPEND" if message.replaced is None else "REPLACE"
            raise errors.WrongState(f"{name} is not allowed before login")
        await self._check_append(message, size)

    async def _octets(self) -> bytes:
        octets, last = bytearray(), False
        while not last:
            match await self._event():
                case LiteralData(data, last):
                    octets += data
        return bytes(octets)

    async def _message(self) -> Spool:
        spool, last = Spool(self._limits, self._spool_directory), False
        self._spools += (spool,)
        while not last:
            match await self._event():
                case LiteralData(data, last):
                    self._keep(spool.write, data)
        self._keep(spool.finish)
        return spool

    def _keep(self, step: Callable[..., None], *arguments: bytes) -> None:
        """Do something with a spool: where there is no room for it, the rest of the command goes nowhere."""
        if self._fault is not None:
            return
        try:
            step(*arguments)
        except OSError as error:
            self._close_spools()
            self._fault = errors.Unavailable(f"no room to receive a message: {error.strerror}")
