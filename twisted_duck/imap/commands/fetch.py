"""FETCH and UID FETCH (RFC 3501 §6.4.5, §7.4.2).

A FETCH is planned once and then runs over its messages: each item asked for becomes a function from a message to the
bytes of its answer.  Items that are in the index (FLAGS, UID) ask no database; structure comes as the bytes stored when
the message arrived; body sections are ranges of the stored message, streamed where they are long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import attrs

from twisted_duck.errors import Corruption
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done, choose, selected
from twisted_duck.imap.commands.message import EXPUNGE_ISSUED
from twisted_duck.imap.grammar import Attribute, FetchBody
from twisted_duck.imap.selection import BATCH
from twisted_duck.imap.view import View
from twisted_duck.mime.section import filter_header, locate
from twisted_duck.outflow import Outflow
from twisted_duck.values import SEEN, FetchWant, FlagChange, Flags, MessageData


@attrs.frozen
class Row:
    """One message while it is answered."""

    number: int
    flags: Flags
    recent: bool
    data: MessageData


def _flags(row: Row) -> bytes:
    return b"FLAGS " + responses.flags_of(row.flags, row.recent)


def _uid(row: Row) -> bytes:
    return b"UID %d" % row.data.uid


def _internal_date(row: Row) -> bytes:
    assert row.data.internal_date is not None
    return b"INTERNALDATE " + responses.date_time(row.data.internal_date)


def _size(row: Row) -> bytes:
    assert row.data.size is not None
    return b"RFC822.SIZE %d" % row.data.size


def _envelope(row: Row) -> bytes:
    assert row.data.envelope is not None
    return b"ENVELOPE " + row.data.envelope


def _body(row: Row) -> bytes:
    assert row.data.body is not None
    return b"BODY " + row.data.body


def _bodystructure(row: Row) -> bytes:
    assert row.data.bodystructure is not None
    return b"BODYSTRUCTURE " + row.data.bodystructure


#: Each attribute: what the store must bring for it, and how it is said.
ATTRIBUTES: dict[Attribute, tuple[FetchWant | None, Callable[[Row], bytes]]] = {
    Attribute.FLAGS: (None, _flags),
    Attribute.UID: (None, _uid),
    Attribute.INTERNALDATE: ("date", _internal_date),
    Attribute.RFC822_SIZE: ("size", _size),
    Attribute.ENVELOPE: ("envelope", _envelope),
    Attribute.BODY: ("body", _body),
    Attribute.BODYSTRUCTURE: ("bodystructure", _bodystructure),
}


@attrs.frozen
class Plan:
    """What a FETCH needs and says, in the order it was asked."""

    items: tuple[Callable[[Row], bytes] | FetchBody, ...]
    #: The same where parts of the message are not among them, else None.
    short_items: tuple[Callable[[Row], bytes], ...] | None
    wants: frozenset[FetchWant]
    #: Whether reading sets \\Seen, and then FLAGS are told if nobody asked for them.
    sets_seen: bool
    says_flags: bool

    @classmethod
    def of(cls, command: grammar.Fetch, *, readonly: bool) -> Plan:
        items: list[Callable[[Row], bytes] | FetchBody] = []
        short_items: list[Callable[[Row], bytes]] = []
        wants: set[FetchWant] = set()
        asked = list(command.items)
        if command.uid and Attribute.UID not in asked:
            asked.insert(0, Attribute.UID)
        for item in asked:
            if isinstance(item, FetchBody):
                wants.add("content")
                items.append(item)
                continue
            want, say = ATTRIBUTES[item]
            items.append(say)
            short_items.append(say)
            if want is not None:
                wants.add(want)
        reads = any(isinstance(item, FetchBody) and not item.peek for item in asked)
        return cls(
            tuple(items),
            None if "content" in wants else tuple(short_items),
            frozenset(wants),
            sets_seen=reads and not readonly,
            says_flags=Attribute.FLAGS in asked,
        )


async def fetch(connection: Connection, command: grammar.Fetch) -> Done:
    selection = selected(connection)
    mailbox, view = selection.mailbox, selection.view
    uids = choose(view, command.set, uid=command.uid)
    plan = Plan.of(command, readonly=mailbox.readonly)
    told = 0
    async for batch in _batches(mailbox, uids, plan):
        newly_seen = await _set_seen(mailbox, view, batch) if plan.sets_seen else frozenset()
        if plan.says_flags or newly_seen:
            selection.tell_keywords()
        by_uid = {data.uid: data for data in batch}
        for uid, _, flags in mailbox.index.rows([data.uid for data in batch]):
            number = view.number(uid)
            assert number is not None  # `uids` came from this view
            row = Row(number, flags, view.is_recent(uid), by_uid[uid])
            if plan.short_items is None:
                await _stream(connection, plan, row, flags_changed=uid in newly_seen)
            else:
                connection.send(responses.fetch(number, [say(row) for say in plan.short_items]))
            if plan.wants:
                await connection.out.drain()
            told += 1
        await connection.breathe()
    await connection.tell(expunges=command.uid)
    return Done("FETCH completed", EXPUNGE_ISSUED if told < len(uids) else None)


async def _batches(
    mailbox: Any, uids: Sequence[int], plan: Plan
) -> AsyncIterator[Sequence[MessageData]]:
    if not plan.wants:
        for start in range(0, len(uids), BATCH):
            yield [MessageData(uid) for uid in uids[start : start + BATCH]]
        return
    async for batch in mailbox.fetch(uids, plan.wants):
        yield batch


async def _set_seen(mailbox: Any, view: View, batch: Sequence[MessageData]) -> frozenset[int]:
    """Set \\Seen on what is about to be read; the UIDs that did not have it."""
    rows = mailbox.index.rows([data.uid for data in batch])
    unseen = [uid for uid, _, flags in rows if SEEN not in flags]
    if not unseen:
        return frozenset()
    result = await mailbox.store(unseen, FlagChange("add", frozenset({SEEN})))
    if result.modseq:
        view.knows(result.modseq)
    return frozenset(result.changed)


async def _stream(connection: Connection, plan: Plan, row: Row, *, flags_changed: bool) -> None:
    """One response with parts of the message in it, sent in pieces that the client takes one after another.

    What fails before the first piece is sent fails the command; later it can only end the connection.
    """
    out = connection.out
    held: list[bytes] = []
    size = 0
    async for piece in _pieces(plan, row, flags_changed=flags_changed):
        held.append(piece)
        size += len(piece)
        if size >= out.PIECE:
            out.write(b"".join(held))
            connection.mid_answer = True
            held.clear()
            size = 0
            await out.drain()
    out.write(b"".join(held))
    connection.mid_answer = False


async def _pieces(plan: Plan, row: Row, *, flags_changed: bool) -> AsyncIterator[bytes]:
    separator = b"* %d FETCH (" % row.number
    if flags_changed and not plan.says_flags:
        yield separator + _flags(row)
        separator = b" "
    for item in plan.items:
        yield separator
        if isinstance(item, FetchBody):
            async for piece in _section(item, row.data.content):
                yield piece
        else:
            yield item(row)
        separator = b" "
    yield b")\r\n"


async def _section(item: FetchBody, content: Any) -> AsyncIterator[bytes]:
    """`BODY[section]<origin> {n}` and the bytes; NIL for a section the message does not have."""
    found = locate(content.tree, item.section)
    if found is None:
        yield item.response_name + b" NIL"
        return
    start, stop = found
    text, partial = item.section.text, item.partial
    if text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        header = b"".join([piece async for piece in _read(content, start, stop)])
        header = filter_header(header, item.section.fields, text == "HEADER.FIELDS.NOT")
        if partial is not None:
            header = header[partial.start : partial.start + partial.count]
        yield b"%b {%d}\r\n%b" % (item.response_name, len(header), header)
        return
    if partial is not None:
        start = min(start + partial.start, stop)
        stop = min(start + partial.count, stop)
    yield b"%b {%d}\r\n" % (item.response_name, stop - start)
    async for piece in _read(content, start, stop):
        yield piece


async def _read(content: Any, start: int, stop: int) -> AsyncIterator[bytes]:
    """Exactly the bytes `[start, stop)`, in pieces."""
    at_hand = content.peek(start, stop)
    if at_hand is not None:
        for at in range(0, stop - start, Outflow.PIECE):
            yield at_hand[at : at + Outflow.PIECE]
        return
    missing = stop - start
    async for chunk in content.chunks(start, stop):
        missing -= len(chunk)
        if missing < 0:
            break
        yield chunk
    if missing:
        raise Corruption("a message is not as long as it was when it arrived")
