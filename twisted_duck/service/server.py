"""Everything put together: configuration -> MongoDB -> store -> portal -> factories -> endpoints.

    certificate   the configured one, or a self-signed one
    MongoDB       the configured one, or the embedded one
    store         users and their mail
    demo          an account to try things with, if wanted
    listening     only now, so that whoever can connect is served

Each step leaves behind how it is undone; stopping undoes them from the last to the first.

SIGHUP has the configuration read again.  Everything new is made first; if that can't be done, one line says why and nothing
has changed.  Then it takes the place of the old: the certificate, the policies with their lists, the networks of proxies.
Connections that are there stay, and are counted by the policies that come.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.threadpool import ThreadPool

from twisted_duck.addresses import AddressRules
from twisted_duck.auth.interfaces import UserRecord
from twisted_duck.guard import ProxyFactory
from twisted_duck.limits import Limits
from twisted_duck.policies import Policies
from twisted_duck.service.certificate import ServerCertificate, ServerTLS, self_signed
from twisted_duck.service.config import ConfigError, Listener, Settings
from twisted_duck.service.datadir import DataDir
from twisted_duck.service.dead import forget_dead
from twisted_duck.service.fault import Fault
from twisted_duck.service.policies import Made, PolicyParts, Shared, make_policies
from twisted_duck.service.protocols import Parts
from twisted_duck.service.refusals import PERIOD, Refusals
from twisted_duck.service.sharing import cannot_listen
from twisted_duck.service.starting import StartingService

log = Logger()


class Store(Shared, Protocol):
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

    def account_of(self, record: UserRecord) -> Any:
        """The same for one whom `directory` has found."""

    async def close(self) -> None: ...


#: The reactor, a MongoDB URI, the limits -> a store that is ready; fails with a DuckError.
OpenStore = Callable[[Any, str, Limits], Awaitable[Store]]


#: What SIGHUP changes, of `Settings`; for the rest the server must be started again.
_RELOADED = {"certificate", "key", "policies", "proxy_networks"}


class Server(StartingService):
    """The whole server.

    @param end: told, once, why it could not start or cannot go on
    @param reread: reads the settings again; fails with ConfigError
    @param listening: the reactor that endpoints are made with, if it is another one
    @param ready: told when it listens
    @raise ConfigError: an endpoint that is none
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        open_store: OpenStore,
        end: Callable[[Exception], None],
        reread: Callable[[], Settings] | None = None,
        listening: Any = None,
        ready: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(reactor, settings, end)
        self._open_store = open_store
        self._reread = reread or (lambda: settings)
        self._ready = ready
        self._certificate: ServerCertificate | None = None
        self._parts: PolicyParts | None = None
        #: The policies that there are, and as one.
        self._made: Made = ()
        self._policies = Policies()
        self._refusals = Refusals()
        self._proxies: list[ProxyFactory] = []
        #: What it listens on, when it does.
        self.ports: list[Any] = []
        self._endpoints = [
            (listener, _endpoint(listening or reactor, listener)) for listener in settings.listeners
        ]

    async def start(self) -> None:
        settings = self._settings
        # What is configured is looked at before anything is started; what is made is made in a directory that is ours.
        made = settings.certificate is None
        if not made:
            self._certificate = self._read_certificate(settings)
        uri = await self.mongo_uri()
        if made:
            self._certificate = self._read_certificate(settings)
        store = await self._open_store(self._reactor, uri, settings.limits)
        self._undo.push_async_callback(store.close)
        if settings.scram:
            from twisted_duck.auth.verifiers import ITERATIONS

            store.directory.scram = ITERATIONS
        demo = await self._demo(store) if settings.demo else None
        self._judge(store)
        assert self._certificate is not None
        await self._listen(store, self._certificate)
        if demo is not None:
            self._tell(*demo)
        if self._ready is not None:
            self._ready()

    # --- the steps ----------------------------------------------------------------------------------------------------

    def _read_certificate(self, settings: Settings) -> ServerCertificate:
        if settings.certificate is None or settings.key is None:
            # The directory is the one that this process has: another one comes with a restart.
            return self_signed(DataDir(self._settings.data_dir))
        return ServerCertificate(settings.certificate, settings.key)

    async def _demo(self, store: Store) -> tuple[str, str]:
        from twisted_duck.service.demo import make_demo

        return await make_demo(store, DataDir(self._settings.data_dir), self._settings.limits)

    def _tell(self, name: str, password: str) -> None:
        log.info("demo account: {name}, password: {password}", name=name, password=password)
        for (listener, _), port in zip(self._endpoints, self.ports, strict=True):
            if listener.protocol.name == "imap" and not listener.proxied:
                log.info(
                    "try: curl --insecure {how}://{address}/INBOX;MAILINDEX=1' --user {name}:{password}",
                    how="'imaps" if listener.tls else "--ssl-reqd 'imap",
                    address=address(port.getHost()),
                    name=name,
                    password=password,
                )

    def _judge(self, store: Store) -> None:
        """Policies, from here on."""
        self._parts = PolicyParts(self._settings.limits, self._reactor, store)
        self._use(make_policies(self._settings.policies, self._parts))
        reports = LoopingCall(self._report)
        reports.clock = self._reactor
        reports.start(PERIOD, now=False)
        self._undo.callback(self._sum_up)
        self._undo.callback(reports.stop)

    def _use(self, made: Made) -> None:
        self._count_refusals()
        self._made = made
        self._policies.replace(*(policy for _, policy in made))

    def _count_refusals(self) -> None:
        self._refusals.count(policy for _, policy in self._made)

    def _report(self) -> None:
        self._count_refusals()
        self._refusals.report()

    def _sum_up(self) -> None:
        self._count_refusals()
        self._refusals.sum_up()

    async def _listen(self, store: Store, certificate: ServerCertificate) -> None:
        from twisted_duck.auth.portal import make_portal
        from twisted_duck.auth.verifiers import ITERATIONS

        settings = self._settings
        portal = make_portal(
            store.directory,
            store.account,
            self._reactor,
            settings.limits,
            login_failed=self._policies.loginFailed,
            before_login=self._policies.beforeLogin,
            scram=ITERATIONS if settings.scram else None,
            verified=self._verified(),
            account_of=store.account_of,
            threads=self._hashing_threads(),
        )
        factories: dict[str, Any] = {}
        self._undo.push_async_callback(self._see_off, factories)
        for listener, endpoint in self._endpoints:
            name = listener.protocol.name
            tls = certificate.speaking(listener.protocol.alpn)
            if name not in factories:
                factories[name] = listener.protocol.make(
                    Parts(portal, store.delivery, tls, self._reactor, settings, self._policies)
                )
            forget_dead(listener.endpoint)
            try:
                port = await endpoint.listen(self._stacked(listener, factories[name], tls))
            except (CannotListenError, OSError, OverflowError) as error:
                raise Fault(cannot_listen(listener, _explained(listener, error))) from error
            self.ports.append(port)
            self._undo.push_async_callback(_call, port.stopListening)
            log.info(
                "{title}{tls}{proxied} on {address}",
                title=listener.protocol.title,
                tls=" with TLS" if listener.tls else "",
                proxied=" behind a proxy" if listener.proxied else "",
                address=address(port.getHost()),
            )

    def _hashing_threads(self) -> ThreadPool:
        """For Argon2 alone: a thread that has hashed keeps the memory it took."""
        pool = ThreadPool(0, self._settings.limits.hashing_threads, "hashing")
        pool.start()
        self._undo.callback(pool.stop)
        return pool

    def _verified(self) -> Any:
        settings = self._settings
        if not settings.auth_cache:
            return None
        from twisted_duck.auth.verified import VerifiedPasswords

        verified = VerifiedPasswords(self._reactor, settings.auth_cache, settings.limits)
        self._undo.callback(verified.clear)
        return verified

    def _stacked(self, listener: Listener, factory: Any, tls: ServerTLS) -> Any:
        """In the order in which the bytes are read: the proxy's header, TLS, the guard that the factory has inside."""
        if listener.tls:
            factory = TLSMemoryBIOFactory(tls, False, factory)
            # What is said comes in large pieces already; to collect it once more costs a turn of the reactor.
            factory.protocol = TLSMemoryBIOProtocol
            factory.noisy = False
        if listener.proxied:
            settings = self._settings
            factory = ProxyFactory(
                factory, settings.proxy_networks, limits=settings.limits, clock=self._reactor
            )
            self._proxies.append(factory)
        return factory

    async def _see_off(self, factories: dict[str, Any]) -> None:
        """All at once; each bounds it, by `limits.shut_down` and `limits.on_close`."""
        await DeferredList([factory.shutDown() for factory in factories.values()])

    # --- SIGHUP -------------------------------------------------------------------------------------------------------

    def hung_up(self) -> None:
        assert self._starting is not None
        # While it starts, the file may have been read already.
        self._starting.addCallback(lambda _: self.reload())
        # Whatever comes of this one, the next one is heard.
        self._starting.addErrback(
            lambda failure: log.failure("not everything was reloaded: a fault of ours", failure)
        )

    def reload(self) -> None:
        """Read the configuration again, and do what has changed as far as that can be done now."""
        if not self.running or self._certificate is None or self._parts is None:
            return
        try:
            settings = self._reread()
            if self._proxies and not settings.proxy_networks:
                raise Fault("proxy.networks is not set, and there are endpoints for proxies")
            certificate = self._read_certificate(settings)
            made = make_policies(settings.policies, self._parts, self._made)
        except Fault as fault:
            log.error("nothing was reloaded: {fault}", fault=fault)
            return
        except Exception:  # noqa: BLE001 - one who is served does not pay for it
            log.failure("nothing was reloaded: a fault of ours")
            return
        self._certificate.become(certificate)
        self._use(made)
        for proxy in self._proxies:
            proxy.trust(settings.proxy_networks)
        policies = "1 policy" if len(made) == 1 else f"{len(made)} policies"
        log.info("reloaded: certificate, {policies}, networks of proxies", policies=policies)
        if names := _restart_for(self._settings, settings):
            log.warn("reloaded, but for what has changed of {names}: start it again", names=names)


def _restart_for(before: Settings, now: Settings) -> str:
    return ", ".join(
        field.name.replace("_", " ")
        for field in attrs.fields(Settings)
        if field.name not in _RELOADED and getattr(before, field.name) != getattr(now, field.name)
    )


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


def _explained(listener: Listener, error: Exception) -> Exception:
    """What came of listening, for a person: of a UNIX socket Twisted has no words, and the system half of them."""
    reason = getattr(error, "socketError", error)
    if listener.endpoint.startswith("unix:"):
        if isinstance(reason, str):
            return Fault("something listens there already")
        if isinstance(reason, FileNotFoundError):
            # Of the link that Twisted makes beside it.
            missing = os.path.dirname(os.fsdecode(reason.filename2 or b""))
            return Fault(f"there is no directory {missing or 'for it'}")
    return error


def address(host: Any) -> str:
    """An address as people write it."""
    if hasattr(host, "port"):
        name = f"[{host.host}]" if ":" in host.host else host.host
        return f"{name}:{host.port}"
    return os.fsdecode(host.name)
