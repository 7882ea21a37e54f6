"""Networks that may connect, and networks that may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from twisted_duck.errors import NotWelcome
from twisted_duck.policies.base import Policy
from twisted_duck.policies.masks import Network, NetworkTable, networks, parse
from twisted_duck.session import Session


class Networks(Policy):
    """Lets in or keeps out by address.

    The most specific network that holds an address decides; one that is both allowed and denied is denied.  An address in
    none of them is denied if there is anything, or a file of what, is allowed, else allowed.

    Files have a network or an address a line, with remarks behind `#`; `reload` reads them again.

    @raise ValueError: a network that is none, with its file and line
    @raise TypeError: one network where a list of them is due
    @raise OSError: a file that cannot be read
    """

    def __init__(
        self,
        allow: Iterable[Network] = (),
        deny: Iterable[Network] = (),
        *,
        allowFile: str | Path | None = None,
        denyFile: str | Path | None = None,
        name: str = "networks",
    ) -> None:
        super().__init__(name)
        self._allow = networks(allow)
        self._deny = networks(deny)
        self._allow_file = allowFile
        self._deny_file = denyFile
        self.reload()

    def reload(self) -> None:
        """Read the files again; if that fails, as for the constructor, everything stays as it was."""
        allowed = [*self._allow, *_read(self._allow_file)]
        denied = [*self._deny, *_read(self._deny_file)]
        verdicts = dict.fromkeys(allowed, True) | dict.fromkeys(denied, False)
        self._table = NetworkTable(verdicts)
        # A list that has become empty by some mishap lets in nobody.
        self._default = not allowed and self._allow_file is None

    def onConnect(self, session: Session) -> None:
        address = parse(session.remoteAddress)
        if address is None:
            return
        verdict = self._table.find(address)
        if not (self._default if verdict is None else verdict):
            reason = "denied" if verdict is False else "not allowed"
            self.refuse(session, reason, "your address is not welcome here", NotWelcome)


def _read(file: str | Path | None) -> Iterator[IPv4Network | IPv6Network]:
    if file is None:
        return
    for number, line in enumerate(Path(file).read_text("utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                yield ip_network(text)
            except ValueError as error:
                raise ValueError(f"{file}, line {number}: {error}") from None
