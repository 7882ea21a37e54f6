"""Messages from files into an account, in groups, each of them once.

A group of messages is one change of the store, and their keys (`source.SourceMessage.key`) are written into the store's
journal with it: however an import ends, the next one knows exactly which messages are there, and which were
there and have been moved or deleted since.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from twisted_duck import errors
from twisted_duck.cli.console import Progress, complain
from twisted_duck.cli.files.source import Loaded, SourceMailbox, SourceMessage
from twisted_duck.limits import Limits
from twisted_duck.names import INBOX, canonical
from twisted_duck.spool import Spool
from twisted_duck.values import DELIMITER, AppendMessage

#: Messages in one change: as many as make a change worth its cost.
GROUP = 100
#: Bytes in one change: well below what a transaction may have, and no great loss to do again.
GROUP_BYTES = 8 * 1024 * 1024


@attrs.define
class Result:
    imported: int = 0
    #: Imported before.
    known: int = 0
    skipped: int = 0
    mailboxes: set[str] = attrs.field(factory=set)


@attrs.define
class Importer:
    """Imports into one account, which provides L{twisted_duck.interfaces.IImportAccount}."""

    account: Any
    limits: Limits
    progress: Progress
    result: Result = attrs.field(factory=Result)
    #: The account's mailboxes, as far as they can have messages; None before they were asked for.
    _mailboxes: set[str] | None = None

    async def run(self, source: SourceMailbox, name: str) -> None:
        """Fails with the store's errors where going on makes no sense."""
        self.progress.at(name)
        try:
            await self._make(name)
        except errors.ClientError as error:
            complain(f"{source.label}: skipped, mailbox {name!r} can't be made: {error}")
            self.result.skipped += len(source)
            self.progress.step(len(source))
            return
        self.result.mailboxes.add(name)
        for group in _groups(source):
            # A change that is cut off in its middle would keep others waiting until the database gives it up.
            await to_its_end(self._group(group, name))
            self.progress.step(len(group))

    async def _make(self, name: str) -> None:
        if self._mailboxes is None:
            infos = await self.account.mailboxes()
            self._mailboxes = {info.name for info in infos if info.selectable}
        if name not in self._mailboxes:
            await self.account.create(name)
            await self.account.subscribe(name)
            self._mailboxes.add(name)

    async def _group(self, group: Sequence[SourceMessage], name: str) -> None:
        found = [(key, message) for message in group if (key := self._key(message)) is not None]
        known = await self.account.imported(name, [key for key, _ in found])
        self.result.known += len(known)
        wanted = [
            (key, message, loaded)
            for key, message in found
            if key not in known and (loaded := self._load(message)) is not None
        ]
        await self._append(name, wanted)

    async def _append(self, name: str, wanted: list[tuple[bytes, SourceMessage, Loaded]]) -> None:
        """All in one change, or, where the store refuses that, each alone, to find the one that is to blame."""
        if not wanted:
            return
        spools = [Spool.of(loaded.data, self.limits) for _, _, loaded in wanted]
        arriving = [
            AppendMessage(spool, loaded.flags, loaded.date, key)
            for spool, (key, _, loaded) in zip(spools, wanted, strict=True)
        ]
        try:
            await self.account.append(name, arriving)
        except errors.OverQuota:
            raise
        except errors.ClientError as error:
            if len(wanted) > 1:
                for each in wanted:
                    await self._append(name, [each])
            else:
                await self._refused(name, wanted[0], error)
        else:
            self.result.imported += len(wanted)
        finally:
            for spool in spools:
                spool.close()

    async def _refused(
        self, name: str, wanted: tuple[bytes, SourceMessage, Loaded], error: errors.ClientError
    ) -> None:
        key, message, loaded = wanted
        system = frozenset(flag for flag in loaded.flags if flag.startswith("\\"))
        match error:
            case errors.AlreadyExists():
                self.result.known += 1
            case errors.TooMany() if system != loaded.flags:
                complain(f"{message.label}: its keywords were left out: {error}")
                await self._append(name, [(key, message, attrs.evolve(loaded, flags=system))])
            case _:
                self._skip(message, str(error))

    def _key(self, message: SourceMessage) -> bytes | None:
        if message.size > self.limits.message:
            self._skip(message, f"it is larger than {self.limits.message:,} bytes")
            return None
        try:
            return message.key()
        except OSError as error:
            self._skip(message, error.strerror or str(error))
            return None

    def _load(self, message: SourceMessage) -> Loaded | None:
        try:
            return message.load()
        except OSError as error:
            self._skip(message, error.strerror or str(error))
            return None

    def _skip(self, message: SourceMessage, reason: str) -> None:
        complain(f"{message.label}: skipped: {reason}")
        self.result.skipped += 1


async def to_its_end(work: Coroutine[Deferred[Any], Any, None]) -> None:
    """Wait for work to be done; being cancelled meanwhile takes effect only then."""
    waiting: Deferred[None] = Deferred()
    outcome: list[Failure | None] = []
    cancelled = False

    def end(result: Failure | None) -> None:
        outcome.append(result)
        waiting.callback(None)

    Deferred.fromCoroutine(work).addBoth(end)
    while not outcome:
        try:
            await waiting
        except CancelledError:
            cancelled = True
            waiting = Deferred()
    if outcome[0] is not None:
        outcome[0].raiseException()
    if cancelled:
        raise CancelledError


def _groups(source: Iterable[SourceMessage]) -> Iterator[list[SourceMessage]]:
    group: list[SourceMessage] = []
    size = 0
    for message in source:
        if group and (len(group) == GROUP or size + message.size > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(message)
        size += message.size
    if group:
        yield group


_UNSUITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|^#")


def target_name(levels: tuple[str, ...], below: str | None) -> str:
    """The mailbox for a source with these levels; without a `below`, the top is INBOX and all else beside it.

    Characters that no mailbox name can have become `_`; an empty level, too.  What stands for the same (macOS takes the
    letters of file names apart) becomes the same name.
    """
    cleaned = [_UNSUITABLE.sub("_", level.replace(DELIMITER, "_")) or "_" for level in levels]
    parts = [*([below] if below else []), *cleaned]
    return canonical(unicodedata.normalize("NFC", DELIMITER.join(parts))) if parts else INBOX
