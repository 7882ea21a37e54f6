"""SELECT that asks nobody, over the wire: whatever another process has done, each command behind it sees all of it."""

from __future__ import annotations

import os
import random
import re
import signal
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, FirstError, gatherResults

from tests.auth.support import WEAK
from tests.store.base import StoreTestCase, add, simple, state
from tests.store.server import OwnServer
from tests.store.test_current import Held
from tests.transcript import Client, Transport
from twisted_duck import errors
from twisted_duck.auth import make_portal
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.store.account import StoreAccount
from twisted_duck.store.connection import Times
from twisted_duck.store.mailbox import StoreMailbox
from twisted_duck.store.store import MailStore
from twisted_duck.values import DELETED, FLAGGED, SEEN, FlagChange

#: The flags that messages get here.
_FLAGS = (SEEN, FLAGGED, DELETED, "kw")
#: What a run must have had: what was done, and what was answered to SELECT and to the command behind it.
_ALL = ("put", "store", "remove", "move", "rename", "again", "known OK OK", "unknown OK OK")

_EXISTS = re.compile(r"\* (\d+) EXISTS")
_EXPUNGE = re.compile(r"\* (\d+) EXPUNGE")
_FETCH = re.compile(r"\* (\d+) FETCH \((?:UID (\d+) )?FLAGS \(([^)]*)\)(?: MODSEQ \((\d+)\))?\)")
_MAILBOX_ID = re.compile(r"\* OK \[MAILBOXID \((\w+)\)\]")


class Awaited(Transport):
    """Tells when something is said."""

    said: Deferred[None] | None = None

    def write(self, data: bytes) -> None:
        super().write(data)
        self._tell()

    def writeSequence(self, data: Any) -> None:
        super().writeSequence(data)
        self._tell()

    def loseConnection(self) -> None:
        super().loseConnection()
        self._tell()

    def _tell(self) -> None:
        said, self.said = self.said, None
        if said is not None:
            # A client never answers before its server has spoken to the end.
            reactor.callLater(0, said.callback, None)  # type: ignore[attr-defined]


class Reader(Client):
    """A mail program that keeps count of what it is told."""

    def __init__(self, factory: IMAP4Factory) -> None:
        super().__init__(factory, transport=Awaited)
        self.lines: list[str] = []
        #: By number; what is not known yet of a message is None.
        self.picture: list[tuple[int | None, int | None, frozenset[str] | None]] = []
        self.mailbox_id = ""
        self._tags = 0

    def give(self, *commands: str) -> list[str]:
        """Send them all at once; their tags."""
        tags = []
        for _ in commands:
            self._tags += 1
            tags.append(f"t{self._tags}")
        text = "".join(f"{tag} {command}\r\n" for tag, command in zip(tags, commands, strict=True))
        self.send(text.encode("ascii"))
        return tags

    async def answer(self, tag: str) -> list[str]:
        """Up to the tagged one; the last line is BYE where the connection was ended instead."""
        mine: list[str] = []
        while True:
            while self.lines:
                line = self.lines.pop(0)
                mine.append(line)
                self._hear(line)
                if line.startswith((f"{tag} ", "* BYE")):
                    return mine
            waiting: Deferred[None] = Deferred()
            self.transport.said = waiting
            if not (data := self.heard()):
                await waiting.addTimeout(20, reactor)  # type: ignore[arg-type]
                data = self.heard()
            self.lines.extend(data.decode("ascii").split("\r\n")[:-1])

    async def say(self, command: str) -> list[str]:  # type: ignore[override]
        [tag] = self.give(command)
        return await self.answer(tag)

    def _hear(self, line: str) -> None:
        if found := _EXISTS.fullmatch(line):
            count = int(found[1])
            if count < len(self.picture):
                raise AssertionError(f"{line}: there were {len(self.picture)}")
            self.picture += [(None, None, None)] * (count - len(self.picture))
        elif found := _EXPUNGE.fullmatch(line):
            del self.picture[int(found[1]) - 1]
        elif found := _FETCH.fullmatch(line):
            number, uid, flags, modseq = found.groups()
            known = self.picture[int(number) - 1]
            if uid is not None and known[0] not in (None, int(uid)):
                raise AssertionError(f"{line}: it was {known[0]}")
            self.picture[int(number) - 1] = (
                int(uid) if uid else known[0],
                int(modseq) if modseq else known[1],
                frozenset(flags.split()) - {"\\Recent"},
            )
        elif found := _MAILBOX_ID.match(line):
            self.mailbox_id = found[1]
        elif line.startswith("* OK [CLOSED]"):
            self.picture = []


class Slow:
    """What a store's change stream tells comes later, although the stream seems whole."""

    def __init__(self, store: MailStore) -> None:
        stream: Any = store._stream
        self._held: list[Any] | None = None
        self._tell = stream._event
        stream._event = self._event

    def _event(self, event: Any) -> None:
        if self._held is None:
            self._tell(event)
        else:
            self._held.append(event)

    def hold(self) -> None:
        if self._held is None:
            self._held = []

    def let_go(self) -> None:
        held, self._held = self._held or [], None
        for event in held:
            self._tell(event)


class RecallingCase(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.here, self.there = await self.make_store(), await self.make_store()
        await self.here.users.add("ada", "secret")
        self.account: StoreAccount = await self.here.account("ada")
        self.elsewhere: StoreAccount = await self.there.account("ada")
        self.factory = IMAP4Factory(
            make_portal(self.here.directory, self.here.account, reactor, parameters=WEAK),
            cleartextAuth="always",
        )
        self.readers: list[Reader] = []
        await self.until(self.here._stream.hears_all)

    async def reader(self, *enabled: str) -> Reader:
        reader = Reader(self.factory)
        self.readers.append(reader)
        self.addCleanup(self.over, reader)
        await reader.say("LOGIN ada secret")
        if enabled:
            await reader.say("ENABLE " + " ".join(enabled))
        return reader

    async def over(self, reader: Reader) -> None:
        reader.disconnect()
        await self.until(lambda: reader.protocol._over)

    async def followed(self, name: str = "INBOX") -> None:
        """A mailbox that SELECT need not ask for."""
        for _ in range(2):
            await (await self.account.select(name, True)).close()
        await self.until(lambda: self.is_known(name))

    def is_known(self, name: str) -> bool:
        mailbox = self.account.recall(name, False)
        if mailbox is None:
            return False
        self.successResultOf(Deferred.fromCoroutine(mailbox.close()))
        return True


class RecallingTests(RecallingCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.slow = Slow(self.here)
        await self.account.create("a")
        await self.put(self.account, "a", simple())

    async def test_a_message_that_another_process_has_just_stored(self) -> None:
        await self.followed("a")
        self.slow.hold()
        await self.put(self.elsewhere, "a", simple())
        reader = await self.reader()
        self.assertIn("* 1 EXISTS", await reader.say("SELECT a"))
        said = await reader.say("UID FETCH 1:* (FLAGS)")
        self.assertEqual(len([line for line in said if " FETCH (" in line]), 2)

    async def test_another_process_has_put_another_mailbox_in_its_place(self) -> None:
        await self.followed("a")
        self.slow.hold()
        await self.elsewhere.delete("a")
        await self.elsewhere.create("a")
        await self.check_another()

    async def test_another_process_has_given_it_another_name(self) -> None:
        await self.followed("a")
        self.slow.hold()
        await self.elsewhere.rename("a", "b")
        await self.elsewhere.create("a")
        await self.check_another()

    async def check_another(self) -> None:
        """Nothing is said, or done, in the wrong one, and who comes again gets the right one."""
        reader = await self.reader()
        self.assertIn("* 1 EXISTS", await reader.say("SELECT a"))
        said = await reader.say("UID STORE 1:* +FLAGS (\\Deleted)")
        self.assertEqual(said, ["* BYE the selected mailbox was deleted, or renamed"])
        reader = await self.reader()
        self.assertIn("* 0 EXISTS", await reader.say("SELECT a"))
        self.assertIn("OK", (await reader.say("NOOP"))[-1])

    async def test_who_is_cut_off_meanwhile_has_it_no_longer_open(self) -> None:
        for command in (None, "UID FETCH 1:* (FLAGS)", "LOGOUT"):
            await self.followed("a")
            held = Held(self.here)
            reader = await self.reader()
            await reader.say("SELECT a")
            await held.read
            if command is not None:
                reader.give(command)
            reader.disconnect()
            held.let_go()
            await self.over(reader)
            self.assertEqual([each.sessions for each in self.here._registry], [0])

    async def test_the_store_is_closed_meanwhile(self) -> None:
        await self.followed("a")
        held = Held(self.here)
        reader = await self.reader()
        await reader.say("SELECT a")
        await held.read
        [tag] = reader.give("UID FETCH 1:* (FLAGS)")
        closing = Deferred.fromCoroutine(self.here.close())
        held.let_go()
        await closing
        await reader.answer(tag)
        await self.over(reader)
        self.assertEqual([each.sessions for each in self.here._registry], [0])

    async def test_commands_that_were_sent_ahead(self) -> None:
        await self.put(self.account, "a", simple(), simple())
        await self.followed("a")
        self.slow.hold()
        theirs = await self.elsewhere.select("a", False)
        await theirs.remove([1])
        await theirs.store([3], add(FLAGGED, DELETED))
        await self.put(self.elsewhere, "a", simple())
        reader = await self.reader("CONDSTORE")
        tags = reader.give(
            "SELECT a",
            "FETCH 1:* (UID FLAGS)",
            "STORE 2 +FLAGS.SILENT (\\Answered)",
            "APPEND a {2+}\r\nab",
            "EXPUNGE",
            "UID SEARCH ALL",
            "CLOSE",
            "EXAMINE a",
            "UID SEARCH FLAGGED",
            "LOGOUT",
        )
        said = {tag: await reader.answer(tag) for tag in tags[:-1]}
        self.assertIn("* 3 EXISTS", said[tags[0]])
        # The first one keeps its number until it may be told that it is gone.
        self.assertEqual(said[tags[1]][0], "* 4 EXISTS")
        self.assertNotIn("EXPUNGE", " ".join(said[tags[1]][:-1] + said[tags[2]][:-1]))
        self.assertIn("* 1 EXPUNGE", said[tags[3]])
        self.assertIn("* 2 EXPUNGE", said[tags[4]])
        self.assertIn("* SEARCH 2 4 5", said[tags[5]])
        self.assertIn("* SEARCH", said[tags[8]])
        await theirs.refresh()
        self.assertEqual(list(theirs.index.uids), [2, 4, 5])


class HangingTests(RecallingCase):
    server: OwnServer | None = None

    async def make_store(self, **options: Any) -> MailStore:
        if self.server is None:
            self.server = await OwnServer.start(self)
            self.uri = self.server.uri
        return await super().make_store(times=Times(command=1.0), **options)

    async def test_a_database_that_does_not_answer(self) -> None:
        assert self.server is not None
        await self.put(self.account, "INBOX", simple())
        await self.followed()
        reader = await self.reader()
        # Nothing is \Recent from here on, and has to be claimed.
        await reader.say("SELECT INBOX")
        await reader.say("UNSELECT")
        await self.until(lambda: self.is_known("INBOX"))
        self.server.signal(signal.SIGSTOP)
        try:
            self.assertIn("OK", (await reader.say("SELECT INBOX"))[-1])
            for command in ("UID FETCH 1:* (FLAGS)", "SEARCH ALL"):
                [said] = await reader.say(command)
                self.assertIn("NO [UNAVAILABLE]", said)
        finally:
            self.server.signal(signal.SIGCONT)
        [found, _] = await reader.say("UID SEARCH ALL")
        self.assertEqual(found, "* SEARCH 1")
        await self.over(reader)
        self.assertEqual([each.sessions for each in self.here._registry], [0])


class RandomTests(RecallingCase):
    """Whatever another process does, and however late that is heard of here."""

    timeout = 600

    async def setUp(self) -> None:
        await super().setUp()
        self.slow = Slow(self.here)
        #: How often something was done, or answered.
        self.did: dict[str, int] = {}

    async def test_each_command_behind_select_sees_all_that_was_done_before(self) -> None:
        seed = int(os.environ.get("DUCKMAIL_TEST_SEED", "1"))
        steps = int(os.environ.get("DUCKMAIL_TEST_STEPS", "60"))
        # What is done does not depend on how quickly it is answered.
        self.random, self.dice = random.Random(seed), random.Random(seed)
        for name in ("a", "b"):
            await self.account.create(name)
        self.disturb_answers()
        readers = [await self.reader("CONDSTORE") for _ in range(3)]
        for step in range(steps):
            await self.disturb()
            for _ in range(self.random.randrange(4)):
                await self.change(
                    self.random.choice((self.elsewhere, self.elsewhere, self.account))
                )
            names = [self.random.choice(("INBOX", "a", "b")) for _ in readers]
            self.failing = self.random.choice((0,) * 5 + (1, 2, 3))
            try:
                ended = await gatherResults(
                    [
                        Deferred.fromCoroutine(self.look(*each))
                        for each in zip(readers, names, strict=True)
                    ],
                    consumeErrors=True,
                )
            except FirstError as failed:
                print(f"seed {seed}, step {step}")
                failed.subFailure.raiseException()
            self.failing = 0
            for number, is_over in enumerate(ended):
                if is_over:
                    await self.over(readers[number])
                    readers[number] = await self.reader("CONDSTORE")
        for reader in readers:
            await self.over(reader)
        registry = self.here._registry
        await self.until(lambda: not any(each.sessions for each in registry))
        self.assertLessEqual(set(registry._named.values()), set(registry))
        self.assertEqual([what for what in _ALL if not self.did.get(what)], [])

    def disturb_answers(self) -> None:
        """What was read first need not be there first, and now and then the database is away."""
        mongo: Any = self.here.mongo
        original = mongo.snapshot

        async def snapshot(*arguments: Any, **options: Any) -> Any:
            if self.failing:
                self.failing -= 1
                raise errors.Unavailable("away")
            found = await original(*arguments, **options)
            if self.dice.randrange(3) == 0:
                await self.pause(self.dice.random() * 0.01)
            return found

        self.failing = 0
        mongo.snapshot = snapshot

    async def disturb(self) -> None:
        what = self.random.randrange(8)
        if what == 0:
            self.slow.let_go()
        elif what == 1:
            self.slow.hold()
        elif what == 2:
            self.here._registry.wake_all()
        elif what == 3:
            for each in list(self.here._registry):
                if not each.sessions and self.random.random() < 0.3:
                    self.here._registry._forget(each)
        elif what == 4:
            await self.pause(0.03)
        if self.random.randrange(3) == 0:
            # As it is with who looks at the same mailboxes again and again.
            self.slow.let_go()
            for name in ("INBOX", "a", "b"):
                try:
                    for _ in range(2):
                        await (await self.account.select(name, True)).close()
                except errors.NonExistent:
                    pass
            self.slow.hold()

    async def change(self, account: StoreAccount) -> None:
        names = ["INBOX", "a", "b"]
        name = self.random.choice(names)
        what = self.random.choice(
            ("put", "put", "put", "store", "store", "remove", "move", "rename", "again", "create")
        )
        try:
            if what == "put":
                flags = self.random.sample(_FLAGS, self.random.randrange(3))
                count = self.random.randrange(1, 4)
                await self.put(account, name, *map(simple, range(count)), flags=flags)
            elif what == "create":
                await account.create(name)
            elif what == "again":
                await account.delete(name)
                await account.create(name)
            elif what == "rename":
                await account.rename(
                    name, self.random.choice(["b", f"c{self.random.randrange(10**9)}"])
                )
                if name != "INBOX" and self.random.randrange(2):
                    await account.create(name)
            else:
                mailbox = await account.select(name, False)
                try:
                    await self.change_in(mailbox, what)
                finally:
                    await mailbox.close()
        except (errors.ClientError, errors.Contention) as error:
            what = f"{what}: {error}"
        self.did[what] = self.did.get(what, 0) + 1

    async def change_in(self, mailbox: StoreMailbox, what: str) -> None:
        uids = list(mailbox.index.uids)
        some = sorted(self.random.sample(uids, min(len(uids), self.random.randrange(1, 4))))
        if what == "store":
            kind = self.random.choice(("add", "remove", "replace"))
            await mailbox.store(some, FlagChange(kind, frozenset(self.random.sample(_FLAGS, 2))))
        elif what == "remove":
            await mailbox.remove(some)
        else:
            await mailbox.move(some, self.random.choice(["INBOX", "a", "b"]))

    async def look(self, reader: Reader, name: str) -> bool:
        """SELECT and ask; whether the connection was ended."""
        truth = await self.truth(name)
        known = self.is_known(name)
        verb = self.dice.choice(("SELECT", "EXAMINE"))
        how = self.dice.choice(("fetch", "search", "store"))
        command = {
            "fetch": "UID FETCH 1:* (FLAGS MODSEQ)",
            "search": "UID SEARCH ALL",
            "store": "FETCH 1:* (UID FLAGS MODSEQ)",
        }[how]
        condstore = self.dice.choice(("", " (CONDSTORE)"))
        if self.dice.randrange(2):
            first, second = reader.give(f"{verb} {name}{condstore}", command)
            said = await reader.answer(first)
        else:
            [first] = reader.give(f"{verb} {name}{condstore}")
            said = await reader.answer(first)
            [second] = reader.give(command)
        answer = await reader.answer(second)
        outcome = " ".join(
            ["known" if known else "unknown", said[-1].split()[1], answer[-1].split()[1]]
        )
        self.did[outcome] = self.did.get(outcome, 0) + 1
        if answer[-1].startswith("* BYE"):
            # What SELECT said was of another mailbox, and nothing was said of that.
            self.assertNotEqual(reader.mailbox_id, truth and truth[0])
            return True
        if "[UNAVAILABLE]" in said[-1] or "[UNAVAILABLE]" in answer[-1]:
            # NOOP, too, if it can't be had.
            await reader.say("NOOP")
            return reader.transport.closed
        if truth is None:
            self.assertIn(f"{first} NO", said[-1])
            return False
        self.assertIn(f"{first} OK", said[-1])
        self.assertEqual(reader.mailbox_id, truth[0])
        if how == "search":
            [found] = [line for line in answer if line.startswith("* SEARCH")]
            self.assertEqual([int(uid) for uid in found.split()[2:]], sorted(truth[1]))
        elif how == "fetch":
            picture = {uid: (modseq, flags) for uid, modseq, flags in reader.picture}
            self.assertEqual(picture, truth[1])
        else:
            told = {uid for uid, _, _ in reader.picture}
            self.assertLessEqual(truth[1].keys(), told)
            for uid, modseq, flags in reader.picture:
                if uid in truth[1]:
                    self.assertEqual((modseq, flags), truth[1][uid])
        await reader.say("NOOP")
        self.assertEqual(len(reader.picture), len(truth[1]))
        return False

    async def truth(self, name: str) -> tuple[str, dict[int, Any]] | None:
        """What another process has."""
        try:
            mailbox = await self.elsewhere.select(name, True)
        except errors.NonExistent:
            return None
        await mailbox.refresh()
        try:
            return mailbox.mailbox_id, state(mailbox.index)
        finally:
            await mailbox.close()
