"""THREAD: messages as the trees of their discussions (RFC 5256 §3).

Messages are given one after another, in the order of their numbers, and known by their place in that order from then
on.  Nothing here goes down a tree by recursion, and nothing takes more than a bounded number of steps a message, however
its References field was made up.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import attrs

from twisted_duck.imap.sorting import Pause, in_order
from twisted_duck.mime.references import NONE, split

#: Steps between two pauses: a millisecond.
_AT_ONCE: Final = 500
_DUMMY: Final = -1
_NOBODY: Final = -1
#: Steps that may be taken up the trees in search of loops: this many at all events, and so many for each node.
#: Honest messages, whatever order they are in, take fewer than twenty for each.
_STEPS: Final = 1_000_000
_STEPS_EACH: Final = 32


@attrs.frozen
class Forest:
    """Threads in order.

    A number from 0 is a message by its place; a negative one is none, and holds messages together that answer one that
    is not there.
    """

    roots: Sequence[int]
    children: dict[int, list[int]]

    def say(self, numbers: Sequence[int]) -> Iterator[str]:
        """The pieces of `thread-list`s (RFC 5256 §5), messages by what stands at their place in `numbers`."""
        # None closes a parenthesis.
        waiting: list[int | None] = list(reversed(self.roots))
        while waiting:
            node = waiting.pop()
            if node is None:
                yield ")"
                continue
            yield "("
            waiting.append(None)
            between = ""
            while True:
                if node >= 0:
                    yield f"{between}{numbers[node]}"
                    between = " "
                below = self.children.get(node, [])
                if len(below) != 1:
                    break
                node = below[0]
            if below:
                yield between
                waiting.extend(reversed(below))


class Threading(Protocol):
    """A threading algorithm."""

    def add(self, sent: int, subject: str, answers: bool, ids: bytes) -> None:
        """The next message.

        @param sent: the sent date, in seconds
        @param subject: the base subject, made ready to be compared
        @param answers: whether its subject is that of a reply or of a forwarded message
        @param ids: see L{twisted_duck.mime.references.ids}
        """

    async def forest(self, pause: Pause) -> Forest:
        """The threads of all that were added."""


class OrderedSubject:
    """ORDEREDSUBJECT: messages with the same base subject, the first one above all others."""

    def __init__(self, most_ids: int = 0) -> None:
        self._sent: list[int] = []
        self._subjects: list[str] = []

    def add(self, sent: int, subject: str, answers: bool, ids: bytes) -> None:
        self._sent.append(sent)
        self._subjects.append(subject)

    async def forest(self, pause: Pause) -> Forest:
        # All by their dates at once: so each thread is in order, and threads are by the first message of each.  What was
        # sent in the same second stands in the order of the messages.
        roots: dict[str, int] = {}
        children: dict[int, list[int]] = {}
        places = await in_order(range(len(self._sent)), self._sent.__getitem__, pause)
        for count, place in enumerate(places, 1):
            root = roots.setdefault(self._subjects[place], place)
            if root != place:
                children.setdefault(root, []).append(place)
            if not count % _AT_ONCE:
                await pause()
        return Forest(list(roots.values()), children)


class References:
    """REFERENCES, by the steps and the letters of the RFC.

    @param most_ids: of messages that are not there, so many are told apart; more can't hold anything together
    """

    def __init__(self, most_ids: int) -> None:
        self._spare_ids = most_ids
        self._sent: list[int] = []
        self._subjects: list[str] = []
        self._answers: list[bool] = []
        # Nodes: messages, and dummies for those that are not there.
        self._nodes: dict[bytes, int] = {}
        self._message: array[int] = array("l")
        self._parent: array[int] = array("l")
        self._count: array[int] = array("l")
        self._steps = 0

    # --- step 1: who answers whom -------------------------------------------------------------------------------------

    def add(self, sent: int, subject: str, answers: bool, ids: bytes) -> None:
        own, *references = split(ids)
        above = _NOBODY
        for id in references:
            node = self._node(id)
            if node == _NOBODY:
                continue
            if above != _NOBODY and self._parent[node] == _NOBODY:
                self._link(above, node)
            above = node
        me = self._own(own)
        self._message[me] = len(self._sent)
        self._sent.append(sent)
        self._subjects.append(subject)
        self._answers.append(answers)
        before = self._parent[me]
        if before != above:
            if before != _NOBODY:
                self._parent[me] = _NOBODY
                self._count[before] -= 1
            if above != _NOBODY:
                self._link(above, me)

    def _new(self) -> int:
        self._message.append(_DUMMY)
        self._parent.append(_NOBODY)
        self._count.append(0)
        return len(self._message) - 1

    def _node(self, id: bytes) -> int:
        """What stands for a message that is referred to."""
        node = self._nodes.get(id)
        if node is None:
            if not self._spare_ids:
                return _NOBODY
            self._spare_ids -= 1
            node = self._nodes[id] = self._new()
        return node

    def _own(self, id: bytes) -> int:
        """What stands for a message with this ID, which only the first one of several has."""
        node = self._nodes.get(id)
        if node is None:
            node = self._new()
            if id != NONE:
                self._nodes[id] = node
        elif self._message[node] != _DUMMY:
            node = self._new()
        return node

    def _link(self, above: int, below: int) -> None:
        """Make one the parent of the other, unless that makes a loop."""
        if self._is_above(below, above):
            return
        self._parent[below] = above
        self._count[above] += 1

    def _is_above(self, node: int, other: int) -> bool:
        """Whether `node` is `other` or above it.  Also true where it would take too long to tell."""
        if node == other:
            return True
        if not self._count[node]:
            return False
        most = _STEPS + _STEPS_EACH * len(self._parent)
        parent, steps = self._parent, self._steps
        while other != _NOBODY and other != node and steps < most:
            other = parent[other]
            steps += 1
        self._steps = steps
        return other != _NOBODY

    # --- steps 2 to 6 -------------------------------------------------------------------------------------------------

    async def forest(self, pause: Pause) -> Forest:
        children = await self._pruned(pause)
        roots = children.pop(_ROOT, [])

        def when(root: int) -> tuple[int, int]:
            return self._when(root, children)

        roots = await in_order(roots, when, pause)
        roots = await self._gathered(roots, children, pause)
        count = 0
        for above, siblings in children.items():
            count += len(siblings)
            if len(siblings) > _AT_ONCE:
                children[above] = await in_order(siblings, self._sort_key, pause)
            elif len(siblings) > 1:
                siblings.sort(key=self._sort_key)
            if count >= _AT_ONCE:
                count = 0
                await pause()
        return Forest(await in_order(roots, when, pause), children)

    async def _pruned(self, pause: Pause) -> dict[int, list[int]]:
        """Steps 2 to 4: the messages below each message, and below `_ROOT`; of dummies only those that hold several
        messages together at the top.  What is below a dummy is sorted.
        """
        message, parent = self._message, self._parent
        below: dict[int, list[int]] = {}
        for node, above in enumerate(parent):
            below.setdefault(above, []).append(node)
            if not node % _AT_ONCE:
                await pause()
        children: dict[int, list[int]] = {}
        count = 0
        # From the top: (node, under what its message goes).
        waiting = [(root, _ROOT) for root in reversed(below.get(_NOBODY, []))]
        while waiting:
            node, above = waiting.pop()
            if message[node] != _DUMMY:
                under = message[node]
                children.setdefault(above, []).append(under)
            elif above == _ROOT:
                under = _ROOT - 1 - node
            else:
                under = above
            waiting.extend((each, under) for each in below.get(node, ()))
            count += 1
            if not count % _AT_ONCE:
                await pause()
        top = children.setdefault(_ROOT, [])
        for dummy in [each for each in children if each < _ROOT]:
            siblings = children[dummy]
            if len(siblings) == 1:
                top.extend(children.pop(dummy))
            else:
                siblings.sort(key=self._sort_key)
                top.append(dummy)
        return children

    def _sort_key(self, place: int) -> tuple[int, int]:
        return self._sent[place], place

    def _when(self, root: int, children: dict[int, list[int]]) -> tuple[int, int]:
        """For a dummy, that of the first message below it."""
        return self._sort_key(root if root >= 0 else children[root][0])

    async def _gathered(
        self, roots: list[int], children: dict[int, list[int]], pause: Pause
    ) -> list[int]:
        """Step 5: threads with the same subject become one."""

        def subject(root: int) -> str:
            return self._subjects[root if root >= 0 else children[root][0]]

        def answers(root: int) -> bool:
            return root >= 0 and self._answers[root]

        table: dict[str, int] = {}
        subjects: list[str] = []
        for count, root in enumerate(roots, 1):
            thread = subject(root)
            subjects.append(thread)
            known = table.setdefault(thread, root)
            if known >= 0 and (root < 0 or (answers(known) and not answers(root))):
                table[thread] = root
            if not count % _AT_ONCE:
                await pause()
        # A thread that was put under another one is no root any more, and has been dealt with.
        left = dict.fromkeys(roots)
        next_dummy = min([_ROOT, *roots]) - 1
        for count, (root, thread) in enumerate(zip(roots, subjects, strict=True), 1):
            if not count % _AT_ONCE:
                await pause()
            if not thread or root not in left:
                continue
            known = table[thread]
            if known == root:
                continue
            del left[root]
            if known < 0:
                children[known].extend([root] if root >= 0 else children.pop(root))
            elif answers(root) and not answers(known):
                children.setdefault(known, []).append(root)
            else:
                del left[known]
                children[next_dummy] = [known, root]
                left[next_dummy] = None
                table[thread] = next_dummy
                next_dummy -= 1
        return list(left)


#: Under this the roots are gathered; dummies are below it.
_ROOT: Final = -1

ALGORITHMS: Final[dict[str, Callable[[int], Threading]]] = {
    "ORDEREDSUBJECT": OrderedSubject,
    "REFERENCES": References,
}
