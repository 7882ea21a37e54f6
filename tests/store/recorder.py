"""Records every command a store sends, and says which of them would not do in a large or sharded database.

recorder = Recorder()
store = MailStore(uri, on_command=recorder)
...
self.assertEqual(await recorder.problems(store.mongo), [])
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from twisted_duck.store.connection import Mongo
from twisted_duck.store.schema import INDEXES, OF_A_USER

Document = dict[str, Any]

#: Commands that read or change documents, and where the condition is.
_CONDITIONS = {
    "find": "filter",
    "findAndModify": "query",
    "aggregate": "pipeline",
    "update": "updates",
    "delete": "deletes",
}
#: What belongs to a session or a transaction, and has no place in `explain`.
_ENVELOPE = {
    "$db",
    "$clusterTime",
    "lsid",
    "txnNumber",
    "autocommit",
    "startTransaction",
    "readConcern",
    "writeConcern",
}


class Recorder:
    """Give it to a store as `on_command`.

    `fine`: shapes of commands that have an index, as other recorders found; what this one finds is added.
    """

    def __init__(self, fine: set[str] | None = None) -> None:
        self.commands: list[Document] = []
        self._fine: set[str] = set() if fine is None else fine

    def __call__(self, database: str, command: Document) -> None:
        if "getMore" in command and "maxTimeMS" in command:
            # The change stream asks when it likes.
            return
        kept = {name: value for name, value in command.items() if name not in _ENVELOPE}
        if "documents" in kept:
            # What is inserted matters by its owner alone.
            kept["documents"] = [{"user": each.get("user")} for each in kept["documents"]]
        self.commands.append(copy.deepcopy(kept))

    def clear(self) -> None:
        self.commands.clear()

    @property
    def names(self) -> list[str]:
        """`find messages`, `commitTransaction` ... in the order they were sent."""
        return [
            " ".join([name, *([value] if isinstance(value, str) else [])])
            for command in self.commands
            for name, value in [next(iter(command.items()))]
        ]

    async def problems(self, mongo: Mongo, users: bool = True) -> list[str]:
        """One line for each command that names no user where it should (unless `users` is False), or reads a whole
        collection.
        """
        seen: dict[str, Document] = {}
        found: set[str] = set()
        for command in self.commands:
            name, collection = next(iter(command.items()))
            # `killSessions` names sessions there.
            if not isinstance(collection, str) or collection not in INDEXES:
                continue
            if name == "insert":
                if collection in OF_A_USER and any(d["user"] is None for d in command["documents"]):
                    found.add(f"insert {collection} without user")
                continue
            if name not in _CONDITIONS:
                continue
            for single in _singly(command, name):
                condition = _condition(single, name)
                if condition is None:
                    # A change stream, which is one for the process.
                    continue
                if users and collection in OF_A_USER and not _names_user(condition):
                    found.add(f"{name} {collection} without user: {condition}")
                seen.setdefault(f"{name} {collection} {_shape(condition)}", single)
        there = await mongo.run({"listCollections": 1, "nameOnly": True})
        collections = {each["name"] for each in there["cursor"]["firstBatch"]}
        for shape, single in seen.items():
            if shape in self._fine:
                continue
            plan = await mongo.run({"explain": single, "verbosity": "queryPlanner"})
            # What is not there is never scanned: nothing would be known of it.
            empty = next(iter(single.values())) not in collections
            if empty or "COLLSCAN" in set(_stages(plan)):
                found.add(f"collection scan: {shape}")
            else:
                self._fine.add(shape)
        return sorted(found)


def _singly(command: Document, name: str) -> Iterator[Document]:
    """`explain` takes one update at a time."""
    statements = _CONDITIONS[name]
    if name in ("update", "delete"):
        for each in command[statements]:
            yield {**command, statements: [each]}
    else:
        yield command


def _condition(command: Document, name: str) -> Document | None:
    value = command[_CONDITIONS[name]]
    if name == "aggregate":
        first = value[0] if value else {}
        return None if "$changeStream" in first else first.get("$match", {})
    if name in ("update", "delete"):
        return value[0]["q"]  # type: ignore[no-any-return]
    return value  # type: ignore[no-any-return]


def _names_user(condition: Document) -> bool:
    user = condition.get("user")
    return user is not None and not isinstance(user, dict)


def _shape(value: Any) -> Any:
    """A condition without the values in it."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value[:2] if isinstance(inner, dict)]
    return "?"


def _stages(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("stage"), str):
            yield value["stage"]
        for key, inner in value.items():
            if key != "rejectedPlans":
                yield from _stages(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _stages(inner)
