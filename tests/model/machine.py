"""Random commands from six sessions, three each in two server processes, against the reference; all is checked after each.

A step is one command of one session, but for races.  After each step

* the session's numbers name the messages it was told of, and where the server has had to tell everything it knows everything;
* another connection, in either process in turn, takes over what the session has kept, and resynchronises by QRESYNC or by
  CHANGEDSINCE and UID SEARCH: it is told what was missed and nothing else, and then has what a full fetch says;
* UIDNEXT, HIGHESTMODSEQ and the counters are those of the reference, in which they only grow.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import ClassVar, Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.model.session import Cache, Kind, Session, code, uids_of
from tests.model.truth import Mailbox, copy
from twisted_duck.values import DELETED, FLAGGED, SEEN, FlagChange, FlagMode, Flags, UIDSet

KINDS: tuple[Kind, ...] = ("QRESYNC", "CONDSTORE", "plain")
#: More messages than this are not appended to, and not copied.
FULL = 30
_ITEMS: dict[FlagMode, str] = {"add": "+FLAGS", "remove": "-FLAGS", "replace": "FLAGS"}

who = st.integers(0, 2 * len(KINDS) - 1)
#: Where in a mailbox, and how many; both are taken modulo what is there, which depends on the moment.
chosen = st.tuples(st.integers(0, 50), st.integers(1, 4))
flag_sets = st.frozensets(st.sampled_from((SEEN, FLAGGED, DELETED, "$a", "$b")), max_size=2)
box = st.integers(0, 1)


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
        #: Races that were run, and steps of all kinds.
        self.races = self.steps = 0
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
        #: Whether a step has begun and not ended well.
        self._broken = False
        for session in self.world.everybody:
            session.caches.clear()

    # --- a step -------------------------------------------------------------------------------------------------------

    def step(
        self, number: int, act: Callable[[Session], Mailbox | None], *, anywhere: bool = False
    ) -> None:
        """`act` gives the mailbox to look at, if it is not the selected one; `anywhere`: none need be selected.

        Where the session is not in a state to act, getting there is the step.
        """
        self._broken = True
        self._turn += 1
        self.world.steps += 1
        session = self.world.sessions[number]
        touched = None
        if session.idling:
            session.done()
            session.check_numbers()
            session.check_flags()
        elif session.mailbox is None and not anywhere:
            self._open(session, self.boxes[self._turn % 2])
        else:
            touched = act(session)
        if session.mailbox is not None and not session.idling:
            session.look()
        self._audit(session, touched or session.mailbox or self.boxes[self._turn % 2])
        self._broken = False

    def _audit(self, session: Session, mailbox: Mailbox) -> None:
        nothing = Cache(0, 1, {})
        kind: Kind = "CONDSTORE"
        if session.mailbox is mailbox and session.kind != "plain":
            cache = session.cache()
        else:
            cache = session.caches.get(mailbox.name, nothing)
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
                sizes = [next(self._size) for _ in range(many)]
                messages = " ".join(
                    f"({' '.join(sorted(flags))}) {{{size}+}}\r\n{'x' * size}" for size in sizes
                )
                session.send(f"APPEND {mailbox.name} {messages}")
                lines = session.wire.answer()
                uids = mailbox.add((flags, size) for size in sizes)
                assert code(lines[-1], "APPENDUID") == [
                    str(mailbox.uidvalidity),
                    str(UIDSet.of(uids)),
                ], lines[-1]
                session.hear(lines)
            return mailbox

        self.step(who, act, anywhere=True)

    @rule(
        who=who,
        where=chosen,
        uid=st.booleans(),
        mode=st.sampled_from(list(_ITEMS)),
        flags=flag_sets,
        silent=st.booleans(),
        back=st.none() | st.integers(0, 6),
    )
    def store(
        self,
        who: int,
        where: tuple[int, int],
        uid: bool,
        mode: FlagMode,
        flags: Flags,
        silent: bool,
        back: int | None,
    ) -> None:
        """`back`: how many changes the condition is behind; with None there is none."""

        def act(session: Session) -> None:
            mailbox = session.mailbox
            assert mailbox is not None
            numbers, uids = self._named(session, where, uid=uid)
            if not uids:
                return
            since = None if back is None or session.kind == "plain" else mailbox.modseq - back
            change = FlagChange(mode, flags, since)
            item = _ITEMS[mode] + (".SILENT" if silent else "")
            condition = "" if since is None else f"(UNCHANGEDSINCE {since}) "
            command = f"STORE {numbers} {condition}{item} ({' '.join(sorted(flags))})"
            session.send(f"UID {command}" if uid else command)
            lines = session.wire.answer()
            there = [each for each in uids if each in mailbox.messages]
            done, failed = mailbox.store(there, change)
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

        self.step(who, act)

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

    @rule(who=who, where=st.none() | chosen)
    def expunge(self, who: int, where: tuple[int, int] | None) -> None:
        """Everything, or what a UID EXPUNGE names."""

        def act(session: Session) -> None:
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
            session.hear(lines)
            if gone and session.kind != "plain":
                assert code(lines[-1], "HIGHESTMODSEQ") == [str(mailbox.modseq)], lines[-1]
            session.check_numbers()
            session.check_flags()

        self.step(who, act)

    @rule(who=who, where=chosen, uid=st.booleans(), box=box, move=st.booleans())
    def copy(self, who: int, where: tuple[int, int], uid: bool, box: int, move: bool) -> None:
        def act(session: Session) -> Mailbox | None:
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
                expected = [str(target.uidvalidity), str(UIDSet.of(there)), str(UIDSet.of(new))]
                assert code(copied[0], "COPYUID") == expected, expected
                assert lines[-1].startswith("a OK "), lines[-1]
            else:
                assert len(there) < len(uids), lines[-1]
                nothing = "a OK " if uid and not there else "a NO [EXPUNGEISSUED] "
                assert lines[-1].startswith((nothing, "a NO [EXPUNGEISSUED] ")), lines[-1]
            session.hear(lines)
            if copied:
                session.check_numbers()
                session.check_flags()
            return target if self._turn % 2 else None

        self.step(who, act)

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
            if session.idling:
                session.done()
            if session.mailbox is not mailbox:
                self._open(session, mailbox)
            session.run("NOOP")
            session.fetch_new()
        self.world.races += 1
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
            session.run("NOOP")
            session.check_numbers()
            session.check_flags()
        self._audit(sessions[winner], mailbox)

    # --- commands that only tell --------------------------------------------------------------------------------------

    @rule(who=who, fetch=st.booleans())
    def noop(self, who: int, fetch: bool) -> None:
        def act(session: Session) -> None:
            session.run("NOOP")
            session.check_numbers()
            session.check_flags()
            if fetch:
                session.fetch_new()

        self.step(who, act)

    @rule(
        who=who,
        where=chosen,
        uid=st.booleans(),
        what=st.sampled_from(("(FLAGS)", "(UID FLAGS)", "RFC822.SIZE", "(UID BODY.PEEK[]<0.0>)")),
    )
    def fetch(self, who: int, where: tuple[int, int], uid: bool, what: str) -> None:
        def act(session: Session) -> None:
            numbers, uids = self._named(session, where, uid=uid)
            if uids:
                session.run(f"{'UID ' * uid}FETCH {numbers} {what}")

        self.step(who, act)

    @rule(who=who, uid=st.booleans(), key=st.sampled_from(("ALL", "DELETED", "UNSEEN", "1:*")))
    def search(self, who: int, uid: bool, key: str) -> None:
        def act(session: Session) -> None:
            session.run(f"{'UID ' * uid}SEARCH {key}")

        self.step(who, act)

    @rule(who=who, back=st.integers(0, 8))
    def changed_since(self, who: int, back: int) -> None:
        """What was changed and what vanished within the latest changes, as far as this process has heard of them."""

        def act(session: Session) -> None:
            mailbox = session.mailbox
            assert mailbox is not None
            if session.kind == "plain":
                return
            session.run("NOOP")
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

    @rule(who=who, box=box)
    def select(self, who: int, box: int) -> None:
        """With QRESYNC or CHANGEDSINCE if the session was there before, also out of the same mailbox."""
        self.step(who, lambda session: self._open(session, self.boxes[box]), anywhere=True)

    @rule(who=who, how=st.sampled_from(("UNSELECT", "CLOSE", "disconnect")))
    def leave(self, who: int, how: Literal["UNSELECT", "CLOSE", "disconnect"]) -> None:
        def act(session: Session) -> Mailbox:
            mailbox = session.mailbox
            assert mailbox is not None
            if how == "CLOSE":
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
            self.world.close()
            return
        for session in self.world.sessions:
            if session.idling:
                session.done()
            if session.mailbox is not None:
                session.look()
                session.run("NOOP")
                session.check_numbers()
                session.check_flags()
        for session in self.world.everybody:
            session.unselect()
        for mailbox in self.boxes:
            self.world.auditors[0, "CONDSTORE"].wire.say(f"DELETE {mailbox.name}")
