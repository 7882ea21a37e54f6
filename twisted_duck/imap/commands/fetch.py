"""FETCH and UID FETCH (RFC 3501 §6.4.5, §7.4.2; RFC 7162), and what SELECT fetches for a client that comes back.

A FETCH is planned once and then runs over its messages: each item asked for becomes a function from a message to the
bytes of its answer.  Items that are in the index (FLAGS, UID) ask no database; structure comes as the bytes stored when
the message arrived; body sections are ranges of the stored message, streamed where they are long.

Neighbours among the items that never change are said as one, a run, which the mailbox may remember (`IRecallingMailbox`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import attrs

from twisted_duck.errors import BadSyntax
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import (
    Connection,
    Done,
    check_numbers,
    choose,
    selected,
    use_modseqs,
)
from twisted_duck.imap.commands.binary import check_encoding, say_binary, say_binary_size
from twisted_duck.imap.commands.message import EXPUNGE_ISSUED
from twisted_duck.imap.commands.sections import Pause, of_header, say_at_hand, say_section
from twisted_duck.imap.grammar import (
    Attribute,
    BinarySize,
    FetchBinary,
    FetchBody,
    FetchContent,
    FetchItem,
)
from twisted_duck.imap.resync import LAST_UID, agreed, among, vanished
from twisted_duck.imap.selection import BATCH, Selection
from twisted_duck.interfaces import IObjectIDAccount, IQResyncMailbox, IRecallingMailbox
from twisted_duck.mime.scan import PartTree
from twisted_duck.outflow import Outflow
from twisted_duck.sequence import SequenceSet
from twisted_duck.values import SEEN, FetchWant, FlagChange, MessageData, UIDSet

#: Items of messages that are answered between two pauses.
_ITEMS_AT_ONCE = 16
#: Ranges of UIDs that it is a piece of work to go through.
_RANGES_A_PIECE = 500
#: Changes that are as much work to find.
_CHANGES_A_PIECE = 5_000
#: Parts of a message that take as long to be read from the stored tree as an item takes to be said.
_PARTS_AN_ITEM = 10
#: Bytes of the names of items whose answers may be remembered.
_NAMES = 512
#: Between the names of a run, and between those of two: no name has them.
_BESIDE, _APART = b"\n", b"\0"


def _breaths(items: int) -> int:
    """As how many pieces of work so many items count."""
    return max(1, items // _ITEMS_AT_ONCE)


def _locates(item: FetchItem) -> bool:
    """Whether it takes the part tree to know where that is."""
    return isinstance(item, FetchBinary | BinarySize) or (
        isinstance(item, FetchBody) and bool(item.section.part)
    )


@attrs.define
class Row:
    """One message while it is answered.  Not frozen: one is made for each message, and that would cost the most."""

    number: int
    uid: int
    #: As they are said.
    flags: bytes
    modseq: int
    data: MessageData


def _flags(row: Row) -> bytes:
    return b"FLAGS " + row.flags


def _uid(row: Row) -> bytes:
    return b"UID %d" % row.uid


def _modseq(row: Row) -> bytes:
    return responses.modseq(row.modseq)


def _internal_date(row: Row) -> bytes:
    assert row.data.internal_date is not None
    return b"INTERNALDATE " + responses.date_time(row.data.internal_date)


def _save_date(row: Row) -> bytes:
    saved = row.data.saved
    return b"SAVEDATE " + (b"NIL" if saved is None else responses.date_time(saved))


def _email_id(row: Row) -> bytes:
    assert row.data.email_id is not None
    return b"EMAILID (%b)" % row.data.email_id.encode("ascii")


def _thread_id(row: Row) -> bytes:
    assert row.data.thread_id is not None
    return b"THREADID (%b)" % row.data.thread_id.encode("ascii")


def _preview(row: Row) -> bytes:
    preview = row.data.preview
    return b"PREVIEW " + responses.nstring(None if preview is None else preview.encode())


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
    Attribute.MODSEQ: (None, _modseq),
    Attribute.INTERNALDATE: ("date", _internal_date),
    Attribute.SAVEDATE: ("saved", _save_date),
    Attribute.EMAILID: ("email id", _email_id),
    Attribute.THREADID: ("thread id", _thread_id),
    Attribute.PREVIEW: ("preview", _preview),
    Attribute.PREVIEW_LAZY: ("ready preview", _preview),
    Attribute.RFC822_SIZE: ("size", _size),
    Attribute.ENVELOPE: ("envelope", _envelope),
    Attribute.BODY: ("body", _body),
    Attribute.BODYSTRUCTURE: ("bodystructure", _bodystructure),
}


#: Those that change, or that a session knows: how each is said, and its place in what `_messages` gives.
_VARYING: dict[Attribute, tuple[bytes, int]] = {
    Attribute.UID: (b"UID %d", 1),
    Attribute.FLAGS: (b"FLAGS %b", 2),
    Attribute.MODSEQ: (b"MODSEQ (%d)", 3),
}


#: What is read of the message itself, and how it is said.
CONTENTS: dict[type[FetchContent], Callable[[Any, Any, Pause], AsyncIterator[bytes]]] = {
    FetchBody: say_section,
    FetchBinary: say_binary,
    BinarySize: say_binary_size,
}


def _at_hand(item: FetchItem) -> Callable[[Row], bytes | None]:
    """How an item is said; what that gives is None if it is not short, or not there already."""
    if isinstance(item, Attribute):
        return ATTRIBUTES[item][1]
    if not isinstance(item, FetchBody):
        return lambda row: None
    return lambda row: say_at_hand(item, row.data.content)


def _run(items: Sequence[FetchItem]) -> Callable[[Row], bytes | None]:
    """How neighbours are said as one."""
    says = list(map(_at_hand, items))

    def say_all(row: Row) -> bytes | None:
        pieces: list[bytes] = []
        for say in says:
            piece = say(row)
            if piece is None:
                return None
            pieces.append(piece)
        return b" ".join(pieces)

    return says[0] if len(says) == 1 else say_all


def _memorable(item: FetchItem) -> bool:
    """Whether what is said of that is short, and worth remembering."""
    if isinstance(item, Attribute):
        return item not in _VARYING
    return isinstance(item, FetchBody) and item.partial is None and of_header(item)


def _name(item: FetchItem) -> bytes:
    """Of what is memorable: two items of one name are said in the same way."""
    return item.value.encode("ascii") if isinstance(item, Attribute) else item.response_name


def _what(runs: Sequence[Sequence[FetchItem]]) -> bytes | None:
    """What answers to these runs are remembered by, if they may be: the same items, otherwise apart, make other runs."""
    if not all(_memorable(item) for run in runs for item in run):
        return None
    what = _APART.join([_BESIDE.join(map(_name, run)) for run in runs])
    return what if len(what) <= _NAMES else None


@attrs.frozen
class Plan:
    """What a FETCH needs and says, in the order it was asked."""

    asked: tuple[FetchItem, ...]
    items: tuple[Callable[[Row], bytes] | FetchContent, ...]
    #: The same, each said at once or not at all: what varies, and the numbers of runs.
    order: tuple[Callable[[Row], bytes] | int, ...]
    runs: tuple[Callable[[Row], bytes | None], ...]
    #: What the runs are remembered by, None if they are not to be.
    what: bytes | None
    wants: frozenset[FetchWant]
    #: Whether parts of the message are among them.
    reads: bool
    #: Whether a header is gone through for chosen fields.
    filters: bool
    #: Whether it takes the part tree to know where something is.
    locates: bool
    #: Whether reading sets \\Seen, and then FLAGS are told if nobody asked for them.
    sets_seen: bool
    says_flags: bool

    @classmethod
    def of(cls, command: grammar.Fetch, selection: Selection) -> Plan:
        wants: set[FetchWant] = set()
        asked = list(command.items)
        if (command.uid or selection.tells_modseqs) and Attribute.UID not in asked:
            asked.insert(0, Attribute.UID)
        if selection.tells_modseqs and Attribute.MODSEQ not in asked:
            asked.append(Attribute.MODSEQ)
        for item in asked:
            if isinstance(item, FetchContent):
                wants.add(
                    "header" if isinstance(item, FetchBody) and of_header(item) else "content"
                )
            elif (want := ATTRIBUTES[item][0]) is not None:
                wants.add(want)
        order: list[Callable[[Row], bytes] | int] = []
        runs: list[tuple[FetchItem, ...]] = []
        for varies, some in groupby(asked, _VARYING.__contains__):
            if varies:
                order.extend(ATTRIBUTES[item][1] for item in some if isinstance(item, Attribute))
            else:
                order.append(len(runs))
                runs.append(tuple(some))
        seen = any(isinstance(item, FetchBody | FetchBinary) and not item.peek for item in asked)
        sets_seen = seen and not selection.mailbox.readonly
        return cls(
            tuple(asked),
            tuple(
                item if isinstance(item, FetchContent) else ATTRIBUTES[item][1] for item in asked
            ),
            tuple(order),
            tuple(map(_run, runs)),
            None if sets_seen else _what(runs),
            frozenset(wants),
            filters=any(isinstance(item, FetchBody) and item.filters for item in asked),
            locates=any(map(_locates, asked)),
            reads=not wants.isdisjoint(("header", "content")),
            sets_seen=sets_seen,
            says_flags=Attribute.FLAGS in asked,
        )

    def say(self, row: Row, *, flags_changed: bool = False) -> bytes | None:
        """The response, None if it is long or parts of it have to be waited for."""
        fixed = row.data.said or self._fixed(row)
        if fixed is None:
            return None
        if self.what is not None:
            row.data.said = fixed
        said = [fixed[each] if isinstance(each, int) else each(row) for each in self.order]
        if flags_changed and not self.says_flags:
            said.insert(0, _flags(row))
        return responses.fetch(row.number, said)

    def _fixed(self, row: Row) -> tuple[bytes, ...] | None:
        """What the runs say, under the same condition."""
        runs: list[bytes] = []
        for say in self.runs:
            said = say(row)
            if said is None:
                return None
            runs.append(said)
        is_long = self.reads and sum(map(len, runs)) > Outflow.PIECE
        return None if is_long else tuple(runs)

    def weight(self, row: Row) -> int:
        """How many items of a usual length it takes as long as to say this one."""
        if row.data.content is None:
            # It was remembered.
            return 1
        weight = len(self.items)
        if self.filters:
            weight *= 1 + row.data.content.header // 1024  # type: ignore[attr-defined]
        if self.locates:
            weight += len(row.data.content.tree.parts) // _PARTS_AN_ITEM  # type: ignore[attr-defined]
        return weight

    async def check(self, connection: Connection, batch: Sequence[MessageData]) -> None:
        """Fails with UnknownEncoding before anything is said of these messages."""
        parts = [item.part for item in self.items if isinstance(item, FetchBinary | BinarySize)]
        for data in batch if parts else ():
            tree: PartTree = data.content.tree  # type: ignore[attr-defined]
            for part in parts:
                check_encoding(tree, part)
            await connection.breathe(_breaths(len(tree.parts) // _PARTS_AN_ITEM))


async def fetch(connection: Connection, command: grammar.Fetch) -> Done:
    """RFC 3501 §6.4.5; RFC 7162 §3.1.4, §3.2.6."""
    selection = selected(connection)
    view, since = selection.view, command.changed_since
    if command.vanished and not connection.enabled.qresync:
        raise BadSyntax("QRESYNC has to be enabled first")
    if since is not None or Attribute.MODSEQ in command.items:
        use_modseqs(connection, selection)
    if not IObjectIDAccount.providedBy(connection.account):
        for item in (Attribute.EMAILID, Attribute.THREADID):
            if item in command.items:
                raise BadSyntax(f"{item.value} is not known of these mailboxes")
    numbers = command.set
    if command.page is not None:
        # First the page, then what was changed on it (RFC 9394 §3.4).
        numbers = SequenceSet(
            UIDSet.of(command.page.of(choose(view, numbers, uid=command.uid))).ranges
        )
    if since is None:
        uids = choose(view, numbers, uid=command.uid)
    else:
        check_numbers(view, numbers, uid=command.uid)
        if command.vanished:
            # Here `*` stands for the largest UID there can be: messages above the last one may have been and gone.
            await _tell_vanished(connection, selection, command.set.against(LAST_UID), since)
            await connection.breathe()
        changed = selection.mailbox.index.latest_since(since)
        await connection.breathe(1 + len(changed) // _CHANGES_A_PIECE)
        uids = among(view, numbers, changed, uid=command.uid)
    plan = Plan.of(command, selection)
    answer = _from_store if plan.wants else _from_index
    told = await answer(connection, selection, uids, plan)
    await connection.tell(expunges=command.uid)
    return Done("FETCH completed", EXPUNGE_ISSUED if told < len(uids) else None)


async def resynchronise(connection: Connection, selection: Selection, known: grammar.Known) -> None:
    """SELECT (QRESYNC ...): RFC 7162 §3.2.5.1, §3.2.5.2."""
    uids = known.uids or UIDSet(((1, LAST_UID),))
    if known.uids_of_numbers:
        same = agreed(selection.view, known.numbers, known.uids_of_numbers)
        lost = uids.common(UIDSet(((same + 1, LAST_UID),))) if same < LAST_UID else UIDSet()
    else:
        lost = uids
    # Each of what follows goes through all that the client knows, which may be as many single UIDs as a line has.
    pieces = 1 + len(uids.ranges) // _RANGES_A_PIECE
    await connection.breathe(pieces)
    await _tell_vanished(connection, selection, lost, known.modseq)
    await connection.breathe(pieces)
    numbers = SequenceSet(uids.ranges)
    flags = grammar.Fetch(numbers, (Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ), uid=True)
    changed = selection.mailbox.index.latest_since(known.modseq)
    await connection.breathe(1 + len(changed) // _CHANGES_A_PIECE)
    answered = among(selection.view, numbers, changed, uid=True)
    await connection.breathe(pieces)
    await _from_index(connection, selection, answered, Plan.of(flags, selection))


async def _tell_vanished(
    connection: Connection, selection: Selection, asked: UIDSet, modseq: int
) -> None:
    """Which of the UIDs were expunged since: RFC 7162 §3.2.10.1."""
    mailbox, gone = selection.mailbox, None
    if IQResyncMailbox.providedBy(mailbox):
        gone = await mailbox.vanished_since(modseq)
    uids = vanished(selection.view, mailbox.index, asked, gone)
    if uids:
        connection.send(responses.vanished(uids, earlier=True))
        await connection.breathe()


async def _from_index(
    connection: Connection, selection: Selection, uids: Sequence[int], plan: Plan
) -> int:
    """FLAGS and UID, without a question to the store.  How many messages were answered."""
    told = 0
    for start in range(0, len(uids), BATCH):
        if plan.says_flags:
            selection.tell_keywords()
        lines = _lines(selection, uids[start : start + BATCH], plan)
        connection.send(b"".join(lines))
        told += len(lines)
        await connection.breathe()
    return told


def _lines(selection: Selection, uids: Sequence[int], plan: Plan) -> list[bytes]:
    """What `Plan.say` would, without a `Row` for each message: all of a mailbox is asked for, and it takes half as long."""
    said, places = zip(*(_VARYING[item] for item in plan.asked if item in _VARYING), strict=True)
    line = b"* %d FETCH (" + b" ".join(said) + b")\r\n"
    return [line % wanted for wanted in map(itemgetter(0, *places), _messages(selection, uids))]


async def _from_store(
    connection: Connection, selection: Selection, uids: Sequence[int], plan: Plan
) -> int:
    """Everything else.  How many messages were answered."""
    told = items_told = 0
    mailbox = selection.mailbox
    if plan.what is not None and IRecallingMailbox.providedBy(mailbox):
        batches = mailbox.recall(uids, plan.wants, plan.what)
    else:
        batches = mailbox.fetch(uids, plan.wants)
    async for batch in batches:
        await plan.check(connection, batch)
        newly_seen = await _set_seen(selection, batch) if plan.sets_seen else frozenset()
        if plan.says_flags or newly_seen:
            selection.tell_keywords()
        found = {data.uid: data for data in batch}
        for number, uid, flags, modseq in _messages(selection, list(found)):
            row = Row(number, uid, flags, modseq, found[uid])
            flags_changed = uid in newly_seen
            said = plan.say(row, flags_changed=flags_changed)
            if said is None:
                await _stream(connection, plan, row, flags_changed=flags_changed)
            else:
                connection.send(said)
            items_told += plan.weight(row)
            if plan.reads and items_told >= _ITEMS_AT_ONCE:
                breaths, items_told = _breaths(items_told), 0
                await connection.breathe(breaths)
            elif connection.out.full:
                await connection.out.drain()
            told += 1
        await connection.breathe()
    return told


def _messages(selection: Selection, uids: Sequence[int]) -> list[tuple[int, int, bytes, int]]:
    """Number, UID, flags as they are said, and modseq of the messages that live, as they are now: the index may move as soon as
    somebody is waited for.
    """
    view = selection.view
    numbers = {uid: number for number, uid in view.numbered(uids)}
    is_recent = selection.is_recent if view.has_recent else lambda uid: False
    messages = [
        (numbers[uid], uid, responses.flags_of(flags, is_recent(uid)), modseq)
        for uid, modseq, flags in selection.mailbox.index.rows(uids)
    ]
    if messages and selection.tells_modseqs:
        selection.told(max(modseq for *_, modseq in messages))
    return messages


async def _set_seen(selection: Selection, batch: Sequence[MessageData]) -> frozenset[int]:
    """Set \\Seen on what is about to be read; the UIDs that did not have it."""
    mailbox = selection.mailbox
    rows = mailbox.index.rows([data.uid for data in batch])
    unseen = [uid for uid, _, flags in rows if SEEN not in flags]
    if not unseen:
        return frozenset()
    result = await mailbox.store(unseen, FlagChange("add", frozenset({SEEN})))
    if result.modseq:
        selection.view.knows(result.modseq)
    return frozenset(result.changed)


async def _stream(connection: Connection, plan: Plan, row: Row, *, flags_changed: bool) -> None:
    """One response with parts of the message in it, sent in pieces that the client takes one after another.

    What fails before the first piece is sent fails the command; later it can only end the connection.
    """
    out = connection.out
    held: list[bytes] = []
    size = 0
    async for piece in _pieces(plan, row, connection.breathe, flags_changed=flags_changed):
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


async def _pieces(
    plan: Plan, row: Row, pause: Pause, *, flags_changed: bool
) -> AsyncIterator[bytes]:
    separator = b"* %d FETCH (" % row.number
    if flags_changed and not plan.says_flags:
        yield separator + _flags(row)
        separator = b" "
    for item in plan.items:
        yield separator
        if isinstance(item, FetchContent):
            async for piece in CONTENTS[type(item)](item, row.data.content, pause):
                yield piece
        else:
            yield item(row)
        separator = b" "
    yield b")\r\n"
