"""The steps: what mail clients and mail servers ask of a mail store.

Each is a function that makes a subject ready and says what is to be measured, or nothing where the server does not
speak what it takes.  None depends on another: any choice of them will do, in any order.
"""

from __future__ import annotations

import random
import re
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from benchmarks import processes
from benchmarks.client import Connection, taken_apart, unstuffed
from benchmarks.mail import KEYS, OTHERS, Mail
from benchmarks.measuring import Work
from benchmarks.subject import MAILBOX, Server, Subject

Prepare = Callable[[Subject], Work | None]


@dataclass(frozen=True)
class Step:
    title: str
    prepare: Prepare


#: By the names that `--steps` takes, in the order in which they are done.
STEPS: dict[str, Step] = {}

_SCRATCH = MAILBOX + b"-scratch"
_FETCHED = re.compile(rb"(?m)^\* \d+ FETCH \(")
#: Messages of one MULTIAPPEND: no server has to take any number.
_TOGETHER = 50
#: And one by one, in a turn: some seconds of one server behind some of another meet another hour of a busy host, and another disk.
IN_A_TURN = 100
#: Connections that are opened and closed before idle ones are counted, so that what comes once has come.
_WARM = 10
#: Seconds that a server has to settle.
_SETTLE = 2.0


def step(name: str, title: str, *protocols: str) -> Callable[[Prepare], Prepare]:
    """@param protocols: the ports that the server has to have, besides IMAP if there are none"""

    def register(prepare: Prepare) -> Prepare:
        def checked(at: Subject) -> Work | None:
            needed = protocols or ("imap",)
            if all(_speaks(at, each) for each in needed):
                return prepare(at)
            return None

        STEPS[name] = Step(title, checked)
        return prepare

    return register


def _speaks(at: Subject, protocol: str) -> bool:
    server = at.server
    if protocol == "imap":
        return (server.imap or server.imaps) is not None
    return getattr(server, protocol) is not None


# --- in ---------------------------------------------------------------------------------------------------------------


@step("login", "login + logout")
def _login(at: Subject) -> Work:
    def do() -> None:
        for _ in range(at.sizes.logins):
            at.server.imap_client().logout()

    return Work(at.sizes.logins, do)


@step("append", "APPEND one by one")
def _append(at: Subject) -> Work:
    def do(name: bytes) -> Iterator[None]:
        for start in range(0, len(at.mail), IN_A_TURN):
            at.append(name, at.mail[start : start + IN_A_TURN])
            yield

    return _arrival(at, do)


@step("append-pipelined", "APPEND pipelined")
def _append_pipelined(at: Subject) -> Work | None:
    return _arrival(at, lambda name: at.fill(name, at.mail)) if at.takes_literals else None


@step("multiappend", f"MULTIAPPEND, {_TOGETHER} at once")
def _multiappend(at: Subject) -> Work | None:
    if not at.takes_literals or b"MULTIAPPEND" not in at.capabilities:
        return None

    def do(name: bytes) -> None:
        for start in range(0, len(at.mail), _TOGETHER):
            some = at.mail[start : start + _TOGETHER]
            at.client.run(b"APPEND %b %b" % (name, b" ".join(each.literal for each in some)))

    return _arrival(at, do)


def _arrival(at: Subject, do: Callable[[bytes], object]) -> Work:
    """Into another mailbox each time: what a server does behind a DELETE is not part of it, nor of what another does in its turn."""
    names: list[bytes] = []

    def before() -> None:
        names.append(b"%b-%d" % (_SCRATCH, len(names)))
        at.create(names[-1])

    def after() -> None:
        for name in names:
            at.remove(name)

    return Work(
        len(at.mail),
        lambda: do(names[-1]),
        right=lambda _: at.count(names[-1]) == len(at.mail),
        before=before,
        after=after,
    )


@step("lmtp", "LMTP, several connections", "lmtp")
def _lmtp(at: Subject) -> Work:
    imap = _speaks(at, "imap")
    many = min(at.sizes.lmtp_connections, len(at.mail))
    mail = at.stuffed
    address = at.server.address or at.server.user

    def connection(number: int) -> None:
        client = at.server.lmtp_client()
        for each in mail[number::many]:
            client.deliver(address, each)
        client.logout()

    return Work(
        len(mail),
        lambda: together(many, connection),
        right=lambda _: not imap or at.count(b"INBOX") == len(mail),
        before=at.empty if imap else lambda: None,
        after=at.empty if imap else lambda: None,
    )


# --- out --------------------------------------------------------------------------------------------------------------


@step("select-cold", "SELECT, cold")
def _select_cold(at: Subject) -> Work | None:
    fresh = at.server.fresh
    if fresh is None:
        return None
    name, exists = at.filled, b"* %d EXISTS\r\n" % len(at.mail)
    clients = []

    def before() -> None:
        # A server that is started again takes its connections with it.
        at.disconnect()
        clients.append(fresh().imap_client())

    return Work(
        1,
        lambda: clients[-1].run(b"SELECT " + name),
        right=lambda said: exists in said,
        before=before,
        after=lambda: _close(clients),
    )


@step("select", "SELECT, warm")
def _select(at: Subject) -> Work:
    name, exists = at.filled, b"* %d EXISTS\r\n" % len(at.mail)
    at.select(name)

    def do() -> bytes:
        for _ in range(at.sizes.selects):
            said = at.select(name)
        return said

    return Work(at.sizes.selects, do, right=lambda said: exists in said)


def _fetch(what: bytes) -> Prepare:
    def prepare(at: Subject) -> Work:
        at.select(at.filled)
        return Work(
            len(at.mail),
            lambda: at.client.run(b"FETCH 1:* " + what),
            right=lambda said: len(_FETCHED.findall(said)) == len(at.mail),
        )

    return prepare


_ENVELOPE = b"(UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)"
step("fetch-flags", "FETCH 1:* (UID FLAGS)")(_fetch(b"(UID FLAGS)"))
step("fetch-envelope", "FETCH 1:* (… ENVELOPE BODYSTRUCTURE …)")(_fetch(_ENVELOPE))
step("fetch-header", "FETCH 1:* header fields")(
    _fetch(b"BODY.PEEK[HEADER.FIELDS (From Subject Date)]")
)


@step("fetch-body", "FETCH 1:* BODY.PEEK[]")
def _fetch_body(at: Subject) -> Work:
    at.select(at.filled)
    return Work(
        len(at.mail),
        lambda: at.client.run(b"FETCH 1:* BODY.PEEK[]"),
        right=lambda said: _literals(said) == [each.data for each in at.mail],
    )


@step("fetch-single", "UID FETCH BODY.PEEK[], one by one")
def _fetch_single(at: Subject) -> Work:
    chosen = at.uids[: at.sizes.singles]
    at.select(at.filled)

    def do() -> list[bytes]:
        return [at.client.run(b"UID FETCH %d BODY.PEEK[]" % uid) for uid in chosen]

    return Work(
        len(chosen),
        do,
        right=lambda said: (
            _literals(b"".join(said)) == [each.data for each in at.mail[: len(chosen)]]
        ),
    )


@step("store", "STORE 1:* +FLAGS.SILENT")
def _store(at: Subject) -> Work:
    at.select(at.filled)
    return Work(
        len(at.mail),
        lambda: at.client.run(b"STORE 1:* +FLAGS.SILENT (\\Seen)"),
        right=lambda _: _hits(at.client.run(b"SEARCH SEEN")) == len(at.mail),
        before=lambda: at.client.run(b"STORE 1:* -FLAGS.SILENT (\\Seen)"),
    )


@step("search-flag", "SEARCH FLAGGED")
def _search_flag(at: Subject) -> Work:
    at.select(at.filled)
    some = len(at.mail) // 10 or 1
    at.client.run(b"STORE 1:* -FLAGS.SILENT (\\Flagged)")
    at.client.run(b"STORE 1:%d +FLAGS.SILENT (\\Flagged)" % some)
    return _search(at, b"FLAGGED", some)


def _search(at: Subject, key: bytes, hits: int) -> Work:
    return Work(
        len(at.mail),
        lambda: at.client.run(b"SEARCH " + key),
        right=lambda said: _hits(said) == hits,
    )


def _search_for(name: str) -> Prepare:
    key, has = KEYS[name]

    def prepare(at: Subject) -> Work:
        at.select(at.filled)
        return _search(at, key, sum(map(has, at.mail)))

    return prepare


for _name in KEYS:
    step(f"search-{_name}", f"SEARCH {_name.upper()}")(_search_for(_name))


def _search_for_others(name: str) -> Prepare:
    key, has = OTHERS[name]

    def prepare(at: Subject) -> Work:
        at.select(at.filled)
        numbers = count()

        def do() -> tuple[int, bytes]:
            number = next(numbers)
            return number, at.client.run(b"SEARCH " + key(number))

        def right(said: tuple[int, bytes]) -> bool:
            number, answer = said
            return _hits(answer) == sum(has(each, number) for each in at.mail)

        return Work(len(at.mail), do, right=right)

    return prepare


for _name in OTHERS:
    step(f"search-other-{_name}", f"SEARCH {_name.upper()}, another each time")(
        _search_for_others(_name)
    )


@step("noop", "NOOP round trips")
def _noop(at: Subject) -> Work:
    at.select(at.filled)

    def do() -> None:
        for _ in range(at.sizes.noops):
            at.client.run(b"NOOP")

    return Work(at.sizes.noops, do)


@step("copy", "UID COPY")
def _copy(at: Subject) -> Work:
    chosen = at.uids[: at.sizes.copied]
    at.select(at.filled)
    return Work(
        len(chosen),
        lambda: at.client.run(b"UID COPY %d:%d %b" % (chosen[0], chosen[-1], _SCRATCH)),
        right=lambda _: at.count(_SCRATCH) == len(chosen),
        before=lambda: at.create(_SCRATCH),
        after=lambda: at.remove(_SCRATCH),
    )


@step("connections", "sessions: login, SELECT, bodies, logout")
def _connections(at: Subject) -> Work:
    name, many = at.filled, min(at.sizes.bodies, len(at.mail))
    per, rounds = at.sizes.connections, at.sizes.rounds

    def connection(number: int) -> None:
        chance = random.Random(number)
        for _ in range(rounds):
            client = at.server.imap_client()
            client.run(b"SELECT " + name)
            first = chance.randint(1, len(at.mail) - many + 1)
            said = client.run(b"FETCH %d:%d BODY.PEEK[]" % (first, first + many - 1))
            if len(_FETCHED.findall(said)) != many:
                raise RuntimeError("not every message came")
            client.logout()

    return Work(per * rounds, lambda: together(per, connection))


@step("expunge", "EXPUNGE")
def _expunge(at: Subject) -> Work:
    def before() -> None:
        _leave(at)
        at.create(_SCRATCH)
        at.client.run(b"COPY 1:* " + _SCRATCH)
        at.select(_SCRATCH)
        at.client.run(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")

    return Work(
        len(at.mail),
        lambda: at.client.run(b"EXPUNGE"),
        right=lambda said: said.count(b" EXPUNGE\r\n") == len(at.mail),
        before=before,
        after=lambda: _leave(at),
        most=at.sizes.repeats,
    )


def _leave(at: Subject) -> None:
    # A mailbox that is selected may not be removed everywhere.
    at.select(at.filled)
    at.remove(_SCRATCH)


# --- POP3 -------------------------------------------------------------------------------------------------------------


@step("pop3-login", "POP3 login + logout", "pop3")
def _pop3_login(at: Subject) -> Work:
    def do() -> None:
        for _ in range(at.sizes.logins):
            at.server.pop3_client().logout()

    mail = _maildrop(at)
    return Work(at.sizes.logins, do, after=lambda: _clear(at, mail))


@step("pop3-stat", "POP3 STAT", "pop3")
def _pop3_stat(at: Subject) -> Work:
    mail = _maildrop(at)
    client = at.server.pop3_client()
    times = at.sizes.retrieved

    def do() -> bytes:
        for _ in range(times):
            said = client.run(b"STAT")
        return said

    def after() -> None:
        client.logout()
        _clear(at, mail)

    return Work(times, do, right=lambda said: _is_so_many(said, mail), after=after)


@step("pop3-uidl", "POP3 UIDL", "pop3")
def _pop3_uidl(at: Subject) -> Work:
    mail = _maildrop(at)
    client = at.server.pop3_client()
    many = int(client.run(b"STAT").split()[1])

    def after() -> None:
        client.logout()
        _clear(at, mail)

    return Work(
        many,
        lambda: client.lines(b"UIDL"),
        right=lambda said: said.count(b"\r\n") == many,
        after=after,
    )


@step("pop3-retr", "POP3 RETR", "pop3")
def _pop3_retr(at: Subject) -> Work:
    mail = _maildrop(at)
    client = at.server.pop3_client()
    many = min(int(client.run(b"STAT").split()[1]), at.sizes.retrieved)

    def do() -> list[bytes]:
        return [client.lines(b"RETR %d" % number) for number in range(1, many + 1)]

    def after() -> None:
        client.logout()
        _clear(at, mail)

    return Work(
        many,
        do,
        right=lambda said: (
            mail is None or [unstuffed(each) for each in said] == [each.data for each in mail]
        ),
        after=after,
    )


def _maildrop(at: Subject) -> list[Mail] | None:
    """What is put into INBOX; nothing, and it is taken as it is, where there is no IMAP."""
    if not _speaks(at, "imap"):
        return None
    mail = at.mail[: at.sizes.retrieved]
    at.empty()
    at.fill(b"INBOX", mail)
    return mail


def _clear(at: Subject, mail: list[Mail] | None) -> None:
    if mail is not None:
        at.empty()


def _is_so_many(said: bytes, mail: list[Mail] | None) -> bool:
    return mail is None or int(said.split()[1]) == len(mail)


# --- memory -----------------------------------------------------------------------------------------------------------


@step("idle", "memory of an IDLE connection")
def _idle(at: Subject) -> Work | None:
    return _memory(at, tls=False) if at.server.imap is not None else None


@step("idle-tls", "memory of an IDLE connection, TLS", "imaps")
def _idle_tls(at: Subject) -> Work | None:
    return _memory(at, tls=True)


def _memory(at: Subject, *, tls: bool) -> Work | None:
    if not at.server.pids:
        return None
    name, many = at.filled, at.sizes.idle
    server = at.server
    if server.fresh is not None:
        # What other steps have left free in the process would be used up before it grows.
        at.disconnect()
        server = server.fresh()
    pids = server.pids
    first = next(iter(pids))
    _let_open(many)

    def grown() -> float:
        """KiB of the first process that has a name: others, a database say, have their own ups and downs."""
        with _idling(server, name, _WARM, tls=tls):
            time.sleep(_SETTLE)
        time.sleep(_SETTLE)
        before = processes.memory(pids)[first]
        with _idling(server, name, many, tls=tls):
            time.sleep(_SETTLE)
            return (processes.memory(pids)[first] - before) * 1024 / many

    return Work(many, grown, tells=True)


@contextmanager
def _idling(server: Server, name: bytes, many: int, *, tls: bool) -> Iterator[None]:
    clients = []
    try:
        for _ in range(many):
            client = server.imap_client(tls=tls)
            clients.append(client)
            client.run(b"SELECT " + name)
            client.send(b"i IDLE\r\n")
            client.line()
        yield
    finally:
        _close(clients)


def _let_open(many: int) -> None:
    """Let this process have so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = many + 200
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


# ----------------------------------------------------------------------------------------------------------------------


def together(many: int, do: Callable[[int], None]) -> None:
    """`do(0)`, `do(1)` ... at the same time.

    @raise SystemExit: one of them failed
    """
    failures: list[Exception] = []

    def guarded(number: int) -> None:
        try:
            do(number)
        except Exception as failure:  # noqa: BLE001 it is told where the thread was started
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(many)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if failures:
        raise SystemExit(f"{len(failures)} of {many} connections failed: {failures[0]!r}")


def _close(connections: Sequence[Connection]) -> None:
    for each in connections:
        each.close()


def _literals(said: bytes) -> list[bytes]:
    return taken_apart(said)[1]


def _hits(said: bytes) -> int:
    found = re.search(rb"(?m)^\* SEARCH([ \d]*)", said)
    return len(found[1].split()) if found else -1
