"""Search trees over an index and a store that answers the rest."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck import search
from twisted_duck.index import MailboxIndex
from twisted_duck.matching import match
from twisted_duck.search import SearchKey
from twisted_duck.sequence import SequenceSet
from twisted_duck.values import FLAGGED, SEEN, Change, Changes, Expunged, UIDSet

DAY = date(2020, 1, 1)
LEAVES: list[SearchKey] = [
    search.InternalDate("on", DAY),
    search.SentDate("on", DAY),
    search.Size("larger", 7),
    search.Header("from", "x"),
    search.Body("x"),
    search.Text("x"),
]


def truth(leaf: SearchKey, uid: int) -> bool:
    """Whether the store's message `uid` matches: something different for each kind of leaf."""
    return bool(uid >> LEAVES.index(leaf) & 1)


class Store:
    """Answers leaves by `truth`, and remembers what it was asked."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.asked: list[tuple[SearchKey, list[int]]] = []
        self.meanwhile = meanwhile

    async def select(self, leaf: SearchKey, uids: Sequence[int]) -> list[int]:
        self.asked.append((leaf, list(uids)))
        self.meanwhile()
        return [uid for uid in uids if truth(leaf, uid)]


def filled(messages: dict[int, set[str]]) -> MailboxIndex:
    index = MailboxIndex(1)
    changed = [Change(uid, 1, frozenset(flags)) for uid, flags in messages.items()]
    index.apply(Changes(1, max(messages, default=0) + 1, 1, changed))
    return index


def simple(key: SearchKey, uid: int, messages: dict[int, set[str]]) -> bool:
    """What a key means, message by message."""
    match key:
        case search.All():
            return True
        case search.And(keys):
            return all(simple(each, uid, messages) for each in keys)
        case search.Or(left, right):
            return simple(left, uid, messages) or simple(right, uid, messages)
        case search.Not(inner):
            return not simple(inner, uid, messages)
        case search.HasFlag(flag):
            return flag in messages[uid]
        case search.UIDs(numbers):
            return uid in numbers.against(max(messages))
        case _:
            return truth(key, uid)


flag_sets = st.sets(st.sampled_from([SEEN, FLAGGED, "$Label1"]))
mailboxes = st.dictionaries(st.integers(1, 100), flag_sets, max_size=40)
number = st.integers(0, 110)
keys: st.SearchStrategy[SearchKey] = st.recursive(
    st.one_of(
        st.sampled_from(LEAVES),
        st.just(search.All()),
        st.sampled_from([SEEN, FLAGGED, "$Label1", "$Other"]).map(search.HasFlag),
        st.lists(st.tuples(number, number), max_size=3).map(
            lambda ranges: search.UIDs(SequenceSet(tuple(ranges)))
        ),
    ),
    lambda inner: st.one_of(
        inner.map(search.Not),
        st.builds(search.Or, inner, inner),
        st.lists(inner, min_size=1, max_size=4).map(lambda keys: search.And(tuple(keys))),
    ),
    max_leaves=12,
)


class MatchTests(SynchronousTestCase):
    def found(self, coroutine: Coroutine[Deferred[Any], Any, list[int]]) -> list[int]:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    @given(mailboxes, keys)
    def test_finds_what_the_key_means(self, messages: dict[int, set[str]], key: SearchKey) -> None:
        expected = [uid for uid in sorted(messages) if simple(key, uid, messages)]
        self.assertEqual(self.found(match(key, filled(messages), Store())), expected)

    @given(mailboxes, keys, st.sets(st.integers(1, 110)))
    def test_finds_nothing_outside_the_universe(
        self, messages: dict[int, set[str]], key: SearchKey, universe: set[int]
    ) -> None:
        store = Store()
        expected = [
            uid for uid in sorted(messages) if uid in universe and simple(key, uid, messages)
        ]
        self.assertEqual(self.found(match(key, filled(messages), store, universe)), expected)
        for _, asked in store.asked:
            self.assertTrue(set(asked) <= universe & set(messages))

    @given(mailboxes, keys)
    def test_asks_the_store_for_living_messages_in_order(
        self, messages: dict[int, set[str]], key: SearchKey
    ) -> None:
        store = Store()
        self.found(match(key, filled(messages), store))
        for leaf, asked in store.asked:
            self.assertIn(leaf, LEAVES)
            self.assertTrue(asked)
            self.assertEqual(asked, sorted(set(asked) & set(messages)))

    def test_and_asks_the_dearest_key_last_about_what_is_left(self) -> None:
        index = filled({uid: {SEEN} if uid % 2 else set() for uid in range(1, 65)})
        store = Store()
        text, header, size, day = LEAVES[5], LEAVES[3], LEAVES[2], LEAVES[0]
        key = search.And((text, header, search.HasFlag(SEEN), size, day))
        found = self.found(match(key, index, store))
        self.assertEqual(found, [uid for uid in range(1, 65) if uid & 0b101101 == 0b101101])
        self.assertEqual([leaf for leaf, _ in store.asked], [size, day, header, text])
        lengths = [len(asked) for _, asked in store.asked]
        self.assertEqual(lengths, [32, 16, 16, 8])

    def test_and_asks_nobody_when_nothing_is_left(self) -> None:
        store = Store()
        key = search.And((LEAVES[5], search.HasFlag("$Nobody")))
        self.assertEqual(self.found(match(key, filled({1: set(), 2: {SEEN}}), store)), [])
        self.assertEqual(store.asked, [])

    def test_or_asks_only_about_what_was_not_found(self) -> None:
        store = Store()
        key = search.Or(LEAVES[5], search.HasFlag(SEEN))
        index = filled({1: {SEEN}, 2: set(), 32: set()})
        self.assertEqual(self.found(match(key, index, store)), [1, 32])
        self.assertEqual(store.asked, [(LEAVES[5], [2, 32])])

    def test_or_asks_nobody_when_everything_was_found(self) -> None:
        store = Store()
        key = search.Or(LEAVES[5], search.All())
        self.assertEqual(self.found(match(key, filled({1: set(), 2: set()}), store)), [1, 2])
        self.assertEqual(store.asked, [])

    def test_deep_trees(self) -> None:
        index = filled({1: {SEEN}, 2: set()})
        negated: SearchKey = search.HasFlag(SEEN)
        either: SearchKey = search.HasFlag(SEEN)
        both: SearchKey = search.HasFlag(SEEN)
        for _ in range(5_001):
            negated = search.Not(negated)
            either = search.Or(search.HasFlag(FLAGGED), either)
            both = search.And((both, search.All()))
        self.assertEqual(self.found(match(negated, index, Store())), [2])
        self.assertEqual(self.found(match(either, index, Store())), [1])
        self.assertEqual(self.found(match(both, index, Store())), [1])

    def test_others_have_their_turn_between_keys_that_go_through_everything(self) -> None:
        index = filled({uid: set() for uid in range(1, 2_001)})

        def turns(keys: int) -> int:
            taken = 0

            async def pause() -> None:
                nonlocal taken
                taken += 1

            one = SequenceSet.of(1)
            nots = search.And(tuple(search.Not(search.UIDs(one)) for _ in range(keys)))
            found = self.found(match(nots, index, Store(), pause=pause))
            self.assertEqual(found, list(range(2, 2_001)))
            return taken

        self.assertEqual([turns(keys) for keys in (40, 500, 1_000)], [1, 19, 38])

    def test_empty_mailbox_asks_nobody(self) -> None:
        store = Store()
        for key in (*LEAVES, search.All(), search.Not(search.All()), search.HasFlag(SEEN)):
            self.assertEqual(self.found(match(key, MailboxIndex(1), store)), [])
        self.assertEqual(store.asked, [])

    def test_star_is_the_last_message(self) -> None:
        index = filled({3: set(), 7: set()})
        for numbers in (((0, 0),), ((9, 0),)):
            key = search.UIDs(SequenceSet(numbers))
            self.assertEqual(self.found(match(key, index, Store())), [7])

    def test_modseq_is_at_least(self) -> None:
        index = filled({1: set(), 2: set(), 3: set()})
        index.apply(Changes(2, 4, 1, [Change(1, 2, frozenset()), Change(3, 2, frozenset())]))
        gone = [Expunged(3, UIDSet.of([3]))]
        index.apply(Changes(3, 4, 1, [Change(2, 3, frozenset())], gone))
        for least, found in ((0, [1, 2]), (1, [1, 2]), (2, [1, 2]), (3, [2]), (4, [])):
            with self.subTest(least=least):
                key: SearchKey = search.ModSeq(least)
                self.assertEqual(self.found(match(key, index, Store())), found)
                key = search.And((search.UIDs(SequenceSet.of(1)), key))
                self.assertEqual(
                    self.found(match(key, index, Store())), [uid for uid in found if uid == 1]
                )

    def test_messages_that_arrive_meanwhile_are_not_found(self) -> None:
        index = filled({1: set(), 2: set()})

        def arrive() -> None:
            modseq = index.highest_modseq + 1
            uid = index.uidnext
            index.apply(Changes(modseq, uid + 1, 1, [Change(uid, modseq, frozenset({SEEN}))]))

        negated = search.Not(search.And((LEAVES[5], LEAVES[4])))
        late = search.Or(LEAVES[4], search.Or(LEAVES[5], LEAVES[5]))
        for key, expected in (
            (negated, [1, 2]),
            (search.Not(late), [1, 2]),
            (search.And((LEAVES[1], search.Not(search.HasFlag(FLAGGED)))), [2]),
        ):
            with self.subTest(key=key):
                index = filled({1: set(), 2: set()})
                self.assertEqual(self.found(match(key, index, Store(arrive))), expected)

    def test_messages_that_go_meanwhile_are_not_found(self) -> None:
        index = filled({1: set(), 2: set(), 3: set()})
        going = iter([Expunged(2, UIDSet.of([2]))])

        def go() -> None:
            for step in going:
                index.apply(Changes(2, 4, 1, (), [step]))

        key = search.Not(LEAVES[5])
        self.assertEqual(self.found(match(key, index, Store(go))), [1, 3])

    def test_failure_of_the_store_is_the_search_s(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        key = search.Not(search.Or(LEAVES[0], LEAVES[1]))
        failing = Deferred.fromCoroutine(match(key, filled({1: set()}), Store(fail)))
        self.failureResultOf(failing, ZeroDivisionError)

    def test_keys_of_a_session_are_refused(self) -> None:
        for key in (search.Recent(), search.SequenceNumbers(SequenceSet.of(1))):
            failing = Deferred.fromCoroutine(match(key, filled({1: set()}), Store()))
            self.failureResultOf(failing, KeyError)
