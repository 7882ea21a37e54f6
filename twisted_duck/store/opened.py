"""What this process knows of the mailboxes that are open, or were lately.

One `Opened` a mailbox, shared by all sessions: its index, who watches it, and how it is brought up to date.  Nothing is
written here; `changes` does that, and tells what it did by `advance`.

A refresh is exact.  It reads the mailbox's document in the newest majority-committed state, and where the modseq in it is
not the index's, the messages and tombstones above the index's modseq in the same state.  So the index only ever holds
what can't be rolled back, every change up to its modseq, and nothing of later ones.

An index is *current* where there is nothing that a refresh could find: the change stream tells of every change, and has
since before the last refresh, so that what it has not told of has not happened, but for what happened a moment ago.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import attrs
from bson.objectid import ObjectId
from bson.timestamp import Timestamp
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_duck import errors
from twisted_duck.index import MailboxIndex, gone_from
from twisted_duck.store.changes import Done, Place
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.fetch import ahead
from twisted_duck.store.remembered import Memory, Remembered
from twisted_duck.store.schema import MAILBOXES, MESSAGES, TOMBSTONES
from twisted_duck.store.sweeps import load, swept
from twisted_duck.values import Change, Changes, Expunged, Flags, UIDSet

log = Logger()

#: Messages that are put into an index at a time: about 10 ms.
_AT_ONCE = 2_000

#: Bytes that a mailbox takes without any message.
_EMPTY = 4_000

_ROW = {"_id": 0, "uid": 1, "modseq": 1, "flags": 1}


@attrs.frozen
class Seen:
    """A mailbox's document, and the moment it was read at.

    All of it: to leave out what is small anyway takes the database as long as a tenth of the question.
    """

    document: Document
    time: Timestamp


def _floor(document: Document) -> int:
    """Above this modseq every expunge has its tombstone."""
    return int(document.get("floor", 0))


class Opened:
    """One mailbox.  `refresh` has to come first: until then the index is empty."""

    def __init__(self, mongo: Mongo, user: ObjectId, document: Document, memory: Memory) -> None:
        self._mongo = mongo
        self.user = user
        self.id: ObjectId = document["_id"]
        self.box: ObjectId = document["box"]
        self.name: str = document["path"]
        self.created: datetime = document["created"]
        self.index = MailboxIndex(document["uidvalidity"])
        #: What never changes of messages that were told of, or searched for.
        self.remembered = Remembered(memory)
        self.gone = False
        #: The name that it was last looked for by.
        self.opened_as = ""
        #: Sessions that have it open.
        self.sessions = 0
        self._watchers: list[Callable[[], None]] = []
        self._running = False
        #: Who waits for a refresh that begins after their asking.
        self._next: list[Deferred[None]] = []
        #: Flag sets, so that messages with the same flags share one.
        self._flag_sets: dict[tuple[str, ...], Flags] = {}
        #: Whether all that has happened since before the last refresh is heard of.
        self._followed = False
        #: The highest modseq that somebody said it has.
        self._heard = 0
        #: Whether it has to be refreshed, whatever its modseq is.
        self._due = False
        #: Sweeps that there are in the mailbox's document, no fewer at this modseq.
        self.sweeps = 0
        #: When the document was read that `name` is from.
        self._looked_at = Timestamp(0, 0)

    @property
    def place(self) -> Place:
        return Place(self.user, self.id, self.box, self.index.highest_modseq, self.created)

    # --- watching -----------------------------------------------------------------------------------------------------

    def watch(self, callback: Callable[[], None]) -> None:
        self._watchers.append(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        if callback in self._watchers:
            self._watchers.remove(callback)

    def _tell(self) -> None:
        for callback in list(self._watchers):
            try:
                callback()
            except Exception:  # noqa: BLE001 - one session's fault is not that of whoever made the change
                log.failure("a watcher of {name} failed", name=self.name)

    # --- moving -------------------------------------------------------------------------------------------------------

    async def refresh(self, seen: Seen | None = None) -> None:
        """Bring the index up to what was committed before this call; fails with MailboxGone, Unavailable.

        Whoever asks while a refresh is under way waits for the one after it, all of them for the same one.
        `seen` spares the first read, if it was made after the call that asks for this one began.
        """
        if self._running:
            turn: Deferred[None] = Deferred()
            self._next.append(turn)
            await turn
            return
        self._running = True
        if seen is None:
            # Whoever opens it has looked before it was listened for.
            self._followed, self._due = self.sessions > 0, False
        try:
            await self._refresh(seen)
        except BaseException:
            self._followed, self._due = False, True
            raise
        finally:
            self._running = False
            waiting, self._next = self._next, []
            if waiting:
                self._serve(waiting)

    def _serve(self, waiting: list[Deferred[None]]) -> None:
        def fire(result: Failure | None) -> None:
            for turn in waiting:
                turn.callback(result)

        Deferred.fromCoroutine(self.refresh()).addBoth(fire)

    async def _refresh(self, seen: Seen | None) -> None:
        if self.gone:
            raise errors.MailboxGone("the mailbox was deleted")
        before = 0
        if seen is None:
            before = self.index.highest_modseq
            seen = await self._look()
        if seen is None:
            self.lose()
            raise errors.MailboxGone("the mailbox was deleted")
        document = seen.document
        if seen.time < self._looked_at:
            # An answer that came late, or a new primary's: what it is called now is known better.
            self._due = True
        else:
            self._looked_at = seen.time
            self.name = document["path"]
            self.sweeps = len(document.get("sweeps", ()))
        known = self.index.highest_modseq
        # It may be lower right after a fail-over, for a moment: then there is nothing new to be seen yet, nor all that there is.
        if document["modseq"] < before:
            self._due = True
        if document["modseq"] > known:
            if known:
                await self._catch_up(seen, known)
            else:
                await self._load(seen)
        elif document["modseq"] == known and document["recent"] > self.index.first_recent:
            self.index.apply(Changes(known, self.index.uidnext, document["recent"]))

    async def _look(self) -> Seen | None:
        found = await self._mongo.snapshot(MAILBOXES, {"user": self.user, "_id": self.id}, limit=1)
        return Seen(found.documents[0], found.time) if found.documents else None

    async def _load(self, seen: Seen) -> None:
        """The first time: all messages, in batches, into an index that nobody looks at before it is whole."""
        document = seen.document
        index = MailboxIndex(document["uidvalidity"])
        batches = self._mongo.batches(
            MESSAGES,
            {"user": self.user, "box": document["box"]},
            projection=_ROW,
            sort={"uid": 1},
            batchSize=_AT_ONCE,
            readConcern={"level": "snapshot", "atClusterTime": seen.time},
        )
        # The database is at work on the next one meanwhile.
        sweeps = load(document)
        async for rows in ahead(batches):
            batch = list(swept(rows, sweeps)) if sweeps else rows
            index.load(
                array("I", [row["uid"] for row in batch]),
                array("Q", [row["modseq"] for row in batch]),
                [self._shared(row["flags"]) for row in batch],
            )
        index.apply(Changes(document["modseq"], document["uidnext"], document["recent"]))
        self.box = document["box"]
        self.index = index
        self._tell()

    async def _catch_up(self, seen: Seen, known: int) -> None:
        document = seen.document
        newer = {"$gt": known}
        rows = await self._mongo.snapshot(
            MESSAGES,
            {"user": self.user, "box": document["box"], "modseq": newer},
            seen.time,
            projection=_ROW,
            batchSize=_AT_ONCE,
        )
        if known < _floor(document):
            expunged = [await self._missing(seen)]
        else:
            tombs = await self._mongo.snapshot(
                TOMBSTONES,
                {"user": self.user, "mailbox": self.id, "modseq": newer},
                seen.time,
                projection={"_id": 0, "modseq": 1, "uids": 1},
            )
            expunged = [
                Expunged(tomb["modseq"], UIDSet(tuple((a, b) for a, b in tomb["uids"])))
                for tomb in tombs.documents
            ]
        self._apply(
            Changes(
                document["modseq"],
                document["uidnext"],
                document["recent"],
                self._changed(rows.documents),
                expunged,
                sweeps=[sweep for sweep in load(document) if sweep.modseq > known],
            ),
            document["box"],
        )

    async def _missing(self, seen: Seen) -> Expunged:
        """What the index has and the mailbox has not: for an index that is older than the tombstones."""
        there: array[int] = array("I")
        async for batch in self._mongo.batches(
            MESSAGES,
            {"user": self.user, "box": seen.document["box"]},
            projection={"_id": 0, "uid": 1},
            sort={"uid": 1},
            batchSize=_AT_ONCE,
            readConcern={"level": "snapshot", "atClusterTime": seen.time},
        ):
            there.extend(array("I", [row["uid"] for row in batch]))
        gone = gone_from(self.index.uids, there)
        return Expunged(seen.document["modseq"], UIDSet.of(gone))

    async def vanished_since(self, modseq: int) -> UIDSet | None:
        """What was expunged after `modseq`, None where that is not known any more; fails with MailboxGone, Unavailable."""
        known = self.index.expunged_since(modseq)
        if known is not None:
            return UIDSet.of(known)
        seen = await self._look()
        if seen is None:
            self.lose()
            raise errors.MailboxGone("the mailbox was deleted")
        if modseq < _floor(seen.document):
            return None
        tombs = await self._mongo.snapshot(
            TOMBSTONES,
            {"user": self.user, "mailbox": self.id, "modseq": {"$gt": modseq}},
            seen.time,
            projection={"_id": 0, "uids": 1},
        )
        return UIDSet.of_ranges((a, b) for tomb in tombs.documents for a, b in tomb["uids"])

    def _changed(self, rows: list[Document]) -> list[Change]:
        return [Change(row["uid"], row["modseq"], self._shared(row["flags"])) for row in rows]

    def _shared(self, flags: list[str]) -> Flags:
        key = tuple(flags)
        shared = self._flag_sets.get(key)
        if shared is None:
            if len(self._flag_sets) > 1_000:
                self._flag_sets.clear()
            shared = self._flag_sets[key] = frozenset(key)
        return shared

    def _apply(self, changes: Changes, box: ObjectId) -> None:
        """Move the index, which may have moved since what is known of `changes`, and of the box, was read."""
        known = self.index.highest_modseq
        if changes.highest_modseq <= known:
            return
        self.box = box
        for step in changes.expunged:
            self.remembered.forget(step.uids)
        self.index.apply(
            attrs.evolve(
                changes,
                changed=[change for change in changes.changed if change.modseq > known],
                expunged=[step for step in changes.expunged if step.modseq > known],
                uniform=[step for step in changes.uniform if step.modseq > known],
                sweeps=[step for step in changes.sweeps if step.modseq > known],
            )
        )
        self._tell()

    def advance(self, done: Done) -> bool:
        """Put a change of our own into the index, without a read; False where others came before it: `refresh` then."""
        self._heard = max(self._heard, done.modseq)
        known = self.index.highest_modseq
        if known and done.modseq == known + 1:
            self._apply(done.changes(), done.mailbox["box"])
        return self.index.highest_modseq >= done.modseq

    def claimed(self, stop: int) -> None:
        """The messages below the UID `stop` are nobody's \\Recent any more."""
        index = self.index
        index.apply(Changes(index.highest_modseq, index.uidnext, stop))

    def lose(self) -> None:
        """The mailbox is not there any more."""
        if not self.gone:
            self.gone = True
            self.remembered.clear()
            self._tell()

    # --- hearing of changes -------------------------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """Whether all that was heard of is in the index, and all that happened is heard of."""
        return self._followed and not (self._running or self.is_behind or self.gone)

    @property
    def is_behind(self) -> bool:
        """Whether something was heard of that is not in the index; what is being read may be that."""
        return self._due or self.index.highest_modseq < self._heard

    def doubt(self) -> None:
        """Something may have happened, or may from now on, that is not heard of."""
        self._followed = False

    def hear(self, modseq: int | None) -> None:
        """Somebody has changed it, and its modseq is this now; None: it is not the modseq that has changed."""
        if modseq is None:
            self._due = True
        else:
            self._heard = max(self._heard, modseq)

    async def follow(self) -> None:
        """Refresh after a change of our own: it is made, and who hears that it failed makes it again.

        If that can't be done, the stream, or the next command, tells the rest.
        """
        try:
            await self.refresh()
        except errors.DuckError as error:
            log.warn("{name} stays behind: {error}", name=self.name, error=error)

    def wake(self) -> None:
        """Refresh in the background: somebody else changed it, and somebody here wants to know."""

        def failed(failure: Failure) -> None:
            failure.trap(errors.DuckError)
            if not isinstance(failure.value, errors.MailboxGone):
                log.info("{name} stays behind: {error}", name=self.name, error=str(failure.value))

        if not self.gone:
            Deferred.fromCoroutine(self.refresh()).addErrback(failed)


class Registry:
    """The mailboxes this process knows, by their `_id`.

    Those that no session has open are kept as long as their indexes fit into the budget, least recently used first out.  There
    may be ten thousands of them, so nobody walks through all to open or leave one.
    """

    def __init__(self, mongo: Mongo, budget: int, memory: Memory) -> None:
        self._mongo = mongo
        self._memory = memory
        self._budget = budget
        self._known: dict[ObjectId, Opened] = {}
        #: The same by user and `opened_as`, which need not be their name any more.
        self._named: dict[tuple[ObjectId, str], Opened] = {}
        #: Those that no session has open, in the order in which the last one left them, the bytes that each takes, and all.
        self._idle: OrderedDict[Opened, int] = OrderedDict()
        self._size = 0
        #: Whether every change is heard of within a moment; the change stream's answer.
        self.hears_all: Callable[[], bool] = lambda: False
        #: What was heard of mailboxes of users whose mail is being changed here.
        self._writing: dict[ObjectId, set[Opened]] = {}

    def __iter__(self) -> Iterator[Opened]:
        return iter(list(self._known.values()))

    def enter(self, user: ObjectId, document: Document) -> Opened:
        """The mailbox of a document, kept until `leave`; it has to be refreshed."""
        opened = self._known.get(document["_id"])
        if opened is not None and opened.gone:
            self._forget(opened)
            opened = None
        if opened is None:
            opened = Opened(self._mongo, user, document, self._memory)
            self._known[opened.id] = opened
        self._again(opened)
        return opened

    def _again(self, opened: Opened) -> None:
        """One that is known gets another session."""
        if not opened.sessions:
            self._size -= self._idle.pop(opened, 0)
        opened.sessions += 1

    def recall(self, user: ObjectId, name: str, readonly: bool) -> Opened | None:
        """The mailbox of that name, kept until `leave`, where all that happened to it up to a moment ago is known."""
        opened = self._named.get((user, name))
        if opened is None or opened.name != name or not self.is_current(opened):
            return None
        if readonly and opened.index.first_recent < opened.index.uidnext:
            # Who claims \Recent finds out; that others have claimed it is not heard of.
            return None
        self._again(opened)
        return opened

    async def open(
        self, user: ObjectId, name: str, error: type[errors.NonExistent] = errors.NonExistent
    ) -> Opened:
        """The mailbox of that name, with its index up to date, kept until `leave`.  Fails with `error`, Unavailable."""
        known = self._named.get((user, name))
        if known is not None and await self._still(known, name):
            return known
        found = await self._mongo.snapshot(MAILBOXES, {"user": user, "path": name}, limit=1)
        if not found.documents:
            raise error("there is no such mailbox")
        [document] = found.documents
        opened = self.enter(user, document)
        try:
            await opened.refresh(Seen(document, found.time))
        except BaseException as failure:
            self.leave(opened)
            if isinstance(failure, errors.MailboxGone):
                raise error(failure.message) from None
            raise
        self._unname(opened)
        opened.opened_as = name
        self._named[user, name] = opened
        return opened

    async def _still(self, opened: Opened, name: str) -> bool:
        """Open one that is known by its name, if it has that still."""
        self._again(opened)
        try:
            await opened.refresh()
        except errors.MailboxGone:
            self.leave(opened)
            return False
        except BaseException:
            self.leave(opened)
            raise
        if opened.name != name:
            self.leave(opened)
            return False
        return True

    def leave(self, opened: Opened) -> None:
        """Undo `enter` or `open`."""
        opened.sessions -= 1
        if opened.sessions:
            return
        if opened.gone:
            self._forget(opened)
        else:
            self._keep(opened)

    def _keep(self, opened: Opened) -> None:
        """One that nobody has open, and that takes as much as it does now."""
        size = _EMPTY + opened.index.memory()
        self._size += size - self._idle.get(opened, 0)
        self._idle[opened] = size
        while self._size > self._budget:
            # It is read anew when it is opened next.
            self._forget(next(iter(self._idle)))

    def _forget(self, opened: Opened) -> None:
        """Whoever opens a mailbox of that `_id` from now on, opens another one."""
        opened.remembered.clear()
        self._size -= self._idle.pop(opened, 0)
        if self._known.get(opened.id) is opened:
            del self._known[opened.id]
        self._unname(opened)

    def _unname(self, opened: Opened) -> None:
        key = opened.user, opened.opened_as
        if self._named.get(key) is opened:
            del self._named[key]

    # --- hearing of changes -------------------------------------------------------------------------------------------

    def is_current(self, opened: Opened) -> bool:
        """Whether the index has all that was committed by this process, and all of others but for the last moment's."""
        return opened.is_current and self.hears_all()

    def hear(self, id: ObjectId, modseq: int | None) -> None:
        """See `Opened.hear`.  Where nobody has the mailbox open, it is refreshed when somebody opens it."""
        opened = self._known.get(id)
        if opened is None:
            return
        opened.hear(modseq)
        if opened.user in self._writing:
            self._writing[opened.user].add(opened)
        else:
            self._wake_behind(opened)

    def _wake_behind(self, opened: Opened) -> None:
        if opened.sessions and opened.is_behind:
            opened.wake()

    @contextmanager
    def writing(self, user: ObjectId) -> Iterator[None]:
        """While a change of the user's mail is made here.

        It is heard of before the database has answered, and need not be read: the answer has all of it.
        """
        heard = self._writing[user] = set()
        try:
            yield
        finally:
            del self._writing[user]
            for opened in heard:
                self._wake_behind(opened)

    def learn(self, done: Done) -> None:
        """A change was made here: the sessions that have the mailbox open are told."""
        opened = self._known.get(done.mailbox["_id"])
        if opened is None:
            return
        exact = opened.advance(done)
        if not opened.sessions:
            # It may have grown.
            self._keep(opened)
        elif not exact:
            opened.wake()

    def lose(self, id: ObjectId) -> None:
        """The mailbox was deleted."""
        opened = self._known.get(id)
        if opened is not None:
            self._lose(opened)

    def _lose(self, opened: Opened) -> None:
        opened.lose()
        if not opened.sessions:
            self._forget(opened)

    def wake_all(self) -> None:
        """Nobody knows what has happened."""
        for opened in self:
            opened.doubt()
            if opened.sessions:
                opened.wake()

    def wake_behind(self) -> None:
        """What could not be read when it was heard of is tried again."""
        for opened in self:
            self._wake_behind(opened)

    def renamed(self, user: ObjectId) -> None:
        """Mailboxes of a user have other names: nobody need wait until that is heard of."""
        for opened in self:
            if opened.user == user:
                opened.doubt()

    def forget_user(self, user: ObjectId) -> None:
        for opened in self:
            if opened.user == user:
                self._lose(opened)
