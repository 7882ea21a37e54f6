"""EXPUNGE, STORE, COPY, MOVE."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from twisted_duck.errors import BadSyntax, DuckError, ExpungeIssued, Modified
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import (
    Connection,
    Done,
    choose,
    selected,
    use_modseqs,
    writable,
)
from twisted_duck.imap.selection import BATCH, Selection
from twisted_duck.index import living
from twisted_duck.interfaces import IMoveMailbox
from twisted_duck.values import CopyResult, FlagChange, StoreResult, UIDSet, compact

#: Somebody else removed messages that this client does not know to be gone (RFC 5530, RFC 2180 §4).
EXPUNGE_ISSUED = b"EXPUNGEISSUED"


async def expunge(connection: Connection, command: grammar.Expunge) -> Done:
    """RFC 3501 §6.4.3; UID EXPUNGE: RFC 4315 §2.1."""
    selection = writable(connection)
    if command.uids is None:
        gone = await selection.mailbox.expunge()
    else:
        chosen = selection.view.select(command.uids, uid=True)
        gone = await selection.mailbox.expunge(UIDSet.of(chosen))
    await connection.tell(expunges=True)
    return Done("EXPUNGE completed", highest_modseq(selection) if gone else None)


def highest_modseq(selection: Selection) -> bytes | None:
    """After messages have left the mailbox (RFC 7162 §3.2.7, §3.2.9; RFC 6851 §4.4, which does not ask for QRESYNC)."""
    if not selection.tells_modseqs:
        return None
    return responses.highest_modseq(selection.view.synchronised_at)


async def store(connection: Connection, command: grammar.Store) -> Done:
    """RFC 3501 §6.4.6; UNCHANGEDSINCE: RFC 7162 §3.1.3.

    A message that has the flags already keeps its modseq, and is among those that are told; so is one that failed.
    """
    selection = writable(connection)
    if command.unchanged_since is not None:
        use_modseqs(connection, selection)
    uids = choose(selection.view, command.set, uid=command.uid)
    known = selection.view.flags_at
    # What others changed is told first: a .SILENT change must not hide it.
    await connection.tell(expunges=False)
    change = FlagChange(command.mode, command.flags, command.unchanged_since)
    # Where one of several changes fails, those before it are told as news.
    result = await selection.mailbox.store(uids, change)
    for modseq in (*result.earlier, result.modseq):
        selection.view.knows(modseq)
    selection.tell_keywords()
    await _tell_stored(connection, selection, command, result)
    # Why messages failed, so that nobody has to ask; what has changed since is told as news.
    rows = selection.mailbox.index.rows(sorted(result.modified))
    old = [each for each, modseq, _ in rows if modseq <= known]
    await _tell(connection, selection, old, silent=False, uid=command.uid)
    failed = UIDSet.of(
        result.modified
        if command.uid
        else (number for number, _ in selection.view.numbered(result.modified))
    )
    gone = len(result.changed) + len(result.unchanged) + len(result.modified) < len(uids)
    await connection.tell(expunges=command.uid)
    if failed and gone and not command.uid:
        raise Modified("some of the messages do not exist any more", str(failed))
    if failed:
        return Done(
            "STORE completed, but for messages that were changed", responses.modified(failed)
        )
    return Done("STORE completed", EXPUNGE_ISSUED if gone else None)


async def _tell_stored(
    connection: Connection, selection: Selection, command: grammar.Store, result: StoreResult
) -> None:
    """The flags that messages have now, if they were asked for, and their modseqs, whether or not (RFC 7162 §3.1.3)."""
    if not command.silent or command.unchanged_since is not None:
        uids = sorted((*result.changed, *result.unchanged))
    elif selection.tells_modseqs:
        uids = list(result.changed)
    else:
        return
    await _tell(connection, selection, uids, silent=command.silent, uid=command.uid)


async def _tell(
    connection: Connection, selection: Selection, uids: Sequence[int], *, silent: bool, uid: bool
) -> None:
    """Messages as they are now, those that are there; `silent`: without their flags."""
    view, index = selection.view, selection.mailbox.index
    for start in range(0, len(uids), BATCH):
        for each, modseq, flags in index.rows(uids[start : start + BATCH]):
            number = view.number(each)
            assert number is not None  # `uids` came from this view
            items = (
                ()
                if silent
                else (b"FLAGS " + responses.flags_of(flags, selection.is_recent(each)),)
            )
            connection.send(selection.say_fetch(number, each, modseq, *items, with_uid=uid))
        await connection.breathe()


async def copy(connection: Connection, command: grammar.Copy) -> Done:
    """RFC 3501 §6.4.7."""
    selection = selected(connection)
    uids = _to_copy(selection, command)
    if not uids:
        return Done("COPY completed: no messages")
    result = await selection.mailbox.copy(uids, command.mailbox)
    await selection.catch_up()
    await connection.tell(expunges=True)
    return Done("COPY completed", _copyuid(result))


async def move(connection: Connection, command: grammar.Move) -> Done:
    """RFC 6851 §3.3: COPYUID is told before the messages are gone.

    Very many are moved in pieces.  Where one fails, those before it have been moved, and that is told before the NO.
    """
    selection = writable(connection)
    if not IMoveMailbox.providedBy(selection.mailbox):
        raise BadSyntax("MOVE is not supported here")
    uids = _to_copy(selection, command)
    if not uids:
        return Done("MOVE completed: no messages")
    most = connection.limits.messages_per_change
    moved: list[CopyResult] = []
    try:
        for at in range(0, len(uids), most):
            moved.append(await selection.mailbox.move(uids[at : at + most], command.mailbox))
    except DuckError:
        if moved:
            await _tell_moved(connection, moved)
        raise
    await _tell_moved(connection, moved)
    return Done("MOVE completed", highest_modseq(selection))


async def _tell_moved(connection: Connection, moved: Sequence[CopyResult]) -> None:
    # One COPYUID, unless somebody put another mailbox in the place of the destination meanwhile.
    for uidvalidity, group in groupby(moved, lambda result: result.uidvalidity):
        results = list(group)
        code = _copyuid(
            CopyResult(
                uidvalidity,
                [uid for result in results for uid in result.source],
                [uid for result in results for uid in result.destination],
            )
        )
        if code is not None:
            connection.send(responses.status(b"OK", "moved", code))
            await connection.breathe()
    await connection.tell(expunges=True)


def _to_copy(selection: Selection, command: grammar.Copy | grammar.Move) -> list[int]:
    """The UIDs to be copied, which are all alive as far as this process knows.

    A UID of a message that is gone is left out (RFC 3501 §6.4.8).  A sequence number of one is not: the client means a
    message that it still sees, and all or none are copied.  `$` has lost it when it went (RFC 5182 §2.1).
    """
    uids = choose(selection.view, command.set, uid=command.uid)
    alive = living(selection.mailbox.index, uids)
    if len(alive) < len(uids) and not (command.uid or command.set.saved):
        raise ExpungeIssued("some of the messages do not exist any more")
    return alive


def _copyuid(result: CopyResult | None) -> bytes | None:
    if result is None or not result.source:
        return None
    return responses.copyuid(
        result.uidvalidity, compact(result.source), compact(result.destination)
    )
