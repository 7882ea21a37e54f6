"""THREAD=REFERENCES against the steps of RFC 5256 §3 as they stand there, done the simple and slow way."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.imap.threads import References
from twisted_duck.mime.references import ids


@attrs.frozen
class Message:
    sent: int
    subject: str
    answers: bool
    id: str
    references: tuple[str, ...]


@attrs.define(eq=False)
class Node:
    """A message, or a dummy."""

    number: int = 0
    message: Message | None = None
    parent: Node | None = None
    children: list[Node] = attrs.field(factory=list)

    def above(self) -> Iterator[Node]:
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def adopt(self, child: Node) -> None:
        if child not in self.above():
            child.parent = self
            self.children.append(child)

    def leave(self) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    @property
    def first(self) -> Node:
        return self if self.message is not None else self.children[0]

    @property
    def key(self) -> tuple[int, int]:
        assert self.first.message is not None
        return self.first.message.sent, self.first.number

    @property
    def subject(self) -> str:
        assert self.first.message is not None
        return self.first.message.subject

    @property
    def answers(self) -> bool:
        return self.message is not None and self.message.answers

    def say(self) -> str:
        words = [str(self.number)] if self.message is not None else []
        if len(self.children) == 1:
            words.append(self.children[0].say())
        elif self.children:
            words.append("".join(f"({child.say()})" for child in self.children))
        return " ".join(words)


def linked(messages: list[Message]) -> list[Node]:
    """Steps 1 and 2: the roots."""
    known: dict[str, Node] = {}
    nodes: list[Node] = []

    def node(id: str) -> Node:
        if id not in known:
            known[id] = Node()
            nodes.append(known[id])
        return known[id]

    for number, message in enumerate(messages, 1):
        above: Node | None = None
        for id in dict.fromkeys(message.references):
            each = node(id)
            if above is not None and each.parent is None:
                above.adopt(each)
            above = each
        if message.id and node(message.id).message is None:
            me = node(message.id)
        else:
            me = Node()
            nodes.append(me)
        me.number, me.message = number, message
        if me.parent is not above:
            me.leave()
            if above is not None:
                above.adopt(me)
    return [each for each in nodes if each.parent is None]


def pruned(nodes: list[Node], *, top: bool) -> list[Node]:
    """Step 3."""
    left: list[Node] = []
    for node in nodes:
        node.children = pruned(node.children, top=False)
        if node.message is not None or (top and len(node.children) > 1):
            left.append(node)
        else:
            left.extend(node.children)
    return left


def gathered(roots: list[Node]) -> list[Node]:
    """Steps 4 and 5."""
    for root in roots:
        if root.message is None:
            root.children.sort(key=lambda node: node.key)
    roots = sorted(roots, key=lambda node: node.key)
    table: dict[str, Node] = {}
    for root in roots:
        if root.subject:
            known = table.setdefault(root.subject, root)
            if known.message is not None and (
                root.message is None or (known.answers and not root.answers)
            ):
                table[root.subject] = root
    left = list(roots)
    for root in roots:
        subject = root.subject
        if root not in left or not subject or table[subject] is root:
            continue
        known = table[subject]
        left.remove(root)
        if known.message is None and root.message is None:
            known.children.extend(root.children)
        elif known.message is None or (root.answers and not known.answers):
            known.children.append(root)
        else:
            left.remove(known)
            table[subject] = Node(children=[known, root])
            left.append(table[subject])
    return left


def ordered(nodes: list[Node]) -> list[Node]:
    """Step 6."""
    for node in nodes:
        node.children = ordered(node.children)
    return sorted(nodes, key=lambda node: node.key)


def model(messages: list[Message]) -> str:
    roots = ordered(gathered(pruned(linked(messages), top=True)))
    return "".join(f"({root.say()})" for root in roots)


names = st.sampled_from("abcdefgh")
messages = st.lists(
    st.builds(
        Message,
        st.integers(0, 5),
        st.sampled_from(["", "pond", "lake", "sea", "puddle"]),
        st.booleans(),
        names | st.just(""),
        st.lists(names, max_size=4).map(tuple),
    ),
    max_size=12,
)


async def go_on() -> None:
    pass


class ModelTests(SynchronousTestCase):
    @settings(max_examples=500)
    @given(messages)
    def test_any_messages(self, some: list[Message]) -> None:
        threads = References(1_000)
        for each in some:
            fields = {
                b"message-id": [f"<{each.id}@x>".encode()] if each.id else [],
                b"references": [" ".join(f"<{id}@x>" for id in each.references).encode()],
            }
            threads.add(each.sent, each.subject, each.answers, ids(fields, 100))
        forest = self.successResultOf(Deferred.fromCoroutine(threads.forest(go_on)))
        self.assertEqual("".join(forest.say(range(1, len(some) + 1))), model(some))
