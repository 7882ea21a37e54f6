"""`duckmail import`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
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
from twisted_duck.cli.files.maildir import read_maildir
from twisted_duck.cli.files.mbox import QUOTINGS, read_mbox
from twisted_duck.cli.files.source import NotThisFormat, SourceMailbox
from twisted_duck.cli.importing import Importer, Result, target_name
from twisted_duck.cli.parser import add_store_options, described
from twisted_duck.cli.stores import opened
from twisted_duck.limits import Limits


def add_to(commands: Any) -> None:
    parser = described(
        commands,
        "import",
        "bring mail in from a Maildir or mbox",
        """
        Imports the messages of a Maildir with its folders (Maildir++), of an mbox file, or of all files NAME.mbox in
        a directory and below it. Nothing is changed there.

        Without --mailbox the messages at the top go to INBOX, and those of the folder .Work.2024 (or the file
        Work/2024.mbox) to Work/2024. With --mailbox Old they go to Old and Old/Work/2024. Mailboxes that do not
        exist are made.

        Flags are kept: Maildir's letters and Dovecot's keywords, and in an mbox the fields Status, X-Status,
        X-Keywords (which are taken out of the message) and X-Mozilla-Status. The date of arrival is a Maildir file's
        time of modification, or the date in the From line of an mbox, in UTC where it tells no zone.

        Mail is stored byte for byte but for line ends: LF becomes CRLF, in files whose first line does not end in
        CRLF already.

        An import that was interrupted goes on where it stopped when the same command is run again, and a message
        that was imported is not imported again, even if it has been moved or deleted since. Messages are known by
        their file's name (Maildir) or their bytes (mbox), for each mailbox they are imported to.

        A message that can't be imported is skipped, and standard error says why.
        """,
        """
        duckmail import maildir ~/Maildir --user tim@example.org
        duckmail import mbox archive.mbox --user tim@example.org --mailbox Archive/2019
        duckmail import mbox Thunderbird/Inbox --quoting none --user tim@example.org
        """,
        {3: "some messages were skipped; all others were imported"},
    )
    parser.add_argument("format", choices=("maildir", "mbox"), help="What PATH has.")
    parser.add_argument("path", metavar="PATH", type=Path, help="Where it is.")
    parser.add_argument(
        "--user", required=True, metavar="U", help="Whose mail it becomes. Required."
    )
    parser.add_argument("--mailbox", metavar="M", help="The mailbox at the top (default: INBOX).")
    parser.add_argument(
        "--quoting",
        choices=QUOTINGS,
        default="rd",
        help="How lines that begin with 'From ' are quoted in the mbox: 'rd' takes one '>' away from '>From ',"
        " '>>From ' and so on, 'o' from '>From ' only, 'none' leaves all as it is (default: %(default)s).",
    )
    add_store_options(parser)
    parser.set_defaults(handler=_import)


async def _import(reactor: Any, arguments: argparse.Namespace) -> int:
    with ExitStack() as files:
        async with opened(reactor, arguments) as (store, limits):
            try:
                sources = list(_sources(arguments, limits, files))
            except NotThisFormat as error:
                raise CommandError(str(error)) from None
            account = await store.account(arguments.user)
            with Progress(sum(map(len, sources))) as progress:
                importer = Importer(account, limits, progress)
                try:
                    for source in sources:
                        await importer.run(source, target_name(source.levels, arguments.mailbox))
                except BaseException:
                    _sum_up(importer.result, "so far: ")
                    complain("run the same command again to go on where this one stopped")
                    raise
    _sum_up(importer.result)
    return INCOMPLETE if importer.result.skipped else OK


def _sources(
    arguments: argparse.Namespace, limits: Limits, files: ExitStack
) -> Iterator[SourceMailbox]:
    if arguments.format == "maildir":
        yield from read_maildir(arguments.path, limits)
        return
    for mailbox in read_mbox(arguments.path, arguments.quoting, limits):
        files.callback(mailbox.close)
        yield mailbox


def _sum_up(result: Result, begin: str = "") -> None:
    into = count(len(result.mailboxes), "mailbox", "mailboxes")
    say(
        f"{begin}{count(result.imported, 'message')} imported into {into},"
        f" {result.known:,} imported before, {result.skipped:,} skipped"
    )
