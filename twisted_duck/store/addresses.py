"""Whose mail is for whom: addresses, catch-alls, and domains that are aliases.

How they are compared, and which one wins, is told in `twisted_duck.addresses`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence

from bson.objectid import ObjectId

from twisted_duck import errors
from twisted_duck.addresses import (
    AddressRules,
    Candidate,
    Form,
    Owners,
    Wanted,
    compared,
    domain_form,
    form,
    form_of_name,
)
from twisted_duck.limits import Limits
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import ADDRESSES, DOMAINS, USERS
from twisted_duck.store.together import Together
from twisted_duck.store.transaction import MAJORITY, Transaction

#: As it was given, and how it is read.
_Address = tuple[str, str | None, AddressRules]

#: Of a user, what has to be known before mail is taken.
_OF_A_USER = dict.fromkeys(("name", "disabled", "used", "quota"), 1)
#: Documents that are read at a time.
_AT_ONCE = 1_000
#: Seconds for which an owner is known: mail that comes within them after an address has changed might have come before.
_MOMENT = 1.0


def address_document(form: Form, user: ObjectId) -> Document:
    return {"_id": form.key, "dotless": form.dotless, "user": user}


class Addresses:
    """Everything fails with Unavailable; names and addresses may be given in any spelling."""

    def __init__(self, mongo: Mongo, limits: Limits) -> None:
        self._mongo = mongo
        self._owners = Together(self._of_all, limits.resolved_at_once, mongo.reactor)
        self._most = limits.owners_remembered
        #: Whose addresses were asked for since `_since`.  A new one takes its place, and no answer to an earlier question is in that.
        self._lately: dict[_Address, Document] = {}
        self._since = 0.0

    async def owner(self, local: str, domain: str | None, rules: AddressRules) -> Document | None:
        """Whose mail to `local@domain` is: the user's `_id` and `_OF_A_USER`; None if it is nobody's.

        This is asked for each recipient of each message; those that are asked for at the same time cost little more than one.
        """
        wanted = Wanted.of(local, domain, rules)
        if wanted is None:
            return None
        lately = self._remembered()
        found = await self._owners.ask(wanted)
        # Those that are asked for at the same time may be more than there is room for.
        if found is not None and len(lately) < self._most:
            lately[local, domain, rules] = found
        return found

    def known_owner(self, local: str, domain: str | None, rules: AddressRules) -> Document | None:
        """What `owner` said within the last moment, where that was somebody."""
        return self._remembered().get((local, domain, rules))

    def forget_owners(self) -> None:
        """Addresses or users were changed by this process: what `owner` said before is said no more."""
        self._lately = {}

    def _remembered(self) -> dict[_Address, Document]:
        now = self._mongo.reactor.seconds()
        # A clock may be set back.
        if not 0 <= now - self._since < _MOMENT or len(self._lately) >= self._most:
            self._lately, self._since = {}, now
        return self._lately

    async def _of_all(self, asked: Sequence[Wanted]) -> list[Document | None]:
        wanted = [each.candidates() for each in asked]
        domains = {each.domain for each in asked if each.domain is not None}
        there, targets = await self._there(wanted, domains)
        if targets:
            wanted = [each.candidates(targets.get(each.domain)) for each in asked]
            there, _ = await self._there(wanted, ())
        owners = Owners((Form(each["_id"], each["dotless"]), each["user"]) for each in there)
        chosen = [owners.choose(each) for each in wanted]
        users = await self._users({user for user in chosen if user is not None})
        return [users.get(user) for user in chosen]

    async def _there(
        self, wanted: Iterable[Iterable[Candidate]], domains: Collection[str]
    ) -> tuple[list[Document], dict[str | None, str]]:
        """The addresses that there are of those wanted, and what those of the domains that are aliases are aliases of."""
        exact: set[str] = set()
        dotless: set[str] = set()
        for several in wanted:
            for each in several:
                (dotless if each.dotless else exact).add(each.key)
        if not exact:
            return [], {}
        places: list[Document] = [{"_id": {"$in": list(exact)}}]
        if dotless:
            places.append({"dotless": {"$in": list(dotless)}})
        pipeline: list[Document] = [{"$match": {"$or": places}}]
        if domains:
            aliases = [{"$match": {"_id": {"$in": list(domains)}}}]
            pipeline.append({"$unionWith": {"coll": DOMAINS, "pipeline": aliases}})
        found = await self._mongo.aggregate(ADDRESSES, pipeline)
        targets = {each["_id"]: each["target"] for each in found if "target" in each}
        return [each for each in found if "user" in each], targets

    async def _users(self, ids: Collection[ObjectId]) -> dict[ObjectId | None, Document]:
        """`_OF_A_USER` of each that there is.  To have them joined to their addresses takes the database several times as long."""
        if not ids:
            return {}
        found = await self._mongo.find(USERS, {"_id": {"$in": list(ids)}}, projection=_OF_A_USER)
        return {each["_id"]: each for each in found}

    # --- addresses ----------------------------------------------------------------------------------------------------

    async def add(self, name: str, address: str) -> str:
        """Give a user one more address, or `*@domain`, all of a domain that is nobody else's; its compared form.

        Fails with Cannot, NonExistent (the user), AlreadyExists.
        """
        new = form(address)
        kept = compared(name)

        async def work(transaction: Transaction) -> None:
            # A change of the user's document conflicts with its deletion.
            user = await transaction.change(USERS, {"name": kept}, {"$inc": {"epoch": 1}})
            if user is None:
                raise errors.NonExistent(f"there is no user {name!r}")
            await transaction.insert(ADDRESSES, [address_document(new, user["_id"])])

        try:
            await self._mongo.transaction(work)
        except errors.AlreadyExists:
            whose = await self._owner_name(new.key)
            raise errors.AlreadyExists(f"the address {new.key!r} is {whose}'s already") from None
        self.forget_owners()
        return new.key

    async def _owner_name(self, key: str) -> str:
        """For whom looks after them; by now it may be nobody's."""
        found = await self._mongo.find_one(ADDRESSES, {"_id": key})
        user = found and await self._mongo.find_one(
            USERS, {"_id": found["user"]}, projection={"name": 1}
        )
        return str(user["name"]) if user else "somebody"

    async def remove(self, address: str) -> str:
        """Take an address away, though not the one that is the user's name; its compared form.

        Fails with Cannot, NonExistent.
        """
        key = form(address).key
        found = await self._mongo.find_one(ADDRESSES, {"_id": key})
        if found is None:
            raise errors.NonExistent(f"the address {key!r} is nobody's")
        user = await self._mongo.find_one(USERS, {"_id": found["user"]}, projection={"name": 1})
        if user is not None and form_of_name(user["name"]).key == key:
            raise errors.Cannot(f"{key!r} is the name of the user: it goes with the user")
        await self._delete(ADDRESSES, {"_id": key, "user": found["user"]})
        return key

    async def all(self, name: str | None = None) -> AsyncIterator[tuple[str, str]]:
        """Each address with the name of its user, in the order of the addresses; of one user, or of all.

        Fails with NonExistent.
        """
        filter: Document = {}
        if name is not None:
            user = await self._mongo.find_one(
                USERS, {"name": compared(name)}, projection={"_id": 1}
            )
            if user is None:
                raise errors.NonExistent(f"there is no user {name!r}")
            filter = {"user": user["_id"]}
        async for batch in self._mongo.batches(
            ADDRESSES, filter, sort={"_id": 1}, batchSize=_AT_ONCE
        ):
            ids = list({each["user"] for each in batch})
            users = await self._mongo.find(USERS, {"_id": {"$in": ids}}, projection={"name": 1})
            names = {user["_id"]: user["name"] for user in users}
            for each in batch:
                if each["user"] in names:
                    yield each["_id"], names[each["user"]]

    # --- domains ------------------------------------------------------------------------------------------------------

    async def add_alias(self, alias: str, domain: str) -> tuple[str, str]:
        """From now on mail to `alias` is mail to `domain`; both in their compared forms.

        Fails with Cannot (not a domain, both are the same, `domain` is an alias itself), AlreadyExists (`alias` is an
        alias of another domain).
        """
        source, target = domain_form(alias), domain_form(domain)
        if source == target:
            raise errors.Cannot("a domain can't be an alias of itself")
        if await self._mongo.find_one(DOMAINS, {"_id": target}) is not None:
            raise errors.Cannot(
                f"{target!r} is an alias itself: name the domain that it stands for"
            )
        try:
            await self._mongo.run(
                {
                    "insert": DOMAINS,
                    "documents": [{"_id": source, "target": target}],
                    "writeConcern": MAJORITY,
                }
            )
        except errors.AlreadyExists:
            # By this very command, perhaps, if it had to be sent again.
            found = await self._mongo.find_one(DOMAINS, {"_id": source})
            if found is not None and found["target"] != target:
                raise errors.AlreadyExists(
                    f"{source!r} is an alias of {found['target']!r} already"
                ) from None
        self.forget_owners()
        return source, target

    async def remove_alias(self, alias: str) -> str:
        """Its compared form.  Fails with Cannot, NonExistent."""
        source = domain_form(alias)
        if await self._mongo.find_one(DOMAINS, {"_id": source}) is None:
            raise errors.NonExistent(f"{source!r} is no alias")
        await self._delete(DOMAINS, {"_id": source})
        return source

    async def aliases(self) -> AsyncIterator[tuple[str, str]]:
        """Each alias with the domain that it stands for, in the order of the aliases."""
        async for batch in self._mongo.batches(DOMAINS, {}, sort={"_id": 1}, batchSize=_AT_ONCE):
            for each in batch:
                yield each["_id"], each["target"]

    async def _delete(self, collection: str, filter: Document) -> None:
        await self._mongo.run(
            {
                "delete": collection,
                "deletes": [{"q": filter, "limit": 1}],
                "writeConcern": MAJORITY,
            }
        )
        self.forget_owners()
