"""The changes that are made of mail, each as the client that asks for it sees it.

Each is told the world and makes it ready, and answers `Ready`: whose mail it is about, and what makes the change and says
what the client was told of it, for each of these users.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Literal

import attrs

from tests.faults import talk
from tests.faults.world import World, message
from twisted_duck import errors
from twisted_duck.names import INBOX
from twisted_duck.store.collector import Collector
from twisted_duck.store.folding import fold
from twisted_duck.values import FlagChange

#: It was made; it was not; the connection was ended, and the client knows nothing.
Verdict = Literal["made", "not made", "unknown"]
SEEN, DELETED = "\\Seen", "\\Deleted"

ATTACHED = (
    b"Subject: attached\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(bytes(range(256)) * 1200).replace(b"\n", b"\r\n")
)


@attrs.frozen
class Ready:
    users: tuple[str, ...]
    act: Callable[[], Awaitable[list[Verdict]]]
    #: Where it is asked for.
    session: talk.Talk | None = None
    #: Whether that is an IMAP session of the user's, with INBOX selected.
    sees: bool = False


Change = Callable[[World], Awaitable[Ready]]


# --- IMAP -------------------------------------------------------------------------------------------------------------


async def _somebody(world: World) -> str:
    """INBOX has messages 1 to 4, 2 is \\Deleted."""
    user = await world.user(message(1))
    await world.put(user, INBOX, message(2), flags=[DELETED])
    await world.put(user, INBOX, *map(message, (3, 4)), flags=[SEEN])
    account = await world.account(user)
    for name in ("Work", "Work/a", "Work/a/b"):
        await account.create(name)
    await world.put(user, "Work", message(7))
    await world.put(user, "Work/a", message(8))
    return user


def _imap(
    command: str, *literals: bytes, somebody: Callable[[World], Awaitable[str]] = _somebody
) -> Change:
    """A command in a session that has INBOX selected."""

    async def ready(world: World) -> Ready:
        user = await world.like(somebody)
        session = await talk.imap(world.store, user, "SELECT INBOX")

        async def act() -> list[Verdict]:
            answer = await session.imap(command, *literals)
            return [_verdict(answer and answer[-1], "OK", "NO")]

        return Ready((user,), act, session, sees=True)

    return ready


def _verdict(answer: str | None, good: str, *bad: str) -> Verdict:
    if answer is None:
        return "unknown"
    if answer.startswith(good):
        return "made"
    assert answer.startswith(bad), answer
    return "not made"


append = _imap("APPEND Work (\\Seen) {}", message(40))
append_selected = _imap("APPEND INBOX {}", message(40))
append_attachment = _imap("APPEND Work {}", ATTACHED)
multiappend = _imap("APPEND Work (\\Seen) {} {} {}", message(40), message(41), message(42))
copy = _imap("UID COPY 1:3 Work")
copy_here = _imap("UID COPY 1:3 INBOX")
move = _imap("UID MOVE 1:3 Work")
store = _imap("STORE 1:3 +FLAGS (\\Answered $Work)")
sweep = _imap("STORE 1:4 +FLAGS.SILENT (\\Deleted $Work)")
expunge = _imap("EXPUNGE")
replace = _imap("UID REPLACE 3 INBOX {}", message(43))
create = _imap("CREATE New/with/parents")
subscribe = _imap("SUBSCRIBE Wanted")
delete = _imap("DELETE Work")
rename = _imap("RENAME Work Play")
rename_inbox = _imap("RENAME INBOX Old/mail")


# --- POP3 and LMTP ----------------------------------------------------------------------------------------------------


def _update(action: Literal["delete", "trash"]) -> Change:
    async def ready(world: World) -> Ready:
        user = await world.like(_somebody)
        session = await talk.pop3(world.store, user, deleteAction=action)
        for number in (1, 3):
            await session.line(f"DELE {number}")

        async def act() -> list[Verdict]:
            return [_verdict(await session.line("QUIT"), "+OK", "-ERR")]

        return Ready((user,), act, session)

    return ready


update = _update("delete")
update_to_trash = _update("trash")


def _lmtp(data: bytes, *, recipients: bool = True) -> Change:
    """To three users; without `recipients` they are named only when things go wrong."""

    async def ready(world: World) -> Ready:
        users = tuple([await world.like(_somebody) for _ in range(3)])
        session = await talk.lmtp(world.store, users if recipients else ())

        async def act() -> list[Verdict]:
            taken = list(users)
            if not recipients:
                await session.line("MAIL FROM:<eve@example.net>")
                answers = [await session.line(f"RCPT TO:<{each}>") for each in users]
                verdicts = [_verdict(answer, "250", "451") for answer in answers]
                taken = [u for u, verdict in zip(users, verdicts, strict=True) if verdict == "made"]
            told: dict[str, Verdict] = dict.fromkeys(users, "not made")
            if taken:
                assert (await session.line("DATA") or "").startswith("354")
                session.send(data + b".\r\n")
                for user in taken:
                    lines = await session.hear(lambda line: True)
                    told[user] = _verdict(lines and lines[0], "250", "451")
            return [told[user] for user in users]

        return Ready(users, act, session)

    return ready


delivery = _lmtp(message(50), recipients=False)
delivery_of_attachment = _lmtp(ATTACHED)


# --- administration ---------------------------------------------------------------------------------------------------


async def user_deleted(world: World) -> Ready:
    user = await world.like(_somebody)
    return Ready((user,), _asked(lambda: world.store.users.delete(user)))


async def _somebody_untidy(world: World) -> str:
    """With a mailbox's messages, an expunged one and an attachment to be collected, and what is in use beside them."""
    user = await world.user(ATTACHED, *map(message, range(1, 4)))
    account = await world.account(user)
    await account.create("gone")
    inbox = await account.select(INBOX, False)
    await inbox.copy([2], "gone")
    await inbox.remove([1, 3])
    await inbox.close()
    mongo = world.home.mongo
    box = await mongo.find_one("mailboxes", {"path": "gone"})
    assert box is not None
    await mongo.run({"delete": "mailboxes", "deletes": [{"q": {"_id": box["_id"]}, "limit": 1}]})
    size = {"q": {"_id": box["user"]}, "u": {"$inc": {"used": -box["bytes"]}}}
    await mongo.run({"update": "users", "updates": [size]})
    return user


async def _somebody_swept(world: World) -> str:
    """INBOX has three sweeps, and a message that was changed after the first."""
    user = await _somebody(world)
    inbox = await (await world.account(user)).select(INBOX, False)
    await inbox.store([1, 2, 3], FlagChange("add", frozenset({SEEN, "$Work"})))
    await inbox.store([2], FlagChange("replace", frozenset({"$Alone"})))
    await inbox.store([2, 3, 4], FlagChange("replace", frozenset({DELETED})))
    await inbox.store([1, 2, 3, 4], FlagChange("remove", frozenset({SEEN})))
    await inbox.close()
    return user


def _of_swept(command: str, *literals: bytes) -> Change:
    return _imap(command, *literals, somebody=_somebody_swept)


copy_swept = _of_swept("UID COPY 1:3 Work")
move_swept = _of_swept("UID MOVE 1:3 Work")
rename_swept = _of_swept("RENAME INBOX Old/mail")


async def folding(world: World) -> Ready:
    user = await world.like(_somebody_swept)
    mongo = world.home.mongo
    found = await mongo.find_one("users", {"name": user})
    assert found is not None
    inbox = await mongo.find_one("mailboxes", {"user": found["_id"], "path": INBOX})
    assert inbox is not None

    async def act() -> list[Verdict]:
        # Nobody is told how far it came.
        try:
            await fold(world.store.mongo, found["_id"], inbox["_id"])
        except errors.ServerError:
            return ["unknown"]
        return ["made"]

    return Ready((user,), act)


async def collection(world: World) -> Ready:
    async for other in world.home.users.all():
        await world.home.users.delete(other.name)
    user = await _somebody_untidy(world)
    collector = Collector(world.store.mongo, grace=timedelta(0))

    async def twice() -> None:
        for _ in range(2):
            await collector.run()

    return Ready((user,), _asked(twice))


def _asked(work: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[list[Verdict]]]:
    async def act() -> list[Verdict]:
        try:
            await work()
        except errors.Unsettled:
            return ["unknown"]
        except errors.ServerError:
            return ["not made"]
        return ["made"]

    return act
