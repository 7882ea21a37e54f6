"""What starts step by step, each of which leaves behind how it is undone; stopping undoes them from the last to the first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_duck.errors import DuckError
from twisted_duck.service.config import Settings
from twisted_duck.service.embedded import EmbeddedMongo
from twisted_duck.service.fault import Fault
from twisted_duck.service.hangup import Hangup

log = Logger()


class StartingService(Service):
    """What a subclass does is `start`, which pushes on `_undo`, and `hung_up`, whenever SIGHUP comes.

    @param end: told, once, why it could not start or cannot go on
    """

    def __init__(self, reactor: Any, settings: Settings, end: Callable[[Exception], None]) -> None:
        self._reactor = reactor
        self._settings = settings
        self._end = end
        self._hangup = Hangup(reactor, self.hung_up)
        self._undo = AsyncExitStack()
        self._starting: Deferred[None] | None = None

    async def start(self) -> None:
        raise AssertionError("whoever starts says how")

    def hung_up(self) -> None:
        raise AssertionError("whoever is told says what that means")

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._hangup.install()
        self._starting = Deferred.fromCoroutine(self.start())
        self._starting.addErrback(self.failed)

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    def failed(self, failure: Failure) -> None:
        """It could not be started, or was not in the end."""
        if failure.check(CancelledError):
            return
        if not failure.check(Fault, DuckError):
            log.failure("a fault of ours", failure)
        self._end(failure.value)  # type: ignore[arg-type]

    async def _stop(self) -> None:
        try:
            if self._starting is not None:
                self._starting.cancel()
                await self._starting
            await self._undo.aclose()
        finally:
            self._hangup.remove()

    async def mongo_uri(self) -> str:
        """The configured MongoDB's, or an embedded one's, which is started."""
        settings = self._settings
        if settings.mongo_uri:
            return settings.mongo_uri
        server = EmbeddedMongo(self._reactor, settings.data_dir, settings.mongod, self._end)
        uri = await server.start()
        self._undo.push_async_callback(server.stop)
        return uri
