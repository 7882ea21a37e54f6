"""What `twistd duckmail` calls.

Whatever can be found wrong before the reactor runs ends here, with one line and exit status 1; the rest
ends through `Ending`.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.application.service import IService

from twisted_duck.limits import Limits
from twisted_duck.service.ending import Ending
from twisted_duck.service.fault import Fault
from twisted_duck.service.options import Options
from twisted_duck.service.server import Server, Store
from twisted_duck.service.workers import Workers

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """The service that `options` ask for."""
    from twisted.internet import reactor

    end = Ending(reactor)
    try:
        settings = options.settings()
        if settings.workers > 1:
            return Workers(reactor, settings, {"options": options.packed()}, end)
        return Server(reactor, settings, open_store, end, options.settings, ready=spare_collector)
    except Fault as fault:
        raise SystemExit(f"duckmail: {fault}") from None


def spare_collector() -> None:
    """What a process has in memory when it listens stays: the collector of cycles need not look at it again, nor so often at
    what comes.

    While a thousand documents are decoded it would go through all modules several times, which takes longer than that.
    Nearly everything is given back without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


async def open_store(reactor: Any, uri: str, limits: Limits) -> Store:
    from twisted_duck.store import store

    return await store.open_store(reactor, uri, limits)
