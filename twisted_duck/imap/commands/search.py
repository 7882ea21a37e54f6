"""SEARCH, and what SORT has in common with it: how messages are found, and how they are told (RFC 4731, 5182, 9394)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted_duck.errors import BadSyntax, DuckError
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done, in_turns, selected, use_modseqs
from twisted_duck.imap.grammar import Returns
from twisted_duck.imap.selection import Selection
from twisted_duck.search import ModSeq, SearchKey, SequenceNumbers, at, walk
from twisted_duck.values import ascending, told


async def search(connection: Connection, command: grammar.Search) -> Done:
    """RFC 3501 §6.4.4, or RFC 9051 §6.4.4 where that is enabled."""
    if command.charset is not None and connection.enabled.utf8_accept:
        # RFC 6855 §3, and not RFC 9051.
        raise BadSyntax("with UTF8=ACCEPT a search names no charset")
    returns = command.returns
    if returns is None and connection.enabled.rev2:
        returns = Returns(all=True)
    try:
        found = await find(connection, command.key)
    except BadSyntax:
        raise
    except DuckError:
        forget(selected(connection), returns)
        raise
    numbers = found
    if not command.uid:
        view = selected(connection).view
        numbers = [
            number
            async for some in in_turns(connection, found)
            for number, _ in view.numbered(some)
        ]
    about_modseqs = asks_for_modseqs(command.key)
    if returns is None:
        most = await highest(connection, found) if about_modseqs else None
        connection.send(responses.search(await said(connection, numbers), most))
    else:
        await tell(connection, returns, found, numbers, uid=command.uid, modseqs=about_modseqs)
    await connection.tell(expunges=may_renumber(command))
    return Done("SEARCH completed")


async def unsearchable(connection: Connection, command: grammar.Unsearchable) -> Done:
    """RFC 5182 §2.1: a search that was to be saved, and failed, leaves nothing saved."""
    selected(connection).view.save(())
    raise command.error


def may_renumber(command: grammar.Search | grammar.Sort | grammar.Thread) -> bool:
    """Whether the client may be told of expunges with the answer: it sent no message numbers, and is told none.

    RFC 7162 §3.2.10.2 says so of VANISHED; a client that has sent its next command already is misled by EXPUNGE as well.
    """
    return command.uid and not any(
        isinstance(each, SequenceNumbers) and not each.set.saved for each in walk(command.key)
    )


def asks_for_modseqs(key: SearchKey) -> bool:
    return any(isinstance(each, ModSeq) for each in walk(key))


async def find(connection: Connection, key: SearchKey) -> Sequence[int]:
    """The UIDs that match, ascending, all of them of messages that the client knows.

    Fails with BadSyntax, and with what the mailbox fails with.
    """
    selection = selected(connection)
    if asks_for_modseqs(key):
        use_modseqs(connection, selection)
    resolved = selection.view.resolve(at(key, connection.now()))
    uids: Sequence[int] = await selection.mailbox.search(resolved)
    return uids


def forget(selection: Selection, returns: Returns | None) -> None:
    """The search failed: if it was to be saved, nothing is (RFC 5182 §2.1)."""
    if returns is not None and returns.save:
        selection.view.save(())


async def said(connection: Connection, numbers: Sequence[int]) -> list[bytes]:
    """In pieces, which may be a million."""
    return [responses.numbers(some) async for some in in_turns(connection, numbers)]


async def tell(
    connection: Connection,
    returns: Returns,
    found: Sequence[int],
    numbers: Sequence[int],
    *,
    uid: bool,
    modseqs: bool,
) -> None:
    """Say what a search was to return, and save what it was to save.

    @param found: UIDs, in the order in which they are told
    @param numbers: what stands for each of them: the same, or message numbers
    @param modseqs: whether the client asked for modseqs
    """
    items: list[bytes] = []
    #: UIDs of the messages that are told one by one.
    single: list[int] = []
    if found and returns.least:
        items.append(b"MIN %d" % numbers[0])
        single.append(found[0])
    if found and returns.greatest:
        items.append(b"MAX %d" % numbers[-1])
        single.append(found[-1])
    if found and returns.all:
        items.append(b"ALL " + await _set(connection, numbers))
    if returns.count:
        items.append(b"COUNT %d" % len(numbers))
    if returns.partial is not None:
        page = returns.partial
        some = page.of(numbers)
        shown = await _set(connection, some) if some else b"NIL"
        items.append(b"PARTIAL (%b %b)" % (page.to_bytes(), shown))
        single.extend(page.of(found))
    # Of RFC 4731 §3.2, RFC 5182 §2.4 and RFC 9394 §3.2 this is one and the same rule.
    few = returns.least or returns.greatest or returns.partial is not None
    meant = single if few and not (returns.all or returns.count) else found
    selection = selected(connection)
    if returns.save:
        selection.view.save(())
        async for each in in_turns(connection, sorted(meant)):
            selection.view.save_more(each)
    if modseqs and meant:
        items.append(b"MODSEQ %d" % await highest(connection, meant))
    if returns.tells:
        connection.send(responses.esearch(connection.tag, items, uid=uid))


async def _set(connection: Connection, numbers: Sequence[int]) -> bytes:
    """In their order: a range stands for numbers that ascend by one (RFC 5267 §3.2)."""
    ranges: list[tuple[int, int]] = []
    async for some in in_turns(connection, numbers):
        found = ascending(some)
        if ranges and ranges[-1][1] + 1 == found[0][0]:
            found[0] = ranges.pop()[0], found[0][1]
        ranges.extend(found)
    return ",".join([told(some) async for some in in_turns(connection, ranges)]).encode("ascii")


async def highest(connection: Connection, uids: Iterable[int]) -> int:
    """The highest modseq of messages (RFC 7162 §3.1.6)."""
    found = 0
    async for some in in_turns(connection, sorted(uids)):
        rows = selected(connection).mailbox.index.rows(some)
        found = max([found, *(modseq for _, modseq, _ in rows)])
    return found
