"""An IMAP connection: commands to answers.

    dataReceived -> CommandReader -> commands.TABLE -> handler
    handler -> responses -> Outflow -> transport

How a connection lives and ends is told in `twisted_duck.connection`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, ClassVar

import attrs

from twisted_duck import errors, login
from twisted_duck.auth import ScramCredentials
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.appending import Appends
from twisted_duck.imap.capability import Circumstances, capabilities
from twisted_duck.imap.commands import ONLY_SELECTED, TABLE, append
from twisted_duck.imap.commands.base import (
    AUTHENTICATED,
    LOGOUT,
    NOT_AUTHENTICATED,
    SELECTED,
    Done,
)
from twisted_duck.imap.enabled import Enabled
from twisted_duck.imap.reading import CommandReader
from twisted_duck.imap.selection import Selection
from twisted_duck.interfaces import ICondstoreAccount
from twisted_duck.sasl import Credentials
from twisted_duck.values import AppendResult
from twisted_duck.wire.deflate import Deflater

#: Bytes of a message that count as a piece of work: they take a millisecond or two, if they are all parts or addresses.
_A_BREATH = 256


@attrs.frozen(kw_only=True)
class Settings(login.Settings):
    #: Where long messages are kept while they arrive; None for the system's folder.
    spool_directory: str | None = None
    #: Whether UTF8=ACCEPT is offered (RFC 6855).
    utf8: bool = False


class IMAP4Protocol(login.LoginConnection):
    """One client's connection.  Provides `twisted_duck.imap.commands.base.Connection`."""

    protocol_name: ClassVar[str] = "IMAP"
    first_state: ClassVar[str] = NOT_AUTHENTICATED
    last_state: ClassVar[str | None] = LOGOUT
    table = TABLE
    # A message may take longer than a command.
    octets_count: ClassVar[bool] = True

    settings: Settings

    # As in `connection.Connection`.

    selection: Selection | None = None
    #: Whether the selected mailbox has moved since somebody last waited for that.
    _moved = False
    _idling = False

    def __init__(self, settings: Settings) -> None:
        self.enabled = Enabled()
        self._appends = Appends(settings.limits)
        self._reader = CommandReader(
            settings.limits, self, spool_directory=settings.spool_directory
        )
        super().__init__(settings, self._reader, idle=settings.limits.idle_after_login)

    # --- what `connection.Connection` asks for ------------------------------------------------------------------------

    def greeting(self) -> bytes:
        words = f"Twisted Duck is ready, session {self.session.id}"
        return responses.status(b"OK", words, responses.capability(self.capabilities()))

    def last_words(self, reason: str) -> bytes:
        return responses.status(b"BYE", reason)

    async def leave(self) -> None:
        await self._appends.over()
        await self.deselect()

    async def sleep(self) -> None:
        if self._appends:
            # In the meantime something may arrive.
            await self._answer_appends()
        else:
            await super().sleep()

    async def read_line(self, what: str) -> bytes:
        line = await self._reader.read_line(what)
        self.working()
        return line

    async def serve_command(self) -> None:
        try:
            command = await self._reader.read_command()
            self.working()
            self.session.commands += 1
            await self._put_right(type(command.value))
            if isinstance(command.value, grammar.Append):
                await self._append(command.tag, self.run_command(command.value, command.name))
            else:
                await self._answer_appends()
                self._succeed(command.tag, await self.run_command(command.value, command.name))
        except errors.DuckError as error:
            tag = getattr(error, "tag", None) or self._reader.tag or b"*"
            await self._answer_appends()
            self._failed(tag, error)
        finally:
            self._reader.release()

    async def _put_right(self, kind: type) -> None:
        """What SELECT said may not be so any more: what is, is said before anything is done with it.

        @param kind: the class of the command that comes next
        """
        selection = self.selection
        if selection is None or selection.is_confirmed or kind is grammar.Logout:
            return
        leaves = kind in (grammar.Select, grammar.Unselect)
        if leaves and not selection.is_being_confirmed:
            return
        try:
            await self.run(selection.confirmed(), "SELECT")
        except errors.DuckError as error:
            # What needs no mailbox need not fail; but nobody stays in one that is not what SELECT said.
            if not leaves and (kind in ONLY_SELECTED or isinstance(error, errors.MailboxGone)):
                raise
        else:
            if not leaves:
                await self.tell(expunges=False)

    async def _append(self, tag: bytes, work: Coroutine[Any, Any, AppendResult | None]) -> None:
        """Begin it; it is answered when nothing more has been sent ahead that could be made together with it."""
        size, spools = self._reader.octets, self._reader.take_spools()
        self._appends.begin(tag, work, spools, size)
        if not self.has_input() or self._finishing is not None:
            await self._answer_appends()
            return
        if self._appends.is_full:
            # Others go on being read while the store is at the rest of them.
            await self._answer_appends(every=False)
        # The store has looked at them, which may take milliseconds of each, and nothing was waited for.
        await self.breathe(size // _A_BREATH)
        if self._finishing is not None:
            # It was wanted meanwhile, and this command is the last one.
            await self._answer_appends()

    async def _answer_appends(self, *, every: bool = True) -> None:
        """All of them, or not every one: those that are done, and as many as it takes until another may be begun."""
        while self._appends and (every or self._appends.is_full or self._appends.is_done):
            self.check_alive()
            begun = self._appends.next()
            if not begun.result.called:
                # Those before it need not wait.
                self.out.flush()
            try:
                self._succeed(begun.tag, await append.answer(self, await begun.result))
            except errors.DuckError as error:
                self._failed(begun.tag, error)
            finally:
                begun.release()

    def _succeed(self, tag: bytes, done: Done) -> None:
        self.succeeded()
        self._settle()
        self.send(responses.tagged(tag, b"OK", done.text, done.code))

    def _failed(self, tag: bytes, error: errors.DuckError) -> None:
        reason = self.failed(error, bad=isinstance(error, errors.BadSyntax))
        if self.mid_answer:
            self.abandon(f"an answer could not be finished: {error.message}")
        if isinstance(error, (errors.BrokenStream, errors.Unsettled)):
            self.goodbye(error.message)
            return
        if isinstance(error, errors.MailboxGone):
            self.goodbye("the selected mailbox was deleted, or renamed")
            return
        self._settle()
        self.send(responses.failure(tag, error))
        if isinstance(error, errors.TooMuch):
            reason = error.message
        if reason is not None:
            self.goodbye(reason)

    def _settle(self) -> None:
        if self.selection is not None:
            self.selection.settle()

    # --- what commands use --------------------------------------------------------------------------------------------

    @property
    def tag(self) -> bytes:
        return self._reader.tag or b"*"

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.settings.clock.seconds(), UTC)

    def go_ahead(self) -> None:
        self.send(responses.continuation())

    def has_input(self) -> bool:
        return self._reader.buffered > 0

    def capabilities(self) -> list[str]:
        return capabilities(
            Circumstances(
                account=self.account,
                can_start_tls=self.can_start_tls,
                may_authenticate=self.may_authenticate(),
                mechanisms=self.mechanisms(),
                is_compressing=self._reader.is_inflating,
                utf8=self.settings.utf8,
                limits=self.limits,
            )
        )

    def wants_7bit(self) -> bool:
        # First what is nearly always the answer: all capabilities would be listed for each message.
        wanted = self.settings.utf8 and not self.enabled.utf8
        return wanted and "UTF8=ACCEPT" in self.capabilities()

    async def log_in(self, credentials: Credentials | ScramCredentials) -> None:
        await super().log_in(credentials)
        self.session.state = AUTHENTICATED
        self._reader.logged_in(self._check_append)

    async def _check_append(self, message: grammar.Announced, size: int) -> None:
        if message.replaced is not None:
            await self._put_right(grammar.Replace)
        await append.check(self, message, size)

    def compress(self) -> None:
        if self._reader.is_inflating:
            raise errors.CompressionActive("DEFLATE is active already")
        self.after_answer(self._compress)

    def _compress(self) -> None:
        self.out.encode = Deflater()
        self._reader.inflate()

    def log_out(self) -> None:
        self.after_answer(lambda: self.end("logout"))

    async def select(self, mailbox: Any) -> Selection:
        selection = self.selection = await Selection.open(
            mailbox,
            self.session,
            self.enabled,
            modseqs=ICondstoreAccount.providedBy(self.account),
            clock=self.settings.clock,
            send=self.send,
            breathe=self.breathe,
        )
        self.check_alive()
        mailbox.watch(self._mailbox_moved)
        self.session.state = SELECTED
        self.session.selected = mailbox.name
        return selection

    async def deselect(self) -> None:
        selection, self.selection = self.selection, None
        if selection is None:
            return
        self.session.selected = None
        if self.session.state == SELECTED:
            self.session.state = AUTHENTICATED
        selection.ask_nobody()
        selection.mailbox.unwatch(self._mailbox_moved)
        await selection.mailbox.close()

    async def tell(self, *, expunges: bool) -> None:
        selection = self.selection
        if selection is not None and selection.view.has_news:
            await selection.tell(expunges=expunges)
            await self.out.drain()

    async def wait(self, seconds: float) -> bool:
        if self._moved:
            self._moved = False
            return True
        rang = False

        def ring() -> None:
            nonlocal rang
            rang = True
            self._wake()

        alarm = self.settings.clock.callLater(seconds, ring)
        self._idling = True
        try:
            await self.sleep()
        finally:
            self._idling = self._moved = False
            if alarm.active():
                alarm.cancel()
        return not rang

    def _mailbox_moved(self) -> None:
        self._moved = True
        if self._idling:
            self._wake()
