"""THREAD and UID THREAD (RFC 5256 §3)."""

from __future__ import annotations

from itertools import islice
from sys import getsizeof
from typing import Final

from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done, selected
from twisted_duck.imap.commands.search import find, may_renumber
from twisted_duck.imap.commands.sort import check
from twisted_duck.imap.sorting import OVERHEAD, sent
from twisted_duck.imap.threads import ALGORITHMS
from twisted_duck.values import FetchWant

_WANTS: Final[frozenset[FetchWant]] = frozenset({"date", "order", "ids"})
#: Bytes that a message takes in its tree.
_NODE: Final = 250
#: Pieces of the answer that are made between two pauses.
_AT_ONCE: Final = 2_000


async def thread(connection: Connection, command: grammar.Thread) -> Done:
    """RFC 5256 §3: found like SEARCH does, told as trees."""
    selection = selected(connection)
    uids = await find(connection, command.key)
    threads = ALGORITHMS[command.algorithm](connection.limits.thread_missing)
    #: Of each message, what it is told by.
    numbers: list[int] = []
    held = 0
    async for batch in selection.mailbox.fetch(uids, _WANTS):
        known = {uid: number for number, uid in selection.view.numbered(data.uid for data in batch)}
        for data in batch:
            threads.add(sent(data), data.order.subject, data.order.answers, data.ids)
            numbers.append(data.uid if command.uid else known[data.uid])
            held += OVERHEAD + _NODE + getsizeof(data.order.subject)
        check(connection, held)
        await connection.breathe()
    pieces = (await threads.forest(connection.breathe)).say(numbers)
    said: list[str] = []
    while some := "".join(islice(pieces, _AT_ONCE)):
        said.append(some)
        await connection.breathe()
    connection.send(responses.thread(said))
    await connection.tell(expunges=may_renumber(command))
    return Done("THREAD completed")
