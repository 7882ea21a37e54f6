"""MailStore: the storage plane as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bson.objectid import ObjectId

from twisted_duck.addresses import AddressRules
from twisted_duck.auth.interfaces import UserRecord
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.store import schema
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.accounts import Accounts, User
from twisted_duck.store.addresses import Addresses
from twisted_duck.store.bans import StoreBans
from twisted_duck.store.collector import Collector
from twisted_duck.store.connection import Mongo, Times
from twisted_duck.store.delivery import StoreDelivery
from twisted_duck.store.driver import Document
from twisted_duck.store.folding import Folder
from twisted_duck.store.migrations import Migrator
from twisted_duck.store.opened import Registry
from twisted_duck.store.rates import StoreRates
from twisted_duck.store.remembered import Memory
from twisted_duck.store.stream import ChangeStream
from twisted_duck.store.uri import parse
from twisted_duck.store.writers import Writers


class MailStore:
    """All mail in one database.

        store = MailStore("mongodb://localhost/duckmail?replicaSet=rs0")
        await store.open()
        account = await store.account("ada")     # an IAccount
        await store.users.add("bob", "password")
        await store.close()

    One object a process is meant to be enough; several processes, or objects, on one database see each other's changes.
    """

    def __init__(
        self,
        uri: str,
        database: str | None = None,
        *,
        reactor: Any = None,
        limits: Limits | None = None,
        times: Times | None = None,
        on_command: Callable[[str, Document], None] | None = None,
    ) -> None:
        """Raises BadURI.  `on_command` is called with the database and each command that is sent."""
        if reactor is None:
            from twisted.internet import reactor
        self.limits = limits or DEFAULTS
        self._mongo = Mongo(
            parse(uri, database), reactor, times=times or Times(), on_command=on_command
        )
        memory = Memory(self.limits.message_cache)
        self._registry = Registry(self._mongo, self.limits.index_cache, memory)
        self._writers = Writers(self._mongo, self._registry, self.limits)
        self._stream = ChangeStream(self._mongo, self._registry)
        expunges = timedelta(days=self.limits.tombstone_days)
        self.collector = Collector(self._mongo, memory=expunges)
        self.folder = Folder(
            self._mongo,
            lambda user: self._writers.of(user).turn(),
            self.limits.sweep_rest,
            # While these are folded, as many may come.
            max(2, self.limits.sweeps // 2),
        )
        self.migrator = Migrator(self._mongo)
        self.addresses = Addresses(self._mongo, self.limits)
        self.users = Accounts(
            self._mongo, removed=self._removed, changed=self.addresses.forget_owners
        )
        #: What the policies of all processes share: IBans and IRates of `twisted_duck.interfaces`.
        self.bans = StoreBans(self._mongo, self.limits)
        self.rates = StoreRates(self._mongo, self.limits)

    @property
    def mongo(self) -> Mongo:
        """For the checker, and for tests."""
        return self._mongo

    async def open(self) -> None:
        """Connect, look whether mail can be kept there, create what is missing.

        Fails with Unavailable, whose message is one line that says what to do.
        """
        await self._mongo.open()
        self.collector.open()
        self.folder.open()
        try:
            await schema.ensure(self._mongo)
            await self._stream.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Give everything back.  Changes that are being made are waited for, a few seconds; all else that is under way
        fails with Unavailable.
        """
        await self._stream.close()
        await self.collector.close()
        await self.folder.close()
        await self.migrator.close()
        await self._mongo.close()

    @property
    def directory(self) -> Accounts:
        """Who may log in: an L{twisted_duck.auth.IUserDirectory}."""
        return self.users

    async def add_user(self, name: str, password: str) -> None:
        """A new user with the default mailboxes.  Fails with AlreadyExists, Cannot."""
        await self.users.add(name, password)

    async def account(self, name: str) -> StoreAccount:
        """The mail of a user who was authenticated.  Fails with NonExistent."""
        return self._account(await self.users.get(name))

    def account_of(self, record: UserRecord) -> StoreAccount:
        """The same for one whom `directory` has found just now; asks nobody."""
        return self._account(record)

    def _account(self, user: User | UserRecord) -> StoreAccount:
        return StoreAccount(
            self._mongo,
            self._registry,
            self._writers.of(user.id),
            user.name,
            self.limits,
            self.collector.discard,
            self.folder,
        )

    def delivery(self, rules: AddressRules | None = None) -> StoreDelivery:
        """An L{twisted_duck.interfaces.IDelivery} to all users."""
        rules = rules or AddressRules()
        return StoreDelivery(self._mongo, self._writers, self.addresses, rules, self.limits)

    def _removed(self, user: ObjectId) -> None:
        self._registry.forget_user(user)


async def open_store(reactor: Any, uri: str, limits: Limits) -> MailStore:
    """What a server serves: a store that is open, looks after its own garbage, and brings old data up to date.

    Fails with Unavailable.
    """
    store = MailStore(uri, reactor=reactor, limits=limits)
    await store.open()
    store.collector.start()
    store.migrator.start()
    return store
