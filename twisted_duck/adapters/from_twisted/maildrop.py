"""A maildrop that provides `twisted.mail.interfaces.IMailboxPOP3`, for avatars that have nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from twisted_duck.adapters.from_twisted.calls import call, call_list
from twisted_duck.adapters.from_twisted.mailbox import text_of
from twisted_duck.errors import DuckError, NonExistent
from twisted_duck.held import BytesContent
from twisted_duck.interfaces import IMaildrop, IMaildropAccount
from twisted_duck.mime.scan import scan

_BARE_LF = re.compile(rb"(?<!\r)\n")


@implementer(IMaildropAccount)
class AdaptedMaildropAccount:
    """An `IMaildropAccount` around an avatar of the application."""

    def __init__(self, avatar: Any) -> None:
        self._avatar = avatar
        self.name = text_of(getattr(avatar, "name", ""))

    async def open(self, limit: int) -> AdaptedMaildrop:
        sizes = await call_list(self._avatar.listMessages)
        shown = range(max(len(sizes) - limit, 0), len(sizes))
        ids = await call_list(lambda: [self._avatar.getUidl(index) for index in shown])
        return AdaptedMaildrop(
            self._avatar, shown, [int(sizes[index]) for index in shown], list(map(text_of, ids))
        )

    async def logout(self) -> None:
        """What is to be done then is the realm's affair: cred's logout callable."""


@implementer(IMaildrop)
class AdaptedMaildrop:
    """The messages of the application's maildrop whose indices are in `shown`.

    What is to go is marked and removed in UPDATE, at once: until then the application hears of no mark.
    """

    def __init__(self, avatar: Any, shown: range, sizes: list[int], ids: list[str]) -> None:
        self._avatar = avatar
        self._shown = shown
        self._ids = ids
        self.sizes = sizes

    def unique_id(self, place: int) -> str:
        return self._ids[place]

    async def content(self, place: int) -> BytesContent:
        """The lines of its file end with LF, as the stock server has it; CRLF is left as it is."""
        file = await call(self._get, place)
        try:
            data = await call(file.read)
        finally:
            await call(getattr(file, "close", _nothing))
        data = _BARE_LF.sub(b"\r\n", data)
        return BytesContent(data, scan(data))

    def _get(self, place: int) -> Any:
        try:
            return self._avatar.getMessage(self._shown[place])
        except (ValueError, IndexError):
            raise NonExistent("that message is gone") from None

    async def set_seen(self, place: int) -> None:
        """There are no flags."""

    async def remove(self, places: Sequence[int]) -> None:
        """`sync` is waited for, should it answer with a Deferred."""
        try:
            for place in places:
                await call(self._mark, place)
            await call(self._avatar.sync)
        except DuckError:
            await call(self._avatar.undeleteMessages)
            raise

    def _mark(self, place: int) -> None:
        try:
            self._avatar.deleteMessage(self._shown[place])
        except (ValueError, IndexError):
            # It is gone already.
            pass

    async def close(self) -> None:
        """There is nothing to close."""


def _nothing() -> None:
    """For a file that cannot be closed."""
