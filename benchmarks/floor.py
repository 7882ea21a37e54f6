"""What MongoDB alone takes for an APPEND, beside Dovecot and us: the most that any program on it could do.

    python -m benchmarks.floor [--messages 1000] [--repeats 3]

Four things in turns of a hundred: an APPEND to Dovecot, one to Twisted Duck, the commands of one (`store/changes.py`) in the
pieces in which the store sends them, and the insert of a single document that is as durable.  The last two go to a `mongod` of
their own, over a socket that blocks, from a program that does nothing else: no message is looked at, and no client is served.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bson
from bson.binary import UUID_SUBTYPE, Binary
from bson.int64 import Int64
from bson.objectid import ObjectId

from benchmarks import peers
from benchmarks.client import check, table
from benchmarks.measuring import Measurement, Result, Work, alternate
from benchmarks.steps import IN_A_TURN, STEPS
from benchmarks.subject import Sizes, Subject
from twisted_duck.service.mongod import find_mongod, free_port
from twisted_duck.store.schema import BODIES, INDEXES, MAILBOXES, MESSAGES, USERS
from twisted_duck.store.transaction import MAJORITY

Document = dict[str, Any]

_DATABASE = "floor"
#: Seconds that `mongod` may take to come up, and to become the primary.
_PATIENCE = 60
#: Bytes of a body, of what is searched of it, and of what stands with the message.
_BODY, _TEXT, _ROW = 3_800, 3_000, 600
_OP_MSG = 2013


class Bare:
    """A connection to a MongoDB that asks for no password: OP_MSG with one section."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((peers.HOST, port), _PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._numbers = itertools.count(1)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def run(self, *commands: Document) -> list[Document]:
        """Send them in one piece; all answers."""
        self._socket.sendall(b"".join(map(self._message, commands)))
        return [self._answer() for _ in commands]

    def _message(self, command: Document) -> bytes:
        # The name of a command stands first.
        section = bson.encode({**command, "$db": command.get("$db", _DATABASE)})
        head = (21 + len(section), next(self._numbers), 0, _OP_MSG, 0, 0)
        return struct.pack("<iiiiIB", *head) + section

    def _answer(self) -> Document:
        (length,) = struct.unpack("<i", self._file.read(4))
        answer: Document = bson.decode(self._file.read(length - 4)[17:])
        wrong = answer.get("writeErrors") or answer.get("writeConcernError")
        if not answer["ok"] or wrong:
            raise SystemExit(f"MongoDB: {wrong or answer['errmsg']}")
        return answer


class Appends:
    """What the store asks MongoDB to do, of one user and one mailbox."""

    def __init__(self, mongo: Bare) -> None:
        self._mongo = mongo
        self._user, self._box = ObjectId(), ObjectId()
        self._session = {"id": Binary(uuid.uuid4().bytes, UUID_SUBTYPE)}
        self._number = 0
        for collection, indexes in INDEXES.items():
            if indexes:
                mongo.run({"createIndexes": collection, "indexes": indexes})
        user = {"_id": self._user, "name": "floor", "used": 0, "epoch": 0}
        mailbox = {"_id": self._box, "user": self._user, "path": "INBOX", "modseq": 1, "uidnext": 1}
        mongo.run(
            {"insert": USERS, "documents": [user]},
            {"insert": MAILBOXES, "documents": [mailbox]},
        )

    def transaction(self) -> None:
        """One APPEND as the store makes it."""
        self._number += 1
        mailbox = {"user": self._user, "path": "INBOX"}
        first = self._in_it(_taken(MAILBOXES, mailbox, {"modseq": 1, "uidnext": 1}))
        first |= {"startTransaction": True, "readConcern": {"level": "snapshot"}}
        taken, _ = self._mongo.run(
            first, self._in_it(_taken(USERS, {"_id": self._user}, {"used": _BODY, "epoch": 1}))
        )
        threads = {"user": self._user, "threads": {"$in": [self._number]}}
        self._mongo.run(self._in_it({"find": BODIES, "filter": threads}))
        body = self._body()
        row = {"user": self._user, "box": self._box, "body": body["_id"], "row": bytes(_ROW)}
        row |= {name: taken["value"][name] for name in ("uidnext", "modseq")}
        row["uid"] = row.pop("uidnext")
        self._mongo.run(
            self._in_it({"insert": BODIES, "documents": [body]}),
            self._in_it({"insert": MESSAGES, "documents": [row]}),
        )
        commit = self._in_it({"commitTransaction": 1})
        self._mongo.run({**commit, "$db": "admin", "writeConcern": MAJORITY})

    def document(self) -> None:
        """One document, in no transaction."""
        insert = {"insert": BODIES, "documents": [self._body()], "writeConcern": MAJORITY}
        self._mongo.run(insert)
        self._number += 1

    def _body(self) -> Document:
        body = {"_id": ObjectId(), "user": self._user, "rope": bytes(_BODY), "text": "x" * _TEXT}
        return {**body, "threads": [self._number]}

    def _in_it(self, command: Document) -> Document:
        number = {"lsid": self._session, "txnNumber": Int64(self._number)}
        return {**command, **number, "autocommit": False}


def _taken(collection: str, query: Document, more: Document) -> Document:
    return {"findAndModify": collection, "query": query, "update": {"$inc": more}, "new": True}


@contextmanager
def mongod() -> Iterator[Bare]:
    """A `mongod` run as the embedded one is, but for passwords, until this is over."""
    with TemporaryDirectory(prefix="duckmail-benchmark-") as directory:
        port = free_port()
        where = ("--dbpath", directory, "--bind_ip", peers.HOST, "--port", str(port))
        log = ("--logpath", str(Path(directory, "log")), "--quiet")
        cache = ("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "1024", "--nounixsocket")
        metrics = ("--setParameter", "diagnosticDataCollectionEnabled=false")
        with subprocess.Popen(
            [find_mongod(None), *where, *log, *cache, *metrics, "--replSet", "floor"],
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                mongo = _connected(port)
                member = {"_id": 0, "host": f"{peers.HOST}:{port}"}
                config = {"_id": "floor", "members": [member]}
                mongo.run({"replSetInitiate": config, "$db": "admin"})
                _wait(lambda: mongo.run({"hello": 1, "$db": "admin"})[0]["isWritablePrimary"])
                yield mongo
                mongo.close()
            finally:
                process.kill()


def _connected(port: int) -> Bare:
    found: list[Bare] = []

    def connect() -> bool:
        try:
            found.append(Bare(port))
        except OSError:
            return False
        return True

    _wait(connect)
    return found[0]


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        check(time.monotonic() < deadline, "mongod did not start")
        time.sleep(0.05)


def in_turns(do: Callable[[], None], many: int) -> Work:
    def some() -> Iterator[None]:
        for number in range(many):
            do()
            if number % IN_A_TURN == IN_A_TURN - 1:
                yield

    return Work(many, some)


def measured(works: dict[str, Work], sizes: Sizes) -> list[Result]:
    return alternate(
        [
            Measurement("append", name, work, {}, sizes.repeats, sizes.least)
            for name, work in works.items()
        ]
    )


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """The first is what the others are compared with."""
    head = ("one by one", "items/s", "ms", f"of {results[0].title}'s")
    return [
        head,
        *(
            (
                each.title,
                f"{each.value:,.0f}",
                f"{1000 / each.value:.2f}",
                f"{each.value / results[0].value:.3f}",
            )
            for each in results
        ),
    ]


def main() -> None:
    peers.end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    given = parser.parse_args()
    sizes = Sizes(messages=given.messages, repeats=given.repeats)
    with peers.dovecot() as dovecot, peers.duckmail() as duckmail, mongod() as mongo:
        subjects = {"Dovecot": Subject(dovecot, sizes), "Twisted Duck": Subject(duckmail, sizes)}
        works = {name: STEPS["append"].prepare(each) for name, each in subjects.items()}
        alone = Appends(mongo)
        works["the commands of one, MongoDB alone"] = in_turns(alone.transaction, sizes.messages)
        works["one document, MongoDB alone"] = in_turns(alone.document, sizes.messages)
        print(table(rows(measured(works, sizes))))
        for subject in subjects.values():
            subject.close()


if __name__ == "__main__":
    main()
