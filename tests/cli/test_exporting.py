"""An account into files, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import TestCase

from tests.cli.support import DATE, Said, mail
from twisted_duck import errors
from twisted_duck.cli.console import Progress
from twisted_duck.cli.exporting import Exporter, Result, chosen
from twisted_duck.cli.files.maildir import MaildirWriter, read_maildir
from twisted_duck.cli.files.mbox import MboxWriter, read_mbox
from twisted_duck.cli.importing import Importer
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.spool import Spool
from twisted_duck.values import AppendMessage

MESSAGES = [
    AppendMessage(Spool.of(b"Subject: x\r\n\r\nbody\r\n"), frozenset({"\\Seen"}), DATE),
    AppendMessage(Spool.of(b"Subject: y\r\n\r\nFrom x\r\nbare\nlf\r\n"), frozenset({"Blue"}), datetime(1999, 1, 1, tzinfo=timezone(timedelta(hours=5)))),
    AppendMessage(Spool.of(b"no line end"), frozenset({"\\Draft", "$Forwarded"}), datetime(1970, 1, 1, tzinfo=UTC)),
]  # fmt: skip


class ExportTests(TestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()
        for name in ("tim", "ann"):
            self.store.add_user(name, "secret")
        self.account: Any = self.store.account("tim")
        self.path = Path(self.mktemp())
        self.said = Said()

    async def export(self, writer: Any) -> Result:
        with self.said.listening(), Progress(0) as progress:
            exporter = Exporter(self.account, progress)
            await exporter.run("INBOX", lambda number: writer)
        return exporter.result

    async def back(self, source: Any) -> list[Any]:
        account = self.store.account("ann")
        with self.said.listening(), Progress(0) as progress:
            await Importer(account, Limits(), progress).run(source, "INBOX")
        return await mail(account)

    async def test_through_a_maildir_and_back(self) -> None:
        await self.account.append("INBOX", MESSAGES)
        result = await self.export(MaildirWriter(self.path, (), 1))
        self.assertEqual(result, Result(exported=3, mailboxes=1))
        (source,) = read_maildir(self.path, Limits())
        self.assertEqual(await self.back(source), await mail(self.account))

    async def test_through_an_mbox_and_back(self) -> None:
        await self.account.append("INBOX", MESSAGES[:2])
        await self.export(MboxWriter(self.path))
        (source,) = read_mbox(self.path, "rd", Limits())
        self.addCleanup(source.close)
        self.assertEqual(await self.back(source), await mail(self.account))

    async def test_a_message_the_store_can_not_read_is_skipped_and_said(self) -> None:
        await self.account.append("INBOX", MESSAGES)
        fetch = MemoryMailbox.fetch

        class Broken:
            size = 1

            async def chunks(self, start: int, stop: int) -> Any:
                raise errors.Corruption("a blob is missing")
                yield b""

        async def broken(self: MemoryMailbox, *args: Any) -> Any:
            async for batch in fetch(self, *args):
                yield [evolve(each, content=Broken()) if each.uid == 2 else each for each in batch]

        self.patch(MemoryMailbox, "fetch", broken)
        result = await self.export(MaildirWriter(self.path, (), 1))
        self.assertEqual(result, Result(exported=2, skipped=1, mailboxes=1))
        self.assertEqual(self.said.err, "duckmail: INBOX, UID 2: skipped: a blob is missing\n")

    async def test_which_mailboxes(self) -> None:
        for name in ("Work/2024", "Work/2024/May", "Workshop"):
            await self.account.create(name)
        self.assertEqual(
            [name for name, _ in await chosen(self.account, None)],
            [
                "Archive",
                "Drafts",
                "INBOX",
                "Junk",
                "Sent",
                "Trash",
                "Work",
                "Work/2024",
                "Work/2024/May",
                "Workshop",
            ],
        )
        self.assertEqual(
            await chosen(self.account, "Work/2024"),
            [("Work/2024", ()), ("Work/2024/May", ("May",))],
        )
        self.assertEqual(await chosen(self.account, "inbox"), [("INBOX", ())])
        with self.assertRaises(errors.NonExistent):
            await chosen(self.account, "Wor")
