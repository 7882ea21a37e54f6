"""Having sent at once what a transport would send in its reactor's next turn.

To go through that for each short answer is a fifth of what it takes: two `epoll_ctl` and one `epoll_wait`, and what Twisted
does around them.  What can't be sent now stays with the transport, as ever.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IWriteDescriptor


def socket_of(transport: Any) -> Any:
    """The transport itself, or what is below its TLS, if it can be told to write; else None."""
    if not IWriteDescriptor.providedBy(transport):
        transport = getattr(transport, "transport", None)
    return transport if IWriteDescriptor.providedBy(transport) else None


def send(socket: Any) -> None:
    """What the transport was given; `socket` is what `socket_of` has answered for it."""
    # Where the connection is to be closed behind this, its reactor has to do it.  TLS that came later, by STARTTLS, gives it
    # what it has encrypted in the next turn only.
    if socket is not None and not (socket.disconnecting or getattr(socket, "TLS", False)):
        # If this fails, so does the reactor's next attempt, which ends the connection.
        socket.doWrite()


class Prompt:
    """A transport around another one, which has what it is given sent at once as well."""

    def write_now(self, data: bytes) -> None:
        raise AssertionError("whoever wraps a transport says how")


def write(transport: Any, data: bytes) -> None:
    """Give the transport something and have it sent.

    All that the transport was given before was followed by `send`, or by this: then `dataBuffer` is all that waits in it.
    """
    # By its type: what encrypts passes on attributes of the transport below.
    if isinstance(transport, Prompt):
        transport.write_now(data)
        return
    if isinstance(transport, FileDescriptor) and _is_idle(transport):
        sent = transport.writeSomeData(data)
        if sent == len(data):
            return
        # What failed will fail again, in the reactor, which ends the connection.
        if isinstance(sent, int) and sent > 0:
            data = data[sent:]
    transport.write(data)
    send(socket_of(transport))


def _is_idle(transport: Any) -> bool:
    """Whether the next octet it is given is the next on the line."""
    return (
        transport.connected == 1
        and not transport.dataBuffer
        and not (transport.disconnecting or getattr(transport, "TLS", False))
    )
