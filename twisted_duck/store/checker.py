"""Walks the store and tells what breaks its invariants (those of the package's docstring, and of `schema`).

It may run while the store is in use: what has to agree is read in one snapshot, so a change that is under way is seen
whole or not at all.  A repair is a transaction that looks again; it never touches what a message is, only what is counted
or derived.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import attrs
from bson.objectid import ObjectId

from twisted_duck import errors
from twisted_duck.addresses import form_of_name, without_dots
from twisted_duck.names import INBOX
from twisted_duck.store import fields, schema, sweeps
from twisted_duck.store.addresses import address_document
from twisted_duck.store.blobs import chunks_of
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.hierarchy import add_mailbox
from twisted_duck.store.rope import BlobRef, load
from twisted_duck.store.schema import (
    ADDRESSES,
    BLOBS,
    BODIES,
    INDEXES,
    MAILBOXES,
    MESSAGES,
    OF_A_USER,
    TOMBSTONES,
    USERS,
)
from twisted_duck.store.transaction import MAJORITY, Transaction
from twisted_duck.values import DELETED, SEEN, Sweep

_AT_ONCE = 1_000
_TIME = 120.0

#: What the server says of an index beside what it was told; names it may choose as it likes.
_NOT_OURS = ("v", "ns", "name", "background")

Repair = Callable[[], Awaitable[None]]


@attrs.frozen
class Finding:
    """Something that is not as it should be."""

    #: What kind of thing: the same word in every version, for scripts.
    kind: str
    #: One line: where, and what is wrong.
    text: str
    #: Harmless: nothing that is in use is affected, and the collector will remove it.
    garbage: bool = False
    repaired: bool = False


@attrs.frozen
class Progress:
    """One user was looked at."""

    user: str
    messages: int


async def check(
    mongo: Mongo, *, repair: bool = False, contents: bool = False
) -> AsyncIterator[Finding | Progress]:
    """All findings, as they are made; in between, how far it has come.

    @param repair: mend what can safely be mended
    @param contents: read every attachment and compare it with its hash, too
    """
    checker = _Checker(mongo, contents)
    async for found, mend in checker.everything():
        if isinstance(found, Progress) or mend is None or not repair:
            yield found
        else:
            await mend()
            yield attrs.evolve(found, repaired=True)


Found = tuple[Finding | Progress, Repair | None]


@attrs.define
class _Checker:
    mongo: Mongo
    contents: bool

    async def everything(self) -> AsyncIterator[Found]:
        async for found in self._schema():
            yield found
        users = [
            user
            async for batch in self.mongo.batches(USERS, {}, sort={"name": 1}, batchSize=_AT_ONCE)
            for user in batch
        ]
        async for found in self._users(users):
            yield found
        for user in users:
            messages = 0
            for mailbox in await self._mailboxes(user["_id"]):
                messages += mailbox["messages"]
                async for found in self._mailbox(user, mailbox):
                    yield found
            async for found in self._user(user):
                yield found
            async for found in self._bodies(user):
                yield found
            yield Progress(user["name"], messages), None
        async for found in self._blobs():
            yield found

    # --- the database as a whole --------------------------------------------------------------------------------------

    async def _schema(self) -> AsyncIterator[Found]:
        async def mend() -> None:
            await schema.ensure(self.mongo)

        reply = await self.mongo.run({"listCollections": 1, "nameOnly": True})
        collections = {each["name"] for each in reply["cursor"]["firstBatch"]}
        for collection, wanted in INDEXES.items():
            there: list[Document] = []
            if collection in collections:
                reply = await self.mongo.run(
                    {"listIndexes": collection, "cursor": {"batchSize": 1000}}
                )
                there = [
                    {name: value for name, value in index.items() if name not in _NOT_OURS}
                    for index in reply["cursor"]["firstBatch"]
                ]
            for index in wanted:
                if {name: value for name, value in index.items() if name != "name"} not in there:
                    yield Finding("index", f"{collection}: index {index['name']} is missing"), mend

    async def _users(self, users: Sequence[Document]) -> AsyncIterator[Found]:
        known = {user["_id"]: user["name"] for user in users}
        addresses = await self.mongo.find(ADDRESSES, {}, batchSize=_AT_ONCE)
        has_address = {address["user"] for address in addresses}
        for address in addresses:
            if address["user"] not in known:
                yield (
                    Finding("address", f"address {address['_id']!r} is of a user who is not there"),
                    self._deleting(ADDRESSES, {"_id": address["_id"]}),
                )
            elif address.get("dotless") != (dotless := without_dots(address["_id"])):
                yield (
                    Finding("address", f"address {address['_id']!r} has another one without dots"),
                    self._updating(
                        ADDRESSES, {"_id": address["_id"]}, {"$set": {"dotless": dotless}}
                    ),
                )
        for id, name in known.items():
            if id not in has_address:
                yield (
                    Finding("address", f"user {name!r} has no address"),
                    self._inserting(ADDRESSES, address_document(form_of_name(name), id)),
                )
        for collection in sorted(OF_A_USER):
            groups = await self.mongo.aggregate(
                collection, [{"$group": {"_id": "$user"}}], time=_TIME
            )
            gone = [group["_id"] for group in groups if group["_id"] not in known]
            # Whoever was added after the users were read is no finding.
            still = await self.mongo.find(USERS, {"_id": {"$in": gone}}, projection={"_id": 1})
            for user in set(gone) - {each["_id"] for each in still}:
                text = f"{collection}: documents of user {user}, who is not there"
                yield Finding("user-gone", text, garbage=True), None

    # --- one user -----------------------------------------------------------------------------------------------------

    async def _mailboxes(self, user: ObjectId) -> list[Document]:
        return (await self.mongo.snapshot(MAILBOXES, {"user": user})).documents

    async def _user(self, user: Document) -> AsyncIterator[Found]:
        id, name = user["_id"], user["name"]
        mine = await self.mongo.snapshot(MAILBOXES, {"user": id})
        now = await self.mongo.snapshot(USERS, {"_id": id}, mine.time)
        if not now.documents:
            return
        [document] = now.documents
        total = sum(mailbox["bytes"] for mailbox in mine.documents)
        if document["used"] != total:
            text = f"{name}: mail is counted as {document['used']} bytes and has {total}"
            yield Finding("used", text), self._recounting(id)
        latest = max((mailbox["uidvalidity"] for mailbox in mine.documents), default=0)
        if document["uidvalidity"] < latest:
            text = f"{name}: the latest UIDVALIDITY is {document['uidvalidity']}, a mailbox has {latest}"
            yield (
                Finding("uidvalidity", text),
                self._updating(USERS, {"_id": id}, {"$max": {"uidvalidity": latest}}),
            )
        if not any(mailbox["path"] == INBOX for mailbox in mine.documents):

            async def make_inbox() -> None:
                await add_mailbox(self.mongo, id, INBOX)

            yield Finding("inbox", f"{name}: there is no INBOX"), make_inbox
        boxes: dict[ObjectId, str] = {}
        for mailbox in mine.documents:
            other = boxes.setdefault(mailbox["box"], mailbox["path"])
            if other != mailbox["path"]:
                text = f"{name}: {other!r} and {mailbox['path']!r} have the same messages"
                yield Finding("box", text), None
        for collection, field in ((MESSAGES, "box"), (TOMBSTONES, "mailbox")):
            groups = await self.mongo.aggregate(
                collection,
                [{"$match": {"user": id}}, {"$group": {"_id": f"${field}"}}],
                readConcern={"level": "snapshot", "atClusterTime": mine.time},
                time=_TIME,
            )
            there = {mailbox[field if field == "box" else "_id"] for mailbox in mine.documents}
            for group in groups:
                if group["_id"] not in there:
                    text = f"{name}: {collection} of a mailbox that is not there"
                    yield Finding("mailbox-gone", text, garbage=True), None

    def _recounting(self, user: ObjectId) -> Repair:
        async def work(transaction: Transaction) -> None:
            mine = await transaction.find(MAILBOXES, {"user": user}, projection={"bytes": 1})
            total = sum(mailbox["bytes"] for mailbox in mine)
            update = {"$set": {"used": total}, "$inc": {"epoch": 1}}
            await transaction.update(USERS, [{"q": {"_id": user}, "u": update}])

        return lambda: self.mongo.transaction(work)

    # --- one mailbox --------------------------------------------------------------------------------------------------

    async def _mailbox(self, user: Document, mailbox: Document) -> AsyncIterator[Found]:
        where = f"{user['name']}: {mailbox['path']!r}"
        seen = await self.mongo.snapshot(
            MAILBOXES, {"user": user["_id"], "_id": mailbox["_id"]}, limit=1
        )
        if not seen.documents:
            return
        [mailbox] = seen.documents
        within = {"user": user["_id"], "box": mailbox["box"]}
        swept_by = sweeps.load(mailbox)
        found = await self.mongo.aggregate(
            MESSAGES,
            [{"$match": within}, {"$group": _counted(swept_by)}],
            readConcern={"level": "snapshot", "atClusterTime": seen.time},
            time=_TIME,
        )
        real = found[0] if found else dict.fromkeys(("_id", *_COUNTS, "uid", "modseq"), 0)
        tombstones = (
            await self.mongo.snapshot(
                TOMBSTONES,
                {"user": user["_id"], "mailbox": mailbox["_id"]},
                seen.time,
                projection={"_id": 0, "modseq": 1, "uids": 1},
            )
        ).documents
        mend = self._mending(user["_id"], mailbox["_id"])
        for name in _COUNTS:
            if mailbox[name] != real[name]:
                text = f"{where}: {name} is counted as {mailbox[name]} and is {real[name]}"
                yield Finding("counter", text), mend
        others = [each.modseq for each in swept_by] + [tomb["modseq"] for tomb in tombstones]
        latest = max([real["modseq"], *others])
        if mailbox["modseq"] < latest:
            text = f"{where}: modseq is {mailbox['modseq']}, a change has {latest}"
            yield Finding("modseq", text), mend
        used = max([real["uid"], *(last for tomb in tombstones for _, last in tomb["uids"])])
        if mailbox["uidnext"] <= used:
            yield (
                Finding("uidnext", f"{where}: UIDNEXT is {mailbox['uidnext']}, {used} was given"),
                mend,
            )
        if mailbox["recent"] > mailbox["uidnext"]:
            yield Finding("recent", f"{where}: \\Recent begins above UIDNEXT"), mend
        async for finding in self._messages(where, within, tombstones):
            yield finding

    def _mending(self, user: ObjectId, mailbox: ObjectId) -> Repair:
        """Count again.  It is a change of the mailbox, so that indexes everywhere learn of it."""

        async def work(transaction: Transaction) -> None:
            document = await transaction.find_one(MAILBOXES, {"user": user, "_id": mailbox})
            if document is None:
                return
            within = {"user": user, "box": document["box"]}
            swept_by = sweeps.load(document)
            found = await transaction.aggregate(
                MESSAGES, [{"$match": within}, {"$group": _counted(swept_by)}]
            )
            real = found[0] if found else dict.fromkeys((*_COUNTS, "uid", "modseq"), 0)
            tombstones = await transaction.find(
                TOMBSTONES, {"user": user, "mailbox": mailbox}, projection={"modseq": 1, "uids": 1}
            )
            others = [each.modseq for each in swept_by] + [t["modseq"] for t in tombstones]
            latest = max([real["modseq"], document["modseq"], *others])
            used = max([real["uid"], *(last for t in tombstones for _, last in t["uids"])])
            uidnext = max(document["uidnext"], used + 1)
            await transaction.change(
                MAILBOXES,
                {"user": user, "_id": mailbox},
                {
                    "$set": {
                        **{name: real[name] for name in _COUNTS},
                        "modseq": latest + 1,
                        "uidnext": uidnext,
                        "recent": min(document["recent"], uidnext),
                    }
                },
            )

        return lambda: self.mongo.transaction(work)

    async def _messages(
        self, where: str, within: Document, tombstones: Sequence[Document]
    ) -> AsyncIterator[Found]:
        """Each message has a body of its size, and is not buried."""
        last = 0
        while True:
            rows = await self.mongo.snapshot(
                MESSAGES,
                {**within, "uid": {"$gt": last}},
                projection={"_id": 0, "uid": 1, "modseq": 1, "body": 1, "size": 1, "thread": 1},
                sort={"uid": 1},
                limit=_AT_ONCE,
            )
            if not rows.documents:
                break
            last = rows.documents[-1]["uid"]
            bodies = await self.mongo.snapshot(
                BODIES,
                {
                    "user": within["user"],
                    "_id": {"$in": list({row["body"] for row in rows.documents})},
                },
                rows.time,
                projection={"size": 1, "thread": 1},
            )
            of_messages = {body["_id"]: body for body in bodies.documents}
            for row in rows.documents:
                body = of_messages.get(row["body"])
                if body is None:
                    yield Finding("body", f"{where}: UID {row['uid']} has no body"), None
                    continue
                if body["size"] != row["size"]:
                    text = f"{where}: UID {row['uid']} is said to have {row['size']} bytes and has {body['size']}"
                    yield Finding("size", text), None
                if body.get("thread") != row.get("thread"):
                    text = f"{where}: UID {row['uid']} is of another thread than its body"
                    yield Finding("thread", text), self._rethreading(within["user"], row)
            buried = _within(
                [row["uid"] for row in rows.documents],
                ((first, last) for tomb in tombstones for first, last in tomb["uids"]),
            )
            for uid in buried:
                yield Finding("buried", f"{where}: UID {uid} lives, and was expunged"), None

    def _rethreading(self, user: ObjectId, row: Document) -> Repair:
        """What clients were told of a message is what counts."""
        thread = row.get("thread")
        update = {"$unset": {"thread": ""}} if thread is None else {"$set": {"thread": thread}}
        return self._updating(BODIES, {"user": user, "_id": row["body"]}, update)

    # --- bodies and blobs ---------------------------------------------------------------------------------------------

    async def _bodies(self, user: Document) -> AsyncIterator[Found]:
        id = user["_id"]
        last: ObjectId | None = None
        while True:
            above = {} if last is None else {"_id": {"$gt": last}}
            # Ropes are large where their bytes are inline.
            bodies = await self.mongo.snapshot(
                BODIES,
                {"user": id, **above},
                projection={"size": 1, "rope": 1, "blobs": 1, "head": 1},
                sort={"_id": 1},
                limit=100,
            )
            if not bodies.documents:
                return
            last = bodies.documents[-1]["_id"]
            ids = [body["_id"] for body in bodies.documents]
            named = await self.mongo.aggregate(
                MESSAGES,
                [
                    {"$match": {"user": id, "body": {"$in": ids}}},
                    # Those of old have no fields, and `$addToSet` passes over what is missing.
                    {"$group": {"_id": "$body", "fields": {"$addToSet": "$fields"}}},
                ],
                readConcern={"level": "snapshot", "atClusterTime": bodies.time},
            )
            kept = {each["_id"]: each["fields"] for each in named}
            for garbage in set(ids) - kept.keys():
                text = f"{user['name']}: body {garbage} is of no message"
                yield Finding("body-unused", text, garbage=True), None
            for body in bodies.documents:
                right = fields.of(body["head"])
                if any(each != right for each in kept.get(body["_id"], ())):
                    text = (
                        f"{user['name']}: body {body['_id']} has a message with fields of another"
                    )
                    yield Finding("fields", text), self._looking_up(id, body)
                async for finding in self._body(user, body):
                    yield finding

    def _looking_up(self, user: ObjectId, body: Document) -> Repair:
        """Messages without fields are searched by their bodies."""
        filter = {"user": user, "body": body["_id"]}
        return self._updating(MESSAGES, filter, {"$unset": {"fields": ""}}, multi=True)

    async def _body(self, user: Document, body: Document) -> AsyncIterator[Found]:
        where = f"{user['name']}: body {body['_id']}"
        segments = load(body["rope"])
        length = sum(segment.length for segment in segments)
        if length != body["size"]:
            yield (
                Finding("rope", f"{where} is said to have {body['size']} bytes and has {length}"),
                None,
            )
        refs = {segment.hash: segment for segment in segments if isinstance(segment, BlobRef)}
        if set(refs) != set(body.get("blobs", ())):
            # The collector would take away what it does not find there.
            yield (
                Finding("blob-list", f"{where} does not list the blobs it is made of"),
                self._updating(
                    BODIES,
                    {"user": user["_id"], "_id": body["_id"]},
                    {"$set": {"blobs": list(refs)}},
                ),
            )
        if not refs:
            return
        chunks = await self.mongo.aggregate(
            BLOBS,
            [
                {"$match": {"hash": {"$in": list(refs)}}},
                {"$group": {"_id": "$hash", "n": {"$sum": 1}}},
            ],
        )
        there = {each["_id"]: each["n"] for each in chunks}
        for hash, ref in refs.items():
            if there.get(hash, 0) != chunks_of(ref.size):
                yield Finding("blob", f"{where}: blob {hash.hex()} is missing or cut"), None

    async def _blobs(self) -> AsyncIterator[Found]:
        last = b""
        while True:
            rows = await self.mongo.find(
                BLOBS,
                {"hash": {"$gt": last}, "n": 0},
                projection={"_id": 0, "hash": 1, "size": 1},
                sort={"hash": 1},
                limit=_AT_ONCE,
            )
            if not rows:
                return
            last = rows[-1]["hash"]
            hashes = [row["hash"] for row in rows]
            users = await self.mongo.find(
                BODIES, {"blobs": {"$in": hashes}}, projection={"_id": 0, "blobs": 1}, time=_TIME
            )
            used = {hash for body in users for hash in body["blobs"]}
            for row in rows:
                if row["hash"] not in used:
                    text = f"blob {row['hash'].hex()} is of no body"
                    yield Finding("blob-unused", text, garbage=True), None
                elif self.contents and not await self._is_whole(row["hash"]):
                    yield Finding("blob", f"blob {row['hash'].hex()} is damaged"), None

    async def _is_whole(self, hash: bytes) -> bool:
        digest = hashlib.sha256()
        async for batch in self.mongo.batches(
            BLOBS, {"hash": hash}, projection={"data": 1}, sort={"n": 1}, batchSize=4
        ):
            for chunk in batch:
                digest.update(chunk["data"])
        return digest.digest() == hash

    # --- repairs ------------------------------------------------------------------------------------------------------

    def _updating(
        self, collection: str, filter: Document, update: Document, *, multi: bool = False
    ) -> Repair:
        return self._running(
            {"update": collection, "updates": [{"q": filter, "u": update, "multi": multi}]},
        )

    def _deleting(self, collection: str, filter: Document) -> Repair:
        return self._running({"delete": collection, "deletes": [{"q": filter, "limit": 1}]})

    def _inserting(self, collection: str, document: Document) -> Repair:
        return self._running({"insert": collection, "documents": [document]})

    def _running(self, command: Document) -> Repair:
        async def mend() -> None:
            try:
                await self.mongo.run({**command, "writeConcern": MAJORITY})
            except errors.AlreadyExists:
                pass  # Somebody else was quicker.

        return mend


_COUNTS = ("messages", "unseen", "deleted", "bytes")


def _counted(swept_by: Sequence[Sweep]) -> Document:
    def having(flag: str, yes: int, no: int) -> Document:
        return {"$sum": {"$cond": [sweeps.has(flag, swept_by), yes, no]}}

    return {
        "_id": None,
        "messages": {"$sum": 1},
        "unseen": having(SEEN, 0, 1),
        "deleted": having(DELETED, 1, 0),
        "bytes": {"$sum": "$size"},
        "uid": {"$max": "$uid"},
        "modseq": {"$max": "$modseq"},
    }


def _within(uids: Sequence[int], ranges: Iterable[tuple[int, int]]) -> list[int]:
    """Those of the ascending `uids` that are in one of the ranges."""
    found: list[int] = []
    merged = sorted(ranges)
    at = 0
    for uid in uids:
        while at < len(merged) and merged[at][1] < uid:
            at += 1
        if at < len(merged) and merged[at][0] <= uid:
            found.append(uid)
    return found
