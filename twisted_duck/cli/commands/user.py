"""`duckmail user`: who has mail here."""

from __future__ import annotations

import argparse
import re
from typing import Any

from twisted_duck.cli.console import OK, Progress, ask_password, confirm, count, say, size
from twisted_duck.cli.parser import Parser, add_store_options, described, group
from twisted_duck.cli.stores import opened
from twisted_duck.errors import NonExistent

_PASSWORD = (
    "The password. It is seen by everybody who can list this machine's processes: better leave it out. Then it is"
    " asked for twice on a terminal, and is the first line of standard input otherwise."
)


def add_to(commands: Any) -> None:
    users = group(
        commands, "user", "add, list, change and delete users", "Who has mail in the store."
    )
    add = described(
        users,
        "add",
        "make a user",
        """
        Makes a user with the mailboxes INBOX, Drafts, Sent, Junk, Trash and Archive. The name is what the user
        logs in with, often a mail address.
        """,
        """
        duckmail user add tim@example.org
        duckmail user add tim --data-dir /var/lib/duckmail < password.txt
        """,
    )
    _name(add)
    add.add_argument("--password", metavar="P", help=_PASSWORD)
    _finish(add, _add)

    listing = described(
        users,
        "list",
        "list all users",
        """
        Lists the users by name: a line for each, with tabs between its columns, which are the name, "active" or
        "disabled", how much mail the user has, and how much there may be ("none": no quota).
        """,
        """
        duckmail user list
        duckmail user list --config /etc/duckmail.toml | cut -f1
        """,
    )
    _finish(listing, _list)

    show = described(
        users,
        "show",
        "show a user and the user's mailboxes",
        """
        Shows a user: whether the user may log in (and, where auth.scram is set, by SCRAM), since when there is such a
        user, how much mail there is, the quota, and for each mailbox how many messages it has and how many of them are
        unseen.
        """,
        """
        duckmail user show tim@example.org
        """,
    )
    _name(show)
    _finish(show, _show)

    quota = described(
        users,
        "quota",
        "say how much mail a user may have",
        """
        Sets how many bytes the user's mail may take: a number, or one with K, M, G or T behind it for so many KiB, MiB,
        GiB or TiB; "none" lifts the quota. What is there already stays, even if it is more; from then on nothing is
        taken that does not fit, and mail by LMTP waits with its sender.
        """,
        """
        duckmail user quota tim@example.org 5G
        duckmail user quota tim@example.org none
        """,
    )
    _name(quota)
    quota.add_argument("size", metavar="SIZE", type=_size, help="How much, or none.")
    _finish(quota, _quota)

    passwd = described(
        users,
        "passwd",
        "change a password",
        """
        Gives a user another password. Sessions that are open stay open.
        """,
        """
        duckmail user passwd tim@example.org
        """,
    )
    _name(passwd)
    passwd.add_argument("--password", metavar="P", help=_PASSWORD)
    _finish(passwd, _passwd)

    disable = described(
        users,
        "disable",
        "let a user not log in any more",
        """
        A disabled user keeps all mail, can't log in, and gets no new mail. Sessions that are open go on until they
        end: to end them at once, start the server anew.
        """,
        """
        duckmail user disable tim@example.org
        """,
    )
    _name(disable)
    _finish(disable, _disable)

    enable = described(
        users,
        "enable",
        "let a user log in again",
        """
        Undoes 'duckmail user disable'.
        """,
        """
        duckmail user enable tim@example.org
        """,
    )
    _name(enable)
    _finish(enable, _enable)

    uidvalidity = described(
        users,
        "uidvalidity",
        "have mail programs load a user's mail anew",
        """
        Gives all mailboxes of a user, or of all users, new UIDVALIDITYs: mail programs forget what they have kept of
        them, and load them anew. That is needed where an older state of the store was restored: UIDs that programs have
        seen are given to other messages there, which these would not see. POP3 programs that leave mail on the server
        fetch all of it again. Nothing else changes; mailboxes that are open are closed.
        """,
        """
        duckmail user uidvalidity tim@example.org
        duckmail user uidvalidity --all
        """,
    )
    which = uidvalidity.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", nargs="?", help="The user's name.")
    which.add_argument("--all", action="store_true", help="All users.")
    _finish(uidvalidity, _uidvalidity)

    delete = described(
        users,
        "delete",
        "delete a user and all the user's mail",
        """
        Deletes a user with all mailboxes and messages. There is no way back; 'duckmail export' makes a copy first.
        It is asked whether you are sure, unless --yes is given.
        """,
        """
        duckmail user delete tim@example.org
        duckmail user delete --yes tim@example.org
        """,
    )
    _name(delete)
    delete.add_argument("--yes", action="store_true", help="Don't ask.")
    _finish(delete, _delete)


def _name(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="The user's name.")


def _finish(parser: Parser, handler: Any) -> None:
    add_store_options(parser)
    parser.set_defaults(handler=handler)


async def _add(reactor: Any, arguments: argparse.Namespace) -> int:
    password = ask_password(arguments.name, arguments.password)
    async with opened(reactor, arguments, create=True) as (store, _):
        user = await store.users.add(arguments.name, password)
    say(f"user {user.name} was made")
    return OK


async def _list(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        async for user in store.users.all():
            say(f"{user.name}\t{_state(user)}\t{size(user.used)}\t{_limit(user.quota)}")
    return OK


async def _show(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        user = await store.users.get(arguments.name)
        record = await store.users.find(user.name) if store.users.scram else None
        account = await store.account(user.name)
        names = sorted(info.name for info in await account.mailboxes() if info.selectable)
        statuses = await account.statuses(names)
    say(f"name:    {user.name}")
    say(f"state:   {_state(user)}")
    if record is not None:
        say(f"scram:   {'yes' if record.verifiers else 'from the next login by password on'}")
    say(f"created: {user.created:%Y-%m-%d %H:%M:%S} UTC")
    say(f"mail:    {size(user.used)}")
    say(f"quota:   {_limit(user.quota)}")
    say("mailboxes:")
    for name in names:
        if name in statuses:
            status = statuses[name]
            say(f"  {name}: {count(status.messages, 'message')}, {status.unseen:,} unseen")
    return OK


async def _quota(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        await store.users.set_quota(arguments.name, arguments.size)
        user = await store.users.get(arguments.name)
    if user.quota is None:
        say(f"user {user.name} has no quota")
    else:
        say(f"user {user.name} may have {size(user.quota)} of mail, and has {size(user.used)}")
    return OK


async def _passwd(reactor: Any, arguments: argparse.Namespace) -> int:
    password = ask_password(arguments.name, arguments.password)
    async with opened(reactor, arguments) as (store, _):
        await store.users.set_password(arguments.name, password)
    say(f"user {arguments.name} has another password")
    return OK


async def _disable(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        await store.users.set_disabled(arguments.name, True)
    say(f"user {arguments.name} is disabled")
    return OK


async def _enable(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        await store.users.set_disabled(arguments.name, False)
    say(f"user {arguments.name} is enabled")
    return OK


async def _uidvalidity(reactor: Any, arguments: argparse.Namespace) -> int:
    users = mailboxes = 0
    async with opened(reactor, arguments) as (store, _):
        if arguments.all:
            names = [user.name async for user in store.users.all()]
        else:
            names = [arguments.name]
        with Progress(len(names), "users") as progress:
            for name in names:
                progress.at(name)
                try:
                    mailboxes += await store.users.renew_mailboxes(name)
                    users += 1
                except NonExistent:
                    # Where it is all of them, deleted since.
                    if not arguments.all:
                        raise
                progress.step(1)
    say(
        f"{count(mailboxes, 'mailbox', 'mailboxes')} of {count(users, 'user')} have new UIDVALIDITYs"
    )
    return OK


async def _delete(reactor: Any, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        # Closed before it is asked: a service that is stopped waits for whoever has its store open.
        async with opened(reactor, arguments) as (store, _):
            await store.users.get(arguments.name)
        confirm(f"Delete user {arguments.name} and all the user's mail?", "--yes")
    async with opened(reactor, arguments) as (store, _):
        await store.users.delete(arguments.name)
    say(f"user {arguments.name} was deleted")
    return OK


def _state(user: Any) -> str:
    return "disabled" if user.disabled else "active"


def _limit(quota: int | None) -> str:
    return "none" if quota is None else size(quota)


_SIZE = re.compile(r"([0-9]{1,19})(?: ?([KMGT])(?:iB)?)?", re.IGNORECASE)


def _size(text: str) -> int | None:
    """What `user quota` is given, in bytes."""
    if text.lower() == "none":
        return None
    found = _SIZE.fullmatch(text)
    if found is not None:
        number = int(found[1]) << 10 * " KMGT".index((found[2] or " ").upper())
        # What MongoDB can count.
        if number < 2**63:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no size: give 500M, 5G, 1048576 or none")
