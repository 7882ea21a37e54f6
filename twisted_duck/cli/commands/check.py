"""`duckmail check`."""

from __future__ import annotations

import argparse
from typing import Any

from twisted_duck.cli.console import INCOMPLETE, OK, Progress, count, say
from twisted_duck.cli.parser import add_store_options, described
from twisted_duck.cli.stores import opened
from twisted_duck.store.checker import Finding, check


def add_to(commands: Any) -> None:
    parser = described(
        commands,
        "check",
        "look for what is wrong in the store",
        """
        Walks through the whole store, which may be in use meanwhile, and looks whether everything in it agrees:
        indexes, counters, UIDs and modification sequences, whether each message has its bytes and each attachment its
        pieces. What is wrong is listed on standard output, a line for each finding: a word for its kind, what and
        where it is, and "repaired" if it was, with tabs between them.

        Repairs never change what a message is; they count again, and make anew what can be derived. What is lost
        can't be repaired, only reported. Garbage (what a crash or a deletion left behind) is no fault: the server
        removes it by itself after a day; it is counted, and listed with --garbage.
        """,
        """
        duckmail check
        duckmail check --repair --contents --config /etc/duckmail.toml
        """,
        {
            0: "nothing is wrong, or all of it was repaired",
            1: "it could not be checked; one line on standard error says why",
            3: "something is wrong and was not repaired",
        },
    )
    parser.add_argument("--repair", action="store_true", help="Repair what can safely be repaired.")
    parser.add_argument(
        "--contents",
        action="store_true",
        help="Read all attachments, too, and compare them with their checksums. This takes its time.",
    )
    parser.add_argument("--garbage", action="store_true", help="List garbage, too.")
    add_store_options(parser)
    parser.set_defaults(handler=_check)


async def _check(reactor: Any, arguments: argparse.Namespace) -> int:
    wrong = repaired = garbage = messages = 0
    async with opened(reactor, arguments) as (store, _):
        users = [user.name async for user in store.users.all()]
        with Progress(len(users), "users") as progress:
            async for each in check(
                store.mongo, repair=arguments.repair, contents=arguments.contents
            ):
                if not isinstance(each, Finding):
                    progress.at(each.user)
                    progress.step(1)
                    messages += each.messages
                    continue
                wrong += not each.garbage
                garbage += each.garbage
                repaired += each.repaired
                if not each.garbage or arguments.garbage:
                    progress.say(f"{each.kind}\t{each.text}" + "\trepaired" * each.repaired)
    say(
        f"{count(messages, 'message')} of {count(len(users), 'user')}:"
        f" {count(wrong, 'thing is', 'things are')} wrong, {repaired:,} repaired,"
        f" {count(garbage, 'piece')} of garbage"
    )
    return INCOMPLETE if wrong > repaired else OK
