"""How many may be connected at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from twisted_duck.policies.base import Policy
from twisted_duck.policies.masks import Address, Mask, Network, Trusted, parse
from twisted_duck.session import Session

#: A household with many devices, each with several connections; an office behind one address; a provider.
_MASKS = (Mask(32, 64, 50), Mask(24, 56, 250), Mask(16, 48, 2_000))


class ConnectionLimit(Policy):
    """Connections at the same time, for each network of some sizes.

    @param masks: a connection has to find room in each
    @param trusted: networks that are not limited: a webmail server has a connection for each of its users
    """

    def __init__(
        self,
        masks: Sequence[Mask] = _MASKS,
        *,
        trusted: Iterable[Network] = (),
        name: str = "connection limit",
    ) -> None:
        super().__init__(name)
        self._masks = tuple(masks)
        self._trusted = Trusted(trusted)
        #: (Which mask, network) -> connections; nothing that is zero.
        self._open: Counter[tuple[int, int]] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def onConnect(self, session: Session) -> None:
        address = parse(session.remoteAddress)
        # One that is asked twice, by two combinations that it is in, counts once.
        if address is None or address in self._trusted or self in session.data:
            return
        keys = self._keys(address)
        for key, mask in zip(keys, self._masks, strict=True):
            if self._open[key] >= mask.most:
                self.refuse(
                    session,
                    f"{mask.most} from {mask.network(address)}",
                    "too many connections from your network",
                )
        self._take(session, keys)

    def adopt(self, session: Session) -> bool:
        address = parse(session.remoteAddress)
        if self not in session.data and address is not None and address not in self._trusted:
            self._take(session, self._keys(address))
        return True

    def _keys(self, address: Address) -> list[tuple[int, int]]:
        return [(index, mask.key(address)) for index, mask in enumerate(self._masks)]

    def _take(self, session: Session, keys: list[tuple[int, int]]) -> None:
        self._open.update(keys)
        session.data[self] = keys

    def onRefused(self, session: Session) -> None:
        for key in session.data.pop(self, ()):
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    def onClose(self, session: Session) -> None:
        self.onRefused(session)


class UserLimit(Policy):
    """Sessions of one user at the same time.

    @param most: some clients keep a connection for each mailbox they show
    """

    def __init__(self, most: int = 50, *, name: str = "user limit") -> None:
        super().__init__(name)
        self._most = most
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def onAuthenticated(self, session: Session) -> None:
        # Whatever an earlier login of this connection took.
        self.onUnauthenticated(session)
        user = session.user
        if user is None:
            return
        if self._open[user] >= self._most:
            self.refuse(session, f"{self._most} of {user}", "too many connections of this user")
        self._take(session, user)

    def adopt(self, session: Session) -> bool:
        if self not in session.data and session.user is not None:
            self._take(session, session.user)
        return True

    def _take(self, session: Session, user: str) -> None:
        self._open[user] += 1
        session.data[self] = user

    def onUnauthenticated(self, session: Session) -> None:
        user = session.data.pop(self, None)
        if user is not None:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]

    def onClose(self, session: Session) -> None:
        self.onUnauthenticated(session)
