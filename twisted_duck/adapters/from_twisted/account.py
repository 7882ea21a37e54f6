"""An account that provides `IAccountIMAP`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

import attrs
from zope.interface import implementer

from twisted_duck.adapters import dates
from twisted_duck.adapters.from_twisted.calls import call, call_list
from twisted_duck.adapters.from_twisted.mailbox import AdaptedMailbox, flags_of, text_of
from twisted_duck.errors import (
    AlreadyExists,
    Cannot,
    NonExistent,
    Refused,
    TooBig,
    TryCreate,
)
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import DEFAULTS
from twisted_duck.names import INBOX, canonical, is_beneath
from twisted_duck.spool import Spool
from twisted_duck.values import DELIMITER, AppendMessage, MailboxInfo, MailboxStatus, StatusWant

_NOSELECT = "\\noselect"
_STATUS = ["MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"]


@attrs.frozen
class _Listed:
    """A mailbox as the application lists it: its own name for it, and what stands for it."""

    name: str
    box: Any

    @property
    def selectable(self) -> bool:
        return _NOSELECT not in {text_of(flag).lower() for flag in self.box.getFlags()}


@implementer(IAccount)
class AdaptedAccount:
    """An `IAccount` around the application's account.

    Names have `/` between their levels on our side; an application with another delimiter sees that one, and its own
    use of `/` within a level is exchanged for it.
    """

    delimiter = DELIMITER

    def __init__(self, account: Any) -> None:
        self._account = account
        self.name = text_of(getattr(account, "name", ""))
        self._delimiter = DELIMITER
        self._limits = DEFAULTS

    # --- names --------------------------------------------------------------------------------------------------------

    async def _listed(self) -> dict[str, _Listed]:
        """Every mailbox by our name for it."""
        found: dict[str, _Listed] = {}
        for name, box in await call_list(self._account.listMailboxes, "", "*"):
            self._delimiter = text_of(await call(box.getHierarchicalDelimiter)) or DELIMITER
            text = name.decode("imap4-utf-7") if isinstance(name, bytes) else name
            found[canonical(self._exchanged(text))] = _Listed(text, box)
        return found

    def _exchanged(self, name: str) -> str:
        """From their delimiter to ours, or back."""
        if self._delimiter == DELIMITER:
            return name
        return name.translate(
            str.maketrans(self._delimiter + DELIMITER, DELIMITER + self._delimiter)
        )

    async def _theirs(self, name: str) -> str:
        """The application's name for a mailbox, which need not exist."""
        listed = (await self._listed()).get(name)
        return self._exchanged(name) if listed is None else listed.name

    async def _existing(self, name: str) -> str:
        """The application's name for a mailbox.  Fails with NonExistent.

        It may know a mailbox by more names than it lists, as one does that folds them.
        """
        listed = (await self._listed()).get(name)
        if listed is not None:
            return listed.name
        theirs = self._exchanged(name)
        await self._provider(theirs, NonExistent, rw=False)
        return theirs

    async def provider(
        self, name: str, error: type[NonExistent] = TryCreate, *, rw: bool = True
    ) -> Any:
        """The application's mailbox of that name."""
        return await self._provider(await self._theirs(name), error, rw=rw)

    async def _provider(self, theirs: str, error: type[NonExistent], *, rw: bool) -> Any:
        try:
            mailbox = await call(self._account.select, theirs, rw)
        except NonExistent:
            mailbox = None
        if mailbox is None:
            raise error("there is no such mailbox")
        if _NOSELECT in {text_of(flag).lower() for flag in await call(mailbox.getFlags)}:
            raise error("the mailbox cannot be selected")
        return mailbox

    async def mailboxes(self) -> list[MailboxInfo]:
        listed = await self._listed()
        return [MailboxInfo(name, each.selectable) for name, each in listed.items()]

    async def subscriptions(self) -> frozenset[str]:
        """Those that exist: the application cannot be asked for others."""
        listed = await self._listed()
        return frozenset(
            [
                name
                for name, each in listed.items()
                if await call(self._account.isSubscribed, each.name)
            ]
        )

    async def create(self, name: str) -> None:
        if name in await self._listed():
            raise AlreadyExists("the mailbox exists already")
        if await call(self._account.create, self._exchanged(name)) is False:
            raise Refused("the mailbox could not be made")

    async def delete(self, name: str) -> None:
        if name == INBOX:
            raise Cannot("INBOX cannot be deleted")
        await call(self._account.delete, await self._existing(name))

    async def rename(self, name: str, new_name: str) -> None:
        if name == INBOX:
            raise Cannot("INBOX cannot be renamed here")
        theirs = await self._existing(name)
        if new_name == INBOX or new_name in await self._listed():
            raise AlreadyExists("there is a mailbox of that name already")
        if is_beneath(new_name, name):
            raise Cannot("a mailbox cannot be moved below itself")
        await call(self._account.rename, theirs, self._exchanged(new_name))

    async def subscribe(self, name: str) -> None:
        await call(self._account.subscribe, await self._theirs(name))

    async def unsubscribe(self, name: str) -> None:
        theirs = await self._theirs(name)
        if await call(self._account.isSubscribed, theirs):
            await call(self._account.unsubscribe, theirs)

    # --- mailboxes ----------------------------------------------------------------------------------------------------

    async def status(self, name: str) -> MailboxStatus:
        """`size` and `deleted` are 0: they could only be had by reading every message."""
        return await self._status(await self._theirs(name))

    async def _status(self, theirs: str) -> MailboxStatus:
        mailbox = await self._provider(theirs, NonExistent, rw=False)
        given = await call(mailbox.requestStatus, list(_STATUS))
        told = {text_of(key).upper(): int(value) for key, value in given.items()}
        messages, recent, uidnext, uidvalidity, unseen = (told.get(each, 0) for each in _STATUS)
        return MailboxStatus(messages, recent, uidnext, uidvalidity, unseen, 0, 0, 1)

    async def statuses(
        self, names: Sequence[str], wanted: frozenset[StatusWant] = frozenset()
    ) -> dict[str, MailboxStatus]:
        listed = await self._listed()
        found: dict[str, MailboxStatus] = {}
        for name in names:
            with suppress(NonExistent):
                theirs = listed[name].name if name in listed else self._exchanged(name)
                found[name] = await self._status(theirs)
        return found

    async def select(self, name: str, readonly: bool) -> AdaptedMailbox:
        mailbox = await self.provider(name, NonExistent, rw=not readonly)
        return await AdaptedMailbox.open(self, mailbox, name, readonly=readonly)

    async def check_append(self, name: str, size: int, others: int = 0) -> None:
        await self.provider(name)
        if size > self._limits.message:
            raise TooBig(f"a message may have {self._limits.message} bytes")

    async def append(self, name: str, messages: Sequence[AppendMessage]) -> None:
        """One after the other: should one be refused, those before it have been stored."""
        mailbox = await self.provider(name)
        spools: list[Spool] = []
        for message in messages:
            assert isinstance(message.content, Spool)
            if message.content.has_nul:
                raise Cannot("the message contains a NUL")
            if message.content.size > self._limits.message:
                raise TooBig(f"a message may have {self._limits.message} bytes")
            spools.append(message.content)
        for message, spool in zip(messages, spools, strict=True):
            date = message.internal_date
            await call(
                mailbox.addMessage,
                BytesIO(spool.data),
                sorted(flags_of(message.flags)),
                None if date is None else dates.date_time(date),
            )

    async def logout(self) -> None:
        """What is to be done then is the realm's affair: cred's logout callable."""
