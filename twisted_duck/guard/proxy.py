"""Connections that come through a proxy, and whose first bytes say from whom."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from twisted.internet import address
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_duck.errors import BadSyntax
from twisted_duck.guard.passage import Passage, PassageFactory, View, cut_off
from twisted_duck.limits import Limits
from twisted_duck.session import plainAddress
from twisted_duck.wire.framing import NEED_DATA
from twisted_duck.wire.proxy import Endpoint, ProxyHeader, ProxyReader


class ProxiedView(View):
    """A transport between the ends that a header names."""

    def __init__(self, passage: Passage, transport: Any, header: ProxyHeader) -> None:
        super().__init__(passage, transport)
        self._peer = _address(header.client) if header.client else transport.getPeer()
        self._host = _address(header.server) if header.server else transport.getHost()

    def getPeer(self) -> IAddress:
        peer: IAddress = self._peer
        return peer

    def getHost(self) -> IAddress:
        host: IAddress = self._host
        return host


def _address(end: Endpoint) -> IAddress:
    kind = address.IPv4Address if end.address.version == 4 else address.IPv6Address
    return kind("TCP", str(end.address), end.port)


class Proxied(Passage):
    """One connection."""

    log = Logger()

    factory: ProxyFactory

    def __init__(self, factory: ProxyFactory) -> None:
        super().__init__(factory.clock, factory.limits.early)
        self.factory = factory
        #: None when there is nothing to be read any more.
        self._reader: ProxyReader | None = None
        self._timer: IDelayedCall | None = None
        self._dropped = False

    def connectionMade(self) -> None:
        super().connectionMade()
        factory = self.factory
        if not factory.trusts(self.transport.getPeer()):
            self._drop("it is none of the proxies")
            return
        self._reader = ProxyReader(factory.limits.proxy_header_size)
        self._timer = self._clock.callLater(factory.limits.proxy_header, self._overdue)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        self._reader = None
        super().connectionLost(reason)

    def hold(self, data: bytes) -> None:
        if self._reader is not None:
            self._read(self._reader, data)
        elif not self._dropped:
            super().hold(data)

    def _read(self, reader: ProxyReader, data: bytes) -> None:
        reader.feed(data)
        try:
            header = reader.header()
        except BadSyntax as error:
            self._drop(error.message)
            return
        if header is NEED_DATA:
            return
        self._stop_timer()
        self._reader = None
        view = ProxiedView(self, self.transport, header)
        protocol = self.factory.wrappedFactory.buildProtocol(view.getPeer())
        if protocol is None:
            self._dropped = True
            self.transport.loseConnection()
            return
        if reader.rest:
            super().hold(reader.rest)
        self.let_in(protocol, view)

    def _overdue(self) -> None:
        self._timer = None
        self._drop("no PROXY header in time")

    def _drop(self, reason: str) -> None:
        peer = self.transport.getPeer()
        self.log.warn(
            "a connection from {peer} was dropped: {reason}",
            peer=plainAddress(getattr(peer, "host", "")) or peer,
            reason=reason,
        )
        self._stop_timer()
        self._reader = None
        self._dropped = True
        cut_off(self.transport)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


class ProxyFactory(PassageFactory):
    """Takes the PROXY protocol's header, version 1 or 2, off each connection; the protocol behind it finds the addresses
    of the real client in C{transport.getPeer()} and C{getHost()}.

    A header is required.  Who comes from elsewhere than from a proxy, sends none within C{limits.proxy_header} seconds,
    or sends one that can't be understood, is dropped, and that is logged.

    @param networks: where the proxies are: addresses or networks in CIDR notation
    @param clock: where timers are set; the global reactor by default
    @raise ValueError: a network that is none
    """

    def __init__(
        self,
        factory: IProtocolFactory,
        networks: Iterable[str | IPv4Network | IPv6Network],
        *,
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        super().__init__(factory, limits, clock)
        self.trust(networks)

    def trust(self, networks: Iterable[str | IPv4Network | IPv6Network]) -> None:
        """From now on the proxies are there; connections that are there stay.

        @raise ValueError: a network that is none
        """
        self._networks = [ip_network(network) for network in networks]

    def trusts(self, peer: Any) -> bool:
        """Whether an address is that of a proxy; one without a network address is not."""
        try:
            host = ip_address(plainAddress(getattr(peer, "host", "")))
        except ValueError:
            return False
        return any(host in network for network in self._networks)

    def buildProtocol(self, addr: IAddress | None) -> Proxied:
        return Proxied(self)
