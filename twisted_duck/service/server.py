"""Everything put together: configuration -> MongoDB -> store -> portal -> factories -> endpoints.

    certificate   the configured one, or a self-signed one
    MongoDB       the configured one, or the embedded one
    store         users and their mail
    demo          an account to try things with, if wanted
    listening     only now, so that whoever can connect is served

Each step leaves behind how it is undone; stopping undoes them from the last to the first.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from twisted_duck.addresses import AddressRules
from twisted_duck.errors import DuckError
from twisted_duck.limits import Limits
from twisted_duck.service.certificate import ServerCertificate, self_signed
from twisted_duck.service.config import ConfigError, Listener, Settings
from twisted_duck.service.datadir import DataDir
from twisted_duck.service.embedded import EmbeddedMongo
from twisted_duck.service.fault import Fault
from twisted_duck.service.protocols import Parts

#: Seconds that commands in progress get to finish when the service is stopped.
GRACE = 10.0

log = Logger()


class Store(Protocol):
    """What is needed of a store here."""

    @property
    def directory(self) -> Any:
        """Who may log in: an `IUserDirectory`."""

    async def add_user(self, name: str, password: str) -> None:
        """A new user with the default mailboxes; fails with AlreadyExists."""

    def delivery(self, rules: AddressRules) -> Any:
        """An `IDelivery` to its users."""

    async def account(self, name: str) -> Any:
        """The `IAccount` of a user; fails with NonExistent."""

    async def close(self) -> None: ...


#: The reactor, a MongoDB URI, the limits -> a store that is ready; fails with a DuckError.
OpenStore = Callable[[Any, str, Limits], Awaitable[Store]]


class Server(Service):
    """The whole server.

    @param end: told, once, why it could not start or cannot go on
    @raise ConfigError: an endpoint that is none
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        open_store: OpenStore,
        end: Callable[[Exception], None],
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._open_store = open_store
        self._end = end
        self._undo = AsyncExitStack()
        self._starting: Deferred[None] | None = None
        #: What it listens on, when it does.
        self.ports: list[Any] = []
        self._endpoints = [
            (listener, _endpoint(reactor, listener)) for listener in settings.listeners
        ]

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._failed)

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        settings = self._settings
        tls = self._certificate()
        uri = settings.mongo_uri or await self._embedded()
        store = await self._open_store(self._reactor, uri, settings.limits)
        self._undo.push_async_callback(store.close)
        demo = await self._demo(store) if settings.demo else None
        await self._listen(store, tls)
        if demo is not None:
            self._tell(*demo)

    async def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await self._starting
        await self._undo.aclose()

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if not failure.check(Fault, DuckError):
            log.failure("a fault of ours", failure)
        self._end(failure.value)  # type: ignore[arg-type]

    # --- the steps ----------------------------------------------------------------------------------------------------

    def _certificate(self) -> ServerCertificate:
        certificate, key = self._settings.certificate, self._settings.key
        if certificate is None or key is None:
            return self_signed(DataDir(self._settings.data_dir))
        return ServerCertificate(certificate, key)

    async def _embedded(self) -> str:
        server = EmbeddedMongo(
            self._reactor, self._settings.data_dir, self._settings.mongod, self._end
        )
        uri = await server.start()
        self._undo.push_async_callback(server.stop)
        return uri

    async def _demo(self, store: Store) -> tuple[str, str]:
        from twisted_duck.service.demo import make_demo

        return await make_demo(store, DataDir(self._settings.data_dir), self._settings.limits)

    def _tell(self, name: str, password: str) -> None:
        log.info("demo account: {name}, password: {password}", name=name, password=password)
        for (listener, _), port in zip(self._endpoints, self.ports, strict=True):
            if listener.protocol.name == "imap":
                log.info(
                    "try: curl --insecure {how}://{address}/INBOX;MAILINDEX=1' --user {name}:{password}",
                    how="'imaps" if listener.tls else "--ssl-reqd 'imap",
                    address=address(port.getHost()),
                    name=name,
                    password=password,
                )

    async def _listen(self, store: Store, tls: ServerCertificate) -> None:
        from twisted_duck.auth.portal import make_portal

        settings = self._settings
        portal = make_portal(store.directory, store.account, self._reactor, settings.limits)
        parts = Parts(portal, store.delivery, tls, self._reactor, settings)
        factories: dict[str, Any] = {}
        for listener, endpoint in self._endpoints:
            name = listener.protocol.name
            if name not in factories:
                factories[name] = listener.protocol.make(parts)
                self._undo.push_async_callback(self._see_off, factories[name])
            factory = factories[name]
            if listener.tls:
                factory = TLSMemoryBIOFactory(tls, False, factory)
                factory.noisy = False
            try:
                port = await endpoint.listen(factory)
            except (CannotListenError, OSError, OverflowError) as error:
                raise Fault(_cannot_listen(listener, error)) from error
            self.ports.append(port)
            self._undo.push_async_callback(_call, port.stopListening)
            log.info(
                "{title}{tls} on {address}",
                title=listener.protocol.title,
                tls=" with TLS" if listener.tls else "",
                address=address(port.getHost()),
            )

    async def _see_off(self, factory: Any) -> None:
        try:
            await factory.shutDown().addTimeout(GRACE, self._reactor)
        except TimeoutError:
            log.warn("some commands did not finish within {grace:g} seconds", grace=GRACE)


async def _call(function: Callable[[], Any]) -> None:
    """Call what may or may not answer with a Deferred."""
    result = function()
    if isinstance(result, Deferred):
        await result


def _endpoint(reactor: Any, listener: Listener) -> Any:
    try:
        return serverFromString(reactor, listener.endpoint)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ConfigError(
            f"{listener.option} {listener.endpoint}: not a Twisted endpoint string, as tcp:143 ({error})"
        ) from error


def _cannot_listen(listener: Listener, error: Exception) -> str:
    reason = getattr(error, "socketError", error)
    text = getattr(reason, "strerror", None) or str(reason)
    return f"cannot listen on {listener.endpoint} ({listener.option}): {text}"


def address(host: Any) -> str:
    """An address as people write it."""
    if hasattr(host, "port"):
        name = f"[{host.host}]" if ":" in host.host else host.host
        return f"{name}:{host.port}"
    return os.fsdecode(host.name)
