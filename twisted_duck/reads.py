"""How much of what a client sends is read at a time, and so how much there is before anybody can say that it is too much."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.abstract import FileDescriptor

from twisted_duck.prompt import socket_of

#: Octets, where nobody has said anything else.
USUAL: Final[int] = FileDescriptor.bufferSize


def at_once(transport: Any, octets: int) -> None:
    """Read no more than so many octets at a time; never more than `USUAL`."""
    socket = socket_of(transport)
    if socket is not None:
        socket.bufferSize = min(octets, USUAL)
