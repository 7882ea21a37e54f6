"""The reference: what a mailbox is after each change, in the plainest way there is.

Every change takes the next modseq, and every new message the next UID.  Nothing that was ever true is forgotten, so that
whatever a session is told later can be looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from twisted_duck.values import FlagChange, Flags


@attrs.frozen
class Message:
    flags: Flags
    modseq: int
    #: No two messages that were appended have the same; a copy has that of its original.
    size: int


@attrs.define
class Mailbox:
    name: str
    uidvalidity: int
    uidnext: int
    modseq: int
    messages: dict[int, Message] = attrs.field(factory=dict)
    #: UID -> modseq -> the flags the message had from then on.
    versions: dict[int, dict[int, Flags]] = attrs.field(factory=dict)
    #: UID -> the modseq of its expunge.
    gone: dict[int, int] = attrs.field(factory=dict)

    @property
    def uids(self) -> list[int]:
        return sorted(self.messages)

    def add(self, messages: Iterable[tuple[Flags, int]], *, at: int | None = None) -> list[int]:
        """Messages by flags and size; their UIDs.  `at`: they come with that change, not with one of their own."""
        modseq = self.modseq = self.modseq + 1 if at is None else at
        uids = []
        for flags, size in messages:
            self._put(self.uidnext, Message(flags, modseq, size))
            uids.append(self.uidnext)
            self.uidnext += 1
        return uids

    def store(self, uids: Sequence[int], change: FlagChange) -> tuple[list[int], list[int]]:
        """Of those that live: which have the flags now, and which were changed since the client knew (RFC 7162 §3.1.3)."""
        done, failed = [], []
        modseq = self.modseq + 1
        for uid in uids:
            message = self.messages.get(uid)
            if message is None:
                continue
            if change.unchanged_since is not None and message.modseq > change.unchanged_since:
                failed.append(uid)
                continue
            done.append(uid)
            flags = change.apply(message.flags)
            if flags != message.flags:
                self.modseq = modseq
                self._put(uid, attrs.evolve(message, flags=flags, modseq=modseq))
        return done, failed

    def _put(self, uid: int, message: Message) -> None:
        self.messages[uid] = message
        self.versions.setdefault(uid, {})[message.modseq] = message.flags

    def remove(self, uids: Iterable[int]) -> None:
        living = self.messages.keys() & uids
        if living:
            self.modseq += 1
        for uid in living:
            del self.messages[uid]
            self.gone[uid] = self.modseq

    def with_flag(self, flag: str) -> list[int]:
        return [uid for uid in self.uids if flag in self.messages[uid].flags]

    def changed_since(self, modseq: int) -> set[int]:
        return {uid for uid, message in self.messages.items() if message.modseq > modseq}

    def gone_since(self, modseq: int) -> set[int]:
        return {uid for uid, at in self.gone.items() if at > modseq}


def copy(source: Mailbox, uids: Sequence[int], target: Mailbox, *, move: bool) -> list[int]:
    """The UIDs of the copies.  A MOVE within one mailbox is one change."""
    copied = [(source.messages[uid].flags, source.messages[uid].size) for uid in uids]
    new = target.add(copied)
    if move and source is target:
        source.modseq -= 1
    if move:
        source.remove(uids)
    return new
