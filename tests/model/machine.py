"""Random commands from six sessions, three each in two server processes, against the reference; all is checked after each.

A step is one command of one session, but for races.  After each step

* the session's numbers name the messages it was told of, and where the server has had to tell everything it knows everything;
* another connection, in either process in turn, takes over what the session has kept, and resynchronises by QRESYNC or by
  CHANGEDSINCE and UID SEARCH: it is told what was missed and nothing else, and then has what a full fetch says;
* UIDNEXT, HIGHESTMODSEQ and the counters are those of the reference, in which they only grow.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import ClassVar

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.model.session import Cache, Kind, Session, code, uids_of
from tests.model.truth import Mailbox, copy
from twisted_duck.values import DELETED, FLAGGED, SEEN, FlagChange, FlagMode, Flags, UIDSet

KINDS: tuple[Kind, ...] = ("QRESYNC", "CONDSTORE", "plain")
#: More messages than this are not appended to, and not copied.
FULL = 30
_ITEMS: dict[FlagMode, str] = {"add": "+FLAGS", "remove": "-FLAGS", "replace": "FLAGS"}

_DELETE = FlagChange("add", frozenset({DELETED}))
QUESTIONS = (
    "FETCH {} FLAGS",
    "FETCH {} RFC822.SIZE",
    "FETCH {} (UID BODY.PEEK[]<0.0>)",
    "SEARCH {}",
    "UID FETCH {} FLAGS",
    "UID FETCH {} RFC822.SIZE",
    "UID SEARCH DELETED",
)

who = st.integers(0, 2 * len(KINDS) - 1)
#: Where in a mailbox, and how many; both are taken modulo what is there, which depends on the moment.
chosen = st.tuples(st.integers(0, 50), st.integers(1, 4))
flag_sets = st.frozensets(st.sampled_from((SEEN, FLAGGED, DELETED, "$a", "$b")), max_size=2)
box = st.integers(0, 1)
changes = st.builds(FlagChange, st.sampled_from(list(_ITEMS)), flag_sets)


class World:
    """What lives longer than one run of commands: the connections to two processes."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.transcript: deque[str] = deque(maxlen=100)
        self.sessions = [
            Session(f"{process}.{kind}", kind, port, self.transcript)
            for process, port in enumerate(ports)
            for kind in KINDS
        ]
        self.auditors: dict[tuple[int, Kind], Session] = {
            (process, kind): Session(f"{process}.{kind}.audit", kind, port, self.transcript)
            for process, port in enumerate(ports)
            for kind in ("QRESYNC", "CONDSTORE")
        }
        #: What was done with an effect, and how often.
        self.did: Counter[str] = Counter()
        self.steps = 0
        #: What was said up to a failure.
        self.failed: list[str] = []
        self._numbers = count()

    @property
    def everybody(self) -> list[Session]:
        return [*self.sessions, *self.auditors.values()]

    def make_mailboxes(self) -> list[Mailbox]:
        wire = self.auditors[0, "CONDSTORE"].wire
        made = []
        for _ in range(2):
            name = f"model{next(self._numbers)}"
            self.transcript.clear()
            assert wire.say(f"CREATE {name}")[-1].startswith("a OK ")
            [status, _] = wire.say(f"STATUS {name} (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)")
            found = dict(re.findall(r"([A-Z]+) (\d+)", status.partition("(")[2]))
            values = (int(found[each]) for each in ("UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ"))
            made.append(Mailbox(name, *values))
        return made

    def close(self) -> None:
        for session in self.everybody:
            session.disconnect()


class Machine(RuleBasedStateMachine):
    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.boxes = self.world.make_mailboxes()
        self._size = count(100)
        self._turn = 0
        #: What clients of a kind knew of a mailbox lately: any of them may have been cut off then.
        self._kept: defaultdict[tuple[str, Kind], deque[Cache]] = defaultdict(
            lambda: deque(maxlen=20)
        )
        #: Whether a step has begun and not ended well.
        self._broken = False
        for session in self.world.everybody:
            session.caches.clear()
        for mailbox in self.boxes:
            self._append(self.world.sessions[0], mailbox, frozenset(), 4)
            self._append(self.world.sessions[0], mailbox, frozenset({DELETED}), 2)
        for session in self.world.sessions:
            session.open(self.boxes[0])

    @property
    def _some_box(self) -> Mailbox:
        """One of the two, and more often the one in which most sessions meet."""
        return self.boxes[self._turn % 4 == 0]

    # --- a step -------------------------------------------------------------------------------------------------------

    def step(
        self, number: int, act: Callable[[Session], Mailbox | None], *, anywhere: bool = False
    ) -> None:
        """`act` gives the mailbox to look at, if it is not the selected one; `anywhere`: none need be selected."""
        self._broken = True
        self._turn += 1
        self.world.steps += 1
        session = self.world.sessions[number]
        self._end_idle(session)
        if session.mailbox is None and not anywhere:
            self._open(session, self._some_box)
        touched = act(session)
        if session.mailbox is not None and not session.idling:
            session.look()
        self._audit(session, touched or session.mailbox or self._some_box)
        self._broken = False

    def _end_idle(self, session: Session) -> None:
        if session.idling:
            self.world.did["idle with news"] += bool(session.differs())
            session.done()
            session.check_numbers()
            session.check_flags()

    def _audit(self, session: Session, mailbox: Mailbox) -> None:
        kind: Kind = "CONDSTORE"
        cache = session.caches.get(mailbox.name, Cache(0, 1, {}))
        if session.mailbox is mailbox and session.kind != "plain":
            cache = session.cache()
            kept = self._kept[mailbox.name, session.kind]
            kept.append(cache)
            if self._turn % 2:
                cache = kept[self._turn * 5 % len(kept)]
        if session.kind == "QRESYNC" and self._turn % 3:
            kind = "QRESYNC"
        auditor = self.world.auditors[self._turn // 2 % 2, kind]
        auditor.come_back(mailbox, cache, self._turn, readonly=True)
        believed = dict(auditor.flags)
        auditor.flags.clear()
        auditor.run("UID FETCH 1:* (FLAGS RFC822.SIZE)")
        assert auditor.flags == believed, f"{believed} is not what a full fetch says"
        self._check_status(auditor, mailbox)

    def _check_status(self, auditor: Session, mailbox: Mailbox) -> None:
        items = "MESSAGES UNSEEN UIDNEXT HIGHESTMODSEQ"
        [status] = [
            line
            for line in auditor.run(f"STATUS {mailbox.name} ({items})")
            if line.startswith("* STATUS ")
        ]
        found = dict(re.findall(r"([A-Z]+) (\d+)", status.partition("(")[2]))
        unseen = len(mailbox.uids) - len(mailbox.with_flag(SEEN))
        expected = (len(mailbox.uids), unseen, mailbox.uidnext, mailbox.modseq)
        assert tuple(int(found[each]) for each in items.split()) == expected, f"{expected} it is"

    def _open(self, session: Session, mailbox: Mailbox, *, readonly: bool = False) -> None:
        cache = session.caches.get(mailbox.name)
        if session.mailbox is mailbox and session.kind != "plain":
            cache = session.cache()
        if cache is None or session.kind == "plain":
            session.open(mailbox, readonly=readonly)
        else:
            session.come_back(mailbox, cache, self._turn, readonly=readonly)
            missed = mailbox.gone_since(cache.modseq) and mailbox.changed_since(cache.modseq)
            self.world.did["came back"] += bool(missed)

    def _named(
        self, session: Session, where: tuple[int, int], *, uid: bool
    ) -> tuple[str, list[int]]:
        """Some messages in the words of a command, and their UIDs."""
        known = session.known_numbers()
        start = where[0] % len(known) if known else 0
        uids = list(known[start : start + where[1]])
        return str(UIDSet.of(uids if uid else range(start + 1, start + len(uids) + 1))), uids

    # --- commands that change something -------------------------------------------------------------------------------

    @rule(who=who, box=box, flags=flag_sets, many=st.integers(1, 3))
    def append(self, who: int, box: int, flags: Flags, many: int) -> None:
        """More than one: RFC 3502."""

        def act(session: Session) -> Mailbox:
            mailbox = self.boxes[box]
            if len(mailbox.uids) < FULL:
                self._append(session, mailbox, flags, many)
            return mailbox

        self.step(who, act, anywhere=True)

    def _append(self, session: Session, mailbox: Mailbox, flags: Flags, many: int) -> None:
        self.world.did["append"] += 1
        sizes = [next(self._size) for _ in range(many)]
        messages = " ".join(
            f"({' '.join(sorted(flags))}) {{{size}+}}\r\n{'x' * size}" for size in sizes
        )
        session.send(f"APPEND {mailbox.name} {messages}")
        lines = session.wire.answer()
        uids = mailbox.add((flags, size) for size in sizes)
        expected = [str(mailbox.uidvalidity), str(UIDSet.of(uids))]
        assert code(lines[-1], "APPENDUID") == expected, lines[-1]
        session.hear(lines)

    @rule(who=who, where=chosen, uid=st.booleans(), change=changes, silent=st.booleans())
    def store(
        self, who: int, where: tuple[int, int], uid: bool, change: FlagChange, silent: bool
    ) -> None:
        self.step(who, lambda session: self._store(session, where, change, uid, silent))

    @rule(
        who=who,
        where=chosen,
        uid=st.booleans(),
        change=changes,
        silent=st.booleans(),
        back=st.integers(0, 8),
    )
    def store_unchanged_since(
        self,
        who: int,
        where: tuple[int, int],
        uid: bool,
        change: FlagChange,
        silent: bool,
        back: int,
    ) -> None:
        """`back`: how many changes of the mailbox the condition is behind."""

        def act(session: Session) -> None:
            assert session.mailbox is not None
            since = max(0, session.mailbox.modseq - back)
            if session.kind != "plain":
                conditional = attrs.evolve(change, unchanged_since=since)
                self._store(session, where, conditional, uid, silent)

        self.step(who, act)

    @rule(who=who, where=chosen, uid=st.booleans(), silent=st.booleans())
    def delete(self, who: int, where: tuple[int, int], uid: bool, silent: bool) -> None:
        self.step(who, lambda session: self._store(session, where, _DELETE, uid, silent))

    def _store(
        self, session: Session, where: tuple[int, int], change: FlagChange, uid: bool, silent: bool
    ) -> None:
        mailbox, since = session.mailbox, change.unchanged_since
        assert mailbox is not None
        numbers, uids = self._named(session, where, uid=uid)
        if not uids:
            return
        item = _ITEMS[change.mode] + (".SILENT" if silent else "")
        condition = "" if since is None else f"(UNCHANGEDSINCE {since}) "
        command = f"STORE {numbers} {condition}{item} ({' '.join(sorted(change.flags))})"
        session.send(f"UID {command}" if uid else command)
        lines = session.wire.answer()
        there = [each for each in uids if each in mailbox.messages]
        done, failed = mailbox.store(there, change)
        self.world.did["store"] += bool(done)
        self.world.did["store refused"] += bool(failed)
        self.world.did["store of what is gone"] += len(there) < len(uids)
        known = list(session.numbers)
        session.hear(lines, quiet=not uid, doing=change if silent else None)
        self._check_stored(lines[-1], known, uids, there, failed, uid=uid)
        if silent and session.kind == "plain":
            for each in session.flags.keys() & done:
                session.flags[each] = change.apply(session.flags[each])
        if not silent or since is not None:
            assert set(done) <= set(session.fetched), f"nothing is told of some of {done}"
        session.check_flags()
        if uid:
            session.check_numbers()

    def _check_stored(
        self,
        answer: str,
        numbers: Sequence[int | None],
        uids: Sequence[int],
        there: Sequence[int],
        failed: Sequence[int],
        *,
        uid: bool,
    ) -> None:
        """RFC 7162 §3.1.3: who was told that what; gone messages are told of where numbers must hold."""
        gone = len(there) < len(uids)
        good = "NO" if failed and gone and not uid else "OK"
        assert answer.startswith(f"a {good} "), answer
        told = [each for text in code(answer, "MODIFIED") for each in uids_of(text)]
        modified = told if uid else [numbers[number - 1] for number in told]
        assert modified == list(failed), f"{failed} were modified"
        assert failed or ("[EXPUNGEISSUED]" in answer) == gone, f"{uids}, of which {there} live"

    @rule(who=who)
    def expunge(self, who: int) -> None:
        self.step(who, lambda session: self._expunge(session, None))

    @rule(who=who, where=chosen)
    def uid_expunge(self, who: int, where: tuple[int, int]) -> None:
        self.step(who, lambda session: self._expunge(session, where))

    def _expunge(self, session: Session, where: tuple[int, int] | None) -> None:
        mailbox = session.mailbox
        assert mailbox is not None
        if where is None:
            session.send("EXPUNGE")
            gone = mailbox.with_flag(DELETED)
        else:
            numbers, uids = self._named(session, where, uid=True)
            session.send(f"UID EXPUNGE {numbers or '1'}")
            gone = [uid for uid in mailbox.with_flag(DELETED) if uid in uids]
        lines = session.wire.answer()
        assert lines[-1].startswith("a OK "), lines[-1]
        mailbox.remove(gone)
        self.world.did["expunge"] += bool(gone)
        session.hear(lines)
        if gone and session.kind != "plain":
            assert code(lines[-1], "HIGHESTMODSEQ") == [str(mailbox.modseq)], lines[-1]
        session.check_numbers()
        session.check_flags()

    @rule(who=who, where=chosen, uid=st.booleans(), box=box)
    def copy(self, who: int, where: tuple[int, int], uid: bool, box: int) -> None:
        self.step(who, lambda session: self._copy(session, where, uid, box, move=False))

    @rule(who=who, where=chosen, uid=st.booleans(), box=box)
    def move(self, who: int, where: tuple[int, int], uid: bool, box: int) -> None:
        self.step(who, lambda session: self._copy(session, where, uid, box, move=True))

    def _copy(
        self, session: Session, where: tuple[int, int], uid: bool, box: int, *, move: bool
    ) -> Mailbox | None:
        mailbox, target = session.mailbox, self.boxes[box]
        assert mailbox is not None
        numbers, uids = self._named(session, where, uid=uid)
        if not uids or len(target.uids) >= FULL:
            return None
        command = f"{'MOVE' if move else 'COPY'} {numbers} {target.name}"
        session.send(f"UID {command}" if uid else command)
        lines = session.wire.answer()
        there = [each for each in uids if each in mailbox.messages]
        copied = [line for line in lines if "[COPYUID " in line]
        if copied:
            # All or none, where they were named by numbers.
            assert there == uids or uid, f"{uids}, of which {there} live"
            new = copy(mailbox, there, target, move=move)
            self.world.did["move" if move else "copy"] += 1
            expected = [str(target.uidvalidity), str(UIDSet.of(there)), str(UIDSet.of(new))]
            assert code(copied[0], "COPYUID") == expected, expected
            assert lines[-1].startswith("a OK "), lines[-1]
        else:
            assert len(there) < len(uids), lines[-1]
            self.world.did["copy of what is gone"] += 1
            nothing = "a OK " if uid and not there else "a NO [EXPUNGEISSUED] "
            assert lines[-1].startswith((nothing, "a NO [EXPUNGEISSUED] ")), lines[-1]
        session.hear(lines)
        if copied:
            session.noop()
            session.check_flags()
        return target if self._turn % 2 else None

    @rule(
        one=who,
        other=st.integers(0, len(KINDS) - 1),
        first=st.sampled_from(("store", "delete", "expunge", "move")),
        second=st.sampled_from(("store", "store", "expunge", "copy", "move", "ask", "idle")),
        where=chosen,
        uid=st.booleans(),
        silent=st.booleans(),
        one_change=changes,
        other_change=changes,
    )
    def hurry(
        self,
        one: int,
        other: int,
        first: str,
        second: str,
        where: tuple[int, int],
        uid: bool,
        silent: bool,
        one_change: FlagChange,
        other_change: FlagChange,
    ) -> None:
        """Two commands with nothing between them: the other process may not have heard of the first one yet.

        Both name the same places, and so often the same messages.
        """

        def act(session: Session, what: str, change: FlagChange) -> Mailbox | None:
            match what:
                case "store":
                    self._store(session, where, change, uid, silent)
                case "delete":
                    self._store(session, where, _DELETE, uid, silent)
                case "expunge":
                    self._store(session, where, _DELETE, uid, silent)
                    self._expunge(session, where if uid else None)
                case "ask":
                    session.run("UID FETCH 1:* FLAGS" if uid else "FETCH 1:* (UID)")
                case "idle":
                    # It heard everything; that was seen when its IDLE ended.
                    pass
                case _:
                    return self._copy(session, where, uid, 0, move=what == "move")
            return None

        self._broken = True
        if one < len(KINDS):
            other += len(KINDS)
        sessions = self.world.sessions[one], self.world.sessions[other]
        for session in sessions:
            self._end_idle(session)
            if session.mailbox is not self.boxes[0]:
                self._open(session, self.boxes[0])
        if second == "idle":
            sessions[1].idle()
        act(sessions[0], first, one_change)
        self.step(other, lambda session: act(session, second, other_change))

    @rule(where=chosen, box=box)
    def race(self, where: tuple[int, int], box: int) -> None:
        """Everybody who can, in both processes and at once, gives one message other flags on the same condition."""
        self._broken = True
        self._turn += 1
        self.world.steps += 1
        mailbox = self.boxes[box]
        uids = mailbox.uids
        if uids:
            self._race(mailbox, uids[where[0] % len(uids)])
        self._broken = False

    def _race(self, mailbox: Mailbox, uid: int) -> None:
        sessions = [each for each in self.world.sessions if each.kind != "plain"]
        for session in sessions:
            self._end_idle(session)
            if session.mailbox is not mailbox:
                self._open(session, mailbox)
            session.run("CHECK")
            session.fetch_new()
        self.world.did["race"] += 1
        message = mailbox.messages[uid]
        changes = []
        for number, session in enumerate(sessions):
            # None of them has these flags already.
            mark = f"$r{number}" if message.flags != {f"$r{number}"} else f"$s{number}"
            changes.append(FlagChange("replace", frozenset({mark}), message.modseq))
            session.send(f"UID STORE {uid} (UNCHANGEDSINCE {message.modseq}) FLAGS ({mark})")
        answers = [session.wire.answer() for session in sessions]
        won = [n for n, lines in enumerate(answers) if not code(lines[-1], "MODIFIED")]
        assert len(won) == 1, f"{len(won)} winners"
        [winner] = won
        assert mailbox.store([uid], changes[winner]) == ([uid], [])
        for session, lines in zip(sessions, answers, strict=True):
            assert lines[-1].startswith("a OK "), lines[-1]
            session.hear(lines)
        for session in sessions:
            session.run("CHECK")
            session.check_numbers()
            session.check_flags()
        self._audit(sessions[winner], mailbox)

    # --- commands that only tell --------------------------------------------------------------------------------------

    @rule(who=who, fetch=st.booleans())
    def noop(self, who: int, fetch: bool) -> None:
        def act(session: Session) -> None:
            session.noop()
            session.check_flags()
            if fetch:
                session.fetch_new()

        self.step(who, act)

    @rule(who=who, where=chosen, what=st.sampled_from(QUESTIONS))
    def ask(self, who: int, where: tuple[int, int], what: str) -> None:
        def act(session: Session) -> None:
            numbers, uids = self._named(session, where, uid=what.startswith("UID"))
            if uids:
                session.run(what.format(numbers))

        self.step(who, act)

    @rule(who=who, back=st.integers(0, 8))
    def changed_since(self, who: int, back: int) -> None:
        """What was changed and what vanished within the latest changes, as far as this process has heard of them."""

        def act(session: Session) -> None:
            mailbox = session.mailbox
            assert mailbox is not None
            if session.kind == "plain":
                return
            session.run("CHECK")
            since = max(1, mailbox.modseq - back)
            modifier = f"CHANGEDSINCE {since}{' VANISHED' * (session.kind == 'QRESYNC')}"
            session.run(f"UID FETCH 1:* (FLAGS) ({modifier})")
            missed = mailbox.changed_since(since)
            assert sorted(session.fetched) == sorted(missed), f"changed are {missed}"
            if session.kind == "QRESYNC":
                lost = mailbox.gone_since(since)
                assert sorted(session.vanished) == sorted(lost), f"{lost} are gone"

        self.step(who, act)

    @rule(who=who)
    def idle(self, who: int) -> None:
        """Until it is this session's turn again."""
        self.step(who, Session.idle)

    # --- coming and going ---------------------------------------------------------------------------------------------

    @rule(who=who, box=box, how=st.sampled_from(("SELECT", "UNSELECT", "CLOSE", "disconnect")))
    def come_or_go(self, who: int, box: int, how: str) -> None:
        """SELECT: with QRESYNC or CHANGEDSINCE if it was there before, perhaps just now."""

        def act(session: Session) -> Mailbox:
            mailbox = session.mailbox
            assert mailbox is not None
            if how == "SELECT":
                mailbox = self.boxes[box]
                self._open(session, mailbox)
            elif how == "CLOSE":
                session.run("CLOSE")
                mailbox.remove(mailbox.with_flag(DELETED))
                session.left()
            elif how == "UNSELECT":
                session.unselect()
            else:
                session.disconnect()
            return mailbox

        self.step(who, act)

    @rule()
    def everybody_looks(self) -> None:
        """Sessions that have not done anything for a while have not been told anything, either."""
        self._broken = True
        self.world.steps += 1
        self._look_around()
        self._broken = False

    def _look_around(self) -> None:
        for session in self.world.sessions:
            if session.mailbox is not None and not session.idling:
                session.look()

    def teardown(self) -> None:
        """In the end everybody knows the truth."""
        if self._broken:
            self.world.failed = list(self.world.transcript)
            self.world.close()
            return
        for session in self.world.sessions:
            self._end_idle(session)
            if session.mailbox is not None:
                session.look()
                session.noop()
                session.check_flags()
        for session in self.world.everybody:
            session.unselect()
        for mailbox in self.boxes:
            self.world.auditors[0, "CONDSTORE"].wire.say(f"DELETE {mailbox.name}")
