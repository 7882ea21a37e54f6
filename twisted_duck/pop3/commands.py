"""What each POP3 command does, and in which states it is allowed.

A handler is given the connection and the command's value, and says the whole answer.  An error of `twisted_duck.errors`
becomes `-ERR`, unless the answer has begun: then the connection is ended, for that is the only way to tell the client.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any

from twisted_duck.auth import ScramCredentials
from twisted_duck.connection import Rule
from twisted_duck.errors import DuckError, Refused, Unsettled, WrongState
from twisted_duck.mime.surrogate import Downgrader
from twisted_duck.pop3 import grammar, inbox, responses
from twisted_duck.sasl import Credentials
from twisted_duck.wire.dotstuff import DotStuffer
from twisted_duck.wire.lines import FirstLines

if TYPE_CHECKING:
    from twisted_duck.pop3.protocol import POP3Protocol

#: RFC 1939 §3, as `Session.state` tells them.
AUTHORIZATION = "AUTHORIZATION"
TRANSACTION = "TRANSACTION"
UPDATE = "UPDATE"

#: Lines of a listing that are written at once.
_BATCH = 1000

#: Octets of a header that take as long to be downgraded as a piece of work usually does.
_DOWNGRADED = 1024


# --- in both states ---------------------------------------------------------------------------------------------------


async def capa(connection: POP3Protocol, command: grammar.Capa) -> None:
    """RFC 2449 §5."""
    await _listing(connection, "what can be done now", connection.capabilities())


async def leave(connection: POP3Protocol, command: grammar.Quit) -> None:
    """QUIT: RFC 1939 §4, §6.  Whatever comes of it, the connection is over."""
    connection.after_answer(lambda: connection.end("logout"))
    if connection.session.state == TRANSACTION:
        connection.session.state = UPDATE
        places = connection.maildrop.doomed()
        if places and not await _update(connection, places):
            return
    connection.send(responses.ok("until next time"))


async def _update(connection: POP3Protocol, places: list[int]) -> bool:
    """Whether all of the messages are gone."""
    try:
        await connection.run(connection.source.remove(places), "UPDATE")
    except Unsettled as error:
        connection.abandon(error.message)
    except DuckError as error:
        connection.failed(error, bad=False)
        # With more than one change takes, those before the one that failed were made.
        one = len(places) <= connection.limits.messages_per_change
        what = "nothing" if one else "not all"
        connection.send(responses.err(f"{what} was deleted: {error.message}", error.pop3))
        return False
    connection.log.info(
        "{session.id} removed {count} messages ({action})",
        session=connection.session,
        count=len(places),
        action=connection.settings.delete_action,
    )
    return True


# --- before login -----------------------------------------------------------------------------------------------------


async def user(connection: POP3Protocol, command: grammar.User) -> None:
    """RFC 1939 §7.  Whether there is such a user is not said; a password in clear is refused before it is sent."""
    connection.check_privacy()
    connection.user = command.name
    connection.send(responses.ok("now the password"))


async def password(connection: POP3Protocol, command: grammar.Pass) -> None:
    """RFC 1939 §7: after a wrong one, USER comes first again."""
    connection.check_privacy()
    name, connection.user = connection.user, None
    if name is None:
        raise WrongState("USER comes before PASS")
    await _log_in(connection, Credentials.of(name, command.password))


async def authenticate(connection: POP3Protocol, command: grammar.Auth) -> None:
    """RFC 5034."""
    credentials = await connection.exchange(
        command.mechanism, command.initial, responses.continuation
    )
    await _log_in(connection, credentials)


async def _log_in(connection: POP3Protocol, credentials: Credentials | ScramCredentials) -> None:
    await connection.log_in(credentials)
    await connection.open()
    maildrop = connection.maildrop
    connection.send(responses.ok(f"{maildrop.count} messages ({maildrop.octets} octets)"))


async def apop(connection: POP3Protocol, command: grammar.Apop) -> None:
    """RFC 1939 §7: it would need passwords that are stored in clear.  The greeting offers no timestamp for it."""
    raise Refused("there is no APOP here")


async def stls(connection: POP3Protocol, command: grammar.Stls) -> None:
    """RFC 2595 §4: what was received before the handshake is forgotten, a user's name as well."""
    connection.start_tls()
    connection.user = None
    connection.utf8 = False
    connection.send(responses.ok("begin TLS negotiation now"))


async def utf8(connection: POP3Protocol, command: grammar.Utf8) -> None:
    """RFC 6856 §2.1: from now on messages are sent as they were stored, whatever their headers have."""
    connection.utf8 = True
    connection.send(responses.ok("UTF-8 it is"))


# --- after login ------------------------------------------------------------------------------------------------------


async def stat(connection: POP3Protocol, command: grammar.Stat) -> None:
    """RFC 1939 §5."""
    maildrop = connection.maildrop
    connection.send(responses.ok(f"{maildrop.count} {maildrop.octets}"))


async def list_(connection: POP3Protocol, command: grammar.List) -> None:
    """RFC 1939 §5.  The size is that of the stored message; a line end that RETR adds at its end is not counted."""
    maildrop = connection.maildrop
    if command.number is not None:
        connection.send(responses.ok(f"{command.number} {maildrop.size(command.number)}"))
        return
    lines = (f"{number} {maildrop.size(number)}" for number in maildrop.numbers())
    title = f"{maildrop.count} messages ({maildrop.octets} octets)"
    await _listing(connection, title, lines)


async def uidl(connection: POP3Protocol, command: grammar.Uidl) -> None:
    """RFC 1939 §7."""
    maildrop, source = connection.maildrop, connection.source

    def unique_id(number: int) -> str:
        of: str = source.unique_id(maildrop.place(number))
        return of

    if command.number is not None:
        connection.send(responses.ok(f"{command.number} {unique_id(command.number)}"))
        return
    lines = (f"{number} {unique_id(number)}" for number in maildrop.numbers())
    await _listing(connection, f"{maildrop.count} messages", lines)


async def retr(connection: POP3Protocol, command: grammar.Retr) -> None:
    """RFC 1939 §5."""
    place = connection.maildrop.place(command.number)
    content = await connection.source.content(place)
    answer = _Answer(connection, f"{connection.maildrop.size(command.number)} octets")
    await answer.copy(content, 0, content.size)
    answer.finish()
    if connection.settings.retr_sets_seen:
        await _set_seen(connection, place)


async def _set_seen(connection: POP3Protocol, place: int) -> None:
    """The client has the message: nothing that happens now can be told to it."""
    try:
        await connection.run(connection.source.set_seen(place), "RETR")
    except DuckError as error:
        connection.log.warn(
            "{session.id}: message {number} stays unseen: {error}",
            session=connection.session,
            number=place + 1,
            error=error,
        )


async def top(connection: POP3Protocol, command: grammar.Top) -> None:
    """RFC 1939 §7."""
    content = await connection.source.content(connection.maildrop.place(command.number))
    body = content.tree.parts[0].body
    answer = _Answer(connection, "the beginning of the message")
    await answer.copy(content, 0, body)
    await answer.copy(content, body, content.size, FirstLines(command.lines))
    answer.finish()


async def dele(connection: POP3Protocol, command: grammar.Dele) -> None:
    """RFC 1939 §5: the message is marked, and goes in QUIT."""
    connection.maildrop.delete(command.number)
    connection.send(responses.ok(f"message {command.number} is marked as deleted"))


async def rset(connection: POP3Protocol, command: grammar.Rset) -> None:
    """RFC 1939 §5."""
    maildrop = connection.maildrop
    maildrop.reset()
    connection.send(responses.ok(f"{maildrop.count} messages ({maildrop.octets} octets)"))


async def noop(connection: POP3Protocol, command: grammar.Noop) -> None:
    """RFC 1939 §5."""
    connection.send(responses.ok("still here"))


# --- answers of more than one line ------------------------------------------------------------------------------------


async def _listing(connection: POP3Protocol, title: str, lines: Iterable[str]) -> None:
    """Lines that never begin with a dot."""
    connection.mid_answer = True
    connection.send(responses.ok(title))
    each = iter(lines)
    while batch := list(islice(each, _BATCH)):
        connection.send("".join(f"{line}\r\n" for line in batch).encode("ascii"))
        await connection.breathe()
    connection.send(responses.END)
    connection.mid_answer = False


class _Answer:
    """A message on its way out.  `+OK` is said when its first piece is there, and can be read."""

    def __init__(self, connection: POP3Protocol, title: str) -> None:
        self._connection = connection
        self._title = title
        self._stuffer = DotStuffer()

    async def copy(
        self, content: Any, start: int, stop: int, only: FirstLines | None = None
    ) -> None:
        """Send the bytes of `content` from `start` to `stop`, no faster than the client reads; to a client that has not
        said UTF8, with headers of ASCII (RFC 6856 §2.1).
        """
        if only is not None and only.done:
            return
        at_hand = inbox.at_hand(content, start, stop)
        if at_hand is not None and (self._connection.utf8 or at_hand.isascii()):
            self._say(at_hand, only)
            return
        downgrader = None
        if not self._connection.utf8:
            limit = self._connection.limits.pop3_header
            downgrader = Downgrader(content.tree, start, limit)
        async with aclosing(inbox.pieces(content, start, stop)) as pieces:
            async for piece in pieces:
                for told in (piece,) if downgrader is None else downgrader.feed(piece):
                    self._say(told, only)
                    work = 0 if downgrader is None else downgrader.downgraded
                    await self._connection.breathe(1 + work // _DOWNGRADED)
                    if only is not None and only.done:
                        return

    def _say(self, piece: bytes, only: FirstLines | None) -> None:
        self._begin()
        self._connection.send(self._stuffer.feed(only.feed(piece) if only else piece))

    def finish(self) -> None:
        self._begin()
        self._connection.send(self._stuffer.finish())
        self._connection.mid_answer = False

    def _begin(self) -> None:
        if not self._connection.mid_answer:
            self._connection.mid_answer = True
            self._connection.send(responses.ok(self._title))


# --- the table --------------------------------------------------------------------------------------------------------


_ANY = frozenset({AUTHORIZATION, TRANSACTION})
_BEFORE_LOGIN = frozenset({AUTHORIZATION})
_AFTER_LOGIN = frozenset({TRANSACTION})

TABLE: dict[type, Rule] = {
    grammar.Capa: Rule(_ANY, capa),
    grammar.Quit: Rule(_ANY, leave),
    grammar.User: Rule(_BEFORE_LOGIN, user),
    grammar.Pass: Rule(_BEFORE_LOGIN, password),
    grammar.Auth: Rule(_BEFORE_LOGIN, authenticate),
    grammar.Apop: Rule(_BEFORE_LOGIN, apop),
    grammar.Stls: Rule(_BEFORE_LOGIN, stls),
    grammar.Utf8: Rule(_BEFORE_LOGIN, utf8),
    grammar.Stat: Rule(_AFTER_LOGIN, stat),
    grammar.List: Rule(_AFTER_LOGIN, list_),
    grammar.Uidl: Rule(_AFTER_LOGIN, uidl),
    grammar.Retr: Rule(_AFTER_LOGIN, retr),
    grammar.Top: Rule(_AFTER_LOGIN, top),
    grammar.Dele: Rule(_AFTER_LOGIN, dele),
    grammar.Rset: Rule(_AFTER_LOGIN, rset),
    grammar.Noop: Rule(_AFTER_LOGIN, noop),
}
