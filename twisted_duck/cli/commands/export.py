"""`duckmail export`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted_duck.cli.console import (
    INCOMPLETE,
    OK,
    CommandError,
    Progress,
    complain,
    count,
    say,
)
from twisted_duck.cli.exporting import Exporter, chosen
from twisted_duck.cli.files.maildir import MaildirWriter
from twisted_duck.cli.files.mbox import MboxWriter, mbox_path
from twisted_duck.cli.files.source import Writer
from twisted_duck.cli.parser import add_store_options, described
from twisted_duck.cli.stores import opened
from twisted_duck.names import INBOX

#: Levels of a mailbox's name and its UIDVALIDITY -> what writes it.
_WriterFor = Callable[[tuple[str, ...], int], Writer]


def add_to(commands: Any) -> None:
    parser = described(
        commands,
        "export",
        "write mail into a Maildir or mbox",
        """
        Exports a user's mailboxes into a Maildir with folders (Maildir++: INBOX at the top, Work/2024 as the folder
        .Work.2024) or into a directory of mbox files (INBOX.mbox, Work/2024.mbox). With --mailbox a Maildir gets that
        mailbox at the top and what is beneath it as folders; an mbox is then one file with that mailbox alone.

        PATH must not exist yet, or be an empty directory: nothing is ever overwritten. If the export is interrupted,
        remove what was written and export again.

        Flags and keywords are kept: in a Maildir as letters in the file names and in the file dovecot-keywords, in an
        mbox in the fields Status, X-Status and X-Keywords at the end of the header. The date of arrival is the file's
        time of modification, or the date in the From line, in UTC.

        Mail is written with LF for CRLF where that can be undone exactly, and byte for byte otherwise; 'duckmail
        import' gets back the same bytes. Two things get lost: that an mbox message has no final line end, and that a
        message has LF alone at the end of its first line.
        """,
        """
        duckmail export maildir ~/Maildir --user tim@example.org
        duckmail export mbox archive.mbox --user tim@example.org --mailbox Archive/2019
        """,
        {3: "something was left out, standard error says what; all else was exported"},
    )
    parser.add_argument("format", choices=("maildir", "mbox"), help="What to write.")
    parser.add_argument("path", metavar="PATH", type=Path, help="Where to.")
    parser.add_argument("--user", required=True, metavar="U", help="Whose mail. Required.")
    parser.add_argument("--mailbox", metavar="M", help="Only this mailbox (default: all).")
    add_store_options(parser)
    parser.set_defaults(handler=_export)


async def _export(reactor: Any, arguments: argparse.Namespace) -> int:
    path: Path = arguments.path
    one_file = arguments.format == "mbox" and arguments.mailbox is not None
    _check_target(path, one_file)
    maildirs: list[MaildirWriter] = []

    def maildir(levels: tuple[str, ...], uidvalidity: int) -> MaildirWriter:
        top = arguments.mailbox is None and levels == (INBOX,)
        maildirs.append(MaildirWriter(path, () if top else levels, uidvalidity))
        return maildirs[-1]

    def mbox(levels: tuple[str, ...], uidvalidity: int) -> MboxWriter:
        return MboxWriter(path if one_file else mbox_path(path, levels))

    writer_for: _WriterFor = maildir if arguments.format == "maildir" else mbox
    async with opened(reactor, arguments) as (store, _):
        account = await store.account(arguments.user)
        names = await chosen(account, arguments.mailbox)
        if one_file:
            names = names[:1]
        statuses = [await account.status(name) for name, _ in names]
        with Progress(sum(status.messages for status in statuses)) as progress:
            exporter = Exporter(account, progress)
            for name, levels in names:
                await exporter.run(name, partial(writer_for, levels))
    lost = sorted(set().union(*(writer.lost for writer in maildirs)))
    if lost:
        complain(f"a Maildir folder has room for 26 keywords; left out: {' '.join(lost)}")
    result = exporter.result
    say(
        f"{count(result.exported, 'message')} exported"
        f" from {count(result.mailboxes, 'mailbox', 'mailboxes')}, {result.skipped:,} skipped"
    )
    return INCOMPLETE if lost or result.skipped else OK


def _check_target(path: Path, one_file: bool) -> None:
    if one_file:
        if path.exists():
            raise CommandError(f"{path} exists already, and is not overwritten")
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise CommandError(f"{path} is not empty, and nothing is overwritten")
