"""A client that believes what it is told, and protests when that cannot be, or must not be told then.

Its picture of the mailbox it has selected comes from untagged responses and from its own commands alone.  It is compared
with the truth whenever the server has had to tell everything.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Literal

import attrs

from tests.model.truth import Mailbox
from tests.model.wire import PATIENCE, Wire
from twisted_duck.values import RECENT, FlagChange, Flags, UIDSet

Kind = Literal["plain", "CONDSTORE", "QRESYNC"]

_HIGHEST = re.compile(r"\[HIGHESTMODSEQ (\d+)\]")
_FETCH = re.compile(r"\* (\d+) FETCH \((.*)\)")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_UID = re.compile(r"UID (\d+)")
_MODSEQ = re.compile(r"MODSEQ \((\d+)\)")
_SIZE = re.compile(r"RFC822\.SIZE (\d+)")
_VANISHED = re.compile(r"\* VANISHED (\(EARLIER\) )?(\S+)")
_COUNT = re.compile(r"\* (\d+) (EXISTS|EXPUNGE)")


def uids_of(text: str) -> list[int]:
    ranges = (each.partition(":")[::2] for each in text.split(","))
    return [uid for low, high in ranges for uid in range(int(low), int(high or low) + 1)]


def code(line: str, name: str) -> list[str]:
    """The values of a response code; none where it is not there."""
    found = re.search(rf"\[{name} ([^]]*)\]", line)
    return found[1].split() if found else []


@attrs.frozen
class Cache:
    """What a client keeps of a mailbox that it leaves: all UIDs below `next` that were there at `modseq`, and their flags."""

    modseq: int
    next: int
    flags: dict[int, Flags]


class Session:
    #: Commands during which the numbers of messages must not move (RFC 3501 §7.4.1).
    QUIET: ClassVar[tuple[str, ...]] = ("FETCH", "STORE", "SEARCH")

    def __init__(self, name: str, kind: Kind, port: int, transcript: deque[str]) -> None:
        self.name = name
        self.kind: Kind = kind
        self._port = port
        self._transcript = transcript
        self._wire: Wire | None = None
        self.mailbox: Mailbox | None = None
        #: The UIDs of the messages in order, None where one has not been told yet.
        self.numbers: list[int | None] = []
        #: The flags of messages as they were told, and the modseq at which they were that.
        self.flags: dict[int, Flags] = {}
        self._at: dict[int, int] = {}
        #: RFC 7162 §6: what happened up to this modseq need not be told again.
        self.modseq = 0
        #: The last HIGHESTMODSEQ.
        self._highest = 0
        #: The messages with lower UIDs are all known.
        self.next = 1
        self.idling = False
        self.caches: dict[str, Cache] = {}
        #: What the command that is under way was told by FETCH and VANISHED.
        self.fetched: list[int] = []
        self.vanished: list[int] = []
        #: What it does to flags while it is told modseqs without them.
        self._doing: FlagChange | None = None

    # --- coming and going ---------------------------------------------------------------------------------------------

    @property
    def wire(self) -> Wire:
        if self._wire is None:
            self._wire = Wire(self.name, self._port, self._transcript)
            if self.kind != "plain":
                self._wire.say(f"ENABLE {self.kind}")
        return self._wire

    def disconnect(self) -> None:
        """Without a word."""
        self._forget()
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def unselect(self) -> None:
        if self.idling:
            self.done()
        if self.mailbox is not None:
            self.wire.say("UNSELECT")
        self._forget()

    def left(self) -> None:
        """By a command that says nothing of what it did."""
        self._forget()

    def _forget(self) -> None:
        if self.mailbox is not None and self.kind != "plain":
            self.caches[self.mailbox.name] = self.cache()
        self.mailbox = None
        self.idling = False
        self.numbers.clear()
        self.flags.clear()
        self._at.clear()

    def cache(self) -> Cache:
        known = {uid: flags for uid, flags in self.flags.items() if uid < self.next}
        return Cache(self.modseq, self.next, known)

    def select(self, mailbox: Mailbox, *, readonly: bool = False, arguments: str = "") -> list[str]:
        """The answer, which has still to be heard."""
        self._forget()
        command = "EXAMINE" if readonly else "SELECT"
        lines = self.wire.say(f"{command} {mailbox.name}{arguments}")
        self.mailbox, self.modseq, self._highest, self.next = mailbox, 0, 0, 1
        assert lines[-1].startswith("a OK "), lines[-1]
        told = "".join(lines)
        assert code(told, "UIDVALIDITY") == [str(mailbox.uidvalidity)], told
        [next_uid], [highest] = code(told, "UIDNEXT"), code(told, "HIGHESTMODSEQ")
        found, truth = (int(next_uid), int(highest)), (mailbox.uidnext, mailbox.modseq)
        # What the other process has done a moment ago may be told with the next command only; not so to who asks what was missed.
        behind = found[0] <= truth[0] and found[1] < truth[1] and not arguments
        assert found == truth or behind, f"{truth} are UIDNEXT and HIGHESTMODSEQ"
        return lines

    def open(self, mailbox: Mailbox, *, readonly: bool = False) -> None:
        """SELECT, and a fetch of everything."""
        self.hear(self.select(mailbox, readonly=readonly))
        self.run("UID FETCH 1:* (FLAGS)")
        self.next = mailbox.uidnext
        self.check_numbers()
        self.check_flags()

    def come_back(self, mailbox: Mailbox, cache: Cache, variant: int, *, readonly: bool) -> None:
        """With what was kept of the mailbox; then it knows the truth again, having been told only what it missed."""
        if self.kind == "QRESYNC" and cache.modseq:
            self._by_qresync(mailbox, cache, variant, readonly)
        else:
            self._by_changedsince(mailbox, cache, readonly)
        known = self.modseq
        self.run(f"UID FETCH {self.next}:* (FLAGS)")
        self.modseq, self.next = max(known, self.modseq), mailbox.uidnext
        self.check_numbers()
        self.check_flags(everything=True)

    def _by_qresync(self, mailbox: Mailbox, cache: Cache, variant: int, readonly: bool) -> None:
        """RFC 7162 §3.2.5: with and without the UIDs that are known, and the numbers that some had."""
        asked = set(range(1, 2**20))
        arguments = f"{mailbox.uidvalidity} {cache.modseq}"
        uids = sorted(cache.flags)
        if variant % 3 and cache.next > 1:
            asked = set(range(1, cache.next))
            known = f"1:{cache.next - 1}"
            if variant % 3 == 2 and uids:
                asked, known = set(uids), str(UIDSet.of(uids))
            arguments += f" {known}"
            if variant % 2 and uids:
                some = sorted({1, (len(uids) + 1) // 2, len(uids)})
                pairs = ",".join(map(str, some)), ",".join(str(uids[n - 1]) for n in some)
                arguments += " ({} {})".format(*pairs)
        lines = self.select(mailbox, readonly=readonly, arguments=f" (QRESYNC ({arguments}))")
        self._believe(cache)
        left = sorted(self.flags.keys() - mailbox.gone.keys())
        self.numbers[: len(left)] = left
        # What was there and is not any more has no number; the place of what is new is above all that was known.
        self.hear(lines)
        missed = mailbox.changed_since(cache.modseq) & asked
        assert sorted(self.fetched) == sorted(missed), f"missed are {missed}"
        lost = mailbox.gone_since(cache.modseq) & asked
        if "(" not in arguments:
            assert sorted(self.vanished) == sorted(lost), f"{lost} are gone"
        assert lost >= set(self.vanished), f"only {lost} are gone"

    def _by_changedsince(self, mailbox: Mailbox, cache: Cache, readonly: bool) -> None:
        """RFC 7162 §3.1.4.1, and what lives by SEARCH."""
        self.hear(self.select(mailbox, readonly=readonly))
        known = self.modseq
        self._believe(cache)
        lines = self.run(f"UID SEARCH UID 1:{max(1, cache.next - 1)}")
        [found] = [line for line in lines if line.startswith("* SEARCH")]
        living = [int(uid) for uid in found.split()[2:] if int(uid) < cache.next]
        for uid in self.flags.keys() - living:
            del self.flags[uid]
        self.numbers[: len(living)] = living
        if cache.modseq and cache.next > 1:
            self.run(f"UID FETCH 1:{cache.next - 1} (FLAGS) (CHANGEDSINCE {cache.modseq})")
            missed = {uid for uid in mailbox.changed_since(cache.modseq) if uid < cache.next}
            assert sorted(self.fetched) == sorted(missed), f"missed are {missed}"
        self.modseq = max(known, self.modseq)

    def _believe(self, cache: Cache) -> None:
        self.flags = dict(cache.flags)
        self.next = cache.next

    # --- talking ------------------------------------------------------------------------------------------------------

    def run(self, command: str, *, doing: FlagChange | None = None) -> list[str]:
        """`doing`: what the command does to flags without asking for the outcome."""
        self.send(command)
        quiet = command.startswith(self.QUIET)
        return self.hear(self.wire.answer(), quiet=quiet, doing=doing)

    def send(self, command: str) -> None:
        assert self.idling or self.wire.quiet, f"{self.name} was told something between commands"
        self.wire.send(f"a {command}")

    def idle(self) -> None:
        self.send("IDLE")
        assert self.wire.line().startswith("+ ")
        self.idling = True

    def done(self) -> None:
        """IDLE must tell everything, by and by, whichever process it was done in."""
        while self.differs():
            try:
                self.hear([self.wire.line(PATIENCE / 2)])
            except TimeoutError:
                raise AssertionError(f"IDLE does not tell {self.name}: {self.differs()}") from None
        self.wire.send("DONE")
        self.hear(self.wire.answer())
        self.idling = False
        if self.differs():
            # It looked as after all that has happened, and had heard of none of it: of a part it heard just now.
            self.noop()

    def noop(self) -> None:
        """NOOP must tell everything, and what was done in the other process once that is heard of."""
        patient = time.monotonic() + PATIENCE / 2
        self.run("NOOP")
        while wrong := self.differs():
            assert time.monotonic() < patient, f"NOOP does not tell {self.name}: {wrong}"
            self.run("NOOP")

    def hear(
        self, lines: list[str], *, quiet: bool = False, doing: FlagChange | None = None
    ) -> list[str]:
        """`quiet`: the numbers must not move."""
        self.fetched, self.vanished, self._doing = [], [], doing
        highest, told = None, 0
        for line in lines:
            if found := _HIGHEST.search(line):
                highest = int(found[1])
                assert highest >= self._highest, f"HIGHESTMODSEQ was {self._highest}"
                assert self.mailbox is None or highest <= self.mailbox.modseq, line
                self._highest = highest
            if found := _VANISHED.fullmatch(line):
                assert not quiet or found[1], f"{line} while numbers must not move"
                assert not (found[1] and self.fetched), f"{line} behind FETCH"
                self._vanish(uids_of(found[2]), earlier=bool(found[1]))
            elif found := _FETCH.fullmatch(line):
                told = max(told, self._fetch(int(found[1]), found[2]))
            elif found := _COUNT.fullmatch(line):
                assert not (quiet and found[2] == "EXPUNGE"), f"{line} while numbers must not move"
                self._count(int(found[1]), found[2])
        if highest is not None:
            self.modseq = highest
        else:
            self.modseq = max(self.modseq, told)
        return lines

    def _vanish(self, uids: list[int], *, earlier: bool) -> None:
        assert self.kind == "QRESYNC" and self.mailbox is not None
        for uid in uids:
            assert uid in self.mailbox.gone, f"UID {uid} lives"
            self.vanished.append(uid)
            self.flags.pop(uid, None)
            if not earlier:
                del self.numbers[self._place(uid)]

    def _place(self, uid: int) -> int:
        """Where a message stands; if its UID was never told, one of those between its neighbours."""
        if uid in self.numbers:
            return self.numbers.index(uid)
        above = (n for n, known in enumerate(self.numbers) if known is not None and known > uid)
        place = next(above, len(self.numbers)) - 1
        assert place >= 0 and self.numbers[place] is None, f"UID {uid} had no number"
        return place

    def _fetch(self, number: int, items: str) -> int:
        assert self.mailbox is not None and number <= len(self.numbers), f"no message {number}"
        known = self.numbers[number - 1]
        if found := _UID.search(items):
            uid = int(found[1])
            assert known in (None, uid), f"message {number} was {known}, not {uid}"
            known = self.numbers[number - 1] = uid
            told = [each for each in self.numbers if each is not None]
            assert told == sorted(set(told)), f"UIDs do not ascend: {told}"
        modseq = int(found[1]) if (found := _MODSEQ.search(items)) else None
        assert (modseq is None) == (self.kind == "plain"), f"MODSEQ in {items}"
        if known is None:
            return modseq or 0
        self.fetched.append(known)
        if found := _SIZE.search(items):
            assert int(found[1]) == self.mailbox.messages[known].size, items
        if found := _FLAGS.search(items):
            self._hear_flags(known, frozenset(found[1].split()) - {RECENT}, modseq)
        elif modseq is not None and self._doing is not None and known in self.flags:
            self.flags[known] = self._doing.apply(self.flags[known])
        if modseq is not None:
            assert modseq in self.mailbox.versions[known], f"UID {known} never had modseq {modseq}"
            assert modseq >= self._at.get(known, 0), f"UID {known}: modseq fell"
            self._at[known] = modseq
        return modseq or 0

    def _hear_flags(self, uid: int, flags: Flags, modseq: int | None) -> None:
        """They were these once, and not before those that were told before."""
        assert self.mailbox is not None
        versions = self.mailbox.versions[uid]
        if modseq is None:
            before = self._at.get(uid, 0)
            fitting = [at for at, were in versions.items() if at >= before and were == flags]
            assert fitting, f"UID {uid} was never {set(flags)} since {before}"
            self._at[uid] = min(fitting)
        else:
            assert versions.get(modseq) == flags, f"UID {uid} at {modseq}: {versions}"
        self.flags[uid] = flags

    def _count(self, number: int, what: str) -> None:
        if what == "EXISTS":
            assert number >= len(self.numbers), "EXISTS shrank"
            self.numbers.extend([None] * (number - len(self.numbers)))
            return
        assert self.kind != "QRESYNC", "EXPUNGE in place of VANISHED"
        assert self.mailbox is not None
        uid = self.numbers.pop(number - 1)
        if uid is not None:
            assert uid in self.mailbox.gone, f"UID {uid} lives"
            self.flags.pop(uid, None)

    # --- the truth ----------------------------------------------------------------------------------------------------

    def differs(self) -> str:
        """What the client does not know; nothing if it knows everything."""
        assert self.mailbox is not None
        uids = self.mailbox.uids
        if len(uids) != len(self.numbers):
            return f"{len(uids)} messages are there, not {len(self.numbers)}"
        for number, (uid, told) in enumerate(zip(uids, self.numbers, strict=True), 1):
            if told not in (None, uid):
                return f"message {number} is {uid}, not {told}"
        return self._flags_differ()

    def _flags_differ(self) -> str:
        assert self.mailbox is not None
        for uid, flags in self.flags.items():
            message = self.mailbox.messages.get(uid)
            if message is not None and message.flags != flags:
                return f"UID {uid} is {set(message.flags)}, not {set(flags)}"
        return ""

    def check_numbers(self) -> None:
        """After the server has had to tell everything."""
        assert not (wrong := self.differs()), f"{self.name}: {wrong}"

    def check_flags(self, *, everything: bool = False) -> None:
        """After the server has had to tell all flags; `everything`: the client knows no other messages than those there are."""
        assert self.mailbox is not None
        assert not (wrong := self._flags_differ()), f"{self.name}: {wrong}"
        missing = [uid for uid in self.mailbox.uids if uid < self.next and uid not in self.flags]
        assert not missing, f"{self.name} knows nothing of {missing}"
        if everything:
            assert sorted(self.flags) == self.mailbox.uids, f"{self.name} knows {set(self.flags)}"

    def look(self) -> None:
        """The numbers are those of the messages that were told (RFC 3501 §2.3.1.2), whether or not they live."""
        assert self.mailbox is not None
        before = list(self.numbers)
        self.run("FETCH 1:* (UID)")
        told = set(self.fetched)
        for number, uid in enumerate(before, 1):
            now = self.numbers[number - 1]
            assert now in told or (now is None or now in self.mailbox.gone), f"{number}: {uid}"

    def fetch_new(self) -> None:
        """What it has not asked for yet."""
        self.run(f"UID FETCH {self.next}:* (FLAGS)")
        self.next = max([self.next, *(uid + 1 for uid in self.known_numbers())])

    def known_numbers(self) -> Sequence[int]:
        """The UIDs of the messages 1, 2, ...: as far as they are known without a gap."""
        known = []
        for uid in self.numbers:
            if uid is None:
                break
            known.append(uid)
        return known
