"""A POP3 connection: lines to commands, commands to answers.

    AUTHORIZATION   USER and PASS, or AUTH: then INBOX is opened, and what it holds becomes the maildrop
    TRANSACTION     everything is answered from the maildrop, and messages are read from the mailbox
    UPDATE          QUIT in TRANSACTION, and nothing else: what was marked goes, all or nothing (of very many, in pieces)

How a connection lives and ends is told in `twisted_duck.connection`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from twisted.mail.interfaces import IMailboxPOP3
from zope.interface import Interface

from twisted_duck import errors, login
from twisted_duck.interfaces import IMaildropAccount
from twisted_duck.pop3 import grammar, responses
from twisted_duck.pop3.ahead import Bounds
from twisted_duck.pop3.capability import Circumstances, capabilities
from twisted_duck.pop3.commands import AUTHORIZATION, TABLE, TRANSACTION
from twisted_duck.pop3.inbox import DeleteAction, Inbox
from twisted_duck.pop3.maildrop import Maildrop
from twisted_duck.room import Room
from twisted_duck.wire.framing import NEED_DATA, Line, LineFramer, TooLong


@attrs.frozen(kw_only=True)
class Settings(login.Settings):
    #: What QUIT does with messages that were marked by DELE.
    delete_action: DeleteAction = "delete"
    #: Whether a message that was sent by RETR is \Seen from then on.
    retr_sets_seen: bool = False
    #: What all connections may read ahead.
    room: Room


class POP3Protocol(login.LoginConnection):
    """One client's connection."""

    protocol_name: ClassVar[str] = "POP3"
    first_state: ClassVar[str] = AUTHORIZATION
    avatars = (*login.LoginConnection.avatars, IMailboxPOP3)
    table = TABLE

    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self._framer = LineFramer()
        super().__init__(settings, self._framer, idle=settings.limits.pop3_idle)
        #: What USER said, until PASS.
        self.user: bytes | None = None
        #: Whether the client has said UTF8.
        self.utf8 = False
        #: Provides IMaildrop; None before login.
        self.source: Any = None
        self._maildrop: Maildrop | None = None

    @property
    def maildrop(self) -> Maildrop:
        """What is in it was settled at login."""
        if self._maildrop is None:
            raise errors.WrongState("log in first")
        return self._maildrop

    def capabilities(self) -> list[str]:
        return capabilities(
            Circumstances(
                logged_in=self._maildrop is not None,
                can_start_tls=self.can_start_tls,
                may_authenticate=self.may_authenticate(),
                mechanisms=self.mechanisms(),
            )
        )

    async def open(self) -> None:
        """Enter TRANSACTION (RFC 1939 §4)."""
        account, limit = self.account, self.limits.pop3_messages
        if IMaildropAccount.providedBy(account):
            self.source = await account.open(limit)
        else:
            bounds = Bounds(
                self.limits.pop3_ahead,
                self.settings.room,
                self.limits.pop3_held,
                self.settings.clock,
            )
            self.source = await Inbox.open(
                account,
                limit,
                self.settings.delete_action,
                bounds,
                self.limits.messages_per_change,
            )
        self._maildrop = Maildrop(self.source.sizes)
        self.session.state = TRANSACTION

    # --- what `Connection` asks for -----------------------------------------------------------------------------------

    def greeting(self) -> bytes:
        # No angle brackets: they would offer APOP (RFC 1939 §7).
        return responses.ok(f"Twisted Duck is ready, session {self.session.id}")

    def last_words(self, reason: str) -> bytes:
        return responses.err(reason, "SYS/TEMP")

    def expired(self, reason: str) -> None:
        """No UPDATE, and nothing is said: it would be taken for the answer to the next command (RFC 1939 §3)."""
        self.end(reason)

    async def leave(self) -> None:
        source, self.source = self.source, None
        if source is not None:
            await source.close()

    def account_of(self, interface: type[Interface], avatar: Any) -> Any:
        if interface is IMailboxPOP3:
            return IMaildropAccount(avatar)
        return super().account_of(interface, avatar)

    async def read_line(self, what: str) -> bytes:
        while True:
            match self._framer.next_line(self.limits.line_before_login):
                case Line(data):
                    self.working()
                    return data
                case TooLong():
                    self.working()
                    kind = errors.TooMuch if self.account is None else errors.BadSyntax
                    raise kind(f"the {what} is too long")
                case event:
                    assert event is NEED_DATA
            await self.sleep()

    async def serve_command(self) -> None:
        try:
            line = await self.read_line("line")
            self.session.commands += 1
            if len(line) > self.limits.pop3_line - 2 and grammar.keyword(line) != b"AUTH":
                raise errors.BadSyntax("the line is too long")
            command = grammar.parse(line)
            await self.run_command(command, type(command).__name__.upper())
            self.succeeded()
        except errors.DuckError as error:
            self._failed(error)

    def _failed(self, error: errors.DuckError) -> None:
        # A message that somebody else has expunged is nobody's mistake.
        bad = isinstance(error, errors.ClientError) and not isinstance(error, errors.NonExistent)
        reason = self.failed(error, bad=bad)
        if self.mid_answer:
            self.abandon(f"an answer could not be finished: {error.message}")
        self.send(responses.failure(error))
        if self.account is not None and self._maildrop is None:
            reason = "the maildrop could not be opened"
        if isinstance(error, errors.TooMuch):
            reason = error.message
        if reason is not None:
            self.end(reason)
