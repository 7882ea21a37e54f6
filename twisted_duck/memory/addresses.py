"""Whose mail is for whom, in memory: what `twisted_duck.store.addresses` does in a database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from twisted_duck.addresses import (
    AddressRules,
    Form,
    Owners,
    Wanted,
    domain_form,
    form,
    form_of_name,
)
from twisted_duck.errors import AlreadyExists, Cannot, NonExistent
from twisted_duck.memory.model import User


class MemoryAddresses:
    """@param users: the users there are, by name"""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = users
        self._addresses: dict[str, tuple[Form, str]] = {}
        self._aliases: dict[str, str] = {}

    def find(self, local: str, domain: str | None, rules: AddressRules) -> User | None:
        """Whose mail to `local@domain` is; None if it is nobody's."""
        wanted = Wanted.of(local, domain, rules)
        if wanted is None:
            return None
        candidates = wanted.candidates(self._aliases.get(wanted.domain or ""))
        name = Owners(self._addresses.values()).choose(candidates)
        return None if name is None else self._users[name]

    def claim(self, new: Form, name: str) -> None:
        """Raises AlreadyExists."""
        if new.key in self._addresses:
            raise AlreadyExists(f"the address {new.key!r} is somebody's already")
        self._addresses[new.key] = new, name

    async def add(self, name: str, address: str) -> str:
        new = form(address)
        self._check_user(name)
        self.claim(new, name)
        return new.key

    async def remove(self, address: str) -> str:
        key = form(address).key
        if key not in self._addresses:
            raise NonExistent(f"the address {key!r} is nobody's")
        if form_of_name(self._addresses[key][1]).key == key:
            raise Cannot(f"{key!r} is the name of the user: it goes with the user")
        del self._addresses[key]
        return key

    async def all(self, name: str | None = None) -> AsyncIterator[tuple[str, str]]:
        if name is not None:
            self._check_user(name)
        for key, (_, owner) in sorted(self._addresses.items()):
            if name in (None, owner):
                yield key, owner

    async def add_alias(self, alias: str, domain: str) -> tuple[str, str]:
        source, target = domain_form(alias), domain_form(domain)
        if source == target:
            raise Cannot("a domain can't be an alias of itself")
        if target in self._aliases:
            raise Cannot(f"{target!r} is an alias itself: name the domain that it stands for")
        if self._aliases.setdefault(source, target) != target:
            raise AlreadyExists(f"{source!r} is an alias of {self._aliases[source]!r} already")
        return source, target

    async def remove_alias(self, alias: str) -> str:
        source = domain_form(alias)
        if self._aliases.pop(source, None) is None:
            raise NonExistent(f"{source!r} is no alias")
        return source

    async def aliases(self) -> AsyncIterator[tuple[str, str]]:
        for each in sorted(self._aliases.items()):
            yield each

    def _check_user(self, name: str) -> None:
        if name not in self._users:
            raise NonExistent(f"there is no user {name!r}")
