"""What `twistd duckmail` calls.

Whatever can be found wrong before the reactor runs ends here, with one line and exit status 1; the rest
ends through `Ending`.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService

from twisted_duck.limits import Limits
from twisted_duck.service.ending import Ending
from twisted_duck.service.fault import Fault
from twisted_duck.service.options import Options
from twisted_duck.service.server import Server, Store

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """The service that `options` ask for."""
    from twisted.internet import reactor

    try:
        return Server(reactor, options.settings(), _open_store, Ending(reactor), options.settings)
    except Fault as fault:
        raise SystemExit(f"duckmail: {fault}") from None


async def _open_store(reactor: Any, uri: str, limits: Limits) -> Store:
    from twisted_duck.store.store import open_store

    return await open_store(reactor, uri, limits)
