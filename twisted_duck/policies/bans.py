"""Keeping out whoever tries passwords."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b

from twisted.internet.interfaces import IReactorTime

from twisted_duck.clock import reactor_clock
from twisted_duck.errors import ConnectionRefused
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.policies.base import Policy
from twisted_duck.policies.masks import Address, Mask, Network, Trusted, parse
from twisted_duck.session import Session
from twisted_duck.values import Ban

#: An office behind one address, where some people have forgotten theirs, does not try twenty in an hour.
MASK = Mask(32, 64, 20)
#: What a client is told.
MESSAGE = "too many failed logins from your network; try again later"
#: Octets of the hash of a user and a password.
_HASH = 8


def fingerprint(secret: bytes, size: int, user: str, password: str | None) -> bytes:
    """A keyed hash of an attempt, of `size` octets.

    Attempts whose passwords did not get to be known are all the same one for each user: they might be.
    """
    text = f"{len(user)} {user}" if password is None else f"{len(user)} {user} {password}"
    return blake2b(text.encode("utf-8", "surrogatepass"), key=secret, digest_size=size).digest()


class Bans(Policy):
    """Bans networks from which different wrong passwords are tried; the bans are this process's own.

    `failures` different ones within `window` seconds, for whatever users, ban the network for `seconds`.  A client that
    keeps trying one old password has tried one, however often it does.  Connections that are there stay, and nobody logs in
    on them any more.

    Passwords are not kept: what is kept are short hashes of them with a key that ends with the process.

    @param mask: what is one network; its `most` is the number of failures
    @param trusted: networks that are never banned
    """

    def __init__(
        self,
        mask: Mask = MASK,
        window: float = 60 * 60,
        seconds: float = 60 * 60,
        *,
        trusted: Iterable[Network] = (),
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
        name: str = "bans",
    ) -> None:
        super().__init__(name)
        self._mask = mask
        self._window = window
        self._seconds = seconds
        self._trusted = Trusted(trusted)
        self._entries = (limits or DEFAULTS).ban_entries
        self._clock = clock or reactor_clock()
        self._secret = secrets.token_bytes(16)
        #: Network -> when it began, and the hashes of what was tried since.
        self._tried: OrderedDict[int, tuple[float, bytes]] = OrderedDict()
        #: Network -> its ban, in the order in which they end.
        self._bans: OrderedDict[int, Ban] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tried) + len(self._bans)

    def onConnect(self, session: Session) -> None:
        address = parse(session.remoteAddress)
        if address is None:
            return
        self._forget_old()
        ban = self._bans.get(self._mask.key(address))
        if ban is not None and address not in self._trusted:
            left = ban.until - self._clock.seconds()
            self.refuse(
                session,
                f"{ban.network} is banned for another {left:.0f} s: {ban.reason}",
                MESSAGE,
                ConnectionRefused,
            )

    def beforeLogin(self, session: Session) -> None:
        self.onConnect(session)

    def loginFailed(self, session: Session, user: str, password: str | None) -> None:
        address = parse(session.remoteAddress)
        if address is None or address in self._trusted:
            return
        key, now = self._mask.key(address), self._clock.seconds()
        began, tried = self._tried.get(key, (now, b""))
        if now - began >= self._window:
            began, tried = now, b""
        one = fingerprint(self._secret, _HASH, user, password)
        if all(tried[at : at + _HASH] != one for at in range(0, len(tried), _HASH)):
            tried += one
        if len(tried) >= self._mask.most * _HASH:
            self._tried.pop(key, None)
            self._ban(session, key, address, f"{self._mask.most} wrong passwords")
            return
        self._tried[key] = began, tried
        self._tried.move_to_end(key)
        if len(self._tried) > self._entries:
            self._tried.popitem(last=False)

    def _ban(self, session: Session, key: int, address: Address, reason: str) -> None:
        ban = Ban(self._mask.network(address), reason, self._clock.seconds() + self._seconds)
        self._bans[key] = ban
        self._bans.move_to_end(key)
        if len(self._bans) > self._entries:
            self._bans.popitem(last=False)
        self.log.warn(
            "{session.id}: {network} is banned for {seconds:g} s: {reason}",
            session=session,
            network=ban.network,
            seconds=self._seconds,
            reason=reason,
        )

    def _forget_old(self) -> None:
        now = self._clock.seconds()
        while self._bans and next(iter(self._bans.values())).until <= now:
            self._bans.popitem(last=False)

    def bans(self) -> list[Ban]:
        """Those that are in force, the one that ends first in front."""
        self._forget_old()
        return list(self._bans.values())

    def lift(self, address: str) -> bool:
        """End the ban of the network that an address is in, and forget what was tried from there; whether there was one.

        @raise ValueError: it is no address
        """
        parsed = parse(address.partition("/")[0])
        if parsed is None:
            raise ValueError(f"{address} is no address")
        key = self._mask.key(parsed)
        self._tried.pop(key, None)
        return self._bans.pop(key, None) is not None
