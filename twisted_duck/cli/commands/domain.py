"""`duckmail domain`: domains that are aliases of others."""

from __future__ import annotations

import argparse
from typing import Any

from twisted_duck.cli.console import OK, say
from twisted_duck.cli.parser import add_store_options, described, group
from twisted_duck.cli.stores import opened


def add_to(commands: Any) -> None:
    domains = group(
        commands,
        "domain",
        "say which domains are aliases of others",
        """
        A domain need not be made known: it is served as soon as a user has an address in it ('duckmail address').
        """,
    )
    alias = described(
        domains,
        "alias",
        "make a domain an alias of another",
        """
        From now on mail to an address of the domain ALIAS that is nobody's own is mail to the same address of DOMAIN.
        A catch-all of ALIAS comes after that, and a catch-all of DOMAIN last. DOMAIN can't be an alias itself.
        """,
        """
        duckmail domain alias example.net example.org
        """,
    )
    alias.add_argument("alias", metavar="ALIAS", help="The domain that becomes an alias.")
    alias.add_argument("domain", metavar="DOMAIN", help="The domain that it stands for.")
    add_store_options(alias)
    alias.set_defaults(handler=_alias)

    unalias = described(
        domains,
        "unalias",
        "make a domain no alias any more",
        """
        From now on the domain has the addresses only that users have in it.
        """,
        """
        duckmail domain unalias example.net
        """,
    )
    unalias.add_argument("alias", metavar="ALIAS", help="The domain that is an alias.")
    add_store_options(unalias)
    unalias.set_defaults(handler=_unalias)

    listing = described(
        domains,
        "list",
        "list the domains that are aliases",
        """
        Lists the domains that are aliases: a line for each, with a tab between its columns, which are the alias and the
        domain that it stands for.
        """,
        """
        duckmail domain list
        """,
    )
    add_store_options(listing)
    listing.set_defaults(handler=_list)


async def _alias(reactor: Any, arguments: argparse.Namespace) -> int:
    # A store may be set up in any order.
    async with opened(reactor, arguments, create=True) as (store, _):
        alias, domain = await store.addresses.add_alias(arguments.alias, arguments.domain)
    say(f"{alias} is an alias of {domain}")
    return OK


async def _unalias(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        alias = await store.addresses.remove_alias(arguments.alias)
    say(f"{alias} is no alias any more")
    return OK


async def _list(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        async for alias, domain in store.addresses.aliases():
            say(f"{alias}\t{domain}")
    return OK
