"""Sessions at random in one mailbox, each followed by a client that believes what it is told.

A shadow keeps its picture of the mailbox by untagged responses and by its own commands only, as a client does.  It
protests when it is told what cannot be, or what must not be told then; and when everybody has been told everything, all
pictures are the same.
"""

from __future__ import annotations

import random
import re
from typing import ClassVar

from tests.imap.transcript import IMAPCase
from tests.transcript import Client
from twisted_duck.values import RECENT, SYSTEM_FLAGS, FlagChange

_NUMBERED = re.compile(r"\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH)(?: \((.*)\))?")
_UID = re.compile(r"UID (\d+)")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_FLAGS_CHOICES = (*SYSTEM_FLAGS, "Work", "$Later")
_MODES = {"+FLAGS": "add", "-FLAGS": "remove", "FLAGS": "replace"}


class Shadow:
    """One session's client.  A message is [UID, flags], each None while it has not been told."""

    #: Which selection was told of a UID as \\Recent.
    recent: ClassVar[dict[int, tuple[str, int]]] = {}

    def __init__(self, case: IMAPCase, name: str) -> None:
        self.case = case
        self.name = name
        self.client: Client = case.client(name)
        self.messages: list[list] = []  # type: ignore[type-arg]
        self.selections = 0
        self.select()

    def select(self) -> None:
        self.selections += 1
        self.messages.clear()
        self.run("SELECT INBOX", quiet=True)
        self.run("FETCH 1:* (UID FLAGS)", quiet=True)

    def run(self, command: str, *, quiet: bool = False) -> bool:
        """Whether it was OK.  `quiet`: the numbers of messages must not move."""
        lines = self.client.say(f"a {command}")
        for line in lines[:-1]:
            if found := _NUMBERED.fullmatch(line):
                if quiet and found[2] == "EXPUNGE":
                    self.case.fail(f"{line} during {command}")
                self.hear(int(found[1]), found[2], found[3] or "")
        self.case.assertRegex(lines[-1], r"\Aa (OK|NO \[EXPUNGEISSUED\]) ")
        return lines[-1].startswith("a OK")

    def hear(self, number: int, what: str, items: str) -> None:
        if what == "EXISTS":
            self.case.assertGreaterEqual(number, len(self.messages), "EXISTS shrank")
            self.messages.extend([None, None] for _ in range(number - len(self.messages)))
        elif what == "EXPUNGE":
            del self.messages[number - 1]
        elif what == "FETCH":
            message = self.messages[number - 1]
            if uid := _UID.search(items):
                self.case.assertIn(message[0], (None, int(uid[1])), "another message's UID")
                message[0] = int(uid[1])
            if flags := _FLAGS.search(items):
                self.flags(message, set(flags[1].split()))

    def flags(self, message: list, flags: set[str]) -> None:  # type: ignore[type-arg]
        if RECENT in flags and message[0] is not None:
            me = self.name, self.selections
            owner = self.recent.setdefault(message[0], me)
            self.case.assertEqual(owner, me, f"UID {message[0]} is \\Recent twice")
        message[1] = frozenset(flags - {RECENT})

    def some(self, chance: random.Random) -> str:
        first, last = sorted(chance.choices(range(1, len(self.messages) + 1), k=2))
        return f"{first}:{last}" if chance.random() < 0.7 else f"{first},{last}"

    def store(self, chance: random.Random) -> None:
        numbers, item = self.some(chance), chance.choice(list(_MODES))
        flags = chance.sample(_FLAGS_CHOICES, k=chance.randrange(3))
        silent = ".SILENT" if chance.random() < 0.5 else ""
        self.run(f"STORE {numbers} {item}{silent} ({' '.join(flags)})", quiet=True)
        if silent:
            change = FlagChange(_MODES[item], frozenset(flags))  # type: ignore[arg-type]
            low, high = (int(n) for n in re.split("[:,]", numbers))
            for number in range(low, high + 1) if ":" in numbers else {low, high}:
                message = self.messages[number - 1]
                if message[1] is not None:
                    message[1] = change.apply(message[1])

    def do_something(self, chance: random.Random) -> None:
        if not self.messages or chance.random() < 0.1:
            self.client.send(b"a APPEND INBOX {1+}\r\n")
            self.run_rest("x")
            return
        match chance.randrange(12):
            case 0 | 1 | 2:
                self.store(chance)
            case 3:
                self.run(f"FETCH {self.some(chance)} (UID FLAGS)", quiet=True)
            case 4:
                self.run(f"FETCH {self.some(chance)} BODY[9]", quiet=True)
            case 5:
                self.run("UID FETCH 1:* FLAGS")
            case 6:
                self.run("SEARCH ALL", quiet=True)
            case 7 if len(self.messages) < 30:
                self.run(f"COPY {self.some(chance)} INBOX")
            case 7:
                self.run(rf"STORE {self.some(chance)} +FLAGS.SILENT (\Deleted)", quiet=True)
                self.select()
            case 8:
                self.run(f"MOVE {self.some(chance)} INBOX")
            case 9:
                self.run("EXPUNGE")
            case 10:
                self.run("UID EXPUNGE 1:*")
            case 11:
                if chance.random() < 0.2:
                    self.select()
                else:
                    self.run("NOOP")

    def run_rest(self, line: str) -> None:
        lines = self.client.say(line)
        for each in lines[:-1]:
            if found := _NUMBERED.fullmatch(each):
                self.hear(int(found[1]), found[2], found[3] or "")


class ShadowTests(IMAPCase):
    def test_all_pictures_become_the_same(self) -> None:
        for seed in range(12):
            with self.subTest(seed=seed):
                if seed:
                    self.tearDown()
                    self.setUp()
                self.run_sessions(random.Random(seed))

    def run_sessions(self, chance: random.Random) -> None:
        Shadow.recent = {}
        self.deliver("INBOX", *[b"x"] * 5)
        shadows = [Shadow(self, name) for name in ("1", "2", "3")]
        for step in range(400):
            chance.choice(shadows).do_something(chance)
            if step % 50 == 49:
                for shadow in shadows:
                    shadow.run("NOOP")
                    self.compare(shadow)

    def compare(self, shadow: Shadow) -> None:
        index = self.do("select", "INBOX", True).index
        truth = [(uid, flags) for uid, _, flags in index.rows(index.uids)]
        self.assertEqual(len(shadow.messages), len(truth))
        for (uid, flags), (true_uid, true_flags) in zip(shadow.messages, truth, strict=True):
            self.assertIn(uid, (None, true_uid))
            self.assertIn(flags, (None, true_flags), f"flags of {true_uid} for {shadow.name}")
