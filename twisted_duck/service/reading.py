"""Kinds of values in the configuration: what was written -> what is meant; ValueError says what it must be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeAlias, get_args

from twisted_duck.lmtp.address import read_domain
from twisted_duck.lmtp.spam import SpamMark

#: What was written, and the directory that file names are relative to -> what is meant.
Read: TypeAlias = Callable[[object, Path], Any]

#: Of a bound, whatever its unit: a TiB, or 34,000 years.  Sums of several still fit the 63 bits of IMAP and BSON.
_LARGEST_BOUND = 1 << 40

_MOST_PROCESSES = 256

#: Of an endpoint: the first part without a name, or the one of that name.
_TCP_PORT = re.compile(r"tcp[46]?:(?:(?:\\.|[^:\\])*:)*?(?:port=)?(-?[0-9]+)(?::|$)")

#: Networks that have a name in the configuration.
_NAMED = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    # RFC 1918, RFC 4193, and what is on the same wire.
    "private": (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    ),
}


def text(value: object, base: Path) -> str:
    if isinstance(value, str) and value and "\n" not in value:
        return value
    raise ValueError("must be text that is not empty")


def path(value: object, base: Path) -> Path:
    if isinstance(value, str) and value and "\0" not in value:
        return base / Path(value).expanduser()
    raise ValueError("must be the name of a file or directory")


def program(value: object, base: Path) -> str:
    # A bare name is looked up on the PATH.
    return str(path(value, base)) if "/" in text(value, base) else text(value, base)


def flag(value: object, base: Path) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def uri(value: object, base: Path) -> str:
    if isinstance(value, str) and value.startswith(("mongodb://", "mongodb+srv://")):
        return value
    # What was written may hold a password, so it is not repeated.
    raise ValueError("must be a MongoDB URI: mongodb://host:port/database?replicaSet=name")


def one_of(literal: Any) -> Read:
    """@param literal: a C{Literal} of text"""
    choices = get_args(literal)

    def read(value: object, base: Path) -> str:
        if value in choices:
            return str(value)
        raise ValueError(f"must be one of {', '.join(map(repr, choices))}")

    return read


def spam_header(value: object, base: Path) -> str:
    header = text(value, base)
    SpamMark.parse(header)
    return header


def hostname(value: object, base: Path) -> str:
    """RFC 5321 §4.1.2, Domain or address-literal: the underscore that is forgiven others is not ours to say."""
    name = text(value, base)
    if read_domain(name, 0) == (name, len(name)) and name.isascii() and "_" not in name:
        return name
    raise ValueError(
        "must be the name of a host, as mx.example.org, or its address, as [192.0.2.1]"
    )


def endpoints(value: object, base: Path) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
        for each in value:
            port = _TCP_PORT.match(each)
            if port is not None and not 0 <= int(port[1][:9]) <= 65535:
                raise ValueError(f"has {each!r}, and a port is a number from 0 to 65535")
        return tuple(value)
    if isinstance(value, list) and "" in value:
        raise ValueError("must not be empty; give a Twisted endpoint string, as tcp:143")
    raise ValueError('must be a list of Twisted endpoint strings, as ["tcp:143"]')


def proxied_endpoints(value: object, base: Path) -> tuple[str, ...]:
    read = endpoints(value, base)
    if any(each.startswith("unix:") for each in read):
        raise ValueError("must not be a UNIX socket: who connects there is in none of the networks")
    return read


def bound(value: object, base: Path) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        if value > _LARGEST_BOUND:
            raise ValueError(f"must be at most {_LARGEST_BOUND:,}")
        return value
    raise ValueError("must be a whole number above 0")


def count(value: object, base: Path) -> int:
    """On the command line it is text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_PROCESSES:
        return value
    raise ValueError(f"must be a whole number from 1 to {_MOST_PROCESSES}")


def seconds(value: object, base: Path) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 < value <= _LARGEST_BOUND:
            return value
        raise ValueError(f"must be above 0 and at most {_LARGEST_BOUND:,} seconds")
    raise ValueError("must be a number of seconds above 0")


def seconds_or_none(value: object, base: Path) -> float:
    """0 where there is nothing to be counted."""
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= _LARGEST_BOUND
    ):
        return value
    raise ValueError(f"must be a number of seconds from 0 to {_LARGEST_BOUND:,}")


def networks(value: object, base: Path) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses, networks, and names of `_NAMED`."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError('must be a list of networks, as ["192.0.2.0/24", "2001:db8::/32"]')
    found = []
    for each in value:
        for network in _NAMED.get(each, (each,)):
            try:
                found.append(ip_network(network))
            except ValueError as error:
                known = ", ".join(map(repr, _NAMED))
                raise ValueError(
                    f"has {each!r}, which is no network ({error}) and none of {known}"
                ) from None
    return tuple(found)


def keys(value: Mapping[str, object], known: Mapping[str, Read], base: Path) -> dict[str, Any]:
    """A table: each key is known, and read as its kind of value."""
    read = {}
    for key, inner in value.items():
        if key not in known:
            raise ValueError(f"unknown key {key}; {advice(key, known)}")
        try:
            read[key] = known[key](inner, base)
        except ValueError as error:
            raise ValueError(f"{key} {error}") from None
    return read


#: What to do about a name that is like none.
REMOVE = "remove it"


def advice(key: str, known: Iterable[str]) -> str:
    """What to do about a name that is not known."""
    like = close(key, known)
    return f"did you mean {like}?" if like else REMOVE


def close(key: str, known: Iterable[str]) -> str | None:
    """The name that is most like this one."""
    return next(iter(difflib.get_close_matches(key, list(known), 1)), None)
