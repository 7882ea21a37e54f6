"""An index that the change stream keeps up to date need not be compared with the database, and is never wrong for it."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.store.base import StoreTestCase, add, simple
from tests.store.recorder import Recorder
from tests.store.server import OwnServer
from twisted_duck import errors
from twisted_duck.interfaces import IRecallingAccount
from twisted_duck.store import stream
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.changes import Done
from twisted_duck.store.connection import Times
from twisted_duck.store.driver import Document
from twisted_duck.store.failures import CommandFailed
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.opened import Opened
from twisted_duck.store.store import MailStore
from twisted_duck.values import FLAGGED


class Held:
    """The next snapshot that a store reads: it has been read, and is not there before `let_go`."""

    def __init__(self, store: MailStore) -> None:
        self.read: Deferred[None] = Deferred()
        self._gate: Deferred[None] = Deferred()
        mongo: Any = store.mongo
        original = mongo.snapshot

        async def snapshot(*arguments: Any, **options: Any) -> Any:
            mongo.snapshot = original
            found = await original(*arguments, **options)
            self.read.callback(None)
            await self._gate
            return found

        mongo.snapshot = snapshot

    def let_go(self) -> None:
        self._gate.callback(None)


class CurrentTestCase(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        self.account = await self.make_user(self.store)
        other = await self.make_store()
        self.elsewhere = await other.account("ada")

    @property
    def asked(self) -> list[str]:
        """What the store has asked for since this was last looked at, its change stream left out."""
        names = [name for name in self.recorder.names if not name.startswith("getMore")]
        self.recorder.clear()
        return names

    async def current(self, name: str = "INBOX") -> StoreMailbox:
        """An open mailbox whose index is kept up to date."""
        mailbox = await self.account.select(name, False)
        await mailbox.refresh()
        await self.until(self.store._stream.hears_all)
        await self.until(lambda: mailbox._opened.is_current)
        self.recorder.clear()
        return mailbox

    async def break_stream(self) -> None:
        """Until it has noticed: between two questions nothing of it is under way."""
        stream = self.store._stream

        def is_broken() -> bool:
            if not stream.hears_all():
                return True
            for wire in list(stream.mongo._pool.wires):  # type: ignore[union-attr]
                wire.transport.abortConnection()
            return False

        await self.until(is_broken)


class CurrentTests(CurrentTestCase):
    async def test_a_mailbox_that_was_emptied_while_it_was_read_has_the_box_of_now(self) -> None:
        await self.put(self.account, "INBOX", simple())
        mailbox = await self.current()
        opened = mailbox._opened
        theirs = await self.elsewhere.select("INBOX", False)
        done: list[Done] = []
        original = theirs._opened.advance

        def advance(each: Done) -> bool:
            done.append(each)
            return original(each)

        self.patch(theirs._opened, "advance", advance)
        self.patch(self.store._registry, "hear", lambda id, modseq: None)
        await self.put(self.elsewhere, "INBOX", simple())
        seen = await opened._look()
        held = Held(self.store)
        reading = Deferred.fromCoroutine(opened.refresh(seen))
        await held.read
        await theirs.remove([1, 2])
        # As if they had been made here.
        for each in done:
            self.assertTrue(opened.advance(each))
        held.let_go()
        await reading
        self.assertEqual(opened.box, theirs._opened.box)

    async def test_nothing_is_asked_for_where_all_is_heard_of(self) -> None:
        mailbox = await self.current()
        for _ in range(3):
            await mailbox.refresh(exact=False)
        self.assertEqual(self.asked, [])
        await mailbox.refresh()
        self.assertEqual(self.asked, ["find mailboxes"])

    async def test_changes_of_this_process_are_there_without_asking(self) -> None:
        mailbox = await self.current()
        other = await self.account.select("INBOX", False)
        await self.put(self.account, "INBOX", simple(), simple())
        await other.store([2], add(FLAGGED))
        self.assertNotIn("find tombstones", self.asked)
        await mailbox.refresh(exact=False)
        self.assertEqual(self.asked, [])
        self.assertEqual(list(mailbox.index.uids), [1, 2])
        self.assertEqual(mailbox.index.flags(2), {FLAGGED})

    async def test_changes_of_other_processes_come_without_anybody_asking(self) -> None:
        mailbox = await self.current()
        await self.put(self.elsewhere, "INBOX", simple())
        await self.until(lambda: len(mailbox.index) == 1)
        self.assertEqual(self.asked, ["find mailboxes", "find messages", "find tombstones"])
        await mailbox.refresh(exact=False)
        self.assertEqual(self.asked, [])

    async def test_who_has_just_opened_it_asks_once(self) -> None:
        await self.until(self.store._stream.hears_all)
        mailbox = await self.account.select("INBOX", False)
        self.recorder.clear()
        for _ in range(3):
            await mailbox.refresh(exact=False)
        self.assertEqual(self.asked, ["find mailboxes"])

    async def test_it_is_asked_for_where_the_stream_is_broken(self) -> None:
        mailbox = await self.current()
        await self.break_stream()
        self.recorder.clear()
        await mailbox.refresh(exact=False)
        self.assertIn("find mailboxes", self.asked)
        # It is opened again where it was, so that nothing has to be read anew.
        await self.until(self.store._stream.hears_all)
        self.recorder.clear()
        await mailbox.refresh(exact=False)
        self.assertEqual(self.asked, [])

    async def test_of_a_sharded_cluster_it_is_always_asked(self) -> None:
        mailbox = await self.current()
        self.store._stream.mongo.is_sharded = True
        self.store._stream._whole_until = 0
        await self.put(self.elsewhere, "INBOX", simple())
        await self.until(lambda: len(mailbox.index) == 1)
        self.recorder.clear()
        await mailbox.refresh(exact=False)
        self.assertEqual(self.asked, ["find mailboxes"])

    async def test_nobody_knows_anything_where_the_stream_has_lost_its_place(self) -> None:
        mailbox = await self.current()
        self.store._stream._token = {"_data": "82" + "00" * 20}
        await self.break_stream()
        await self.put(self.elsewhere, "INBOX", simple())
        await self.until(lambda: len(mailbox.index) == 1)
        await self.until(self.store._stream.hears_all)
        self.assertTrue(mailbox._opened.is_current)

    async def test_a_place_at_which_the_stream_can_not_go_on_is_given_up(self) -> None:
        mailbox = await self.current()
        mongo: Any = self.store._stream.mongo
        original, places = mongo.send, [True]

        async def send(command: Document, *arguments: Any, **more: Any) -> Any:
            if "aggregate" in command:
                places.append("resumeAfter" in command["pipeline"][0]["$changeStream"])
            elif places[-1]:
                raise CommandFailed("getMore", {"code": 280, "codeName": "ChangeStreamFatalError"})
            return await original(command, *arguments, **more)

        mongo.send = send
        await self.until(lambda: len(places) > 1)
        await self.put(self.elsewhere, "INBOX", simple())
        await self.until(lambda: len(mailbox.index) == 1)
        self.assertEqual(places, [True, False])

    async def test_more_than_can_be_told_at_once_is_not_all(self) -> None:
        mailbox = await self.current()
        self.patch(stream, "_BATCH", 1)
        self.store._stream._whole_until = 0
        for number in range(3):
            await self.put(self.elsewhere, "INBOX", simple())
            await self.until(lambda number=number: len(mailbox.index) > number)
        self.assertFalse(self.store._stream.hears_all())
        await self.until(self.store._stream.hears_all)

    async def test_a_deleted_mailbox_is_gone(self) -> None:
        await self.account.create("gone")
        mailbox = await self.current("gone")
        await self.elsewhere.delete("gone")
        await self.until(lambda: mailbox._opened.gone)
        with self.assertRaises(errors.MailboxGone):
            await mailbox.refresh(exact=False)

    async def test_a_mailbox_of_the_same_name_is_another_one(self) -> None:
        await self.account.create("again")
        mailbox = await self.current("again")
        await self.account.delete("again")
        await self.account.create("again")
        with self.assertRaises(errors.MailboxGone):
            await mailbox.refresh(exact=False)
        new = await self.current("again")
        self.assertGreater(new.index.uidvalidity, mailbox.index.uidvalidity)

    async def test_a_new_name_given_in_this_process_is_known_at_once(self) -> None:
        await self.account.create("a/b")
        mailbox = await self.current("a/b")
        await self.account.rename("a", "z")
        await mailbox.refresh(exact=False)
        self.assertEqual(mailbox.name, "z/b")

    async def test_rename_of_inbox_in_this_process_is_known_at_once(self) -> None:
        await self.put(self.account, "INBOX", simple())
        mailbox = await self.current()
        await self.account.rename("INBOX", "Old")
        await mailbox.refresh(exact=False)
        self.assertEqual((mailbox.name, list(mailbox.index.uids)), ("INBOX", []))


class RecalledTests(CurrentTestCase):
    """A mailbox that was open before need not be asked for where all that happened to it was heard of."""

    async def left(self, name: str = "INBOX") -> Opened:
        mailbox = await self.current(name)
        await mailbox.close()
        return mailbox._opened

    async def test_nobody_is_asked(self) -> None:
        verifyObject(IRecallingAccount, self.account)
        await self.put(self.account, "INBOX", simple(), simple())
        await self.left()
        mailbox = self.recalled()
        self.assertEqual(self.asked, [])
        self.assertEqual(list(mailbox.index.uids), [1, 2])
        await mailbox.refresh(exact=False)
        self.assertEqual(self.asked, [])

    async def test_it_is_as_it_was_left_open(self) -> None:
        opened = await self.left()
        first, second = self.recalled(), self.recalled()
        self.assertEqual(opened.sessions, 2)
        await first.close()
        await second.close()
        self.assertEqual(opened.sessions, 0)

    async def test_what_this_process_did_meanwhile_is_there(self) -> None:
        await self.left()
        await self.put(self.account, "INBOX", simple())
        self.assertEqual(list(self.recalled().index.uids), [1])

    async def test_of_what_others_did_nobody_who_has_it_not_open_is_told(self) -> None:
        opened = await self.left()
        await self.put(self.elsewhere, "INBOX", simple())
        await self.until(lambda: opened.is_behind)
        self.assertIsNone(self.account.recall("INBOX", False))
        self.assertEqual(self.asked, [])
        mailbox = await self.account.select("INBOX", False)
        self.assertEqual(list(mailbox.index.uids), [1])
        self.assertEqual(self.asked, ["find mailboxes", "find messages", "find tombstones"])
        # From here on all of it is known again.
        self.assertIsNotNone(self.account.recall("INBOX", False))

    async def test_who_opened_it_first_has_looked_before_it_was_listened_for(self) -> None:
        await self.until(self.store._stream.hears_all)
        await (await self.account.select("INBOX", False)).close()
        self.assertIsNone(self.account.recall("INBOX", False))
        await (await self.account.select("INBOX", False)).close()
        self.assertIsNotNone(self.account.recall("INBOX", False))

    async def test_who_only_reads_is_not_told_of_messages_that_were_recent_to_others(self) -> None:
        await self.put(self.elsewhere, "INBOX", simple())
        for _ in range(2):
            await (await self.account.select("INBOX", True)).close()
        await self.until(self.store._stream.hears_all)
        theirs = await self.elsewhere.select("INBOX", False)
        self.assertEqual(await theirs.claim_recent(), (1, 2))
        mailbox = self.account.recall("INBOX", True) or await self.account.select("INBOX", True)
        self.assertEqual(await mailbox.claim_recent(), (2, 2))
        # Nobody who comes later can be the first.
        self.recorder.clear()
        self.assertIsNotNone(self.account.recall("INBOX", True))
        self.assertEqual(self.asked, [])

    async def test_where_the_stream_is_broken_it_is_not_known(self) -> None:
        await self.left()
        await self.break_stream()
        self.assertIsNone(self.account.recall("INBOX", False))

    async def test_where_the_stream_has_lost_its_place_it_is_not_known(self) -> None:
        await self.left()
        self.store._stream._token = {"_data": "82" + "00" * 20}
        await self.break_stream()
        await self.until(self.store._stream.hears_all)
        self.assertIsNone(self.account.recall("INBOX", False))

    async def test_names_that_were_changed_elsewhere(self) -> None:
        await self.account.create("a")
        opened = await self.left("a")
        await self.elsewhere.rename("a", "b")
        await self.elsewhere.create("a")
        await self.until(lambda: opened.is_behind)
        self.assertIsNone(self.account.recall("a", False))
        other = await self.account.select("a", False)
        self.assertIsNot(other._opened, opened)
        self.assertEqual(other.name, "a")
        same = await self.account.select("b", False)
        self.assertIs(same._opened, opened)
        self.assertEqual(same.name, "b")
        await same.refresh()
        for name, mailbox in (("a", other), ("b", same)):
            found = await self.account.select(name, False)
            self.assertIs(found._opened, mailbox._opened)
            self.assertIs(self.recalled(name)._opened, mailbox._opened)

    async def test_a_name_that_was_changed_here_is_not_known_until_it_is_read(self) -> None:
        await self.account.create("a")
        opened = await self.left("a")
        await self.account.rename("a", "b")
        self.assertIsNone(self.account.recall("a", False))
        self.assertIsNone(self.account.recall("b", False))
        with self.assertRaises(errors.NonExistent):
            await self.account.select("a", False)
        mailbox = await self.account.select("b", False)
        self.assertIs(mailbox._opened, opened)

    async def test_deleted_here_and_elsewhere(self) -> None:
        for name, account in (("here", self.account), ("there", self.elsewhere)):
            await self.account.create(name)
            opened = await self.left(name)
            await account.delete(name)
            await self.until(lambda opened=opened: opened.gone)
            self.assertIsNone(self.account.recall(name, False))
            with self.assertRaises(errors.NonExistent):
                await self.account.select(name, False)
        self.assertEqual(self.store._registry._named, {})

    async def test_each_user_has_mailboxes_of_his_own(self) -> None:
        await self.left()
        bob = await self.make_user(self.store, "bob")
        self.assertIsNone(bob.recall("INBOX", False))

    async def test_those_who_open_it_at_once_ask_together(self) -> None:
        await self.left()
        self.store._registry.renamed(self.account._user)
        opening = [Deferred.fromCoroutine(self.account.select("INBOX", False)) for _ in range(20)]
        for each in opening:
            await each
        # One was under way when the others came.
        self.assertEqual(self.asked, ["find mailboxes"] * 2)

    def recalled(self, name: str = "INBOX") -> StoreMailbox:
        mailbox = self.account.recall(name, False)
        assert mailbox is not None
        return mailbox


class RaceTests(CurrentTestCase):
    """What was heard of while something else was on its way."""

    async def heard(self, mailbox: StoreMailbox) -> None:
        """Until the change stream has told of what is not in the index."""
        await self.until(lambda: mailbox._opened.is_behind)

    async def test_a_change_during_a_refresh(self) -> None:
        mailbox = await self.current()
        held = Held(self.store)
        refresh = Deferred.fromCoroutine(mailbox.refresh())
        await held.read
        await self.put(self.elsewhere, "INBOX", simple())
        await self.heard(mailbox)
        answered = Deferred.fromCoroutine(mailbox.refresh(exact=False))
        self.assertNoResult(answered)
        held.let_go()
        await refresh
        await answered
        self.assertEqual(len(mailbox.index), 1)

    async def test_a_change_while_it_is_being_opened(self) -> None:
        await self.until(self.store._stream.hears_all)
        held = Held(self.store)
        opening = Deferred.fromCoroutine(self.account.select("INBOX", False))
        await held.read
        token = self.store._stream._token
        await self.put(self.elsewhere, "INBOX", simple())
        await self.until(lambda: self.store._stream._token != token)
        held.let_go()
        mailbox = await opening
        self.assertEqual(len(mailbox.index), 0)
        await mailbox.refresh(exact=False)
        self.assertEqual(len(mailbox.index), 1)

    async def test_a_name_that_was_read_before_the_one_that_is_known(self) -> None:
        await self.account.create("z")
        mailbox = await self.current("z")
        await self.elsewhere.rename("z", "a")
        await self.until(lambda: mailbox.name == "a")
        held = Held(self.store)
        opening = Deferred.fromCoroutine(self.account.select("a", False))
        await held.read
        await self.elsewhere.rename("a", "b")
        await self.elsewhere.create("a")
        await self.until(lambda: mailbox.name == "b")
        held.let_go()
        await opening
        self.assertEqual(mailbox.name, "b")
        self.assertIsNone(self.account.recall("a", False))
        await mailbox.refresh()
        self.assertEqual(mailbox.name, "b")

    async def test_the_stream_loses_its_place_during_a_refresh(self) -> None:
        mailbox = await self.current()
        held = Held(self.store)
        refresh = Deferred.fromCoroutine(mailbox.refresh())
        await held.read
        # The stream begins anew behind this change, of which it does not tell.
        self.patch(self.store._registry, "hear", lambda mailbox, modseq: None)
        await self.put(self.elsewhere, "INBOX", simple())
        self.store._registry.wake_all()
        answered = Deferred.fromCoroutine(mailbox.refresh(exact=False))
        held.let_go()
        await refresh
        await answered
        self.assertEqual(len(mailbox.index), 1)

    async def test_a_change_that_could_not_be_read_is_asked_for(self) -> None:
        mailbox = await self.current()
        await self.fail_once(mailbox)
        await mailbox.refresh(exact=False)
        self.assertEqual(len(mailbox.index), 1)

    async def test_a_change_that_could_not_be_read_is_read_later(self) -> None:
        mailbox = await self.current()
        heard: list[int] = []
        mailbox.watch(lambda: heard.append(len(mailbox.index)))
        await self.fail_once(mailbox)
        self.assertEqual(heard, [])
        await self.until(lambda: bool(heard))
        self.assertEqual(heard, [1])
        self.assertTrue(mailbox._opened.is_current)

    async def fail_once(self, mailbox: StoreMailbox) -> None:
        """Another process makes a change, and the database is away just when that is heard of."""
        mongo: Any = self.store.mongo
        original, failed = mongo.snapshot, []

        async def snapshot(*_: Any, **__: Any) -> Any:
            mongo.snapshot = original
            failed.append(True)
            raise errors.Unavailable("away")

        mongo.snapshot = snapshot
        await self.put(self.elsewhere, "INBOX", simple())
        await self.until(lambda: bool(failed))
        self.assertEqual(len(mailbox.index), 0)

    async def test_a_change_of_our_own_behind_one_that_was_not_heard_of(self) -> None:
        mailbox = await self.current()
        self.patch(self.store._registry, "hear", lambda mailbox, modseq: None)
        await self.put(self.elsewhere, "INBOX", simple())
        await self.put(self.account, "INBOX", simple())
        await mailbox.refresh(exact=False)
        self.assertEqual(len(mailbox.index), 2)


class OutageTests(TestCase):
    async def test_a_database_that_does_not_answer_is_noticed(self) -> None:
        server = await OwnServer.start(self)
        store = MailStore(server.uri, times=Times(command=1.0))
        await store.open()
        self.addCleanup(store.close)
        await store.users.add("ada", None)
        account: StoreAccount = await store.account("ada")
        mailbox = await account.select("INBOX", False)
        await mailbox.refresh()
        while not store._registry.is_current(mailbox._opened):
            await self.pause()
        server.signal(signal.SIGSTOP)
        began = reactor.seconds()  # type: ignore[attr-defined]
        with self.assertRaises(errors.Unavailable):
            while reactor.seconds() - began < 10:  # type: ignore[attr-defined]
                await mailbox.refresh(exact=False)
                await self.pause()
        server.signal(signal.SIGCONT)
        await mailbox.refresh(exact=False)

    def pause(self) -> Deferred[None]:
        return deferLater(reactor, 0.01)  # type: ignore[arg-type]
