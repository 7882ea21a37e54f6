"""Clients that keep a picture of a mailbox between their sessions, while others change it at random.

One kind comes back by QRESYNC (RFC 7162 §3.2.5), the other one by CHANGEDSINCE and UID SEARCH (§3.1.4.1).  Both leave at any
moment, also without a word, and remember the modseq that §6 says.  Whenever one has come back its picture is the truth.
"""

from __future__ import annotations

import random
import re
from functools import partial
from typing import ClassVar

from tests.imap.test_shadow import Shadow
from tests.imap.transcript import IMAPCase
from twisted_duck.index import MailboxIndex
from twisted_duck.memory import model
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.values import RECENT, SEEN, FlagChange, Flags, UIDSet

_HIGHEST = re.compile(r"\[HIGHESTMODSEQ (\d+)\]")
_FETCH = re.compile(r"\* (\d+) FETCH \((.*)\)")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_UID = re.compile(r"UID (\d+)")
_MODSEQ = re.compile(r"MODSEQ \((\d+)\)")
_VANISHED = re.compile(r"\* VANISHED (\(EARLIER\) )?(\S+)")
_COUNT = re.compile(r"\* (\d+) (EXISTS|EXPUNGE)")


def uids_of(text: str) -> list[int]:
    ranges = (each.partition(":")[::2] for each in text.split(","))
    return [uid for low, high in ranges for uid in range(int(low), int(high or low) + 1)]


class Cache:
    """A client and what it keeps; `flags` are those of the UIDs below `next`."""

    #: Commands in which numbers must not move.
    QUIET: ClassVar[tuple[str, ...]] = ("FETCH", "STORE", "SEARCH")
    #: What it is told in place of EXPUNGE, and by what it can tell messages apart.
    extension: ClassVar[str]

    def __init__(self, case: CacheTests, name: str) -> None:
        self.case = case
        self.name = name
        self.flags: dict[int, Flags] = {}
        self.next = 1
        self.modseq = 0
        #: The UIDs of the messages in order, as far as they are known; empty while no mailbox is selected.
        self.numbers: list[int | None] = []
        self.selected = False
        #: What it does to flags while it is told modseqs without them.
        self.doing: FlagChange | None = None

    # --- what it hears ------------------------------------------------------------------------------------------------

    def run(self, command: str) -> list[str]:
        lines = self.case.client(self.name).say(f"a {command}")
        quiet = command.startswith(self.QUIET)
        highest, told = None, 0
        fetched = False
        for line in lines:
            if found := _HIGHEST.search(line):
                highest = int(found[1])
            if found := _VANISHED.fullmatch(line):
                self.case.assertFalse(fetched and found[1], "VANISHED (EARLIER) behind FETCH")
                self.case.assertFalse(quiet and not found[1], f"{line} during {command}")
                self.vanish(uids_of(found[2]), earlier=bool(found[1]))
            elif found := _FETCH.fullmatch(line):
                fetched = True
                told = max(told, self.fetch(int(found[1]), found[2]))
            elif found := _COUNT.fullmatch(line):
                self.case.assertFalse(quiet and found[2] == "EXPUNGE", f"{line} during {command}")
                self.count(int(found[1]), found[2])
        self.case.assertRegex(lines[-1], r"\Aa (OK|NO \[(EXPUNGEISSUED|MODIFIED)) ?")
        # RFC 7162 §6.
        self.modseq = max(self.modseq, told) if highest is None else highest
        return lines

    def vanish(self, uids: list[int], *, earlier: bool) -> None:
        self.case.assertEqual(self.extension, "QRESYNC")
        for uid in uids:
            self.flags.pop(uid, None)
            if not earlier:
                del self.numbers[self.place(uid)]

    def place(self, uid: int) -> int:
        """Where a message stands; if it was never told its UID, one of those between its neighbours."""
        if uid in self.numbers:
            return self.numbers.index(uid)
        above = (n for n, known in enumerate(self.numbers) if known is not None and known > uid)
        place = next(above, len(self.numbers)) - 1
        self.case.assertTrue(place >= 0 and self.numbers[place] is None, f"{uid} has no place")
        return place

    def fetch(self, number: int, items: str) -> int:
        modseq = _MODSEQ.search(items)
        assert modseq is not None, f"no MODSEQ in {items}"
        if uid := _UID.search(items):
            known = self.numbers[number - 1]
            self.case.assertIn(known, (None, int(uid[1])), "another message's UID")
            self.numbers[number - 1] = known = int(uid[1])
        else:
            self.case.assertEqual(self.extension, "CONDSTORE")
            known = self.numbers[number - 1]
        if known is not None:
            if flags := _FLAGS.search(items):
                self.flags[known] = frozenset(flags[1].split()) - {RECENT}
            elif self.doing is not None and known in self.flags:
                self.flags[known] = self.doing.apply(self.flags[known])
        return int(modseq[1])

    def count(self, number: int, what: str) -> None:
        if what == "EXISTS":
            self.case.assertGreaterEqual(number, len(self.numbers), "EXISTS shrank")
            self.numbers.extend([None] * (number - len(self.numbers)))
        else:
            self.case.assertEqual(self.extension, "CONDSTORE")
            uid = self.numbers.pop(number - 1)
            if uid is not None:
                self.flags.pop(uid, None)

    # --- coming and going ---------------------------------------------------------------------------------------------

    def leave(self, chance: random.Random) -> None:
        match chance.randrange(4):
            case 0:
                self.case.client(self.name).disconnect()
                del self.case.clients[self.name]
            case 1:
                self.case.client(self.name).say("a UNSELECT")
            case 2:
                self.case.client(self.name).say("a EXAMINE Trash")
        self.selected = False
        self.numbers.clear()

    def come_back(self, chance: random.Random) -> None:
        before = self.modseq
        self.selected = True
        self.numbers.clear()
        self.flags = {uid: flags for uid, flags in self.flags.items() if uid < self.next}
        known = self.resynchronise(before, chance)
        self.fetch_new()
        # What it heard after SELECT it hears again next time.
        self.modseq = known

    def resynchronise(self, modseq: int, chance: random.Random) -> int:
        """The modseq up to which it knows everything that it knew of before."""
        raise AssertionError("each kind has its own way")

    def fetch_new(self) -> None:
        """Only what was asked for is known: UIDs may be heard of before."""
        modseq = self.modseq
        self.run(f"UID FETCH {self.next}:* (FLAGS)")
        self.modseq = modseq
        self.next = max([self.next, *(uid + 1 for uid in self.numbers if uid is not None)])

    def check(self) -> None:
        mine = dict(sorted(self.flags.items()))
        index = self.case.do("select", "INBOX", True).index
        truth = {uid: flags for uid, _, flags in index.rows(index.uids)}
        self.case.assertEqual(mine, truth, f"what {self.name} believes")

    # --- what it does -------------------------------------------------------------------------------------------------

    def do_something(self, chance: random.Random) -> None:
        if not self.selected:
            self.come_back(chance)
            if not self.case.restless:
                self.check()
            return
        count = len(self.numbers)
        match chance.randrange(9):
            case 0 | 1:
                self.leave(chance)
            case 2:
                self.run("NOOP")
                self.fetch_new()
                self.check()
            case 3 if count:
                self.run(f"FETCH {chance.randint(1, count)} (UID FLAGS)")
            case 4 if count:
                self.run(f"FETCH {chance.randint(1, count)} RFC822.SIZE")
            case 5 if count:
                self.store(chance, chance.randint(1, count))
            case 6 if count:
                since = chance.randint(1, self.modseq + 1)
                self.store(chance, chance.randint(1, count), f"(UNCHANGEDSINCE {since}) ")
            case 7:
                self.run("EXPUNGE")
            case 8 if count:
                self.run(f"MOVE {chance.randint(1, count)} INBOX")

    def store(self, chance: random.Random, number: int, condition: str = "") -> None:
        flags = chance.choice((SEEN, "\\Deleted", "$Later"))
        silent = chance.random() < 0.5
        self.doing = FlagChange("add", frozenset({flags})) if silent else None
        item = "+FLAGS.SILENT" if silent else "+FLAGS"
        self.run(f"STORE {number} {condition}{item} ({flags})")
        self.doing = None


class QResyncCache(Cache):
    extension = "QRESYNC"

    def resynchronise(self, modseq: int, chance: random.Random) -> int:
        self.run("ENABLE QRESYNC")
        self.next = max(self.next, 1)
        if not modseq:
            self.run("SELECT INBOX")
            return self.modseq
        known = f" 1:{self.next - 1}" if self.next > 1 and chance.random() < 0.7 else ""
        if known and chance.random() < 0.3:
            known = f" {UIDSet.of(self.flags)}" if self.flags else ""
        if self.flags and chance.random() < 0.5:
            uids = sorted(self.flags)
            numbers = sorted(chance.sample(range(len(uids)), k=min(3, len(uids))))
            some = ",".join(str(number + 1) for number in numbers)
            known += f" ({some} {','.join(str(uids[number]) for number in numbers)})"
        validity = self.case.do("status", "INBOX").uidvalidity
        self.run(f"SELECT INBOX (QRESYNC ({validity} {modseq}{known}))")
        mine = sorted(uid for uid in self.flags if uid < self.next)
        self.numbers[: len(mine)] = mine
        return self.modseq


class CondstoreCache(Cache):
    extension = "CONDSTORE"

    def resynchronise(self, modseq: int, chance: random.Random) -> int:
        self.run("SELECT INBOX (CONDSTORE)")
        known = self.modseq
        [found] = [line for line in self.run("UID SEARCH ALL") if line.startswith("* SEARCH")]
        living = [int(uid) for uid in found.split()[2:]]
        self.case.assertEqual(len(living), len(self.numbers))
        self.numbers[:] = living
        for uid in self.flags.keys() - living:
            del self.flags[uid]
        self.case.trouble(chance)
        if modseq and self.next > 1:
            self.run(f"UID FETCH 1:{self.next - 1} (FLAGS) (CHANGEDSINCE {modseq})")
        self.case.trouble(chance)
        return known


class CacheTests(IMAPCase):
    #: Whether others change the mailbox even while somebody comes back.
    restless = False

    def test_whoever_comes_back_knows_the_truth(self) -> None:
        for seed in range(10):
            with self.subTest(seed=seed):
                if seed:
                    self.tearDown()
                    self.setUp()
                self.run_clients(random.Random(seed))

    def test_also_where_little_is_remembered(self) -> None:
        short = partial(MailboxIndex, history=8)
        self.patch(model, "MailboxIndex", short)
        for seed in range(100, 106):
            with self.subTest(seed=seed):
                self.tearDown()
                self.setUp()
                self.run_clients(random.Random(seed))

    def test_also_where_nothing_is_remembered(self) -> None:
        async def nothing(mailbox: MemoryMailbox, modseq: int) -> None:
            return None

        self.patch(MemoryMailbox, "vanished_since", nothing)
        for seed in range(200, 206):
            with self.subTest(seed=seed):
                self.tearDown()
                self.setUp()
                self.run_clients(random.Random(seed))

    def test_also_while_others_go_on(self) -> None:
        self.restless = True
        for seed in range(300, 306):
            with self.subTest(seed=seed):
                self.tearDown()
                self.setUp()
                self.run_clients(random.Random(seed))

    def run_clients(self, chance: random.Random) -> None:
        Shadow.recent = {}
        self.deliver("INBOX", *[b"x"] * 8)
        self.shadows = [Shadow(self, name) for name in ("s1", "s2")]
        caches: list[Cache] = [
            QResyncCache(self, "q1"),
            QResyncCache(self, "q2"),
            CondstoreCache(self, "c1"),
        ]
        for _ in range(300):
            chance.choice((*self.shadows, *caches)).do_something(chance)
        for cache in caches:
            cache.leave(chance)
            restless, self.restless = self.restless, False
            cache.come_back(chance)
            cache.check()
            self.restless = restless

    def trouble(self, chance: random.Random) -> None:
        if self.restless:
            chance.choice(self.shadows).do_something(chance)
