"""`duckmail bans`: networks that may not connect because of their failed logins."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from twisted_duck.cli.console import OK, CommandError, say
from twisted_duck.cli.parser import add_store_options, described, group
from twisted_duck.cli.stores import opened
from twisted_duck.session import plainAddress


def add_to(commands: Any) -> None:
    bans = group(
        commands,
        "bans",
        "list and lift bans for failed logins",
        """
        A policy 'bans' with 'shared = true' bans networks from which too many different wrong passwords are tried. Its
        bans hold for all servers on the store, and can be seen and lifted here. Those of a policy that is not shared are
        known to their server alone, and end with it.
        """,
    )
    listing = described(
        bans,
        "list",
        "list the bans that are in force",
        """
        Lists the bans that are in force, the one that ends first in front: a line for each, with a tab between its
        columns, which are the network, the reason, and when the ban ends.
        """,
        """
        duckmail bans list
        """,
    )
    add_store_options(listing)
    listing.set_defaults(handler=_list)

    lift = described(
        bans,
        "lift",
        "lift a ban",
        """
        Lifts the ban of the network that ADDRESS is in, or all bans in NETWORK. From now on clients from there may connect
        again, until they have tried as many wrong passwords anew.
        """,
        """
        duckmail bans lift 192.0.2.1
        duckmail bans lift 2001:db8::/32
        """,
    )
    lift.add_argument(
        "network", metavar="ADDRESS|NETWORK", help="An address, or a network such as 192.0.2.0/24."
    )
    add_store_options(lift)
    lift.set_defaults(handler=_lift)


async def _list(reactor: Any, arguments: argparse.Namespace) -> int:
    async with opened(reactor, arguments) as (store, _):
        async for ban in store.bans.all():
            until = datetime.fromtimestamp(ban.until, UTC)
            say(f"{ban.network}\t{ban.reason}\t{until:%Y-%m-%d %H:%M:%S} UTC")
    return OK


async def _lift(reactor: Any, arguments: argparse.Namespace) -> int:
    try:
        # As sessions have it: IPv4 within IPv6 is IPv4.
        network = ip_network(plainAddress(arguments.network), strict=False)
    except ValueError:
        raise CommandError(f"{arguments.network!r} is no address and no network") from None
    async with opened(reactor, arguments) as (store, _):
        lifted = await store.bans.lift(network)
    if not lifted:
        raise CommandError(f"{arguments.network} is not banned; nothing was changed")
    for ban in lifted:
        say(f"the ban of {ban.network} was lifted")
    return OK
