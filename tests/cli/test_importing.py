"""Files into an account: each message once, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.cli.support import DATE, Said, mail, put
from twisted_duck import errors
from twisted_duck.cli.console import Progress
from twisted_duck.cli.files.maildir import read_maildir
from twisted_duck.cli.files.mbox import read_mbox
from twisted_duck.cli.importing import GROUP, Importer, Result, target_name, to_its_end
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.values import AppendMessage

LIMITS = Limits(message=1000, keywords_per_mailbox=2)


class ImportCase(TestCase):
    def setUp(self) -> None:
        self.store = MemoryStore(LIMITS)
        self.store.add_user("tim", "secret", quota=1_000_000)
        self.account: Any = self.store.account("tim")
        self.path = Path(self.mktemp())
        (self.path / "cur").mkdir(parents=True)
        self.said = Said()

    async def run_import(self, below: str | None = None) -> Result:
        with self.said.listening(), Progress(0) as progress:
            importer = Importer(self.account, LIMITS, progress)
            for source in read_maildir(self.path, LIMITS):
                await importer.run(source, target_name(source.levels, below))
        return importer.result


class ImportTests(ImportCase):
    async def test_bytes_flags_and_dates(self) -> None:
        put(self.path / "cur/1.a:2,FS", b"Subject: x\n\nbody\n")
        result = await self.run_import()
        self.assertEqual(result, Result(imported=1, mailboxes={"INBOX"}))
        self.assertEqual(
            await mail(self.account),
            [(b"Subject: x\r\n\r\nbody\r\n", {"\\Flagged", "\\Seen"}, DATE)],
        )

    async def test_folders_become_mailboxes_that_are_subscribed_to(self) -> None:
        put(self.path / ".Work.2024/cur/1.a:2,")
        put(self.path / ".Sent/cur/1.b:2,S")
        await self.run_import()
        self.assertEqual(len(await mail(self.account, "Work/2024")), 1)
        self.assertEqual(len(await mail(self.account, "Sent")), 1)
        self.assertIn("Work/2024", await self.account.subscriptions())

    async def test_below_a_mailbox(self) -> None:
        put(self.path / "cur/1.a:2,")
        put(self.path / ".Work.2024/cur/1.b:2,")
        result = await self.run_import("Old/Mail")
        self.assertEqual(result.mailboxes, {"Old/Mail", "Old/Mail/Work/2024"})
        self.assertEqual(await mail(self.account), [])

    async def test_many_messages_keep_their_order(self) -> None:
        total = 2 * GROUP + 50
        for number in range(total):
            put(self.path / f"cur/{1000 + number}.a:2,", b"%d" % number)
        result = await self.run_import()
        self.assertEqual(result.imported, total)
        self.assertEqual(
            [data for data, _, _ in await mail(self.account)], [b"%d" % n for n in range(total)]
        )

    async def test_a_second_run_imports_only_what_is_new(self) -> None:
        put(self.path / "cur/1.a:2,")
        await self.run_import()
        (self.path / "cur/1.a:2,").rename(self.path / "cur/1.a:2,S")
        put(self.path / "cur/2.b:2,")
        self.assertEqual(await self.run_import(), Result(imported=1, known=1, mailboxes={"INBOX"}))
        self.assertEqual(len(await mail(self.account)), 2)

    async def test_a_second_run_brings_nothing_back_that_was_deleted(self) -> None:
        put(self.path / "cur/1.a:2,T")
        await self.run_import()
        mailbox = await self.account.select("INBOX", False)
        await mailbox.expunge()
        self.assertEqual(await self.run_import(), Result(known=1, mailboxes={"INBOX"}))
        self.assertEqual(await mail(self.account), [])

    async def test_an_mbox_that_has_grown(self) -> None:
        message = b"From x Thu Feb 29 12:34:56 2024\nSubject: %d\n\nbody\n\n"
        file = self.path / "mbox"
        for total in (2, 3):
            file.write_bytes(b"".join(message % number for number in range(total)))
            with self.said.listening(), Progress(0) as progress:
                importer = Importer(self.account, LIMITS, progress)
                for source in read_mbox(file, "rd", LIMITS):
                    await importer.run(source, "INBOX")
                    source.close()
        self.assertEqual(importer.result, Result(imported=1, known=2, mailboxes={"INBOX"}))
        self.assertEqual(len(await mail(self.account)), 3)


class SkipTests(ImportCase):
    """One bad message spoils no other."""

    async def test_what_can_not_be_imported_is_skipped_and_said(self) -> None:
        put(self.path / "cur/1.good:2,", b"a: b\n\n1\n")
        put(self.path / "cur/2.nul:2,", b"a: b\n\n\0\n")
        put(self.path / "cur/3.large:2,", b"x" * 1001)
        put(self.path / "cur/4.good:2,", b"a: b\n\n4\n")
        put(self.path / "cur/5.grows:2,", b"\n" * 501)
        result = await self.run_import()
        self.assertEqual(result, Result(imported=2, skipped=3, mailboxes={"INBOX"}))
        self.assertEqual(
            [data for data, _, _ in await mail(self.account)],
            [b"a: b\r\n\r\n1\r\n", b"a: b\r\n\r\n4\r\n"],
        )
        for said in (
            "2.nul:2,: skipped: ",
            "3.large:2,: skipped: it is larger than 1,000 bytes",
            "5.grows:2,: skipped: ",
        ):
            self.assertIn(said, self.said.err)
        self.assertEqual(len(self.said.err.splitlines()), 3)

    async def test_a_file_that_can_not_be_read(self) -> None:
        (self.path / "cur/1.gone:2,").symlink_to("nowhere")
        put(self.path / "cur/2.good:2,")
        self.assertEqual(
            await self.run_import(), Result(imported=1, skipped=1, mailboxes={"INBOX"})
        )
        self.assertIn("1.gone:2,: skipped: No such file or directory", self.said.err)

    async def test_keywords_that_are_too_many_are_left_out_and_the_message_is_not(self) -> None:
        put(self.path / "dovecot-keywords", b"0 one\n1 two\n2 three\n")
        put(self.path / "cur/1.a:2,Sabc")
        put(self.path / "cur/2.a:2,a")
        self.assertEqual(await self.run_import(), Result(imported=2, mailboxes={"INBOX"}))
        self.assertEqual([flags for _, flags, _ in await mail(self.account)], [{"\\Seen"}, {"one"}])
        self.assertIn("its keywords were left out", self.said.err)

    async def test_a_mailbox_that_can_not_be_made(self) -> None:
        put(self.path / f".{'x' * 40}.{'y' * 200}/cur/1.a:2,")
        put(self.path / ".Good/cur/1.b:2,")
        self.store._users["tim"].limits = Limits(mailbox_name=100)
        self.assertEqual(
            await self.run_import(), Result(imported=1, skipped=1, mailboxes={"INBOX", "Good"})
        )
        self.assertIn("can't be made", self.said.err)

    async def test_two_files_of_one_name_are_one_message(self) -> None:
        put(self.path / "cur/1.a:2,S")
        put(self.path / "new/1.a")
        self.assertEqual(await self.run_import(), Result(imported=1, known=1, mailboxes={"INBOX"}))

    async def test_a_full_account_ends_the_import(self) -> None:
        self.store._users["tim"].quota = 10
        put(self.path / "cur/1.a:2,")
        with self.assertRaises(errors.OverQuota):
            await self.run_import()


class InterruptionTests(ImportCase):
    """The store goes away in the middle; the next run knows what was done."""

    async def test_lost_before_and_after_the_change_was_made(self) -> None:
        for number in range(3 * GROUP):
            put(self.path / f"cur/{1000 + number}.a:2,", b"%d" % number)
        append = self.account.append
        for before in (True, False):
            self.patch(self.account, "append", _lost_at_second(append, before))
            with self.assertRaises(errors.Unavailable):
                await self.run_import()
        self.patch(self.account, "append", append)
        self.assertEqual(await self.run_import(), Result(known=3 * GROUP, mailboxes={"INBOX"}))
        self.assertEqual(
            [data for data, _, _ in await mail(self.account)], [b"%d" % n for n in range(3 * GROUP)]
        )


class ToItsEndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.work: Deferred[None] = Deferred()
        self.done = False

    async def working(self) -> None:
        await self.work
        self.done = True

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(to_its_end(self.working()))

    def test_it_waits(self) -> None:
        waiting = self.start()
        self.assertNoResult(waiting)
        self.work.callback(None)
        self.successResultOf(waiting)

    def test_cancelled_it_waits_all_the_same(self) -> None:
        waiting = self.start()
        for _ in range(3):
            waiting.cancel()
            self.assertNoResult(waiting)
        self.work.callback(None)
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(self.done)

    def test_work_that_fails_and_work_that_is_done_at_once(self) -> None:
        waiting = self.start()
        waiting.cancel()
        self.work.errback(KeyError("x"))
        self.failureResultOf(waiting, KeyError)
        self.work = succeed(None)
        self.successResultOf(self.start())


def _lost_at_second(append: Any, before: bool) -> Any:
    """An `append` that fails at its second call, before or after the change was made."""
    calls = count(1)

    async def flaky(name: str, messages: Sequence[AppendMessage]) -> Any:
        if next(calls) < 2:
            return await append(name, messages)
        if not before:
            await append(name, messages)
        raise errors.Unavailable("the database is away")

    return flaky


class NameTests(TestCase):
    def test_names(self) -> None:
        for levels, below, name in (
            ((), None, "INBOX"),
            ((), "Old", "Old"),
            (("Work", "2024"), None, "Work/2024"),
            (("Work", "2024"), "Old", "Old/Work/2024"),
            (("inbox",), None, "INBOX"),
            (("Inbox", "x"), None, "INBOX/x"),
            (("a/b", "c\n", ""), None, "a_b/c_/_"),
            (("#news",), None, "_news"),
            (("Bu\u0308ro",), None, "Büro"),
        ):
            self.assertEqual(target_name(levels, below), name)
