"""An IMAP client: appends, copies, moves, flags and expunges, and keeps a record of it.

Of a user's messages it changes those alone whose UIDs are its own: several clients of a user are busy in the same mailboxes,
and each message has one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from tests.history.client import PASSWORD, Address, Client, Untrue, Wire, World
from tests.history.messages import name_of
from tests.history.record import (
    Appended,
    Copied,
    Expunged,
    Outcome,
    Shown,
    Stored,
)

MAILBOXES = ("INBOX", "Archive", "Sent")
#: Of a LIST response.
_NAME = re.compile(rb"\* LIST \([^)]*\) \S+ \"?([^\"]+)")

#: Where no mailbox is.
NOWHERE = "Nowhere"

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "a", "b")
DELETED = "\\Deleted"
NONE: frozenset[str] = frozenset()

#: UIDs below UIDNEXT that a client looks at.
_NEWEST = 60
#: Changes between one SELECT and the next.
_CHANGES = 6

_LITERAL = re.compile(rb"\{(\d+)\}$")
_FETCH = re.compile(rb"\* \d+ FETCH ")
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_MODSEQ = re.compile(rb"\bMODSEQ \((\d+)\)")
_COPYUID = re.compile(rb"\[COPYUID (\d+) \d+ \d+\]")
_NEW_UID = re.compile(rb"\[COPYUID \d+ \d+ (\d+)\]")
_APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)(?::(\d+))?\]")
VALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]")
NEXT = re.compile(rb"\[UIDNEXT (\d+)\]")

#: Response codes of a NO (RFC 5530) after which the same may be asked again.
_PASSING = (b"[UNAVAILABLE]", b"[INUSE]", b"[EXPUNGEISSUED]")


@attrs.frozen
class Answer:
    """Untagged responses with their literals, and the tagged one."""

    untagged: list[tuple[bytes, list[bytes]]]
    tagged: bytes

    @property
    def ok(self) -> bool:
        return self.tagged.startswith(b"OK")

    def find(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        for text in (self.tagged, *(text for text, _ in self.untagged)):
            if found := pattern.search(text):
                return found
        return None

    def number(self, pattern: re.Pattern[bytes]) -> int:
        found = self.find(pattern)
        if found is None:
            raise Untrue(f"no {pattern.pattern!r} in the answer {self.tagged!r}")
        return int(found[1])

    @property
    def outcome(self) -> Outcome:
        if self.ok:
            return Outcome.DONE
        if not self.tagged.startswith(b"NO"):
            raise Untrue(f"the server said {self.tagged!r}")
        return Outcome.LATER if any(code in self.tagged for code in _PASSING) else Outcome.NEVER


class Session:
    """A connection that is logged in.  Fails with ConnectionError where it is lost, or could not log in for now."""

    def __init__(self, server: Address, user: str) -> None:
        self.server = server
        self._wire = Wire(server.imap)
        #: Whether the whole of the last command was sent.
        self.sent = False
        greeting = self._wire.line()
        if not greeting.startswith(b"* OK"):
            raise ConnectionError(greeting.decode())
        answer = self.ask(f'LOGIN {user} "{PASSWORD}"')
        if answer.outcome is Outcome.NEVER:
            # Whatever is away, the password is right.
            raise Untrue(f"{server.name} said {answer.tagged!r} to a login")
        if not answer.ok:
            raise ConnectionError(answer.tagged.decode())

    def ask(self, command: str, *literals: bytes) -> Answer:
        """A command, with synchronising literals behind its `{}`s."""
        pieces = command.split("{}")
        self.sent = False
        text = "x " + pieces[0]
        for literal, piece in zip(literals, pieces[1:], strict=True):
            self._wire.send(b"%b{%d}\r\n" % (text.encode(), len(literal)))
            answer = self._answer(until=b"+")
            if answer.tagged:
                return answer
            self._wire.send(literal)
            text = piece
        self.sent = True
        self._wire.send(text.encode() + b"\r\n")
        return self._answer()

    def _answer(self, until: bytes | None = None) -> Answer:
        untagged: list[tuple[bytes, list[bytes]]] = []
        while True:
            text, literals = self._wire.line(), []
            while found := _LITERAL.search(text):
                literals.append(self._wire.octets(int(found[1])))
                text += b" " + self._wire.line()
            if text.startswith(b"x "):
                return Answer(untagged, text[2:])
            if until is not None and text.startswith(until):
                return Answer(untagged, b"")
            if text.startswith(b"* BYE"):
                raise ConnectionError(text.decode())
            untagged.append((text, literals))

    def mailboxes(self) -> list[str]:
        answer = self.ask('LIST "" *')
        return [found[1].decode() for text, _ in answer.untagged if (found := _NAME.match(text))]

    def close(self) -> None:
        self._wire.close()


def fetched(answer: Answer) -> Iterator[tuple[int, frozenset[str], int, bytes]]:
    """UID, flags without \\Recent, modseq (0: not told), and what is in the literal, of each FETCH that has flags."""
    for text, literals in answer.untagged:
        uid, flags, modseq = _UID.search(text), _FLAGS.search(text), _MODSEQ.search(text)
        if _FETCH.match(text) and uid and flags:
            told = frozenset(flags[1].decode().split()) - {"\\Recent"}
            yield int(uid[1]), told, int(modseq[1]) if modseq else 0, b"".join(literals)


class Reader(Client):
    """@param share: its UIDs are those that have the remainder `share[0]` when they are divided by `share[1]`"""

    def __init__(self, world: World, name: str, user: str, share: tuple[int, int]) -> None:
        super().__init__(world, name)
        self.user = user
        self._share = share
        self._session: Session | None = None
        self._mailbox = ""
        self._validity = 0
        #: Messages that this client has changed, and their flags; None: not to be touched again.
        self._known: dict[tuple[str, int], frozenset[str] | None] = {}
        #: Mailboxes of its own that it has left behind.
        self._sweeps = 0
        #: In the selected mailbox: UID -> name and flags.
        self._here: dict[int, tuple[str, frozenset[str]]] = {}

    def work(self) -> None:
        while not self.world.over.is_set():
            try:
                if self._session is None:
                    self._session = Session(self.random.choice(self.world.servers), self.user)
                if self.random.random() < 0.2:
                    self._sweep()
                elif self._select(self.random.choice(MAILBOXES)):
                    for _ in range(_CHANGES):
                        self._change()
                        self.pause(0.1)
            except OSError:
                self._leave()
            self.pause(0.2)
        self._leave()

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # --- looking ------------------------------------------------------------------------------------------------------

    def _select(self, mailbox: str, *, everything: bool = False) -> bool:
        """Whether it is open; `_here` has its newest messages, or all."""
        session = self._connected()
        began = self.world.now()
        self._mailbox = mailbox
        self._here.clear()
        answer = session.ask(f"SELECT {mailbox} (CONDSTORE)")
        if answer.outcome is not Outcome.DONE:
            return False
        self._validity = answer.number(VALIDITY)
        first = 1 if everything else max(1, answer.number(NEXT) - _NEWEST)
        answer = session.ask(f"UID FETCH {first}:* (FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        for uid, flags, _, header in fetched(answer):
            name = name_of(header)
            if name:
                self._here[uid] = (name, flags)
                self._keep(
                    Shown,
                    began,
                    Outcome.DONE,
                    "",
                    mailbox=mailbox,
                    validity=self._validity,
                    uid=uid,
                    message=name,
                    flags=flags,
                )
        return answer.ok

    def _keep(self, kind: Any, began: float, outcome: Outcome, answer: str, **more: Any) -> None:
        self.world.keep(
            kind(
                client=self.name,
                server=self._connected().server.name,
                began=began,
                ended=self.world.now(),
                outcome=outcome,
                answer=answer,
                user=self.user,
                **more,
            )
        )

    def _connected(self) -> Session:
        assert self._session is not None
        return self._session

    # --- changing -----------------------------------------------------------------------------------------------------

    def _change(self) -> None:
        number, of = self._share
        mine = [
            uid
            for uid, (_, flags) in self._here.items()
            if uid % of == number and self._known.get((self._mailbox, uid), flags) == flags
        ]
        if not mine or self.random.random() < 0.2:
            self._append()
            return
        uid = self.random.choice(mine)
        how = self.random.random()
        if how < 0.45:
            self._store(uid, frozenset(self.random.sample(FLAGS, self.random.randint(0, 3))))
        elif how < 0.65:
            self._copy(uid, move=False)
        elif how < 0.8:
            self._copy(uid, move=True)
        else:
            name, flags = self._here[uid]
            if self._store(uid, flags | {DELETED}) is Outcome.DONE:
                self._expunge(uid, name)

    def _do(
        self,
        kind: Any,
        command: str,
        *literals: bytes,
        touched: Sequence[int] = (),
        each: Sequence[dict[str, Any]] = ({},),
        **more: Any,
    ) -> tuple[Outcome, Answer]:
        """Ask, and keep what came of it; where a value of `more` is a function, it finds it in the answer.

        @param touched: UIDs of messages that are left alone for good if the answer is lost
        @param each: what is different where it is about several messages
        """
        session = self._connected()
        began = self.world.now()
        events = [{**more, **own} for own in each]
        try:
            answer = session.ask(command, *literals)
        except OSError as error:
            for uid in touched:
                self._known[self._mailbox, uid] = None
            outcome = Outcome.UNKNOWN if session.sent else Outcome.LATER
            for event in events:
                asked = {key: value for key, value in event.items() if not callable(value)}
                self._keep(kind, began, outcome, f"{type(error).__name__}: {error}", **asked)
            raise
        for event in events:
            told = {
                key: value(answer) if callable(value) else value
                for key, value in event.items()
                if answer.ok or not callable(value)
            }
            self._keep(kind, began, answer.outcome, answer.tagged.decode(), **told)
        return answer.outcome, answer

    def _append(self) -> None:
        destination = self.random.choice((*MAILBOXES, *MAILBOXES, self._own, self._own, NOWHERE))
        flags = frozenset(self.random.sample(FLAGS, self.random.randint(0, 2)))
        names = [self.new_name() for _ in range(self.random.choice((1, 1, 1, 3)))]
        contents = [self.world.content(name) for name in names]
        if self.random.random() < 0.05:
            # What no mailbox takes.
            contents[-1] += b"a\0b\r\n"
        for name, content in zip(names, contents, strict=True):
            self.expect(self.user, name, content)
        said = f" ({' '.join(sorted(flags))}) {{}}"
        self._do(
            Appended,
            f"APPEND {destination}{said * len(names)}",
            *contents,
            mailbox=destination,
            names=tuple(names),
            flags=flags,
            validity=lambda answer: answer.number(_APPENDUID),
            uids=lambda answer: _uids(answer, len(names)),
        )

    def _store(self, uid: int, flags: frozenset[str]) -> Outcome:
        name, before = self._here[uid]
        outcome, _ = self._do(
            Stored,
            f"UID STORE {uid} FLAGS ({' '.join(sorted(flags))})",
            touched=[uid],
            mailbox=self._mailbox,
            uid=uid,
            message=name,
            flags=flags,
            # Where nothing changes there is no other modseq, and perhaps none is told.
            modseq=lambda answer: _modseq(answer, uid) if flags != before else 0,
        )
        if outcome is Outcome.DONE:
            self._here[uid] = (name, flags)
            self._known[self._mailbox, uid] = flags
        return outcome

    def _copy(self, uid: int, *, move: bool) -> None:
        name, flags = self._here[uid]
        destination = self.random.choice((*MAILBOXES, self._own))
        outcome, _ = self._do(
            Copied,
            f"UID {'MOVE' if move else 'COPY'} {uid} {destination}",
            touched=[uid] if move else [],
            mailbox=self._mailbox,
            uid=uid,
            message=name,
            flags=flags,
            destination=destination,
            move=move,
            validity=lambda answer: answer.number(_COPYUID),
            new_uid=lambda answer: answer.number(_NEW_UID),
        )
        if move and outcome is Outcome.DONE:
            self._gone(uid)

    def _expunge(self, uid: int, name: str) -> None:
        outcome, _ = self._do(
            Expunged,
            f"UID EXPUNGE {uid}",
            touched=[uid],
            mailbox=self._mailbox,
            uid=uid,
            message=name,
        )
        if outcome is Outcome.DONE:
            self._gone(uid)

    def _sweep(self) -> None:
        """Empty the mailbox of its own: all messages in one STORE, and in one EXPUNGE."""
        if not self._select(self._own, everything=True):
            self._connected().ask(f"CREATE {self._own}")
            return
        uids = sorted(self._here)
        if any(self._known.get((self._own, uid), NONE) is None for uid in uids):
            self._sweeps += 1
            return
        if not uids:
            return
        each = [{"uid": uid, "message": self._here[uid][0]} for uid in uids]
        outcome, _ = self._do(
            Stored,
            f"UID STORE {','.join(map(str, uids))} FLAGS ({DELETED})",
            touched=uids,
            each=each,
            mailbox=self._own,
            flags=frozenset({DELETED}),
        )
        if outcome is not Outcome.DONE:
            return
        for uid in uids:
            self._known[self._own, uid] = frozenset({DELETED})
        outcome, _ = self._do(Expunged, "EXPUNGE", touched=uids, each=each, mailbox=self._own)
        if outcome is Outcome.DONE:
            for uid in uids:
                self._gone(uid)

    @property
    def _own(self) -> str:
        """A mailbox that no other client uses, and another one after a change of unknown outcome."""
        return f"{self.name}-{self._sweeps}"

    def _gone(self, uid: int) -> None:
        del self._here[uid]
        self._known[self._mailbox, uid] = None


def _uids(answer: Answer, count: int) -> tuple[int, ...]:
    found = answer.find(_APPENDUID)
    if found is None:
        raise Untrue(f"no APPENDUID in {answer.tagged!r}")
    first, last = int(found[2]), int(found[3] or found[2])
    if last - first + 1 != count:
        raise Untrue(f"{answer.tagged!r} for {count} messages")
    return tuple(range(first, last + 1))


def _modseq(answer: Answer, uid: int) -> int:
    for each, _, modseq, _ in fetched(answer):
        if each == uid:
            return modseq
    # The flags might be there all the same: that is for the checker to say.
    return 0
