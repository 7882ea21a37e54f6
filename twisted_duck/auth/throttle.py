"""How many wrong passwords one address may try for one user."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address

from twisted.internet.interfaces import IReactorTime

from twisted_duck.limits import Limits


class LoginThrottle:
    """Counts failures by user and address, in a table whose size has a bound: what was touched longest ago goes first.

    `Limits.throttle_failures` of them within `Limits.throttle_window` seconds close the door for the rest of that time;
    a good login forgets them.  An IPv6 address stands for its /64, which is what one customer has.
    """

    def __init__(self, clock: IReactorTime, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        # Names are not kept, and nobody can choose pairs that collide.
        self._secret = secrets.token_bytes(16)
        #: Key -> (time of the first failure, failures).
        self._failures: OrderedDict[bytes, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def is_closed(self, user: str, address: str) -> bool:
        """Whether no password for this user from this address is to be looked at now."""
        return self._count(self._key(user, address))[1] >= self._limits.throttle_failures

    def failed(self, user: str, address: str) -> None:
        key = self._key(user, address)
        since, count = self._count(key)
        self._failures[key] = (since, count + 1)
        self._failures.move_to_end(key)
        if len(self._failures) > self._limits.throttle_entries:
            self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        self._failures.pop(self._key(user, address), None)

    def _count(self, key: bytes) -> tuple[float, int]:
        now = self._clock.seconds()
        since, count = self._failures.get(key, (now, 0))
        if now - since >= self._limits.throttle_window:
            return now, 0
        return since, count

    def _key(self, user: str, address: str) -> bytes:
        text = f"{_neighbourhood(address)} {user}".encode()
        return blake2b(text, key=self._secret, digest_size=16).digest()


def _neighbourhood(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return parsed.packed[:8].hex() if isinstance(parsed, IPv6Address) else address
