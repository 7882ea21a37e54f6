"""What a STORE comes to, before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

import attrs

from twisted_duck.index import MailboxIndex, living
from twisted_duck.store.sums import Sums
from twisted_duck.values import DELETED, SEEN, FlagChange, Flags, StoreResult


@attrs.frozen
class Plan:
    """What a STORE comes to at the modseq that an index has."""

    #: The UIDs that are to get each set of flags, in runs that ascend.
    groups: dict[Flags, list[int]]
    #: By how many there are more unseen and deleted messages.
    sums: Sums
    #: Of the messages: those that the change is for; those of them that have other flags, and those that have these already;
    #: those that failed UNCHANGEDSINCE.
    meant: Sequence[int]
    changed: Sequence[int]
    unchanged: Sequence[int]
    modified: Sequence[int]

    @classmethod
    def of(cls, index: MailboxIndex, uids: Sequence[int], change: FlagChange) -> Plan:
        groups: dict[Flags, list[int]] = {}
        unchanged: list[int] = []
        modified: list[int] = []
        bound = change.unchanged_since
        if bound is not None:
            modified = [uid for uid, modseq, _ in index.rows(uids) if modseq > bound]
            failed = set(modified)
            uids = [uid for uid in uids if uid not in failed]
        unseen = deleted = 0
        for flags, some in index.by_flags(uids).items():
            new = change.apply(flags)
            if new == flags:
                unchanged.extend(some)
            else:
                groups.setdefault(new, []).extend(some)
                unseen += len(some) * ((SEEN not in new) - (SEEN not in flags))
                deleted += len(some) * ((DELETED in new) - (DELETED in flags))
        unchanged.sort()
        if unchanged:
            changed = sorted(chain.from_iterable(groups.values()))
        else:
            changed = living(index, uids)
        return cls(groups, Sums(0, unseen, deleted), uids, changed, unchanged, modified)

    def result(self, modseq: int) -> StoreResult:
        return StoreResult(modseq, self.changed, self.unchanged, self.modified)


def joined(results: Sequence[StoreResult]) -> StoreResult:
    modseqs = [each.modseq for each in results if each.modseq]
    changed, unchanged, modified = (
        [uid for each in results for uid in uids_of(each)]
        for uids_of in map(attrgetter, ("changed", "unchanged", "modified"))
    )
    return StoreResult(max(modseqs, default=0), changed, unchanged, modified, modseqs[:-1])
