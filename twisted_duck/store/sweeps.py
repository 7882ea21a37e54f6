"""Sweeps: changes of the flags of very many messages, kept with the mailbox until they are folded into its messages.

A sweep stands in `mailboxes.sweeps` under its modseq, with ranges of UIDs and what the STORE asked for; there are few of them
(`limits.sweeps`), and they ascend.  What a message is, is what its document says, and then, one after another, each sweep that
has its UID and whose modseq is above the document's:

* a change of the message alone writes its document under a later modseq, with all that the sweeps before made of it, so that
  they do not concern it any more;
* a message that came later has a UID above those of the sweep, which were all there, and a later modseq;
* a sweep that would change nothing leaves the message its modseq, as a STORE does.

So whoever reads flags or modseqs of documents reads the sweeps in the same snapshot, and comes to the same as everybody else,
whichever of the documents were folded by then (`folding`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from twisted_duck.store.driver import Document
from twisted_duck.values import FlagChange, Sweep, UIDSet


def dump(sweep: Sweep) -> Document:
    return {
        "modseq": sweep.modseq,
        "uids": [list(pair) for pair in sweep.uids.ranges],
        "mode": sweep.change.mode,
        "flags": sorted(sweep.change.flags),
    }


def load(mailbox: Document) -> list[Sweep]:
    """The sweeps in a mailbox's document, ascending by modseq."""
    return [
        Sweep(
            each["modseq"],
            UIDSet(tuple((first, last) for first, last in each["uids"])),
            FlagChange(each["mode"], frozenset(each["flags"])),
        )
        for each in mailbox.get("sweeps", ())
    ]


def swept(rows: Iterable[Document], sweeps: Sequence[Sweep]) -> Iterator[Document]:
    """Documents of messages (`uid`, `modseq`, `flags`, and whatever else) as the sweeps leave them; those that they leave as
    they are, are the same objects.
    """
    outcomes: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for row in rows:
        uid, old = row["uid"], row["modseq"]
        modseq, flags = old, row["flags"]
        for sweep in sweeps:
            if old < sweep.modseq and uid in sweep.uids:
                key = sweep.modseq, tuple(flags)
                after = outcomes.get(key)
                if after is None:
                    before = frozenset(flags)
                    new = sweep.change.apply(before)
                    after = outcomes[key] = flags if new == before else sorted(new)
                if after != flags:
                    modseq, flags = sweep.modseq, after
        yield row if modseq == old else {**row, "modseq": modseq, "flags": flags}


def concerning(flag: str, sweeps: Iterable[Sweep]) -> list[Sweep]:
    """Those that may change whether a message has a system flag."""
    return [each for each in sweeps if each.change.mode == "replace" or flag in each.change.flags]


def has(flag: str, sweeps: Iterable[Sweep]) -> Document:
    """An expression that is true of the document of a message that has a system flag."""
    expression: Document = {"$in": [{"$literal": flag}, "$flags"]}
    for sweep in concerning(flag, sweeps):
        within = [
            {"$and": [{"$gte": ["$uid", first]}, {"$lte": ["$uid", last]}]}
            for first, last in sweep.uids.ranges
        ]
        concerned = {"$and": [{"$lt": ["$modseq", sweep.modseq]}, {"$or": within}]}
        after = flag in sweep.change.flags and sweep.change.mode != "remove"
        expression = {"$cond": [concerned, after, expression]}
    return expression
