"""Ports that several processes listen on: the kernel gives each new connection to one of them (SO_REUSEPORT)."""

from __future__ import annotations

import socket
from typing import Any

import attrs
from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ServerFactory
from twisted.internet.tcp import makeBinding

from twisted_duck.service.config import ConfigError, Listener, Settings
from twisted_duck.service.endpoint import values
from twisted_duck.service.fault import Fault

#: Endpoints that can be shared.  A UNIX socket is a file, which whoever ends last would remove, and a socket of systemd's
#: is there once.
_TCP = frozenset({"tcp", "tcp4", "tcp6"})


class SharingReactor:
    """A reactor for endpoints, whose TCP ports others may listen on as well; in anything else it is the one that it is."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        binding = makeBinding(interface, port, reuseAddress=True, reusePort=True)
        return self._reactor.listenTCP(binding, factory, backlog, interface)


def is_shared(listener: Listener) -> bool:
    return _port(listener) is not None


def of_worker(settings: Settings, number: int, uri: str) -> Settings:
    """What one of several processes serves, counted from 1: the first one also does what only one can do.

    @param uri: the MongoDB of all of them
    """
    if number == 1:
        return attrs.evolve(settings, mongo_uri=uri, mongod=None)
    listeners = tuple(filter(is_shared, settings.listeners))
    return attrs.evolve(settings, mongo_uri=uri, mongod=None, demo=False, listeners=listeners)


def check_shared(settings: Settings) -> None:
    """@raise ConfigError: nothing that several processes could listen on"""
    shared = list(filter(is_shared, settings.listeners))
    if not shared:
        raise ConfigError(
            f"workers = {settings.workers}: only TCP ports can be shared, and there are none; give some, or remove it"
        )
    for listener in shared:
        if _port(listener) == 0:
            raise ConfigError(
                f"{listener.option} {listener.endpoint}: workers can't share a port that each would choose for itself;"
                " give its number"
            )


def _port(listener: Listener) -> int | None:
    """The number of a TCP port, which is the first argument without a name, or the one of that name, wherever it stands."""
    ports = (each for each in values(listener.endpoint, _TCP, "port") if each.isdecimal())
    return next(map(int, ports), None)


async def take_free(reactor: Any, settings: Settings) -> list[socket.socket]:
    """Two that share a port, servers or listeners, would not notice, and each have some of the connections.

    Whoever asks later is told that the port is in use until what is answered is closed: it may be seconds until workers listen.

    @raise Fault: somebody else listens on one of the ports, or two of ours would on the same
    """
    # None is given up before there are all: the system knows best which are the same.
    ports: list[Any] = []
    taken: list[Any] = []
    try:
        for listener in filter(is_shared, settings.listeners):
            nobody = ServerFactory()
            nobody.noisy = False
            try:
                ports.append(await serverFromString(reactor, listener.endpoint).listen(nobody))
            except (CannotListenError, OSError, OverflowError) as error:
                raise Fault(cannot_listen(listener, error)) from error
        taken = [port.getHost() for port in ports]
    finally:
        await gatherResults([port.stopListening() for port in ports])
    return [held for host in taken if (held := _held(host.host, host.port)) is not None]


def _held(host: str, port: int) -> socket.socket | None:
    """A socket to which nobody can connect, and beside which only those can listen who share the port."""
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError:
        # Connections of a server that did not share it are not forgotten yet: it has to do without.
        held.close()
        return None
    return held


def cannot_listen(listener: Listener, error: Exception) -> str:
    reason = getattr(error, "socketError", error)
    text = getattr(reason, "strerror", None) or str(reason)
    return f"cannot listen on {listener.endpoint} ({listener.option}): {text}"
