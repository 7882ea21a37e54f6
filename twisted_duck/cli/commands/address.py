"""`duckmail address`: whose mail is for whom."""

from __future__ import annotations

import argparse
from typing import Any

from twisted_duck.cli.console import OK, say
from twisted_duck.cli.parser import add_store_options, described, group
from twisted_duck.cli.stores import opened


def add_to(commands: Any) -> None:
    addresses = group(
        commands,
        "address",
        "say which mail is for whom",
        """
        Mail that comes in by LMTP is for the user who has the address. A user whose name is a mail address has that
        one from the beginning, and may have more.

        Addresses compare without regard to case, a domain in Unicode is the same as its xn-- form, and what begins
        with a plus sign in front of the @ does not count unless an address has it. Dots in front of the @ do not
        count either, unless the server's configuration says so or two users differ in them alone.
        """,
    )
    add = described(
        addresses,
        "add",
        "give a user an address",
        """
        Gives a user one more address. An address is one user's. With * in front of the @ it is a catch-all: the user
        gets all mail of that domain that is nobody else's.
        """,
        """
        duckmail address add tim@example.org info@example.org
        duckmail address add tim '*@example.net'
        """,
    )
    add.add_argument("name", metavar="NAME", help="The user's name.")
    add.add_argument("address", metavar="ADDRESS", help="The address, or *@DOMAIN.")
    add_store_options(add)
    add.set_defaults(handler=_add)

    remove = described(
        addresses,
        "remove",
        "take an address away",
        """
        Takes an address away from whoever has it. The mail that came for it stays where it is. An address that is
        its user's name goes with the user only.
        """,
        """
        duckmail address remove info@example.org
        """,
    )
    remove.add_argument("address", metavar="ADDRESS", help="The address, or *@DOMAIN.")
    add_store_options(remove)
    remove.set_defaults(handler=_remove)

    listing = described(
        addresses,
        "list",
        "list addresses",
        """
        Lists addresses: a line for each, with a tab between its columns, which are the address in the form in which
        it is compared and the user's name. Domains that are aliases are listed by 'duckmail domain list'.
        """,
        """
        duckmail address list
        duckmail address list tim@example.org
        """,
    )
    listing.add_argument("name", metavar="NAME", nargs="?", help="Those of this user only.")
    add_store_options(listing)
    listing.set_defaults(handler=_list)


async def _add(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        address = await store.addresses.add(arguments.name, arguments.address)
    say(f"user {arguments.name} has the address {address}")
    return OK


async def _remove(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        address = await store.addresses.remove(arguments.address)
    say(f"the address {address} was removed")
    return OK


async def _list(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        async for address, name in store.addresses.all(arguments.name):
            say(f"{address}\t{name}")
    return OK
