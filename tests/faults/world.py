"""A database behind a `Proxy`, the users in it, and what there is of their mail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from copy import copy
from itertools import count
from typing import Any

from bson.objectid import ObjectId
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests import mongo
from tests.faults.proxy import Fault, Proxy
from twisted_duck import errors
from twisted_duck.addresses import form_of_name
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.addresses import address_document
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.connection import Mongo, Times
from twisted_duck.store.schema import ADDRESSES, OF_A_USER, USERS
from twisted_duck.store.store import MailStore
from twisted_duck.store.sweeps import load, swept
from twisted_duck.values import AppendMessage

#: An outage is over much sooner, and is one much sooner.
SHORT = Times(
    command=0.4, transaction=0.4, settle=0.4, turn=1.0, patience=0.1, idle=0.3, closing=0.4
)
#: Time enough to go on after a fault.
PATIENT = Times(patience=0.1, idle=0.5)

Document = dict[str, Any]
#: What there is of one user: the same for two users with the same mail.
State = dict[str, Any]


def message(number: int) -> bytes:
    """Each has a size of its own."""
    return b"Subject: message %d\r\n\r\n%b\r\n" % (number, b"x" * number)


class Template:
    """A user's documents."""

    def __init__(self, documents: dict[str, list[Document]]) -> None:
        self._documents = documents

    @classmethod
    async def of(cls, mongo: Mongo, user: str) -> Template:
        found = await mongo.find("users", {"name": user})
        documents = {"users": found}
        for collection in sorted(OF_A_USER | {ADDRESSES}):
            documents[collection] = await mongo.find(collection, {"user": found[0]["_id"]})
        return cls(documents)

    async def copy(self, mongo: Mongo, names: Iterable[str]) -> None:
        copies: dict[str, list[Document]] = {name: [] for name in self._documents}
        for name in names:
            ids: defaultdict[ObjectId, ObjectId] = defaultdict(ObjectId)
            for collection, documents in self._documents.items():
                for document in documents:
                    new = {
                        key: ids[value] if isinstance(value, ObjectId) else value
                        for key, value in document.items()
                    }
                    if collection == USERS:
                        new["name"] = name
                    elif collection == ADDRESSES:
                        new = address_document(form_of_name(name), new["user"])
                    copies[collection].append(new)
        for collection, documents in copies.items():
            if documents:
                concern = {"w": "majority"}
                await mongo.run(
                    {"insert": collection, "documents": documents, "writeConcern": concern}
                )


class World:
    """A store behind a proxy, and one that is not."""

    def __init__(self, case: TestCase, uri: str, home: MailStore) -> None:
        self.case = case
        self._uri = uri
        #: Has a way of its own to the database.
        self.home = home
        #: What is tested: all that it says to the database goes through the proxy.
        self.store: MailStore
        self.proxy: Proxy
        self._templates: dict[object, tuple[Template, list[str]]] = {}
        self._numbers = count(1)

    @classmethod
    async def make(
        cls, case: TestCase, times: Times = PATIENT, limits: Limits | None = None
    ) -> World:
        """@param times: of the store while there is a fault"""
        uri = await mongo.database(case)
        home = MailStore(uri, limits=limits, times=PATIENT)
        await home.open()
        case.addCleanup(home.close)
        self = cls(case, uri, home)
        self._times = times
        await self._enter()
        return self

    async def another(self) -> World:
        """Another store, behind another proxy, on the same database."""
        other = copy(self)
        await other._enter()
        return other

    async def _enter(self) -> None:
        self.proxy = await Proxy.before(self.case, self._uri)
        self.store = MailStore(
            f"{self.proxy.uri}&maxPoolSize=3", limits=self.home.limits, times=PATIENT
        )
        await self.store.open()
        self.case.addCleanup(self.store.close)
        self.case.addCleanup(self.at_rest)

    def arm(self, fault: Fault) -> None:
        self.store.mongo.times = self._times
        self.proxy.arm(fault)

    async def disarm(self) -> bool:
        """All is well again; whether the fault struck."""
        hit = self.proxy.disarm()
        self.store.mongo.times = PATIENT
        if hit:
            await self.recovered()
        return hit

    # --- users --------------------------------------------------------------------------------------------------------

    async def user(self, *messages: bytes, flags: Sequence[str] = ()) -> str:
        """A new one, with these in INBOX."""
        name = f"u{next(self._numbers):06}@example.org"
        await self.home.users.add(name, None)
        if messages:
            await self.put(name, "INBOX", *messages, flags=flags)
        return name

    async def like(self, make: Callable[[World], Awaitable[str]]) -> str:
        """A user who has what the one has that `make` makes; he is made once, and copied."""
        if make not in self._templates:
            template = await Template.of(self.home.mongo, await make(self))
            self._templates.setdefault(make, (template, []))
        template, names = self._templates[make]
        if not names:
            more = [f"u{next(self._numbers):06}@example.org" for _ in range(20)]
            await template.copy(self.home.mongo, more)
            names += more
        return names.pop()

    async def put(
        self, user: str, mailbox: str, *messages: bytes, flags: Sequence[str] = ()
    ) -> None:
        account = await self.account(user)
        await account.append(
            mailbox, [AppendMessage(Spool.of(each), frozenset(flags)) for each in messages]
        )

    async def account(self, user: str) -> StoreAccount:
        return await self.home.account(user)

    # --- what there is ------------------------------------------------------------------------------------------------

    async def state(self, user: str) -> State | None:
        """None if there is no such user."""
        mongo = self.home.mongo
        found = await mongo.find_one("users", {"name": user})
        if found is None:
            return None
        mine = {"user": found["_id"]}
        messages: dict[Any, list[Any]] = {}
        fields = dict.fromkeys(("box", "uid", "modseq", "flags", "size", "body"), 1)
        bodies = {each["_id"] for each in await mongo.find("bodies", mine, projection={"_id": 1})}
        found_mailboxes = await mongo.find("mailboxes", mine)
        sweeps = {each["box"]: load(each) for each in found_mailboxes}
        rows = await mongo.find("messages", mine, projection=fields, sort={"uid": 1})
        for [row] in (swept([row], sweeps.get(row["box"], ())) for row in rows):
            entry = (row["uid"], row["modseq"], sorted(row["flags"]), row["size"])
            messages.setdefault(row["box"], []).append((*entry, row["body"] in bodies))
        gone: dict[Any, list[Any]] = {}
        for tomb in await mongo.find("tombstones", mine, sort={"modseq": 1}):
            gone.setdefault(tomb["mailbox"], []).append((tomb["modseq"], tomb["uids"]))
        mailboxes = {
            each["path"]: (
                each["uidnext"],
                each["modseq"],
                [each[count] for count in ("messages", "unseen", "deleted", "bytes")],
                messages.get(each["box"], []),
                gone.get(each["_id"], []),
                len(each.get("sweeps", ())),
            )
            for each in found_mailboxes
        }
        subscribed = sorted(each["path"] for each in await mongo.find("subscriptions", mine))
        addresses = len(await mongo.find("addresses", mine))
        return {
            "used": found["used"],
            "mailboxes": mailboxes,
            "subscriptions": subscribed,
            "addresses": addresses,
        }

    async def findings(self) -> list[Finding]:
        """What `duckmail check` finds, but for what will be collected."""
        return [
            found
            async for found in check(self.home.mongo)
            if isinstance(found, Finding) and not found.garbage
        ]

    async def recovered(self) -> None:
        """Until the store reaches its database again."""
        for _ in range(500):
            try:
                await self.store.mongo.run({"ping": 1})
                return
            except errors.Unavailable:
                await self.pause(0.01)
        self.case.fail("the store does not find its database again")

    async def at_rest(self) -> None:
        """Until no transaction has locks any more: nobody could drop the database."""
        while self.store.mongo._transactions.leaving:
            await self.pause(0.01)

    async def pause(self, seconds: float) -> None:
        await deferLater(reactor, seconds)  # type: ignore[arg-type]
