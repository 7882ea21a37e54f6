"""Users: what an administrator does with them, and what logging in needs to know (`IUserDirectory`).

Queries of `users` and `addresses` name no user: these collections are how users are found.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from hmac import digest
from typing import Any

import attrs
from bson.objectid import ObjectId
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.addresses import LONGEST, compared, form_of_name
from twisted_duck.auth.interfaces import IScramDirectory, UserRecord
from twisted_duck.auth.passwords import hash_password
from twisted_duck.auth.verifiers import make_verifiers
from twisted_duck.names import DEFAULT_MAILBOXES
from twisted_duck.store.addresses import address_document
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.hierarchy import default_mailboxes, renew
from twisted_duck.store.schema import (
    ADDRESSES,
    MAILBOXES,
    OF_A_USER,
    SCHEMA,
    SUBSCRIPTIONS,
    USERS,
)
from twisted_duck.store.transaction import MAJORITY, Transaction

#: Documents of a deleted user that are removed at a time.
_AT_ONCE = 1_000

log = Logger()


@attrs.frozen
class User:
    """A user as administrators see one."""

    id: ObjectId
    name: str
    disabled: bool
    #: Bytes that the user's mail takes, and may take (None: as many as there are).
    used: int
    quota: int | None
    created: datetime

    @classmethod
    def of(cls, document: Document) -> User:
        return cls(
            document["_id"],
            document["name"],
            document["disabled"],
            document["used"],
            document.get("quota"),
            document["created"],
        )


@implementer(IScramDirectory)
class Accounts:
    """The users of one store.  Everything fails with Unavailable, and with NonExistent where there is no such user."""

    def __init__(
        self,
        mongo: Mongo,
        *,
        removed: Callable[[ObjectId], None],
        changed: Callable[[], None],
    ) -> None:
        """
        @param removed: called with the user that was deleted
        @param changed: called when there is another user, or the document of one has changed
        """
        self._mongo = mongo
        self._removed = removed
        self._changed = changed
        #: What is kept for SCRAM of a password that is set, scheme -> count (`auth.verifiers.ITERATIONS`); None: nothing.
        self.scram: Mapping[str, int] | None = None
        #: What salts of users who do not exist are made from; None as long as nobody asked.
        self._secret: bytes | None = None

    # --- IScramDirectory ----------------------------------------------------------------------------------------------

    async def find(self, name: str) -> UserRecord | None:
        found = await self._document(name)
        if found is None:
            return None
        return UserRecord(
            found["_id"],
            found["name"],
            found.get("password"),
            found["disabled"],
            tuple(found.get("scram", ())),
        )

    async def replace_hash(self, record: UserRecord, password_hash: str) -> None:
        await self._update(
            {"_id": record.id, "password": record.password_hash}, {"password": password_hash}
        )

    async def replace_verifiers(self, record: UserRecord, verifiers: tuple[str, ...]) -> None:
        await self._update(
            {"_id": record.id, "password": record.password_hash}, {"scram": list(verifiers)}
        )

    async def seed(self, name: str) -> bytes:
        if self._secret is None:
            self._secret = await self._shared_secret()
        return digest(self._secret, (compared(name) or name).encode("utf-8", "replace"), "sha256")

    async def _shared_secret(self) -> bytes:
        """Made by whichever process is the first one to ask."""
        answer = await self._mongo.run(
            {
                "findAndModify": SCHEMA,
                "query": {"_id": "scram"},
                "update": {"$setOnInsert": {"secret": os.urandom(32)}},
                "upsert": True,
                "new": True,
                "writeConcern": MAJORITY,
            }
        )
        return bytes(answer["value"]["secret"])

    # --- administration -----------------------------------------------------------------------------------------------

    async def add(self, name: str, password: str | None, quota: int | None = None) -> User:
        """A new user, with the default mailboxes; without a password nobody can log in by one.

        @param quota: bytes
        Fails with AlreadyExists, and with Cannot for what is no name.
        """
        kept = compared(name)
        if kept is None:
            raise errors.Cannot(
                f"a user's name has 1 to {LONGEST} bytes, no spaces and no control characters"
            )
        kept_of_it = {} if password is None else await self._kept(password)
        user = ObjectId()
        now = datetime.now(UTC)
        latest = int(now.timestamp()) + len(DEFAULT_MAILBOXES)
        document: Document = {
            "_id": user,
            "name": kept,
            "disabled": False,
            "used": 0,
            "uidvalidity": latest,
            "epoch": 0,
            # Milliseconds are what is kept.
            "created": now.replace(microsecond=0),
            **kept_of_it,
            **({} if quota is None else {"quota": quota}),
        }

        async def work(transaction: Transaction) -> None:
            await transaction.insert(USERS, [document])
            await transaction.insert(ADDRESSES, [address_document(form_of_name(name), user)])
            await transaction.insert(MAILBOXES, default_mailboxes(user, latest))
            await transaction.insert(
                SUBSCRIPTIONS, [{"user": user, "path": path} for path in DEFAULT_MAILBOXES]
            )

        try:
            await self._mongo.transaction(work)
        except errors.AlreadyExists:
            raise errors.AlreadyExists(
                f"there is a user {kept!r} already, or a user with that address"
            ) from None
        # Mail to that name may have been somebody else's: of a catch-all, or without its dots.
        self._changed()
        return User.of(document)

    async def get(self, name: str) -> User:
        found = await self._document(name)
        if found is None:
            raise _no_such_user(name)
        return User.of(found)

    async def all(self) -> AsyncIterator[User]:
        """All users, by name."""
        async for batch in self._mongo.batches(
            USERS, {}, sort={"name": 1}, projection={"password": 0, "scram": 0}, batchSize=_AT_ONCE
        ):
            for document in batch:
                yield User.of(document)

    async def set_password(self, name: str, password: str) -> None:
        user = await self.get(name)
        kept = await self._kept(password)
        # Nothing of the old one may stay.
        gone = {"scram": ""} if "scram" not in kept else {}
        await self._update({"_id": user.id}, kept, gone)

    async def set_disabled(self, name: str, disabled: bool) -> None:
        """A disabled user can't log in; mail and sessions stay."""
        user = await self.get(name)
        await self._update({"_id": user.id}, {"disabled": disabled})

    async def set_quota(self, name: str, quota: int | None) -> None:
        """In bytes; None lifts it."""
        user = await self.get(name)
        await self._update({"_id": user.id}, {"quota": quota})

    async def renew_mailboxes(self, name: str) -> int:
        """New UIDVALIDITYs for all the user's mailboxes: mail programs load them anew.  How many they are."""
        return await renew(self._mongo, (await self.get(name)).id)

    async def delete(self, name: str) -> None:
        """The user and all the user's mail.  Attachments that nobody else has are collected later."""
        user = (await self.get(name)).id

        async def work(transaction: Transaction) -> None:
            await transaction.delete(USERS, [{"_id": user}])
            await transaction.delete(ADDRESSES, [{"user": user}])
            await transaction.delete(MAILBOXES, [{"user": user}])
            await transaction.delete(SUBSCRIPTIONS, [{"user": user}])

        await self._mongo.transaction(work)
        self._changed()
        self._removed(user)
        try:
            await erase(self._mongo, user)
        except errors.ServerError as error:
            log.info(
                "mail of a user who is deleted is left to the collector: {error}", error=str(error)
            )

    # --- what they share ----------------------------------------------------------------------------------------------

    async def _document(self, name: str) -> Document | None:
        kept = compared(name)
        return None if kept is None else await self._mongo.find_one(USERS, {"name": kept})

    async def _update(
        self, filter: Document, fields: Document, gone: Mapping[str, str] | None = None
    ) -> None:
        change = {"$set": fields, **({"$unset": dict(gone)} if gone else {})}
        await self._mongo.run(
            {
                "update": USERS,
                "updates": [{"q": filter, "u": change}],
                "writeConcern": MAJORITY,
            }
        )
        self._changed()

    async def _kept(self, password: str) -> Document:
        """What a user's document has of a password."""
        reactor: Any = self._mongo.reactor
        return await deferToThreadPool(
            reactor, reactor.getThreadPool(), _kept_of, password, self.scram
        )


def _kept_of(password: str, scram: Mapping[str, int] | None) -> Document:
    """Takes its time."""
    verifiers = make_verifiers(password, scram) if scram is not None else ()
    return {
        "password": hash_password(password),
        **({"scram": list(verifiers)} if verifiers else {}),
    }


def _no_such_user(name: str) -> errors.NonExistent:
    return errors.NonExistent(f"there is no user {name!r}")


async def erase(mongo: Mongo, user: ObjectId) -> None:
    """Remove what there still is of a user who does not exist any more."""
    for collection in sorted(OF_A_USER):
        while True:
            some = await mongo.find(
                collection,
                {"user": user},
                projection={"_id": 1},
                limit=_AT_ONCE,
                batchSize=_AT_ONCE,
            )
            if not some:
                break
            ids = [each["_id"] for each in some]
            await mongo.run(
                {
                    "delete": collection,
                    "deletes": [{"q": {"user": user, "_id": {"$in": ids}}, "limit": 0}],
                    "writeConcern": MAJORITY,
                }
            )
