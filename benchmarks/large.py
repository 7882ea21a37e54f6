"""Large mailboxes, written straight into the database, and the server that has to do with them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson.objectid import ObjectId
from pymongo import MongoClient

from benchmarks.peers import Duckmail
from benchmarks.subject import Server
from twisted_duck.service.embedded import embedded_uri

HOST, USER, PASSWORD = "127.0.0.1", "large@example.com", "large"
#: Documents in one insert.
_AT_ONCE = 10_000
#: What most mailboxes have: most were read, some are answered, few are new.
_FLAGS = [["\\Seen"]] * 7 + [["\\Answered", "\\Seen"], ["\\Flagged", "\\Seen"], []]


class Served:
    """A process of `benchmarks.served`."""

    def __init__(self, uri: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.served", uri, USER, PASSWORD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pids = {"duckmail": self.process.pid}
        imap, pop3, lmtp = map(int, self._line().split())
        #: For clients of all kinds.
        self.server = Server(HOST, USER, PASSWORD, imap=imap, pop3=pop3, lmtp=lmtp, pids=self.pids)

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def turns(self) -> dict[str, float]:
        """See `benchmarks.served`."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return dict(json.loads(self._line()))

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


@contextmanager
def database() -> Iterator[str]:
    """The URI of an embedded MongoDB that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="duckmail-benchmark-") as directory:
        peer = Duckmail(Path(directory))
        try:
            peer.start()
            uri = embedded_uri(Path(directory) / "data")
            assert uri is not None
            yield uri
        finally:
            peer.stop()


@contextmanager
def served(uri: str) -> Iterator[Served]:
    server = Served(uri)
    try:
        yield server
    finally:
        server.stop()


def seed(uri: str, path: str, many: int) -> None:
    """A mailbox of the user's with so many messages: all have one body, and no message is as long as it says."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    try:
        store = client.get_default_database()
        user = store.users.find_one({"name": USER})
        assert user is not None
        body = ObjectId()
        text = b"Subject: one of many\r\n\r\ntext\r\n"
        now = datetime.now(UTC)
        mailbox = {
            "_id": ObjectId(),
            "user": user["_id"],
            "path": path,
            "uidvalidity": user["uidvalidity"] + 1,
            "uidnext": many + 1,
            "modseq": many + 1,
            "recent": many + 1,
            "box": ObjectId(),
            "messages": many,
            "unseen": sum("\\Seen" not in _flags(uid) for uid in range(1, many + 1)),
            "deleted": 0,
            "bytes": many * len(text),
            "created": now,
        }
        for first in range(1, many + 1, _AT_ONCE):
            store.messages.insert_many(
                [
                    {
                        "user": user["_id"],
                        "box": mailbox["box"],
                        "modseq": uid + 1,
                        "uid": uid,
                        "flags": _flags(uid),
                        "body": body,
                        "size": len(text),
                        "date": now,
                        "day": now.toordinal(),
                    }
                    for uid in range(first, min(first + _AT_ONCE, many + 1))
                ],
                ordered=False,
            )
        store.mailboxes.insert_one(mailbox)
        store.users.update_one(
            {"_id": user["_id"]}, {"$inc": {"used": mailbox["bytes"], "uidvalidity": 1}}
        )
    finally:
        client.close()


def multiply(uri: str, many: int) -> None:
    """INBOX, which nobody has open, gets copies of its messages, each with a body of its own, until there are so many."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    try:
        store = client.get_default_database()
        user = store.users.find_one({"name": USER})
        assert user is not None
        where = {"user": user["_id"], "path": "INBOX"}
        mailbox = store.mailboxes.find_one(where)
        assert mailbox is not None
        templates = list(store.messages.find({"user": user["_id"], "box": mailbox["box"]}))
        wanted = [each["body"] for each in templates]
        bodies = {each["_id"]: each for each in store.bodies.find({"_id": {"$in": wanted}})}
        more = many - len(templates)
        chosen = (templates * (more // len(templates) + 1))[:more]
        for at in range(0, more, _AT_ONCE // 10):
            messages = [
                {
                    **each,
                    "_id": ObjectId(),
                    "body": ObjectId(),
                    "uid": mailbox["uidnext"] + number,
                    "modseq": mailbox["modseq"] + number + 1,
                }
                for number, each in enumerate(chosen[at : at + _AT_ONCE // 10], at)
            ]
            store.messages.insert_many(messages, ordered=False)
            store.bodies.insert_many(
                [
                    {**bodies[old["body"]], "_id": new["body"]}
                    for old, new in zip(chosen[at:], messages, strict=False)
                ],
                ordered=False,
            )
        size = sum(each["size"] for each in chosen)
        unseen = sum("\\Seen" not in each["flags"] for each in chosen)
        counts = {
            "uidnext": more,
            "modseq": more,
            "messages": more,
            "unseen": unseen,
            "bytes": size,
        }
        store.mailboxes.update_one(where, {"$inc": counts})
        store.users.update_one({"_id": user["_id"]}, {"$inc": {"used": size}})
    finally:
        client.close()


def _flags(uid: int) -> list[str]:
    return _FLAGS[uid % len(_FLAGS)]
