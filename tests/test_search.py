"""Walking through search keys, however deep."""

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.search import (
    All,
    And,
    HasFlag,
    Not,
    Or,
    Recent,
    SearchKey,
    fold,
    replace_leaves,
    walk,
)

TREE = And((Or(All(), Not(Recent())), HasFlag("x")))


class Trees(SynchronousTestCase):
    def test_walk(self) -> None:
        self.assertEqual(
            list(walk(TREE)),
            [TREE, Or(All(), Not(Recent())), All(), Not(Recent()), Recent(), HasFlag("x")],
        )

    def test_fold(self) -> None:
        def written(key: SearchKey, inside: list[str]) -> str:
            return f"{type(key).__name__}({', '.join(inside)})"

        self.assertEqual(fold(TREE, written), "And(Or(All(), Not(Recent())), HasFlag())")

    def test_replace_leaves(self) -> None:
        self.assertEqual(
            replace_leaves(TREE, lambda key: All() if key == Recent() else key),
            And((Or(All(), Not(All())), HasFlag("x"))),
        )

    def test_depth_does_not_matter(self) -> None:
        key: SearchKey = All()
        for _ in range(10_000):
            key = Not(key)
        self.assertEqual(sum(1 for _ in walk(key)), 10_001)
        self.assertEqual(fold(key, lambda _, inside: 1 + sum(inside)), 10_001)
