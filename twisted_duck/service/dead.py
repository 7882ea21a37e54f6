"""What a process that was killed has left of its UNIX sockets.

Twisted puts a lock beside each, with the number of its process, and takes the place of one that is gone.  After a reboot, or in a
container that was killed, the number may be another's, or our own, and the socket would be in use for ever.  So what counts
is whether anybody listens.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress

from twisted_duck.service.endpoint import values


def forget_dead(endpoint: str) -> None:
    """Remove the socket of an endpoint's description, and its lock, if it is a UNIX socket on which nobody listens."""
    path = next(values(endpoint, ("unix",), "address"), None)
    if path is None or _is_taken(path):
        return
    for name in (path, f"{path}.lock"):
        # Whoever listens next finds out what is wrong.
        with suppress(OSError):
            os.unlink(name)


def _is_taken(path: str) -> bool:
    """Whether somebody listens there, or it is something else than a socket."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return True
        with socket.socket(socket.AF_UNIX) as probe:
            # One that is too busy to be connected to is not waited for.
            probe.setblocking(False)
            probe.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except (OSError, ValueError):
        # No path at all, but a name of Linux's own.
        pass
    return True
