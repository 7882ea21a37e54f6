"""Addresses as keys of small tables, and networks that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Generic, TypeAlias, TypeVar

from attrs import field, frozen, validators

V = TypeVar("V")

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = str | IPv4Network | IPv6Network


def parse(address: str) -> Address | None:
    """The address of a session; None for one that has no network address."""
    try:
        return ip_address(address)
    except ValueError:
        return None


@frozen
class Mask:
    """How many there may be in each network of one size; ConnectionRate adds how soon there may be that many again.

    A mask that is wider than the addresses (33 bits of IPv4) would be a mistake: ValueError.
    """

    ipv4: int = field(validator=[validators.ge(0), validators.le(32)])
    ipv6: int = field(validator=[validators.ge(0), validators.le(128)])
    most: int = field(validator=validators.ge(1))

    def key(self, address: Address) -> int:
        """A small number for the address's network: that of IPv6 is negative."""
        if address.version == 4:
            return int(address) >> (32 - self.ipv4)
        return ~(int(address) >> (128 - self.ipv6))

    def network(self, address: Address) -> str:
        """The same for people."""
        length = self.ipv4 if address.version == 4 else self.ipv6
        return str(ip_network((address, length), strict=False))


class NetworkTable(Generic[V]):
    """Networks, each with a value.  The most specific one that holds an address decides.

    A look-up costs as much as there are different lengths of networks, however many networks there are.
    """

    def __init__(self, networks: Mapping[IPv4Network | IPv6Network, V]) -> None:
        values: dict[tuple[int, int], dict[int, V]] = {}
        for network, value in networks.items():
            length = network.prefixlen
            number = int(network.network_address) >> (network.max_prefixlen - length)
            values.setdefault((network.version, length), {})[number] = value
        self._lengths: dict[int, list[tuple[int, dict[int, V]]]] = {4: [], 6: []}
        for (version, length), table in sorted(values.items(), key=lambda item: -item[0][1]):
            self._lengths[version].append(((32 if version == 4 else 128) - length, table))

    def find(self, address: Address) -> V | None:
        number = int(address)
        for shift, table in self._lengths[address.version]:
            found = table.get(number >> shift)
            if found is not None:
                return found
        return None


def networks(given: Iterable[Network]) -> list[IPv4Network | IPv6Network]:
    """
    @raise ValueError: a network that is none
    @raise TypeError: one network where several are due; what could be iterated over is its letters, or its addresses
    """
    if isinstance(given, str | IPv4Network | IPv6Network):
        raise TypeError(f"networks are given in a list, as ['{given}']")
    return [_network(each) for each in given]


def _network(given: Network) -> IPv4Network | IPv6Network:
    try:
        return ip_network(given)
    except ValueError as error:
        raise ValueError(
            f"{error}; a network is written as '192.0.2.0/24', words for some are the configuration file's"
        ) from None


class Trusted:
    """Networks to which a policy does not apply; fails as `networks` does."""

    def __init__(self, given: Iterable[Network] = ()) -> None:
        self._table = NetworkTable(dict.fromkeys(networks(given), True))

    def __contains__(self, address: Address) -> bool:
        return self._table.find(address) is not None
