"""FETCH and UID FETCH (RFC 3501 §6.4.5, §7.4.2).

A FETCH is planned once and then runs over its messages: each item asked for becomes a function from a message to the
bytes of its answer.  Items that are in the index (FLAGS, UID) ask no database; structure comes as the bytes stored when
the message arrived; body sections are ranges of the stored message, streamed where they are long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import attrs

from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done, choose, selected
from twisted_duck.imap.commands.message import EXPUNGE_ISSUED
from twisted_duck.imap.grammar import Attribute, FetchBody
from twisted_duck.imap.view import View
from twisted_duck.mime.section import filter_header, locate
from twisted_duck.values import SEEN, FetchWant, FlagChange, Flags, MessageData

#: Messages between two pauses when nothing has to be read from the store.
BATCH = 500


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
    wants: frozenset[FetchWant]
    #: Whether reading sets \\Seen, and then FLAGS are told if nobody asked for them.
    sets_seen: bool
    says_flags: bool

    @classmethod
    def of(cls, command: grammar.Fetch, *, readonly: bool) -> Plan:
        items: list[Callable[[Row], bytes] | FetchBody] = []
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
            if want is not None:
                wants.add(want)
        reads = any(isinstance(item, FetchBody) and not item.peek for item in asked)
        return cls(tuple(items), frozenset(wants), reads and not readonly, Attribute.FLAGS in asked)


async def fetch(connection: Connection, command: grammar.Fetch) -> Done:
    mailbox, view = selected(connection)
    uids = choose(view, command.set, uid=command.uid)
    plan = Plan.of(command, readonly=mailbox.readonly)
    told = 0
    async for batch in _batches(mailbox, uids, plan):
        newly_seen = await _set_seen(mailbox, view, batch) if plan.sets_seen else frozenset()
        by_uid = {data.uid: data for data in batch}
        for uid, _, flags in mailbox.index.rows([data.uid for data in batch]):
            number = view.number(uid)
            assert number is not None  # `uids` came from this view
            row = Row(number, flags, view.is_recent(uid), by_uid[uid])
            await _answer(connection, plan, row, flags_changed=uid in newly_seen)
            told += 1
        await connection.breathe()
    await connection.tell(expunges=command.uid)
    return Done("FETCH completed", EXPUNGE_ISSUED if told < len(uids) else None)


async def _batches(mailbox: Any, uids: Sequence[int], plan: Plan) -> AsyncIterator[Sequence[MessageData]]:
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


async def _answer(connection: Connection, plan: Plan, row: Row, *, flags_changed: bool) -> None:
    out = connection.out
    out.write(b"* %d FETCH (" % row.number)
    separator = b""
    if flags_changed and not plan.says_flags:
        out.write(_flags(row))
        separator = b" "
    for item in plan.items:
        if isinstance(item, FetchBody):
            await _section(connection, separator, item, row.data.content)
        else:
            out.write(separator + item(row))
        separator = b" "
    out.write(b")\r\n")


async def _section(connection: Connection, separator: bytes, item: FetchBody, content: Any) -> None:
    """`BODY[section]<origin> {n}` and the bytes; NIL for a section the message does not have."""
    name = separator + item.response_name
    found = locate(content.tree, item.section)
    if found is None:
        connection.out.write(name + b" NIL")
        return
    start, stop = found
    if item.section.text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        negate = item.section.text == "HEADER.FIELDS.NOT"
        header = filter_header(await _read(content, start, stop), item.section.fields, negate)
        if item.partial is not None:
            header = header[item.partial.start : item.partial.start + item.partial.count]
        connection.out.write(b"%b {%d}\r\n%b" % (name, len(header), header))
        return
    if item.partial is not None:
        start = min(start + item.partial.start, stop)
        stop = min(start + item.partial.count, stop)
    connection.out.write(b"%b {%d}\r\n" % (name, stop - start))
    at_hand = content.peek(start, stop)
    if at_hand is not None:
        connection.out.write(at_hand)
        return
    async for chunk in content.chunks(start, stop):
        connection.out.write(chunk)
        await connection.out.drain()


async def _read(content: Any, start: int, stop: int) -> bytes:
    at_hand = content.peek(start, stop)
    if at_hand is not None:
        return bytes(at_hand)
    return b"".join([chunk async for chunk in content.chunks(start, stop)])
