"""Which mailboxes a process keeps in memory when nobody has them open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from bson.objectid import ObjectId
from bson.timestamp import Timestamp
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.index import MailboxIndex
from twisted_duck.store.changes import Done
from twisted_duck.store.connection import Snapshot
from twisted_duck.store.driver import Document
from twisted_duck.store.opened import Opened, Registry
from twisted_duck.store.remembered import Memory
from twisted_duck.values import Change

USER = ObjectId()
#: What a mailbox without messages takes, and what four fit into.
EMPTY = 4_000
BUDGET = 4 * EMPTY + 100


class Database:
    """Mailboxes, none of which has any message."""

    def __init__(self) -> None:
        self.mailboxes: dict[str, Document] = {}

    def make(self, path: str) -> Document:
        self.mailboxes[path] = {
            "_id": ObjectId(),
            "user": USER,
            "path": path,
            "box": ObjectId(),
            "created": datetime.now(UTC),
            "modseq": 1,
            "uidnext": 1,
            "uidvalidity": 1,
            "recent": 1,
        }
        return self.mailboxes[path]

    async def snapshot(self, collection: str, filter: Document, **options: Any) -> Snapshot:
        found = [each for each in self.mailboxes.values() if filter.items() <= each.items()]
        return Snapshot(found, Timestamp(1, 1))

    async def batches(self, collection: str, filter: Document, **options: Any) -> Any:
        for nothing in ():
            yield nothing


class RegistryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = Database()
        self.registry = Registry(cast(Any, self.database), BUDGET, Memory(1_000))

    def open(self, path: str) -> Opened:
        if path not in self.database.mailboxes:
            self.database.make(path)
        opening = Deferred.fromCoroutine(self.registry.open(USER, path))
        opened: Opened = self.successResultOf(opening)
        return opened

    def visit(self, *paths: str) -> None:
        for path in paths:
            self.registry.leave(self.open(path))

    @property
    def known(self) -> list[str]:
        return sorted(each.name for each in self.registry)

    def arrive(self, path: str, count: int) -> None:
        """Messages that were stored by this process."""
        mailbox = self.database.mailboxes[path]
        for _ in range(count):
            mailbox["modseq"] += 1
            mailbox["uidnext"] += 1
            changed = [Change(mailbox["uidnext"] - 1, mailbox["modseq"], frozenset())]
            self.registry.learn(Done(dict(mailbox), changed=changed))

    def test_what_was_left_longest_ago_is_forgotten_first(self) -> None:
        self.visit("a", "b", "c", "d")
        self.assertEqual(self.known, ["a", "b", "c", "d"])
        self.visit("a", "e")
        self.assertEqual(self.known, ["a", "c", "d", "e"])
        self.visit("f", "g")
        self.assertEqual(self.known, ["a", "e", "f", "g"])

    def test_what_somebody_has_open_is_kept_and_takes_nothing_from_the_others(self) -> None:
        open = [self.open(path) for path in ("a", "b", "b", "c", "d", "e")]
        self.visit("1", "2", "3", "4", "5", "b")
        self.assertEqual(self.known, ["2", "3", "4", "5", "a", "b", "c", "d", "e"])
        for each in open:
            self.registry.leave(each)
        self.assertEqual(self.known, ["b", "c", "d", "e"])

    def test_it_is_the_same_index_when_it_is_opened_again(self) -> None:
        self.visit("a")
        [first] = self.registry
        self.assertIs(self.open("a"), first)

    def test_what_grows_meanwhile_counts(self) -> None:
        self.visit("a", "b", "c", "d")
        self.arrive("d", 10)
        self.assertEqual(self.known, ["b", "c", "d"])
        self.arrive("b", 100)
        # It was left before the others, and it is their room that it takes.
        self.assertEqual(self.known, ["c", "d"])
        self.visit("e", "f")
        self.assertEqual(self.known, ["d", "e", "f"])

    def test_one_that_is_too_large_is_not_kept(self) -> None:
        opened = self.open("a")
        self.arrive("a", 200)
        self.registry.leave(opened)
        self.assertEqual(self.known, [])
        self.visit("b", "c", "d", "e")
        self.assertEqual(self.known, ["b", "c", "d", "e"])

    def test_what_is_deleted_is_forgotten_once_nobody_has_it(self) -> None:
        self.visit("a", "b")
        opened = self.open("c")
        for path in ("a", "c"):
            self.registry.lose(self.database.mailboxes[path]["_id"])
        self.assertEqual(self.known, ["b", "c"])
        self.assertTrue(opened.gone)
        self.registry.leave(opened)
        self.assertEqual(self.known, ["b"])
        self.visit("d", "e", "f")
        self.assertEqual(self.known, ["b", "d", "e", "f"])

    def test_one_that_is_made_anew_is_another_one(self) -> None:
        before = self.open("a")
        before.lose()
        after = self.open("a")
        self.assertIsNot(before, after)
        self.registry.leave(before)
        self.assertEqual(list(self.registry), [after])
        self.registry.leave(after)
        self.visit("b", "c", "d")
        self.assertEqual(self.known, ["a", "b", "c", "d"])

    def test_a_user_that_is_removed_leaves_nothing(self) -> None:
        self.visit("a", "b")
        opened = self.open("c")
        self.registry.forget_user(USER)
        self.assertEqual(list(self.registry), [opened])
        self.registry.leave(opened)
        self.assertEqual(list(self.registry), [])

    def test_to_leave_one_is_to_look_at_no_other(self) -> None:
        self.registry = Registry(cast(Any, self.database), 10**9, Memory(1_000))
        self.visit(*(f"m{number}" for number in range(100)))
        looked: list[MailboxIndex] = []
        memory = MailboxIndex.memory
        self.patch(MailboxIndex, "memory", lambda index: looked.append(index) or memory(index))
        self.visit("m0", "m1", "m2")
        self.assertEqual(len(looked), 3)
