"""An account's messages into files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from twisted_duck import errors
from twisted_duck.cli.console import Progress, complain
from twisted_duck.cli.files.source import Writer
from twisted_duck.names import canonical, is_beneath
from twisted_duck.values import DELIMITER

#: Messages that are asked for at a time.
GROUP = 500


@attrs.define
class Result:
    exported: int = 0
    skipped: int = 0
    mailboxes: int = 0


@attrs.define
class Exporter:
    """Exports one account."""

    account: Any
    progress: Progress
    result: Result = attrs.field(factory=Result)

    async def run(self, name: str, writer_for: Callable[[int], Writer]) -> None:
        """Write the mailbox `name` to the writer for its UIDVALIDITY.  Fails with OSError and the store's errors."""
        self.progress.at(name)
        mailbox = await self.account.select(name, readonly=True)
        try:
            writer = writer_for(mailbox.index.uidvalidity)
            try:
                uids = mailbox.index.uids
                for at in range(0, len(uids), GROUP):
                    await self._group(mailbox, uids[at : at + GROUP], writer)
            finally:
                writer.close()
        finally:
            await mailbox.close()
        self.result.mailboxes += 1

    async def _group(self, mailbox: Any, uids: Any, writer: Writer) -> None:
        flags = {uid: flags for uid, _, flags in mailbox.index.rows(uids)}
        written = 0
        async for batch in mailbox.fetch(uids, frozenset({"date", "content"})):
            for message in batch:
                content = message.content
                try:
                    data = b"".join([piece async for piece in content.chunks(0, content.size)])
                except errors.Corruption as error:
                    complain(f"{mailbox.name}, UID {message.uid}: skipped: {error}")
                    self.result.skipped += 1
                    continue
                # One that was expunged since has no flags to be known any more.
                writer.add(
                    message.uid, data, flags.get(message.uid, frozenset()), message.internal_date
                )
                written += 1
        self.result.exported += written
        self.progress.step(len(uids))


async def chosen(account: Any, mailbox: str | None) -> list[tuple[str, tuple[str, ...]]]:
    """`(name, levels in the files)` of the mailboxes to export: all, or one and what is beneath it.

    Fails with NonExistent.
    """
    names = sorted(info.name for info in await account.mailboxes() if info.selectable)
    if mailbox is None:
        return [(name, tuple(name.split(DELIMITER))) for name in names]
    mailbox = canonical(mailbox)
    if mailbox not in names:
        raise errors.NonExistent(f"there is no mailbox {mailbox!r}")
    return [
        (name, tuple(name.split(DELIMITER))[mailbox.count(DELIMITER) + 1 :])
        for name in names
        if name == mailbox or is_beneath(name, mailbox)
    ]
