"""Collections, their indexes, and the version of all that.

One table says what exists; `ensure` makes the database so, at every start, and changes nothing where it is so already.

Documents (a name with `?` is left out where it has nothing to say):

    users          _id, name, password?, scram?: [verifier, ...], disabled, quota?, used, uidvalidity, epoch, created
    addresses      _id: the address in its compared form, dotless: the same without its dots, user
    domains        _id: a domain that is an alias, in its compared form, target
    mailboxes      _id, user, path, use?, uidvalidity, uidnext, modseq, floor?, recent, box,
                   messages, unseen, deleted, bytes, created,
                   sweeps?: [{modseq, uids: [[first, last], ...], mode, flags}, ...]
    subscriptions  user, path
    messages       _id, user, box, uid, modseq, flags, body, size, date, zone?, day, sent?,
                   cut?, fields?, envelope?, structure?, plain?, order?, ids?, preview?, thread?
    imports        _id, user, mailbox, key
    tombstones     _id, user, mailbox, modseq, uids: [[first, last], ...], date
    bodies         _id, user, size, tree, rope: [segment, ...], blobs?: [hash, ...], head, text,
                   envelope?, structure?, plain?, orphan?, thread?, threads?: [key, ...]
    blobs          _id, hash, n, size, data, touched
    bans           _id: a network, reason, until
    attempts       _id: a network, tried: [hash, ...], until
    rates          _id: a token bucket, full, until, took
    secrets        _id: what for, key
    schema         _id: "schema", version; _id: "scram", secret; _id: "collector", next;
                   _id: "migration to ...", by, until, done?: the last user that it is done for

`mailboxes._id` is the mailbox as sessions and tombstones know it, one UIDVALIDITY long; `box` is where its messages are
(`messages.box`).  They differ so that RENAME of INBOX gives all its messages away by changing two documents.  `recent`
is the lowest UID that no session was told of as \\Recent.  Above the modseq `floor` there is a tombstone for every expunge;
it is left out as long as none was removed.  What `messages.modseq` and `messages.flags` say is only right with `sweeps`
(`store.sweeps`), and `messages`, `unseen` and `deleted` have counted them.

A name that only exists because it has children (\\Noselect) has no document.  `users.uidvalidity` is the latest one given
to a mailbox; `users.epoch` counts what has to conflict: changes of names, of what the mail takes, collections of bodies.

`messages.day` and `messages.sent` are days as `date.toordinal` counts them: of INTERNALDATE in its own zone, and of the
Date: field.  `zone` is in minutes.  `structure` is BODYSTRUCTURE and `plain` is BODY; where they or `envelope` are too
large for the message's document they are in the body's.  `order` is what SORT compares (`store.order`), and `ids` what
THREAD does (`mime.references`); messages that were stored before there was either have neither.  `bodies.head` and `bodies.text` are what SEARCH looks in;
`messages.cut` says that they are not all there is, and `fields` has what of `head` is asked for most (`store.fields`): it is
missing where that is long, or cut, or where a message was stored before it was kept.  `thread` and `threads` are the affair of `store.conversations`;
`preview` is missing where a message was stored before there was one.
"""

from __future__ import annotations

from typing import Any, Final

from twisted_duck import errors
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.transaction import MAJORITY
from twisted_duck.values import DELETED

#: Seconds that making an index may take where there is mail already.
_INDEX_TIME = 3600.0

#: What this code writes.  It reads every earlier version; `migrations` has a step from each one to the next.
VERSION: Final = 3

#: From which version on a mailbox may have sweeps: earlier ones don't know of them.
SWEEPS: Final = 3

USERS: Final = "users"
ADDRESSES: Final = "addresses"
DOMAINS: Final = "domains"
MAILBOXES: Final = "mailboxes"
SUBSCRIPTIONS: Final = "subscriptions"
MESSAGES: Final = "messages"
TOMBSTONES: Final = "tombstones"
IMPORTS: Final = "imports"
BODIES: Final = "bodies"
BLOBS: Final = "blobs"
BANS: Final = "bans"
ATTEMPTS: Final = "attempts"
RATES: Final = "rates"
SECRETS: Final = "secrets"
SCHEMA: Final = "schema"

#: Collections whose documents belong to one user: every query on them names `user`.
OF_A_USER: Final = frozenset({MAILBOXES, SUBSCRIPTIONS, MESSAGES, TOMBSTONES, IMPORTS, BODIES})


def _index(*fields: str, **options: Any) -> Document:
    return {"key": dict.fromkeys(fields, 1), "name": "_".join(fields), **options}


#: What goes by itself when its time has come.
_UNTIL: Final = _index("until", expireAfterSeconds=0)


INDEXES: Final[dict[str, list[Document]]] = {
    USERS: [_index("name", unique=True)],
    ADDRESSES: [_index("user"), _index("dotless")],
    DOMAINS: [],
    MAILBOXES: [_index("user", "path", unique=True), _index("user", "_id")],
    SUBSCRIPTIONS: [_index("user", "path", unique=True)],
    MESSAGES: [
        _index("user", "box", "uid", unique=True),
        _index("user", "box", "modseq"),
        # Which messages have this body: the collector's question.
        _index("user", "body"),
        # What an EXPUNGE would free: STATUS asks for it.
        _index("user", "box", "size", partialFilterExpression={"flags": DELETED}),
    ],
    TOMBSTONES: [_index("user", "mailbox", "modseq")],
    IMPORTS: [_index("user", "mailbox", "key", unique=True)],
    BODIES: [
        _index("user", "_id"),
        # Which messages an arriving one belongs to.
        _index("user", "threads"),
        # Which bodies have this blob: the collector's question.
        _index("blobs", sparse=True),
    ],
    BLOBS: [
        _index("hash", "n", unique=True),
        # Which blobs may be garbage, and which may be relied on, without reading their bytes.
        _index("hash", "touched"),
    ],
    BANS: [_UNTIL],
    ATTEMPTS: [_UNTIL],
    RATES: [_UNTIL],
    SECRETS: [],
}


async def ensure(mongo: Mongo) -> None:
    """Create what is missing.  Fails with Unavailable where the database was written by a newer version of this code."""
    found = await mongo.find_one(SCHEMA, {"_id": "schema"})
    if found is not None and found["version"] > VERSION:
        raise errors.Unavailable(
            f"the database {mongo.target.database!r} was written by a newer version of this program"
            f" (schema {found['version']}, this one knows {VERSION}); upgrade the program"
        )
    mongo.schema = VERSION if found is None else found["version"]
    # It makes the collections, too: a transaction that had to would fail where two did it at once.
    for collection, indexes in INDEXES.items():
        if indexes:
            command = {"createIndexes": collection, "indexes": indexes, "writeConcern": MAJORITY}
            await mongo.run(command, time=_INDEX_TIME)
    if found is None:
        await mongo.run(
            {
                "update": SCHEMA,
                "updates": [
                    {
                        "q": {"_id": "schema"},
                        "u": {"$setOnInsert": {"version": VERSION}},
                        "upsert": True,
                    }
                ],
                "writeConcern": MAJORITY,
            }
        )
